//! How JSON text is taken apart without changing what its scalars look like.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// One level of a JSON text.
pub(super) enum Shape<'a> {
    Null,
    /// Text, number, true or false.
    Scalar,
    Array(Vec<&'a RawValue>),
    /// Members in order; of a key that comes twice, both.
    Object(Vec<(String, &'a RawValue)>),
}

/// Takes one level apart. Text that came out of a `RawValue` is JSON, so nothing is lost.
pub(super) fn shape(value: &RawValue) -> Shape<'_> {
    match value.get().as_bytes().first() {
        Some(b'{') => Shape::Object(members(value.get()).unwrap_or_default()),
        Some(b'[') => Shape::Array(serde_json::from_str(value.get()).unwrap_or_default()),
        Some(b'n') => Shape::Null,
        _ => Shape::Scalar,
    }
}

fn members(text: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Members)
}

/// How deep objects and arrays nest.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The same text without the white space between its tokens.
pub(super) fn compact(value: &RawValue) -> Box<RawValue> {
    let text = value.get();
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return value.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
        } else if character.is_ascii_whitespace() {
            continue;
        } else if character == '"' {
            in_string = true;
        }
        out.push(character);
    }
    RawValue::from_string(out).unwrap_or_else(|_| value.to_owned())
}

pub(super) fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

/// Writes `text` as a JSON string.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Appends one reference token to a JSON pointer (RFC 6901).
pub(super) fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// The value at a JSON pointer.
pub(super) fn lookup<'a>(value: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    if pointer.is_empty() {
        return Some(value);
    }
    let mut at = value;
    for token in pointer.strip_prefix('/')?.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = match shape(at) {
            Shape::Object(members) => members.into_iter().rev().find(|(key, _)| *key == token)?.1,
            Shape::Array(elements) => elements.get(token.parse::<usize>().ok()?).copied()?,
            Shape::Null | Shape::Scalar => return None,
        };
    }
    Some(at)
}
