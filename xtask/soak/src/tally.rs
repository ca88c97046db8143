//! What was acknowledged, what was seen, and whether the two agree.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One reader's count of every stream, and what it saw that it should not have.
pub(crate) struct Seen {
    /// By stream: how many of its events were seen, all in order.
    streams: Vec<AtomicU64>,
    repeated: AtomicU64,
    gaps: AtomicU64,
}

pub(crate) struct Tally {
    /// By stream: how many of its events were acknowledged.
    acknowledged: Vec<AtomicU64>,
    subscribers: Vec<Seen>,
    groups: Vec<Seen>,
    writing: AtomicBool,
    failures: AtomicU64,
}

impl Seen {
    fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| AtomicU64::new(0)).collect(),
            repeated: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
        }
    }

    /// Event `number` of `stream`, counted from 0, was seen.
    pub(crate) fn see(&self, stream: usize, number: u64) {
        let Some(next) = self.streams.get(stream) else { return };
        match number.cmp(&next.load(Ordering::Relaxed)) {
            std::cmp::Ordering::Equal => {
                next.store(number + 1, Ordering::Relaxed);
            }
            std::cmp::Ordering::Less => {
                self.repeated.fetch_add(1, Ordering::Relaxed);
            }
            std::cmp::Ordering::Greater => {
                self.gaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn total(&self) -> u64 {
        self.streams.iter().map(|next| next.load(Ordering::Relaxed)).sum()
    }
}

impl Tally {
    pub(crate) fn new(streams: usize, subscribers: usize, groups: usize) -> Self {
        Self {
            acknowledged: (0..streams).map(|_| AtomicU64::new(0)).collect(),
            subscribers: (0..subscribers).map(|_| Seen::new(streams)).collect(),
            groups: (0..groups).map(|_| Seen::new(streams)).collect(),
            writing: AtomicBool::new(true),
            failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn acknowledge(&self, stream: usize) {
        self.acknowledged[stream].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subscriber(&self, number: usize) -> &Seen {
        &self.subscribers[number]
    }

    pub(crate) fn group(&self, number: usize) -> &Seen {
        &self.groups[number]
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }

    pub(crate) fn end_writing(&self) {
        self.writing.store(false, Ordering::Relaxed);
    }

    fn appended(&self) -> u64 {
        self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn all_caught_up(&self) -> bool {
        let appended = self.appended();
        self.subscribers.iter().chain(&self.groups).all(|seen| seen.total() >= appended)
    }

    pub(crate) fn progress(&self) -> String {
        let slowest = |all: &[Seen]| all.iter().map(Seen::total).min().unwrap_or(0);
        format!(
            "acknowledged {}  slowest subscriber {}  slowest group {}  failed calls {}",
            self.appended(),
            slowest(&self.subscribers),
            slowest(&self.groups),
            self.failures.load(Ordering::Relaxed),
        )
    }

    /// The result in words, and whether everything held.
    pub(crate) fn report(&self) -> (String, bool) {
        let appended = self.appended();
        let sum = |all: &[Seen], count: fn(&Seen) -> u64| all.iter().map(count).sum::<u64>();
        let missing =
            |all: &[Seen]| all.iter().map(|seen| appended.saturating_sub(seen.total())).sum::<u64>();
        let repeated = |seen: &Seen| seen.repeated.load(Ordering::Relaxed);
        let gaps = |seen: &Seen| seen.gaps.load(Ordering::Relaxed);
        let (lost, twice, holes) =
            (missing(&self.subscribers), sum(&self.subscribers, repeated), sum(&self.subscribers, gaps));
        let (group_lost, group_twice, group_holes) =
            (missing(&self.groups), sum(&self.groups, repeated), sum(&self.groups, gaps));
        let report = format!(
            "acknowledged {appended} events\n\
             {} subscribers: {lost} missing, {twice} twice, {holes} out of order\n\
             {} groups: {group_lost} missing, {group_holes} out of order, {group_twice} delivered again (they may be)",
            self.subscribers.len(),
            self.groups.len(),
        );
        (report, appended > 0 && lost + twice + holes + group_lost == 0)
    }
}
