//! A group: what it holds, who gets it, and what becomes of it. No I/O, no clock.
//!
//! Events go in, in the order of the source; answers of consumers and ticks go in; what is to be done comes out as
//! [`Effect`]s. An event is *fresh* until it is delivered. From then on it is *out*: in flight with a consumer, waiting to
//! be delivered again, or being parked. It leaves when it is acknowledged, skipped, or parked and that is written.
//!
//! **Invariant:** progress never passes an event that has not left.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use factum_core::{EventId, Timestamp};

use super::consumers::{Choice, ConsumerId, ConsumerNumbers, Consumers, PinKey};
use super::progress::{CheckpointRules, Progress};
use super::ranges::Ranges;
use super::settings::{ExtraStatistics, Settings};
use super::statistics::{Meter, Rate};

/// Most events that are being parked before nothing more is delivered.
const MAX_PARKING: usize = 1_000;
/// Most bytes of events that a group holds; above it nothing more is read.
pub(super) const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
/// Most consumers of one group.
const MAX_CONSUMERS: usize = 10_000;

/// Where an event stands: parked events that are replayed come before those of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Spot {
    /// At a revision of the stream of parked events.
    Parked(u64),
    /// At a place of the source.
    Source(u64),
}

/// An event on its way through a group.
#[derive(Clone, Debug)]
pub(super) struct Entry<E> {
    /// What consumers name it by.
    pub(super) id: EventId,
    /// Where it stands.
    pub(super) spot: Spot,
    /// What it is pinned by.
    pub(super) key: PinKey,
    /// Memory that it takes.
    pub(super) bytes: usize,
    /// How often it was delivered again.
    pub(super) retries: u32,
    /// The event.
    pub(super) event: E,
}

/// Whether the group is at the end of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is more to read.
    Behind,
    /// It has seen everything.
    Live,
}

/// A consumer does not want an event; what is to become of it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NackAction {
    /// It is delivered again.
    Retry,
    /// It is put aside.
    Park,
    /// It is dropped.
    Skip,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect<E> {
    /// Send it to a consumer.
    Deliver {
        /// Whom.
        consumer: ConsumerId,
        /// Which.
        id: EventId,
        /// How often it was delivered before.
        retries: u32,
        /// The event.
        event: E,
    },
    /// Write it to the parked events, and say that it is done.
    Park {
        /// Which.
        id: EventId,
        /// Where it stands.
        spot: Spot,
        /// Why.
        reason: String,
        /// The event.
        event: E,
    },
    /// Write down that everything up to this place is handled, and say that it is done.
    Checkpoint(u64),
    /// A parked event that was delivered again has come to this end.
    Replayed {
        /// Which.
        revision: u64,
        /// To which.
        outcome: Outcome,
    },
    /// Parked events of these revisions are handled and can go.
    ForgetParked(Ranges),
}

/// What becomes of an event that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A consumer has handled it.
    Acked,
    /// A consumer dropped it.
    Skipped,
    /// It was put aside.
    Parked,
}

/// Why a consumer cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// As many as the group may have are connected.
    Consumers,
}

enum Out<E> {
    InFlight { entry: Entry<E>, consumer: ConsumerId, since: Timestamp },
    Again(Spot),
    Parking { entry: Entry<E>, reason: String, told: Told },
}

impl<E> Out<E> {
    /// Since when a consumer has held it.
    fn since(&self) -> Option<Timestamp> {
        match self {
            Out::InFlight { since, .. } => Some(*since),
            Out::Again(_) | Out::Parking { .. } => None,
        }
    }
}

/// Whether the shell is at it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    AtNextTick,
}

/// What a group shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Its consumers.
    pub(crate) consumers: Vec<ConsumerNumbers>,
    /// What was delivered.
    pub(crate) rate: Rate,
    /// Events that were read and not delivered yet.
    pub(crate) fresh: usize,
    /// Events that wait to be delivered again, and parked ones that are replayed.
    pub(crate) again: usize,
    /// Events that consumers hold.
    pub(crate) in_flight: usize,
    /// Events that are being parked.
    pub(crate) parking: usize,
    /// The last place that was looked at.
    pub(crate) looked: Option<u64>,
    /// The last checkpoint.
    pub(crate) checkpoint: Option<u64>,
    /// When the last event was handled.
    pub(crate) last_handled: Timestamp,
    /// Whether any consumer has a place.
    pub(crate) any_free: bool,
    /// Since when a consumer has held the event that it has held longest.
    pub(crate) oldest_in_flight: Option<Timestamp>,
}

/// A group.
pub(super) struct Group<E> {
    settings: Settings,
    rules: CheckpointRules,
    consumers: Consumers,
    phase: Phase,
    fresh: VecDeque<Entry<E>>,
    replayed: VecDeque<Entry<E>>,
    again: BTreeMap<Spot, Entry<E>>,
    out: HashMap<EventId, Out<E>>,
    parking: usize,
    bytes: usize,
    progress: Progress,
    /// Parked events that are here.
    replay: Ranges,
    /// Parked events that are handled, and not told yet.
    handled: Ranges,
    meter: Meter,
    last_handled: Timestamp,
    effects: VecDeque<Effect<E>>,
}

impl<E: Clone> Group<E> {
    /// A group that has handled everything up to `after`.
    pub(super) fn new(settings: Settings, after: Option<u64>, now: Timestamp) -> Self {
        Self {
            settings,
            rules: settings.checkpoints(),
            consumers: Consumers::new(settings.strategy),
            phase: Phase::Behind,
            fresh: VecDeque::new(),
            replayed: VecDeque::new(),
            again: BTreeMap::new(),
            out: HashMap::new(),
            parking: 0,
            bytes: 0,
            progress: Progress::after(after, now),
            replay: Ranges::default(),
            handled: Ranges::default(),
            meter: Meter::default(),
            last_handled: now,
            effects: VecDeque::new(),
        }
    }

    /// What is to be done now, in order.
    pub(super) fn take_effects(&mut self) -> VecDeque<Effect<E>> {
        std::mem::take(&mut self.effects)
    }

    /// How many more events there is room for. Without consumers a batch is kept ready, not a buffer.
    pub(super) fn room(&self) -> usize {
        if self.bytes >= MAX_HELD_BYTES { 0 } else { self.capacity().saturating_sub(self.fresh.len()) }
    }

    fn capacity(&self) -> usize {
        let capacity = match (self.consumers.len(), self.phase) {
            (0, _) => self.settings.read_batch_size,
            (_, Phase::Behind) => self.settings.history_buffer_size,
            (_, Phase::Live) => self.settings.live_buffer_size,
        };
        // Settings that were made elsewhere may leave no room at all.
        capacity.max(1) as usize
    }

    /// Whether there is room for a batch.
    pub(super) fn wants_batch(&self) -> bool {
        let batch = match self.phase {
            Phase::Behind => self.settings.read_batch_size,
            Phase::Live => 1,
        };
        self.room() >= (batch as usize).clamp(1, self.capacity())
    }

    /// How many parked events there is room for.
    pub(super) fn parked_room(&self) -> usize {
        if self.bytes >= MAX_HELD_BYTES {
            return 0;
        }
        (self.settings.read_batch_size as usize).saturating_sub(self.replayed.len())
    }

    /// Whether the end of the source was reached.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// The next event of the source.
    pub(super) fn take(&mut self, entry: Entry<E>, now: Timestamp) {
        let Spot::Source(place) = entry.spot else { return };
        // An event of a place that was looked at before has been here already.
        if self.progress.take(place) {
            self.bytes += entry.bytes;
            self.fresh.push_back(entry);
            self.pump(now);
        }
    }

    /// Up to this place the source has no more events.
    pub(super) fn look(&mut self, place: u64) {
        self.progress.look(place);
    }

    /// The last place that was looked at.
    pub(super) fn looked(&self) -> Option<u64> {
        self.progress.looked()
    }

    /// A parked event, to be delivered like any other.
    pub(super) fn take_parked(&mut self, entry: Entry<E>, now: Timestamp) {
        let Spot::Parked(revision) = entry.spot else { return };
        if !self.replay.contains(revision) {
            self.replay.add(revision);
            self.bytes += entry.bytes;
            self.replayed.push_back(entry);
            self.pump(now);
        }
    }

    /// Takes parked events back that were not delivered yet: those of them that are among `unwanted`.
    pub(super) fn recall_parked(&mut self, unwanted: &Ranges) -> Ranges {
        let mut recalled = Ranges::default();
        let mut bytes = 0;
        self.replayed.retain(|entry| match entry.spot {
            Spot::Parked(revision) if unwanted.contains(revision) => {
                recalled.add(revision);
                bytes += entry.bytes;
                false
            }
            _ => true,
        });
        self.bytes -= bytes;
        self.replay.subtract(&recalled);
        recalled
    }

    /// Parked events that are handled, of a group that ends.
    pub(super) fn last_handled_parked(&mut self) -> Ranges {
        std::mem::take(&mut self.handled)
    }

    /// A consumer comes.
    pub(super) fn connect(&mut self, id: ConsumerId, slots: usize, now: Timestamp) -> Result<(), Full> {
        let most = match self.settings.max_subscriber_count {
            0 => MAX_CONSUMERS,
            most => (most as usize).min(MAX_CONSUMERS),
        };
        if self.consumers.len() >= most {
            return Err(Full::Consumers);
        }
        self.consumers.connect(id, slots);
        self.pump(now);
        Ok(())
    }

    /// A consumer goes. What it held is delivered again, and counts as tried: what kills its consumer is parked at last.
    pub(super) fn disconnect(&mut self, id: ConsumerId, now: Timestamp) {
        if !self.consumers.has(id) {
            return;
        }
        let held = self.in_flight(|consumer, _| consumer == id);
        for event in held {
            self.retry(event, "its consumer went without an answer");
        }
        self.consumers.disconnect(id);
        self.pump(now);
    }

    /// A consumer has handled events. Any of the group's consumers may say so, also after its time was over.
    pub(super) fn ack(&mut self, id: ConsumerId, events: &[EventId], now: Timestamp) {
        if !self.consumers.has(id) {
            return;
        }
        for event in events {
            match self.out.get(event) {
                Some(Out::InFlight { .. }) => {
                    if let Some(entry) = self.take_back(*event, Some(now)) {
                        self.leave(&entry, Outcome::Acked, now);
                    }
                }
                Some(Out::Again(spot)) => {
                    let spot = *spot;
                    self.out.remove(event);
                    if let Some(entry) = self.again.remove(&spot) {
                        self.leave(&entry, Outcome::Acked, now);
                    }
                }
                Some(Out::Parking { .. }) | None => {}
            }
        }
        self.checkpoint(None);
        self.pump(now);
    }

    /// A consumer could not handle events that it holds.
    pub(super) fn nack(
        &mut self,
        id: ConsumerId,
        events: &[EventId],
        action: NackAction,
        reason: &str,
        now: Timestamp,
    ) {
        for event in events {
            let holds =
                matches!(self.out.get(event), Some(Out::InFlight { consumer, .. }) if *consumer == id);
            if !holds {
                continue;
            }
            match action {
                NackAction::Retry => self.retry(*event, reason),
                NackAction::Park => {
                    if let Some(entry) = self.take_back(*event, Some(now)) {
                        let none = "the consumer put it aside and gave no reason";
                        self.park(entry, if reason.is_empty() { none } else { reason }.to_owned());
                    }
                }
                NackAction::Skip => {
                    if let Some(entry) = self.take_back(*event, Some(now)) {
                        self.leave(&entry, Outcome::Skipped, now);
                    }
                }
            }
        }
        self.checkpoint(None);
        self.pump(now);
    }

    /// An event could not be sent, because its consumer has no room: it was not tried.
    pub(super) fn undelivered(&mut self, id: ConsumerId, event: EventId) {
        let holds = matches!(self.out.get(&event), Some(Out::InFlight { consumer, .. }) if *consumer == id);
        if holds && let Some(entry) = self.take_back(event, None) {
            self.again(entry);
        }
        self.consumers.stall(id, true);
    }

    /// Consumers that had no room.
    pub(super) fn stalled(&self) -> Vec<ConsumerId> {
        self.consumers.stalled()
    }

    /// A consumer has room again.
    pub(super) fn relieved(&mut self, id: ConsumerId, now: Timestamp) {
        self.consumers.stall(id, false);
        self.pump(now);
    }

    /// An event was written to the parked ones.
    pub(super) fn parked(&mut self, event: EventId, now: Timestamp) {
        if matches!(self.out.get(&event), Some(Out::Parking { .. }))
            && let Some(Out::Parking { entry, .. }) = self.out.remove(&event)
        {
            self.parking -= 1;
            self.leave(&entry, Outcome::Parked, now);
            self.checkpoint(None);
            self.pump(now);
        }
    }

    /// An event could not be written to the parked ones: the next tick tries again.
    pub(super) fn not_parked(&mut self, event: EventId) {
        if let Some(Out::Parking { told, .. }) = self.out.get_mut(&event) {
            *told = Told::AtNextTick;
        }
    }

    /// The checkpoint was written.
    pub(super) fn checkpoint_written(&mut self, now: Timestamp) {
        self.progress.wrote(now);
        self.checkpoint(None);
    }

    /// The checkpoint was not written.
    pub(super) fn checkpoint_failed(&mut self, now: Timestamp) {
        self.progress.not_written(now);
    }

    /// The checkpoint of a group that ends.
    pub(super) fn last_checkpoint(&mut self) -> Option<u64> {
        self.progress.last()
    }

    /// A second is over.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let timeout = self.settings.message_timeout;
        for event in self.in_flight(|_, since| now >= since.saturating_add(timeout)) {
            self.retry(event, "no consumer answered in time");
        }
        for (id, out) in &mut self.out {
            if let Out::Parking { entry, reason, told: told @ Told::AtNextTick } = out {
                *told = Told::Yes;
                let (reason, event) = (reason.clone(), entry.event.clone());
                self.effects.push_back(Effect::Park { id: *id, spot: entry.spot, reason, event });
            }
        }
        self.meter.tick();
        self.consumers.tick();
        self.checkpoint(Some(now));
        self.pump(now);
    }

    /// What it shows of itself.
    pub(super) fn numbers(&self) -> Numbers {
        let waiting = self.again.len() + self.parking;
        Numbers {
            consumers: self.consumers.numbers(),
            rate: self.meter.rate(),
            fresh: self.fresh.len(),
            again: self.again.len() + self.replayed.len(),
            in_flight: self.out.len() - waiting,
            parking: self.parking,
            looked: self.progress.looked(),
            checkpoint: self.progress.written(),
            last_handled: self.last_handled,
            any_free: self.consumers.any_free(),
            oldest_in_flight: self.out.values().filter_map(Out::since).min(),
        }
    }

    /// Delivers whatever can be: what was tried before, then parked events, then new ones.
    fn pump(&mut self, now: Timestamp) {
        if self.parking >= MAX_PARKING || !self.consumers.any_free() {
            return;
        }
        let mut after = Bound::Unbounded;
        while let Some((spot, key)) =
            self.again.range((after, Bound::Unbounded)).next().map(|(spot, entry)| (*spot, entry.key))
        {
            match self.consumers.choose(key) {
                Choice::Nobody => return,
                Choice::Later => {}
                Choice::Consumer(id) => {
                    if let Some(entry) = self.again.remove(&spot) {
                        self.deliver(entry, id, now);
                    }
                }
            }
            after = Bound::Excluded(spot);
        }
        for queue in [Queue::Replayed, Queue::Fresh] {
            let mut index = 0;
            while let Some(entry) = self.queue(queue).get(index) {
                let (id, key) = (entry.id, entry.key);
                match self.consumers.choose(key) {
                    Choice::Nobody => return,
                    // An event with the same id is out: answers could not tell the two apart.
                    _ if self.out.contains_key(&id) => index += 1,
                    Choice::Later => index += 1,
                    Choice::Consumer(consumer) => {
                        if let Some(entry) = self.queue(queue).remove(index) {
                            self.deliver(entry, consumer, now);
                        }
                    }
                }
            }
        }
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<Entry<E>> {
        match queue {
            Queue::Replayed => &mut self.replayed,
            Queue::Fresh => &mut self.fresh,
        }
    }

    fn deliver(&mut self, entry: Entry<E>, consumer: ConsumerId, now: Timestamp) {
        self.consumers.deliver(consumer, entry.key);
        self.meter.count();
        let (id, retries, event) = (entry.id, entry.retries, entry.event.clone());
        self.out.insert(id, Out::InFlight { entry, consumer, since: now });
        self.effects.push_back(Effect::Deliver { consumer, id, retries, event });
    }

    /// The events in flight that pass, in their order.
    fn in_flight(&self, passes: impl Fn(ConsumerId, Timestamp) -> bool) -> Vec<EventId> {
        let mut found: Vec<(Spot, EventId)> = self
            .out
            .iter()
            .filter_map(|(id, out)| match out {
                Out::InFlight { entry, consumer, since } if passes(*consumer, *since) => {
                    Some((entry.spot, *id))
                }
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes an event from the consumer that holds it; `answered`: because it answered, then.
    fn take_back(&mut self, event: EventId, answered: Option<Timestamp>) -> Option<Entry<E>> {
        let Some(Out::InFlight { entry, consumer, since }) = self.out.remove(&event) else { return None };
        self.consumers.release(consumer, entry.key);
        if let Some(now) = answered
            && self.settings.extra_statistics == ExtraStatistics::Kept
        {
            self.consumers.answered(consumer, between(since, now));
        }
        Some(entry)
    }

    /// Delivers an event again, or parks it where that was tried often enough.
    fn retry(&mut self, event: EventId, why: &str) {
        let Some(mut entry) = self.take_back(event, None) else { return };
        if entry.retries >= self.settings.max_retry_count {
            let tries = u64::from(entry.retries) + 1;
            let why = if why.is_empty() { "the consumer asked for a retry" } else { why };
            self.park(
                entry,
                format!("delivered {tries} times, as often as the group allows; the last time: {why}"),
            );
        } else {
            entry.retries += 1;
            self.again(entry);
        }
    }

    fn again(&mut self, entry: Entry<E>) {
        self.out.insert(entry.id, Out::Again(entry.spot));
        self.again.insert(entry.spot, entry);
    }

    fn park(&mut self, entry: Entry<E>, reason: String) {
        let (id, spot, event) = (entry.id, entry.spot, entry.event.clone());
        self.parking += 1;
        self.out.insert(id, Out::Parking { entry, reason: reason.clone(), told: Told::Yes });
        self.effects.push_back(Effect::Park { id, spot, reason, event });
    }

    /// An event is handled.
    fn leave(&mut self, entry: &Entry<E>, outcome: Outcome, now: Timestamp) {
        self.bytes -= entry.bytes;
        self.last_handled = now;
        match entry.spot {
            Spot::Source(place) => self.progress.handle(place),
            Spot::Parked(revision) => {
                self.replay.take(revision);
                self.handled.add(revision);
                self.effects.push_back(Effect::Replayed { revision, outcome });
            }
        }
    }

    fn checkpoint(&mut self, tick: Option<Timestamp>) {
        if let Some(place) = self.progress.due(&self.rules, tick) {
            self.effects.push_back(Effect::Checkpoint(place));
        }
        if (tick.is_some() || self.replay.is_empty()) && !self.handled.is_empty() {
            let handled = std::mem::take(&mut self.handled);
            self.effects.push_back(Effect::ForgetParked(handled));
        }
    }
}

#[derive(Clone, Copy)]
enum Queue {
    Replayed,
    Fresh,
}

/// Ticks of 100 ns, as nanoseconds.
const TICK_NANOS: u64 = 100;

fn between(since: Timestamp, now: Timestamp) -> Duration {
    let ticks = u64::try_from(now.0.saturating_sub(since.0)).unwrap_or(0);
    Duration::from_nanos(ticks.saturating_mul(TICK_NANOS))
}

#[cfg(test)]
mod tests;
