//! How far has a group come, and when is that to be written down?
//!
//! Places are numbers that grow along the source: revisions of a stream, positions of the log. They need not be dense.

use std::collections::BTreeMap;
use std::time::Duration;

use factum_core::Timestamp;

/// Places that were looked at without an event for the group, after which its progress is written all the same: a restart
/// then does not look at them again. It is large, so that groups do not answer each other's checkpoints with checkpoints.
pub(super) const SKIPPED_PER_CHECKPOINT: u64 = 10_000;

/// When progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckpointRules {
    /// How long after the last time; `None`: never because of time.
    pub(super) after: Option<Duration>,
    /// Fewest events that are worth it.
    pub(super) min: u64,
    /// Most events that are handled without it.
    pub(super) max: u64,
}

/// What was taken from a source, and what of it is not handled.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Each place that is not handled, with the last place before it.
    open: BTreeMap<u64, Option<u64>>,
    /// The last place that was looked at.
    looked: Option<u64>,
    /// The last place that was written down.
    written: Option<u64>,
    /// The place that is being written down.
    writing: Option<u64>,
    /// Events handled since the last time that progress was written.
    handled: u64,
    /// Events of which the write that is under way tells.
    telling: u64,
    /// When that was.
    at: Timestamp,
}

impl Progress {
    /// Everything up to `after` was handled before.
    pub(super) fn after(after: Option<u64>, now: Timestamp) -> Self {
        Self {
            open: BTreeMap::new(),
            looked: after,
            written: after,
            writing: None,
            handled: 0,
            telling: 0,
            at: now,
        }
    }

    /// An event was taken. Places come in ascending order; one that came before is refused.
    pub(super) fn take(&mut self, place: u64) -> bool {
        if self.looked.is_some_and(|looked| place <= looked) {
            return false;
        }
        self.open.insert(place, self.looked);
        self.looked = Some(place);
        true
    }

    /// Everything up to `place` was looked at.
    pub(super) fn look(&mut self, place: u64) {
        self.looked = self.looked.max(Some(place));
    }

    /// The last place that was looked at.
    pub(super) fn looked(&self) -> Option<u64> {
        self.looked
    }

    /// The event at `place` needs nothing any more.
    pub(super) fn handle(&mut self, place: u64) {
        if self.open.remove(&place).is_some() {
            self.handled += 1;
        }
    }

    /// The last place up to which everything is handled.
    pub(super) fn frontier(&self) -> Option<u64> {
        match self.open.first_key_value() {
            Some((_, before)) => *before,
            None => self.looked,
        }
    }

    /// The last place that was written down.
    pub(super) fn written(&self) -> Option<u64> {
        self.written
    }

    /// Begins to write progress down, if it is due because of the number of events, or at a tick because of time.
    pub(super) fn due(&mut self, rules: &CheckpointRules, tick: Option<Timestamp>) -> Option<u64> {
        let place = self.advanced()?;
        let many = self.handled >= rules.max.max(1);
        let time = tick.is_some_and(|now| {
            let since = |after| now >= self.at.saturating_add(after);
            self.handled >= rules.min.max(1) && rules.after.is_some_and(since)
        });
        let skipped = place.saturating_sub(self.written.unwrap_or(0)) >= SKIPPED_PER_CHECKPOINT;
        if many || time || (skipped && tick.is_some()) { self.begin(place) } else { None }
    }

    /// Begins to write down whatever was handled.
    pub(super) fn last(&mut self) -> Option<u64> {
        let place = self.advanced().filter(|_| self.handled > 0)?;
        self.begin(place)
    }

    fn advanced(&self) -> Option<u64> {
        self.frontier().filter(|place| self.writing.is_none() && Some(*place) > self.written)
    }

    fn begin(&mut self, place: u64) -> Option<u64> {
        self.writing = Some(place);
        self.telling = std::mem::take(&mut self.handled);
        Some(place)
    }

    /// It is written down.
    pub(super) fn wrote(&mut self, now: Timestamp) {
        self.written = self.writing.take().max(self.written);
        self.at = now;
    }

    /// It could not be written down; it is tried again later.
    pub(super) fn not_written(&mut self, now: Timestamp) {
        self.writing = None;
        self.handled += self.telling;
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CheckpointRules = CheckpointRules { after: Some(Duration::from_secs(2)), min: 2, max: 4 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn what_is_not_handled_holds_the_frontier_back() {
        let mut progress = Progress::after(Some(9), at(0));
        assert!(!progress.take(9), "it was handled before");
        for place in [10, 20, 30] {
            assert!(progress.take(place));
        }
        progress.look(35);
        assert_eq!(progress.frontier(), Some(9));
        progress.handle(20);
        assert_eq!(progress.frontier(), Some(9));
        progress.handle(10);
        assert_eq!(progress.frontier(), Some(20));
        progress.handle(30);
        assert_eq!(progress.frontier(), Some(35));
    }

    #[test]
    fn progress_is_written_after_the_time_and_the_fewest_or_at_the_most() {
        let mut progress = Progress::after(None, at(0));
        (0..6).for_each(|place| assert!(progress.take(place)));
        progress.handle(0);
        assert_eq!(progress.due(&RULES, Some(at(9))), None, "one is too few");
        progress.handle(1);
        assert_eq!(progress.due(&RULES, Some(at(1))), None, "too early");
        assert_eq!(progress.due(&RULES, None), None, "time counts at ticks only");
        assert_eq!(progress.due(&RULES, Some(at(2))), Some(1));
        (2..6).for_each(|place| progress.handle(place));
        assert_eq!(progress.due(&RULES, None), None, "one write at a time");
        progress.wrote(at(2));
        assert_eq!(progress.due(&RULES, None), Some(5));
        progress.wrote(at(2));
        assert_eq!(progress.due(&RULES, Some(at(100))), None, "nothing is new");
    }

    #[test]
    fn a_failed_write_is_tried_again_and_places_without_events_count_in_the_end() {
        let mut progress = Progress::after(None, at(0));
        assert!(progress.take(0));
        progress.handle(0);
        assert_eq!(progress.last(), Some(0));
        progress.not_written(at(1));
        assert_eq!(progress.last(), Some(0));
        progress.wrote(at(1));
        progress.look(SKIPPED_PER_CHECKPOINT - 1);
        assert_eq!((progress.due(&RULES, Some(at(9))), progress.last()), (None, None));
        progress.look(SKIPPED_PER_CHECKPOINT);
        assert_eq!(progress.due(&RULES, None), None);
        assert_eq!(progress.due(&RULES, Some(at(9))), Some(SKIPPED_PER_CHECKPOINT));
    }
}
