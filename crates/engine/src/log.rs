//! The log that readers share: its segments, how far it is committed, and how to find a record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use factum_core::{Position, ReadError, RecordedEvent, Timestamp};
use tokio::sync::watch;

use crate::segment::Segment;
use crate::segment::format::Record;

/// Every segment in order of position, and the end of what is committed.
pub(crate) struct Log {
    /// Replaced as a whole when a segment is added, sealed or rewritten; readers keep the list that they took.
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// The position after the last committed event. Written by the writer alone, after the sync.
    committed: AtomicU64,
    /// Announces it; gone once the store is closed, which ends the subscriptions.
    head: RwLock<Option<watch::Sender<Position>>>,
}

/// Most records in one read of neighbours.
const BLOCK_RECORDS: u64 = 1_024;

impl Log {
    pub(crate) fn new(segments: Vec<Arc<Segment>>, committed: Position) -> Self {
        Self {
            segments: RwLock::new(Arc::new(segments)),
            committed: AtomicU64::new(committed.0),
            head: RwLock::new(Some(watch::Sender::new(committed))),
        }
    }

    /// The position after the last committed event.
    pub(crate) fn committed(&self) -> Position {
        Position(self.committed.load(Ordering::Acquire))
    }

    /// Makes everything before `next` visible.
    pub(crate) fn publish(&self, next: Position) {
        self.committed.store(next.0, Ordering::Release);
        if let Some(head) = &*self.head.read().unwrap_or_else(PoisonError::into_inner) {
            head.send_replace(next);
        }
    }

    /// Announces each commit; `None` once the store is closed.
    pub(crate) fn watch(&self) -> Option<watch::Receiver<Position>> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(watch::Sender::subscribe)
    }

    /// Ends the announcements.
    pub(crate) fn close(&self) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `segment` in the place of the one with its base, or at the end.
    pub(crate) fn put_segment(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = segments.as_ref().clone();
        match list.binary_search_by_key(&segment.base(), |other| other.base()) {
            Ok(at) => list[at] = segment,
            Err(at) => list.insert(at, segment),
        }
        *segments = Arc::new(list);
    }

    /// The segment that holds `position`, and the position after its last event if it is sealed.
    pub(crate) fn segment_of(&self, position: u64) -> Result<Arc<Segment>, ReadError> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.base().0 <= position);
        match after.checked_sub(1).and_then(|at| segments.get(at)) {
            Some(segment) => Ok(Arc::clone(segment)),
            None => Err(ReadError::Damaged {
                place: format!("position {position}"),
                what: "no segment holds it".to_owned(),
            }),
        }
    }

    /// The record at a position below the committed end.
    pub(crate) fn record(&self, position: u64) -> Result<Record, ReadError> {
        let mut out = Vec::with_capacity(1);
        self.segment_of(position)?.read_some(&[position], &mut out)?;
        out.pop().ok_or_else(|| ReadError::Damaged {
            place: format!("position {position}"),
            what: "its record is missing".to_owned(),
        })
    }

    /// The event at a position below the committed end, unless a scavenge removed it.
    pub(crate) fn event(&self, position: u64) -> Result<Option<RecordedEvent>, ReadError> {
        match self.record(position)? {
            Record::Event(event) => Ok(Some(event)),
            Record::Removed { .. } => Ok(None),
        }
    }

    /// The records of these positions, ascending, wherever they lie.
    pub(crate) fn records_at(&self, positions: &[u64]) -> Result<Vec<Record>, ReadError> {
        let mut out = Vec::with_capacity(positions.len());
        let segments = self.segments();
        let mut from = 0;
        while from < positions.len() {
            let after = segments.partition_point(|segment| segment.base().0 <= positions[from]);
            let segment = match after.checked_sub(1).and_then(|at| segments.get(at)) {
                Some(segment) => segment,
                None => &self.segment_of(positions[from])?,
            };
            let to = match segments.get(after) {
                Some(next) => from + positions[from..].partition_point(|position| *position < next.base().0),
                None => positions.len(),
            };
            segment.read_some(&positions[from..to], &mut out)?;
            from = to;
        }
        Ok(out)
    }

    /// Some records from `from` on, in order, all below `to`.
    pub(crate) fn block_forwards(&self, from: u64, to: u64) -> Result<Vec<Record>, ReadError> {
        let segment = self.segment_of(from)?;
        let end = segment.seal.map_or(to, |seal| seal.end.0).min(to).min(from + BLOCK_RECORDS);
        segment.read(from..end)
    }

    /// Some records just below `to`, in order, none below `from`.
    pub(crate) fn block_backwards(&self, from: u64, to: u64, want: u64) -> Result<Vec<Record>, ReadError> {
        let segment = self.segment_of(to - 1)?;
        let mut start = from.max(segment.base().0).max(to.saturating_sub(want.clamp(1, BLOCK_RECORDS)));
        start = segment.near_end(start..to)?;
        // One read may stop early; what is wanted here is the end of the range.
        let mut records: Vec<Record> = Vec::new();
        while start < to {
            let block = segment.read(start..to)?;
            start += block.len() as u64;
            records.extend(block);
        }
        Ok(records)
    }

    /// The first position that was recorded at `time` or later; the committed end where there is none.
    pub(crate) fn first_at(&self, time: Timestamp) -> Result<Position, ReadError> {
        let committed = self.committed();
        let segments = self.segments();
        let mut holder = None;
        for segment in segments.iter().rev() {
            match segment.first_recorded()? {
                Some(first) if first < time => {
                    holder = Some(segment);
                    break;
                }
                _ => {}
            }
        }
        let Some(segment) = holder else {
            return Ok(segments.first().map_or(Position::START, |first| first.base()));
        };
        // Within the segment times never go back: halve it.
        let (mut low, mut high) = (segment.base().0, segment.seal.map_or(committed.0, |seal| seal.end.0));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.record(middle)?.recorded_at() < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(Position(low))
    }
}
