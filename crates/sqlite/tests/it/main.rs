//! Does the crate keep the contracts of a read-model database and of a key store, and what is SQLite's own?
#![allow(clippy::unwrap_used)]

mod conformance;
mod fixture;
mod guarded;
mod key_backups;
mod key_conformance;
mod key_fixture;
mod key_refusals;
mod key_scale;
mod key_traces;
mod leftovers;
mod permissions;
mod processes;
mod refusals;
mod reservations;
