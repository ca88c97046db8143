//! What a decider is: the pure pair of `decide` and `evolve`, and what a decision may know besides the state.

use factum_core::{Position, RecordedEvent, Revision, StreamName, Timestamp};

use crate::{CommandId, CommandMetadata, Event};

/// The rules of one aggregate or one decision, as pure functions.
///
/// Nothing here does I/O, reads the clock or knows a store: whatever a decision needs to know is in the state, the
/// command or the [`Context`]. State, command and rejection are plain types without bounds.
///
/// ```
/// use factum::{Context, Decider, Event};
///
/// #[derive(Debug, PartialEq, Event)]
/// enum Light {
///     SwitchedOn,
/// }
///
/// struct LightDecider;
/// struct SwitchOn;
///
/// impl Decider for LightDecider {
///     type State = bool;
///     type Command = SwitchOn;
///     type Event = Light;
///     type Rejection = &'static str;
///
///     fn initial_state(&self) -> bool {
///         false
///     }
///     fn evolve(&self, on: &mut bool, event: &Light) {
///         match event {
///             Light::SwitchedOn => *on = true,
///         }
///     }
///     fn decide(&self, on: &bool, _: &SwitchOn, context: &Context) -> Result<Vec<Light>, &'static str> {
///         if context.actor().is_none() {
///             return Err("somebody must do it");
///         }
///         // Nothing to do is an answer too: no events.
///         Ok(if *on { vec![] } else { vec![Light::SwitchedOn] })
///     }
/// }
///
/// factum::given(LightDecider, []).as_actor("ada").when(SwitchOn).then([Light::SwitchedOn]);
/// factum::given(LightDecider, [Light::SwitchedOn]).as_actor("ada").when(SwitchOn).then_nothing();
/// factum::given(LightDecider, []).when(SwitchOn).then_rejected("somebody must do it");
/// ```
pub trait Decider {
    /// What past events come to, as far as decisions need it.
    type State;
    /// What may be asked.
    type Command;
    /// What may happen.
    type Event: Event;
    /// Why something may not happen: an answer of the domain, not a fault.
    type Rejection;

    /// The state before any event.
    fn initial_state(&self) -> Self::State;

    /// What `event` makes of `state`. It has happened: this cannot refuse it.
    fn evolve(&self, state: &mut Self::State, event: &Self::Event);

    /// What `event`, whose data was redacted, makes of `state`. Its names, times and reason are all that is left of it.
    ///
    /// Refused, unless this is written: a decision may not overlook a fact. To pass the event over, or to note in the state
    /// that something is missing, change the state and say [`OnRedacted::Folded`].
    fn evolve_redacted(&self, _state: &mut Self::State, _event: &RecordedEvent) -> OnRedacted {
        OnRedacted::Refused
    }

    /// What `command` leads to. No events: there is nothing to do.
    ///
    /// # Errors
    /// The domain's own reason why the command is refused.
    fn decide(
        &self,
        state: &Self::State,
        command: &Self::Command,
        context: &Context,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;
}

/// Whether a state can do without what an event said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRedacted {
    /// It can: the state says now what such an event means.
    Folded,
    /// It cannot: loading the state ends with an error that names the event.
    Refused,
}

/// What a decision may know besides the state and the command. It is given, never read from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The stream decided about; `None` for a decision over a query.
    pub stream: Option<StreamName>,
    /// The stream's last revision; `None` where it has no events, and for a decision over a query.
    pub revision: Option<Revision>,
    /// Position of the last event that the state rests on.
    pub position: Option<Position>,
    /// The time of the decision. One command has one, however often it is decided again.
    pub now: Timestamp,
    /// Who asks, why and as part of what.
    pub metadata: CommandMetadata,
}

impl Context {
    /// Who asks.
    pub fn actor(&self) -> Option<&str> {
        self.metadata.actor.as_deref()
    }

    /// The whole that the command is a part of.
    pub fn correlation(&self) -> Option<&str> {
        self.metadata.correlation.as_deref()
    }

    /// What led to the command.
    pub fn causation(&self) -> Option<&str> {
        self.metadata.causation.as_deref()
    }

    /// The command's identity.
    pub fn command_id(&self) -> Option<&CommandId> {
        self.metadata.command_id.as_ref()
    }

    /// When it happened: what the command says, or now.
    pub fn occurred_at(&self) -> Timestamp {
        self.metadata.occurred_at.unwrap_or(self.now)
    }
}
