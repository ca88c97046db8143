//! CloudEvents 1.0: how they become events, and events them.
//!
//! What an event has no place for (source, subject, extensions, an id that is no UUID) stands in its metadata under
//! `cloudEvents`, and goes out again as it came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use factum_core::{
    CAUSATION_KEY, CORRELATION_KEY, ContentType, EventId, EventType, NewEvent, RecordedEvent, Timestamp,
    check_json,
};
use http::HeaderMap;
use hyper::body::Bytes;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answer::segment;
use super::ask::media_type;
use super::bounded::Members;
use super::problem::{Problem, Slug};

/// The member of metadata that has what an event has no place for.
const KEPT: &str = "cloudEvents";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
/// Most attributes of one event.
const MAX_ATTRIBUTES: usize = 256;
/// Longest attribute, in bytes of JSON.
const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;
/// What headers of binary mode begin with.
const HEADER_PREFIX: &str = "ce-";
/// Names the ids of events whose own id is no UUID: the same source and id is the same event.
const IDS: Uuid = Uuid::from_u128(0x1f0a_7c52_4d4e_4f2b_8a37_0c8e_6f0d_9b11);
/// Attributes that are parts of an event, and stand nowhere else; and those that say where it is in a log: another log's
/// say nothing of this one.
const PARTS: [&str; 13] = [
    "specversion",
    "type",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
    "correlationid",
    "causationid",
    "stream",
    "revision",
    "position",
    "sequence",
    "recordedtime",
];

/// Whether a request's headers are those of a CloudEvent in binary mode.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion")
}

fn bad(index: usize, detail: impl std::fmt::Display) -> Problem {
    Problem::new(Slug::BadJson, format!("CloudEvent {index}: {detail}")).with("index", index)
}

/// The event that a CloudEvent in structured mode is.
///
/// # Errors
/// `bad-json`, `bad-name`.
pub(super) fn structured(text: &[u8], index: usize) -> Result<NewEvent, Problem> {
    let members: Members<'_, MAX_ATTRIBUTES> =
        serde_json::from_slice(text).map_err(|error| bad(index, error))?;
    let (mut attributes, mut data) = (Map::new(), Data::None);
    for (name, value) in members.0 {
        match (name.as_str(), &data) {
            ("data" | "data_base64", Data::Json(_) | Data::Bytes(_)) => {
                return Err(bad(index, "'data' and 'data_base64' exclude each other"));
            }
            // As it was written.
            ("data", Data::None) => data = Data::Json(Bytes::copy_from_slice(value.get().as_bytes())),
            ("data_base64", Data::None) => {
                let text: std::borrow::Cow<'_, str> =
                    serde_json::from_str(value.get()).map_err(|_| bad(index, "'data_base64' is text"))?;
                let bytes = BASE64
                    .decode(text.as_bytes())
                    .map_err(|error| bad(index, format!("'data_base64': {error}")))?;
                data = Data::Bytes(Bytes::from(bytes));
            }
            _ if value.get().len() > MAX_ATTRIBUTE_BYTES => {
                return Err(bad(index, format!("an attribute has at most {MAX_ATTRIBUTE_BYTES} bytes")));
            }
            _ => {
                let value = serde_json::from_str(value.get()).map_err(|error| bad(index, error))?;
                attributes.insert(name, value);
            }
        }
    }
    let content_type = text_of(&attributes, "datacontenttype", index)?;
    assemble(&attributes, data, content_type, index)
}

/// The event that a CloudEvent in binary mode is: its attributes are headers.
///
/// # Errors
/// `bad-json`, `bad-name`.
pub(super) fn binary(headers: &HeaderMap, body: Bytes) -> Result<NewEvent, Problem> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(HEADER_PREFIX) else { continue };
        let value = value.to_str().map_err(|_| bad(0, format!("the header ce-{name} is no text")))?;
        attributes.insert(name.to_owned(), unescaped(value).into());
    }
    let media = media_type(headers);
    let data = if body.is_empty() { Data::None } else { Data::Bytes(body) };
    assemble(&attributes, data, media, 0)
}

/// Header values have what is not printable ASCII percent-encoded.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

enum Data {
    Json(Bytes),
    Bytes(Bytes),
    None,
}

fn text_of(attributes: &Map<String, Value>, name: &str, index: usize) -> Result<Option<String>, Problem> {
    match attributes.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(bad(index, format!("'{name}' is text that is not empty"))),
    }
}

fn is_json(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == JSON || media.ends_with("+json") || media == "text/json"
}

fn assemble(
    attributes: &Map<String, Value>,
    data: Data,
    content_type: Option<String>,
    index: usize,
) -> Result<NewEvent, Problem> {
    let text = |name| text_of(attributes, name, index);
    let required = |name| text(name)?.ok_or_else(|| bad(index, format!("'{name}' is missing")));
    if required("specversion")? != "1.0" {
        return Err(bad(index, "'specversion' is 1.0 here"));
    }
    let (id, source) = (required("id")?, required("source")?);
    let event_type = EventType::new(required("type")?)
        .map_err(|error| Problem::new(Slug::BadName, error.to_string()).with("index", index))?;
    let declared_json = content_type.as_deref().is_none_or(is_json);
    let mut event = match data {
        Data::Json(text) => NewEvent::json(event_type, text),
        Data::Bytes(bytes) if declared_json && check_json("data", &bytes).is_ok() => {
            NewEvent::json(event_type, bytes)
        }
        Data::Bytes(bytes) => NewEvent::binary(event_type, bytes),
        Data::None => NewEvent::json(event_type, "{}"),
    };
    event.id = EventId(
        Uuid::try_parse(&id).unwrap_or_else(|_| Uuid::new_v5(&IDS, format!("{source} {id}").as_bytes())),
    );
    if let Some(time) = text("time")? {
        let time = Timestamp::parse(&time).map_err(|error| bad(index, format!("'time': {error}")))?;
        event.occurred_at = Some(time);
    }
    let mut kept: Map<String, Value> = attributes.clone();
    kept.retain(|name, _| !PARTS.contains(&name.as_str()));
    if let Some(media) = content_type.filter(|media| media != JSON && media != BYTES) {
        kept.insert("datacontenttype".to_owned(), media.into());
    }
    let mut metadata = Map::new();
    metadata.insert(KEPT.to_owned(), Value::Object(kept));
    for (name, key) in [("correlationid", CORRELATION_KEY), ("causationid", CAUSATION_KEY)] {
        if let Some(id) = text(name)? {
            metadata.insert(key.to_owned(), id.into());
        }
    }
    Ok(event.with_metadata(Value::Object(metadata).to_string()))
}

/// The event as a CloudEvent in structured mode.
pub(super) fn write(event: &RecordedEvent) -> String {
    let metadata: Value = serde_json::from_slice(event.metadata_slice()).unwrap_or_default();
    let kept = metadata.get(KEPT).and_then(Value::as_object);
    let of = |name: &str| kept.and_then(|kept| kept.get(name)).cloned();
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("specversion", "1.0".into());
    put("id", of("id").unwrap_or_else(|| event.id().to_string().into()));
    let stream = format!("/v1/streams/{}", segment(event.stream()));
    put("source", of("source").unwrap_or_else(|| stream.into()));
    put("type", event.event_type().into());
    put("time", event.happened_at().to_string().into());
    put("subject", of("subject").unwrap_or_else(|| event.stream().into()));
    // Extensions: the place of the event, as text, since numbers have 32 bits there.
    put("stream", event.stream().into());
    put("revision", event.revision().to_string().into());
    put("position", event.position().to_string().into());
    // As the extension of this name wants it: texts that are in order as the events are.
    put("sequence", format!("{:020}", event.position().0).into());
    put("recordedtime", event.recorded_at().to_string().into());
    if let Some(id) = event.correlation() {
        put("correlationid", id.into());
    }
    if let Some(id) = event.causation() {
        put("causationid", id.into());
    }
    for (name, value) in kept.into_iter().flatten() {
        put(name, value.clone());
    }
    let json = event.content_type() == ContentType::Json && check_json("data", event.data_slice()).is_ok();
    let media = of("datacontenttype").unwrap_or_else(|| if json { JSON } else { BYTES }.into());
    put("datacontenttype", media);
    if event.is_redacted() {
        put("redacted", true.into());
        return Value::Object(out).to_string();
    }
    if !json {
        put("data_base64", BASE64.encode(event.data_slice()).into());
        return Value::Object(out).to_string();
    }
    let mut text = Value::Object(out).to_string();
    text.pop();
    text.push_str(",\"data\":");
    text.push_str(&String::from_utf8_lossy(event.data_slice()));
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use factum_core::{Position, RecordedHeader, Revision, SchemaVersion, StreamName};

    use super::*;

    fn recorded(new: &NewEvent) -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(7),
            revision: Revision(2),
            id: new.id,
            append_id: None,
            recorded_at: Timestamp(1),
            occurred_at: new.occurred_at,
            schema_version: SchemaVersion::FIRST,
            content_type: new.content_type,
        };
        RecordedEvent::record(header, &StreamName::new("o-1").expect("a name"), new)
    }

    #[test]
    fn another_logs_place_is_not_kept() {
        let text = r#"{"specversion":"1.0","id":"1","source":"s","type":"T","position":"99","sequence":"99","revision":"99",
            "stream":"other","recordedtime":"2020-01-01T00:00:00Z"}"#;
        let value: Value =
            serde_json::from_str(&write(&recorded(&structured(text.as_bytes(), 0).expect("an event"))))
                .expect("JSON");
        let expected = [
            ("position", "7"),
            ("sequence", "00000000000000000007"),
            ("revision", "2"),
            ("stream", "o-1"),
            ("recordedtime", "1970-01-01T00:00:00.0000001Z"),
        ];
        for (name, expected) in expected {
            assert_eq!(value[name], expected, "{name}");
        }
    }

    #[test]
    fn what_comes_in_goes_out_again() {
        let text = r#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"Placed","subject":"o1","time":"2020-01-01T00:00:00Z",
            "myext":"x","correlationid":"c","data":{"n": 1.10}}"#;
        let event = structured(text.as_bytes(), 0).expect("an event");
        assert_eq!(event.data, "{\"n\": 1.10}");
        let out = write(&recorded(&event));
        assert!(out.contains("\"data\":{\"n\": 1.10}"), "{out}");
        let value: Value = serde_json::from_str(&out).expect("JSON");
        for (name, expected) in [
            ("id", "A-1"),
            ("source", "/shop"),
            ("subject", "o1"),
            ("myext", "x"),
            ("correlationid", "c"),
            ("time", "2020-01-01T00:00:00Z"),
        ] {
            assert_eq!(value[name], expected, "{out}");
        }
        let again = structured(text.as_bytes(), 0).expect("an event");
        assert_eq!(again.id, event.id, "the same source and id are the same event");
    }

    #[test]
    fn attributes_that_are_missing_or_odd_are_named() {
        for (text, named) in [
            (r#"{"specversion":"1.0","id":"1","source":"s"}"#, "type"),
            (r#"{"specversion":"0.3","id":"1","source":"s","type":"T"}"#, "specversion"),
            (r#"{"specversion":"1.0","id":7,"source":"s","type":"T"}"#, "id"),
            (r#"{"specversion":"1.0","id":"1","source":"s","type":"T","time":"noon"}"#, "time"),
            (
                r#"{"specversion":"1.0","id":"1","source":"s","type":"T","data":1,"data_base64":""}"#,
                "data_base64",
            ),
        ] {
            let problem = structured(text.as_bytes(), 3).expect_err(text);
            assert!(problem.detail().contains(named), "{}", problem.detail());
        }
    }

    #[test]
    fn header_values_are_unescaped() {
        assert_eq!(unescaped("Euro%20%E2%82%AC%"), "Euro \u{20ac}%");
    }
}
