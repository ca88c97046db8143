//! How a typed event becomes an event of the log and comes back.

use factum_core::{EventType, NameError, NewEvent, Position, RecordedEvent, SchemaVersion};

use crate::Event;

/// A recorded event that is not one of the events asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "event '{event_type}' version {version} of stream '{stream}' at position {position} cannot be read: {why}"
)]
pub struct DecodeError {
    /// The event's type.
    pub event_type: String,
    /// Its schema version.
    pub version: SchemaVersion,
    /// Its stream.
    pub stream: String,
    /// Its position.
    pub position: Position,
    /// What is wrong with it.
    pub why: String,
}

/// An event that has no form in the log.
#[derive(Debug, thiserror::Error)]
#[error("event '{event_type}' cannot be written: {why}")]
pub struct EncodeError {
    /// The event's type.
    pub event_type: &'static str,
    /// What is wrong with it.
    pub why: String,
}

pub(crate) fn encode<E: Event>(event: &E) -> Result<NewEvent, EncodeError> {
    let event_type = event.event_type();
    let name = |error: NameError| EncodeError { event_type, why: error.to_string() };
    let data = event.encode().map_err(|error| EncodeError { event_type, why: error.to_string() })?;
    let mut new = NewEvent::json(EventType::new(event_type).map_err(name)?, data)
        .with_schema_version(SchemaVersion(event.schema_version()));
    for tag in event.tags().map_err(name)? {
        new = new.with_tag(tag);
    }
    Ok(new)
}

pub(crate) fn decode<E: Event>(event: &RecordedEvent) -> Result<E, DecodeError> {
    let version = event.header().schema_version;
    let fail = |why: String| DecodeError {
        event_type: event.event_type().to_owned(),
        version,
        stream: event.stream().to_owned(),
        position: event.position(),
        why,
    };
    let kind = E::kinds()
        .iter()
        .find(|kind| kind.event_type == event.event_type())
        .ok_or_else(|| fail("it is of an unknown type".to_owned()))?;
    if version.0 > kind.version {
        return Err(fail(format!("the newest version known here is {}", kind.version)));
    }
    if version.0 == kind.version {
        return E::decode(event.event_type(), event.data_slice()).map_err(|error| fail(error.to_string()));
    }
    let mut value = serde_json::from_slice(event.data_slice()).map_err(|error| fail(error.to_string()))?;
    for step in kind.upcasters.iter().filter(|step| step.from >= version.0) {
        value = step.apply(value).map_err(&fail)?;
    }
    E::decode(event.event_type(), value.to_string().as_bytes()).map_err(|error| fail(error.to_string()))
}
