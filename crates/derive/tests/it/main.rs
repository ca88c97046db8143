//! What does `#[derive(Event)]` refuse? What it gives is tested in the `factum` crate, through which it is used:
//! so this crate's tests need not build the framework.

mod ui;
