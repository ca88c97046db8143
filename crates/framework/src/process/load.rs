//! How is what a process knows read back from the log?

use std::sync::Arc;

use factum_core::{
    Category, EventStore, EventStoreExt, Page, Position, Read, ReadError, ReadFrom, RecordedEvent, Selector,
    StreamName,
};

use super::instance::Made;
use super::record::{Input, InputRecord, ProcessRecord};
use super::{ProcessError, ProcessInstance};

/// Hands every event of the category of `process` to `each`, in log order.
pub(super) async fn each_record(
    store: &dyn EventStore,
    process: &str,
    mut each: impl FnMut(&RecordedEvent) -> Result<(), ProcessError>,
) -> Result<(), ProcessError> {
    let category = Category::new(process).map_err(|e| ProcessError::name(process, "a process", e))?;
    let mut reader = store.read(Read::forwards(Selector::Category(category))).await?;
    while let Some(Page { events, .. }) = reader.next_page().await? {
        for event in &events {
            each(event)?;
        }
    }
    Ok(())
}

/// The newest event of a stream that may not be there.
pub(super) async fn last_of(
    store: &Arc<dyn EventStore>,
    stream: &StreamName,
) -> Result<Option<RecordedEvent>, ReadError> {
    match store.last_event(stream.clone()).await {
        Err(ReadError::StreamNotFound { .. }) => Ok(None),
        result => result,
    }
}

/// The inputs that an instance took, with the events that they refer to: what its state is folded from.
pub(super) async fn inputs_of(
    store: &Arc<dyn EventStore>,
    stream: &StreamName,
) -> Result<Vec<(InputRecord, Option<RecordedEvent>)>, ProcessError> {
    let mut inputs = Vec::new();
    for event in store.read_all(Read::stream(stream.clone())).await? {
        if let ProcessRecord::Input(Input { input }) = record_in(&event)? {
            let source = event_of(store, &input).await?;
            inputs.push((input, source));
        }
    }
    Ok(inputs)
}

/// The event that an input refers to; `None` where it refers to none, or where the event is gone.
pub(super) async fn event_of(
    store: &Arc<dyn EventStore>,
    input: &InputRecord,
) -> Result<Option<RecordedEvent>, ReadError> {
    let InputRecord::Event { position, id, .. } = input else { return Ok(None) };
    let read = Read::forwards(Selector::All).from(ReadFrom::Position(Position(*position))).limit(1);
    let found = store.read_all(read).await?.pop();
    Ok(found.filter(|event| event.position().0 == *position && event.id().to_string() == *id))
}

/// The record in an event of an instance stream. What is not a record counts as nothing to know.
pub(super) fn record_in(event: &RecordedEvent) -> Result<ProcessRecord, ProcessError> {
    let malformed = |why: String| ProcessError::Record {
        stream: event.stream().to_owned(),
        revision: event.revision(),
        why,
    };
    ProcessRecord::read(event)
        .map_err(|e| malformed(e.to_string()))?
        .ok_or_else(|| malformed(format!("its type is '{}'", event.event_type())))
}

/// Folds one more record into an instance that may not have begun.
pub(super) fn fold(
    instance: Option<ProcessInstance>,
    record: &ProcessRecord,
    event: &RecordedEvent,
) -> Option<ProcessInstance> {
    let made = Made { revision: event.revision(), id: event.id(), at: event.recorded_at() };
    match instance {
        Some(mut instance) => {
            instance.apply(record, made);
            Some(instance)
        }
        None => ProcessInstance::begin(record, made),
    }
}
