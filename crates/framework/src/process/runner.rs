//! What carries a process manager out? A thin shell around the heart: it reads, appends, dispatches and waits.

mod live;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{AppendError, Capability, Clock, EventStore, SystemClock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use live::Live;

use super::{Dispatcher, ProcessError, ProcessInstance, ProcessManager, RetryBudget};
use crate::Codec;

/// Commands carried out at the same time, unless told otherwise.
const DEFAULT_IN_FLIGHT: usize = 64;
/// How long one attempt to carry a command out may take, unless told otherwise.
const DEFAULT_LONGEST_ATTEMPT: Duration = Duration::from_secs(60);
/// Instances whose state is kept in memory, unless told otherwise; beyond, states are folded again when they are needed.
const DEFAULT_STATES: usize = 100_000;

/// What a runner did since it took the process over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessStats {
    /// Instances begun.
    pub started: u64,
    /// Inputs taken.
    pub handled: u64,
    /// Inputs that wait, since their instance stands still.
    pub held: u64,
    /// Events of instances that are not there, ignored.
    pub unknown: u64,
    /// Events that belong to no instance, ignored.
    pub uncorrelated: u64,
    /// Events of instances that are over, ignored.
    pub too_late: u64,
    /// Events that were redacted before they were taken, ignored: nobody knows any more whose they were.
    pub redacted: u64,
    /// Timers that went off.
    pub fired: u64,
    /// Attempts to carry a command out.
    pub dispatched: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Instances stopped.
    pub quarantined: u64,
    /// States folded again from the log.
    pub restored: u64,
}

/// An open instance that this build cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedInstance {
    /// The instance.
    pub instance: String,
    /// What the build lacks: the name of a step that the instance came to, or the will to go on with its version.
    pub lacks: String,
}

/// Runs one process manager on a store. One runner at a time: the one that started last owns the process, and the store
/// refuses whatever an earlier one still wants to append.
///
/// Everything that is known is in the store: a runner that is killed at any point is replaced by starting another.
pub struct ProcessRunner<P: ProcessManager> {
    store: Arc<dyn EventStore>,
    process: Arc<P>,
    codec: Codec<P::Event>,
    dispatcher: Arc<dyn Dispatcher<P::Command>>,
    clock: Arc<dyn Clock>,
    budget: RetryBudget,
    in_flight: usize,
    longest_attempt: Duration,
    states: usize,
    owner: String,
    /// Instances whose streams were deleted for ever.
    buried: HashSet<String>,
    live: Option<Live<P>>,
}

impl<P> ProcessRunner<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned + Send + 'static,
{
    /// A runner that has not taken anything over yet.
    ///
    /// # Errors
    /// Where the process, a step or the events are not declared properly, or the store has no order over all streams.
    pub fn new(
        store: Arc<dyn EventStore>,
        process: P,
        dispatcher: impl Dispatcher<P::Command>,
    ) -> Result<Self, ProcessError> {
        let name = process.name();
        if name.is_empty() || name.contains(['-', ':', '$']) {
            let why = "it is the category of the instance streams: give it a name without '-', ':' and '$'";
            return Err(ProcessError::name(name, "a process", why));
        }
        if let Some(step) = process.steps().iter().find(|step| step.is_empty()) {
            return Err(ProcessError::name(*step, "a step", "it is empty"));
        }
        // Where positions are not one order, they are no identity, and an input could be taken twice.
        if !store.capabilities().has(Capability::GlobalOrder) {
            return Err(ProcessError::Unsupported { capability: Capability::GlobalOrder });
        }
        Ok(Self {
            store,
            codec: Codec::new()?,
            process: Arc::new(process),
            dispatcher: Arc::new(dispatcher),
            clock: Arc::new(SystemClock),
            budget: RetryBudget::default(),
            in_flight: DEFAULT_IN_FLIGHT,
            longest_attempt: DEFAULT_LONGEST_ATTEMPT,
            states: DEFAULT_STATES,
            owner: "a runner".to_owned(),
            buried: HashSet::new(),
            live: None,
        })
    }

    /// With this clock: timers and pauses follow it.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With this budget for failing commands.
    #[must_use]
    pub fn with_retries(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// With this reader of events, such as one that drops unknown fields.
    #[must_use]
    pub fn with_codec(mut self, codec: Codec<P::Event>) -> Self {
        self.codec = codec;
        self
    }

    /// With at most so many commands carried out at the same time; 0 counts as 1.
    #[must_use]
    pub fn with_in_flight(mut self, commands: usize) -> Self {
        self.in_flight = commands.max(1);
        self
    }

    /// With this limit for one attempt (a minute, unless told otherwise): without an answer by then it is dropped, and
    /// counts as failed. It may have taken effect all the same, so it is tried again with the same identity.
    #[must_use]
    pub fn with_longest_attempt(mut self, limit: Duration) -> Self {
        self.longest_attempt = limit;
        self
    }

    /// With the states of about so many instances kept in memory. Fewer cost reads, more cost memory.
    #[must_use]
    pub fn with_states(mut self, instances: usize) -> Self {
        self.states = instances;
        self
    }

    /// Under this name, for people who look at who owned the process when.
    #[must_use]
    pub fn as_owner(mut self, name: impl Into<String>) -> Self {
        self.owner = name.into();
        self
    }

    /// Takes the process over and runs it until `shutdown` is ready. Commands that are then being carried out are left
    /// alone: they are repeated, with the same identity, by the next run.
    ///
    /// Needs a tokio runtime with time enabled, and so does everything else that runs.
    ///
    /// # Errors
    /// Where the store fails, another runner takes over, or an event cannot be read. Whatever the error, running again
    /// loses nothing and does nothing twice.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), ProcessError> {
        let mut shutdown = std::pin::pin!(shutdown);
        let result = loop {
            let step = async {
                let live = self.live().await?;
                if live.turn().await? {
                    // A store that is always ready would keep the others from running, and the shutdown from being seen.
                    tokio::task::yield_now().await;
                    return Ok(());
                }
                live.wait(true).await
            };
            // An append that is cut off here is found in the log by the next run.
            tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                result = step => if let Err(error) = result.or_else(|error| self.bury(error)) { break Err(error) },
            }
        };
        self.live = None;
        result
    }

    /// Does everything that can be done now, and what follows from it, until nothing is left but to wait for events and
    /// for time: for tests, and for commands that run and end. Takes the process over the first time.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until_idle(&mut self) -> Result<(), ProcessError> {
        loop {
            match self.until_idle().await.or_else(|error| self.bury(error).map(|()| false)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.live = None;
                    return Err(error);
                }
            }
        }
    }

    async fn until_idle(&mut self) -> Result<bool, ProcessError> {
        let live = self.live().await?;
        while live.turn().await? {}
        if !live.is_idle().await? {
            live.wait(false).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether an error is only that the stream of an instance was deleted for ever: then the instance is over, and the
    /// process begins anew without it.
    fn bury(&mut self, error: ProcessError) -> Result<(), ProcessError> {
        let ProcessError::Append(AppendError::StreamDeleted { stream }) = &error else { return Err(error) };
        let instance = stream.strip_prefix(self.process.name()).and_then(|rest| rest.strip_prefix('-'));
        match instance.map(|instance| self.buried.insert(instance.to_owned())) {
            Some(true) => {
                self.live = None;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// The open instances that this build cannot go on with: it does not know a step that they came to, or does not go on
    /// with their version. Writes nothing: ask before a deployment.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn plan(&self) -> Result<Vec<RefusedInstance>, ProcessError> {
        let filter =
            super::ProcessFilter { process: Some(self.process.name().to_owned()), ..Default::default() };
        let open = super::list_processes(&*self.store, &filter).await?;
        let refused = |open: &ProcessInstance| {
            let lacks = open.refused_by(&*self.process)?;
            Some(RefusedInstance { instance: open.instance.clone(), lacks })
        };
        Ok(open.iter().filter_map(refused).collect())
    }

    /// What was done since the process was taken over.
    pub fn stats(&self) -> ProcessStats {
        self.live.as_ref().map_or_else(ProcessStats::default, Live::stats)
    }

    /// The instances that are not over, as this runner knows them; none before it has taken over.
    pub fn instances(&self) -> Vec<ProcessInstance> {
        self.live.as_ref().map_or_else(Vec::new, Live::instances)
    }

    async fn live(&mut self) -> Result<&mut Live<P>, ProcessError> {
        let live = match self.live.take() {
            Some(live) => live,
            None => Live::take_over(self).await?,
        };
        Ok(self.live.insert(live))
    }
}
