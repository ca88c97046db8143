//! What can an operator see and do, with and without a runner?

use std::sync::Arc;
use std::time::Duration;

use factum::{
    Dispatched, InputRecord, KnownProcesses, OperatorAction, ProcessFilter, ProcessRecord, ProcessStage,
    RequestError, list_processes, request_process, show_process,
};
use factum_core::{EventStore, MemoryStore, Position, Redact};

use crate::trip::{DEADLINE, World, memory_world};

async fn stopped() -> World<MemoryStore> {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "flight" => Dispatched::hopeless("no such flight"),
        _ => Dispatched::done(),
    });
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world
}

#[tokio::test]
async fn a_list_shows_where_every_instance_stands_without_the_processs_code() {
    let world = stopped().await;
    world.desk.now_answers(|_| Dispatched::done());
    world.wanted("8").await;
    world.runner().run_until_idle().await.unwrap();
    let open = list_processes(&world.store, &ProcessFilter::default()).await.unwrap();
    assert_eq!(open.len(), 1);
    let instance = &open[0];
    assert_eq!((instance.process.as_str(), instance.instance.as_str()), ("trip", "7"));
    assert_eq!(instance.stage(), ProcessStage::Quarantined);
    assert_eq!(instance.last_step.as_deref(), Some("flight"));
    assert_eq!(instance.next_timer().unwrap().0, "deadline");
    assert_eq!(instance.next_timer().unwrap().1, instance.started_at.saturating_add(DEADLINE));
    assert!(instance.last_error.as_ref().unwrap().1.contains("no such flight"));
    let all = ProcessFilter { with_ended: true, ..ProcessFilter::default() };
    assert_eq!(list_processes(&world.store, &all).await.unwrap().len(), 2);
    let other = ProcessFilter { process: Some("tour".into()), ..all.clone() };
    assert!(list_processes(&world.store, &other).await.unwrap().is_empty());
    let over = ProcessFilter { stages: vec![ProcessStage::Completed], ..ProcessFilter::default() };
    assert_eq!(list_processes(&world.store, &over).await.unwrap()[0].instance, "8");
}

#[tokio::test]
async fn a_list_that_is_kept_reads_what_came_since() {
    let world = stopped().await;
    let (mut known, open) = (KnownProcesses::new(), ProcessFilter::default());
    known.catch_up(&world.store).await.unwrap();
    assert_eq!(known.list(&open).unwrap().len(), 1);
    world.desk.now_answers(|_| Dispatched::done());
    world.wanted("8").await;
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "flight is back")
        .await
        .unwrap();
    world.runner().run_until_idle().await.unwrap();
    let all = ProcessFilter { with_ended: true, ..ProcessFilter::default() };
    for _ in 0..2 {
        known.catch_up(&world.store).await.unwrap();
        let fresh = list_processes(&world.store, &all).await.unwrap();
        let shown = |instances: &[factum::ProcessInstance]| -> Vec<String> {
            instances.iter().map(|of| format!("{} {:?} {}", of.stream(), of.stage(), of.revision)).collect()
        };
        assert_eq!(shown(&known.list(&all).unwrap()), shown(&fresh));
        assert_eq!(fresh.len(), 2);
    }
    assert!(known.list(&open).unwrap().is_empty());
}

#[tokio::test]
async fn a_request_is_kept_with_its_actor_and_reason_and_obeyed_by_the_next_runner() {
    let world = stopped().await;
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "flight is back")
        .await
        .unwrap();
    let waiting = world.show("7").await;
    assert_eq!(waiting.pending.len(), 1);
    assert_eq!(waiting.instance.stage(), ProcessStage::Quarantined);
    world.desk.now_answers(|_| Dispatched::done());
    world.runner().run_until_idle().await.unwrap();
    let done = world.show("7").await;
    assert!(done.pending.is_empty());
    assert_eq!(done.instance.stage(), ProcessStage::Completed);
    let asked = done.entries.iter().find_map(|entry| match &entry.record {
        ProcessRecord::Input(taken) => match &taken.input {
            InputRecord::Operator { actor, reason, refused, .. } => Some((actor, reason, refused)),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(asked.unwrap(), (&"ada".to_owned(), &"flight is back".to_owned(), &None));
}

#[tokio::test]
async fn a_running_runner_obeys_too() {
    let world = stopped().await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "flight is back")
        .await
        .unwrap();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "completed");
}

#[tokio::test]
async fn a_cancelled_instance_finds_out_what_happened_and_undoes_it() {
    let world = stopped().await;
    let cancel = OperatorAction::Cancel;
    request_process(&world.dynamic(), "trip", "7", cancel, "ada", "customer rang").await.unwrap();
    // The flight may be booked all the same: it is asked for again, and what took effect is undone.
    world.desk.now_answers(|_| Dispatched::done());
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo flight", "undo hotel"]);
    let instance = world.instance("7").await;
    assert_eq!(instance.stage(), ProcessStage::Failed);
    assert_eq!(instance.failing.as_deref(), Some("cancelled by ada: customer rang"));
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_before_anything_is_written() {
    let world = stopped().await;
    let store = world.dynamic();
    let ask = async |instance: &str, action, actor: &str, reason: &str| {
        request_process(&store, "trip", instance, action, actor, reason).await
    };
    let nobody = ask("7", OperatorAction::Retry, " ", "because").await;
    assert!(matches!(nobody, Err(RequestError::Missing { what: "who asks" })));
    let nothing = ask("7", OperatorAction::Retry, "ada", "").await;
    assert!(matches!(nothing, Err(RequestError::Missing { what: "why" })));
    let unknown = ask("70", OperatorAction::Retry, "ada", "because").await;
    assert!(matches!(unknown, Err(RequestError::NotFound { .. })));
    world.desk.now_answers(|_| Dispatched::done());
    ask("7", OperatorAction::Retry, "ada", "go on").await.unwrap();
    // Asked twice before a runner comes: the second finds nothing to retry, and that is recorded too.
    ask("7", OperatorAction::Retry, "bob", "go on").await.unwrap();
    world.runner().run_until_idle().await.unwrap();
    let refused = world.show("7").await.entries.into_iter().filter(|entry| {
        matches!(&entry.record, ProcessRecord::Input(taken)
            if matches!(&taken.input, InputRecord::Operator { actor, refused: Some(_), .. } if actor == "bob"))
    });
    assert_eq!(refused.count(), 1);
    let over = ask("7", OperatorAction::Cancel, "ada", "too late").await.unwrap_err();
    assert!(over.to_string().contains("'trip-7' is completed"), "{over}");
}

#[tokio::test]
async fn what_is_held_is_taken_in_order_once_and_the_checkpoint_does_not_go_back() {
    let world = stopped().await;
    let mut runner = world.runner();
    for _ in 0..3 {
        world.wanted("7").await;
    }
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.instance("7").await.held.len(), 3);
    // Restarts do not take or hold anything twice.
    for _ in 0..2 {
        world.runner().run_until_idle().await.unwrap();
    }
    assert_eq!(world.instance("7").await.held.len(), 3);
    world.desk.now_answers(|_| Dispatched::done());
    let store: Arc<dyn EventStore> = world.dynamic();
    request_process(&store, "trip", "7", OperatorAction::Retry, "ada", "flight is back").await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let mut last = world.runner();
    last.run_until_idle().await.unwrap();
    let timeline = show_process(&world.store, "trip", "7").await.unwrap().unwrap();
    let positions: Vec<_> = timeline
        .entries
        .iter()
        .filter_map(|entry| match &entry.record {
            ProcessRecord::Input(taken) => match taken.input {
                InputRecord::Event { position, .. } => Some(position),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(positions.len(), 4);
    assert!(positions.windows(2).all(|two| two[0] < two[1]), "{positions:?}");
    assert_eq!(last.stats().started, 0);
}

#[tokio::test]
async fn an_operator_answers_for_a_target_that_never_will() {
    // The flight was booked by phone.
    let world = stopped().await;
    let ask = async |action| request_process(&world.dynamic(), "trip", "7", action, "ada", "by phone").await;
    ask(OperatorAction::Done).await.unwrap();
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "completed");
    assert_eq!(world.desk.effects(), ["hotel", "pay", "ticket"]);
    // There is no flight, and there will be none.
    let world = stopped().await;
    let ask = async |action| request_process(&world.dynamic(), "trip", "7", action, "ada", "sold out").await;
    ask(OperatorAction::Rejected).await.unwrap();
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.desk.effects(), ["hotel", "undo hotel"]);
    assert_eq!(world.instance("7").await.failing.as_deref(), Some("flight: sold out"));
}

#[tokio::test]
async fn an_undo_that_was_made_good_by_hand_lets_the_rest_be_undone() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match (delivery.step.as_str(), delivery.undo) {
        ("pay", _) => Dispatched::rejected("no money"),
        ("flight", true) => Dispatched::rejected("no refunds"),
        _ => Dispatched::done(),
    });
    world.wanted("7").await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "needs-operator");
    let ask =
        async |action| request_process(&world.dynamic(), "trip", "7", action, "ada", "sold it on").await;
    let refused = ask(OperatorAction::Rejected).await.unwrap_err();
    assert!(refused.to_string().contains("has to be undone"), "{refused}");
    ask(OperatorAction::Done).await.unwrap();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "failed");
    assert_eq!(world.desk.effects(), ["hotel", "flight", "undo hotel"]);
    let over = ask(OperatorAction::Done).await.unwrap_err();
    assert!(over.to_string().contains("nothing is left to do"), "{over}");
}

#[tokio::test]
async fn nobody_answers_for_a_command_that_is_still_tried() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    let refused = request_process(&world.dynamic(), "trip", "7", OperatorAction::Done, "ada", "surely").await;
    assert!(refused.unwrap_err().to_string().contains("nothing to answer"));
}

#[tokio::test]
async fn an_event_that_was_redacted_before_it_was_taken_is_passed_over_and_counted() {
    let world = memory_world();
    world.wanted("7").await;
    world.wanted("8").await;
    world.store.redact(Redact::at(Position(0), "wrong person")).await.unwrap();
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().redacted, 1);
    assert_eq!(world.stage("8").await, "completed");
    assert!(
        list_processes(&world.store, &ProcessFilter { with_ended: true, ..ProcessFilter::default() })
            .await
            .unwrap()
            .iter()
            .all(|instance| instance.instance == "8")
    );
}

#[tokio::test]
async fn an_instance_that_needs_a_redacted_event_again_stands_still_and_says_why() {
    let world = stopped().await;
    world.store.redact(Redact::at(Position(0), "wrong person")).await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "flight is back")
        .await
        .unwrap();
    world.runner().run_until_idle().await.unwrap();
    let shown = world.show("7").await;
    assert_eq!(shown.instance.stage(), ProcessStage::Quarantined);
    let why = &shown.instance.last_error.as_ref().unwrap().1;
    assert!(why.contains("redacted") && why.contains("wrong person"), "{why}");
}
