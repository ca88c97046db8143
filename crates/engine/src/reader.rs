//! One read: candidates from the index or a scan, records from the segments, and the plan's word on each.

use std::sync::Arc;

use factum_core::{
    BoxFuture, Checkpoint, Clock, Direction, EventReader, Page, Position, Read, ReadError, ReadHead,
    ReadPlan, ReadView, RecordedEvent, Revision, STREAM_DELETED_TYPE, Selector, StreamFacts, StreamMetadata,
    StreamName, Timestamp,
};

use crate::index::{Cursor, Index, IndexError, IndexSnapshot, KeyHash, Plan};
use crate::log::Log;
use crate::segment::format::Record;

/// Most candidates that are fetched together.
const BATCH_CANDIDATES: usize = 256;
/// Most positions that one page of a filtered scan looks at before it reports how far it is.
const MAX_EXAMINED: u64 = 16 * 1_024;

/// The committed log and its indexes, as of one moment.
pub(crate) struct Snapshot {
    pub(crate) log: Arc<Log>,
    pub(crate) index: IndexSnapshot,
    pub(crate) end: Checkpoint,
}

impl Snapshot {
    pub(crate) fn take(log: &Arc<Log>, index: &Index, store: &Checkpoint) -> Self {
        let end = log.committed();
        Self { log: Arc::clone(log), index: index.snapshot(end.0), end: store.at(end) }
    }

    fn next(&self) -> u64 {
        self.end.next_position().unwrap_or_default().0
    }

    /// The newest event of a stream that is still there.
    pub(crate) fn last_of(&self, stream: &str) -> Result<Option<RecordedEvent>, ReadError> {
        let key = KeyHash::stream(stream);
        let mut before = self.next();
        while let Some(position) = self.index.last(key, before)? {
            match self.log.event(position)? {
                Some(event) if event.stream() == stream => return Ok(Some(event)),
                _ => before = position,
            }
        }
        Ok(None)
    }

    /// Where the event of a stream with this revision is, if the index leads straight to it.
    fn position_of(&self, stream: &StreamName, revision: Revision) -> Result<Option<u64>, ReadError> {
        let Some(position) = self.index.nth(KeyHash::stream(stream), revision.0)? else { return Ok(None) };
        let event = self.log.event(position)?;
        let right =
            event.is_some_and(|event| event.stream() == stream.as_str() && event.revision() == revision);
        Ok(right.then_some(position))
    }
}

/// A stream's last revision, tombstone and metadata, from its newest events.
pub(crate) fn facts_of(
    stream: &StreamName,
    last_of: impl Fn(&str) -> Result<Option<RecordedEvent>, ReadError>,
) -> Result<StreamFacts, ReadError> {
    let tombstone = |event: &RecordedEvent| {
        event.event_type() == STREAM_DELETED_TYPE && event.revision() == Revision::TOMBSTONE
    };
    let mut facts = StreamFacts::default();
    if let Some(event) = last_of(stream)? {
        facts.tombstoned = tombstone(&event);
        facts.last = Some(event.revision()).filter(|_| !facts.tombstoned);
    }
    if let Some(described) = stream.described() {
        // A metadata stream goes with the stream that it describes.
        facts.tombstoned = last_of(described)?.is_some_and(|event| tombstone(&event));
    } else if let (Some(metastream), false) = (stream.metastream(), facts.tombstoned) {
        facts.metadata = last_of(&metastream)?.map(|event| StreamMetadata::parse(event.data_slice()));
    }
    Ok(facts)
}

impl ReadView for Snapshot {
    fn end(&self) -> Checkpoint {
        self.end.clone()
    }

    fn stream_facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError> {
        facts_of(stream, |name| self.last_of(name))
    }

    fn first_recorded_at(&self, time: Timestamp) -> Result<Position, ReadError> {
        Ok(self.log.first_at(time)?.min(self.end.next_position().unwrap_or_default()))
    }
}

enum Source {
    /// Every position from the first number up to the second.
    Scan { from: u64, to: u64 },
    /// What the index suggests between two positions.
    Candidates { cursor: Cursor, from: u64, to: u64 },
    /// Nothing is left.
    Done,
}

/// A read under way.
pub(crate) struct EngineReader {
    snapshot: Snapshot,
    plan: ReadPlan,
    selector: Selector,
    direction: Direction,
    source: Source,
    left: u64,
    /// Size of the next batch: small at first, so that a read of a few events fetches only a few.
    batch: usize,
}

impl EngineReader {
    pub(crate) fn new(snapshot: Snapshot, read: Read, clock: &dyn Clock) -> Result<Self, ReadError> {
        let plan = ReadPlan::new(&read, &snapshot, clock.now())?;
        let (mut from, mut to) = (plan.from.0, plan.to.0);
        if let Selector::Stream(stream) = &read.selector {
            // The revisions' places narrow the range; where the index cannot tell, the plan still does.
            if plan.first_revision > Revision::START
                && let Some(position) = snapshot.position_of(stream, plan.first_revision)?
            {
                from = from.max(position);
            }
            if plan.last_revision < Revision::TOMBSTONE
                && let Some(position) = snapshot.position_of(stream, plan.last_revision)?
            {
                to = to.min(position + 1);
            }
        }
        let left = plan.limit;
        let source = if from >= to || left == 0 {
            Source::Done
        } else {
            match snapshot.index.plan(&read.selector, from..to, read.direction) {
                Plan::Everything => Source::Scan { from, to },
                Plan::Candidates(cursor) => Source::Candidates { cursor, from, to },
            }
        };
        let batch = usize::try_from(left).unwrap_or(usize::MAX).clamp(1, BATCH_CANDIDATES);
        Ok(Self { snapshot, plan, selector: read.selector, direction: read.direction, source, left, batch })
    }

    /// The next page, or `None` after the last one.
    pub(crate) fn page(&mut self) -> Result<Option<Page>, ReadError> {
        match &self.source {
            Source::Done => Ok(None),
            Source::Scan { from, to } => self.scan(*from, *to).map(Some),
            Source::Candidates { .. } => self.fetch(),
        }
    }

    /// Keeps the events that the read is about.
    fn keep(&mut self, records: impl Iterator<Item = Record>, events: &mut Vec<RecordedEvent>) {
        events.reserve(records.size_hint().0.min(usize::try_from(self.left).unwrap_or(usize::MAX)));
        for record in records {
            if self.left == 0 {
                break;
            }
            if let Record::Event(event) = record
                && self.selector.matches(&event)
                && self.plan.shows(&event)
            {
                self.left -= 1;
                events.push(event);
            }
        }
    }

    fn scan(&mut self, mut from: u64, mut to: u64) -> Result<Page, ReadError> {
        let started = (from, to);
        let mut events = Vec::new();
        while from < to && events.is_empty() && (from - started.0) + (started.1 - to) < MAX_EXAMINED {
            match self.direction {
                Direction::Forwards => {
                    let block = self.snapshot.log.block_forwards(from, to)?;
                    from += block.len() as u64;
                    self.keep(block.into_iter(), &mut events);
                }
                Direction::Backwards => {
                    let block = self.snapshot.log.block_backwards(from, to, self.left)?;
                    to -= block.len() as u64;
                    self.keep(block.into_iter().rev(), &mut events);
                }
            }
        }
        self.source = if from < to && self.left > 0 { Source::Scan { from, to } } else { Source::Done };
        let examined_to = match (self.direction, events.last()) {
            (Direction::Backwards, _) => Position::START,
            (_, Some(last)) if self.left == 0 => last.position().next(),
            _ => Position(from),
        };
        Ok(Page { events, examined_to })
    }

    fn fetch(&mut self) -> Result<Option<Page>, ReadError> {
        let mut events = Vec::new();
        let mut looked_at = 0;
        let mut examined_to = Position::START;
        while events.is_empty() && self.left > 0 && looked_at < MAX_EXAMINED {
            let Source::Candidates { cursor, from, to } = &mut self.source else { break };
            let Ok(mut positions) = next_positions(cursor, self.batch) else {
                // A damaged index run costs time, not the answer. It is built again before the next read.
                let (from, to) = (*from, *to);
                return self.scan(from, to).map(Some);
            };
            match (self.direction, positions.last()) {
                (_, None) => {}
                (Direction::Forwards, Some(last)) => *from = last + 1,
                (Direction::Backwards, Some(last)) => *to = *last,
            }
            let exhausted = positions.len() < self.batch;
            looked_at += positions.len() as u64;
            self.batch = (self.batch * 2).min(BATCH_CANDIDATES);
            examined_to = positions.last().map_or(examined_to, |last| Position(last + 1));
            if self.direction == Direction::Backwards {
                positions.reverse();
            }
            let mut records = self.snapshot.log.records_at(&positions)?;
            if self.direction == Direction::Backwards {
                records.reverse();
            }
            self.keep(records.into_iter(), &mut events);
            if exhausted {
                self.source = Source::Done;
            }
        }
        if self.left == 0 {
            self.source = Source::Done;
            examined_to = events.last().map_or(examined_to, |last| last.position().next());
        } else if matches!(self.source, Source::Done) {
            examined_to = self.plan.to;
        }
        if self.direction == Direction::Backwards {
            examined_to = Position::START;
        }
        let over = events.is_empty() && matches!(self.source, Source::Done);
        Ok((!over).then_some(Page { events, examined_to }))
    }
}

fn next_positions(cursor: &mut Cursor, wanted: usize) -> Result<Vec<u64>, IndexError> {
    let mut positions = Vec::with_capacity(wanted);
    while positions.len() < wanted
        && let Some(position) = cursor.next()?
    {
        positions.push(position);
    }
    Ok(positions)
}

impl EventReader for EngineReader {
    fn head(&self) -> &ReadHead {
        &self.plan.head
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        // Blocking, on the caller's thread: pages come from the system's cache in microseconds (ADR 1).
        let page = self.page();
        Box::pin(std::future::ready(page))
    }
}
