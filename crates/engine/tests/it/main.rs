//! What does the engine promise through its public API? One binary for all of it.
#![allow(clippy::unwrap_used)]

mod basics;
mod conformance;
mod crash;
mod fake_disk;
mod fixture;
mod index_damage;
mod maintenance;
mod model;
mod redaction;
mod verifying;
