//! What the admission rules see: the committed log and the group before them.

use std::cell::RefCell;

use factum_core::{
    AppendId, Direction, EventId, EventType, LogView, Position, Query, ReadError, RecordedEvent, Revision,
    Selector, StreamFacts, StreamName, Written,
};

use super::group::Group;
use super::heads::Heads;
use crate::index::{Index, KeyHash, Plan};
use crate::log::Log;
use crate::reader::facts_of;

pub(super) struct View<'a> {
    pub(super) log: &'a Log,
    pub(super) index: &'a Index,
    pub(super) group: &'a Group,
    pub(super) heads: &'a RefCell<Heads>,
}

impl View<'_> {
    fn event(&self, position: u64) -> Result<Option<RecordedEvent>, ReadError> {
        match self.group.event(position) {
            Some(event) => Ok(Some(event.clone())),
            None => self.log.event(position),
        }
    }

    /// The newest event of a stream.
    fn last_of(&self, stream: &str) -> Result<Option<RecordedEvent>, ReadError> {
        let snapshot = self.index.snapshot(self.group.next().0);
        let key = KeyHash::stream(stream);
        let mut before = self.group.next().0;
        while let Some(position) = snapshot.last(key, before)? {
            match self.event(position)? {
                Some(event) if event.stream() == stream => return Ok(Some(event)),
                // Another stream whose name has the same hash, or an event that a scavenge removed.
                _ => before = position,
            }
        }
        Ok(None)
    }

    /// Events that match, from the newest; `each` says whether to go on.
    fn matching(
        &self,
        selector: &Selector,
        from: u64,
        mut each: impl FnMut(RecordedEvent) -> bool,
    ) -> Result<(), ReadError> {
        let end = self.group.next().0;
        let snapshot = self.index.snapshot(end);
        match snapshot.plan(selector, from..end, Direction::Backwards) {
            Plan::Everything => {
                for position in (from..end).rev() {
                    match self.event(position)? {
                        Some(event) if selector.matches(&event) && !each(event.clone()) => break,
                        _ => {}
                    }
                }
            }
            Plan::Candidates(mut cursor) => {
                while let Some(position) = cursor.next()? {
                    match self.event(position)? {
                        Some(event) if selector.matches(&event) && !each(event.clone()) => break,
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

impl LogView for View<'_> {
    fn facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError> {
        if let Some(facts) = self.heads.borrow().get(stream) {
            return Ok(facts.clone());
        }
        let facts = facts_of(stream, |name| self.last_of(name))?;
        self.heads.borrow_mut().learn(stream, &facts);
        Ok(facts)
    }

    fn last_match(&self, query: &Query, after: Option<Position>) -> Result<Option<Position>, ReadError> {
        let mut found = None;
        self.matching(
            &Selector::Query(query.clone()),
            after.map_or(0, |after| after.0.saturating_add(1)),
            |event| {
                found = Some(event.position());
                false
            },
        )?;
        Ok(found)
    }

    fn count_matches(&self, query: &Query, limit: u64) -> Result<u64, ReadError> {
        let mut count = 0;
        self.matching(&Selector::Query(query.clone()), 0, |_| {
            count += 1;
            count < limit
        })?;
        Ok(count)
    }

    fn event_at(
        &self,
        stream: &StreamName,
        revision: Revision,
    ) -> Result<Option<(EventId, Position)>, ReadError> {
        let end = self.group.next().0;
        let snapshot = self.index.snapshot(end);
        let key = KeyHash::stream(stream);
        let found = |event: &RecordedEvent| event.stream() == stream.as_str() && event.revision() == revision;
        if let Some(position) = snapshot.nth(key, revision.0)?
            && let Some(event) = self.event(position)?.filter(found)
        {
            return Ok(Some((event.id(), event.position())));
        }
        let mut hit = None;
        self.matching(&Selector::Stream(stream.clone()), 0, |event| {
            if found(&event) {
                hit = Some((event.id(), event.position()));
            }
            hit.is_none() && event.revision() > revision
        })?;
        Ok(hit)
    }

    fn find_event(
        &self,
        stream: &StreamName,
        id: EventId,
    ) -> Result<Option<(Revision, Position)>, ReadError> {
        let end = self.group.next().0;
        if self.index.snapshot(end).last(KeyHash::event_id(id), end)?.is_none() {
            return Ok(None);
        }
        let mut found = None;
        self.matching(&Selector::Event(id), 0, |event| {
            if event.stream() == stream.as_str() {
                found = Some((event.revision(), event.position()));
            }
            // From the newest: the first hit is the one that counts.
            found.is_none()
        })?;
        Ok(found)
    }

    fn find_append(&self, id: AppendId) -> Result<Vec<Written>, ReadError> {
        let mut written = Vec::new();
        self.matching(&Selector::Append(id), 0, |event| {
            // Names that were recorded have passed these checks before.
            if let (Ok(stream), Ok(event_type)) = (
                StreamName::new(event.stream_text()).or_else(|_| metastream_name(event.stream())),
                EventType::new(event.event_type()),
            ) {
                let (revision, position) = (event.revision(), event.position());
                written.push(Written { stream, revision, position, event_type });
            }
            true
        })?;
        written.reverse();
        Ok(written)
    }
}

/// The name of a metadata stream whose described stream has a name of full length.
fn metastream_name(name: &str) -> Result<StreamName, factum_core::NameError> {
    let described = StreamName::new(name.strip_prefix(factum_core::METASTREAM_PREFIX).unwrap_or(name))?;
    described.metastream().ok_or(factum_core::NameError::Empty { what: "stream name" })
}
