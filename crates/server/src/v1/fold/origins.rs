//! Which event gave each part of a state its value, where only the states after each event are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use factum::{JsonChange, Origin, diff_json, json_leaves};
use serde_json::value::RawValue;

/// The events that touched a state's parts last.
pub(crate) struct Origins {
    /// By pointer: a value that was set, or something in it.
    touched: BTreeMap<String, Arc<Origin>>,
    before: Box<RawValue>,
}

/// A leaf, and the event whose change touched it last; `None` where that was before what was looked at, or never.
pub(crate) struct Traced {
    pub(crate) pointer: String,
    pub(crate) value: Box<RawValue>,
    pub(crate) set_by: Option<Arc<Origin>>,
}

impl Origins {
    /// From this state on.
    pub(crate) fn since(state: Box<RawValue>) -> Self {
        Self { touched: BTreeMap::new(), before: state }
    }

    /// The state is now this one, by that event.
    pub(crate) fn take(&mut self, after: Box<RawValue>, by: impl FnOnce() -> Origin) {
        let changes = diff_json(&self.before, &after);
        self.before = after;
        if changes.is_empty() {
            return;
        }
        let by = Arc::new(by());
        for JsonChange { pointer, .. } in changes {
            // What was in it is gone, or a part of what is there now.
            let below: Vec<String> = self.below(&pointer).map(|(touched, _)| touched.clone()).collect();
            for touched in below {
                self.touched.remove(&touched);
            }
            self.touched.insert(pointer, Arc::clone(&by));
        }
    }

    fn below<'a>(&'a self, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Arc<Origin>)> + use<'a> {
        // '0' comes after '/'.
        self.touched.range(format!("{pointer}/")..format!("{pointer}0"))
    }

    /// The leaves at or below `pointer`; the array, for a pointer into one.
    pub(crate) fn blame(&self, pointer: &str) -> Vec<Traced> {
        let below = format!("{pointer}/");
        let wanted = |leaf: &factum::JsonLeaf| {
            pointer.is_empty()
                || leaf.pointer == pointer
                || leaf.pointer.starts_with(&below)
                || (leaf.value.get().starts_with('[') && pointer.starts_with(&format!("{}/", leaf.pointer)))
        };
        let leaves = json_leaves(&self.before).into_iter().filter(wanted);
        leaves
            .map(|leaf| Traced {
                set_by: self.setter(&leaf.pointer),
                pointer: leaf.pointer,
                value: leaf.value,
            })
            .collect()
    }

    fn setter(&self, leaf: &str) -> Option<Arc<Origin>> {
        let above = leaf.match_indices('/').map(|(at, _)| &leaf[..at]).chain([leaf]);
        let set = above.filter_map(|pointer| self.touched.get(pointer));
        let within = self.below(leaf).map(|(_, origin)| origin);
        set.chain(within).max_by_key(|origin| origin.revision).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn origin(revision: u64) -> Origin {
        Origin {
            revision: factum_core::Revision(revision),
            position: factum_core::Position(revision),
            id: factum_core::EventId::generate(),
            event_type: "T".to_owned(),
            happened_at: factum_core::Timestamp::default(),
            actor: None,
        }
    }

    #[test]
    fn a_leaf_is_of_the_event_that_touched_it_last() {
        let mut origins = Origins::since(raw(r#"{"kept":0,"a":{"b":1,"c":1}}"#));
        for (revision, state) in [
            (1, r#"{"kept":0,"a":{"b":2,"c":1},"list":[1,2]}"#),
            (2, r#"{"kept":0,"a":{"b":2,"c":1},"list":[1,3],"none":null}"#),
            (3, r#"{"kept":0,"a":{"b":2,"c":3},"list":[1,3],"none":null}"#),
            (4, r#"{"kept":0,"a":{"b":2,"c":3},"list":[1,3],"none":null}"#),
        ] {
            origins.take(raw(state), || origin(revision));
        }
        let found: Vec<(String, Option<u64>)> = origins
            .blame("")
            .into_iter()
            .map(|leaf| (leaf.pointer, leaf.set_by.map(|by| by.revision.0)))
            .collect();
        let expected =
            [("/kept", None), ("/a/b", Some(1)), ("/a/c", Some(3)), ("/list", Some(2)), ("/none", Some(2))];
        assert_eq!(found, expected.map(|(pointer, by)| (pointer.to_owned(), by)));
        assert_eq!(origins.blame("/list/1").len(), 1);
        origins.take(raw(r#"{"a":{}}"#), || origin(5));
        let found = origins.blame("/a");
        assert_eq!((found.len(), found[0].set_by.as_ref().map(|by| by.revision.0)), (1, Some(5)));
    }
}
