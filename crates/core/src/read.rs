//! What a read asks for, and how its answer comes.

use crate::store::BoxFuture;
use crate::{
    AppendId, Category, Checkpoint, EventId, EventType, Position, Query, QueryItem, ReadError, RecordedEvent,
    Revision, StreamName, StreamState, Tag, Timestamp,
};

/// Which events a read or a subscription is about. All but a filter are served from indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The whole log.
    All,
    /// One stream.
    Stream(StreamName),
    /// Every stream of a category.
    Category(Category),
    /// The events that match a query.
    Query(Query),
    /// The events whose metadata has this `$correlationId`.
    Correlation(String),
    /// The events whose metadata has this `$causationId`.
    Causation(String),
    /// The events that one append wrote.
    Append(AppendId),
    /// The events with this id (one, unless ids were reused in several streams).
    Event(EventId),
    /// The first event of every stream: a list of streams in order of creation.
    StreamStarts,
}

impl Selector {
    /// Every event of one type.
    pub fn event_type(event_type: EventType) -> Self {
        Self::Query(Query::item(QueryItem::types([event_type])))
    }

    /// Every event that carries this tag.
    pub fn tag(tag: Tag) -> Self {
        Self::Query(Query::item(QueryItem::tags([tag])))
    }

    /// Whether `event` is among them.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Selector::All => true,
            Selector::Stream(stream) => event.stream() == stream.as_str(),
            Selector::Category(category) => crate::category_of(event.stream()) == Some(category.as_str()),
            Selector::Query(query) => query.matches(event),
            Selector::Correlation(id) => event.correlation().as_deref() == Some(id),
            Selector::Causation(id) => event.causation().as_deref() == Some(id),
            Selector::Append(id) => event.append_id() == Some(*id),
            Selector::Event(id) => event.id() == *id,
            Selector::StreamStarts => event.revision() == Revision::START,
        }
    }
}

/// A test that the store applies to each selected event before it is sent. Empty: every event passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Passes events of streams that start with any of these; none: any stream.
    pub stream_prefixes: Vec<String>,
    /// Passes events of types that start with any of these; none: any type.
    pub type_prefixes: Vec<String>,
    /// What to do with system events (their type starts with `$`).
    pub system_events: SystemEvents,
}

/// Whether a reader wants the store's own events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemEvents {
    /// They pass like any other.
    #[default]
    Include,
    /// They are left out.
    Exclude,
}

impl EventFilter {
    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `event` passes.
    pub fn passes(&self, event: &RecordedEvent) -> bool {
        let any = |prefixes: &[String], text: &str| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()))
        };
        any(&self.stream_prefixes, event.stream())
            && any(&self.type_prefixes, event.event_type())
            && (self.system_events == SystemEvents::Include || !event.event_type().starts_with('$'))
    }
}

/// Which way a read goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forwards,
    /// From new to old.
    Backwards,
}

/// Where a read starts. Forwards, the place itself is included; a place beyond the end is no error, and reads nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// Before the oldest event; backwards, nothing is read.
    Start,
    /// After the newest event; forwards, nothing is read.
    End,
    /// At this revision of the selected stream; backwards, at it or the last one before it.
    Revision(Revision),
    /// At this position; backwards, just before it.
    Position(Position),
    /// At the first event recorded at this time or later; backwards, at the last one recorded at it or earlier.
    Time(Timestamp),
}

/// The moment in whose light the events are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// Everything that is recorded.
    #[default]
    Now,
    /// The stream up to and with this revision (stream reads only).
    Revision(Revision),
    /// The log up to and with this position.
    Position(Position),
    /// What was recorded at this time or earlier.
    Recorded(Timestamp),
    /// What had happened by this time, whenever it was recorded.
    Occurred(Timestamp),
}

impl AsOf {
    /// Whether `event` is seen from this moment.
    pub fn sees(self, event: &RecordedEvent) -> bool {
        match self {
            AsOf::Now => true,
            AsOf::Revision(revision) => event.revision() <= revision,
            AsOf::Position(position) => event.position() <= position,
            AsOf::Recorded(at) => event.recorded_at() <= at,
            AsOf::Occurred(at) => event.happened_at() <= at,
        }
    }
}

/// Which of a stream's events a stream read shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamView {
    /// Those that its metadata leaves visible; a deleted stream is not found. What counts is the metadata of today,
    /// also for a read as of an earlier moment.
    #[default]
    Visible,
    /// All that are still recorded, of deleted streams too, with their tombstone: the audit trail.
    Recorded,
}

/// One read. It sees the log as it is when it starts, and never half an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which events.
    pub selector: Selector,
    /// Which way.
    pub direction: Direction,
    /// From where.
    pub from: ReadFrom,
    /// At most so many events that pass the filter; `None`: all.
    pub limit: Option<u64>,
    /// Which of the selected events pass.
    pub filter: EventFilter,
    /// In the light of which moment.
    pub at: AsOf,
    /// For stream reads: what deletes and truncation hide.
    pub view: StreamView,
}

impl Read {
    /// All the selected events, from the oldest to the newest.
    pub fn forwards(selector: Selector) -> Self {
        Self {
            selector,
            direction: Direction::Forwards,
            from: ReadFrom::Start,
            limit: None,
            filter: EventFilter::default(),
            at: AsOf::Now,
            view: StreamView::Visible,
        }
    }

    /// All the selected events, from the newest to the oldest.
    pub fn backwards(selector: Selector) -> Self {
        Self { direction: Direction::Backwards, from: ReadFrom::End, ..Self::forwards(selector) }
    }

    /// All events of one stream, from the oldest to the newest.
    pub fn stream(stream: StreamName) -> Self {
        Self::forwards(Selector::Stream(stream))
    }

    /// Starting here.
    #[must_use]
    pub fn from(mut self, from: ReadFrom) -> Self {
        self.from = from;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// In the light of that moment.
    #[must_use]
    pub fn at(mut self, at: AsOf) -> Self {
        self.at = at;
        self
    }

    /// Only those that pass.
    #[must_use]
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// With or without what deletes and truncation hide.
    #[must_use]
    pub fn view(mut self, view: StreamView) -> Self {
        self.view = view;
        self
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// `ReadError::Invalid` where a revision is given for something that is not one stream, or a query is too large.
    pub fn check(&self) -> Result<(), ReadError> {
        let one_stream = matches!(self.selector, Selector::Stream(_));
        if !one_stream && (matches!(self.from, ReadFrom::Revision(_)) || matches!(self.at, AsOf::Revision(_)))
        {
            return Err(ReadError::Invalid {
                why: "a revision counts the events of one stream: give a position or a time here".to_owned(),
            });
        }
        if let Selector::Query(query) = &self.selector {
            query.check().map_err(|e| ReadError::Invalid { why: e.to_string() })?;
        }
        Ok(())
    }
}

/// Some of a read's events, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The events. May be empty while a filter lets nothing pass.
    pub events: Vec<RecordedEvent>,
    /// Forwards: everything before this position has been looked at.
    pub examined_to: Position,
}

/// What was true when the read started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadHead {
    /// The place just after the last event that this read can see: the end of the log, or of the part of it that was
    /// recorded by the moment asked for.
    pub snapshot: Checkpoint,
    /// For stream reads: the stream's state.
    pub stream: Option<StreamState>,
    /// For stream reads: the first revision that deletes, `$tb` and `$maxCount` leave visible. It may lie beyond the
    /// last event. `$maxAge` hides more.
    pub first_visible: Option<Revision>,
}

/// The answer to a read, a page at a time. Dropping it ends the read.
pub trait EventReader: Send {
    /// What was true when the read started.
    fn head(&self) -> &ReadHead;

    /// The next page, or `None` after the last one.
    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>>;
}
