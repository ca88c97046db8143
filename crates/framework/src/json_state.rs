//! What a stream of JSON events comes to when they are merged, and which event set each part of it.
//!
//! No configuration and no types: each event's data is an RFC 7396 merge patch on the state before it. Scalars and
//! arrays are kept as the text that was stored, so `1.10` and integers beyond 64 bits survive.

mod diff;
mod leaves;
mod text;

use std::sync::Arc;

use factum_core::{ContentType, EventId, Position, RecordedEvent, Revision, Timestamp, metadata_text};
use indexmap::IndexMap;
use serde_json::value::RawValue;

pub use diff::{Change, diff};
pub use leaves::{Leaf, at, leaves};
use text::{Shape, shape};

use crate::ACTOR_KEY;

/// Deepest nesting of objects that is merged; deeper data is skipped.
pub const MAX_JSON_DEPTH: usize = 128;

/// The event that set a value, as much of it as blame shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its revision.
    pub revision: Revision,
    /// Its position.
    pub position: Position,
    /// Its identity.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// Who caused it, if its metadata says so under `actor`.
    pub actor: Option<String>,
}

impl Origin {
    /// What blame shows of `event`.
    pub fn of(event: &RecordedEvent) -> Self {
        Self {
            revision: event.revision(),
            position: event.position(),
            id: event.id(),
            event_type: event.event_type().to_owned(),
            happened_at: event.happened_at(),
            actor: metadata_text(event.metadata_slice(), ACTOR_KEY),
        }
    }
}

/// Why an event left the state as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Its data is binary.
    Binary,
    /// Its data claims to be JSON and is not.
    NotJson,
    /// Its objects nest deeper than [`MAX_JSON_DEPTH`].
    TooDeep,
    /// It is one of the store's own events (its type starts with `$`).
    System,
    /// Its data was taken out of the log.
    Redacted,
}

/// The merged state of a stream of JSON events.
///
/// It starts as the empty object. Data that is not an object replaces the whole state, as RFC 7396 says.
///
/// ```
/// use factum::JsonState;
/// let mut state = JsonState::default();
/// state.merge(br#"{"owner":"ada","total":1.10}"#).unwrap();
/// state.merge(br#"{"owner":null,"open":true}"#).unwrap();
/// assert_eq!(state.to_json(), r#"{"total":1.10,"open":true}"#);
/// ```
#[derive(Clone, Debug)]
pub struct JsonState {
    root: Node,
    last: Option<Arc<Origin>>,
    merged: u64,
    skipped: u64,
}

/// One leaf of a state and the event that gave it its value.
#[derive(Clone, Debug)]
pub struct Blame {
    /// JSON pointer (RFC 6901) of the leaf.
    pub pointer: String,
    /// The leaf's JSON text: a scalar, an array or an empty object.
    pub value: Box<RawValue>,
    /// The event that set it; `None` where it was merged without one.
    pub set_by: Option<Arc<Origin>>,
}

#[derive(Clone, Debug)]
enum Node {
    /// Its members in the order in which they came.
    Object { members: IndexMap<String, Node>, set_by: Option<Arc<Origin>> },
    /// A scalar or an array: a merge patch replaces either as a whole.
    Leaf { text: Box<RawValue>, set_by: Option<Arc<Origin>> },
}

impl Node {
    fn object(set_by: Option<Arc<Origin>>) -> Self {
        Node::Object { members: IndexMap::new(), set_by }
    }
}

impl Default for JsonState {
    fn default() -> Self {
        Self { root: Node::object(None), last: None, merged: 0, skipped: 0 }
    }
}

impl JsonState {
    /// Merges an event's data; the values that it changes are its own from here on.
    ///
    /// A value that is set again to what it was keeps its first setter: blame answers since when it is so.
    ///
    /// # Errors
    /// Why the event was skipped. The state is then as before.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), Skipped> {
        let origin = Arc::new(Origin::of(event));
        let outcome = if event.event_type().starts_with('$') {
            Err(Skipped::System)
        } else if event.is_redacted() {
            Err(Skipped::Redacted)
        } else if event.content_type() == ContentType::Binary {
            Err(Skipped::Binary)
        } else {
            self.merge_as(event.data_slice(), Some(&origin))
        };
        if outcome.is_err() {
            self.skipped += 1;
        }
        self.last = Some(origin);
        outcome
    }

    /// Merges one patch that no event stands for.
    ///
    /// # Errors
    /// `NotJson` or `TooDeep`; the state is then as before.
    pub fn merge(&mut self, patch: &[u8]) -> Result<(), Skipped> {
        self.merge_as(patch, None)
    }

    fn merge_as(&mut self, patch: &[u8], origin: Option<&Arc<Origin>>) -> Result<(), Skipped> {
        let patch: &RawValue = serde_json::from_slice(patch).map_err(|_| Skipped::NotJson)?;
        if text::depth(patch.get()) > MAX_JSON_DEPTH {
            return Err(Skipped::TooDeep);
        }
        match shape(patch) {
            Shape::Object(members) => merge_object(&mut self.root, members, origin),
            Shape::Array(_) | Shape::Null | Shape::Scalar => set_leaf(&mut self.root, patch, origin),
        }
        self.merged += 1;
        Ok(())
    }

    /// The state as compact JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write(&self.root, &mut out);
        out
    }

    /// The JSON text at a pointer; `None` where the state has nothing there.
    pub fn get(&self, pointer: &str) -> Option<Box<RawValue>> {
        let state = RawValue::from_string(self.to_json()).ok()?;
        text::lookup(&state, pointer).map(ToOwned::to_owned)
    }

    /// Each leaf at or below `pointer` with the event that gave it its value; the empty pointer means all.
    pub fn blame(&self, pointer: &str) -> Vec<Blame> {
        let mut leaves = Vec::new();
        collect(&self.root, &mut String::new(), &mut leaves);
        let below = format!("{pointer}/");
        // A pointer into an array finds the array: an array is set as a whole.
        leaves.retain(|leaf| {
            pointer.is_empty()
                || leaf.pointer == pointer
                || leaf.pointer.starts_with(&below)
                || (leaf.value.get().starts_with('[') && pointer.starts_with(&format!("{}/", leaf.pointer)))
        });
        leaves
    }

    /// The last event that was applied, merged or skipped.
    pub fn last(&self) -> Option<&Origin> {
        self.last.as_deref()
    }

    /// How many patches were merged.
    pub fn merged(&self) -> u64 {
        self.merged
    }

    /// How many events were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

fn merge_object(target: &mut Node, patch: Vec<(String, &RawValue)>, origin: Option<&Arc<Origin>>) {
    if matches!(target, Node::Leaf { .. }) {
        *target = Node::object(origin.cloned());
    }
    let Node::Object { members, .. } = target else { return };
    for (key, value) in patch {
        match shape(value) {
            Shape::Null => {
                members.shift_remove(&key);
            }
            Shape::Object(inner) => {
                let member = members.entry(key).or_insert_with(|| Node::object(origin.cloned()));
                merge_object(member, inner, origin);
            }
            Shape::Array(_) | Shape::Scalar => match members.entry(key) {
                indexmap::map::Entry::Occupied(mut entry) => set_leaf(entry.get_mut(), value, origin),
                indexmap::map::Entry::Vacant(entry) => {
                    entry.insert(Node::Leaf { text: text::compact(value), set_by: origin.cloned() });
                }
            },
        }
    }
}

fn set_leaf(target: &mut Node, value: &RawValue, origin: Option<&Arc<Origin>>) {
    let text = text::compact(value);
    if let Node::Leaf { text: before, .. } = target
        && before.get() == text.get()
    {
        return;
    }
    *target = Node::Leaf { text, set_by: origin.cloned() };
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Leaf { text, .. } => out.push_str(text.get()),
        Node::Object { members, .. } => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                text::write_string(key, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

fn collect(node: &Node, pointer: &mut String, leaves: &mut Vec<Blame>) {
    match node {
        Node::Leaf { text, set_by } => {
            leaves.push(Blame { pointer: pointer.clone(), value: text.clone(), set_by: set_by.clone() });
        }
        Node::Object { members, set_by } => {
            if members.is_empty() && !pointer.is_empty() {
                let value = text::empty_object();
                leaves.push(Blame { pointer: pointer.clone(), value, set_by: set_by.clone() });
            }
            for (key, member) in members {
                let length = pointer.len();
                text::push_token(pointer, key);
                collect(member, pointer, leaves);
                pointer.truncate(length);
            }
        }
    }
}

#[cfg(test)]
mod tests;
