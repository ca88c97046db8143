//! What does a build do with instances that an older build began? It refuses those that it would misunderstand.

use std::time::Duration;

use factum::{Dispatched, OperatorAction, RefusedInstance, request_process};

use crate::trip::{TRIP, Trip, inputs, memory_world};

const RENAMED: Trip = Trip { steps: &["room", "flight", "pay", "ticket"], ..TRIP };

/// Case 16.
#[tokio::test]
async fn a_build_without_the_step_of_an_open_instance_refuses_that_instance_loudly() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    let mut renamed = world.runner_of(RENAMED);
    let refused = [RefusedInstance { instance: "7".to_owned(), lacks: "no step 'hotel'".to_owned() }];
    assert_eq!(renamed.plan().await.unwrap(), refused);
    renamed.run_until_idle().await.unwrap();
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "quarantined");
    assert!(instance.trouble.unwrap().cause.contains("no step 'hotel'"));
    assert_eq!(world.desk.effects(), [""; 0], "a step that is not known is not carried out");
    assert_eq!(renamed.plan().await.unwrap(), refused);
}

#[tokio::test]
async fn a_refused_instance_holds_its_inputs_until_a_build_knows_its_steps_again() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    let mut renamed = world.runner_of(RENAMED);
    renamed.run_until_idle().await.unwrap();
    world.append(crate::trip::TripEvent::Cancelled { trip: "7".into() }).await;
    renamed.run_until_idle().await.unwrap();
    assert_eq!(world.instance("7").await.held.len(), 1);
    // A retry does not help there.
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "please").await.unwrap();
    renamed.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "quarantined");
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "failed");
    let taken = inputs(&world.show("7").await);
    assert_eq!(taken, ["event Wanted", "operator retry", "event Cancelled", "done hotel", "done hotel"]);
    assert_eq!(world.desk.effects(), ["hotel", "undo hotel"]);
}

#[tokio::test]
async fn other_instances_go_on_beside_a_refused_one() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "ticket" => Dispatched::failed("busy"),
        _ => Dispatched::done(),
    });
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    let mut less = world.runner_of(Trip { steps: &["hotel", "flight", "pay"], ..TRIP });
    less.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "quarantined");
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "pay" => Dispatched::rejected("no money"),
        _ => Dispatched::done(),
    });
    world.wanted("8").await;
    less.run_until_idle().await.unwrap();
    assert_eq!(world.stage("8").await, "failed");
}

#[tokio::test]
async fn an_instance_stays_on_its_version_until_a_build_goes_on_with_it() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world.desk.now_answers(|_| Dispatched::done());
    world.clock.advance(Duration::from_secs(1));
    let mut second = world.runner_of(Trip { version: 2, ..TRIP });
    let lacks = "version 2 does not go on with instances of version 1".to_owned();
    assert_eq!(second.plan().await.unwrap(), [RefusedInstance { instance: "7".to_owned(), lacks }]);
    world.wanted("8").await;
    second.run_until_idle().await.unwrap();
    assert_eq!((world.stage("7").await, world.stage("8").await), ("quarantined", "completed"));
    assert_eq!(world.instance("8").await.version, 2);
    world.runner_of(Trip { version: 3, continues: &[1, 2], ..TRIP }).run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "completed");
}
