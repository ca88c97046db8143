//! What running a server needs beside its store: its upkeep, its figures, whether it is ready, and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::maintenance::Maintenance;
use crate::metrics::Metrics;
use crate::otlp::Spans;
use crate::scavenges::Scavenges;

/// One per server.
pub(crate) struct Ops {
    /// The store's upkeep; `None` where it has none.
    pub(crate) maintenance: Option<Arc<dyn Maintenance>>,
    /// Its scavenges.
    pub(crate) scavenges: Scavenges,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Where finished calls are told to; `None`: to nobody.
    pub(crate) spans: Option<Spans>,
    ready: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Ops {
    /// Of a server that is not ready yet.
    pub(crate) fn new(
        maintenance: Option<Arc<dyn Maintenance>>,
        metrics: Arc<Metrics>,
        spans: Option<Spans>,
        stop: watch::Sender<bool>,
    ) -> Self {
        let scavenges = Scavenges::default();
        Self { maintenance, scavenges, metrics, spans, ready: AtomicBool::new(false), stop }
    }

    /// Whether calls are answered.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// From now on they are.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Ends the server: calls that are under way, also the one that asked, may end.
    pub(crate) fn shut_down(&self) {
        // Nobody listens where it has ended already.
        let _ = self.stop.send(true);
    }
}
