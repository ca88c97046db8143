//! How does an event cross the wire?
//!
//! Type, content type and time travel in a map of texts. What Factum's events have beyond KurrentDB's (tags, the version
//! of the schema, when it happened) travels in the same map under names of our own, and only where it is not the
//! ordinary: other clients see nothing unusual, and ours loses nothing.

use std::collections::HashMap;

use bytes::Bytes;
use factum_core::{
    ContentType, EventType, NameError, NewEvent, RecordedEvent, SchemaVersion, Tag, Timestamp,
};

use crate::ids::{UuidError, UuidForm, uuid_from_wire, uuid_to_wire};
use crate::names::stream_to_wire;
use crate::wire::v1;

/// Key of the event's type.
pub(crate) const TYPE: &str = "type";
/// Key of the content type.
pub(crate) const CONTENT_TYPE: &str = "content-type";
/// Key of the time at which the log took the event.
pub(crate) const CREATED: &str = "created";
/// Key of the tags: a JSON array of texts.
pub(crate) const TAGS: &str = "factum-tags";
/// Key of the schema's version, where it is not 1.
pub(crate) const SCHEMA_VERSION: &str = "factum-schema-version";
/// Key of the time at which it happened, in ticks of 100 ns since 1970.
pub(crate) const OCCURRED_AT: &str = "factum-occurred-at";

/// The content type of JSON. Anything else is bytes.
pub(crate) const JSON: &str = "application/json";
/// The content type of bytes.
pub(crate) const OCTETS: &str = "application/octet-stream";

/// A time as clients read it: ticks of 100 ns since 1970.
pub fn ticks(at: Timestamp) -> i64 {
    at.0
}

/// The time of that many ticks.
pub fn timestamp_of_ticks(ticks: i64) -> Timestamp {
    Timestamp(ticks)
}

/// How a reader wants its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventForm {
    /// How ids are written.
    pub ids: UuidForm,
}

impl EventForm {
    /// Writes a recorded event.
    pub fn to_wire(self, event: &RecordedEvent) -> v1::RecordedEvent {
        let mut metadata = HashMap::with_capacity(3);
        metadata.insert(TYPE.to_owned(), event.event_type().to_owned());
        let content = match event.content_type() {
            ContentType::Json => JSON,
            ContentType::Binary => OCTETS,
        };
        metadata.insert(CONTENT_TYPE.to_owned(), content.to_owned());
        metadata.insert(CREATED.to_owned(), ticks(event.recorded_at()).to_string());
        if event.tags().next().is_some() {
            metadata.insert(TAGS.to_owned(), tags_text(event.tags()));
        }
        if event.schema_version() != SchemaVersion::FIRST {
            metadata.insert(SCHEMA_VERSION.to_owned(), event.schema_version().0.to_string());
        }
        if let Some(at) = event.occurred_at() {
            metadata.insert(OCCURRED_AT.to_owned(), at.0.to_string());
        }
        v1::RecordedEvent {
            id: Some(uuid_to_wire(event.id(), self.ids)),
            stream_identifier: Some(stream_to_wire(event.stream())),
            stream_revision: event.revision().0,
            prepare_position: event.position().0,
            commit_position: event.position().0,
            metadata,
            custom_metadata: event.metadata(),
            data: event.data(),
        }
    }
}

/// Tags as one JSON array of texts.
pub(crate) fn tags_text<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from(tags.map(str::to_owned).collect::<Vec<_>>()).to_string()
}

/// Why a proposed event cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposedError {
    /// It has no usable id.
    #[error(transparent)]
    Id(#[from] UuidError),
    /// It lacks a property that every event has.
    #[error("Required Metadata Property '{property}' is missing")]
    MissingProperty {
        /// `type` or `content-type`.
        property: &'static str,
    },
    /// Its type may not be used.
    #[error(transparent)]
    Type(#[from] NameError),
    /// A property of Factum's own cannot be read.
    #[error("'{property}' cannot be read: {why}")]
    Property {
        /// Its key.
        property: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A proposed event between the wire and the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed(pub NewEvent);

impl Proposed {
    /// Reads it. Data and metadata are taken as they are; whether they are JSON is not looked at.
    ///
    /// # Errors
    /// `ProposedError` with the part that is missing or wrong.
    pub fn from_wire(message: v1::ProposedMessage) -> Result<Self, ProposedError> {
        let id = uuid_from_wire(message.id.as_ref())?;
        let mut properties = message.metadata;
        let mut take = |property: &'static str| {
            properties.remove(property).ok_or(ProposedError::MissingProperty { property })
        };
        let event_type = EventType::new(take(TYPE)?)?;
        let content_type = match take(CONTENT_TYPE)?.as_str() {
            JSON => ContentType::Json,
            _ => ContentType::Binary,
        };
        let wrong = |property, why: String| ProposedError::Property { property, why };
        let tags = match properties.remove(TAGS) {
            None => Vec::new(),
            Some(text) => tags_of(&text).map_err(|why| wrong(TAGS, why))?,
        };
        let schema_version = match properties.remove(SCHEMA_VERSION) {
            None => SchemaVersion::FIRST,
            Some(text) => {
                SchemaVersion(text.parse().map_err(|_| wrong(SCHEMA_VERSION, "it is no number".to_owned()))?)
            }
        };
        let occurred_at = properties
            .remove(OCCURRED_AT)
            .map(|text| text.parse().map(Timestamp))
            .transpose()
            .map_err(|_| wrong(OCCURRED_AT, "it is no number of ticks".to_owned()))?;
        Ok(Self(NewEvent {
            id,
            event_type,
            schema_version,
            content_type,
            tags,
            data: message.data,
            metadata: message.custom_metadata,
            occurred_at,
        }))
    }

    /// Writes it, with what only a Factum server reads.
    pub fn to_wire(&self) -> v1::ProposedMessage {
        let event = &self.0;
        let mut metadata = HashMap::with_capacity(2);
        metadata.insert(TYPE.to_owned(), event.event_type.to_string());
        let content = match event.content_type {
            ContentType::Json => JSON,
            ContentType::Binary => OCTETS,
        };
        metadata.insert(CONTENT_TYPE.to_owned(), content.to_owned());
        if !event.tags.is_empty() {
            metadata.insert(TAGS.to_owned(), tags_text(event.tags.iter().map(Tag::as_str)));
        }
        if event.schema_version != SchemaVersion::FIRST {
            metadata.insert(SCHEMA_VERSION.to_owned(), event.schema_version.0.to_string());
        }
        if let Some(at) = event.occurred_at {
            metadata.insert(OCCURRED_AT.to_owned(), at.0.to_string());
        }
        v1::ProposedMessage {
            id: Some(uuid_to_wire(event.id, UuidForm::Text)),
            metadata,
            custom_metadata: event.metadata.clone(),
            data: event.data.clone(),
        }
    }
}

fn tags_of(text: &str) -> Result<Vec<Tag>, String> {
    let texts: Vec<String> =
        serde_json::from_str(text).map_err(|e| format!("no JSON array of texts: {e}"))?;
    texts.into_iter().map(|text| Tag::new(text).map_err(|e| e.to_string())).collect()
}

/// An event that came over the wire, as far as it is understood.
#[derive(Clone, Debug, PartialEq)]
pub struct WireEvent(pub v1::RecordedEvent);

impl WireEvent {
    /// The text of one property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.0.metadata.get(key).map(String::as_str)
    }

    /// The event as a store gives it.
    ///
    /// # Errors
    /// A sentence that says which part is missing or wrong: such an event is no answer of a server.
    pub fn into_recorded(self) -> Result<RecordedEvent, String> {
        let property = |key: &str| self.property(key).ok_or_else(|| format!("the event has no '{key}'"));
        let stream = crate::names::stream_from_wire(self.0.stream_identifier.as_ref())
            .map_err(|e| format!("the event's stream: {e}"))?;
        let created = property(CREATED)?.parse().map_err(|_| format!("'{CREATED}' is no number of ticks"))?;
        let new = Proposed::from_wire(v1::ProposedMessage {
            id: self.0.id.clone(),
            metadata: self.0.metadata.clone(),
            custom_metadata: self.0.custom_metadata.clone(),
            data: self.0.data.clone(),
        })
        .map_err(|e| e.to_string())?
        .0;
        let header = factum_core::RecordedHeader {
            position: factum_core::Position(self.0.commit_position),
            revision: factum_core::Revision(self.0.stream_revision),
            id: new.id,
            append_id: None,
            recorded_at: timestamp_of_ticks(created),
            occurred_at: new.occurred_at,
            schema_version: new.schema_version,
            content_type: new.content_type,
        };
        Ok(RecordedEvent::record(header, &stream, &new))
    }

    /// The bytes of its data.
    pub fn data(&self) -> &Bytes {
        &self.0.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{Position, RecordedHeader, Revision, StreamName};

    fn everything() -> NewEvent {
        NewEvent::json(EventType::new("Opened").expect("a type"), r#"{"a":1}"#)
            .with_metadata(r#"{"$correlationId":"c"}"#)
            .with_tag(Tag::new("account:1").expect("a tag"))
            .with_tag(Tag::new("a\nb\"c").expect("a tag"))
            .with_schema_version(SchemaVersion(3))
            .with_occurred_at(Timestamp(1_234_567_890_123_456_789))
    }

    fn recorded(new: &NewEvent) -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(9),
            revision: Revision(2),
            id: new.id,
            append_id: None,
            recorded_at: Timestamp(17_000_000_000_000_007),
            occurred_at: new.occurred_at,
            schema_version: new.schema_version,
            content_type: new.content_type,
        };
        RecordedEvent::record(header, &StreamName::new("account-1").expect("a name"), new)
    }

    #[test]
    fn a_proposed_event_comes_back_whole() {
        for event in [everything(), NewEvent::binary(EventType::new("b").expect("a type"), vec![0, 255])] {
            assert_eq!(Proposed::from_wire(Proposed(event.clone()).to_wire()), Ok(Proposed(event)));
        }
    }

    #[test]
    fn a_recorded_event_comes_back_whole() {
        let event = recorded(&everything());
        let wire = EventForm::default().to_wire(&event);
        assert_eq!(WireEvent(wire).into_recorded(), Ok(event));
    }

    #[test]
    fn an_ordinary_event_has_the_three_properties_that_clients_know() {
        let event = recorded(&NewEvent::json(EventType::new("A").expect("a type"), "1"));
        let wire = EventForm::default().to_wire(&event);
        assert_eq!(wire.metadata.len(), 3);
        assert_eq!(wire.metadata[CREATED], "17000000000000007");
        assert_eq!(wire.metadata[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = Proposed(everything()).to_wire();
        for property in [TYPE, CONTENT_TYPE] {
            let mut message = whole.clone();
            message.metadata.remove(property);
            assert_eq!(Proposed::from_wire(message), Err(ProposedError::MissingProperty { property }));
        }
        let mut message = whole.clone();
        message.id = None;
        assert_eq!(Proposed::from_wire(message), Err(ProposedError::Id(UuidError::Missing)));
        let mut message = whole;
        message.metadata.insert(TAGS.to_owned(), "not json".to_owned());
        assert!(matches!(Proposed::from_wire(message), Err(ProposedError::Property { property: TAGS, .. })));
    }

    /// Bytes of an event, changed at random: they are no message, are refused, or are an event. They never panic.
    #[test]
    fn hostile_events_are_refused() {
        use prost::Message;
        let whole = EventForm::default().to_wire(&recorded(&everything())).encode_to_vec();
        let mut random: u64 = 0x2545_f491_4f6c_dd1d;
        let mut below = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % u64::try_from(most.max(1)).unwrap_or(1)).unwrap_or(0)
        };
        let (mut events, mut refused) = (0, 0);
        for _ in 0..50_000 {
            let mut bytes = whole.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                bytes[at] = u8::try_from(below(256)).unwrap_or(0);
            }
            bytes.truncate(bytes.len() - below(2) * below(bytes.len()));
            let Ok(message) = v1::RecordedEvent::decode(bytes.as_slice()) else { continue };
            match WireEvent(message).into_recorded() {
                Ok(event) => {
                    let _ = (event.tags().count(), event.correlation(), event.stream().len());
                    events += 1;
                }
                Err(why) => {
                    assert!(!why.is_empty());
                    refused += 1;
                }
            }
        }
        assert!(events > 100 && refused > 100, "{events} events, {refused} refused");
    }
}
