//! What is different between two JSON Schemas, for the data that they describe?

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::personal_data::CONTENT;

/// Words that say nothing about which data fits.
const ANNOTATIONS: [&str; 9] = [
    "$schema",
    "$defs",
    "$comment",
    "title",
    "description",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// One difference between two shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeChange {
    /// Where, such as `amount.currency` or `lines[].price`; empty for the data itself.
    pub field: String,
    /// What, such as `was removed`.
    pub what: String,
}

impl fmt::Display for ShapeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "the data {}", self.what)
        } else {
            write!(f, "field '{}' {}", self.field, self.what)
        }
    }
}

/// The differences from one document to another, in the order of the old one's fields.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<ShapeChange> {
    let mut comparison = Comparison { old, new, open: Vec::new(), changes: Vec::new() };
    comparison.compare(old, new, "");
    comparison.changes
}

/// The schema behind a `$ref` of this document, as far as there is one.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let mut found = schema;
    // A chain of references to references is short; a circle of them ends here.
    for _ in 0..16 {
        let Some(next) = reference(found).and_then(|name| document.get("$defs")?.get(name)) else { break };
        found = next;
    }
    found
}

/// The name of the nested type that a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Pairs of references that are being compared further out: recursive types end here.
    open: Vec<(String, String)>,
    changes: Vec<ShapeChange>,
}

impl Comparison<'_> {
    fn report(&mut self, field: &str, what: impl Into<String>) {
        self.changes.push(ShapeChange { field: field.to_owned(), what: what.into() });
    }

    fn compare(&mut self, old: &Value, new: &Value, field: &str) {
        let pair = match (reference(old), reference(new)) {
            (None, None) => None,
            (old, new) => Some((old.unwrap_or_default().to_owned(), new.unwrap_or_default().to_owned())),
        };
        if pair.as_ref().is_some_and(|pair| self.open.contains(pair)) {
            return;
        }
        let opened = pair.is_some();
        self.open.extend(pair);
        let (old_shape, new_shape) = (resolve(self.old, old), resolve(self.new, new));
        match (old_shape.as_object(), new_shape.as_object()) {
            (Some(old), Some(new)) => self.compare_objects(old, new, field),
            _ if old_shape == new_shape => {}
            _ => {
                self.report(
                    field,
                    format!("changed from {} to {}", describe(old_shape), describe(new_shape)),
                );
            }
        }
        if opened {
            self.open.pop();
        }
    }

    fn compare_objects(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, field: &str) {
        let (old_type, new_type) = (old.get("type"), new.get("type"));
        if kinds(old_type) != kinds(new_type) {
            let (old, new) = (Value::Object(old.clone()), Value::Object(new.clone()));
            self.report(field, format!("changed from {} to {}", describe(&old), describe(&new)));
            return;
        }
        let words: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        for word in words {
            if ANNOTATIONS.contains(&word) || word == "type" || word == "$ref" {
                continue;
            }
            match (word, old.get(word), new.get(word)) {
                ("properties", old_fields, new_fields) => self.fields(old_fields, new_fields, field),
                ("required", was, is) => self.required(was, is, (old, new), field),
                ("items" | "additionalProperties" | CONTENT, Some(was), Some(is)) => {
                    let inner = match word {
                        "items" => format!("{field}[]"),
                        CONTENT => field.to_owned(),
                        _ => child(field, "*"),
                    };
                    self.compare(was, is, &inner);
                }
                ("oneOf" | "anyOf", Some(Value::Array(was)), Some(Value::Array(is))) => {
                    self.alternatives(was, is, field);
                }
                ("enum", Some(Value::Array(was)), Some(Value::Array(is))) => self.values(was, is, field),
                ("prefixItems" | "allOf", Some(Value::Array(was)), Some(Value::Array(is)))
                    if was.len() == is.len() =>
                {
                    for (index, (was, is)) in was.iter().zip(is).enumerate() {
                        let place =
                            if word == "allOf" { field.to_owned() } else { format!("{field}[{index}]") };
                        self.compare(was, is, &place);
                    }
                }
                (_, was, is) if was == is => {}
                (word, None, Some(is)) => self.report(field, format!("got `{word}`: {is}")),
                (word, Some(was), None) => self.report(field, format!("lost `{word}`: {was}")),
                (word, Some(was), Some(is)) => {
                    self.report(field, format!("has `{word}` {is} instead of {was}"));
                }
                (_, None, None) => {}
            }
        }
    }

    fn fields(&mut self, old: Option<&Value>, new: Option<&Value>, field: &str) {
        let empty = Map::new();
        let old = old.and_then(Value::as_object).unwrap_or(&empty);
        let new = new.and_then(Value::as_object).unwrap_or(&empty);
        for (name, was) in old {
            let place = child(field, name);
            match new.get(name) {
                Some(is) => self.compare(was, is, &place),
                None => self.report(&place, "was removed"),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            self.report(&child(field, name), "was added");
        }
    }

    fn required(
        &mut self,
        was: Option<&Value>,
        is: Option<&Value>,
        (old, new): (&Map<String, Value>, &Map<String, Value>),
        field: &str,
    ) {
        let (was, is) = (texts(was), texts(is));
        // A field that came or went is reported as such, once.
        let has = |schema: &Map<String, Value>, name: &str| {
            schema.get("properties").is_some_and(|p| p.get(name).is_some())
        };
        for name in is.difference(&was).filter(|name| has(old, name) || !has(new, name)) {
            self.report(&child(field, name), "became required");
        }
        for name in was.difference(&is).filter(|name| has(new, name) || !has(old, name)) {
            self.report(&child(field, name), "became optional");
        }
    }

    fn values(&mut self, was: &[Value], is: &[Value], field: &str) {
        for value in was.iter().filter(|value| !is.contains(value)) {
            self.report(field, format!("lost the value {value}"));
        }
        for value in is.iter().filter(|value| !was.contains(value)) {
            self.report(field, format!("got the value {value}"));
        }
    }

    /// Alternatives match in any order; what is left over on both sides is compared in pairs.
    fn alternatives(&mut self, was: &[Value], is: &[Value], field: &str) {
        let mut added: Vec<&Value> = is.iter().collect();
        let mut gone: Vec<&Value> = Vec::new();
        for case in was {
            match added.iter().position(|candidate| self.same(case, candidate, field)) {
                Some(found) => drop(added.remove(found)),
                None => gone.push(case),
            }
        }
        if gone.len() == added.len() {
            for (was, is) in gone.into_iter().zip(added) {
                self.compare(was, is, field);
            }
            return;
        }
        for case in gone {
            self.report(field, format!("lost the alternative {}", describe(resolve(self.old, case))));
        }
        for case in added {
            self.report(field, format!("got the alternative {}", describe(resolve(self.new, case))));
        }
    }

    fn same(&self, was: &Value, is: &Value, field: &str) -> bool {
        let mut trial =
            Comparison { old: self.old, new: self.new, open: self.open.clone(), changes: Vec::new() };
        trial.compare(was, is, field);
        trial.changes.is_empty()
    }
}

/// The types that a `type` allows, in any order.
fn kinds(allowed: Option<&Value>) -> BTreeSet<String> {
    match allowed {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        many => texts(many).into_iter().collect(),
    }
}

fn texts(list: Option<&Value>) -> BTreeSet<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn child(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// A few words for a schema.
fn describe(schema: &Value) -> String {
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    match schema.get("type") {
        Some(Value::String(kind)) => match schema.get("required").and_then(|names| names[0].as_str()) {
            Some(first) => format!("{kind} with '{first}'"),
            None => kind.clone(),
        },
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ if schema.get("oneOf").or(schema.get("anyOf")).is_some() => "alternatives".to_owned(),
        _ => "any value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better in a table of cases")]
    fn check(old: Value, new: Value, expected: &[&str]) {
        let found: Vec<_> = changes(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{old} -> {new}");
    }

    #[test]
    fn fields_that_come_go_and_change_are_named() {
        check(
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": true},
                   "required": ["a", "b"]}),
            json!({"type": "object", "properties": {"a": {"type": ["integer", "null"]}, "c": true, "d": true},
                   "required": ["c", "d"]}),
            &[
                "field 'a' changed from integer to integer or null",
                "field 'b' was removed",
                "field 'd' was added",
                "field 'c' became required",
                "field 'a' became optional",
            ],
        );
    }

    #[test]
    fn words_and_names_of_types_are_no_shape() {
        check(
            json!({"$ref": "#/$defs/Money", "$defs": {"Money": {"type": "integer", "description": "Cents."}}}),
            json!({"type": "integer", "title": "Amount"}),
            &[],
        );
    }

    #[test]
    fn what_is_sealed_in_a_value_is_part_of_the_shape() {
        let sealed =
            |kind: &str| json!({"properties": {"a": {"type": "object", "contentSchema": {"type": kind}}}});
        check(sealed("string"), sealed("string"), &[]);
        check(sealed("string"), sealed("integer"), &["field 'a' changed from string to integer"]);
    }

    #[test]
    fn recursion_ends() {
        let tree = |leaf: &str| {
            json!({"$ref": "#/$defs/T", "$defs": {"T": {"type": "object", "properties":
                {"next": {"$ref": "#/$defs/T"}, "leaf": {"type": leaf}}}}})
        };
        check(tree("string"), tree("string"), &[]);
        check(tree("string"), tree("null"), &["field 'leaf' changed from string to null"]);
        check(
            json!({"$ref": "#/$defs/T", "$defs": {"T": {"$ref": "#/$defs/T"}}}),
            json!(true),
            &["the data changed from any value to any value"],
        );
    }

    #[test]
    fn alternatives_match_in_any_order() {
        let (a, b, c) = (json!({"const": "a"}), json!({"const": "b"}), json!({"const": "c"}));
        check(json!({"oneOf": [a, b]}), json!({"oneOf": [b, a]}), &[]);
        check(json!({"oneOf": [a, b]}), json!({"oneOf": [c, b, a]}), &["the data got the alternative \"c\""]);
        check(json!({"oneOf": [a, b]}), json!({"oneOf": [b]}), &["the data lost the alternative \"a\""]);
        check(
            json!({"oneOf": [a, b]}),
            json!({"oneOf": [b, c]}),
            &["the data has `const` \"c\" instead of \"a\""],
        );
        check(
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["b", "d"]}),
            &["the data lost the value \"a\"", "the data got the value \"d\""],
        );
    }

    #[test]
    fn places_inside_lists_and_maps_are_named() {
        let wrap = |inner: Value| json!({"properties": {"l": {"items": inner}, "m": {"additionalProperties": inner}, "t": {"prefixItems": [true, inner]}}});
        check(
            wrap(json!({"type": "integer", "minimum": 0})),
            wrap(json!({"type": "integer", "maximum": 9})),
            &[
                "field 'l[]' got `maximum`: 9",
                "field 'l[]' lost `minimum`: 0",
                "field 'm.*' got `maximum`: 9",
                "field 'm.*' lost `minimum`: 0",
                "field 't[1]' got `maximum`: 9",
                "field 't[1]' lost `minimum`: 0",
            ],
        );
    }
}
