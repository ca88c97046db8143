//! One error per verb of the store, each with the values that a caller needs.

use std::io;
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::names::NameError;
use crate::recorded::MalformedBody;
use crate::{Capability, ExpectedRevision, Position, SchemaVersion, StreamName, StreamState};

/// What kind of answer an error is, for exit codes and status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong; asking again will not help.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// It was deleted for ever.
    Deleted,
    /// Something changed: read again and decide again.
    Conflict,
    /// The data does not fit its registered schema.
    SchemaViolation,
    /// A limit was passed.
    TooLarge,
    /// This store cannot do that.
    Unsupported,
    /// The store cannot do it now.
    Unavailable,
    /// The caller may not do that, or is not known.
    Denied,
    /// Stored bytes are damaged.
    Damaged,
}

/// An event that no store would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// Its JSON is not JSON.
    #[error("the event's {part} is not JSON: fault at line {line}, column {column}")]
    NotJson {
        /// Data or metadata.
        part: &'static str,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// It is over the limit.
    #[error("the event has {actual} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The event's size, in bytes.
        actual: usize,
    },
    /// It has too many tags.
    #[error("the event has {actual} tags, the limit is {limit}")]
    TooManyTags {
        /// The limit.
        limit: usize,
        /// The number of tags.
        actual: usize,
    },
    /// Versions start at 1.
    #[error("schema version 0 does not exist: versions start at 1")]
    SchemaVersionZero,
    /// It holds personal data that was not sealed.
    #[error(
        "the event holds personal data in clear, and a log never forgets: append it through the vault (\"$personal\" is \
         reserved for it)"
    )]
    Unsealed,
    /// One of its names may not be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// One reason why an append was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailedCheck {
    /// A stream is not as expected.
    Revision {
        /// The stream.
        stream: StreamName,
        /// What was expected.
        expected: ExpectedRevision,
        /// What is true.
        actual: StreamState,
    },
    /// An event matches a condition's query.
    Condition {
        /// Index of the condition in the append.
        index: usize,
        /// Position of the newest event that matches.
        conflicting: Position,
    },
    /// As many events match as may not.
    Count {
        /// Index of the condition in the append.
        index: usize,
        /// The number that may not be reached.
        below: u64,
        /// How many match; counting stops at `below`.
        found: u64,
    },
}

impl std::fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FailedCheck::Revision { stream, expected, actual } => {
                write!(f, "stream '{stream}' was expected ")?;
                match expected {
                    ExpectedRevision::Any => f.write_str("in any state")?,
                    ExpectedRevision::NoStream => f.write_str("not to exist")?,
                    ExpectedRevision::StreamExists => f.write_str("to exist")?,
                    ExpectedRevision::Exact(revision) => write!(f, "at revision {revision}")?,
                }
                match actual {
                    StreamState::Missing => f.write_str(", but it does not exist"),
                    StreamState::MetadataOnly => f.write_str(", but it has metadata and no events"),
                    StreamState::Live { last } => write!(f, ", but it is at revision {last}"),
                    StreamState::SoftDeleted { last: Some(last) } => {
                        write!(f, ", but it was deleted at revision {last}")
                    }
                    StreamState::SoftDeleted { last: None } => f.write_str(", but it was deleted"),
                    StreamState::Tombstoned => f.write_str(", but it was deleted for ever"),
                }
            }
            FailedCheck::Condition { index, conflicting } => {
                write!(f, "condition {index} fails: the event at position {conflicting} matches its query")
            }
            FailedCheck::Count { index, below, found } => {
                write!(
                    f,
                    "condition {index} fails: {found} events match its query, fewer than {below} were allowed"
                )
            }
        }
    }
}

/// How an event breaks its registered schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{event_type}' version {version} does not fit its registered schema: {}", faults.join("; "))]
pub struct SchemaViolation {
    /// The event's type.
    pub event_type: String,
    /// Its version.
    pub version: SchemaVersion,
    /// Where and how, without the values themselves: JSON pointer and rule.
    pub faults: Vec<String>,
}

/// Why an append was not done. Nothing of it was kept, unless the variant says that this is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Checks failed: all of them, so that one more read is enough to decide again.
    #[error("{}", failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Conflict {
        /// Every check that failed.
        failed: Vec<FailedCheck>,
    },
    /// The stream was deleted for ever, or is soft-deleted and was expected to exist.
    #[error("stream '{stream}' is deleted")]
    StreamDeleted {
        /// The stream.
        stream: StreamName,
    },
    /// An event is not one that a store can take.
    #[error("event {index} of the append to '{stream}': {source}")]
    InvalidEvent {
        /// The stream it was for.
        stream: StreamName,
        /// Its place among the write's events, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidEvent,
    },
    /// The request does not make sense.
    #[error("{why}")]
    Invalid {
        /// What, why, and what to do.
        why: String,
    },
    /// The append is over a limit.
    #[error("the append has {actual} {unit}, the limit is {limit}: split it")]
    TooLarge {
        /// Bytes, events or checks.
        unit: &'static str,
        /// The limit.
        limit: usize,
        /// The number found.
        actual: usize,
    },
    /// Data does not fit its registered schema.
    #[error(transparent)]
    Schema(#[from] SchemaViolation),
    /// The append id was used before, for something else.
    #[error(
        "append id {id} was used before for a different append: it has its first event at position {first}"
    )]
    AppendIdReused {
        /// The append id.
        id: crate::AppendId,
        /// Where the earlier append begins.
        first: Position,
    },
    /// This store cannot do that.
    #[error("this store does not support {capability}")]
    Unsupported {
        /// What it lacks.
        capability: Capability,
    },
    /// A write or sync failed earlier; the outcome of what was under way is unknown until the store is reopened.
    #[error("the store has stopped writing after a failure ({cause}): reopen it; reads go on")]
    Stopped {
        /// The first failure.
        cause: Arc<io::Error>,
    },
    /// The answer of a store elsewhere did not come: the append may have been kept, or not.
    #[error("whether the append was kept is not known ({why}): send the same events with the same ids again")]
    OutcomeUnknown {
        /// What happened.
        why: String,
    },
    /// The disk is full; nothing of the append was kept and the store goes on.
    #[error("the disk is full: free some space and append again")]
    DiskFull,
    /// More appends wait than the store queues; nothing of this one was kept.
    #[error("{waiting} appends are waiting already: slow down and append again")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Personal data in it could not be sealed: its subject was erased, or the vault does not answer.
    #[error("event {index} of the append to '{stream}' holds personal data that was not sealed: {why}")]
    NotSealed {
        /// The stream it was for.
        stream: StreamName,
        /// Its place among the write's events, from 0.
        index: usize,
        /// What kind of answer the vault gave: `Deleted` where the subject was erased.
        kind: ErrorKind,
        /// What the vault said. Never a subject, never a value.
        why: String,
    },
    /// Looking something up for the append failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl AppendError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            AppendError::Conflict { .. } => ErrorKind::Conflict,
            AppendError::StreamDeleted { .. } => ErrorKind::Deleted,
            AppendError::InvalidEvent {
                source: InvalidEvent::TooLarge { .. } | InvalidEvent::TooManyTags { .. },
                ..
            }
            | AppendError::TooLarge { .. } => ErrorKind::TooLarge,
            AppendError::InvalidEvent { .. }
            | AppendError::Invalid { .. }
            | AppendError::AppendIdReused { .. } => ErrorKind::Invalid,
            AppendError::Schema(_) => ErrorKind::SchemaViolation,
            AppendError::NotSealed { kind, .. } => *kind,
            AppendError::Unsupported { .. } => ErrorKind::Unsupported,
            AppendError::Stopped { .. }
            | AppendError::OutcomeUnknown { .. }
            | AppendError::DiskFull
            | AppendError::Busy { .. }
            | AppendError::Closed => ErrorKind::Unavailable,
            AppendError::Read(error) => error.kind(),
        }
    }
}

/// Why a read or subscription ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream does not exist or was soft-deleted.
    #[error("stream '{stream}' does not exist")]
    StreamNotFound {
        /// The stream.
        stream: StreamName,
    },
    /// The stream was deleted for ever.
    #[error("stream '{stream}' is deleted")]
    StreamDeleted {
        /// The stream.
        stream: StreamName,
    },
    /// The request does not make sense.
    #[error("{why}")]
    Invalid {
        /// What, why, and what to do.
        why: String,
    },
    /// The checkpoint is of another store or epoch.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The place lies beyond the end of the log.
    #[error("position {asked} lies beyond the end of the log, which is {end}")]
    BeyondEnd {
        /// The place asked for.
        asked: Position,
        /// The end of the log.
        end: Position,
    },
    /// Stored bytes are damaged here.
    #[error("the log is damaged at {place}: {what}; run `factum storage verify`")]
    Damaged {
        /// File and offset, or position.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// Reading failed.
    #[error("reading failed at {place}: {source}")]
    Io {
        /// File and offset.
        place: String,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// This store cannot do that.
    #[error("this store does not support {capability}")]
    Unsupported {
        /// What it lacks.
        capability: Capability,
    },
    /// A store elsewhere cannot be reached, or is not ready.
    #[error("the store cannot be reached: {why}")]
    Unreachable {
        /// What happened.
        why: String,
    },
    /// The caller may not do that, or is not known.
    #[error("the store refuses it: {why}")]
    Denied {
        /// What the store said.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl ReadError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ReadError::StreamNotFound { .. } => ErrorKind::NotFound,
            ReadError::StreamDeleted { .. } => ErrorKind::Deleted,
            ReadError::Invalid { .. } | ReadError::Checkpoint(_) | ReadError::BeyondEnd { .. } => {
                ErrorKind::Invalid
            }
            ReadError::Damaged { .. } => ErrorKind::Damaged,
            ReadError::Io { .. } | ReadError::Unreachable { .. } | ReadError::Closed => {
                ErrorKind::Unavailable
            }
            ReadError::Denied { .. } => ErrorKind::Denied,
            ReadError::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }
}

/// Why an event was not redacted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedactError {
    /// No reason was given.
    #[error("a redaction needs a reason: it is what stays in the place of the data")]
    NoReason,
    /// What would stay is too long.
    #[error("the {what} of a redaction may have at most {limit} bytes, this one has {actual}: shorten it")]
    TooLong {
        /// The reason or the actor.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        actual: usize,
    },
    /// There is no such event.
    #[error("there is no event at position {position}: the log ends at {end}")]
    BeyondEnd {
        /// The position asked for.
        position: Position,
        /// The end of the log.
        end: Position,
    },
    /// A scavenge has taken it, and all that it said.
    #[error("the event at position {position} was removed by a scavenge: nothing of what it said is left")]
    Removed {
        /// The event's place.
        position: Position,
    },
    /// The event is not a user's.
    #[error("the event at position {position} ('{event_type}' in '{stream}') cannot be redacted: {why}")]
    Reserved {
        /// The event's place.
        position: Position,
        /// Its stream.
        stream: String,
        /// Its type.
        event_type: String,
        /// The rule.
        why: &'static str,
    },
    /// The request could not be recorded. Nothing was redacted, unless the cause says that this is unknown.
    #[error("the redaction could not be recorded: {0}")]
    Record(#[source] AppendError),
    /// A redaction is recorded, and the event still says what it said.
    #[error(
        "the redaction of the event at position {position} is recorded at position {recorded} and not finished ({source}): \
         redact it again or open the store again to finish it"
    )]
    Unfinished {
        /// The event's place.
        position: Position,
        /// Where the redaction is recorded.
        recorded: Position,
        /// What went wrong.
        source: ReadError,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// This store cannot do that.
    #[error("this store does not support {capability}")]
    Unsupported {
        /// What it lacks.
        capability: Capability,
    },
}

impl RedactError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RedactError::NoReason | RedactError::Reserved { .. } => ErrorKind::Invalid,
            RedactError::TooLong { .. } => ErrorKind::TooLarge,
            RedactError::BeyondEnd { .. } => ErrorKind::NotFound,
            RedactError::Removed { .. } => ErrorKind::Deleted,
            RedactError::Record(error) => error.kind(),
            RedactError::Unfinished { source, .. } => source.kind(),
            RedactError::Read(error) => error.kind(),
            RedactError::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }
}

impl From<MalformedBody> for ReadError {
    fn from(error: MalformedBody) -> Self {
        ReadError::Damaged { place: "an event".to_owned(), what: error.to_string() }
    }
}

/// An error with its causes, in one line. What a cause only says again is said once.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}
