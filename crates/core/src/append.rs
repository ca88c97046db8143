//! What an append asks for, and what it is told.

use crate::{AppendId, Checkpoint, NewEvent, Position, Query, Revision, StreamName};

/// What the writer believes about a stream. The table of `docs/semantics.md` says what each allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedRevision {
    /// Nothing.
    Any,
    /// The stream has no events, or was soft-deleted.
    NoStream,
    /// The stream has events or metadata.
    StreamExists,
    /// The stream's last event has this revision.
    Exact(Revision),
}

/// What is true of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// It has no events and no metadata.
    Missing,
    /// It has no events, but it has metadata.
    MetadataOnly,
    /// It has events up to `last`.
    Live {
        /// Revision of its last event.
        last: Revision,
    },
    /// It was soft-deleted after `last`; an append revives it.
    SoftDeleted {
        /// Revision of its last event, if it ever had one.
        last: Option<Revision>,
    },
    /// It was deleted for ever.
    Tombstoned,
}

impl StreamState {
    /// Revision of the last event, if the stream ever had one and is not tombstoned.
    pub fn last_revision(self) -> Option<Revision> {
        match self {
            StreamState::Live { last } => Some(last),
            StreamState::SoftDeleted { last } => last,
            StreamState::Missing | StreamState::MetadataOnly | StreamState::Tombstoned => None,
        }
    }
}

/// Events for one stream, with what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamName,
    /// What must be true of it before this append.
    pub expected: ExpectedRevision,
    /// The events, in order.
    pub events: Vec<NewEvent>,
}

/// A condition over a query, checked in the moment of the append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendCondition {
    /// Fails if any event after `after` matches; without `after`, if any event at all does.
    ///
    /// Take `after` before the read that the decision rests on, or from the same snapshot.
    FailIfEventsMatch {
        /// What may not have happened.
        query: Query,
        /// The last position that the decision has seen.
        after: Option<Position>,
    },
    /// Fails unless fewer than `below` events match.
    CountBelow {
        /// What is counted.
        query: Query,
        /// The number that may not be reached.
        below: u64,
    },
}

/// What must be true of a stream that the append does not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCheck {
    /// The stream.
    pub stream: StreamName,
    /// What must be true of it.
    pub expected: ExpectedRevision,
}

/// One atomic append: all of it is kept, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// Identity: the same id again answers as the first time did and writes nothing.
    pub append_id: Option<AppendId>,
    /// Events in log order. A stream may come more than once, to interleave: only its first write's expectation counts.
    pub writes: Vec<StreamWrite>,
    /// Conditions over queries.
    pub conditions: Vec<AppendCondition>,
    /// Checks on streams that are not written.
    pub checks: Vec<StreamCheck>,
}

impl Append {
    /// An append of `events` to one stream.
    pub fn to(stream: StreamName, expected: ExpectedRevision, events: Vec<NewEvent>) -> Self {
        Self { writes: vec![StreamWrite { stream, expected, events }], ..Self::default() }
    }

    /// With an identity.
    #[must_use]
    pub fn with_id(mut self, id: AppendId) -> Self {
        self.append_id = Some(id);
        self
    }

    /// And `events` to another stream, in the same instant.
    #[must_use]
    pub fn and(mut self, stream: StreamName, expected: ExpectedRevision, events: Vec<NewEvent>) -> Self {
        self.writes.push(StreamWrite { stream, expected, events });
        self
    }

    /// Only if `condition` holds.
    #[must_use]
    pub fn on_condition(mut self, condition: AppendCondition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Only if `stream`, which this append does not write, is as expected.
    #[must_use]
    pub fn check(mut self, stream: StreamName, expected: ExpectedRevision) -> Self {
        self.checks.push(StreamCheck { stream, expected });
        self
    }

    /// Number of events in it.
    pub fn event_count(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }
}

/// What an append came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first of the append's own events; `None` if it had none. Metadata events that the store adds
    /// (see `Admitted`) are not counted here.
    pub first: Option<Position>,
    /// Position of the last of the append's own events.
    pub last: Option<Position>,
    /// Each stream once, in order of its first write.
    pub streams: Vec<StreamAppended>,
    /// Whether an earlier append had already written these events.
    pub deduplicated: bool,
    /// A token that a reader can wait for: everything up to and with this append. Of an append without events it is
    /// the end of the log, of a repeated one the place after its last event.
    pub token: Checkpoint,
}

/// What an append did to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamName,
    /// Revision of its first event in this append.
    pub first: Option<Revision>,
    /// Revision of its last event in this append; where it had none, of the stream's last event.
    pub last: Option<Revision>,
}
