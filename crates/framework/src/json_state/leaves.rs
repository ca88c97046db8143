//! What are the leaves of a JSON text, and what is at a pointer?

use serde_json::value::RawValue;

use super::MAX_JSON_DEPTH;
use super::text::{Shape, compact, depth, lookup, push_token, shape};

/// A leaf: where it is, and its text.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// JSON pointer (RFC 6901) of it.
    pub pointer: String,
    /// Its JSON text: a scalar, an array or an empty object.
    pub value: Box<RawValue>,
}

/// The leaves of a JSON text in its order: scalars, arrays and empty objects. Text that nests deeper than [`MAX_JSON_DEPTH`] is
/// one leaf.
///
/// ```
/// let state = serde_json::value::RawValue::from_string(r#"{"a":{"b":1.10},"c":[1],"d":null}"#.to_owned()).unwrap();
/// let leaves: Vec<String> = factum::json_leaves(&state).into_iter().map(|leaf| format!("{} {}", leaf.pointer, leaf.value)).collect();
/// assert_eq!(leaves, ["/a/b 1.10", "/c [1]", "/d null"]);
/// ```
pub fn leaves(state: &RawValue) -> Vec<Leaf> {
    let mut found = Vec::new();
    if depth(state.get()) > MAX_JSON_DEPTH {
        found.push(Leaf { pointer: String::new(), value: state.to_owned() });
        return found;
    }
    collect(state, &mut String::new(), &mut found);
    found
}

fn collect(value: &RawValue, pointer: &mut String, found: &mut Vec<Leaf>) {
    match shape(value) {
        Shape::Object(members) if !members.is_empty() => {
            // Later duplicates of a key win, as everywhere.
            let members: indexmap::IndexMap<_, _> = members.into_iter().collect();
            for (key, member) in members {
                let length = pointer.len();
                push_token(pointer, &key);
                collect(member, pointer, found);
                pointer.truncate(length);
            }
        }
        // An empty state has no leaf.
        Shape::Object(_) if pointer.is_empty() => {}
        _ => found.push(Leaf { pointer: pointer.clone(), value: compact(value) }),
    }
}

/// The JSON text at a pointer; `None` where there is nothing.
pub fn at<'a>(state: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    lookup(state, pointer)
}
