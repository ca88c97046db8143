//! A small process manager that the tests share: a trip is a hotel, a flight, a payment (the point of no return) and a
//! ticket; with a desk that carries its commands out, fails when told to, and counts effects.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use factum::{
    Codec, Delivery, Dispatch, Dispatched, Effect, Event, EventSource, ProcessInput, ProcessInstance,
    ProcessManager, ProcessRecord, ProcessRunner, ProcessTimeline, RetryBudget, show_process,
};
use factum_core::{
    BoxFuture, Clock, EventStore, EventStoreExt, ExpectedRevision, ManualClock, RecordedEvent, StreamName,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::wallet::NOON;

/// How long a trip may take to be booked.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug, PartialEq, Event)]
pub(crate) enum TripEvent {
    Wanted {
        trip: String,
    },
    Cancelled {
        trip: String,
    },
    /// The process panics at it.
    Poisoned {
        trip: String,
    },
    /// Nobody's.
    Noise {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum TripCommand {
    Book(String),
    Release(String),
    Pay,
}

use TripCommand::{Book, Pay, Release};

/// How the process is built; tests change it as a deployment would.
#[derive(Clone, Debug)]
pub(crate) struct Trip {
    pub(crate) steps: &'static [&'static str],
    pub(crate) panics: bool,
    pub(crate) version: u32,
    pub(crate) continues: &'static [u32],
}

pub(crate) const TRIP: Trip =
    Trip { steps: &["hotel", "flight", "pay", "ticket"], panics: true, version: 1, continues: &[] };

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) inputs: Vec<String>,
}

impl ProcessManager for Trip {
    type State = Seen;
    type Event = TripEvent;
    type Command = TripCommand;

    fn name(&self) -> &'static str {
        "trip"
    }
    fn steps(&self) -> &'static [&'static str] {
        self.steps
    }
    fn version(&self) -> u32 {
        self.version
    }
    fn continues(&self, version: u32) -> bool {
        version == self.version || self.continues.contains(&version)
    }
    fn correlate(&self, event: &TripEvent, _: &EventSource) -> Option<String> {
        match event {
            TripEvent::Wanted { trip } | TripEvent::Cancelled { trip } | TripEvent::Poisoned { trip } => {
                Some(trip.clone())
            }
            TripEvent::Noise {} => None,
        }
    }
    fn starts_on(&self, event: &TripEvent) -> bool {
        matches!(event, TripEvent::Wanted { .. })
    }
    fn initial_state(&self, _: &str) -> Seen {
        Seen::default()
    }
    fn evolve(&self, seen: &mut Seen, input: &ProcessInput<TripEvent>) {
        seen.inputs.push(match input {
            ProcessInput::Event(TripEvent::Wanted { .. }) => "wanted".to_owned(),
            ProcessInput::Event(TripEvent::Cancelled { .. }) => "cancelled".to_owned(),
            ProcessInput::Event(TripEvent::Poisoned { .. }) => {
                assert!(!self.panics, "the trip is poisoned");
                "poison taken".to_owned()
            }
            ProcessInput::Event(TripEvent::Noise {}) => "noise".to_owned(),
            ProcessInput::Timeout { name } => format!("{name} over"),
            ProcessInput::StepDone { step, .. } => format!("{step} done"),
            ProcessInput::StepRejected { step, .. } => format!("{step} rejected"),
        });
    }
    fn react(&self, _: &Seen, input: &ProcessInput<TripEvent>) -> Vec<Effect<TripCommand>> {
        match input {
            ProcessInput::Event(TripEvent::Wanted { trip }) => vec![
                Dispatch::new("hotel", Book(format!("hotel {trip}")))
                    .undo(Release(format!("hotel {trip}")))
                    .into(),
                Effect::start_timer("deadline", DEADLINE),
            ],
            ProcessInput::StepDone { step, .. } => match step.as_str() {
                "hotel" => {
                    vec![Dispatch::new("flight", Book("flight".into())).undo(Release("flight".into())).into()]
                }
                "flight" => vec![Dispatch::new("pay", Pay).pivot().into()],
                "pay" => {
                    vec![Effect::dispatch("ticket", Book("ticket".into())), Effect::cancel_timer("deadline")]
                }
                _ => vec![Effect::Complete],
            },
            ProcessInput::StepRejected { step, reason } => vec![Effect::fail(format!("{step}: {reason}"))],
            ProcessInput::Timeout { .. } => vec![Effect::fail("too late")],
            ProcessInput::Event(TripEvent::Cancelled { .. }) => vec![Effect::fail("cancelled")],
            ProcessInput::Event(TripEvent::Poisoned { .. } | TripEvent::Noise {}) => vec![],
        }
    }
}

type Script = Box<dyn Fn(&Delivery<TripCommand>) -> Dispatched + Send>;

/// What happened at the desk.
pub(crate) struct DeskLog {
    /// Every attempt: command id, step (`undo step` for an undo), attempt.
    pub(crate) attempts: Vec<(String, String, u32)>,
    /// Every effect, in order: `hotel`, `undo hotel`. A command id has one.
    pub(crate) effects: Vec<String>,
    /// The commands that had an effect, in order.
    pub(crate) done: Vec<String>,
    known: HashSet<String>,
    script: Script,
}

/// Carries commands out, each once.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Mutex<DeskLog>>);

impl Desk {
    pub(crate) fn new() -> Self {
        Self::answering(|_| Dispatched::done())
    }

    pub(crate) fn answering(script: impl Fn(&Delivery<TripCommand>) -> Dispatched + Send + 'static) -> Self {
        let script: Script = Box::new(script);
        let log = DeskLog {
            attempts: Vec::new(),
            effects: Vec::new(),
            done: Vec::new(),
            known: HashSet::new(),
            script,
        };
        Self(Arc::new(Mutex::new(log)))
    }

    pub(crate) fn now_answers(&self, script: impl Fn(&Delivery<TripCommand>) -> Dispatched + Send + 'static) {
        self.log().script = Box::new(script);
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, DeskLog> {
        self.0.lock().unwrap()
    }

    pub(crate) fn effects(&self) -> Vec<String> {
        self.log().effects.clone()
    }

    pub(crate) fn dispatcher(
        &self,
    ) -> impl Fn(Delivery<TripCommand>) -> BoxFuture<'static, Dispatched> + use<> {
        let desk = self.clone();
        move |delivery| {
            let answer = desk.serve(&delivery);
            Box::pin(async move { answer })
        }
    }

    fn serve(&self, delivery: &Delivery<TripCommand>) -> Dispatched {
        let mut log = self.log();
        let id = delivery.metadata.command_id.as_ref().unwrap().as_str().to_owned();
        let name = if delivery.undo { format!("undo {}", delivery.step) } else { delivery.step.clone() };
        log.attempts.push((id.clone(), name.clone(), delivery.attempt));
        let answer = (log.script)(delivery);
        if answer == Dispatched::done() && log.known.insert(id.clone()) {
            log.done.push(id);
            log.effects.push(name);
        }
        answer
    }
}

pub(crate) struct World<S> {
    pub(crate) store: S,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) desk: Desk,
}

impl<S: EventStore + Clone> World<S> {
    pub(crate) fn on(store: S, clock: Arc<ManualClock>) -> Self {
        Self { store, clock, desk: Desk::new() }
    }

    pub(crate) fn dynamic(&self) -> Arc<dyn EventStore> {
        Arc::new(self.store.clone())
    }

    pub(crate) fn runner(&self) -> ProcessRunner<Trip> {
        self.runner_of(TRIP)
    }

    pub(crate) fn runner_of(&self, trip: Trip) -> ProcessRunner<Trip> {
        ProcessRunner::new(self.dynamic(), trip, self.desk.dispatcher())
            .unwrap()
            .with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .with_retries(BUDGET)
    }

    pub(crate) async fn append(&self, event: TripEvent) -> RecordedEvent {
        let new = Codec::new().unwrap().encode(&event).unwrap();
        let id = new.id;
        let stream = StreamName::new("travellers").unwrap();
        self.store.append_to(stream.clone(), ExpectedRevision::Any, vec![new]).await.unwrap();
        let last = self.store.last_event(stream).await.unwrap().unwrap();
        assert_eq!(last.id(), id);
        last
    }

    pub(crate) async fn wanted(&self, trip: &str) {
        self.append(TripEvent::Wanted { trip: trip.to_owned() }).await;
    }

    pub(crate) async fn show(&self, instance: &str) -> ProcessTimeline {
        show_process(&self.store, "trip", instance).await.unwrap().unwrap()
    }

    pub(crate) async fn instance(&self, instance: &str) -> ProcessInstance {
        self.show(instance).await.instance
    }

    pub(crate) async fn stage(&self, instance: &str) -> &'static str {
        self.instance(instance).await.stage().as_str()
    }

    pub(crate) async fn types(&self, instance: &str) -> Vec<&'static str> {
        self.show(instance).await.entries.iter().map(|entry| entry.record.event_type()).collect()
    }

    /// How often each kind of record is in an instance's stream.
    pub(crate) async fn counts(&self, instance: &str) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for name in self.types(instance).await {
            *counts.entry(name).or_insert(0) += 1;
        }
        counts
    }
}

/// A second, doubling up to eight, for a minute.
pub(crate) const BUDGET: RetryBudget = RetryBudget {
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(8),
    total: Duration::from_secs(60),
};

pub(crate) fn memory_world() -> World<factum_core::MemoryStore> {
    let clock = Arc::new(ManualClock::new(NOON));
    World::on(factum_core::MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

/// The inputs taken, in words.
pub(crate) fn inputs(timeline: &ProcessTimeline) -> Vec<String> {
    let taken = timeline.entries.iter().filter_map(|entry| match &entry.record {
        ProcessRecord::Input(taken) => Some(serde_json::to_value(&taken.input).unwrap()),
        _ => None,
    });
    taken
        .map(|input| {
            let word = ["eventType", "name", "step", "action"].iter().find_map(|key| input[key].as_str());
            format!("{} {}", input["kind"].as_str().unwrap(), word.unwrap_or(&json!(null).to_string()))
        })
        .collect()
}
