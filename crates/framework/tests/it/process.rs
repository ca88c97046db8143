//! Do process managers keep their rules? Semantics 8, on the store in memory.

use std::time::Duration;

use factum::{Dispatch, Dispatched, Effect, ProcessInput, given_process};

use crate::trip::{DEADLINE, TRIP, TripCommand, TripEvent, inputs, memory_world};

#[test]
fn a_process_is_tested_without_a_store() {
    let wanted = || TripEvent::Wanted { trip: "7".into() };
    given_process(TRIP, "7", [wanted()]).when(ProcessInput::done("flight")).then([Dispatch::new(
        "pay",
        TripCommand::Pay,
    )
    .pivot()
    .into()]);
    given_process(TRIP, "7", [wanted()])
        .when(ProcessInput::timeout("deadline"))
        .then([Effect::fail("too late")]);
    given_process(TRIP, "7", [wanted()])
        .and(ProcessInput::done("hotel"))
        .when(TripEvent::Noise {})
        .then_nothing();
}

#[tokio::test]
async fn a_trip_goes_through_all_its_steps() {
    let world = memory_world();
    let mut runner = world.runner();
    world.wanted("7").await;
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "pay", "ticket"]);
    assert_eq!(world.stage("7").await, "completed");
    assert_eq!(
        inputs(&world.show("7").await),
        ["event Wanted", "done hotel", "done flight", "done pay", "done ticket"]
    );
    assert!(runner.instances().is_empty());
}

#[tokio::test]
async fn on_failure_the_done_steps_are_undone_the_last_one_first() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "pay" => Dispatched::rejected("no money"),
        _ => Dispatched::done(),
    });
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo flight", "undo hotel"]);
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "failed");
    assert_eq!(instance.failing.as_deref(), Some("pay: no money"));
}

#[tokio::test]
async fn a_deadline_undoes_what_was_done() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "pay" => Dispatched::failed("the bank does not answer"),
        _ => Dispatched::done(),
    });
    let mut runner =
        world.runner().with_retries(factum::RetryBudget { total: DEADLINE * 2, ..crate::trip::BUDGET });
    world.wanted("7").await;
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "running");
    world.clock.advance(DEADLINE + Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    // The payment may have happened: until that is known, nothing is undone.
    assert_eq!(world.stage("7").await, "compensating");
    assert_eq!(world.desk.effects(), ["hotel", "flight"]);
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "pay" => Dispatched::rejected("no money"),
        _ => Dispatched::done(),
    });
    world.clock.advance(Duration::from_secs(60));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo flight", "undo hotel"]);
    assert_eq!(world.stage("7").await, "failed");
}
