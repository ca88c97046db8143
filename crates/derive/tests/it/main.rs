//! What does `#[derive(Event)]` give, and what does it refuse?

mod derived;
mod ui;
