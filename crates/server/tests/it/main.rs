//! What the server promises, asked through the generated clients of a running one.
#![allow(clippy::unwrap_used)]

mod security;
