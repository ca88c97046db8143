//! What does the code that `#[derive(Event)]` writes call? Not for others: it may change at any time.

pub use std::borrow::Cow;
pub use std::vec::Vec;

pub use factum_core::{NameError, Tag};
pub use factum_vault::Keep;
pub use schemars;
pub use serde;
pub use serde_json;
pub use serde_json::Error as JsonError;

pub use crate::personal_data::declared::{
    Declared, Marked, Marks, NoMarks, Whose, fallback, last4, partial, year,
};

use factum_vault::{InvalidName, Subject};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserializer, Serialize};

use crate::codec::end_of;
use crate::personal_data::PersonalField;
use crate::personal_data::declared::NamesSubject;
use crate::personal_data::scope;

/// The JSON text of an event's data.
///
/// # Errors
/// As `Event::encode`.
pub fn to_json(data: &impl Serialize) -> Result<Vec<u8>, JsonError> {
    scope::event(None, || write_json(data))
}

/// As [`to_json`], for an event with a default subject.
///
/// # Errors
/// As `Event::encode`.
pub fn to_json_of(
    subject: Result<Subject, InvalidName>,
    data: &impl Serialize,
) -> Result<Vec<u8>, JsonError> {
    scope::event(Some(subject), || write_json(data))
}

/// JSON text; an error says which field it is about.
pub(crate) fn write_json<T: Serialize + ?Sized>(data: &T) -> Result<Vec<u8>, JsonError> {
    let mut text = Vec::with_capacity(128);
    match serde_json::to_writer(&mut text, data) {
        Ok(()) => Ok(text),
        Err(error) => match end_of(&text) {
            field if field.is_empty() => Err(error),
            field => Err(JsonError::custom(format_args!("{error}, in field '{field}'"))),
        },
    }
}

/// The values of a nested struct belong to `subject` unless they say otherwise.
pub fn with_default_subject<R>(subject: Result<Subject, InvalidName>, write: impl FnOnce() -> R) -> R {
    scope::part(subject, write)
}

/// The subject that a field names.
///
/// # Errors
/// Where it cannot be one. Only an event with a value of this subject is refused for it.
pub fn subject(field: &impl NamesSubject) -> Result<Subject, InvalidName> {
    field.subject()
}

/// A marked field.
///
/// # Errors
/// As `Event::decode`.
pub fn read_personal<'de, P: PersonalField, D: Deserializer<'de>>(
    deserializer: D,
    mark: &Declared<P::Value>,
) -> Result<P, D::Error> {
    P::read(deserializer, mark)
}

/// An event's data from JSON text. Must be an object: serde would take an array of the fields' values too.
///
/// # Errors
/// As `Event::decode`.
pub fn from_json<T: DeserializeOwned>(data: &[u8]) -> Result<T, JsonError> {
    match data.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // One look at all of it is less than one at each of its texts; what is not UTF-8 gets an error with its place.
        Some(b'{') => match std::str::from_utf8(data) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(data),
        },
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
