//! What does a browser get under `/ui`, and under `/docs`?
//!
//! The console is plain JavaScript, CSS and one page, embedded in the binary. It talks to the public HTTP API and to
//! nothing else, and asks nobody outside. [`routes()`] serves it, [`manual::routes()`] the manual beside it.

mod assets;
pub mod manual;
mod page;
mod routes;

pub use assets::{Assets, FromFolder};
pub use page::{Environment, Look, Mode};
pub use routes::{Options, Routes, routes};
