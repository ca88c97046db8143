//! What does the code that `#[derive(Event)]` writes call? Not for others: it may change at any time.

pub use std::vec::Vec;

pub use factum_core::{NameError, Tag};
pub use schemars;
pub use serde;
pub use serde_json;
pub use serde_json::Error as JsonError;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};

/// The JSON text of an event's data.
///
/// # Errors
/// As `Event::encode`.
pub fn to_json(data: &impl Serialize) -> Result<Vec<u8>, JsonError> {
    serde_json::to_vec(data)
}

/// An event's data from JSON text. Must be an object: serde would take an array of the fields' values too.
///
/// # Errors
/// As `Event::decode`.
pub fn from_json<T: DeserializeOwned>(data: &[u8]) -> Result<T, JsonError> {
    match data.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => serde_json::from_slice(data),
        _ => Err(JsonError::custom("the data of an event is a JSON object, this is none")),
    }
}

/// The error for a type that is not in the enum.
pub fn unknown_type(event_type: &str) -> JsonError {
    JsonError::custom(format_args!("unknown event type '{event_type}'"))
}

/// The error for an index that is not in `Event::kinds`.
pub fn unknown_kind(kind: usize) -> JsonError {
    JsonError::custom(format_args!("there is no event kind number {kind}"))
}

/// Adds the tag `prefix:value`, once.
///
/// # Errors
/// Where the value is empty or the tag too long.
pub fn push_tag(tags: &mut Vec<Tag>, prefix: &str, value: &dyn std::fmt::Display) -> Result<(), NameError> {
    let text = format!("{prefix}:{value}");
    if text.len() == prefix.len() + 1 {
        return Err(NameError::Empty { what: "tag value" });
    }
    let tag = Tag::new(text)?;
    if !tags.contains(&tag) {
        tags.push(tag);
    }
    Ok(())
}

/// The schema of an event's data, under the name of its type.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator, event_type: &str) -> Schema {
    let mut schema = T::json_schema(generator);
    schema.insert("title".to_owned(), event_type.into());
    schema
}
