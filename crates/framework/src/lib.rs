//! Event sourcing for Rust: deciders, typed events, snapshots, upcasters, time travel.

mod event;
mod json_state;

pub use event::{Event, EventKind, Upcaster};
pub use json_state::{
    Blame, Change as JsonChange, JsonState, MAX_JSON_DEPTH, Origin, Skipped, diff as diff_json,
};
