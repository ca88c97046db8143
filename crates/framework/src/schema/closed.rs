//! Which structs inside an event would let unknown fields pass unseen?

use serde_json::{Map, Value};

use crate::{CodecError, Event};

/// Structs of the standard library refuse unknown fields; schemars does not say so.
const STD: [&str; 6] =
    ["Duration", "SystemTime", "Range_of_", "Bound_of_", "Result_of_", "RangeInclusive_of_"];

/// Refuses events with a struct that ignores unknown fields and does not say that it wants to.
pub(crate) fn check_closed<E: Event>() -> Result<(), CodecError> {
    for (kind, schema) in E::kinds().iter().zip(super::current::<E>()) {
        if let Some(place) = first_open(&schema.schema) {
            return Err(CodecError::Open { event_type: kind.event_type, place });
        }
    }
    Ok(())
}

/// Says of the standard library's structs what is true of them.
pub(super) fn close_std(definitions: &mut Map<String, Value>) {
    for (name, schema) in definitions.iter_mut() {
        if STD.iter().any(|std| name == std || (std.ends_with('_') && name.starts_with(std))) {
            close(schema);
        }
    }
}

fn close(schema: &mut Value) {
    if let Some(cases) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        cases.iter_mut().for_each(close);
    }
    if let Some(object) = schema.as_object_mut().filter(|object| is_open(object)) {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
}

fn is_open(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties")
        && !schema.contains_key("additionalProperties")
        && !schema.contains_key("unevaluatedProperties")
}

fn first_open(document: &Value) -> Option<String> {
    if let Some(definitions) = document.get("$defs").and_then(Value::as_object) {
        for (name, schema) in definitions {
            if any_open(schema) {
                return Some(format!("the type {name}"));
            }
        }
    }
    any_open(document).then(|| "its data".to_owned())
}

fn any_open(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            is_open(object)
                || object.iter().any(|(key, part)| match key.as_str() {
                    // Names chosen by people, not words of the schema language.
                    "properties" => part.as_object().is_some_and(|fields| fields.values().any(any_open)),
                    "$defs" | "default" | "const" | "enum" | "examples" => false,
                    _ => any_open(part),
                })
        }
        Value::Array(parts) => parts.iter().any(any_open),
        _ => false,
    }
}
