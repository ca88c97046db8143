//! Factum's own service: its messages, and what they mean in the words of the contract.
//!
//! Everything that a store can be asked for and can answer comes back whole; the server and `RemoteStore` share this.

mod answer;
mod failure;
mod parts;
mod request;

pub use answer::{
    appended_from_wire, appended_to_wire, capabilities_from_wire, capabilities_to_wire, deleted_from_wire,
    deleted_to_wire, event_from_wire, event_to_wire, head_from_wire, head_to_wire,
};
pub use failure::{append_error_from_wire, append_error_to_wire, read_error_from_wire, read_error_to_wire};
pub use request::{
    append_from_wire, append_to_wire, delete_from_wire, delete_to_wire, read_from_wire, read_to_wire,
    subscribe_from_wire, subscribe_to_wire,
};

/// A part of a message that cannot be read: the other side is not what it says, or is newer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {why}")]
pub struct Unreadable {
    part: &'static str,
    why: String,
}

impl Unreadable {
    fn new(part: &'static str, why: impl std::fmt::Display) -> Self {
        Self { part, why: why.to_string() }
    }

    fn missing(part: &'static str) -> Self {
        Self::new(part, "it is missing")
    }
}
