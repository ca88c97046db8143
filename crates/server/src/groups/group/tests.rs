//! The rules of a group, one by one, and then all of them under random operations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::*;
use crate::groups::settings::Strategy;

type Numbered = Group<u64>;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_millis(i64::try_from(seconds).unwrap() * 1_000)
}

fn id(number: u64) -> EventId {
    EventId(Uuid::from_u64_pair(0, number))
}

fn entry(number: u64) -> Entry<u64> {
    Entry {
        id: id(number),
        spot: Spot::Source(number),
        key: PinKey(number % 4),
        bytes: 10,
        retries: 0,
        event: number,
    }
}

fn settings() -> Settings {
    Settings {
        message_timeout: Duration::from_secs(5),
        max_retry_count: 2,
        checkpoint_after: Duration::from_secs(2),
        min_checkpoint_count: 1,
        max_checkpoint_count: 4,
        live_buffer_size: 8,
        history_buffer_size: 8,
        read_batch_size: 3,
        ..Settings::default()
    }
}

fn group_of(settings: Settings, events: u64) -> Numbered {
    let mut group = Group::new(settings, None, at(0));
    (0..events).for_each(|number| group.take(entry(number), at(0)));
    group
}

fn consumer(number: u64) -> ConsumerId {
    ConsumerId(number)
}

/// What was delivered: to whom, which, and how often before.
fn delivered(group: &mut Numbered) -> Vec<(u64, u64, u32)> {
    let deliveries = group.take_effects().into_iter().filter_map(|effect| match effect {
        Effect::Deliver { consumer, retries, event, .. } => Some((consumer.0, event, retries)),
        _ => None,
    });
    deliveries.collect()
}

fn parked(group: &mut Numbered) -> Vec<(u64, String)> {
    let parked = group.take_effects().into_iter().filter_map(|effect| match effect {
        Effect::Park { event, reason, .. } => Some((event, reason)),
        _ => None,
    });
    parked.collect()
}

#[test]
fn a_consumer_holds_as_many_as_it_asked_for_and_gets_the_next_with_its_answer() {
    let mut group = group_of(settings(), 5);
    group.connect(consumer(1), 2, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0), (1, 1, 0)]);
    group.ack(consumer(1), &[id(1)], at(0));
    assert_eq!(delivered(&mut group), [(1, 2, 0)]);
    let numbers = group.numbers();
    assert_eq!((numbers.in_flight, numbers.fresh), (2, 2));
}

#[test]
fn what_is_not_answered_in_time_goes_to_others_and_is_parked_at_last() {
    let mut group = group_of(settings(), 1);
    group.connect(consumer(1), 1, at(0)).unwrap();
    group.connect(consumer(2), 1, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
    group.tick(at(4));
    assert_eq!(delivered(&mut group), []);
    group.tick(at(5));
    assert_eq!(delivered(&mut group), [(2, 0, 1)]);
    group.tick(at(10));
    assert_eq!(delivered(&mut group), [(1, 0, 2)]);
    group.tick(at(15));
    let parked = parked(&mut group);
    assert_eq!(parked.len(), 1);
    assert!(parked[0].1.starts_with("delivered 3 times"), "{}", parked[0].1);
    assert!(parked[0].1.contains("no consumer answered in time"));
}

#[test]
fn a_timeout_of_nothing_is_over_at_the_next_tick() {
    let mut group = group_of(Settings { message_timeout: Duration::ZERO, ..settings() }, 1);
    group.connect(consumer(1), 1, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
    group.tick(at(0));
    assert_eq!(delivered(&mut group), [(1, 0, 1)]);
}

#[test]
fn an_answer_after_its_time_still_counts_from_any_consumer_but_a_refusal_does_not() {
    let mut group = group_of(settings(), 2);
    group.connect(consumer(1), 1, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
    group.connect(consumer(2), 1, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(2, 1, 0)]);
    group.tick(at(5));
    assert_eq!(delivered(&mut group), [(1, 0, 1), (2, 1, 1)]);
    group.nack(consumer(2), &[id(0)], NackAction::Park, "not mine", at(5));
    assert_eq!(parked(&mut group), []);
    group.ack(consumer(2), &[id(0), id(1)], at(5));
    assert_eq!(group.numbers().in_flight, 0);
    group.tick(at(30));
    assert_eq!(delivered(&mut group), []);
}

#[test]
fn refusals_are_carried_out_as_they_are_asked_for() {
    let mut group = group_of(settings(), 3);
    group.connect(consumer(1), 3, at(0)).unwrap();
    delivered(&mut group);
    group.nack(consumer(1), &[id(0)], NackAction::Retry, "", at(1));
    assert_eq!(delivered(&mut group), [(1, 0, 1)]);
    group.nack(consumer(1), &[id(1)], NackAction::Skip, "", at(1));
    assert_eq!(group.numbers().in_flight, 2);
    group.nack(consumer(1), &[id(2)], NackAction::Park, "poison", at(1));
    assert_eq!(parked(&mut group), [(2, "poison".to_owned())]);
    assert_eq!(group.numbers().parking, 1);
    group.ack(consumer(1), &[id(0)], at(1));
    // Skipped and acknowledged, but the parked event is not written yet.
    group.tick(at(3));
    assert_eq!(group.take_effects(), [Effect::Checkpoint(1)]);
    group.checkpoint_written(at(3));
    group.parked(id(2), at(3));
    group.tick(at(5));
    assert_eq!(group.take_effects(), [Effect::Checkpoint(2)]);
}

#[test]
fn a_park_that_fails_is_asked_for_again_at_the_next_tick() {
    let mut group = group_of(settings(), 1);
    group.connect(consumer(1), 1, at(0)).unwrap();
    group.nack(consumer(1), &[id(0)], NackAction::Park, "why", at(0));
    assert_eq!(parked(&mut group).len(), 1);
    group.tick(at(1));
    assert_eq!(parked(&mut group), [], "it is under way");
    group.not_parked(id(0));
    group.tick(at(2));
    assert_eq!(parked(&mut group), [(0, "why".to_owned())]);
}

#[test]
fn a_consumer_that_goes_leaves_its_events_to_others() {
    let mut group = group_of(settings(), 3);
    group.connect(consumer(1), 3, at(0)).unwrap();
    delivered(&mut group);
    group.disconnect(consumer(1), at(0));
    group.ack(consumer(1), &[id(0)], at(0));
    assert_eq!(group.numbers().again, 3, "one that is gone says nothing");
    group.connect(consumer(2), 2, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(2, 0, 1), (2, 1, 1)]);
}

#[test]
fn what_a_consumer_has_no_room_for_was_not_tried() {
    let mut group = group_of(settings(), 1);
    group.connect(consumer(1), 3, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
    group.undelivered(consumer(1), id(0));
    group.tick(at(60));
    assert_eq!(delivered(&mut group), []);
    assert_eq!(group.stalled(), [consumer(1)]);
    group.relieved(consumer(1), at(60));
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
}

#[test]
fn a_consumer_without_room_holds_up_only_what_is_pinned_to_it() {
    let mut group = group_of(Settings { strategy: Strategy::Pinned, ..settings() }, 0);
    group.connect(consumer(1), 1, at(0)).unwrap();
    group.connect(consumer(2), 1, at(0)).unwrap();
    let pinned_to = |id| {
        (0..).map(PinKey).find(|key| group.consumers.choose(*key) == Choice::Consumer(consumer(id))).unwrap()
    };
    let (one, two) = (pinned_to(1), pinned_to(2));
    for (number, key) in [(0, one), (1, two), (2, one), (3, two)] {
        group.take(Entry { key, ..entry(number) }, at(0));
    }
    assert_eq!(delivered(&mut group), [(1, 0, 0), (2, 1, 0)]);
    group.undelivered(consumer(1), id(0));
    group.nack(consumer(2), &[id(1)], NackAction::Retry, "", at(0));
    assert_eq!(delivered(&mut group), [(2, 1, 1)]);
    group.ack(consumer(2), &[id(1)], at(0));
    assert_eq!(delivered(&mut group), [(2, 3, 0)], "past one that waits for the other");
    group.relieved(consumer(1), at(0));
    assert_eq!(delivered(&mut group), [(1, 0, 0)]);
}

#[test]
fn no_more_consumers_than_the_group_may_have() {
    let mut group = group_of(Settings { max_subscriber_count: 1, ..settings() }, 0);
    assert_eq!(group.connect(consumer(1), 1, at(0)), Ok(()));
    assert_eq!(group.connect(consumer(2), 1, at(0)), Err(Full::Consumers));
    group.disconnect(consumer(1), at(0));
    assert_eq!(group.connect(consumer(2), 1, at(0)), Ok(()));
}

#[test]
fn events_with_one_id_are_delivered_one_after_the_other() {
    let mut group = group_of(settings(), 1);
    group.take(Entry { id: id(0), ..entry(1) }, at(0));
    group.take(entry(2), at(0));
    group.connect(consumer(1), 5, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 0, 0), (1, 2, 0)]);
    group.ack(consumer(1), &[id(0)], at(0));
    assert_eq!(delivered(&mut group), [(1, 1, 0)]);
}

#[test]
fn memory_is_bounded_by_events_and_by_bytes() {
    let mut group = Numbered::new(settings(), None, at(0));
    assert_eq!(group.room(), 3, "without consumers, one batch");
    group.connect(consumer(1), 1, at(0)).unwrap();
    assert_eq!(group.room(), 8);
    group.take(Entry { bytes: MAX_HELD_BYTES, ..entry(0) }, at(0));
    assert_eq!((group.room(), group.parked_room()), (0, 0));
    group.ack(consumer(1), &[id(0)], at(0));
    assert_eq!(group.room(), 8);
    (1..7).for_each(|number| group.take(entry(number), at(0)));
    assert_eq!(group.room(), 3, "one is in flight");
    assert!(group.wants_batch());
    group.take(entry(7), at(0));
    assert!(!group.wants_batch(), "no room for a batch of the past");
    group.set_phase(Phase::Live);
    assert!(group.wants_batch());
}

#[test]
fn parked_events_come_first_and_are_forgotten_once_they_are_handled() {
    let mut group = group_of(settings(), 1);
    for revision in [3, 4] {
        let spot = Spot::Parked(revision);
        group.take_parked(Entry { id: id(100 + revision), spot, event: 100 + revision, ..entry(0) }, at(0));
    }
    group.connect(consumer(1), 3, at(0)).unwrap();
    assert_eq!(delivered(&mut group), [(1, 103, 0), (1, 104, 0), (1, 0, 0)]);
    let came_to = |revision, outcome| Effect::Replayed { revision, outcome };
    group.ack(consumer(1), &[id(104)], at(0));
    assert_eq!(group.take_effects(), [came_to(4, Outcome::Acked)], "the others may follow soon");
    group.tick(at(1));
    assert_eq!(group.take_effects(), [Effect::ForgetParked(Ranges::from(4..5))]);
    group.nack(consumer(1), &[id(103)], NackAction::Skip, "", at(1));
    let told = group.take_effects();
    assert_eq!(told, [came_to(3, Outcome::Skipped), Effect::ForgetParked(Ranges::from(3..4))]);
    assert_eq!(group.numbers().checkpoint, None, "parked events do not move the checkpoint");
}

#[test]
fn parked_events_that_were_not_delivered_can_be_taken_back() {
    let mut group = group_of(settings(), 0);
    let parked = |revision| Entry { id: id(100 + revision), spot: Spot::Parked(revision), ..entry(0) };
    group.connect(consumer(1), 1, at(0)).unwrap();
    (0..3).for_each(|revision| group.take_parked(parked(revision), at(0)));
    assert_eq!(delivered(&mut group).len(), 1);
    assert_eq!(group.recall_parked(&Ranges::from(0..2)), Ranges::from(1..2));
    assert_eq!((group.numbers().again, group.bytes), (1, 20));
    group.take_parked(parked(1), at(0));
    group.ack(consumer(1), &[id(100)], at(0));
    assert_eq!(delivered(&mut group).len(), 1);
    assert_eq!(group.numbers().again, 1, "it was taken again");
}

#[test]
fn what_was_handled_before_is_not_taken_again() {
    let mut group = Numbered::new(settings(), Some(4), at(0));
    group.connect(consumer(1), 10, at(0)).unwrap();
    (3..7).for_each(|number| group.take(entry(number), at(0)));
    assert_eq!(delivered(&mut group), [(1, 5, 0), (1, 6, 0)]);
}

/// A small generator, so that a failure is found again by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() {
            None
        } else {
            from.get(usize::try_from(self.below(from.len() as u64)).unwrap()).copied()
        }
    }
}

/// What the rules say must be true, kept apart from the group.
#[derive(Default)]
struct Model {
    next: u64,
    slots: BTreeMap<u64, usize>,
    /// Who holds which event.
    holders: HashMap<u64, u64>,
    /// How often an event failed.
    failed: HashMap<u64, u32>,
    done: BTreeSet<u64>,
    parking: BTreeSet<u64>,
    wanted_parked: HashSet<u64>,
    checkpoint: Option<u64>,
    writing: Option<u64>,
}

impl Model {
    fn failed(&mut self, event: u64) {
        self.holders.remove(&event);
        *self.failed.entry(event).or_default() += 1;
    }

    fn see(&mut self, group: &mut Numbered, settings: &Settings, context: &str) {
        for effect in group.take_effects() {
            match effect {
                Effect::Deliver { consumer, retries, event, id: named } => {
                    assert_eq!(named, id(event), "{context}");
                    assert!(!self.done.contains(&event), "{event} was handled: {context}");
                    assert!(!self.parking.contains(&event), "{event} is being parked: {context}");
                    assert_eq!(self.holders.insert(event, consumer.0), None, "{event} is held: {context}");
                    assert_eq!(retries, self.failed.get(&event).copied().unwrap_or(0), "{event}: {context}");
                    assert!(retries <= settings.max_retry_count, "{event}: {context}");
                    let held = self.holders.values().filter(|holder| **holder == consumer.0).count();
                    assert!(held <= self.slots[&consumer.0], "{consumer:?} holds {held}: {context}");
                }
                Effect::Park { event, .. } => {
                    let failed = self.failed.get(&event).copied().unwrap_or(0);
                    let wanted = self.wanted_parked.contains(&event) || failed > settings.max_retry_count;
                    assert!(wanted, "{event} was parked after {failed} failures: {context}");
                    self.parking.insert(event);
                }
                Effect::Checkpoint(place) => {
                    assert_eq!(self.writing, None, "{context}");
                    assert!(Some(place) > self.checkpoint, "{context}");
                    let all = self.done.range(..=place).count() as u64 == place + 1;
                    assert!(all, "a checkpoint at {place} passes what is not handled: {context}");
                    self.writing = Some(place);
                }
                Effect::Replayed { .. } | Effect::ForgetParked(_) => {
                    panic!("nothing was replayed: {context}")
                }
            }
        }
        if settings.strategy.pins() {
            let mut by_key: HashMap<u64, u64> = HashMap::new();
            for (event, holder) in &self.holders {
                let other = by_key.insert(event % 4, *holder);
                assert!(other.is_none_or(|other| other == *holder), "key {} is split: {context}", event % 4);
            }
        }
        let numbers = group.numbers();
        assert_eq!(numbers.in_flight, self.holders.len(), "{context}");
        assert_eq!(numbers.parking, self.parking.len(), "{context}");
        assert!(numbers.fresh <= settings.history_buffer_size as usize, "{context}");
    }
}

fn run(seed: u64, strategy: Strategy) {
    let settings = Settings { strategy, ..settings() };
    let mut dice = Dice(seed);
    let mut group = Numbered::new(settings, None, at(0));
    let mut model = Model::default();
    let mut now = 0;
    for step in 0..400 {
        let context = format!("seed {seed}, {strategy:?}, step {step}");
        let held: Vec<(u64, u64)> = {
            let mut held: Vec<_> = model.holders.iter().map(|(event, holder)| (*event, *holder)).collect();
            held.sort_unstable();
            held
        };
        let connected: Vec<u64> = model.slots.keys().copied().collect();
        match dice.below(13) {
            0..=2 => {
                for _ in 0..dice.below(4) {
                    if group.room() > 0 {
                        group.take(entry(model.next), at(now));
                        model.next += 1;
                    }
                }
            }
            3 if connected.len() < 4 => {
                let (new, slots) = (1_000 + step, 1 + usize::try_from(dice.below(4)).unwrap());
                model.slots.insert(new, slots);
                group.connect(consumer(new), slots, at(now)).unwrap();
            }
            4 => {
                if let Some(gone) = dice.pick(&connected) {
                    model.slots.remove(&gone);
                    held.iter()
                        .filter(|(_, holder)| *holder == gone)
                        .for_each(|(event, _)| model.failed(*event));
                    group.disconnect(consumer(gone), at(now));
                }
            }
            5 | 6 => {
                if let Some((event, holder)) = dice.pick(&held) {
                    model.holders.remove(&event);
                    model.done.insert(event);
                    group.ack(consumer(holder), &[id(event)], at(now));
                }
            }
            7 => {
                if let Some((event, holder)) = dice.pick(&held) {
                    let action = [NackAction::Retry, NackAction::Park, NackAction::Skip]
                        [usize::try_from(dice.below(3)).unwrap()];
                    match action {
                        NackAction::Retry => model.failed(event),
                        NackAction::Park => {
                            model.holders.remove(&event);
                            model.wanted_parked.insert(event);
                        }
                        NackAction::Skip => {
                            model.holders.remove(&event);
                            model.done.insert(event);
                        }
                    }
                    group.nack(consumer(holder), &[id(event)], action, "", at(now));
                }
            }
            8 => {
                if let Some((event, holder)) = dice.pick(&held) {
                    model.holders.remove(&event);
                    group.undelivered(consumer(holder), id(event));
                }
            }
            9 => {
                if let Some(event) = model.parking.iter().next().copied() {
                    if dice.below(3) == 0 {
                        group.not_parked(id(event));
                    } else {
                        model.parking.remove(&event);
                        model.done.insert(event);
                        group.parked(id(event), at(now));
                    }
                }
            }
            11 => {
                // An answer that comes after its time.
                let waits = |event: &u64| {
                    !model.holders.contains_key(event)
                        && !model.done.contains(event)
                        && !model.parking.contains(event)
                };
                let mut waiting: Vec<u64> = model.failed.keys().copied().filter(waits).collect();
                waiting.sort_unstable();
                if let (Some(event), Some(any)) = (dice.pick(&waiting), dice.pick(&connected)) {
                    model.done.insert(event);
                    group.ack(consumer(any), &[id(event)], at(now));
                }
            }
            10 => settle_checkpoint(&mut group, &mut model, dice.below(3) > 0, now),
            _ => {
                // Everything is late, or nothing.
                now += [1, 10][usize::try_from(dice.below(2)).unwrap()];
                let before: HashSet<u64> = model.holders.keys().copied().collect();
                let still = late(&group, now);
                before.intersection(&still).for_each(|event| model.failed(*event));
                group.tick(at(now));
                group.stalled().into_iter().for_each(|id| group.relieved(id, at(now)));
            }
        }
        model.see(&mut group, &settings, &context);
    }
    finish(&mut group, &mut model, &settings, now);
}

/// Which events in flight are late now.
fn late(group: &Numbered, now: u64) -> HashSet<u64> {
    let timeout = group.settings.message_timeout;
    let late = group.out.values().filter_map(|out| match out {
        Out::InFlight { entry, since, .. } if at(now) >= since.saturating_add(timeout) => Some(entry.event),
        _ => None,
    });
    late.collect()
}

fn settle_checkpoint(group: &mut Numbered, model: &mut Model, works: bool, now: u64) {
    if let Some(place) = model.writing.take() {
        if works {
            model.checkpoint = Some(place);
            group.checkpoint_written(at(now));
        } else {
            group.checkpoint_failed(at(now));
        }
    }
}

/// A consumer that works takes everything that is left: nothing was lost, and the checkpoint says so.
fn finish(group: &mut Numbered, model: &mut Model, settings: &Settings, now: u64) {
    let last = 9_999;
    model.slots.insert(last, 3);
    group.connect(consumer(last), 3, at(now)).unwrap();
    for round in 0..1_000 {
        let context = format!("at the end, round {round}");
        group.stalled().into_iter().for_each(|id| group.relieved(id, at(now)));
        model.see(group, settings, &context);
        if model.done.len() as u64 == model.next && model.writing.is_none() {
            break;
        }
        for event in std::mem::take(&mut model.parking) {
            model.done.insert(event);
            group.parked(id(event), at(now));
        }
        for (event, holder) in std::mem::take(&mut model.holders) {
            model.done.insert(event);
            group.ack(consumer(holder), &[id(event)], at(now));
        }
        settle_checkpoint(group, model, true, now);
    }
    assert_eq!(model.done.len() as u64, model.next, "every event was handled");
    if let Some(place) = group.last_checkpoint() {
        model.checkpoint = Some(place);
    }
    assert_eq!(model.checkpoint, model.next.checked_sub(1));
    assert_eq!(group.bytes, 0, "nothing is held");
}

#[test]
fn the_rules_hold_under_random_operations() {
    for strategy in
        [Strategy::DispatchToSingle, Strategy::RoundRobin, Strategy::Pinned, Strategy::PinnedByCorrelation]
    {
        (1..=150).for_each(|seed| run(seed * 7_919, strategy));
    }
}
