//! How does what KurrentDB's events do not have travel with them?
//!
//! In their metadata, under a name of our own, put there on the way in and cut out on the way back: tags, the version of the
//! schema, when it happened. Only an event that has such a thing is touched, and whoever reads it by other means sees one
//! more member. The second version of the protocol writes metadata anew, so there its text travels too.

use std::collections::BTreeMap;

use bytes::Bytes;
use factum_core::{NewEvent, RecordedEvent, SchemaVersion, Tag, Timestamp};
use prost_types::value::Kind;
use serde_json::{Map, Value};

/// The member that holds it.
const MEMBER: &str = "$factum";
/// What begins it where it is put at the end of an object that has members.
const AFTER_OTHERS: &str = ",\"$factum\":{";
/// Says that there was no metadata at all.
const ALONE: &str = "alone";
const TAGS: &str = "tags";
const SCHEMA_VERSION: &str = "schemaVersion";
const OCCURRED_AT: &str = "occurredAt";
const METADATA: &str = "metadata";

/// Metadata that is not a JSON object has no place for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoObject;

/// What an event has beyond KurrentDB's.
fn extras(event: &NewEvent) -> Map<String, Value> {
    let mut extras = Map::new();
    if !event.tags.is_empty() {
        let tags = event.tags.iter().map(|tag| Value::from(tag.as_str())).collect();
        extras.insert(TAGS.to_owned(), Value::Array(tags));
    }
    if event.schema_version != SchemaVersion::FIRST {
        extras.insert(SCHEMA_VERSION.to_owned(), Value::from(event.schema_version.0));
    }
    if let Some(at) = event.occurred_at {
        extras.insert(OCCURRED_AT.to_owned(), Value::from(at.0));
    }
    extras
}

fn object(metadata: &[u8]) -> Result<Map<String, Value>, NoObject> {
    serde_json::from_slice(metadata).map_err(|_| NoObject)
}

/// The event's metadata with what must travel in it.
pub(super) fn packed(event: &NewEvent) -> Result<Bytes, NoObject> {
    let mut extras = extras(event);
    if extras.is_empty() {
        return Ok(event.metadata.clone());
    }
    if event.metadata.is_empty() {
        extras.insert(ALONE.to_owned(), Value::from(true));
    }
    let extras = Value::Object(extras).to_string();
    if event.metadata.is_empty() {
        return Ok(Bytes::from(format!("{{\"{MEMBER}\":{extras}}}")));
    }
    let members = object(&event.metadata)?;
    let text = std::str::from_utf8(&event.metadata).map_err(|_| NoObject)?;
    let end = text.rfind('}').ok_or(NoObject)?;
    let (before, after) = text.split_at(end);
    let comma = if members.is_empty() { "" } else { "," };
    Ok(Bytes::from(format!("{before}{comma}\"{MEMBER}\":{extras}{after}")))
}

/// The event's metadata as the properties of a record, with what must travel in them.
pub(super) fn properties(event: &NewEvent) -> Result<BTreeMap<String, prost_types::Value>, NoObject> {
    let members = if event.metadata.is_empty() { Map::new() } else { object(&event.metadata)? };
    let mut extras = extras(event);
    let text = std::str::from_utf8(&event.metadata).map_err(|_| NoObject)?;
    extras.insert(METADATA.to_owned(), Value::from(text));
    let mut properties: BTreeMap<String, prost_types::Value> =
        members.into_iter().map(|(key, value)| (key, value_to_wire(value))).collect();
    let carried = Kind::StringValue(Value::Object(extras).to_string());
    properties.insert(MEMBER.to_owned(), prost_types::Value { kind: Some(carried) });
    Ok(properties)
}

fn value_to_wire(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(yes) => Kind::BoolValue(yes),
        // What is no double is kept whole in the text beside it.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.into_iter().map(value_to_wire).collect(),
        }),
        Value::Object(members) => {
            let fields = members.into_iter().map(|(key, value)| (key, value_to_wire(value))).collect();
            Kind::StructValue(prost_types::Struct { fields })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

/// The event with what travelled in its metadata, if anything did, in its place.
pub(super) fn unpacked(event: RecordedEvent) -> RecordedEvent {
    let bytes = event.metadata_slice();
    if !contains(bytes, MEMBER) {
        return event;
    }
    let Ok(mut members) = object(bytes) else { return event };
    let (extras, metadata) = match members.remove(MEMBER) {
        Some(Value::Object(extras)) if extras.contains_key(ALONE) => (extras, String::new()),
        Some(Value::Object(extras)) => match cut(bytes) {
            Some(metadata) => (extras, metadata),
            None => return event,
        },
        Some(Value::String(text)) => {
            let Ok(mut extras) = serde_json::from_str::<Map<String, Value>>(&text) else { return event };
            let Some(Value::String(metadata)) = extras.remove(METADATA) else { return event };
            (extras, metadata)
        }
        _ => return event,
    };
    rebuilt(&event, &extras, metadata).unwrap_or(event)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The metadata as it was before [`packed`]; `None` where something else put the member there.
fn cut(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let end = text.rfind('}')?;
    let after = &text[end..];
    if let Some(at) = text.rfind(AFTER_OTHERS) {
        return Some(format!("{}{after}", &text[..at]));
    }
    // An object that had no members keeps the space between its braces.
    let at = text.rfind(&AFTER_OTHERS[1..])?;
    Some(format!("{}{after}", &text[..at]))
}

fn rebuilt(event: &RecordedEvent, extras: &Map<String, Value>, metadata: String) -> Option<RecordedEvent> {
    let mut header = *event.header();
    let mut tags = Vec::new();
    if let Some(told) = extras.get(TAGS) {
        for tag in told.as_array()? {
            tags.push(Tag::new(tag.as_str()?.to_owned()).ok()?);
        }
    }
    if let Some(version) = extras.get(SCHEMA_VERSION) {
        header.schema_version = SchemaVersion(u32::try_from(version.as_u64()?).ok()?);
    }
    if let Some(at) = extras.get(OCCURRED_AT) {
        header.occurred_at = Some(Timestamp(at.as_i64()?));
    }
    let new = NewEvent {
        id: header.id,
        event_type: factum_core::EventType::new(event.event_type().to_owned()).ok()?,
        schema_version: header.schema_version,
        content_type: header.content_type,
        tags,
        data: event.data(),
        metadata: metadata.into(),
        occurred_at: header.occurred_at,
    };
    let stream = factum_core::StreamName::new(event.stream().to_owned()).ok()?;
    Some(RecordedEvent::record(header, &stream, &new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{EventType, Position, RecordedHeader, Revision, StreamName};

    fn event(metadata: &'static str) -> NewEvent {
        NewEvent::json(EventType::new("A").expect("a type"), "{}")
            .with_metadata(metadata)
            .with_tag(Tag::new("a:1").expect("a tag"))
            .with_tag(Tag::new("b\"}").expect("a tag"))
            .with_schema_version(SchemaVersion(3))
            .with_occurred_at(Timestamp(i64::MIN))
    }

    /// What a server that knows nothing of tags gives back.
    fn stored(new: &NewEvent, metadata: Bytes) -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(4),
            revision: Revision(2),
            id: new.id,
            append_id: None,
            recorded_at: Timestamp(9),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: new.content_type,
        };
        let plain = NewEvent { metadata, tags: Vec::new(), ..new.clone() };
        RecordedEvent::record(header, &StreamName::new("s").expect("a name"), &plain)
    }

    #[test]
    fn everything_comes_back_and_the_metadata_verbatim() {
        for metadata in ["", "{}", " { } ", "{\"a\": 1.10}", "{\"a\":{\"b\":2} }\n", "{\"x\":\"$factum\"}"] {
            let new = event(metadata);
            let back = unpacked(stored(&new, packed(&new).expect("an object")));
            assert_eq!(back.metadata(), metadata);
            assert_eq!(back.tags().collect::<Vec<_>>(), ["a:1", "b\"}"]);
            assert_eq!(
                (back.schema_version(), back.occurred_at()),
                (SchemaVersion(3), Some(Timestamp(i64::MIN)))
            );
        }
    }

    #[test]
    fn records_bring_the_metadata_back_verbatim_too() {
        let new = event("{\"n\": 12345678901234567890, \"a\":[true,null]}");
        let properties = properties(&new).expect("an object");
        let Some(Kind::StringValue(carried)) = &properties[MEMBER].kind else { panic!("no text") };
        let served = serde_json::json!({ "$schema.name": "A", "n": 1.2e19, "$factum": carried });
        let back = unpacked(stored(&new, served.to_string().into()));
        assert_eq!(back.metadata(), new.metadata);
        assert_eq!(back.tags().count(), 2);
    }

    #[test]
    fn an_ordinary_event_is_not_touched_and_odd_metadata_is_refused() {
        let plain = NewEvent::json(EventType::new("A").expect("a type"), "{}").with_metadata("no json");
        assert_eq!(packed(&plain), Ok(plain.metadata.clone()));
        assert_eq!(packed(&event("no json")), Err(NoObject));
        for odd in ["{\"$factum\":1}", "{\"$factum\":\"x\"}", "{\"$factum\":{\"tags\":1}}", "\"$factum\""] {
            let stored = stored(&plain, Bytes::from_static(odd.as_bytes()));
            assert_eq!(unpacked(stored.clone()), stored, "{odd}");
        }
    }
}
