//! What does a process runner decide? Inputs in; the append that records them, and the commands to carry out, back.
//!
//! No threads, no I/O, no clock: the shell in `runner` feeds it, appends what [`Heart::flush`] gives, and only then asks
//! for deliveries. Where an append fails, the heart is thrown away and made anew from the log.

mod effects;
mod index;
mod settle;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use factum_core::{
    Append, Appended, EventId, ExpectedRevision, NewEvent, Position, RecordedEvent, Revision, StreamName,
    StreamWrite, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::instance::{Made, ProcessInstance, ProcessStage};
use super::operate::refusal;
use super::record::{
    Failing, Input, InputHeld, InputRecord, ProcessRecord, Quarantined, Requested, Resumed, Started,
};
use super::{
    EventSource, MAX_INSTANCE_BYTES, ProcessError, ProcessInput, ProcessManager, ProcessStats, RetryBudget,
    identity,
};
use crate::{Codec, CommandMetadata};

/// The namespace of the ids of records.
const RECORDS: Uuid = Uuid::from_u128(0x51c8_07f4_2a6e_4d19_9b35_e0d7_8c1f_64a2);
/// Most instances whose state is kept in memory; beyond, states are folded again when they are needed.
const MAX_STATES: usize = 100_000;
/// Who goes on with what a build did not know, once one does.
const ITSELF: &str = "factum";

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is taken, held or ignored.
    Done,
    /// Nothing happened: the state of this instance must be restored first.
    NeedsState(Arc<str>),
}

/// One instance in memory.
struct Slot<S> {
    key: Arc<str>,
    stream: StreamName,
    instance: ProcessInstance,
    state: Option<S>,
}

/// The decisions of one process, over all its instances that are not over.
pub(super) struct Heart<P: ProcessManager> {
    process: Arc<P>,
    codec: Codec<P::Event>,
    budget: RetryBudget,
    /// The runner's number: no two runners have the same, so their records have different ids.
    epoch: u64,
    slots: HashMap<Arc<str>, Slot<P::State>>,
    /// Instances that are over.
    ended: HashSet<Arc<str>>,
    /// Timers by due time.
    timers: BTreeSet<(Timestamp, Arc<str>, String)>,
    /// Commands by the time of their next attempt.
    dispatches: BTreeSet<(Timestamp, Arc<str>, String)>,
    /// Commands that are being carried out.
    in_flight: HashSet<String>,
    /// Instances that may take the inputs that they hold.
    backlog: BTreeSet<Arc<str>>,
    /// What is decided and not yet appended, one write per stream.
    batch: Vec<StreamWrite>,
    batch_at: HashMap<Arc<str>, usize>,
    batch_bytes: usize,
    /// States in memory, about.
    states: usize,
    /// The next position to look at.
    next: Position,
    /// What a restart would begin with, and what it would with the append to come.
    recorded: Position,
    to_record: Position,
    pub(super) stats: ProcessStats,
}

impl<P> Heart<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned,
{
    pub(super) fn new(process: Arc<P>, codec: Codec<P::Event>, budget: RetryBudget, epoch: u64) -> Self {
        Self {
            process,
            codec,
            budget,
            epoch,
            slots: HashMap::new(),
            ended: HashSet::new(),
            timers: BTreeSet::new(),
            dispatches: BTreeSet::new(),
            in_flight: HashSet::new(),
            backlog: BTreeSet::new(),
            batch: Vec::new(),
            batch_at: HashMap::new(),
            batch_bytes: 0,
            states: 0,
            next: Position::START,
            recorded: Position::START,
            to_record: Position::START,
            stats: ProcessStats::default(),
        }
    }

    /// Learns one record of the category, in log order. Nothing comes of it but knowledge.
    pub(super) fn recover(&mut self, event: &RecordedEvent) -> Result<(), ProcessError> {
        let malformed = |why: String| ProcessError::Record {
            stream: event.stream().to_owned(),
            revision: event.revision(),
            why,
        };
        let record = ProcessRecord::read(event).map_err(|e| malformed(e.to_string()))?;
        // Others may write beside: what is not a record says nothing.
        let Some(record) = record else { return Ok(()) };
        if let ProcessRecord::Input(Input { input }) | ProcessRecord::InputHeld(InputHeld { input }) = &record
        {
            self.looked_to(input.position().map_or(Position::START, |at| Position(at).next()));
        }
        let made = Made { revision: event.revision(), id: event.id(), at: event.recorded_at() };
        let key = event.stream().strip_prefix(self.process.name()).and_then(|rest| rest.strip_prefix('-'));
        let key = key.ok_or_else(|| malformed("the stream is of another process".to_owned()))?;
        if let Some(slot) = self.slots.get_mut(key) {
            slot.instance.apply(&record, made);
            return Ok(());
        }
        let instance = ProcessInstance::begin(&record, made)
            .ok_or_else(|| malformed("an instance stream begins with $processStarted".to_owned()))?;
        let stream = StreamName::new(event.stream()).map_err(ProcessError::constant)?;
        let key: Arc<str> = key.into();
        self.slots.insert(Arc::clone(&key), Slot { key, stream, instance, state: None });
        Ok(())
    }

    /// Nothing before `next` is for this process, or it is recorded.
    pub(super) fn looked_to(&mut self, next: Position) {
        self.next = self.next.max(next);
        self.recorded = self.recorded.max(next);
    }

    /// Everything is recovered: the indexes are made, and instances that this build does not understand are stopped.
    pub(super) fn recovered(&mut self, now: Timestamp) {
        let keys: Vec<_> = self.slots.keys().cloned().collect();
        for key in keys {
            self.change(&key, now, |heart, slot| {
                let unknown = slot.instance.unknown_step(heart.process.steps()).map(str::to_owned);
                let stopped = slot.instance.trouble.as_ref().map(|trouble| trouble.unknown_step.clone());
                match (unknown, stopped) {
                    (Some(step), None) if slot.instance.stage() == ProcessStage::Running => {
                        let cause = format!("this build of '{}' has no step '{step}'", heart.process.name());
                        let record = Quarantined { cause, command_id: None, unknown_step: Some(step) };
                        heart.write(slot, record, &Bytes::new(), now);
                    }
                    (None, Some(Some(step))) => {
                        let reason = format!("this build knows step '{step}'");
                        heart.write(slot, Resumed { actor: ITSELF.to_owned(), reason }, &Bytes::new(), now);
                    }
                    _ => {}
                }
            });
        }
    }

    /// The next position to look at.
    pub(super) fn next_position(&self) -> Position {
        self.next
    }

    /// How many positions were looked at since the last one that a restart would find.
    pub(super) fn unrecorded(&self) -> u64 {
        self.next.0.saturating_sub(self.recorded.0)
    }

    /// The subscription has looked this far.
    pub(super) fn seen_to(&mut self, next: Position) {
        self.next = self.next.max(next);
    }

    /// The instances that are not over.
    pub(super) fn instances(&self) -> impl Iterator<Item = &ProcessInstance> {
        self.slots.values().map(|slot| &slot.instance)
    }

    /// Takes one event of the log: a domain event or an operator's request.
    pub(super) fn take_event(
        &mut self,
        event: &RecordedEvent,
        now: Timestamp,
    ) -> Result<Taken, ProcessError> {
        if event.position() < self.next {
            return Ok(Taken::Done);
        }
        if event.event_type() == super::operate::REQUESTED_TYPE {
            self.take_request(event, now);
            self.seen_to(event.position().next());
            return Ok(Taken::Done);
        }
        identity(event)?;
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
        if self.slots.contains_key(instance) {
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
    fn needs_state(&self, instance: &str) -> Option<Arc<str>> {
        let slot = self.slots.get(instance)?;
        let takes = slot.instance.stage() == ProcessStage::Running && slot.instance.held.is_empty();
        (takes && slot.state.is_none()).then(|| Arc::clone(&slot.key))
    }

    /// Takes an input, or holds it while the instance stands still.
    fn take(
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
        self.write(slot, Quarantined { cause, command_id: None, unknown_step: None }, metadata, now);
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
        let unknown = slot.instance.unknown_step(self.process.steps()).filter(|_| action == "retry");
        let unknown = unknown.map(|step| format!("this build has no step '{step}'"));
        let refused = refusal(&slot.instance, &action).or(unknown);
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
        if slot.instance.trouble.is_some() {
            let resumed = Resumed { actor: actor.clone(), reason: reason.clone() };
            self.write(slot, resumed, &metadata, now);
        }
        if action == "cancel" {
            slot.state = None;
            let reason = format!("cancelled by {actor}: {reason}");
            self.write(slot, Failing { reason }, &metadata, now);
        }
    }

    /// The instance whose held input is next, and that input.
    pub(super) fn next_held(&self) -> Option<(Arc<str>, InputRecord)> {
        let key = self.backlog.first()?;
        Some((Arc::clone(key), self.slots.get(key)?.instance.held.front()?.clone()))
    }

    /// Whether a held input needs its event and the instance's state to be taken.
    pub(super) fn held_needs_state(&self, key: &str) -> bool {
        self.slots
            .get(key)
            .is_some_and(|slot| slot.instance.stage() == ProcessStage::Running && slot.state.is_none())
    }

    /// Takes the oldest input that an instance holds; `event` is the event that it refers to.
    pub(super) fn take_held(&mut self, key: &str, event: Option<&RecordedEvent>, now: Timestamp) {
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
    pub(super) fn restore(
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

    /// Changes one instance: what follows from its new stage follows, and the indexes are kept.
    fn change(&mut self, key: &str, now: Timestamp, act: impl FnOnce(&mut Self, &mut Slot<P::State>)) {
        let Some(mut slot) = self.slots.remove(key) else { return };
        self.unindex(&slot);
        act(self, &mut slot);
        self.compensate(&mut slot, now);
        if slot.instance.stage().is_over() {
            self.ended.insert(slot.key);
        } else {
            self.index(&slot);
            self.slots.insert(Arc::clone(&slot.key), slot);
        }
    }

    /// Records what happened to an instance.
    fn write(
        &mut self,
        slot: &mut Slot<P::State>,
        record: impl Into<ProcessRecord>,
        metadata: &Bytes,
        now: Timestamp,
    ) {
        let record = record.into();
        if let ProcessRecord::Input(Input { input }) | ProcessRecord::InputHeld(InputHeld { input }) = &record
        {
            self.to_record =
                self.to_record.max(input.position().map_or(Position::START, |at| Position(at).next()));
        }
        let expected = ExpectedRevision::Exact(slot.instance.revision);
        let revision = slot.instance.revision.next();
        let made = Made { revision, id: self.id(&slot.stream, revision), at: now };
        slot.instance.apply(&record, made);
        self.push(slot, &record, made, expected, metadata.clone());
    }

    fn push(
        &mut self,
        slot: &Slot<P::State>,
        record: &ProcessRecord,
        made: Made,
        expected: ExpectedRevision,
        metadata: Bytes,
    ) {
        let event = record.to_event(made.id, metadata);
        let event: NewEvent = event.unwrap_or_else(|_| unreachable!("the types of records are valid names"));
        self.batch_bytes += event.size_in(&slot.stream);
        let batch = &mut self.batch;
        let at = *self.batch_at.entry(Arc::clone(&slot.key)).or_insert_with(|| {
            batch.push(StreamWrite { stream: slot.stream.clone(), expected, events: Vec::new() });
            batch.len() - 1
        });
        self.batch[at].events.push(event);
    }

    /// The same for a repetition by this runner, another for any other runner.
    fn id(&self, stream: &StreamName, revision: Revision) -> EventId {
        EventId(Uuid::new_v5(&RECORDS, format!("{stream}@{revision}#{}", self.epoch).as_bytes()))
    }

    /// Whether something of this instance is decided and not yet appended.
    pub(super) fn is_pending(&self, key: &str) -> bool {
        self.batch_at.contains_key(key)
    }

    /// Instances and bytes in the append to come.
    pub(super) fn batch_size(&self) -> (usize, usize) {
        (self.batch.len(), self.batch_bytes)
    }

    /// What is to be appended, if anything is. Nothing of it may be carried out before it is.
    pub(super) fn flush(&mut self) -> Option<Append> {
        self.batch_at.clear();
        self.batch_bytes = 0;
        let writes = std::mem::take(&mut self.batch);
        (!writes.is_empty()).then(|| Append { writes, ..Append::default() })
    }

    /// The append was done.
    pub(super) fn committed(&mut self, appended: &Appended) {
        self.recorded = self.recorded.max(self.to_record);
        for written in &appended.streams {
            let key = written.stream[self.process.name().len()..].strip_prefix('-').unwrap_or_default();
            if let (Some(slot), Some(last)) = (self.slots.get_mut(key), written.last) {
                slot.instance.revision = last;
            }
        }
        if self.states > MAX_STATES {
            self.states = 0;
            self.slots.values_mut().for_each(|slot| slot.state = None);
        }
    }
}

impl<S> Slot<S> {
    /// The metadata of records that this event or record caused.
    fn because(&self, cause: String) -> Bytes {
        let metadata = CommandMetadata::new().correlation(self.instance.correlation.clone());
        if cause.is_empty() { metadata } else { metadata.causation(cause) }.to_json()
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
