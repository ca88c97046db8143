//! What changed between two JSON texts, pointer by pointer.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::MAX_JSON_DEPTH;
use super::text::{Shape, compact, depth, push_token, shape};

/// One value that differs. A whole subtree that came or went is one change.
#[derive(Clone, Debug)]
pub struct Change {
    /// JSON pointer (RFC 6901) of the value.
    pub pointer: String,
    /// What it was; `None` where there was nothing.
    pub before: Option<Box<RawValue>>,
    /// What it is; `None` where it is gone.
    pub after: Option<Box<RawValue>>,
}

/// The values that differ, in the order of `before`, then what only `after` has.
///
/// Arrays are compared element by element. Numbers are compared as written, so `1.0` and `1.00` differ;
/// strings by what they say, so an escape is no difference. Text that nests deeper than [`MAX_JSON_DEPTH`] is compared
/// as a whole.
///
/// ```
/// let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
/// let changes = factum::diff_json(&raw(r#"{"a":1,"b":[1,2]}"#), &raw(r#"{"a":2,"b":[1]}"#));
/// assert_eq!(changes[0].pointer, "/a");
/// assert_eq!(changes[1].pointer, "/b/1");
/// assert!(changes[1].after.is_none());
/// ```
pub fn diff(before: &RawValue, after: &RawValue) -> Vec<Change> {
    let mut changes = Vec::new();
    if [before, after].iter().any(|side| depth(side.get()) > MAX_JSON_DEPTH) {
        if before.get() != after.get() {
            let (before, after) = (Some(before.to_owned()), Some(after.to_owned()));
            changes.push(Change { pointer: String::new(), before, after });
        }
        return changes;
    }
    compare(&mut String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn compare(
    pointer: &mut String,
    before: Option<&RawValue>,
    after: Option<&RawValue>,
    changes: &mut Vec<Change>,
) {
    let change = |pointer: &str| Change {
        pointer: pointer.to_owned(),
        before: before.map(compact),
        after: after.map(compact),
    };
    let (Some(old), Some(new)) = (before, after) else {
        changes.push(change(pointer));
        return;
    };
    if old.get() == new.get() {
        return;
    }
    match (shape(old), shape(new)) {
        (Shape::Object(old), Shape::Object(new)) => {
            // Later duplicates of a key win, as everywhere.
            let old: IndexMap<_, _> = old.into_iter().collect();
            let new: IndexMap<_, _> = new.into_iter().collect();
            for (key, value) in &old {
                descend(pointer, key, Some(*value), new.get(key).copied(), changes);
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                descend(pointer, key, None, Some(*value), changes);
            }
        }
        (Shape::Array(old), Shape::Array(new)) => {
            for i in 0..old.len().max(new.len()) {
                descend(pointer, &i.to_string(), old.get(i).copied(), new.get(i).copied(), changes);
            }
        }
        (Shape::Scalar, Shape::Scalar) if same_text(old, new) => {}
        (Shape::Null, Shape::Null) => {}
        _ => changes.push(change(pointer)),
    }
}

fn descend(
    pointer: &mut String,
    token: &str,
    before: Option<&RawValue>,
    after: Option<&RawValue>,
    changes: &mut Vec<Change>,
) {
    let length = pointer.len();
    push_token(pointer, token);
    compare(pointer, before, after, changes);
    pointer.truncate(length);
}

fn same_text(old: &RawValue, new: &RawValue) -> bool {
    match (serde_json::from_str::<String>(old.get()), serde_json::from_str::<String>(new.get())) {
        (Ok(old), Ok(new)) => old == new,
        _ => false,
    }
}
