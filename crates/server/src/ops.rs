//! What running a server needs beside its store: its upkeep, its figures, whether it is ready, and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum::Domain;
use tokio::sync::watch;

use crate::backups::{Backups, Kept};
use crate::jobs::Jobs;
use crate::maintenance::Maintenance;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::otlp::Spans;
use crate::privacy_desk::PrivacyDesk;
use crate::read_side::ReadSide;

/// What a server was given beside its store.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    /// The store's upkeep.
    pub(crate) maintenance: Option<Arc<dyn Maintenance>>,
    /// Where backups may be.
    pub(crate) backups: Option<Arc<dyn Backups>>,
    /// The projections that run here.
    pub(crate) read_side: Option<Arc<ReadSide>>,
    /// The vault.
    pub(crate) privacy: Option<Arc<dyn PrivacyDesk>>,
    /// The application's types.
    pub(crate) domain: Option<Arc<Domain>>,
}

/// One per server.
pub(crate) struct Ops {
    /// The store's upkeep; `None` where it has none.
    pub(crate) maintenance: Option<Arc<dyn Maintenance>>,
    /// The projections that run here; `None` where there are none.
    pub(crate) read_side: Option<Arc<ReadSide>>,
    /// The vault; `None` where there is none.
    pub(crate) privacy: Option<Arc<dyn PrivacyDesk>>,
    /// What is known of the stream of operations.
    pub(crate) operations: Operations,
    /// The application's types; `None` where the server was given none.
    pub(crate) domain: Option<Arc<Domain>>,
    /// Its backups.
    pub(crate) backups: Kept,
    /// Scavenges, verifications and backups that run, or ran.
    pub(crate) jobs: Jobs,
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
        beside: Beside,
        metrics: Arc<Metrics>,
        spans: Option<Spans>,
        stop: watch::Sender<bool>,
    ) -> Self {
        let Beside { maintenance, backups, read_side, privacy, domain } = beside;
        Self {
            maintenance,
            read_side,
            privacy,
            operations: Operations::default(),
            domain,
            backups: Kept::new(backups),
            jobs: Jobs::default(),
            metrics,
            spans,
            ready: AtomicBool::new(false),
            stop,
        }
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
