//! Does the crate keep the contract of a read-model database, and what is SQLite's own?
#![allow(clippy::unwrap_used)]

mod conformance;
mod fixture;
mod guarded;
mod key_conformance;
mod leftovers;
mod permissions;
mod processes;
mod refusals;
