//! Who gets the next event?

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::settings::Strategy;
use super::statistics::{Meter, Rate};

/// A consumer of a group, as long as it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConsumerId(pub(crate) u64);

/// What an event is pinned by: a hash of its stream, or of its correlation id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PinKey(pub(crate) u64);

/// Who gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Consumer(ConsumerId),
    /// The one that it is pinned to, which has no place now.
    Later,
    /// No consumer has a place.
    Nobody,
}

/// What a consumer did so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerNumbers {
    /// Who.
    pub(crate) id: ConsumerId,
    /// How many events it may hold without an answer.
    pub(crate) slots: usize,
    /// How many it holds.
    pub(crate) in_flight: usize,
    /// What was delivered to it.
    pub(crate) rate: Rate,
    /// How long its answers took, in milliseconds.
    pub(crate) measurements: Vec<(&'static str, u64)>,
}

#[derive(Clone, Debug)]
struct Consumer {
    id: ConsumerId,
    slots: usize,
    in_flight: usize,
    /// It does not take what was delivered.
    stalled: bool,
    meter: Meter,
}

/// The consumers of a group, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Consumers {
    strategy: Strategy,
    list: Vec<Consumer>,
    /// Whose turn it is.
    turn: usize,
    /// Where events of a key are in flight, and how many: while one is, the next goes nowhere else.
    pins: HashMap<PinKey, (ConsumerId, usize)>,
}

impl Consumers {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self { strategy, list: Vec::new(), turn: 0, pins: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether any has a place.
    pub(super) fn any_free(&self) -> bool {
        self.list.iter().any(Consumer::is_free)
    }

    pub(super) fn connect(&mut self, id: ConsumerId, slots: usize) {
        let slots = slots.max(1);
        self.list.push(Consumer { id, slots, in_flight: 0, stalled: false, meter: Meter::default() });
    }

    pub(super) fn disconnect(&mut self, id: ConsumerId) {
        if let Some(index) = self.list.iter().position(|consumer| consumer.id == id) {
            self.list.remove(index);
            if index < self.turn {
                self.turn -= 1;
            }
        }
        self.pins.retain(|_, (consumer, _)| *consumer != id);
    }

    pub(super) fn has(&self, id: ConsumerId) -> bool {
        self.list.iter().any(|consumer| consumer.id == id)
    }

    /// Who gets an event of this key.
    pub(super) fn choose(&self, key: PinKey) -> Choice {
        if !self.any_free() {
            return Choice::Nobody;
        }
        let chosen = match self.strategy {
            Strategy::DispatchToSingle => self.list.iter().find(|consumer| consumer.is_free()),
            Strategy::RoundRobin => {
                let (before, from_turn) = self.list.split_at(self.turn.min(self.list.len()));
                from_turn.iter().chain(before).find(|consumer| consumer.is_free())
            }
            Strategy::Pinned | Strategy::PinnedByCorrelation => {
                return self.pinned(key);
            }
        };
        chosen.map_or(Choice::Nobody, |consumer| Choice::Consumer(consumer.id))
    }

    fn pinned(&self, key: PinKey) -> Choice {
        let pinned = self.pins.get(&key).and_then(|(id, _)| self.list.iter().find(|c| c.id == *id));
        // The highest weight wins: when a consumer comes or goes, only keys that were or become its own move.
        let consumer = pinned.or_else(|| self.list.iter().max_by_key(|consumer| weight(key, consumer.id)));
        match consumer {
            Some(consumer) if consumer.is_free() => Choice::Consumer(consumer.id),
            Some(_) => Choice::Later,
            None => Choice::Nobody,
        }
    }

    /// It was delivered to the one that was chosen.
    pub(super) fn deliver(&mut self, id: ConsumerId, key: PinKey) {
        let Some(index) = self.list.iter().position(|consumer| consumer.id == id) else { return };
        let consumer = &mut self.list[index];
        consumer.in_flight += 1;
        consumer.meter.count();
        self.turn = index + 1;
        if self.strategy.pins() {
            self.pins.entry(key).or_insert((id, 0)).1 += 1;
        }
    }

    /// A consumer holds an event no longer.
    pub(super) fn release(&mut self, id: ConsumerId, key: PinKey) {
        if let Some(consumer) = self.get(id) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
        }
        if let Some((pinned, count)) = self.pins.get_mut(&key)
            && *pinned == id
        {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&key);
            }
        }
    }

    /// An answer of a consumer took this long.
    pub(super) fn answered(&mut self, id: ConsumerId, took: Duration) {
        if let Some(consumer) = self.get(id) {
            consumer.meter.time(took);
        }
    }

    /// Whether a consumer takes what is delivered to it.
    pub(super) fn stall(&mut self, id: ConsumerId, stalled: bool) {
        if let Some(consumer) = self.get(id) {
            consumer.stalled = stalled;
        }
    }

    /// Those that do not take what is delivered.
    pub(super) fn stalled(&self) -> Vec<ConsumerId> {
        self.list.iter().filter(|consumer| consumer.stalled).map(|consumer| consumer.id).collect()
    }

    pub(super) fn tick(&mut self) {
        self.list.iter_mut().for_each(|consumer| consumer.meter.tick());
    }

    pub(super) fn numbers(&self) -> Vec<ConsumerNumbers> {
        let numbers = |consumer: &Consumer| ConsumerNumbers {
            id: consumer.id,
            slots: consumer.slots,
            in_flight: consumer.in_flight,
            rate: consumer.meter.rate(),
            measurements: consumer.meter.measurements(),
        };
        self.list.iter().map(numbers).collect()
    }

    fn get(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.list.iter_mut().find(|consumer| consumer.id == id)
    }
}

impl Consumer {
    fn is_free(&self) -> bool {
        !self.stalled && self.in_flight < self.slots
    }
}

fn weight(key: PinKey, id: ConsumerId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumers(strategy: Strategy, slots: &[usize]) -> Consumers {
        let mut consumers = Consumers::new(strategy);
        (1..).zip(slots).for_each(|(id, slots)| consumers.connect(ConsumerId(id), *slots));
        consumers
    }

    /// Delivers an event of each key, and says to whom.
    fn given(consumers: &mut Consumers, keys: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let give = |key| match consumers.choose(PinKey(key)) {
            Choice::Consumer(id) => {
                consumers.deliver(id, PinKey(key));
                id.0
            }
            Choice::Later => 0,
            Choice::Nobody => 99,
        };
        keys.into_iter().map(give).collect()
    }

    #[test]
    fn one_after_the_other_or_the_first_until_it_is_full() {
        assert_eq!(given(&mut consumers(Strategy::RoundRobin, &[1, 3, 2]), 0..7), [1, 2, 3, 2, 3, 2, 99]);
        assert_eq!(given(&mut consumers(Strategy::DispatchToSingle, &[2, 1]), 0..4), [1, 1, 2, 99]);
        assert_eq!(given(&mut consumers(Strategy::RoundRobin, &[]), 0..1), [99]);
    }

    #[test]
    fn a_stalled_consumer_gets_nothing() {
        let mut consumers = consumers(Strategy::RoundRobin, &[5, 5]);
        consumers.stall(ConsumerId(1), true);
        assert_eq!(given(&mut consumers, 0..3), [2, 2, 2]);
        assert_eq!(consumers.stalled(), [ConsumerId(1)]);
        consumers.stall(ConsumerId(1), false);
        assert_eq!(given(&mut consumers, 0..1), [1]);
    }

    #[test]
    fn pinned_events_go_where_their_key_is_and_spread_over_consumers() {
        let mut three = consumers(Strategy::Pinned, &[1_000; 3]);
        let first = given(&mut three, 0..300);
        assert_eq!(first, given(&mut three, 0..300));
        for id in 1..=3 {
            let share = first.iter().filter(|given| **given == id).count();
            assert!(share > 50, "consumer {id} has {share} of 300 keys");
        }
        // While events of a key are in flight, a consumer that comes changes nothing for it.
        three.connect(ConsumerId(4), 1_000);
        assert_eq!(first, given(&mut three, 0..300));
        assert!(given(&mut three, 300..600).contains(&4));
        // A consumer that goes takes only its own keys along.
        three.disconnect(ConsumerId(2));
        for (before, after) in first.iter().zip(given(&mut three, 0..300)) {
            assert!(after != 2 && (*before == 2 || *before == after));
        }
    }

    #[test]
    fn the_consumer_of_a_key_may_be_full() {
        let mut consumers = consumers(Strategy::PinnedByCorrelation, &[1, 1]);
        assert_ne!(given(&mut consumers, [7]), [0]);
        assert_eq!(given(&mut consumers, [7]), [0]);
        let Choice::Later = consumers.choose(PinKey(7)) else { panic!("it is full") };
        let holder = consumers.pins[&PinKey(7)].0;
        consumers.release(holder, PinKey(7));
        assert!(consumers.pins.is_empty());
        assert_eq!(given(&mut consumers, [7]), [holder.0]);
    }
}
