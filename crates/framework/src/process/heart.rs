//! What does a process runner decide? Inputs in; the append that records them, and the commands to carry out, back.
//!
//! No threads, no I/O, no clock: the shell in `runner` feeds it, appends what [`Heart::flush`] gives, and only then asks
//! for deliveries. Where an append fails, the heart is thrown away and made anew from the log.

mod effects;
mod index;
mod settle;
mod take;

use std::collections::{BTreeSet, HashMap, HashSet};
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
use super::record::{Input, InputHeld, ProcessRecord, Quarantined, Resumed};
use super::{ProcessError, ProcessManager, ProcessStats, RetryBudget};
use crate::{Codec, CommandMetadata};

/// The namespace of the ids of records.
const RECORDS: Uuid = Uuid::from_u128(0x51c8_07f4_2a6e_4d19_9b35_e0d7_8c1f_64a2);
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
    /// States in memory, about, and how many there may be.
    states: usize,
    most_states: usize,
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
    pub(super) fn new(
        process: Arc<P>,
        codec: Codec<P::Event>,
        budget: RetryBudget,
        most_states: usize,
        epoch: u64,
    ) -> Self {
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
            most_states,
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
        // An instance whose beginning was deleted is over.
        let Some(instance) = ProcessInstance::begin(&record, made) else {
            self.ended.insert(key.into());
            return Ok(());
        };
        let stream = StreamName::new(event.stream()).map_err(ProcessError::constant)?;
        let key: Arc<str> = key.into();
        self.slots.insert(Arc::clone(&key), Slot { key, stream, instance, state: None });
        Ok(())
    }

    /// The instance's stream was deleted for ever: it is over.
    pub(super) fn bury(&mut self, key: &str) {
        self.slots.remove(key);
        self.ended.insert(key.into());
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
                let lacks = slot.instance.refused_by(&*heart.process);
                let stopped = slot.instance.trouble.as_ref().map(|trouble| trouble.refused.clone());
                match (lacks, stopped) {
                    (Some(lacks), None) if slot.instance.stage() == ProcessStage::Running => {
                        let cause =
                            format!("this build of '{}' cannot go on with it: {lacks}", heart.process.name());
                        let record = Quarantined { cause, command_id: None, refused: Some(lacks) };
                        heart.write(slot, record, &Bytes::new(), now);
                    }
                    (None, Some(Some(lacked))) => {
                        let reason =
                            format!("this build can go on with it; the last one could not: {lacked}");
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
        if self.states > self.most_states {
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
