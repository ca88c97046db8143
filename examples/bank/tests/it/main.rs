//! The bank through its public API.
#![allow(clippy::unwrap_used)]

mod demo;
mod rules;
mod service;
mod stored;
