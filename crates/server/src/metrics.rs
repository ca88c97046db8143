//! What is counted while the server works, and what it looks like to whoever collects it.
//!
//! A counter is one atomic number, and nothing is computed before somebody looks. Calls are counted by method: a method is
//! known from the first call of it that was answered, and what no service answers is counted as one, so that nobody fills
//! the memory with names.

mod calls;
mod collect;
mod counted;
mod prometheus;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use calls::{Calls, Times, Took};
pub(crate) use collect::{Family, Sample, Value, collect};
pub(crate) use counted::Counted;
pub(crate) use prometheus::{CONTENT_TYPE, text};

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// So much more.
    pub(crate) fn add(&self, more: u64) {
        // Nothing is read because of it, so no order is needed.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many more.
    pub(crate) fn add_count(&self, more: usize) {
        self.add(u64::try_from(more).unwrap_or(u64::MAX));
    }

    /// What it came to.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

/// One thing that is there, until it is dropped.
#[derive(Debug)]
pub(crate) struct Present<M: AsRef<Gauge>>(M);

impl Gauge {
    /// One more.
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less. Only after [`up`](Gauge::up).
    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<M: AsRef<Gauge>> Present<M> {
    /// One more is there.
    pub(crate) fn new(of: M) -> Self {
        of.as_ref().up();
        Self(of)
    }

    /// What counts it.
    pub(crate) fn of(&self) -> &M {
        &self.0
    }
}

impl<M: AsRef<Gauge>> Drop for Present<M> {
    fn drop(&mut self) {
        self.0.as_ref().down();
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Calls, by method and outcome.
    pub(crate) calls: Calls,
    /// Calls that are under way.
    pub(crate) calls_open: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections that were closed at once, because there were too many.
    pub(crate) refused_connections: Counter,
    /// Bytes of messages received.
    pub(crate) received_bytes: Counter,
    /// Bytes of messages sent.
    pub(crate) sent_bytes: Counter,
    /// Events appended.
    pub(crate) appended_events: Counter,
    /// Bytes of the data and metadata of events appended.
    pub(crate) appended_bytes: Counter,
    /// Events read from the store, for reads and subscriptions.
    pub(crate) read_events: Counter,
    /// Events that subscriptions gave out.
    pub(crate) delivered_events: Counter,
    /// How long appends took.
    pub(crate) appends: Times,
    /// Subscriptions of the store that are open.
    pub(crate) subscriptions: Gauge,
    /// Events that scavenges removed.
    pub(crate) scavenged_events: Counter,
    /// Bytes that scavenges gave back.
    pub(crate) scavenged_bytes: Counter,
    /// Traces that were left out, because the collector did not keep up.
    pub(crate) lost_spans: Counter,
}
