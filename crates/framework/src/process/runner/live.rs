//! What does a runner do while it owns its process? Turns of the heart, with reads, appends and dispatches between.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use factum_core::{
    Append, AppendError, Capability, Checkpoint, Clock, EventId, EventStore, EventStoreExt, ExpectedRevision,
    Position, Query, QueryItem, ReadError, RecordedEvent, Revision, Selector, StreamCheck, StreamName,
    Subscribe, SubscribeFrom, SubscriptionMessage, Timestamp, limits,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::ProcessRunner;
use crate::process::heart::{Heart, Taken};
use crate::process::load::{each_record, event_of, inputs_of, last_of};
use crate::process::operate::requests_item;
use crate::process::record::{Looked, Owner, ProcessRecord};
use crate::process::{Dispatched, Dispatcher, ProcessError, ProcessInstance, ProcessManager, ProcessStats};

/// Most instances in one append.
const BATCH_INSTANCES: usize = 512;
/// Most bytes in one append, about: an input's records come on top.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Messages that the subscription may be ahead.
const FEED_MESSAGES: usize = 4;
/// After so many positions with nothing to record, how far a runner has looked is recorded for its own sake.
const LOOKED_EVERY: u64 = 10_000;
/// Longest sleep in front of a timer: the machine's clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How often an append that the store has no room for now is sent again, and the pause between.
const BUSY_ATTEMPTS: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

type Message = Result<SubscriptionMessage, ReadError>;
type Answer = Result<(Id, Dispatched), JoinError>;

/// A runner that owns its process.
pub(super) struct Live<P: ProcessManager> {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    dispatcher: Arc<dyn Dispatcher<P::Command>>,
    heart: Heart<P>,
    name: &'static str,
    /// What refuses every append once another runner has taken over.
    fence: Option<StreamCheck>,
    most_in_flight: usize,
    longest_attempt: Duration,
    most_in_batch: usize,
    feed: mpsc::Receiver<Message>,
    feeding: AbortHandle,
    /// Events that came and are not taken yet.
    inbox: VecDeque<RecordedEvent>,
    /// Everything before is in the inbox or was taken.
    fed_to: Position,
    /// The log was at least this long.
    known_end: Position,
    /// Timers are due, and go off once everything before this is taken.
    fire_after: Option<Position>,
    jobs: JoinSet<Dispatched>,
    /// The instance and the command of each job.
    job_of: HashMap<Id, (Arc<str>, String)>,
    answers: VecDeque<(Arc<str>, String, Dispatched)>,
}

impl<P: ProcessManager> Drop for Live<P> {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

impl<P: ProcessManager> Live<P> {
    pub(super) fn stats(&self) -> ProcessStats {
        self.heart.stats
    }
}

impl<P> Live<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned + Send + 'static,
{
    /// Fences earlier runners off, then learns what they recorded.
    pub(super) async fn take_over(runner: &ProcessRunner<P>) -> Result<Self, ProcessError> {
        let store = Arc::clone(&runner.store);
        let name = runner.process.name();
        let owned = own(&store, name, &runner.owner).await?;
        let (process, codec) = (Arc::clone(&runner.process), runner.codec.clone());
        let mut heart = Heart::new(process, codec, runner.budget, runner.states, owned.revision.0);
        each_record(&*store, name, |event| heart.recover(event)).await?;
        if let Some(event) = last_of(&store, &stream(name, "checkpoint")?).await?
            && let Ok(Some(ProcessRecord::Looked(Looked { next }))) = ProcessRecord::read(&event)
        {
            heart.looked_to(Position(next));
        }
        runner.buried.iter().for_each(|instance| heart.bury(instance));
        heart.recovered(runner.clock.now());
        let capabilities = store.capabilities();
        let next = heart.next_position();
        let (feed, feeding) = follow(&store, query(runner, name)?, owned.checkpoint.at(next));
        let mut live = Self {
            clock: Arc::clone(&runner.clock),
            dispatcher: Arc::clone(&runner.dispatcher),
            heart,
            name,
            fence: capabilities.has(Capability::StreamChecks).then_some(owned.fence),
            most_in_flight: runner.in_flight,
            longest_attempt: runner.longest_attempt,
            // Appends are kept in the order of inputs: without one for several streams, each input has its own.
            most_in_batch: if capabilities.has(Capability::MultiStreamAppend) { BATCH_INSTANCES } else { 1 },
            feed,
            feeding,
            inbox: VecDeque::new(),
            fed_to: next,
            known_end: next,
            fire_after: None,
            jobs: JoinSet::new(),
            job_of: HashMap::new(),
            answers: VecDeque::new(),
            store,
        };
        live.flush().await?;
        Ok(live)
    }

    pub(super) fn instances(&self) -> Vec<ProcessInstance> {
        self.heart.instances().cloned().collect()
    }

    /// Does what can be done now. Whether there was anything to do.
    pub(super) async fn turn(&mut self) -> Result<bool, ProcessError> {
        self.gather()?;
        let now = self.clock.now();
        let mut worked = false;
        while let Some((key, command_id, answer)) = self.answers.pop_front() {
            worked = true;
            while let Taken::NeedsState(key) = self.heart.settle(&key, &command_id, answer.clone(), now) {
                self.restore(&key, now).await?;
            }
            self.flush_if_full().await?;
        }
        while let Some(event) = self.inbox.pop_front() {
            worked = true;
            while let Taken::NeedsState(key) = self.heart.take_event(&event, now)? {
                self.restore(&key, now).await?;
            }
            self.flush_if_full().await?;
            if self.inbox.is_empty() {
                self.gather()?;
            }
        }
        self.heart.seen_to(self.fed_to);
        worked |= self.take_held(now).await?;
        worked |= self.fire(now).await?;
        self.flush().await?;
        // A deadline comes before one more attempt.
        if self.fire_after.is_none() {
            worked |= self.dispatch(now).await?;
        }
        self.record_progress().await;
        Ok(worked)
    }

    async fn take_held(&mut self, now: Timestamp) -> Result<bool, ProcessError> {
        let mut worked = false;
        while let Some((key, input)) = self.heart.next_held() {
            worked = true;
            if self.heart.held_needs_state(&key) {
                self.restore(&key, now).await?;
                continue;
            }
            let event = event_of(&self.store, &input).await?;
            self.heart.take_held(&key, event.as_ref(), now);
            self.flush_if_full().await?;
        }
        Ok(worked)
    }

    /// Lets due timers go off, once everything has been taken that was in the log when they were found to be due: what
    /// cancels a timer wins if it was committed first.
    async fn fire(&mut self, now: Timestamp) -> Result<bool, ProcessError> {
        if !self.heart.has_due_timer(now) {
            self.fire_after = None;
            return Ok(false);
        }
        let after = match self.fire_after {
            Some(after) => after,
            None => self.end().await?,
        };
        if self.fed_to < after {
            self.fire_after = Some(after);
            return Ok(false);
        }
        self.fire_after = None;
        while let Some(taken) = self.heart.take_timer(now) {
            if let Taken::NeedsState(key) = taken {
                self.restore(&key, now).await?;
            }
            self.flush_if_full().await?;
        }
        Ok(true)
    }

    /// The position after the last event of the log.
    async fn end(&self) -> Result<Position, ProcessError> {
        Ok(self.store.head().await?.map_or(Position::START, |event| event.position().next()))
    }

    /// Starts carrying out what is due, as far as there is room.
    async fn dispatch(&mut self, now: Timestamp) -> Result<bool, ProcessError> {
        let mut worked = false;
        while self.jobs.len() < self.most_in_flight {
            let Some((key, delivery)) = self.heart.next_delivery(now) else { break };
            worked = true;
            let command_id = delivery.metadata.command_id.as_ref().map(|id| id.as_str().to_owned());
            let (attempt, limit) = (self.dispatcher.dispatch(delivery), self.longest_attempt);
            let job = self.jobs.spawn(async move {
                let answer = tokio::time::timeout(limit, attempt).await;
                answer.unwrap_or_else(|_| Dispatched::failed(format!("no answer within {limit:?}")))
            });
            self.job_of.insert(job.id(), (key, command_id.unwrap_or_default()));
        }
        // A command that could not be read was answered at once.
        self.flush().await?;
        Ok(worked)
    }

    /// Picks up what has come, without waiting.
    fn gather(&mut self) -> Result<(), ProcessError> {
        while let Some(answer) = self.jobs.try_join_next_with_id() {
            self.answered(answer);
        }
        while self.inbox.len() < BATCH_INSTANCES
            && let Ok(message) = self.feed.try_recv()
        {
            self.fed(message)?;
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer) {
        let (id, answer) = match answer {
            Ok(answer) => answer,
            Err(error) => (error.id(), Dispatched::failed(format!("the dispatcher did not end: {error}"))),
        };
        if let Some((key, command_id)) = self.job_of.remove(&id) {
            self.answers.push_back((key, command_id, answer));
        }
    }

    fn fed(&mut self, message: Message) -> Result<(), ProcessError> {
        let checkpoint = match message? {
            SubscriptionMessage::Events { events, checkpoint } => {
                self.inbox.extend(events);
                checkpoint
            }
            SubscriptionMessage::Checkpoint(checkpoint) | SubscriptionMessage::CaughtUp(checkpoint) => {
                checkpoint
            }
        };
        self.fed_to = self.fed_to.max(checkpoint.next_position().unwrap_or_default());
        Ok(())
    }

    /// Waits for the next event, answer or, if told so, time.
    pub(super) async fn wait(&mut self, for_time: bool) -> Result<(), ProcessError> {
        // A timer that waits for the log, and an attempt that waits for room, do not wait for the clock.
        let timer = self.heart.next_timer().filter(|_| self.fire_after.is_none());
        let room = self.fire_after.is_none() && self.jobs.len() < self.most_in_flight;
        let attempt = self.heart.next_attempt().filter(|_| room);
        let due = timer.into_iter().chain(attempt).min().filter(|_| for_time);
        let pause = due.map(|due| until(due, self.clock.now()));
        let sleep = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(answer) = self.jobs.join_next_with_id() => self.answered(answer),
            message = self.feed.recv() => self.fed(message.unwrap_or(Err(ReadError::Closed)))?,
            () = sleep => {}
        }
        Ok(())
    }

    /// Whether nothing is left but to wait for events and for time.
    pub(super) async fn is_idle(&mut self) -> Result<bool, ProcessError> {
        let busy = !self.jobs.is_empty() || !self.inbox.is_empty() || !self.answers.is_empty();
        if busy || self.fed_to < self.known_end {
            return Ok(false);
        }
        self.known_end = self.end().await?;
        Ok(self.fed_to >= self.known_end)
    }

    /// Folds an instance's state again. What is decided about it is appended first, so that the log says it all.
    async fn restore(&mut self, key: &Arc<str>, now: Timestamp) -> Result<(), ProcessError> {
        if self.heart.is_pending(key) {
            self.flush().await?;
        }
        let inputs = inputs_of(&self.store, &instance_stream(self.name, key)?).await?;
        self.heart.restore(key, &inputs, now);
        Ok(())
    }

    async fn flush_if_full(&mut self) -> Result<(), ProcessError> {
        let (instances, bytes) = self.heart.batch_size();
        if instances >= self.most_in_batch || bytes >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Appends what is decided. After an error the heart knows things that the log does not: the runner starts anew.
    async fn flush(&mut self) -> Result<(), ProcessError> {
        let Some(mut append) = self.heart.flush() else { return Ok(()) };
        append.checks.extend(self.fence.clone());
        let mut attempt = 1;
        loop {
            match self.store.append(append.clone()).await {
                Ok(appended) => {
                    self.heart.committed(&appended);
                    return Ok(());
                }
                Err(AppendError::Busy { .. }) if attempt < BUSY_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error @ AppendError::Conflict { .. }) => {
                    let process = self.name.to_owned();
                    return Err(ProcessError::Superseded { process, why: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Records how far the runner has looked, where it has long found nothing. Best effort: without it, a restart looks
    /// again.
    async fn record_progress(&mut self) {
        if self.heart.unrecorded() < LOOKED_EVERY || self.heart.batch_size().0 > 0 {
            return;
        }
        let next = self.heart.next_position();
        let record = ProcessRecord::Looked(Looked { next: next.0 });
        let (Ok(event), Ok(to)) =
            (record.to_event(EventId::generate(), Bytes::new()), stream(self.name, "checkpoint"))
        else {
            return;
        };
        let mut append = Append::to(to, ExpectedRevision::Any, vec![event]);
        append.checks.extend(self.fence.clone());
        if self.store.append(append).await.is_ok() {
            self.heart.looked_to(next);
        }
    }
}

/// What taking a process over gives.
struct Owned {
    revision: Revision,
    fence: StreamCheck,
    checkpoint: Checkpoint,
}

async fn own(store: &Arc<dyn EventStore>, name: &str, owner: &str) -> Result<Owned, ProcessError> {
    let record = ProcessRecord::Owner(Owner { owner: owner.to_owned() });
    let event = record.to_event(EventId::generate(), Bytes::new()).map_err(ProcessError::constant)?;
    let stream = stream(name, "owner")?;
    let appended = store.append_to(stream.clone(), ExpectedRevision::Any, vec![event]).await?;
    let revision = appended.streams.first().and_then(|written| written.last).unwrap_or_default();
    let fence = StreamCheck { stream, expected: ExpectedRevision::Exact(revision) };
    Ok(Owned { revision, fence, checkpoint: appended.token })
}

/// What the process listens to: its events under all their names, and its operators.
fn query<P>(runner: &ProcessRunner<P>, name: &str) -> Result<Query, ProcessError>
where
    P: ProcessManager,
{
    let mut query = Query::item(requests_item(name).map_err(ProcessError::constant)?);
    for types in runner.codec.stored_types().chunks(limits::MAX_QUERY_TERMS) {
        query = query.or(QueryItem::types(types.iter().cloned()));
    }
    Ok(query)
}

/// Follows the log in a task of its own, so that waiting for it can be given up at any time without losing a page.
fn follow(
    store: &Arc<dyn EventStore>,
    query: Query,
    from: Checkpoint,
) -> (mpsc::Receiver<Message>, AbortHandle) {
    let (sender, feed) = mpsc::channel(FEED_MESSAGES);
    let store = Arc::clone(store);
    let task = tokio::spawn(async move {
        let subscribe = Subscribe::to(Selector::Query(query)).from(SubscribeFrom::Checkpoint(from));
        let mut subscription = match store.subscribe(subscribe).await {
            Ok(subscription) => subscription,
            Err(error) => {
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        loop {
            let message = subscription.next().await;
            let over = message.is_err();
            if sender.send(message).await.is_err() || over {
                return;
            }
        }
    });
    (feed, task.abort_handle())
}

fn stream(process: &str, what: &str) -> Result<StreamName, ProcessError> {
    StreamName::new(format!("{process}:{what}")).map_err(|e| ProcessError::name(process, "a process", e))
}

fn instance_stream(process: &str, instance: &str) -> Result<StreamName, ProcessError> {
    StreamName::new(format!("{process}-{instance}"))
        .map_err(|e| ProcessError::name(instance, "an instance", e))
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    let ticks = u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0);
    Duration::from_nanos(ticks.saturating_mul(100)).min(LONGEST_SLEEP)
}
