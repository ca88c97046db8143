//! Which events a read shows: start, moment and visibility resolved to ranges that any store can serve from its indexes.

use crate::{
    AsOf, Checkpoint, Direction, EventFilter, Position, Read, ReadError, ReadFrom, ReadHead, RecordedEvent,
    Revision, Selector, StreamFacts, StreamName, StreamState, StreamView, Timestamp, VisibleRange,
};

/// What resolving a read needs to know of the log, all of it from one snapshot.
pub trait ReadView {
    /// The place after the last committed event.
    fn end(&self) -> Checkpoint;
    /// The stream's last revision, its tombstone, its metadata: as [`LogView::facts`](crate::LogView::facts).
    fn stream_facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError>;
    /// The first position recorded at `time` or later; the end of the log if there is none.
    fn first_recorded_at(&self, time: Timestamp) -> Result<Position, ReadError>;
}

/// A read, resolved against one snapshot of the log.
///
/// The events to give are those of the selector within `positions` and `revisions` that [`shows`](Self::shows), in the
/// read's direction, at most `limit` of them. The ranges are hints for seeking: `shows` checks them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPlan {
    /// What was true when the read started.
    pub head: ReadHead,
    /// The first position that may be given.
    pub from: Position,
    /// The position after the last one that may be given.
    pub to: Position,
    /// The first revision that may be given. It limits stream reads only.
    pub first_revision: Revision,
    /// The last revision that may be given.
    pub last_revision: Revision,
    /// Events that happened later are not given.
    pub happened_by: Option<Timestamp>,
    /// At most so many are given.
    pub limit: u64,
    filter: EventFilter,
}

impl ReadPlan {
    /// Resolves `read` at `now`.
    ///
    /// # Errors
    /// `Invalid` where the read's parts do not fit together, `StreamNotFound`, `StreamDeleted`, or the view's own error.
    pub fn new(read: &Read, view: &impl ReadView, now: Timestamp) -> Result<Self, ReadError> {
        read.check()?;
        let checkpoint = view.end();
        let end = checkpoint.next_position().unwrap_or_default();
        let mut plan = Self {
            head: ReadHead { snapshot: checkpoint, stream: None, first_visible: None },
            from: Position::START,
            to: end,
            first_revision: Revision::START,
            last_revision: Revision(u64::MAX),
            happened_by: None,
            limit: read.limit.unwrap_or(u64::MAX),
            filter: read.filter.clone(),
        };
        if let Selector::Stream(stream) = &read.selector {
            let facts = view.stream_facts(stream)?;
            let visible = stream_range(stream, &facts, read.view, now)?;
            plan.head.stream = Some(facts.state());
            plan.head.first_visible = Some(visible.first);
            plan.first_revision = visible.first;
            if let Some(not_before) = visible.not_before {
                plan.from = view.first_recorded_at(not_before)?;
            }
        }
        plan.as_of(read.at, view)?;
        plan.head.snapshot = plan.head.snapshot.at(plan.to);
        plan.start(read, view)?;
        Ok(plan)
    }

    /// Narrows to what is seen from a moment.
    fn as_of(&mut self, at: AsOf, view: &impl ReadView) -> Result<(), ReadError> {
        match at {
            AsOf::Now => {}
            AsOf::Revision(last) => self.last_revision = last,
            AsOf::Position(last) => self.to = self.to.min(last.next()),
            AsOf::Recorded(at) => self.to = self.to.min(after(view, at)?),
            AsOf::Occurred(at) => self.happened_by = Some(at),
        }
        Ok(())
    }

    /// Narrows to what lies beyond the start, in the read's direction.
    fn start(&mut self, read: &Read, view: &impl ReadView) -> Result<(), ReadError> {
        match (read.direction, read.from) {
            (Direction::Forwards, ReadFrom::Start) | (Direction::Backwards, ReadFrom::End) => {}
            (Direction::Forwards, ReadFrom::End) => self.from = self.to,
            (Direction::Backwards, ReadFrom::Start) => self.to = Position::START,
            (Direction::Forwards, ReadFrom::Revision(first)) => {
                self.first_revision = self.first_revision.max(first);
            }
            (Direction::Backwards, ReadFrom::Revision(last)) => {
                self.last_revision = self.last_revision.min(last);
            }
            (Direction::Forwards, ReadFrom::Position(first)) => self.from = self.from.max(first),
            (Direction::Backwards, ReadFrom::Position(before)) => self.to = self.to.min(before),
            (Direction::Forwards, ReadFrom::Time(time)) => {
                self.from = self.from.max(view.first_recorded_at(time)?);
            }
            (Direction::Backwards, ReadFrom::Time(time)) => self.to = self.to.min(after(view, time)?),
        }
        Ok(())
    }

    /// Whether an event of the selector is to be given.
    pub fn shows(&self, event: &RecordedEvent) -> bool {
        let in_range = (self.from..self.to).contains(&event.position())
            && (self.head.stream.is_none()
                || (self.first_revision..=self.last_revision).contains(&event.revision()));
        in_range && self.happened_by.is_none_or(|by| event.happened_at() <= by) && self.filter.passes(event)
    }
}

/// The first position recorded after `time`.
fn after(view: &impl ReadView, time: Timestamp) -> Result<Position, ReadError> {
    match time.0.checked_add(1) {
        Some(later) => view.first_recorded_at(Timestamp(later)),
        None => Ok(view.end().next_position().unwrap_or_default()),
    }
}

/// What a stream read may show of a stream of which these facts are true.
///
/// # Errors
/// `StreamNotFound` where the stream has no events or is soft-deleted, `StreamDeleted` where it is tombstoned.
pub fn stream_range(
    stream: &StreamName,
    facts: &StreamFacts,
    view: StreamView,
    now: Timestamp,
) -> Result<VisibleRange, ReadError> {
    let not_found = || ReadError::StreamNotFound { stream: stream.clone() };
    match (view, facts.state()) {
        (StreamView::Recorded, _) => {
            // A tombstone is an event of the stream itself, not of its metadata stream.
            let has_tombstone = facts.tombstoned && !stream.is_metastream();
            if facts.last.is_some() || has_tombstone { Ok(VisibleRange::default()) } else { Err(not_found()) }
        }
        (StreamView::Visible, StreamState::Tombstoned) => {
            Err(ReadError::StreamDeleted { stream: stream.clone() })
        }
        (StreamView::Visible, StreamState::Live { last }) if stream.is_metastream() => {
            Ok(VisibleRange { first: last, not_before: None })
        }
        (StreamView::Visible, StreamState::Live { last }) => {
            Ok(facts.metadata.as_ref().map_or_else(VisibleRange::default, |known| known.visible(last, now)))
        }
        (StreamView::Visible, _) => Err(not_found()),
    }
}
