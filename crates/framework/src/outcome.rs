//! What executing a command came to: events, nothing to do, applied before, or why it failed.

use std::fmt;

use factum_core::{
    AppendError, Checkpoint, ErrorKind, FailedCheck, Position, ReadError, RecordedEvent, Revision,
    StreamAppended,
};

use crate::codec::{DecodeError, EncodeError};
use crate::{ReplayError, SnapshotWrite};

/// What executing a command came to.
#[derive(Debug)]
pub enum Outcome<E> {
    /// There was nothing to do.
    Nothing {
        /// How often it was decided.
        attempts: u32,
    },
    /// These events were written.
    Applied(Applied<E>),
    /// An earlier execution of the same command id wrote these events; this one wrote none.
    AlreadyApplied(Applied<E>),
}

/// The events that a command led to, and where they are.
#[derive(Debug)]
pub struct Applied<E> {
    /// The events, in order.
    pub events: Vec<E>,
    /// Position of the first.
    pub first: Position,
    /// Position of the last.
    pub last: Position,
    /// What became of each stream, in order of its first event.
    pub streams: Vec<StreamAppended>,
    /// What a reader can wait for: everything up to and with these events.
    pub token: Checkpoint,
    /// How often it was decided.
    pub attempts: u32,
    /// Whether a snapshot followed.
    pub snapshot: SnapshotWrite,
}

impl<E> Applied<E> {
    /// Revision of the last event; for a decision over several streams, of the last one in the first of them.
    pub fn revision(&self) -> Option<Revision> {
        self.streams.first().and_then(|written| written.last)
    }
}

impl<E> Outcome<E> {
    /// The events that the command led to, now or earlier.
    pub fn events(&self) -> &[E] {
        self.applied().map_or(&[], |applied| &applied.events)
    }

    /// Where the command's events are, if it led to any.
    pub fn applied(&self) -> Option<&Applied<E>> {
        match self {
            Outcome::Nothing { .. } => None,
            Outcome::Applied(applied) | Outcome::AlreadyApplied(applied) => Some(applied),
        }
    }

    /// Whether an earlier execution of the same command id had written the events.
    pub fn already_applied(&self) -> bool {
        matches!(self, Outcome::AlreadyApplied(_))
    }

    /// How often it was decided: more than once where others wrote in between.
    pub fn attempts(&self) -> u32 {
        match self {
            Outcome::Nothing { attempts } => *attempts,
            Outcome::Applied(applied) | Outcome::AlreadyApplied(applied) => applied.attempts,
        }
    }
}

/// An event that came between a command's last load and its append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its stream.
    pub stream: String,
    /// Its revision.
    pub revision: Revision,
    /// Its position.
    pub position: Position,
    /// Its type.
    pub event_type: String,
}

impl From<&RecordedEvent> for Change {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            stream: event.stream().to_owned(),
            revision: event.revision(),
            position: event.position(),
            event_type: event.event_type().to_owned(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, revision, position, event_type } = self;
        write!(f, "{event_type} at revision {revision} of '{stream}' (position {position})")
    }
}

/// Why a command had no effect, unless [`outcome_unknown`](Self::outcome_unknown) says that it may have had one.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R> {
    /// The domain refused it: an answer, not a fault.
    #[error("the command was rejected")]
    Rejected(R),
    /// Others wrote each time between the load and the append.
    #[error("gave up after {attempts} attempts: {}{}", list(failed, "; "), since(changed))]
    Conflict {
        /// How often it was decided.
        attempts: u32,
        /// The checks that failed the last time.
        failed: Vec<FailedCheck>,
        /// What came in between the last time, oldest first; at most [`MAX_CHANGES_NAMED`].
        changed: Vec<Change>,
    },
    /// A recorded event is not one of the decider's.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A new event has no form in the log.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The command id was used before, for another stream.
    #[error(
        "command '{command}' was executed before, at position {first}, and led to other streams: give each command its own id"
    )]
    CommandIdReused {
        /// The command id.
        command: String,
        /// Where what it led to begins.
        first: Position,
    },
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] AppendError),
}

/// How many events a conflict names at most.
pub const MAX_CHANGES_NAMED: usize = 16;

impl<R> ExecuteError<R> {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ExecuteError::Rejected(_) | ExecuteError::CommandIdReused { .. } => ErrorKind::Invalid,
            ExecuteError::Conflict { .. } => ErrorKind::Conflict,
            ExecuteError::Decode(_) | ExecuteError::Encode(_) => ErrorKind::SchemaViolation,
            ExecuteError::Store(error) => error.kind(),
        }
    }

    /// Whether the command may have taken effect all the same: the store stopped while it was writing. Execute it
    /// again with the same command id once the store is back.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, ExecuteError::Store(AppendError::Stopped { .. }))
    }

    /// The domain's reason, where that is what it was.
    pub fn rejection(self) -> Option<R> {
        match self {
            ExecuteError::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }
}

impl<R> From<ReadError> for ExecuteError<R> {
    fn from(error: ReadError) -> Self {
        ExecuteError::Store(AppendError::Read(error))
    }
}

impl<R> From<ReplayError> for ExecuteError<R> {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Decode(error) => ExecuteError::Decode(error),
            ReplayError::Store(error) => error.into(),
        }
    }
}

fn list(items: &[impl fmt::Display], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

fn since(changed: &[Change]) -> String {
    if changed.is_empty() { String::new() } else { format!("; in between came {}", list(changed, ", ")) }
}
