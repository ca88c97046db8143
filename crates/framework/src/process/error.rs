//! Why does a process runner stop, or refuse to start?

use factum_core::{AppendError, Capability, ErrorKind, NameError, Position, ReadError, Revision};

use crate::codec::{CodecError, DecodeError};

/// Longest instance id, in bytes: with the process name it must fit into a stream name and, with a number, into a
/// command id.
pub const MAX_INSTANCE_BYTES: usize = 256;

/// Why a process runner stopped or did not start. Whatever was recorded before stays; running again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The process or an instance cannot be called that.
    #[error("'{name}' cannot name {what}: {why}")]
    Name {
        /// The name.
        name: String,
        /// A process, a step or an instance.
        what: &'static str,
        /// The rule that it breaks.
        why: String,
    },
    /// The declaration of the process's events is at fault.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An event that the process listens to cannot be read, so nobody knows whose it is. Nothing is skipped for a
    /// process: run a build that knows the event.
    #[error("process '{process}' stops, since an event without a reader may not be skipped: {source}")]
    Decode {
        /// The process.
        process: String,
        /// Which event, and why.
        source: Box<DecodeError>,
    },
    /// An event without identity could be handled twice.
    #[error(
        "the event at position {position} of '{stream}' has no identity (its id is all zeros): a process that took it could not tell a repetition"
    )]
    NoIdentity {
        /// Its stream.
        stream: String,
        /// Its position.
        position: Position,
    },
    /// Another runner has taken the process over.
    #[error("process '{process}' was taken over by another runner: this one stops ({why})")]
    Superseded {
        /// The process.
        process: String,
        /// What the store said.
        why: String,
    },
    /// An instance stream holds what no runner wrote.
    #[error("revision {revision} of '{stream}' is not a record of a process: {why}")]
    Record {
        /// The instance stream.
        stream: String,
        /// The event.
        revision: Revision,
        /// What is wrong with it.
        why: String,
    },
    /// The store lacks what a process needs.
    #[error("process managers need {capability}, which this store does not have")]
    Unsupported {
        /// What it lacks.
        capability: Capability,
    },
    /// The store failed or refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ProcessError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ProcessError::Name { .. } | ProcessError::Codec(_) | ProcessError::NoIdentity { .. } => {
                ErrorKind::Invalid
            }
            ProcessError::Decode { .. } | ProcessError::Record { .. } => ErrorKind::SchemaViolation,
            ProcessError::Superseded { .. } => ErrorKind::Conflict,
            ProcessError::Unsupported { .. } => ErrorKind::Unsupported,
            ProcessError::Append(error) => error.kind(),
            ProcessError::Read(error) => error.kind(),
        }
    }

    pub(crate) fn name(name: impl Into<String>, what: &'static str, why: impl std::fmt::Display) -> Self {
        ProcessError::Name { name: name.into(), what, why: format!("{why}") }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
    pub(crate) fn constant(error: NameError) -> Self {
        ProcessError::Append(AppendError::Invalid { why: error.to_string() })
    }
}
