//! Do process managers keep their rules? Semantics 8, on the store in memory.

mod compensation;
mod crash;
mod embedded;
mod evolution;
mod operators;
mod random;
mod retries;
mod timers;

use std::sync::Arc;

use factum::{
    Codec, CommandMetadata, Dispatch, Dispatched, Effect, ProcessError, ProcessInput, ProcessRunner,
    given_process,
};
use factum_core::{
    AppendError, Capability, Delete, DeleteMode, EventId, EventStore, EventStoreExt, ExpectedRevision,
    NewEvent, Read, Selector, StreamName,
};
use uuid::Uuid;

use crate::faulty::Faulty;
use crate::trip::{TRIP, Trip, TripCommand, TripEvent, inputs, memory_world};

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
    given_process(TRIP, "7", [wanted()])
        .when(ProcessInput::rejected("hotel", "full"))
        .then_state(|seen| assert_eq!(seen.inputs, ["wanted", "hotel rejected"]));
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
async fn what_one_input_leads_to_is_one_append() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    let head = world.store.head().await.unwrap().unwrap().position();
    world.runner().run_until_idle().await.unwrap();
    let of_first_input = ["$processStarted", "$processInput", "$processStepIssued", "$processTimerStarted"];
    assert_eq!(&world.types("7").await[..4], of_first_input);
    // As of any position in between there is nothing: the store never shows half an append, so one append it was.
    let first = world.show("7").await.entries[0].position;
    assert!(first > head);
    let positions: Vec<_> =
        world.show("7").await.entries.iter().map(|entry| entry.position.0 - first.0).collect();
    assert_eq!(&positions[..4], [0, 1, 2, 3]);
}

#[tokio::test]
async fn many_inputs_are_one_append() {
    let world = memory_world();
    for trip in 0..100 {
        world.wanted(&trip.to_string()).await;
    }
    let counted = std::sync::Mutex::new(0);
    let counted = Arc::new(counted);
    let counter = Arc::clone(&counted);
    let store = Faulty::new(world.store.clone()).before_append(move |_, append| {
        *counter.lock().unwrap() += usize::from(append.writes[0].stream.starts_with("trip-"));
        Ok(())
    });
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    let mut runner = ProcessRunner::new(Arc::new(store), TRIP, world.desk.dispatcher()).unwrap();
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().started, 100);
    let appends = *counted.lock().unwrap();
    assert!(appends < 60, "{appends} appends for 100 instances and their first attempts");
}

#[tokio::test]
async fn an_unknown_instance_is_ignored_and_counted() {
    let world = memory_world();
    world.append(TripEvent::Cancelled { trip: "8".into() }).await;
    world.append(TripEvent::Noise {}).await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!((runner.stats().unknown, runner.stats().uncorrelated), (1, 1));
    assert_eq!(runner.stats().handled, 0);
    // It is not held against the instance: it begins with its own event.
    world.wanted("8").await;
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("8").await, "completed");
}

#[tokio::test]
async fn an_event_after_the_end_is_ignored_and_counted_also_after_a_restart() {
    let world = memory_world();
    world.wanted("7").await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    let before = world.show("7").await.entries.len();
    world.wanted("7").await;
    runner.run_until_idle().await.unwrap();
    let mut next = world.runner();
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    next.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().too_late, 1);
    assert_eq!(next.stats().too_late, 2, "a restart looks again at what left no trace");
    assert_eq!(world.show("7").await.entries.len(), before);
}

#[tokio::test]
async fn a_rejection_is_an_input_like_any_other() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::rejected("full"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(inputs(&world.show("7").await), ["event Wanted", "rejected hotel"]);
    assert_eq!(world.desk.log().attempts.len(), 1, "an answer is final");
    assert_eq!(world.stage("7").await, "failed");
}

#[tokio::test]
async fn a_command_carries_its_identity_its_cause_and_its_correlation() {
    let world = memory_world();
    let event = Codec::new().unwrap().encode(&TripEvent::Wanted { trip: "7".into() }).unwrap();
    let event = event.with_metadata(CommandMetadata::new().correlation("c-1").to_json());
    let stream = StreamName::new("travellers").unwrap();
    world.store.append_to(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sent = Arc::clone(&seen);
    world.desk.now_answers(move |delivery| {
        sent.lock().unwrap().push(delivery.metadata.clone());
        Dispatched::done()
    });
    world.runner().run_until_idle().await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().all(|metadata| metadata.correlation.as_deref() == Some("c-1")));
    assert!(seen.iter().all(|metadata| metadata.actor.as_deref() == Some("trip")));
    let ids: Vec<_> = seen.iter().map(|metadata| metadata.command_id.as_ref().unwrap().as_str()).collect();
    assert_eq!(ids, ["trip-7/0.0.0", "trip-7/0.1.0", "trip-7/0.2.0", "trip-7/0.3.0"]);
    let issued = world.store.read_all(Read::forwards(Selector::Correlation("c-1".into()))).await.unwrap();
    let causes = seen.iter().map(|metadata| metadata.causation.clone().unwrap());
    for (cause, number) in causes.zip(0..) {
        let record = issued.iter().find(|event| event.id().to_string() == cause).unwrap();
        assert_eq!(record.event_type(), "$processStepIssued", "command {number}");
    }
}

#[tokio::test]
async fn an_input_without_identity_is_refused() {
    let world = memory_world();
    let event = Codec::new().unwrap().encode(&TripEvent::Wanted { trip: "7".into() }).unwrap();
    let stream = StreamName::new("imported").unwrap();
    let nameless = event.with_id(EventId(Uuid::nil()));
    world.store.append_to(stream, ExpectedRevision::Any, vec![nameless]).await.unwrap();
    let error = world.runner().run_until_idle().await.unwrap_err();
    assert!(matches!(error, ProcessError::NoIdentity { .. }), "{error}");
}

#[tokio::test]
async fn a_store_whose_positions_are_no_identity_is_refused() {
    let world = memory_world();
    let mut store = Faulty::new(world.store.clone());
    store.without = Some(Capability::GlobalOrder);
    let refused = ProcessRunner::new(Arc::new(store), TRIP, world.desk.dispatcher()).err().unwrap();
    assert!(matches!(refused, ProcessError::Unsupported { capability: Capability::GlobalOrder }));
}

#[tokio::test]
async fn a_name_that_makes_no_category_is_refused() {
    struct Named(&'static str);
    impl factum::ProcessManager for Named {
        type State = ();
        type Event = TripEvent;
        type Command = TripCommand;
        fn name(&self) -> &'static str {
            self.0
        }
        fn steps(&self) -> &'static [&'static str] {
            &[]
        }
        fn correlate(&self, _: &TripEvent, _: &factum::EventSource) -> Option<String> {
            None
        }
        fn starts_on(&self, _: &TripEvent) -> bool {
            false
        }
        fn initial_state(&self, _: &str) {}
        fn evolve(&self, (): &mut (), _: &ProcessInput<TripEvent>) {}
        fn react(&self, (): &(), _: &ProcessInput<TripEvent>) -> Vec<Effect<TripCommand>> {
            vec![]
        }
    }
    let world = memory_world();
    for name in ["", "two-words", "a:b", "$trip"] {
        let refused = ProcessRunner::new(world.dynamic(), Named(name), world.desk.dispatcher()).err();
        assert!(matches!(refused, Some(ProcessError::Name { .. })), "{name}");
    }
}

#[tokio::test]
async fn an_instance_id_has_a_limit() {
    let world = memory_world();
    let longest = "x".repeat(factum::MAX_INSTANCE_BYTES);
    world.wanted(&longest).await;
    world.runner().run_until_idle().await.unwrap();
    assert_eq!(world.stage(&longest).await, "completed");
    for wrong in [String::new(), longest + "x"] {
        let world = memory_world();
        world.wanted(&wrong).await;
        let error = world.runner().run_until_idle().await.unwrap_err();
        assert!(matches!(error, ProcessError::Name { what: "an instance", .. }), "{error}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_the_process_and_is_never_skipped() {
    let world = memory_world();
    let broken = NewEvent::json(factum_core::EventType::new("Cancelled").unwrap(), r#"{"tour":"7"}"#);
    let stream = StreamName::new("travellers").unwrap();
    world.wanted("6").await;
    world.store.append_to(stream, ExpectedRevision::Any, vec![broken]).await.unwrap();
    world.wanted("7").await;
    for _ in 0..2 {
        let error = world.runner().run_until_idle().await.unwrap_err();
        assert!(matches!(error, ProcessError::Decode { .. }), "{error}");
    }
    assert!(factum::show_process(&world.store, "trip", "7").await.unwrap().is_none());
}

#[tokio::test]
async fn an_instance_whose_stream_was_tombstoned_is_over_and_holds_nobody_up() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    for trip in ["7", "8"] {
        world.wanted(trip).await;
    }
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    let stream = StreamName::new("trip-7").unwrap();
    let delete = Delete { stream, expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
    world.store.delete(delete).await.unwrap();
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    world.append(TripEvent::Cancelled { trip: "8".into() }).await;
    world.desk.now_answers(|_| Dispatched::done());
    runner.run_until_idle().await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(1));
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("8").await, "failed");
    assert!(runner.instances().is_empty());
}

#[tokio::test]
async fn without_appends_to_several_streams_each_input_has_its_own() {
    let world = memory_world();
    for trip in ["1", "2", "3"] {
        world.wanted(trip).await;
    }
    let mut store = Faulty::new(world.store.clone()).before_append(|_, append| match append.writes.len() {
        0 | 1 => Ok(()),
        _ => Err(AppendError::Unsupported { capability: Capability::MultiStreamAppend }),
    });
    store.without = Some(Capability::MultiStreamAppend);
    let mut runner = ProcessRunner::new(Arc::new(store), TRIP, world.desk.dispatcher()).unwrap();
    runner.run_until_idle().await.unwrap();
    for trip in ["1", "2", "3"] {
        assert_eq!(world.stage(trip).await, "completed");
    }
}

#[tokio::test]
async fn a_reaction_that_breaks_the_rules_stops_its_instance_and_counts_for_nothing() {
    let world = memory_world();
    world.wanted("7").await;
    let mut runner = world.runner_of(Trip { steps: &["flight"], ..TRIP });
    runner.run_until_idle().await.unwrap();
    let instance = world.instance("7").await;
    assert_eq!(instance.stage().as_str(), "quarantined");
    assert!(instance.trouble.unwrap().cause.contains("'hotel', which is not among its steps()"));
    assert!(instance.timers.is_empty() && instance.outstanding.is_empty());
    assert_eq!(instance.held.len(), 1);
}

#[tokio::test]
async fn run_goes_on_until_it_is_told_to_stop() {
    let world = memory_world();
    let mut runner = world.runner();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let desk = world.desk.clone();
    let travellers = async {
        world.wanted("7").await;
        while desk.effects().len() < 4 {
            tokio::task::yield_now().await;
        }
        world.wanted("8").await;
        while desk.effects().len() < 8 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
    };
    let shutdown = async {
        let _ = stopped.await;
    };
    let (result, ()) = tokio::join!(runner.run(shutdown), travellers);
    result.unwrap();
    assert_eq!(world.desk.effects().len(), 8);
}
