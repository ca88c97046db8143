//! Do the rules hold whatever comes in whatever order? Random trips, answers, crashes, times and operators, by seed.

use std::collections::BTreeMap;
use std::time::Duration;

use factum::{Dispatched, OperatorAction, ProcessFilter, ProcessStage, list_processes, request_process};

use crate::trip::{DEADLINE, TripEvent, World, memory_world};

const SEEDS: u64 = 24;
const ACTS: usize = 120;
const TRIPS: u64 = 6;

/// A small generator, so that a seed is a test.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Answers that differ by command and attempt, but are the same whenever they are asked for.
fn answer(seed: u64, id: &str, attempt: u32) -> Dispatched {
    let mut hash = seed;
    for byte in id.bytes() {
        hash = hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
    }
    match Random(hash.wrapping_add(u64::from(attempt) * 7_919) | 1).below(20) {
        0 => Dispatched::rejected("no"),
        1 => Dispatched::hopeless("never"),
        2..8 => Dispatched::failed("not now"),
        _ => Dispatched::done(),
    }
}

async fn play(seed: u64) -> World<factum_core::MemoryStore> {
    let world = memory_world();
    world.desk.now_answers(move |delivery| {
        answer(seed, delivery.metadata.command_id.as_ref().unwrap().as_str(), delivery.attempt)
    });
    let mut random = Random(seed * 2 + 1);
    // One state in memory: almost every input folds its instance again.
    let states = if seed.is_multiple_of(2) { 1 } else { 100 };
    let mut runner = world.runner().with_states(states);
    for _ in 0..ACTS {
        let trip = random.below(TRIPS).to_string();
        match random.below(12) {
            0..3 => world.wanted(&trip).await,
            3 => drop(world.append(TripEvent::Cancelled { trip }).await),
            4 => drop(world.append(TripEvent::Noise {}).await),
            5 => world.clock.advance(Duration::from_secs(random.below(90))),
            6 if random.below(8) == 0 => world.clock.advance(DEADLINE),
            7 => {
                let action =
                    if random.below(3) == 0 { OperatorAction::Cancel } else { OperatorAction::Retry };
                // Where it makes no sense it is refused.
                let _ = request_process(&world.dynamic(), "trip", &trip, action, "ada", "because").await;
            }
            8 => runner = world.runner().with_states(states),
            9 => {
                // A runner that dies somewhere on its way.
                let steps = random.below(40);
                let dies = async {
                    for _ in 0..steps {
                        tokio::task::yield_now().await;
                    }
                };
                runner.run(dies).await.unwrap();
                runner = world.runner().with_states(states);
            }
            _ => runner.run_until_idle().await.unwrap(),
        }
    }
    drop(runner);
    settle(&world).await;
    world
}

/// Everything works now, and operators go on with what stands still, until all trips are over.
async fn settle(world: &World<factum_core::MemoryStore>) {
    world.desk.now_answers(|_| Dispatched::done());
    let mut runner = world.runner();
    for _ in 0..20 {
        runner.run_until_idle().await.unwrap();
        world.clock.advance(DEADLINE);
        for open in list_processes(&world.store, &ProcessFilter::default()).await.unwrap() {
            let retry = OperatorAction::Retry;
            let _ = request_process(&world.dynamic(), "trip", &open.instance, retry, "ada", "go on").await;
        }
    }
}

#[tokio::test]
async fn whatever_happens_each_command_has_one_effect_and_each_failure_is_undone() {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let world = play(seed).await;
        let all = ProcessFilter { with_ended: true, ..ProcessFilter::default() };
        for trip in list_processes(&world.store, &all).await.unwrap() {
            let (stage, name) = (trip.stage(), &trip.instance);
            *ends.entry(stage.as_str()).or_default() += 1;
            let about = || format!("seed {seed}, trip {name}: {trip:#?}");
            // What the desk did for this trip is what the log says it did.
            let mut undone: Vec<_> = trip.done.iter().filter(|done| done.undone).collect();
            undone.reverse();
            let log = world.desk.log();
            let of_trip = |id: &str| id.starts_with(&format!("trip-{name}/"));
            let done_ids: Vec<_> =
                log.done.iter().filter(|id| of_trip(id) && !id.ends_with(".undo")).collect();
            let undo_ids: Vec<_> =
                log.done.iter().filter(|id| id.ends_with(".undo") && of_trip(id)).collect();
            assert_eq!(done_ids.len(), trip.done.len(), "{}", about());
            for done in &trip.done {
                assert!(done_ids.contains(&&done.command_id), "{}", about());
            }
            let expected: Vec<_> = undone.iter().map(|done| format!("{}.undo", done.command_id)).collect();
            assert_eq!(undo_ids.into_iter().cloned().collect::<Vec<_>>(), expected, "{}", about());
            match stage {
                ProcessStage::Completed => assert!(trip.done.iter().all(|done| !done.undone), "{}", about()),
                ProcessStage::Failed => {
                    assert!(trip.done.iter().all(|done| done.undone || done.undo.is_none()), "{}", about());
                    assert!(!trip.past_pivot, "{}", about());
                }
                // Past the pivot with nothing left to wait for: only people know how to go on.
                _ => assert!(trip.past_pivot && trip.outstanding.is_empty(), "{}", about()),
            }
        }
    }
    // The test is about all of them.
    assert!(ends["completed"] > 10 && ends["failed"] > 10, "{ends:?}");
}
