//! What is undone, in which order, and when is it not? Failure, deadline, pivot, failing undos.

use std::time::Duration;

use factum::{Delivery, Dispatched, OperatorAction, RetryBudget, request_process};

use crate::trip::{BUDGET, DEADLINE, TripCommand, TripEvent, memory_world};

/// Everything works, except what is named.
fn but(
    step: &'static str,
    undo: bool,
    answer: Dispatched,
) -> impl Fn(&Delivery<TripCommand>) -> Dispatched + Send + 'static {
    move |delivery| {
        if delivery.step == step && delivery.undo == undo { answer.clone() } else { Dispatched::done() }
    }
}

#[tokio::test]
async fn on_failure_the_done_steps_are_undone_the_last_one_first() {
    let world = memory_world();
    world.desk.now_answers(but("pay", false, Dispatched::rejected("no money")));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo flight", "undo hotel"]);
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "failed");
    assert_eq!(instance.failing.as_deref(), Some("pay: no money"));
    assert!(instance.done.iter().all(|done| done.undone));
}

#[tokio::test]
async fn a_deadline_undoes_what_was_done_once_the_open_answer_is_known() {
    let world = memory_world();
    world.desk.now_answers(but("pay", false, Dispatched::failed("the bank does not answer")));
    let mut runner = world.runner().with_retries(RetryBudget { total: DEADLINE * 2, ..BUDGET });
    world.wanted("7").await;
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "running");
    world.clock.advance(DEADLINE + Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    // The payment may have happened: until that is known, nothing is undone.
    assert_eq!(world.stage("7").await, "compensating");
    assert_eq!(world.desk.effects(), ["hotel", "flight"]);
    world.desk.now_answers(but("pay", false, Dispatched::rejected("no money")));
    world.clock.advance(Duration::from_secs(60));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo flight", "undo hotel"]);
    assert_eq!(world.stage("7").await, "failed");
}

#[tokio::test]
async fn after_the_pivot_nothing_is_undone_and_an_operator_is_called() {
    let world = memory_world();
    world.desk.now_answers(but("ticket", false, Dispatched::rejected("printer on fire")));
    world.wanted("7").await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "pay"]);
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "needs-operator");
    assert!(instance.trouble.unwrap().cause.contains("point of no return"));
    let cancel = OperatorAction::Cancel;
    let refused = request_process(&world.dynamic(), "trip", "7", cancel, "ada", "no trip").await.unwrap_err();
    assert!(refused.to_string().contains("can only go on"), "{refused}");
    // Forward recovery: the instance takes inputs again.
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "printed by hand")
        .await
        .unwrap();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "running");
}

#[tokio::test]
async fn a_pivot_that_turns_out_done_after_the_deadline_calls_an_operator() {
    let world = memory_world();
    world.desk.now_answers(but("pay", false, Dispatched::failed("the bank does not answer")));
    let mut runner = world.runner().with_retries(RetryBudget { total: DEADLINE * 2, ..BUDGET });
    world.wanted("7").await;
    runner.run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE + Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(60));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "pay"]);
    assert_eq!(world.stage("7").await, "needs-operator");
}

#[tokio::test]
async fn a_failed_undo_needs_an_operator_and_is_never_dropped() {
    for answer in [Dispatched::rejected("no refunds"), Dispatched::hopeless("no such flight")] {
        let world = memory_world();
        world.wanted("7").await;
        world.append(TripEvent::Cancelled { trip: "7".into() }).await;
        world.desk.now_answers(but("hotel", true, answer));
        let mut runner = world.runner();
        runner.run_until_idle().await.unwrap();
        assert_eq!(world.stage("7").await, "needs-operator");
        world.desk.now_answers(|_| Dispatched::done());
        // Nobody but an operator goes on with it, however long it takes.
        world.clock.advance(Duration::from_secs(1_000_000));
        let mut again = world.runner();
        again.run_until_idle().await.unwrap();
        assert_eq!(world.stage("7").await, "needs-operator");
        request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "they called back")
            .await
            .unwrap();
        again.run_until_idle().await.unwrap();
        assert_eq!(world.stage("7").await, "failed");
        assert_eq!(world.desk.effects(), ["hotel", "undo hotel"]);
    }
}

#[tokio::test]
async fn an_undo_that_fails_for_a_while_is_tried_again_and_recorded() {
    let world = memory_world();
    world.wanted("7").await;
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    world.desk.now_answers(but("hotel", true, Dispatched::failed("closed")));
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "compensating");
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "undo hotel"]);
    assert_eq!(world.counts("7").await["$processAttemptFailed"], 1);
    assert_eq!(world.stage("7").await, "failed");
}

#[tokio::test]
async fn a_step_that_was_rejected_is_not_undone() {
    let world = memory_world();
    world.desk.now_answers(but("hotel", false, Dispatched::rejected("full")));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), [""; 0]);
    assert_eq!(world.counts("7").await.get("$processUndoIssued"), None);
    assert_eq!(world.stage("7").await, "failed");
}
