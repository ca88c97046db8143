//! Event sourcing for Rust: deciders, typed events, snapshots, upcasters, time travel.

mod event;

pub use event::{Event, EventKind, Upcaster};
