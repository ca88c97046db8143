//! Where does every instance stand, asked again and again? What was folded is kept, and each look reads what came since.

use std::collections::BTreeMap;

use factum_core::{
    Category, EventStore, EventType, Page, Position, Query, QueryItem, Read, ReadFrom, RecordedEvent,
    Selector,
};

use super::ProcessError;
use super::instance::ProcessInstance;
use super::load::{fold, record_in};
use super::operate::{ProcessFilter, REQUESTED_TYPE};
use super::record::{CHECKPOINT_TYPE, OWNER_TYPE, ProcessRecord, RECORD_TYPES};

/// Most instances that are kept. Above it those that are over are not.
const MAX_KEPT: usize = 100_000;

/// Where the instances stand, as far as the log was read.
#[derive(Clone, Debug)]
pub struct KnownProcesses {
    /// Only this process; none: every one.
    process: Option<String>,
    /// The first position that was not looked at.
    next: Position,
    /// By their streams.
    instances: BTreeMap<String, ProcessInstance>,
    /// Above so many, those that are over are not kept.
    most: usize,
    /// Whether some were not.
    forgot: bool,
}

impl Default for KnownProcesses {
    fn default() -> Self {
        Self { process: None, next: Position(0), instances: BTreeMap::new(), most: MAX_KEPT, forgot: false }
    }
}

impl KnownProcesses {
    /// Of every process, and nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For one look, at one process or at all of them: nothing is left out.
    pub(super) fn once(process: Option<String>) -> Self {
        Self { process, most: usize::MAX, ..Self::default() }
    }

    /// Reads what was recorded since the last time.
    ///
    /// # Errors
    /// Where the store cannot be read, or an instance stream holds what no runner wrote. What was read before that counts.
    pub async fn catch_up(&mut self, store: &dyn EventStore) -> Result<(), ProcessError> {
        let read = Read::forwards(self.selector()?).from(ReadFrom::Position(self.next));
        let mut reader = store.read(read).await?;
        while let Some(Page { events, .. }) = reader.next_page().await? {
            for event in &events {
                self.take(event)?;
                self.next = Position(event.position().0.saturating_add(1));
            }
        }
        Ok(())
    }

    fn selector(&self) -> Result<Selector, ProcessError> {
        if let Some(process) = &self.process {
            let category = Category::new(process.as_str());
            return category
                .map(Selector::Category)
                .map_err(|error| ProcessError::name(process, "a process", error));
        }
        let of_instances = RECORD_TYPES.iter().filter(|name| is_of_instance(name));
        let types: Result<Vec<_>, _> = of_instances.map(|name| EventType::new(*name)).collect();
        Ok(Selector::Query(Query::item(QueryItem::types(types.map_err(ProcessError::constant)?))))
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<(), ProcessError> {
        if !is_of_instance(event.event_type()) || !event.event_type().starts_with("$process") {
            return Ok(());
        }
        let record: ProcessRecord = record_in(event)?;
        let known = self.instances.remove(event.stream());
        if let Some(instance) = fold(known, &record, event) {
            self.instances.insert(event.stream().to_owned(), instance);
        }
        if self.instances.len() > self.most {
            self.forget_ended();
        }
        Ok(())
    }

    fn forget_ended(&mut self) {
        let before = self.instances.len();
        self.instances.retain(|_, instance| !instance.stage().is_over());
        self.forgot |= self.instances.len() < before;
        // Those that are not over are kept, however many: they are looked for again when there are twice as many.
        self.most = self.most.max(self.instances.len().saturating_mul(2));
    }

    /// Those that pass, in the order of their beginning; `None` where some that could pass were not kept, and the log has
    /// to be asked: [`list_processes`](super::list_processes).
    pub fn list(&self, filter: &ProcessFilter) -> Option<Vec<ProcessInstance>> {
        if self.forgot && filter.wants_ended() {
            return None;
        }
        let of_process = |instance: &&ProcessInstance| {
            filter.process.as_deref().is_none_or(|wanted| wanted == instance.process)
        };
        let passing =
            self.instances.values().filter(of_process).filter(|instance| filter.passes(instance)).cloned();
        let mut passing: Vec<ProcessInstance> = passing.collect();
        passing.sort_by_key(|instance| instance.born);
        Some(passing)
    }
}

/// Whether a record of this type stands in an instance's stream.
fn is_of_instance(event_type: &str) -> bool {
    ![OWNER_TYPE, CHECKPOINT_TYPE, REQUESTED_TYPE].contains(&event_type)
}
