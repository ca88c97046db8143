//! How are failing commands tried again, for how long, and who is held up? Nobody but their instance.

use std::time::Duration;

use factum::{Dispatched, OperatorAction, ProcessRecord, request_process};

use crate::trip::{TRIP, Trip, TripEvent, inputs, memory_world};

#[tokio::test]
async fn a_failing_command_is_tried_again_with_growing_pauses_and_one_identity() {
    let world = memory_world();
    world.desk.now_answers(|delivery| {
        if delivery.attempt < 4 { Dispatched::failed("busy") } else { Dispatched::done() }
    });
    world.wanted("7").await;
    let mut runner = world.runner();
    let mut attempts = Vec::new();
    for _ in 0..9 {
        runner.run_until_idle().await.unwrap();
        attempts.push(world.desk.log().attempts.iter().filter(|(_, step, _)| step == "hotel").count());
        world.clock.advance(Duration::from_secs(1));
    }
    // Pauses of 1, 2 and 4 seconds.
    assert_eq!(attempts, [1, 2, 2, 3, 3, 3, 3, 4, 4]);
    let log = world.desk.log();
    let hotel: Vec<_> = log.attempts.iter().filter(|(_, step, _)| step == "hotel").collect();
    assert!(hotel.iter().all(|(id, ..)| *id == hotel[0].0));
}

#[tokio::test]
async fn after_a_budget_of_time_the_instance_is_quarantined_and_others_go_on() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.instance.as_str() {
        "sick" => Dispatched::failed("no such hotel"),
        _ => Dispatched::done(),
    });
    world.wanted("sick").await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    let mut seconds = 0;
    while world.stage("sick").await == "running" {
        seconds += 1;
        world.clock.advance(Duration::from_secs(1));
        runner.run_until_idle().await.unwrap();
        assert!(seconds <= 60, "the budget is a minute");
    }
    // After 1, 3, 7, 15, 23, 31, 39, 47 and 55 seconds; the next would be at 63.
    assert_eq!(seconds, 55);
    let instance = world.instance("sick").await;
    assert_eq!(instance.stage().as_str(), "quarantined");
    assert_eq!(instance.trouble.unwrap().cause, "step 'hotel' failed after 10 attempts: no such hotel");
    world.wanted("well").await;
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("well").await, "completed");
}

/// Case 17.
#[tokio::test]
async fn all_attempts_are_kept_with_their_time_and_cause() {
    let world = memory_world();
    world.desk.now_answers(|delivery| Dispatched::failed(format!("fault {}", delivery.attempt)));
    world.wanted("7").await;
    let mut runner = world.runner();
    for _ in 0..70 {
        runner.run_until_idle().await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let timeline = world.show("7").await;
    let attempts: Vec<_> = timeline
        .entries
        .iter()
        .filter_map(|entry| match &entry.record {
            ProcessRecord::AttemptFailed(failed) => Some(failed),
            _ => None,
        })
        .collect();
    let errors: Vec<_> = attempts.iter().map(|failed| failed.error.as_str()).collect();
    let expected: Vec<_> = (1..=10).map(|attempt| format!("fault {attempt}")).collect();
    assert_eq!(errors, expected);
    assert!(attempts.windows(2).all(|two| two[0].at < two[1].at));
    // A retry keeps them too, and goes on counting.
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "try again").await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.counts("7").await["$processAttemptFailed"], 10);
    assert!(world.desk.log().attempts.iter().any(|(_, step, attempt)| step == "hotel" && *attempt == 11));
}

#[tokio::test]
async fn the_time_budget_survives_a_restart() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("no such hotel"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world.clock.advance(Duration::from_secs(58));
    world.runner().run_until_idle().await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "quarantined");
    assert_eq!(world.desk.log().attempts.len(), 3);
}

#[tokio::test]
async fn a_poison_input_stops_only_its_instance_at_its_own_place() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    let mut runner = world.runner();
    for trip in ["sick", "well"] {
        world.wanted(trip).await;
    }
    runner.run_until_idle().await.unwrap();
    world.append(TripEvent::Poisoned { trip: "sick".into() }).await;
    world.append(TripEvent::Cancelled { trip: "sick".into() }).await;
    world.append(TripEvent::Cancelled { trip: "well".into() }).await;
    runner.run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("well").await, "failed");
    let sick = world.instance("sick").await;
    assert_eq!(sick.stage().as_str(), "quarantined");
    assert!(sick.trouble.as_ref().unwrap().cause.contains("the trip is poisoned"), "{sick:?}");
    // The poison, what came after it, and the answer to the command that was out: in this order.
    assert_eq!(sick.held.len(), 3);
    // A build that can take it goes on there, in order, and skips nothing.
    let mut mended = world.runner_of(Trip { panics: false, ..TRIP });
    mended.run_until_idle().await.unwrap();
    assert_eq!(world.stage("sick").await, "quarantined", "only an operator resumes");
    request_process(&world.dynamic(), "trip", "sick", OperatorAction::Retry, "ada", "mended").await.unwrap();
    mended.run_until_idle().await.unwrap();
    assert_eq!(
        inputs(&world.show("sick").await),
        ["event Wanted", "operator retry", "event Poisoned", "event Cancelled", "done hotel", "done hotel"]
    );
    assert_eq!(world.stage("sick").await, "failed");
    assert_eq!(world.desk.effects(), ["hotel", "hotel", "undo hotel", "undo hotel"]);
}

#[tokio::test]
async fn a_dispatcher_that_panics_is_a_failed_attempt() {
    let world = memory_world();
    world.wanted("7").await;
    let mut runner =
        factum::ProcessRunner::new(world.dynamic(), TRIP, async |_| panic!("out of paper")).unwrap();
    runner.run_until_idle().await.unwrap();
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "running");
    assert!(instance.last_error.unwrap().1.contains("out of paper"));
}

#[tokio::test]
async fn what_cannot_work_out_is_not_tried_again() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::hopeless("no such hotel"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "quarantined");
    assert_eq!(world.desk.log().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_dropped_after_its_time_and_counts_as_failed() {
    let world = memory_world();
    world.wanted("7").await;
    let never = |_: factum::Delivery<crate::trip::TripCommand>| std::future::pending();
    let mut runner = factum::ProcessRunner::new(world.dynamic(), TRIP, never)
        .unwrap()
        .with_longest_attempt(Duration::from_secs(5));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.instance("7").await.last_error.unwrap().1, "no answer within 5s");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_commands_are_carried_out_at_once_and_timers_do_not_wait_for_them() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static OUT: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let world = memory_world();
    for trip in 0..20 {
        world.wanted(&trip.to_string()).await;
    }
    let slow = |_: factum::Delivery<crate::trip::TripCommand>| async {
        MOST.fetch_max(OUT.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(30)).await;
        OUT.fetch_sub(1, Ordering::SeqCst);
        Dispatched::rejected("full")
    };
    let mut runner = factum::ProcessRunner::new(world.dynamic(), TRIP, slow)
        .unwrap()
        .with_clock(std::sync::Arc::clone(&world.clock) as _)
        .with_in_flight(3);
    // All places are taken by commands of half a minute, and every deadline goes off all the same.
    let ten_seconds = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.clock.advance(crate::trip::DEADLINE);
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    runner.run(ten_seconds).await.unwrap();
    assert_eq!((MOST.load(Ordering::SeqCst), OUT.load(Ordering::SeqCst)), (3, 3));
    for trip in 0..20 {
        assert_eq!(world.stage(&trip.to_string()).await, "compensating");
    }
}
