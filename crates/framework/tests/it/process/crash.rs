//! Does a crash at any point lose or double anything? Kill after every append and every dispatch, start again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use factum::{Delivery, Dispatched, ProcessError, ProcessRunner};
use factum_core::{AppendError, EventStore, MemoryStore};

use crate::faulty::Faulty;
use crate::trip::{DEADLINE, TRIP, TripCommand, TripEvent, World, memory_world};

/// Appends of a runner that are done before it dies, and whether the last of them is still kept by the store.
#[derive(Clone, Copy, Debug)]
enum Death {
    BeforeAppend(usize),
    AfterAppend(usize),
    BeforeEffect(usize),
    AfterEffect(usize),
}

fn dies() -> AppendError {
    AppendError::Closed
}

/// A store that is gone for the runner at that point, for good.
fn mortal(store: &MemoryStore, death: Death, dead: &Arc<AtomicUsize>) -> Faulty {
    let appends = Arc::new(AtomicUsize::new(0));
    let (before, after) = (Arc::clone(dead), Arc::clone(dead));
    Faulty::new(store.clone())
        .before_append(move |_, _| {
            let number = appends.fetch_add(1, Ordering::SeqCst);
            if matches!(death, Death::BeforeAppend(at) if at == number) {
                before.store(1, Ordering::SeqCst);
            }
            if before.load(Ordering::SeqCst) == 1 { Err(dies()) } else { Ok(()) }
        })
        .answering({
            let appends = AtomicUsize::new(0);
            move |_| {
                let number = appends.fetch_add(1, Ordering::SeqCst);
                if matches!(death, Death::AfterAppend(at) if at == number) {
                    after.store(1, Ordering::SeqCst);
                }
                (after.load(Ordering::SeqCst) == 1).then(dies)
            }
        })
}

/// Runs a trip with one death on the way, then runs on until it is over. Whether the runner died at all.
async fn with_one_death(
    death: Death,
    script: impl Fn(&Delivery<TripCommand>) -> Dispatched + Send + Clone + 'static,
) -> (bool, World<MemoryStore>) {
    let world = memory_world();
    world.desk.now_answers(script);
    world.wanted("7").await;
    let dead = Arc::new(AtomicUsize::new(0));
    let store = mortal(&world.store, death, &dead);
    let (desk, effects, fate) = (world.desk.dispatcher(), Arc::new(AtomicUsize::new(0)), Arc::clone(&dead));
    let dispatcher = move |delivery: Delivery<TripCommand>| {
        let number = effects.fetch_add(1, Ordering::SeqCst);
        if matches!(death, Death::BeforeEffect(at) if at == number) {
            fate.store(1, Ordering::SeqCst);
        }
        // A dead runner does nothing any more.
        let alive = fate.load(Ordering::SeqCst) == 0;
        let answer = alive.then(|| desk(delivery));
        if matches!(death, Death::AfterEffect(at) if at == number) {
            fate.store(1, Ordering::SeqCst);
        }
        async move {
            match answer {
                Some(answer) => answer.await,
                None => std::future::pending().await,
            }
        }
    };
    let mut runner = ProcessRunner::new(Arc::new(store), TRIP, dispatcher)
        .unwrap()
        .with_clock(Arc::clone(&world.clock) as _)
        .with_retries(crate::trip::BUDGET);
    let killed = async {
        while dead.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let died = tokio::select! {
        biased;
        result = runner.run_until_idle() => result.is_err(),
        () = killed => true,
    };
    drop(runner);
    world.runner().run_until_idle().await.unwrap();
    (died, world)
}

/// Tries every point, until the runner lives through it.
async fn at_every_point(
    points: impl Fn(usize) -> Death,
    script: impl Fn(&Delivery<TripCommand>) -> Dispatched + Send + Clone + 'static,
    effects: &[&str],
    stage: &str,
) -> usize {
    for at in 0.. {
        let death = points(at);
        let (died, world) = with_one_death(death, script.clone()).await;
        assert_eq!(world.desk.effects(), effects, "{death:?}");
        assert_eq!(world.stage("7").await, stage, "{death:?}");
        if !died {
            return at;
        }
    }
    unreachable!("a trip has an end")
}

#[tokio::test]
async fn a_crash_at_any_point_leaves_exactly_one_effect_of_each_command() {
    let all = ["hotel", "flight", "pay", "ticket"];
    let works = |_: &Delivery<TripCommand>| Dispatched::done();
    let mut points = 0;
    points += at_every_point(Death::BeforeAppend, works, &all, "completed").await;
    points += at_every_point(Death::AfterAppend, works, &all, "completed").await;
    points += at_every_point(Death::BeforeEffect, works, &all, "completed").await;
    points += at_every_point(Death::AfterEffect, works, &all, "completed").await;
    // The owner, the event and four answers; and four effects.
    assert_eq!(points, 6 + 6 + 4 + 4);
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_compensation_undoes_everything_once() {
    let all = ["hotel", "flight", "undo flight", "undo hotel"];
    let fails = |delivery: &Delivery<TripCommand>| match delivery.step.as_str() {
        "pay" => Dispatched::rejected("no money"),
        _ => Dispatched::done(),
    };
    let mut points = 0;
    points += at_every_point(Death::BeforeAppend, fails, &all, "failed").await;
    points += at_every_point(Death::AfterAppend, fails, &all, "failed").await;
    points += at_every_point(Death::BeforeEffect, fails, &all, "failed").await;
    points += at_every_point(Death::AfterEffect, fails, &all, "failed").await;
    assert_eq!(points, 7 + 7 + 5 + 5);
}

/// Case 10, and case 6.
#[tokio::test]
async fn a_replay_never_fires_an_effect() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "pay" => Dispatched::failed("the bank does not answer"),
        _ => Dispatched::done(),
    });
    for trip in ["7", "8", "9"] {
        world.wanted(trip).await;
    }
    world.runner().run_until_idle().await.unwrap();
    let effects = world.desk.effects();
    let attempts = world.desk.log().attempts.len();
    let records = world.types("7").await;
    // Every start reads all records again.
    for _ in 0..3 {
        let mut runner = world.runner();
        world.append(TripEvent::Noise {}).await;
        runner.run_until_idle().await.unwrap();
        assert_eq!(world.desk.log().attempts.len(), attempts);
        assert_eq!(world.types("7").await, records);
    }
    // Every deadline folds a state again, through the same inputs that led to commands once.
    world.clock.advance(DEADLINE * 2);
    world.desk.now_answers(|_| Dispatched::failed("nobody is there"));
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!((runner.stats().fired, runner.stats().restored), (3, 3));
    assert_eq!(world.desk.effects(), effects, "no step is done again, and none undone while one is out");
}

/// Case 15.
#[tokio::test]
async fn a_runner_that_was_superseded_can_append_nothing() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    let mut old = world.runner();
    old.run_until_idle().await.unwrap();
    let mut new = world.runner();
    new.run_until_idle().await.unwrap();
    // The old one does not know: an instance that the new one has not touched, a timer, a checkpoint.
    world.wanted("7").await;
    let error = old.run_until_idle().await.unwrap_err();
    assert!(matches!(error, ProcessError::Superseded { .. }), "{error}");
    assert!(factum::show_process(&world.store, "trip", "7").await.unwrap().is_none());
    new.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "running");
    assert_eq!(world.desk.log().attempts.len(), 1);
}

#[tokio::test]
async fn a_superseded_runner_cannot_record_how_far_it_looked() {
    let world = memory_world();
    let mut old = world.runner();
    old.run_until_idle().await.unwrap();
    let mut new = world.runner();
    new.run_until_idle().await.unwrap();
    crowd(&world, 12_000).await;
    old.run_until_idle().await.unwrap();
    let checkpoint = factum_core::StreamName::new("trip:checkpoint").unwrap();
    let read =
        || factum_core::EventStoreExt::read_all(&world.store, factum_core::Read::stream(checkpoint.clone()));
    assert!(read().await.is_err(), "the old runner wrote a checkpoint");
    new.run_until_idle().await.unwrap();
    assert_eq!(read().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_runner_goes_on_where_it_was_without_looking_at_everything_again() {
    let world = memory_world();
    crowd(&world, 12_000).await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().uncorrelated, 12_000);
    let mut next = world.runner();
    next.run_until_idle().await.unwrap();
    assert!(next.stats().uncorrelated < 10_000, "the checkpoint was not used");
}

async fn crowd(world: &World<MemoryStore>, events: usize) {
    use factum_core::{EventStoreExt as _, EventType, ExpectedRevision, NewEvent, StreamName};
    let noise = || NewEvent::json(EventType::new("Noise").unwrap(), "{}");
    let stream = StreamName::new("street").unwrap();
    let events = std::iter::repeat_with(noise).take(events).collect();
    world.store.append_to(stream, ExpectedRevision::Any, events).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_the_store_that_was_lost_is_found_by_the_next_run() {
    let world = memory_world();
    world.wanted("7").await;
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost);
    let store = Faulty::new(world.store.clone())
        .answering(move |_| (counter.fetch_add(1, Ordering::SeqCst) % 3 == 2).then(dies));
    let store: Arc<dyn EventStore> = Arc::new(store);
    let mut runner = ProcessRunner::new(store, TRIP, world.desk.dispatcher()).unwrap();
    let mut errors = 0;
    while runner.run_until_idle().await.is_err() {
        errors += 1;
    }
    assert!(errors > 0);
    assert_eq!(world.desk.effects(), ["hotel", "flight", "pay", "ticket"]);
    assert_eq!(world.stage("7").await, "completed");
}

#[tokio::test]
async fn inputs_that_come_in_any_order_are_taken_in_the_order_of_the_log() {
    // Cancelled before it was wanted: nothing to cancel. Cancelled while a command is out: undone.
    let world = memory_world();
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    world.wanted("7").await;
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().unknown, 1);
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    runner.run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "undo hotel"]);
    assert_eq!(world.stage("7").await, "failed");
}
