//! What do `#[derive(Event)]` and `#[derive(PersonalFields)]` refuse? What they give is tested in the `factum` crate, through
//! which they are used.

mod ui;
