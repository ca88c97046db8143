//! Does all this hold on the embedded engine too, closed and opened again between?

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factum::{Dispatched, OperatorAction, request_process};
use factum_core::{Clock, ManualClock};
use factum_engine::{Engine, Options};

use crate::trip::{DEADLINE, Desk, World, inputs};
use crate::wallet::NOON;

fn open(dir: &Path, clock: &Arc<ManualClock>, desk: &Desk) -> World<Engine> {
    let options = Options { clock: Arc::clone(clock) as Arc<dyn Clock>, ..Options::default() };
    World { store: Engine::open(dir, options).unwrap(), clock: Arc::clone(clock), desk: desk.clone() }
}

#[tokio::test]
async fn an_instance_goes_on_where_it_was_after_the_store_was_closed_and_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, desk) = (Arc::new(ManualClock::new(NOON)), Desk::new());
    // One step for each opening.
    for (step, done) in [("hotel", 0), ("flight", 1), ("pay", 2), ("ticket", 3)] {
        let world = open(dir.path(), &clock, &desk);
        desk.now_answers(move |delivery| {
            if delivery.step == step { Dispatched::failed("closing time") } else { Dispatched::done() }
        });
        if done == 0 {
            world.wanted("7").await;
        }
        clock.advance(Duration::from_secs(1));
        world.runner().run_until_idle().await.unwrap();
        assert_eq!(desk.effects().len(), done, "before {step}");
        world.store.close();
    }
    let world = open(dir.path(), &clock, &desk);
    desk.now_answers(|_| Dispatched::done());
    clock.advance(Duration::from_secs(1));
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(desk.effects(), ["hotel", "flight", "pay", "ticket"]);
    assert_eq!(world.stage("7").await, "completed");
    assert_eq!(world.counts("7").await["$processAttemptFailed"], 4);
}

#[tokio::test]
async fn timers_requests_and_held_inputs_survive_a_closed_store() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, desk) = (Arc::new(ManualClock::new(NOON)), Desk::new());
    desk.now_answers(|_| Dispatched::hopeless("no such hotel"));
    let world = open(dir.path(), &clock, &desk);
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world.wanted("7").await;
    world.store.close();
    clock.advance(DEADLINE * 2);
    let world = open(dir.path(), &clock, &desk);
    request_process(&world.dynamic(), "trip", "7", OperatorAction::Retry, "ada", "hotel found")
        .await
        .unwrap();
    world.store.close();
    desk.now_answers(|_| Dispatched::failed("busy"));
    let world = open(dir.path(), &clock, &desk);
    world.runner().run_until_idle().await.unwrap();
    // The second wish started the deadline anew.
    assert_eq!(inputs(&world.show("7").await), ["event Wanted", "operator retry", "event Wanted"]);
    world.store.close();
    clock.advance(DEADLINE);
    let world = open(dir.path(), &clock, &desk);
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(inputs(&world.show("7").await)[3..], ["timer deadline"]);
    assert_eq!(world.stage("7").await, "needs-operator", "the attempts have used up their time too");
}

#[tokio::test]
async fn a_stale_runner_is_refused_by_the_engine_too() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, desk) = (Arc::new(ManualClock::new(NOON)), Desk::new());
    let world = open(dir.path(), &clock, &desk);
    let mut old = world.runner();
    old.run_until_idle().await.unwrap();
    let mut new = world.runner();
    new.run_until_idle().await.unwrap();
    world.wanted("7").await;
    let refused = old.run_until_idle().await.unwrap_err();
    assert!(matches!(refused, factum::ProcessError::Superseded { .. }), "{refused}");
    new.run_until_idle().await.unwrap();
    assert_eq!(desk.effects().len(), 4);
}
