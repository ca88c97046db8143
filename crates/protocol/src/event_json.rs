//! How an event looks as JSON, and how such JSON becomes an event again: for the HTTP API, the command line and exports.
//!
//! The field names are those of the HTTP API. Payloads are spliced in as stored, so key order, `1.10` and big
//! integers survive; bytes that are not JSON are written as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use factum_core::limits::MAX_TAGS_PER_EVENT;
use factum_core::{
    AppendId, CAUSATION_KEY, CORRELATION_KEY, ContentType, EventId, EventType, METASTREAM_PREFIX, NameError,
    NewEvent, RecordedEvent, Redaction, Revision, SchemaVersion, StreamName, Tag, Timestamp, check_json,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

const JSON_TYPE: &str = "application/json";
const BINARY_TYPE: &str = "application/octet-stream";

/// Whether line breaks inside a payload may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// Payloads are written byte for byte.
    Keep,
    /// Line breaks between a payload's tokens become spaces, so that the event stays on one line.
    Flatten,
    /// A payload that would not come back byte for byte from one line is written as base64.
    Encode,
}

/// What an event's JSON has of its data and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Both.
    Whole,
    /// Neither: what the event is, and not what it says.
    Left,
}

/// Appends `event` as one JSON object.
pub fn write_event(event: &RecordedEvent, breaks: Breaks, out: &mut Vec<u8>) {
    write_event_with(event, None, Payload::Whole, breaks, out);
}

/// Appends `event` as one JSON object, with the link that led to it.
pub fn write_event_with(
    event: &RecordedEvent,
    link: Option<&RecordedEvent>,
    payload: Payload,
    breaks: Breaks,
    out: &mut Vec<u8>,
) {
    let mut object = Object::open(out);
    object.text("id", &event.id().to_string());
    object.text("stream", event.stream());
    object.raw("revision", event.revision().to_string().as_bytes());
    object.text("position", &event.position().to_string());
    object.text("type", event.event_type());
    object.text("time", &event.recorded_at().to_string());
    if let Some(occurred) = event.occurred_at() {
        object.text("occurredTime", &occurred.to_string());
    }
    if let Some(append) = event.append_id() {
        object.text("appendId", &append.to_string());
    }
    let content_type = match event.content_type() {
        ContentType::Json => JSON_TYPE,
        ContentType::Binary => BINARY_TYPE,
    };
    object.text("contentType", content_type);
    object.raw("schemaVersion", event.schema_version().to_string().as_bytes());
    let tags: Vec<&str> = event.tags().collect();
    if !tags.is_empty() {
        object.raw("tags", serde_json::Value::from(tags).to_string().as_bytes());
    }
    let json = event.content_type() == ContentType::Json;
    match event.redaction() {
        Some(redaction) => object.raw("redacted", redaction_json(redaction).as_bytes()),
        None if payload == Payload::Left => {}
        None => object.payload("data", "dataBase64", event.data_slice(), json, breaks),
    }
    if payload == Payload::Whole && !event.metadata_slice().is_empty() {
        object.payload("metadata", "metadataBase64", event.metadata_slice(), true, breaks);
    }
    if let Some(id) = event.correlation() {
        object.text("correlationId", &id);
    }
    if let Some(id) = event.causation() {
        object.text("causationId", &id);
    }
    if let Some(link) = link {
        let place = serde_json::json!({
            "stream": link.stream(),
            "revision": link.revision().0,
            "position": link.position().to_string(),
        });
        object.raw("link", place.to_string().as_bytes());
    }
    object.close();
}

/// What stands in the place of data that was redacted.
fn redaction_json(redaction: &Redaction) -> String {
    serde_json::json!({
        "reason": redaction.reason,
        "at": redaction.at.to_string(),
        "recorded": redaction.recorded.to_string(),
        "leaf": redaction.leaf.to_string(),
    })
    .to_string()
}

/// One JSON object being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// `name` is one of ours and needs no escape.
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes());
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(value);
    }

    fn payload(&mut self, name: &str, base64_name: &str, bytes: &[u8], json: bool, breaks: Breaks) {
        // What stands around a JSON value is not part of it, and would be lost by a reader.
        let altered = || bytes.contains(&b'\n') || bytes.contains(&b'\r') || bytes.trim_ascii() != bytes;
        let encode = breaks == Breaks::Encode && altered();
        if !json || encode || check_json("data", bytes).is_err() {
            return self.text(base64_name, &BASE64.encode(bytes));
        }
        self.name(name);
        let at = self.out.len();
        self.out.extend_from_slice(bytes);
        if breaks == Breaks::Flatten {
            // A line break inside a JSON string is escaped, so a bare one stands between tokens.
            for byte in self.out[at..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// Why a JSON text is not an event.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// It is not JSON, or not of the right shape.
    #[error("it is not a JSON event: {0}")]
    Json(#[from] serde_json::Error),
    /// A name in it may not be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A time in it is not one.
    #[error(transparent)]
    Time(#[from] factum_core::ParseTimestampError),
    /// A field has a value that it cannot have.
    #[error("its field '{field}' {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// An event that was read as JSON, and the stream that it named.
#[derive(Debug)]
pub struct ReadEvent {
    /// The stream it came from, if it says so.
    pub stream: Option<StreamName>,
    /// Its number there, if it says so.
    pub revision: Option<Revision>,
    /// The append that wrote it, if it says so.
    pub append_id: Option<AppendId>,
    /// Whether the event's id was given, and not made up here.
    pub id_given: bool,
    /// When another log recorded it, as the text says it. A log that takes the event gives it a time of its own.
    pub recorded_elsewhere: Option<String>,
    /// The event. Without an `id` it gets a new one.
    pub event: NewEvent,
}

/// The fields that make an event. Those that a log gives (revision, position, time) are ignored, as is any other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    id: Option<IdText>,
    stream: Option<String>,
    revision: Option<u64>,
    append_id: Option<IdText>,
    #[serde(rename = "type")]
    event_type: String,
    occurred_time: Option<String>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    content_type: Option<String>,
    schema_version: Option<u32>,
    #[serde(default, deserialize_with = "few")]
    tags: Vec<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
    metadata_base64: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    #[serde(borrow)]
    redacted: Option<&'a RawValue>,
}

/// The type of the event that a redacted one is read back as: no store takes an event without data for one with data.
const REDACTED_TYPE: &str = "$redacted";

/// The place and the names of an event that another log had redacted.
fn stand_in(event_type: &str, redacted: &RawValue) -> Result<NewEvent, NotAnEvent> {
    let event_type = serde_json::Value::from(event_type);
    let data = format!(r#"{{"type":{event_type},"redacted":{}}}"#, redacted.get());
    Ok(NewEvent::json(EventType::new(REDACTED_TYPE)?, data))
}

#[derive(Deserialize)]
#[serde(transparent)]
struct IdText(uuid::Uuid);

/// As many tags as an event may have, and not one more: what is refused anyway takes no memory.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Few;
    impl<'de> serde::de::Visitor<'de> for Few {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MAX_TAGS_PER_EVENT} tags")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut tags = Vec::new();
            while let Some(tag) = list.next_element()? {
                if tags.len() == MAX_TAGS_PER_EVENT {
                    return Err(serde::de::Error::invalid_length(tags.len() + 1, &self));
                }
                tags.push(tag);
            }
            Ok(tags)
        }
    }
    deserializer.deserialize_seq(Few)
}

/// A field that is there, even if it is `null`: `null` is data too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one JSON object as an event. One that was redacted becomes a `$redacted` event that says so.
///
/// # Errors
/// `NotAnEvent` with what is wrong.
pub fn read_event(text: &[u8]) -> Result<ReadEvent, NotAnEvent> {
    let fields: Fields<'_> = serde_json::from_slice(text)?;
    let base64 = |field: &'static str, text: &str| {
        BASE64.decode(text).map_err(|e| NotAnEvent::Field { field, why: format!("is not base64: {e}") })
    };
    let copy = |raw: &RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
    let content_type = match (fields.content_type.as_deref(), fields.data_base64.is_some()) {
        (Some(JSON_TYPE), _) | (None, false) => ContentType::Json,
        (Some(BINARY_TYPE), _) | (None, true) => ContentType::Binary,
        (Some(other), _) => {
            let why = format!("is '{other}': give {JSON_TYPE} or {BINARY_TYPE}");
            return Err(NotAnEvent::Field { field: "contentType", why });
        }
    };
    let data = match (fields.data, &fields.data_base64) {
        (Some(_), Some(_)) => {
            let why = "stands beside 'data': give one of them".to_owned();
            return Err(NotAnEvent::Field { field: "dataBase64", why });
        }
        (Some(raw), None) => copy(raw),
        (None, Some(text)) => Bytes::from(base64("dataBase64", text)?),
        (None, None) => Bytes::from_static(b"{}"),
    };
    let metadata = match (fields.metadata, &fields.metadata_base64) {
        (Some(raw), _) => copy(raw),
        (None, Some(text)) => Bytes::from(base64("metadataBase64", text)?),
        (None, None) => Bytes::new(),
    };
    let made = match fields.redacted {
        Some(redacted) => stand_in(&fields.event_type, redacted)?,
        None => NewEvent { content_type, ..NewEvent::json(EventType::new(fields.event_type)?, data) },
    };
    let lifted = [(CORRELATION_KEY, &fields.correlation_id), (CAUSATION_KEY, &fields.causation_id)];
    let id_given = fields.id.is_some();
    let mut event = NewEvent {
        id: fields.id.map_or_else(EventId::generate, |id| EventId(id.0)),
        schema_version: fields.schema_version.map_or(SchemaVersion::FIRST, SchemaVersion),
        occurred_at: fields.occurred_time.as_deref().map(Timestamp::parse).transpose()?,
        metadata: put_lifted(metadata, &lifted)?,
        ..made
    };
    for tag in fields.tags {
        event.tags.push(Tag::new(tag)?);
    }
    Ok(ReadEvent {
        stream: fields.stream.map(stream_name).transpose()?,
        revision: fields.revision.map(Revision),
        append_id: fields.append_id.map(|id| AppendId(id.0)),
        id_given,
        // Whatever stands there is no fault of an event that is appended: only an import may want it.
        recorded_elsewhere: fields.time.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        event,
    })
}

/// The name of a metadata stream may be longer than that of the stream it describes.
fn stream_name(name: String) -> Result<StreamName, NameError> {
    match name.strip_prefix(METASTREAM_PREFIX).map(StreamName::new) {
        Some(Ok(described)) => described.metastream().map_or_else(|| StreamName::new(name), Ok),
        _ => StreamName::new(name),
    }
}

/// Puts ids that were given at top level into the metadata, where it does not have them already.
fn put_lifted(metadata: Bytes, lifted: &[(&str, &Option<String>)]) -> Result<Bytes, NotAnEvent> {
    let missing: Vec<_> = lifted
        .iter()
        .filter_map(|(key, id)| Some((*key, id.as_ref()?)))
        .filter(|(key, id)| factum_core::metadata_text(&metadata, key).as_ref() != Some(*id))
        .collect();
    if missing.is_empty() {
        return Ok(metadata);
    }
    let mut object: serde_json::Map<String, serde_json::Value> =
        if metadata.is_empty() { serde_json::Map::new() } else { serde_json::from_slice(&metadata)? };
    for (key, id) in missing {
        object.insert(key.to_owned(), id.as_str().into());
    }
    Ok(Bytes::from(serde_json::Value::Object(object).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{Position, RecordedHeader};

    fn recorded(new: &NewEvent) -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(7),
            revision: Revision(2),
            id: new.id,
            append_id: Some(AppendId::generate()),
            recorded_at: Timestamp(1),
            occurred_at: new.occurred_at,
            schema_version: new.schema_version,
            content_type: new.content_type,
        };
        RecordedEvent::record(header, &StreamName::new("o-1").unwrap(), new)
    }

    fn event(data: &'static str) -> NewEvent {
        NewEvent::json(EventType::new("Placed").unwrap(), data)
    }

    fn json(new: &NewEvent, breaks: Breaks) -> String {
        let mut out = Vec::new();
        write_event(&recorded(new), breaks, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_part_comes_back() {
        let full = event(r#"{"n":1.10,"big":123456789012345678901234567890}"#)
            .with_metadata(r#"{"$correlationId":"c","who":"ada"}"#)
            .with_tag(Tag::new("order:\"1\"").unwrap())
            .with_schema_version(SchemaVersion(3))
            .with_occurred_at(Timestamp::parse("2011-10-01T00:38:44.546+02:00").unwrap());
        let binary = NewEvent::binary(EventType::new("Photo").unwrap(), vec![0, 255]);
        let null = event("null");
        let empty = NewEvent::json(EventType::new("Empty").unwrap(), "");
        let pretty = event(" {\n \"a\": 1\n}\r\n");
        for new in [full, binary, null, empty, pretty] {
            let text = json(&new, Breaks::Encode);
            assert!(!text.contains('\n'), "{text}");
            let back = read_event(text.as_bytes()).unwrap();
            assert_eq!(back.event, new, "{text}");
            assert_eq!(back.stream.as_deref(), Some("o-1"));
        }
    }

    #[test]
    fn an_event_stays_on_its_line_and_a_document_stays_verbatim() {
        let pretty = event("{\n  \"a\": \"x\\ny\"\r\n}");
        let line = json(&pretty, Breaks::Flatten);
        assert!(!line.contains('\n') && line.contains("\"x\\ny\""), "{line}");
        assert!(json(&pretty, Breaks::Keep).contains("{\n  \"a\": \"x\\ny\"\r\n}"));
    }

    #[test]
    fn ids_at_top_level_go_into_the_metadata() {
        let read = read_event(br#"{"type":"T","correlationId":"c","metadata":{"a":1}}"#).unwrap();
        assert_eq!(read.event.metadata, r#"{"a":1,"$correlationId":"c"}"#);
        assert_eq!(read.event.data, "{}");
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        for bad in [
            "",
            "{",
            "[]",
            r#"{"data":{}}"#,
            r#"{"type":""}"#,
            r#"{"type":"T","id":"seven"}"#,
            r#"{"type":"T","occurredTime":"noon"}"#,
            r#"{"type":"T","contentType":"text/plain"}"#,
            r#"{"type":"T","dataBase64":"%"}"#,
            r#"{"type":"T","data":1,"dataBase64":"AA=="}"#,
        ] {
            assert!(read_event(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
