//! `factum processes`: where instances stand and what operators ask, read from the store alone.

use std::sync::Arc;

use ::factum::{
    Codec, Dispatch, Dispatched, Effect, Event, EventSource, ProcessInput, ProcessManager, ProcessRunner,
};
use factum_core::{EventStore, EventStoreExt, ExpectedRevision, StreamName};
use factum_engine::{Engine, Options};
use serde_json::{Value, json};

use crate::factum::Factum;

#[derive(Debug, Event)]
enum ParcelEvent {
    ParcelOrdered { parcel: String },
}

struct Parcel;

impl ProcessManager for Parcel {
    type State = ();
    type Event = ParcelEvent;
    type Command = String;

    fn name(&self) -> &'static str {
        "parcel"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["pack", "ship"]
    }
    fn correlate(
        &self,
        ParcelEvent::ParcelOrdered { parcel }: &ParcelEvent,
        _: &EventSource,
    ) -> Option<String> {
        Some(parcel.clone())
    }
    fn starts_on(&self, _: &ParcelEvent) -> bool {
        true
    }
    fn initial_state(&self, _: &str) {}
    fn evolve(&self, (): &mut (), _: &ProcessInput<ParcelEvent>) {}
    fn react(&self, (): &(), input: &ProcessInput<ParcelEvent>) -> Vec<Effect<String>> {
        match input {
            ProcessInput::Event(_) => {
                vec![Dispatch::new("pack", "box".to_owned()).undo("unbox".into()).into()]
            }
            ProcessInput::StepDone { step, .. } if step == "pack" => {
                vec![Effect::dispatch("ship", "go".to_owned())]
            }
            ProcessInput::StepDone { .. } => vec![Effect::Complete],
            _ => vec![Effect::fail("cannot go on")],
        }
    }
}

fn on_store(factum: &Factum, act: impl AsyncFnOnce(Arc<dyn EventStore>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::open(factum.path("data"), Options::default()).unwrap();
        act(Arc::new(engine.clone())).await;
        engine.close();
    });
    // A child that another test starts at this moment has the directory's lock until it becomes its own program.
    while factum.run(&["storage", "info"]).code == 7 {}
}

async fn run(store: Arc<dyn EventStore>, ships: bool) {
    let dispatch = move |delivery: ::factum::Delivery<String>| async move {
        match delivery.step.as_str() {
            "ship" if !ships => Dispatched::hopeless("no van"),
            _ => Dispatched::done(),
        }
    };
    ProcessRunner::new(store, Parcel, dispatch).unwrap().run_until_idle().await.unwrap();
}

/// A store with parcel 1 shipped and parcel 2 stopped at its second step.
fn parcels() -> Factum {
    let factum = Factum::new();
    let order = async |store: &Arc<dyn EventStore>, parcel: &str| {
        let event = ParcelEvent::ParcelOrdered { parcel: parcel.to_owned() };
        let event = Codec::new().unwrap().encode(&event).unwrap();
        store.append_to(StreamName::new("shop").unwrap(), ExpectedRevision::Any, vec![event]).await.unwrap();
    };
    on_store(&factum, async |store| {
        order(&store, "1").await;
        run(Arc::clone(&store), true).await;
        order(&store, "2").await;
        run(store, false).await;
    });
    factum
}

#[test]
fn instances_are_listed_and_shown_without_their_code() {
    let factum = parcels();
    assert_eq!(factum.run(&["processes", "ls", "-o", "raw"]).ok(), "parcel-2\n");
    assert_eq!(factum.run(&["processes", "ls", "--all", "-o", "raw"]).ok(), "parcel-1\nparcel-2\n");
    assert_eq!(factum.run(&["processes", "ls", "--stage", "completed", "-o", "raw"]).ok(), "parcel-1\n");
    assert_eq!(factum.run(&["processes", "ls", "letter", "--all", "-o", "raw"]).ok(), "");
    let listed = factum.lines(&["processes", "ls"]);
    assert_eq!((&listed[0]["stage"], &listed[0]["step"]), (&json!("quarantined"), &json!("ship")));
    assert_eq!(listed[0]["lastError"], "step 'ship' failed: no van");
    let shown = factum.lines(&["processes", "show", "parcel-2"]);
    assert_eq!(shown[0]["outstandingSteps"][0]["command"], "go");
    assert_eq!(shown[0]["outstandingSteps"][0]["parked"], true);
    assert_eq!(shown[0]["doneSteps"][0]["undo"], "unbox");
    let cause = factum.run(&["processes", "show", "parcel-2", "--format", "{stage}: {cause}"]).ok();
    assert_eq!(cause, "quarantined: step 'ship' failed: no van\n");
    assert!(factum.run(&["processes", "show", "parcel-3"]).fails(5).contains("'parcel-3'"));
    factum.run(&["processes", "show", "parcel"]).fails(2);
}

#[test]
fn a_timeline_says_everything_that_happened() {
    let factum = parcels();
    let whats = |args: &[&str]| -> Vec<String> {
        factum.lines(args).iter().map(|line| line["what"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["began", "ParcelOrdered", "step 'pack'", "'pack' done", "step 'ship'"];
    assert_eq!(whats(&["processes", "timeline", "parcel-2"])[..5], all);
    let failures = ["attempt 1 of 'ship' failed", "quarantined"];
    assert_eq!(whats(&["processes", "timeline", "parcel-2", "--failures"]), failures);
    let lines = factum.lines(&["processes", "timeline", "parcel-2", "--failures"]);
    assert_eq!(lines[0]["data"]["error"], "no van");
    factum.run(&["processes", "timeline", "parcel-9"]).fails(5);
}

#[test]
fn a_retry_is_asked_for_with_reason_and_obeyed_by_the_next_runner() {
    let factum = parcels();
    factum.run(&["processes", "retry", "parcel-2", "--actor", "ada"]).fails(2);
    let blank = factum.run(&["processes", "retry", "parcel-2", "--reason", " ", "--actor", "ada"]).fails(2);
    assert!(blank.contains("say why"), "{blank}");
    let retry = ["processes", "retry", "parcel-2", "--reason", "van mended", "--actor", "ada"];
    factum.run(&retry).ok();
    let shown = factum.lines(&["processes", "show", "parcel-2"]);
    assert_eq!(shown[0]["pendingRequests"][0]["actor"], "ada");
    let last = factum.lines(&["processes", "timeline", "parcel-2"]).pop().unwrap();
    assert_eq!(last["what"], "request waits for a runner");
    on_store(&factum, async |store| run(store, true).await);
    let shown = factum.lines(&["processes", "show", "parcel-2"]);
    assert_eq!((&shown[0]["stage"], &shown[0]["pendingRequests"]), (&json!("completed"), &Value::Null));
    let over = factum.run(&[&retry[..], &["-o", "json"]].concat()).fails(6);
    assert_eq!(serde_json::from_str::<Value>(&over).unwrap()["slug"], "process-stage");
}

#[test]
fn a_cancellation_needs_a_yes_and_undoes() {
    let factum = parcels();
    let cancel = ["processes", "cancel", "parcel-2", "--reason", "sent back", "--actor", "ada"];
    assert!(factum.run(&cancel).fails(3).contains("will undo what it did"));
    assert!(factum.lines(&["processes", "show", "parcel-2"])[0]["pendingRequests"].is_null());
    factum.run(&[&cancel[..], &["--yes"]].concat()).ok();
    on_store(&factum, async |store| run(store, true).await);
    let shown = factum.lines(&["processes", "show", "parcel-2"]);
    assert_eq!(shown[0]["stage"], "failed");
    assert_eq!(shown[0]["failing"], "cancelled by ada: sent back");
    assert_eq!(shown[0]["doneSteps"][0]["undone"], true);
}

#[test]
fn an_operator_answers_for_a_target_that_never_will() {
    let factum = parcels();
    let answer = ["processes", "answer", "parcel-2", "--reason", "carried it over", "--actor", "ada"];
    factum.run(&answer).fails(2);
    factum.run(&[&answer[..], &["--done", "--rejected"]].concat()).fails(2);
    factum.run(&[&answer[..], &["--done"]].concat()).ok();
    on_store(&factum, async |store| run(store, false).await);
    assert_eq!(factum.lines(&["processes", "show", "parcel-2"])[0]["stage"], "completed");
}
