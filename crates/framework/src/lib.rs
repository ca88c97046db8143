//! Event sourcing for Rust: deciders, typed events, snapshots, upcasters, time travel.

// The derive names this crate `::factum`, here too.
#[cfg(test)]
extern crate self as factum;

#[doc(hidden)]
#[path = "derived.rs"]
pub mod __private;
mod event;
mod json_state;
mod upcast;

pub use event::{Event, EventKind};
pub use factum_derive::Event;
pub use json_state::{
    Blame, Change as JsonChange, JsonState, MAX_JSON_DEPTH, Origin, Skipped, diff as diff_json,
};
pub use upcast::{UpcastStep, Upcaster};
