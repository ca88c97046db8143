//! What is a process manager (saga)? A pure pair: what an input makes of the state, and what follows from it.
//!
//! The dual of a [`Decider`](crate::Decider): events come in, commands go out. Effects are data; the
//! [`ProcessRunner`] carries them out. Replay calls only `evolve`, so no effect can happen twice.

mod dispatch;
mod error;
mod given;
mod heart;
mod instance;
mod known;
mod load;
mod operate;
mod record;
mod runner;

pub use dispatch::{Delivery, Dispatched, Dispatcher, RetryBudget};
pub use error::{MAX_INSTANCE_BYTES, ProcessError};
pub use given::{GivenProcess, WhenProcess, given_process};
pub use instance::{DoneStep, OutstandingStep, ProcessInstance, ProcessStage, Trouble};
pub use known::KnownProcesses;
pub use operate::{
    OperatorAction, ProcessFilter, ProcessTimeline, RequestError, TimelineEntry, list_processes,
    request_process, show_process,
};
pub use record::{InputRecord, PROCESS_STARTED_TYPE, ProcessRecord};
pub use runner::{ProcessRunner, ProcessStats, RefusedInstance};

use std::time::Duration;

use factum_core::{EventId, Position, RecordedEvent, Revision, Timestamp};
use serde_json::Value;

use crate::{CommandMetadata, Event};

/// The rules of one process that reacts to events, waits, and asks other deciders for things: as pure functions.
///
/// Nothing here does I/O, reads the clock or knows a store. State, event and command are plain types; the runner needs
/// `Serialize` and `DeserializeOwned` of the command, because what is outstanding survives a restart.
///
/// ```
/// use std::time::Duration;
/// use factum::{Dispatch, Effect, Event, EventSource, ProcessInput, ProcessManager};
///
/// #[derive(Debug, PartialEq, Event)]
/// enum OrderEvent {
///     Submitted { order: String, cents: u64 },
///     Cancelled { order: String },
/// }
///
/// #[derive(Debug, PartialEq)]
/// enum Command { Charge { cents: u64 }, Refund { cents: u64 }, Ship }
///
/// struct Checkout;
///
/// impl ProcessManager for Checkout {
///     type State = u64;
///     type Event = OrderEvent;
///     type Command = Command;
///
///     fn name(&self) -> &'static str { "checkout" }
///     fn steps(&self) -> &'static [&'static str] { &["charge", "ship"] }
///
///     fn correlate(&self, event: &OrderEvent, _: &EventSource) -> Option<String> {
///         match event {
///             OrderEvent::Submitted { order, .. } | OrderEvent::Cancelled { order } => Some(order.clone()),
///         }
///     }
///     fn starts_on(&self, event: &OrderEvent) -> bool { matches!(event, OrderEvent::Submitted { .. }) }
///     fn initial_state(&self, _: &str) -> u64 { 0 }
///
///     fn evolve(&self, cents: &mut u64, input: &ProcessInput<OrderEvent>) {
///         if let ProcessInput::Event(OrderEvent::Submitted { cents: asked, .. }) = input { *cents = *asked; }
///     }
///
///     fn react(&self, cents: &u64, input: &ProcessInput<OrderEvent>) -> Vec<Effect<Command>> {
///         match input {
///             ProcessInput::Event(OrderEvent::Submitted { .. }) => vec![
///                 Dispatch::new("charge", Command::Charge { cents: *cents })
///                     .undo(Command::Refund { cents: *cents })
///                     .into(),
///                 Effect::start_timer("deadline", Duration::from_secs(3_600)),
///             ],
///             ProcessInput::StepDone { step, .. } if step == "charge" => {
///                 vec![Dispatch::new("ship", Command::Ship).pivot().into()]
///             }
///             ProcessInput::StepDone { .. } => vec![Effect::Complete],
///             ProcessInput::StepRejected { step, reason } => vec![Effect::fail(format!("{step}: {reason}"))],
///             ProcessInput::Timeout { .. } => vec![Effect::fail("too late")],
///             ProcessInput::Event(OrderEvent::Cancelled { .. }) => vec![Effect::fail("cancelled")],
///         }
///     }
/// }
///
/// use factum::given_process;
/// given_process(Checkout, "17", [OrderEvent::Submitted { order: "17".into(), cents: 500 }])
///     .when(ProcessInput::done("charge"))
///     .then([Dispatch::new("ship", Command::Ship).pivot().into()]);
/// ```
pub trait ProcessManager {
    /// What the process knows of one instance: a fold of its inputs.
    type State;
    /// What it listens to.
    type Event: Event;
    /// What it asks for.
    type Command;

    /// The name of the process and the category of its instance streams: no `-`, `:` or `$`. Never changed once used.
    fn name(&self) -> &'static str;

    /// Every step that `react` may dispatch. Step names are kept with the instances: a build that lacks the name of a
    /// step that an open instance has come to refuses that instance.
    fn steps(&self) -> &'static [&'static str];

    /// The version of these rules. Raise it with a change that instances under way must not see.
    fn version(&self) -> u32 {
        1
    }

    /// Whether instances that began under another version go on under these rules. Those that do not are refused, loudly,
    /// until a build comes that goes on with them.
    fn continues(&self, version: u32) -> bool {
        version == self.version()
    }

    /// Which instance an event belongs to; `None`: to no instance of this process. Match without `_`, so that a new kind
    /// of event does not compile before it has a rule.
    fn correlate(&self, event: &Self::Event, source: &EventSource) -> Option<String>;

    /// Whether an event begins an instance that is not there yet. Any other event of an unknown instance is ignored
    /// and counted.
    fn starts_on(&self, event: &Self::Event) -> bool;

    /// The state of an instance before its first input.
    fn initial_state(&self, instance: &str) -> Self::State;

    /// What `input` makes of `state`. It has happened: this cannot refuse it. An input that comes too late, such as a
    /// timeout, is ignored here.
    fn evolve(&self, state: &mut Self::State, input: &ProcessInput<Self::Event>);

    /// What follows from `input`, given the state *after* it. Called once for each input, and never in a replay.
    fn react(&self, state: &Self::State, input: &ProcessInput<Self::Event>) -> Vec<Effect<Self::Command>>;
}

/// Something that an instance learns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessInput<E> {
    /// An event that correlates with the instance.
    Event(E),
    /// A timer that the instance had started went off.
    Timeout {
        /// The timer's name.
        name: String,
    },
    /// A command that the instance had dispatched took effect.
    StepDone {
        /// The step.
        step: String,
        /// What the dispatcher said of it; `Null` where it said nothing.
        result: Value,
    },
    /// The target refused a command that the instance had dispatched: an answer of its domain, and final.
    StepRejected {
        /// The step.
        step: String,
        /// Why.
        reason: String,
    },
}

impl<E> ProcessInput<E> {
    /// The step took effect.
    pub fn done(step: impl Into<String>) -> Self {
        ProcessInput::StepDone { step: step.into(), result: Value::Null }
    }

    /// The step was refused.
    pub fn rejected(step: impl Into<String>, reason: impl Into<String>) -> Self {
        ProcessInput::StepRejected { step: step.into(), reason: reason.into() }
    }

    /// The timer went off.
    pub fn timeout(name: impl Into<String>) -> Self {
        ProcessInput::Timeout { name: name.into() }
    }
}

/// What the log says about an event, beside the event itself: for correlation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSource {
    /// Its stream.
    pub stream: String,
    /// Its number in the stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// When it happened.
    pub happened_at: Timestamp,
    /// Who caused it, as part of what.
    pub metadata: CommandMetadata,
}

impl EventSource {
    /// What the log says about `event`.
    pub fn of(event: &RecordedEvent) -> Self {
        Self {
            stream: event.stream().to_owned(),
            revision: event.revision(),
            position: event.position(),
            happened_at: event.happened_at(),
            metadata: CommandMetadata::of(event),
        }
    }

    /// The instance of `process` that dispatched the command behind this event, if the command kept the metadata that it
    /// was delivered with, and the instance began with an event that had no correlation of its own.
    pub fn instance_of(&self, process: &str) -> Option<&str> {
        self.metadata.correlation.as_deref()?.strip_prefix(process)?.strip_prefix('-')
    }
}

/// What follows from an input, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<C> {
    /// A command goes out, at least once, with an identity that makes a repetition harmless.
    Dispatch(Dispatch<C>),
    /// What will undo a step that is done, where that depends on its result. Replaces the undo given at dispatch.
    SetUndo {
        /// The step; where it was done several times, the last one.
        step: String,
        /// The command that undoes it.
        command: C,
    },
    /// A timer goes off so much later. A timer of the same name starts anew.
    StartTimer {
        /// Its name within the instance.
        name: String,
        /// How long from now, by the runner's clock.
        after: Duration,
    },
    /// A timer goes off then. A timer of the same name starts anew.
    StartTimerAt {
        /// Its name within the instance.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// The timer does not go off. No effect where there is none.
    CancelTimer {
        /// Its name within the instance.
        name: String,
    },
    /// The process is over: timers are dropped, later inputs ignored. Commands that are out are still carried out.
    Complete,
    /// The process cannot go on: once the commands that are out have an answer, the done steps are undone, the last
    /// one first. After a pivot step an operator is called instead.
    Fail {
        /// Why, for people.
        reason: String,
    },
}

impl<C> Effect<C> {
    /// A command without undo.
    pub fn dispatch(step: impl Into<String>, command: C) -> Self {
        Dispatch::new(step, command).into()
    }

    /// A timer that goes off `after` from now.
    pub fn start_timer(name: impl Into<String>, after: Duration) -> Self {
        Effect::StartTimer { name: name.into(), after }
    }

    /// A timer that goes off at that moment.
    pub fn start_timer_at(name: impl Into<String>, at: Timestamp) -> Self {
        Effect::StartTimerAt { name: name.into(), at }
    }

    /// No such timer any more.
    pub fn cancel_timer(name: impl Into<String>) -> Self {
        Effect::CancelTimer { name: name.into() }
    }

    /// The end, for this reason.
    pub fn fail(reason: impl Into<String>) -> Self {
        Effect::Fail { reason: reason.into() }
    }
}

/// A command on its way: which step it is, and what would undo it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch<C> {
    /// The step, one of [`ProcessManager::steps`].
    pub step: String,
    /// The command.
    pub command: C,
    /// What undoes it once it is done.
    pub undo: Option<C>,
    /// Whether this is the point of no return: once it is done, nothing is undone any more.
    pub pivot: bool,
}

impl<C> Dispatch<C> {
    /// This command as this step.
    pub fn new(step: impl Into<String>, command: C) -> Self {
        Self { step: step.into(), command, undo: None, pivot: false }
    }

    /// Undone by this command.
    #[must_use]
    pub fn undo(mut self, command: C) -> Self {
        self.undo = Some(command);
        self
    }

    /// As the point of no return.
    #[must_use]
    pub fn pivot(mut self) -> Self {
        self.pivot = true;
        self
    }
}

impl<C> From<Dispatch<C>> for Effect<C> {
    fn from(dispatch: Dispatch<C>) -> Self {
        Effect::Dispatch(dispatch)
    }
}

/// What the log calls an event's identity, or why it has none.
fn identity(event: &RecordedEvent) -> Result<EventId, ProcessError> {
    if event.id().0.is_nil() {
        return Err(ProcessError::NoIdentity {
            stream: event.stream().to_owned(),
            position: event.position(),
        });
    }
    Ok(event.id())
}
