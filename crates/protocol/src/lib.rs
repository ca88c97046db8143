//! KurrentDB's wire: its messages, and what they mean in Factum's words.
//!
//! [`wire`] holds the generated messages, clients and services of `proto/`; the other modules convert between them and
//! `factum-core`. A server and a client share them, so that what one writes the other reads.
//!
//! **Invariant:** nothing here decides anything: an expectation, an error or an event is translated, never judged.

mod append_error;
mod event;
mod event_bytes;
mod event_json;
pub mod exception;
mod expected;
mod ids;
mod links;
mod names;
pub mod own;
pub mod remote;
mod rich;

pub use append_error::BatchFailure;
pub use event::{EventForm, Proposed, ProposedError, WireEvent, ticks, timestamp_of_ticks};
pub use event_bytes::EventBytes;
pub use event_json::{Breaks, NotAnEvent, Payload, ReadEvent, read_event, write_event, write_event_with};
pub use expected::{Expectation, actual_number, expected_number};
pub use ids::{UuidError, UuidForm, uuid_from_wire, uuid_to_wire};
pub use links::{LINK_TYPE, LinkTarget, STREAM_REFERENCE_TYPE};
pub use names::{StreamIdentifierError, stream_from_wire, stream_to_wire};
pub use rich::RichError;

/// The generated messages, one module per package. `cargo xtask codegen` writes them from `proto/`.
#[allow(missing_docs, unreachable_pub, rustdoc::all, clippy::all, clippy::pedantic, clippy::unwrap_used)]
pub mod wire {
    include!("generated/packages.rs");

    pub use event_store::client as v1;
    pub use factum::v1 as own;
    pub use kurrent::rpc as server_errors;
    pub use kurrentdb::protocol::v2::streams as v2;
}
