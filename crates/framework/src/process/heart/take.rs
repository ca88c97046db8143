//! What happens when an input comes? It is taken, held or ignored; a request is obeyed; a state is folded again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use factum_core::{ExpectedRevision, Position, RecordedEvent, Revision, StreamName, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Heart, Slot, Taken};
use crate::CommandMetadata;
use crate::process::instance::{Made, ProcessInstance, ProcessStage};
use crate::process::operate::{OperatorAction, REQUESTED_TYPE, refusal};
use crate::process::record::{
    Failing, Input, InputHeld, InputRecord, ProcessRecord, Quarantined, Requested, Resumed, Started,
};
use crate::process::{EventSource, MAX_INSTANCE_BYTES, ProcessError, ProcessInput, ProcessManager, identity};

impl<P> Heart<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned,
{
    /// Takes one event of the log: a domain event or an operator's request.
    pub(in crate::process) fn take_event(
        &mut self,
        event: &RecordedEvent,
        now: Timestamp,
    ) -> Result<Taken, ProcessError> {
        if event.position() < self.next {
            return Ok(Taken::Done);
        }
        if event.event_type() == REQUESTED_TYPE {
            self.take_request(event, now);
            self.seen_to(event.position().next());
            return Ok(Taken::Done);
        }
        identity(event)?;
        if event.is_redacted() {
            self.stats.redacted += 1;
            self.seen_to(event.position().next());
            return Ok(Taken::Done);
        }
        let typed = self.codec.decode(event).map_err(|source| ProcessError::Decode {
            process: self.process.name().to_owned(),
            source: Box::new(source),
        })?;
        let about = EventSource::of(event);
        let taken = match self.process.correlate(&typed, &about) {
            None => {
                self.stats.uncorrelated += 1;
                Taken::Done
            }
            Some(instance) => self.take_correlated(&instance, event, typed, &about, now)?,
        };
        if taken == Taken::Done {
            self.seen_to(event.position().next());
        }
        Ok(taken)
    }

    fn take_correlated(
        &mut self,
        instance: &str,
        event: &RecordedEvent,
        typed: P::Event,
        about: &EventSource,
        now: Timestamp,
    ) -> Result<Taken, ProcessError> {
        if self.ended.contains(instance) {
            self.stats.too_late += 1;
            return Ok(Taken::Done);
        }
        if let Some(slot) = self.slots.get(instance) {
            if slot.instance.is_ended() {
                self.stats.too_late += 1;
                return Ok(Taken::Done);
            }
            if let Some(key) = self.needs_state(instance) {
                return Ok(Taken::NeedsState(key));
            }
        } else if self.process.starts_on(&typed) {
            self.start(instance, event.position(), about, now)?;
        } else {
            self.stats.unknown += 1;
            return Ok(Taken::Done);
        }
        let input = InputRecord::of(event);
        self.change(instance, now, |heart, slot| {
            let metadata = slot.because(event.id().to_string());
            heart.take(slot, input, Some(ProcessInput::Event(typed)), &metadata, now);
        });
        Ok(Taken::Done)
    }

    fn start(
        &mut self,
        instance: &str,
        born: Position,
        about: &EventSource,
        now: Timestamp,
    ) -> Result<(), ProcessError> {
        let name = self.process.name();
        if instance.is_empty() || instance.len() > MAX_INSTANCE_BYTES {
            let why = format!("give it 1 to {MAX_INSTANCE_BYTES} bytes");
            return Err(ProcessError::name(instance, "an instance", why));
        }
        let text = format!("{name}-{instance}");
        let stream =
            StreamName::new(text.clone()).map_err(|e| ProcessError::name(instance, "an instance", e))?;
        let started = Started {
            process: name.to_owned(),
            instance: instance.to_owned(),
            version: self.process.version(),
            position: born.0,
            correlation: about.metadata.correlation.clone().unwrap_or(text),
        };
        let metadata = CommandMetadata::new().correlation(started.correlation.clone()).to_json();
        let record = ProcessRecord::Started(started);
        let made = Made { revision: Revision::START, id: self.id(&stream, Revision::START), at: now };
        let Some(begun) = ProcessInstance::begin(&record, made) else { return Ok(()) };
        let process = Arc::clone(&self.process);
        // Whoever panics here has no state, and is stopped when the input is taken.
        let state = catch_unwind(AssertUnwindSafe(|| process.initial_state(instance))).ok();
        self.states += 1;
        let key: Arc<str> = instance.into();
        let slot = Slot { key: Arc::clone(&key), stream, instance: begun, state };
        self.push(&slot, &record, made, ExpectedRevision::NoStream, metadata);
        self.slots.insert(key, slot);
        self.stats.started += 1;
        Ok(())
    }

    /// The instance, if it would need its state to take an input now.
    pub(super) fn needs_state(&self, instance: &str) -> Option<Arc<str>> {
        let slot = self.slots.get(instance)?;
        let takes = slot.instance.stage() == ProcessStage::Running && slot.instance.held.is_empty();
        (takes && slot.state.is_none()).then(|| Arc::clone(&slot.key))
    }

    /// Takes an input, or holds it while the instance stands still.
    pub(super) fn take(
        &mut self,
        slot: &mut Slot<P::State>,
        input: InputRecord,
        typed: Option<ProcessInput<P::Event>>,
        metadata: &Bytes,
        now: Timestamp,
    ) {
        let was_held = slot.instance.held.front() == Some(&input);
        let stands = slot.instance.trouble.is_some() || !slot.instance.held.is_empty();
        if stands && !was_held {
            self.stats.held += 1;
            self.write(slot, InputHeld { input }, metadata, now);
            return;
        }
        let Some(typed) = typed.filter(|_| slot.instance.stage() == ProcessStage::Running) else {
            self.stats.handled += 1;
            self.write(slot, Input { input }, metadata, now);
            return;
        };
        let records = match slot.state.as_mut() {
            None => Err("its first state could not be made".to_owned()),
            Some(state) => {
                let process = Arc::clone(&self.process);
                let effects = catch_unwind(AssertUnwindSafe(|| {
                    process.evolve(state, &typed);
                    process.react(state, &typed)
                }));
                effects
                    .map_err(|panic| format!("the process panicked: {}", panic_text(&*panic)))
                    .and_then(|effects| self.records_of(&slot.instance, effects, now))
            }
        };
        match records {
            Ok(records) => {
                self.stats.handled += 1;
                self.write(slot, Input { input }, metadata, now);
                for record in records {
                    self.write(slot, record, metadata, now);
                }
            }
            Err(cause) => {
                slot.state = None;
                if !was_held {
                    self.write(slot, InputHeld { input }, metadata, now);
                }
                self.quarantine(slot, cause, metadata, now);
            }
        }
        if slot.instance.stage() != ProcessStage::Running {
            slot.state = None;
        }
    }

    fn quarantine(&mut self, slot: &mut Slot<P::State>, cause: String, metadata: &Bytes, now: Timestamp) {
        self.stats.quarantined += 1;
        self.write(slot, Quarantined { cause, command_id: None, refused: None }, metadata, now);
    }

    fn take_request(&mut self, event: &RecordedEvent, now: Timestamp) {
        let Ok(Some(ProcessRecord::Requested(asked))) = ProcessRecord::read(event) else { return };
        if asked.process != self.process.name() || !self.slots.contains_key(asked.instance.as_str()) {
            self.stats.unknown += 1;
            return;
        }
        let instance = asked.instance.clone();
        self.change(&instance, now, |heart, slot| heart.obey(slot, asked, event, now));
    }

    fn obey(&mut self, slot: &mut Slot<P::State>, asked: Requested, event: &RecordedEvent, now: Timestamp) {
        let Requested { action, actor, reason, .. } = asked;
        // What is undone was recorded with its step, so that any build can cancel.
        let lacks = slot.instance.refused_by(&*self.process).filter(|_| action != "cancel");
        let lacks = lacks.map(|lacks| format!("this build cannot go on with it: {lacks}"));
        let refused = refusal(&slot.instance, &action).or(lacks);
        let done = refused.is_none();
        let input = InputRecord::Operator {
            position: event.position().0,
            action: action.clone(),
            actor: actor.clone(),
            reason: reason.clone(),
            refused,
        };
        let metadata = slot.because(event.id().to_string());
        self.write(slot, Input { input }, &metadata, now);
        if !done {
            return;
        }
        let answered = by_hand(&slot.instance, &action, &reason);
        if slot.instance.trouble.is_some() {
            let resumed = Resumed { actor: actor.clone(), reason: reason.clone() };
            self.write(slot, resumed, &metadata, now);
        }
        if action == "cancel" {
            slot.state = None;
            let reason = format!("cancelled by {actor}: {reason}");
            self.write(slot, Failing { reason }, &metadata, now);
        }
        if let Some(input) = answered {
            // It waits for its turn like what is held before it.
            self.write(slot, InputHeld { input }, &metadata, now);
        }
    }

    /// The instance whose held input is next, and that input.
    pub(in crate::process) fn next_held(&self) -> Option<(Arc<str>, InputRecord)> {
        let key = self.backlog.first()?;
        Some((Arc::clone(key), self.slots.get(key)?.instance.held.front()?.clone()))
    }

    /// Whether a held input needs its event and the instance's state to be taken.
    pub(in crate::process) fn held_needs_state(&self, key: &str) -> bool {
        self.slots
            .get(key)
            .is_some_and(|slot| slot.instance.stage() == ProcessStage::Running && slot.state.is_none())
    }

    /// Takes the oldest input that an instance holds; `event` is the event that it refers to.
    pub(in crate::process) fn take_held(&mut self, key: &str, event: Option<&RecordedEvent>, now: Timestamp) {
        self.change(key, now, |heart, slot| {
            let Some(input) = slot.instance.held.front().cloned() else { return };
            let metadata = slot.because(String::new());
            match heart.typed(&input, event) {
                Ok(typed) => heart.take(slot, input, typed, &metadata, now),
                Err(_) if slot.instance.stage() != ProcessStage::Running => {
                    heart.take(slot, input, None, &metadata, now);
                }
                Err(cause) => heart.quarantine(slot, cause, &metadata, now),
            }
        });
    }

    /// The input as the process knows it; `None` for an operator's request.
    fn typed(
        &self,
        input: &InputRecord,
        event: Option<&RecordedEvent>,
    ) -> Result<Option<ProcessInput<P::Event>>, String> {
        Ok(Some(match input {
            InputRecord::Event { position, stream, .. } => {
                let event = event.ok_or_else(|| {
                    format!("the event at position {position} of '{stream}' is not in the log any more")
                })?;
                ProcessInput::Event(self.codec.decode(event).map_err(|e| e.to_string())?)
            }
            InputRecord::Timer { name, .. } => ProcessInput::Timeout { name: name.clone() },
            InputRecord::Done { step, result, .. } => {
                ProcessInput::StepDone { step: step.clone(), result: result.clone() }
            }
            InputRecord::Rejected { step, reason, .. } => {
                ProcessInput::StepRejected { step: step.clone(), reason: reason.clone() }
            }
            InputRecord::Operator { .. } => return Ok(None),
        }))
    }

    /// Folds the state of an instance again from the inputs that it took. Only `evolve` is called. Where that fails, the
    /// instance is quarantined.
    pub(in crate::process) fn restore(
        &mut self,
        key: &str,
        inputs: &[(InputRecord, Option<RecordedEvent>)],
        now: Timestamp,
    ) {
        let process = Arc::clone(&self.process);
        let fold = || {
            let mut state = process.initial_state(key);
            for (input, event) in inputs {
                if let Some(typed) = self.typed(input, event.as_ref())? {
                    process.evolve(&mut state, &typed);
                }
            }
            Ok(state)
        };
        let state = catch_unwind(AssertUnwindSafe(fold)).unwrap_or_else(|panic| {
            Err(format!("the process panicked in a replay: {}", panic_text(&*panic)))
        });
        self.states += 1;
        self.stats.restored += 1;
        match state {
            Ok(state) => {
                if let Some(slot) = self.slots.get_mut(key) {
                    slot.state = Some(state);
                }
            }
            Err(cause) => {
                self.change(key, now, |heart, slot| {
                    let metadata = slot.because(String::new());
                    heart.quarantine(slot, cause, &metadata, now);
                });
            }
        }
    }
}

/// The answer that an operator gives in place of the target: to the oldest command that was given up on.
fn by_hand(instance: &ProcessInstance, action: &str, reason: &str) -> Option<InputRecord> {
    let out = instance.outstanding.iter().find(|out| out.parked)?;
    let (step, command_id, attempt) = (out.step.clone(), out.command_id.clone(), out.attempts);
    match action.parse() {
        Ok(OperatorAction::Done) => {
            Some(InputRecord::Done { step, command_id, result: Value::Null, attempt })
        }
        Ok(OperatorAction::Rejected) => {
            Some(InputRecord::Rejected { step, command_id, reason: reason.to_owned(), attempt })
        }
        _ => None,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
