//! The log in memory: every event in a vector, each stream's events in another.

use std::collections::HashMap;

use crate::admission::{Admission, LogView, StreamFacts, SystemEvent, Written};
use crate::read_plan::ReadView;
use crate::{
    Append, AppendId, Appended, Checkpoint, EventId, NewEvent, Position, Query, ReadError, RecordedEvent,
    RecordedHeader, Revision, SchemaRegistry, Selector, StoreId, StreamMetadata, StreamName, Timestamp,
};

/// All events, in commit order: an event's position is its index.
#[derive(Clone)]
pub(super) struct Log {
    store: StoreId,
    epoch: u32,
    events: Vec<RecordedEvent>,
    /// Indexes into `events`, by stream.
    streams: HashMap<StreamName, Vec<usize>>,
    /// What each append with an id wrote.
    appends: HashMap<AppendId, Vec<Written>>,
    schemas: SchemaRegistry,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            store: StoreId::generate(),
            epoch: 0,
            events: Vec::new(),
            streams: HashMap::new(),
            appends: HashMap::new(),
            schemas: SchemaRegistry::default(),
        }
    }

    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
    }

    pub(super) fn next_position(&self) -> Position {
        Position(self.events.len() as u64)
    }

    pub(super) fn checkpoint(&self, next: Position) -> Checkpoint {
        Checkpoint::before(self.store, self.epoch, next)
    }

    pub(super) fn schemas(&self) -> &SchemaRegistry {
        &self.schemas
    }

    /// Does what was admitted. The log must not have changed in between.
    pub(super) fn commit(&mut self, append: &Append, admission: Admission, now: Timestamp) -> Appended {
        let admitted = match admission {
            Admission::Write(admitted) => admitted,
            Admission::Duplicate { first, last, streams } => {
                let token = self.checkpoint(last.next());
                return Appended { first: Some(first), last: Some(last), streams, deduplicated: true, token };
            }
        };
        for added in &admitted.before {
            self.commit_system(added, now);
        }
        let first = self.next_position();
        for (write, first_revision) in append.writes.iter().zip(&admitted.first_revisions) {
            for (event, revision) in write.events.iter().zip(first_revision.0..) {
                self.push(&write.stream, Revision(revision), event, append.append_id, now);
            }
        }
        let next = self.next_position();
        for added in &admitted.after {
            self.commit_system(added, now);
        }
        let wrote = next > first;
        Appended {
            first: wrote.then_some(first),
            last: wrote.then(|| Position(next.0 - 1)),
            streams: admitted.streams,
            deduplicated: false,
            token: self.checkpoint(self.next_position()),
        }
    }

    /// The event at a position.
    pub(super) fn event(&self, position: Position) -> Option<&RecordedEvent> {
        self.events.get(usize::try_from(position.0).ok()?)
    }

    /// Puts `event` in the place of the one at its position.
    pub(super) fn replace(&mut self, event: RecordedEvent) {
        if let Some(place) = self.events.get_mut(event.position().0 as usize) {
            *place = event;
        }
    }

    /// Adds an event of the store's own.
    pub(super) fn commit_system(&mut self, added: &SystemEvent, now: Timestamp) -> Position {
        self.push(&added.stream, added.revision, &added.event, None, now)
    }

    fn push(
        &mut self,
        stream: &StreamName,
        revision: Revision,
        event: &NewEvent,
        append_id: Option<AppendId>,
        now: Timestamp,
    ) -> Position {
        let position = self.next_position();
        let header = RecordedHeader {
            position,
            revision,
            id: event.id,
            append_id,
            // The clock may go back; the log's time does not.
            recorded_at: self.events.last().map_or(now, |last| last.recorded_at().max(now)),
            occurred_at: event.occurred_at,
            schema_version: event.schema_version,
            content_type: event.content_type,
        };
        self.streams.entry(stream.clone()).or_default().push(self.events.len());
        let recorded = RecordedEvent::record(header, stream, event);
        let taken = self.schemas.apply(&recorded);
        debug_assert_eq!(taken, Ok(()), "a registration is checked before it is committed");
        self.events.push(recorded);
        if let Some(id) = append_id {
            let event_type = event.event_type.clone();
            let written = Written { stream: stream.clone(), revision, position, event_type };
            self.appends.entry(id).or_default().push(written);
        }
        position
    }

    /// The events of a selector within a range of positions, from old to new.
    pub(super) fn selected<'a>(
        &'a self,
        selector: &'a Selector,
        from: Position,
        to: Position,
    ) -> Box<dyn Iterator<Item = &'a RecordedEvent> + 'a> {
        let within = move |event: &&RecordedEvent| (from..to).contains(&event.position());
        match selector {
            Selector::Stream(stream) => Box::new(self.stream(stream).filter(within)),
            _ => {
                let to = to.min(self.next_position()).0 as usize;
                let from = (from.0 as usize).min(to);
                Box::new(self.events[from..to].iter().filter(|event| selector.matches(event)))
            }
        }
    }

    fn stream(&self, stream: &StreamName) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        self.streams.get(stream).into_iter().flatten().map(|index| &self.events[*index])
    }

    /// The stream's events without its tombstone.
    fn events_of(&self, stream: &StreamName) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        self.stream(stream).filter(|event| event.revision() != Revision::TOMBSTONE)
    }

    fn is_tombstoned(&self, stream: &StreamName) -> bool {
        self.last_index(stream).is_some_and(|last| self.events[last].revision() == Revision::TOMBSTONE)
    }

    fn last_index(&self, stream: &StreamName) -> Option<usize> {
        self.streams.get(stream).and_then(|indexes| indexes.last()).copied()
    }
}

impl LogView for Log {
    fn facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError> {
        let tombstoned = match stream.described().map(StreamName::new) {
            Some(Ok(described)) => self.is_tombstoned(&described),
            _ => self.is_tombstoned(stream),
        };
        let metadata = stream.metastream().and_then(|metastream| self.last_index(&metastream));
        Ok(StreamFacts {
            last: self.events_of(stream).next_back().map(RecordedEvent::revision),
            tombstoned,
            metadata: metadata.map(|index| StreamMetadata::parse(self.events[index].data_slice())),
        })
    }

    fn last_match(&self, query: &Query, after: Option<Position>) -> Result<Option<Position>, ReadError> {
        let first = after.map_or(Position::START, Position::next);
        let mut newest_first = self.events.iter().rev().take_while(|event| event.position() >= first);
        Ok(newest_first.find(|event| query.matches(event)).map(RecordedEvent::position))
    }

    fn count_matches(&self, query: &Query, limit: u64) -> Result<u64, ReadError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.events.iter().filter(|event| query.matches(event)).take(limit).count() as u64)
    }

    fn event_at(
        &self,
        stream: &StreamName,
        revision: Revision,
    ) -> Result<Option<(EventId, Position)>, ReadError> {
        let mut events = self.events_of(stream);
        Ok(events.find(|event| event.revision() == revision).map(|event| (event.id(), event.position())))
    }

    fn find_event(
        &self,
        stream: &StreamName,
        id: EventId,
    ) -> Result<Option<(Revision, Position)>, ReadError> {
        let found = self.events_of(stream).rfind(|event| event.id() == id);
        Ok(found.map(|event| (event.revision(), event.position())))
    }

    fn find_append(&self, id: AppendId) -> Result<Vec<Written>, ReadError> {
        Ok(self.appends.get(&id).cloned().unwrap_or_default())
    }
}

impl ReadView for Log {
    fn end(&self) -> Checkpoint {
        self.checkpoint(self.next_position())
    }

    fn stream_facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError> {
        self.facts(stream)
    }

    fn first_recorded_at(&self, time: Timestamp) -> Result<Position, ReadError> {
        let index = self.events.partition_point(|event| event.recorded_at() < time);
        Ok(Position(index as u64))
    }
}
