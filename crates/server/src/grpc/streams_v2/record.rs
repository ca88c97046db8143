//! How does a record of the second version become an event?
//!
//! Its properties become the event's metadata, a JSON object, beside the name and format of its schema: readers of the
//! first version find them there.

use factum_core::{ContentType, EventId, EventType, NewEvent, SchemaVersion};
use factum_protocol::RichError;
use factum_protocol::wire::google::rpc;
use factum_protocol::wire::v2::errors;
use factum_protocol::wire::v2::{AppendRecord, SchemaFormat, SchemaInfo};
use prost_types::value::Kind;
use serde_json::{Map, Value};
use tonic::{Code, Status};
use uuid::Uuid;

use super::ERRORS;
use crate::options::Limits;

const SCHEMA_NAME: &str = "$schema.name";
const SCHEMA_FORMAT: &str = "$schema.format";
const SCHEMA_ID: &str = "$schema.id";
/// Deepest nesting of a property's value.
const MAX_DEPTH: usize = 32;

/// The sizes of an append's records so far.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    total: usize,
}

impl Sizes {
    /// Takes one more record of `stream`.
    pub(super) fn take(
        &mut self,
        stream: &str,
        record: AppendRecord,
        limits: &Limits,
    ) -> Result<NewEvent, Status> {
        let id = match record.record_id.as_deref() {
            None => EventId::generate(),
            Some(text) => Uuid::try_parse(text)
                .map(EventId)
                .map_err(|_| bad_request("records.record_id", "a UUID, or nothing"))?,
        };
        let schema = record.schema.ok_or_else(|| bad_request("records.schema", "it is missing"))?;
        let name = schema_name(&schema)?;
        let format = format_name(schema.format())?;
        let mut properties = Map::new();
        for (key, value) in record.properties {
            properties.insert(key, json(value, 0)?);
        }
        properties.insert(SCHEMA_NAME.to_owned(), Value::from(name.as_str()));
        properties.insert(SCHEMA_FORMAT.to_owned(), Value::from(format));
        if let Some(id) = &schema.id {
            if id.is_empty() {
                return Err(bad_request("records.schema.id", "a name, or nothing"));
            }
            properties.insert(SCHEMA_ID.to_owned(), Value::from(id.as_str()));
        }
        let metadata = Value::Object(properties).to_string();
        let data = record.data.unwrap_or_default();
        let size = data.len() + metadata.len() + name.len();
        if size > limits.event_bytes {
            return Err(record_too_large(stream, id, size, limits.event_bytes));
        }
        self.total += size;
        if self.total > limits.append_bytes {
            return Err(append_too_large(self.total, limits.append_bytes));
        }
        let content_type = match schema.format() {
            SchemaFormat::Json => ContentType::Json,
            _ => ContentType::Binary,
        };
        Ok(NewEvent {
            id,
            event_type: name,
            schema_version: SchemaVersion::FIRST,
            content_type,
            tags: Vec::new(),
            data,
            metadata: metadata.into(),
            occurred_at: None,
        })
    }
}

fn schema_name(schema: &SchemaInfo) -> Result<EventType, Status> {
    let name = schema.name.as_deref().unwrap_or_default();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | ':' | '-');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(bad_request("records.schema.name", "letters, digits, '_', '.', '$', ':' and '-'"));
    }
    EventType::new(name.to_owned()).map_err(|error| bad_request("records.schema.name", &error.to_string()))
}

fn format_name(format: SchemaFormat) -> Result<&'static str, Status> {
    match format {
        SchemaFormat::Unspecified => Err(bad_request("records.schema.format", "it is not specified")),
        SchemaFormat::Json => Ok("Json"),
        SchemaFormat::Protobuf => Ok("Protobuf"),
        SchemaFormat::Avro => Ok("Avro"),
        SchemaFormat::Bytes => Ok("Bytes"),
    }
}

fn json(value: prost_types::Value, depth: usize) -> Result<Value, Status> {
    if depth > MAX_DEPTH {
        return Err(bad_request("records.properties", &format!("at most {MAX_DEPTH} levels deep")));
    }
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => {
            serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(yes)) => Value::Bool(yes),
        Some(Kind::StructValue(object)) => {
            let mut members = Map::new();
            for (key, value) in object.fields {
                members.insert(key, json(value, depth + 1)?);
            }
            Value::Object(members)
        }
        Some(Kind::ListValue(list)) => Value::Array(
            list.values.into_iter().map(|value| json(value, depth + 1)).collect::<Result<_, _>>()?,
        ),
    })
}

/// A request with a field that is not as it must be; `must` says how.
pub(super) fn bad_request(field: &str, must: &str) -> Status {
    let violation =
        rpc::bad_request::FieldViolation { field: field.to_owned(), description: must.to_owned() };
    RichError::server(Code::InvalidArgument, "BAD_REQUEST", format!("{field}: {must}"))
        .with("google.rpc.BadRequest", &rpc::BadRequest { field_violations: vec![violation] })
        .into_status()
}

fn record_too_large(stream: &str, id: EventId, size: usize, limit: usize) -> Status {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let message = format!("record {} for stream '{stream}' has {size} bytes, the limit is {limit}", id.0);
    RichError::streams(Code::InvalidArgument, "APPEND_RECORD_SIZE_EXCEEDED", message)
        .with(
            &format!("{ERRORS}AppendRecordSizeExceededErrorDetails"),
            &errors::AppendRecordSizeExceededErrorDetails {
                stream: stream.to_owned(),
                record_id: id.0.to_string(),
                size: number(size),
                max_size: number(limit),
            },
        )
        .into_status()
}

fn append_too_large(size: usize, limit: usize) -> Status {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let message = format!("the append has {size} bytes, the limit is {limit}: split it");
    RichError::streams(Code::Aborted, "APPEND_TRANSACTION_SIZE_EXCEEDED", message)
        .with(
            &format!("{ERRORS}AppendTransactionSizeExceededErrorDetails"),
            &errors::AppendTransactionSizeExceededErrorDetails {
                size: number(size),
                max_size: number(limit),
            },
        )
        .into_status()
}
