//! A group that runs: one task that owns it, reads for it, writes for it, and talks to its consumers.
//!
//! The task waits for nobody but the store. A consumer that does not read finds its events again when it does; its
//! channel is as long as the number of events that it may hold, and what does not fit goes to others.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{BoxFuture, EventId, ReadError, Timestamp, with_causes};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::config::GroupConfig;
use super::consumers::ConsumerId;
use super::feed::{Batch, Feed, Item, Plan, Reached, parked_item};
use super::group::{Effect, Group, NackAction, Numbers, Phase};
use super::key::GroupStreams;
use super::ranges::Ranges;
use super::replays::{Chosen, Replay, Replays, Wish};
use super::storage::{self, Parked, ParkedEvent};
use super::writing::{Job, Written};
use crate::shared::Shared;
use crate::source::Resolved;

/// How often the group looks at what is late.
const TICK: Duration = Duration::from_secs(1);
/// Most commands that wait for the task.
const COMMANDS: usize = 1_024;
/// Most commands that are obeyed before effects are carried out.
const COMMANDS_AT_ONCE: usize = 64;

/// Who a consumer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumerInfo {
    /// Where it connects from.
    pub(crate) from: String,
    /// As whom.
    pub(crate) user: String,
    /// What it calls its connection.
    pub(crate) connection_name: String,
}

/// An event for a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The event.
    pub(crate) event: Arc<Resolved>,
    /// How often it was delivered before.
    pub(crate) retries: u32,
}

/// Why a consumer gets nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The group was changed or deleted.
    Dropped,
    /// The server stops.
    Stopping,
    /// It wanted to go.
    Left,
    /// It said something that makes no sense.
    Refused(String),
    /// It may not read the source any more.
    Denied,
}

/// A consumer's end of its connection to a group.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who it is in the group.
    pub(crate) id: ConsumerId,
    /// What is delivered to it.
    pub(crate) deliveries: mpsc::Receiver<Delivery>,
    /// Why that ends.
    pub(crate) ended: oneshot::Receiver<Ended>,
}

/// What a group shows of itself.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Its numbers.
    pub(crate) numbers: Numbers,
    /// Who its consumers are.
    pub(crate) members: BTreeMap<ConsumerId, ConsumerInfo>,
    /// Parked events that are being replayed, or were handled since it runs.
    pub(crate) away: Ranges,
    /// What was replayed, and at whose wish.
    pub(crate) replays: Vec<Replay>,
    /// What keeps it from reading.
    pub(crate) reading: Option<String>,
    /// What keeps it from writing.
    pub(crate) writing: Option<String>,
}

/// Parked events that are being read, and what came of it.
type ReadingParked = BoxFuture<'static, (Range<u64>, Result<Vec<ParkedEvent>, ReadError>)>;

/// Somebody who waits to hear that so many parked events are forgotten.
type Forgetting = (u64, oneshot::Sender<Result<u64, String>>);

/// What a group is told.
pub(super) enum Command {
    Connect {
        who: ConsumerInfo,
        slots: usize,
        reply: oneshot::Sender<Option<Connection>>,
    },
    Disconnect {
        consumer: ConsumerId,
        why: Ended,
    },
    Ack {
        consumer: ConsumerId,
        events: Vec<EventId>,
    },
    Nack {
        consumer: ConsumerId,
        events: Vec<EventId>,
        action: NackAction,
        reason: String,
    },
    Replay {
        parked: Parked,
        chosen: Chosen,
        wish: Wish,
        reply: oneshot::Sender<Result<Option<Replay>, String>>,
    },
    StopReplay {
        id: Uuid,
        reply: oneshot::Sender<bool>,
    },
    Forget {
        parked: Parked,
        chosen: Chosen,
        reply: oneshot::Sender<Result<u64, String>>,
    },
    Show(oneshot::Sender<Snapshot>),
    Stop(Ended),
}

/// What others have of a group.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) config: Arc<GroupConfig>,
    pub(super) streams: GroupStreams,
    pub(super) commands: mpsc::Sender<Command>,
}

struct Member {
    who: ConsumerInfo,
    deliveries: mpsc::Sender<Delivery>,
    ended: oneshot::Sender<Ended>,
}

enum Reading {
    /// The source is to be opened.
    Closed,
    /// Something is wrong; the next tick tries again.
    Down,
    /// It is open, and nothing is being read.
    Open(Feed),
    /// The next part is awaited.
    Waiting(BoxFuture<'static, (Option<Feed>, Result<Batch, ReadError>)>),
    /// The source was deleted for ever.
    Over,
}

/// The owner of a group.
pub(super) struct Running {
    shared: Arc<Shared>,
    config: Arc<GroupConfig>,
    plan: Arc<Plan>,
    streams: GroupStreams,
    group: Group<Arc<Resolved>>,
    members: BTreeMap<ConsumerId, Member>,
    next_consumer: u64,
    reading: Reading,
    /// Read, and not yet in the group.
    pending: VecDeque<Item>,
    /// Up to where that was looked at.
    looked: Option<u64>,
    reached: Reached,
    /// Parked events that are to be replayed, and are still to be read.
    replay: Ranges,
    replaying: Option<ReadingParked>,
    replay_failed: bool,
    /// Parked events that are being replayed, or that this run of the group has handled. What was read of the store a moment
    /// ago may have them still.
    away: Ranges,
    replays: Replays,
    job: Job,
    /// What is tried again at the next tick.
    forget_later: Ranges,
    /// Who waits to hear that parked events are forgotten: with the next write, and with the one that is under way.
    forgetting: [Vec<Forgetting>; 2],
    writing: Option<BoxFuture<'static, Written>>,
    reading_trouble: Option<String>,
    replay_trouble: Option<String>,
    writing_trouble: Option<String>,
}

impl Running {
    /// Starts a group that has handled everything up to `after`.
    pub(super) fn start(
        shared: Arc<Shared>,
        config: Arc<GroupConfig>,
        plan: Plan,
        streams: GroupStreams,
        after: Option<u64>,
    ) -> (Handle, JoinHandle<()>) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let handle = Handle { config: config.clone(), streams: streams.clone(), commands: sender };
        let group = Group::new(config.settings, after, shared.options.clock.now());
        let running = Self {
            shared,
            config,
            plan: Arc::new(plan),
            job: Job::new(),
            streams,
            group,
            members: BTreeMap::new(),
            next_consumer: 0,
            reading: Reading::Closed,
            pending: VecDeque::new(),
            looked: None,
            reached: Reached::More,
            replay: Ranges::default(),
            replaying: None,
            replay_failed: false,
            away: Ranges::default(),
            replays: Replays::default(),
            forget_later: Ranges::default(),
            forgetting: Default::default(),
            writing: None,
            reading_trouble: None,
            replay_trouble: None,
            writing_trouble: None,
        };
        (handle, tokio::spawn(running.run(commands)))
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut stopping = self.shared.stopping.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Vec::with_capacity(COMMANDS_AT_ONCE);
        let why = 'running: loop {
            self.carry_out();
            tokio::select! {
                () = stopping.wait() => break Ended::Stopping,
                count = commands.recv_many(&mut told, COMMANDS_AT_ONCE) => {
                    if count == 0 {
                        break Ended::Stopping;
                    }
                    for command in told.drain(..) {
                        if let Some(ended) = self.obey(command) {
                            break 'running ended;
                        }
                    }
                    self.relieve();
                }
                (feed, outcome) = next_batch(&mut self.reading) => self.batch(feed, outcome),
                (asked, outcome) = maybe(&mut self.replaying) => self.parked_page(asked, outcome),
                written = maybe(&mut self.writing) => self.wrote(written),
                _ = ticks.tick() => self.tick(),
            }
        };
        self.end(&why, commands, told).await;
    }

    fn now(&self) -> Timestamp {
        self.shared.options.clock.now()
    }

    /// Does what it is told; gives the reason for its end, if that is what it is told.
    fn obey(&mut self, command: Command) -> Option<Ended> {
        let now = self.now();
        match command {
            Command::Connect { who, slots, reply } => {
                // One who asked and went is noticed like any consumer that goes.
                let _ = reply.send(self.connect(who, slots, now));
            }
            Command::Disconnect { consumer, why } => self.disconnect(consumer, why, now),
            Command::Ack { consumer, events } => self.group.ack(consumer, &events, now),
            Command::Nack { consumer, events, action, reason } => {
                self.group.nack(consumer, &events, action, &reason, now);
            }
            Command::Replay { parked, chosen, wish, reply } => {
                // One who asked and went has asked all the same.
                let _ = reply.send(self.replay(&parked, &chosen, wish, now));
            }
            Command::StopReplay { id, reply } => {
                let _ = reply.send(self.stop_replay(id, now));
            }
            Command::Forget { parked, chosen, reply } => match self.forget(&parked, &chosen) {
                Ok(0) => drop(reply.send(Ok(0))),
                Ok(count) => self.forgetting[0].push((count, reply)),
                Err(why) => drop(reply.send(Err(why))),
            },
            Command::Show(reply) => {
                let _ = reply.send(self.show());
            }
            Command::Stop(why) => return Some(why),
        }
        None
    }

    /// The parked events that somebody means. Those that are away are nobody's.
    fn chosen(&self, parked: &Parked, chosen: &Chosen) -> Result<Ranges, String> {
        let mut there = parked.there.clone();
        there.subtract(&self.away);
        chosen.among(&there).map_err(|error| error.to_string())
    }

    /// Delivers parked events again, the oldest first; `None` where there is none to deliver.
    fn replay(
        &mut self,
        parked: &Parked,
        chosen: &Chosen,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Option<Replay>, String> {
        let events = self.chosen(parked, chosen)?;
        if events.is_empty() {
            return Ok(None);
        }
        let replay = self.replays.begin(events.clone(), wish, now).map_err(|full| full.to_string())?;
        self.away.extend(&events);
        self.replay.extend(&events);
        Ok(Some(replay))
    }

    /// Leaves parked what no consumer has got yet. Says whether such a replay runs.
    fn stop_replay(&mut self, id: Uuid, now: Timestamp) -> bool {
        let Some(open) = self.replays.open_of(id) else { return false };
        let mut left = self.group.recall_parked(&open);
        // What is being read comes to the group in a moment, and finds that nobody wants it.
        for range in self.replay.iter() {
            range.filter(|number| open.contains(*number)).for_each(|number| left.add(number));
        }
        self.replay.subtract(&left);
        self.away.subtract(&left);
        self.replays.stop(id, &left, now);
        true
    }

    /// Begins to forget parked events; says how many.
    fn forget(&mut self, parked: &Parked, chosen: &Chosen) -> Result<u64, String> {
        let events = self.chosen(parked, chosen)?;
        if !parked.can_forget(&events) {
            return Err("there are too many gaps among the parked events: begin with the oldest".to_owned());
        }
        self.away.extend(&events);
        self.job.forget(&events);
        Ok(events.count())
    }

    fn connect(&mut self, who: ConsumerInfo, slots: usize, now: Timestamp) -> Option<Connection> {
        let id = ConsumerId(self.next_consumer);
        self.group.connect(id, slots, now).ok()?;
        self.next_consumer += 1;
        let (deliveries, receiver) = mpsc::channel(slots.max(1));
        let (ended, end) = oneshot::channel();
        self.members.insert(id, Member { who, deliveries, ended });
        Some(Connection { id, deliveries: receiver, ended: end })
    }

    fn disconnect(&mut self, consumer: ConsumerId, why: Ended, now: Timestamp) {
        if let Some(member) = self.members.remove(&consumer) {
            // It may have gone by itself.
            let _ = member.ended.send(why);
            self.group.disconnect(consumer, now);
        }
    }

    fn show(&self) -> Snapshot {
        Snapshot {
            numbers: self.group.numbers(),
            members: self.members.iter().map(|(id, member)| (*id, member.who.clone())).collect(),
            away: self.away.clone(),
            replays: self.replays.list(),
            reading: self.reading_trouble.clone().or_else(|| self.replay_trouble.clone()),
            writing: self.writing_trouble.clone(),
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        self.relieve();
        let gone: Vec<ConsumerId> = self
            .members
            .iter()
            .filter(|(_, member)| member.deliveries.is_closed())
            .map(|(id, _)| *id)
            .collect();
        for consumer in gone {
            self.disconnect(consumer, Ended::Left, now);
        }
        if matches!(self.reading, Reading::Down) {
            self.reading = Reading::Closed;
        }
        self.replay_failed = false;
        let later = std::mem::take(&mut self.forget_later);
        self.job.forget(&later);
        self.group.tick(now);
    }

    /// Consumers that had no room, and have some now, get events again.
    fn relieve(&mut self) {
        let now = self.now();
        for id in self.group.stalled() {
            if self.members.get(&id).is_some_and(|member| member.deliveries.capacity() > 0) {
                self.group.relieved(id, now);
            }
        }
    }

    /// Moves what was read into the group, does what that and everything before calls for, and begins what may begin.
    fn carry_out(&mut self) {
        loop {
            self.offer();
            let effects = self.group.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Deliver { consumer, id, retries, event } => {
                        self.deliver(consumer, id, Delivery { event, retries });
                    }
                    Effect::Replayed { revision, outcome } => {
                        let now = self.now();
                        self.replays.came_to(revision, outcome, now);
                    }
                    other => self.job.add(other, &self.plan.source),
                }
            }
        }
        for replay in self.replays.take_ended() {
            let shared = self.shared.clone();
            // Nobody waits for it: what came of it is known here all the same.
            tokio::spawn(async move { replay.tell(&shared).await });
        }
        self.read_on();
        self.replay_on();
        self.write_on();
    }

    fn offer(&mut self) {
        let now = self.now();
        while self.group.room() > 0
            && let Some(item) = self.pending.pop_front()
        {
            self.group.take(item, now);
        }
        if self.pending.is_empty()
            && let Some(looked) = self.looked.take()
        {
            self.group.look(looked);
        }
        let live = self.pending.is_empty() && self.reached == Reached::End;
        self.group.set_phase(if live { Phase::Live } else { Phase::Behind });
    }

    fn deliver(&mut self, consumer: ConsumerId, id: EventId, delivery: Delivery) {
        let Some(member) = self.members.get(&consumer) else { return };
        match member.deliveries.try_send(delivery) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.group.undelivered(consumer, id),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.group.undelivered(consumer, id);
                self.disconnect(consumer, Ended::Left, self.now());
            }
        }
    }

    fn read_on(&mut self) {
        if !self.pending.is_empty() || !self.group.wants_batch() {
            return;
        }
        let feed = match std::mem::replace(&mut self.reading, Reading::Down) {
            Reading::Closed => None,
            Reading::Open(feed) => Some(feed),
            other => {
                self.reading = other;
                return;
            }
        };
        let (shared, plan, after) = (self.shared.clone(), self.plan.clone(), self.group.looked());
        self.reading = Reading::Waiting(Box::pin(async move {
            let feed = match feed {
                Some(feed) => feed,
                None => match Feed::open(shared, plan, after).await {
                    Ok(feed) => feed,
                    Err(error) => return (None, Err(error)),
                },
            };
            let (feed, batch) = feed.next().await;
            (Some(feed), batch)
        }));
    }

    fn batch(&mut self, feed: Option<Feed>, outcome: Result<Batch, ReadError>) {
        match outcome {
            Ok(batch) => {
                self.reading = feed.map_or(Reading::Closed, Reading::Open);
                self.reading_trouble = None;
                self.pending = batch.items;
                self.looked = batch.looked;
                if batch.reached == Reached::End {
                    self.reached = Reached::End;
                }
            }
            Err(error @ ReadError::StreamDeleted { .. }) => {
                self.reading = Reading::Over;
                self.reading_trouble = Some(format!("{error} for ever, nothing will come"));
            }
            Err(error) => {
                self.reading = Reading::Down;
                self.reading_trouble = Some(format!("reading fails: {}", with_causes(&error)));
            }
        }
    }

    fn replay_on(&mut self) {
        let room = self.group.parked_room() as u64;
        if self.replaying.is_some() || self.replay_failed || room == 0 {
            return;
        }
        let Some(next) = self.replay.iter().next() else { return };
        let asked = next.start..next.end.min(next.start.saturating_add(room));
        let (shared, parked) = (self.shared.clone(), self.streams.parked.clone());
        self.replaying = Some(Box::pin(async move {
            let count = asked.end - asked.start;
            let page = storage::parked_page(&shared, &parked, asked.start, count).await;
            (asked, page)
        }));
    }

    fn parked_page(&mut self, asked: Range<u64>, outcome: Result<Vec<ParkedEvent>, ReadError>) {
        self.replaying = None;
        let now = self.now();
        let page = match outcome {
            Ok(page) => page,
            Err(error) => {
                self.replay_failed = true;
                self.replay_trouble = Some(format!("parked events cannot be read: {}", with_causes(&error)));
                return;
            }
        };
        self.replay_trouble = None;
        let mut gone = Ranges::from(asked.clone());
        for parked in page {
            let revision = parked.revision;
            // It may have been stopped while it was read.
            if !asked.contains(&revision) || !self.replay.take(revision) {
                continue;
            }
            if let Some(item) = parked_item(self.plan.strategy, parked) {
                gone.take(revision);
                self.group.take_parked(item, now);
            }
        }
        // Those that are not wanted any more were taken out of their replay before.
        self.replay.remove(asked);
        self.replays.are_gone(&gone, now);
    }

    fn write_on(&mut self) {
        if self.writing.is_none()
            && let Some(job) = self.job.take()
        {
            let [next, writing] = &mut self.forgetting;
            writing.append(next);
            let (shared, streams) = (self.shared.clone(), self.streams.clone());
            self.writing = Some(Box::pin(async move { job.carry_out(&shared, &streams).await }));
        }
    }

    fn wrote(&mut self, written: Written) {
        self.writing = None;
        let now = self.now();
        for event in written.parked {
            self.group.parked(event, now);
        }
        for event in written.not_parked {
            self.group.not_parked(event);
        }
        match written.checkpoint {
            Some(Ok(())) => {
                self.job.has_checkpoint();
                self.group.checkpoint_written(now);
            }
            Some(Err(())) => self.group.checkpoint_failed(now),
            None => {}
        }
        for (count, reply) in self.forgetting[1].drain(..) {
            let outcome = if written.not_forgotten.is_empty() {
                Ok(count)
            } else {
                let why =
                    written.trouble.as_deref().unwrap_or("there are too many gaps among the parked events");
                Err(format!("it is not written yet, and is tried again: {why}"))
            };
            // One who asked and went has asked all the same.
            let _ = reply.send(outcome);
        }
        self.forget_later.extend(&written.not_forgotten);
        self.writing_trouble = written.trouble;
    }

    /// Ends: what was answered counts, what can be written is written, and then consumers are told.
    async fn end(mut self, why: &Ended, mut commands: mpsc::Receiver<Command>, told: Vec<Command>) {
        commands.close();
        let mut rest = VecDeque::from(told);
        while let Some(command) = rest.pop_front().or_else(|| commands.try_recv().ok()) {
            if matches!(command, Command::Ack { .. } | Command::Nack { .. }) {
                self.obey(command);
            }
        }
        if let Some(writing) = self.writing.take() {
            let written = writing.await;
            self.wrote(written);
        }
        self.settle().await;
        let handled = self.group.last_handled_parked();
        self.job.forget(&handled);
        if let Some(place) = self.group.last_checkpoint() {
            self.job.add(Effect::Checkpoint(place), &self.plan.source);
        }
        self.settle().await;
        self.replays.stop_all(self.now());
        for replay in self.replays.take_ended() {
            replay.tell(&self.shared).await;
        }
        for member in std::mem::take(&mut self.members).into_values() {
            // It may have gone by itself.
            let _ = member.ended.send(why.clone());
        }
    }

    /// Writes whatever is to be written.
    async fn settle(&mut self) {
        for effect in self.group.take_effects() {
            match effect {
                Effect::Replayed { revision, outcome } => {
                    let now = self.now();
                    self.replays.came_to(revision, outcome, now);
                }
                other => self.job.add(other, &self.plan.source),
            }
        }
        if let Some(job) = self.job.take() {
            let [next, writing] = &mut self.forgetting;
            writing.append(next);
            let written = job.carry_out(&self.shared, &self.streams).await;
            self.wrote(written);
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("group", &self.config.key).finish_non_exhaustive()
    }
}

/// What a future comes to, if there is one.
async fn maybe<T>(future: &mut Option<impl Future<Output = T> + Unpin>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn next_batch(reading: &mut Reading) -> (Option<Feed>, Result<Batch, ReadError>) {
    match reading {
        Reading::Waiting(next) => next.await,
        _ => pending().await,
    }
}
