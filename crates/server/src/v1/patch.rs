//! What a change of JSON looks like as a patch (RFC 6902), forwards and backwards. Values stay as they were written.

use factum::JsonChange;
use serde::Serialize;
use serde_json::value::RawValue;

/// One operation.
#[derive(Debug, Serialize)]
pub(crate) struct Step<'a> {
    op: &'static str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
}

/// From before to after.
pub(crate) fn forwards(changes: &[JsonChange]) -> Vec<Step<'_>> {
    steps(changes, |change| (change.before.as_deref(), change.after.as_deref()))
}

/// From after to before.
pub(crate) fn backwards(changes: &[JsonChange]) -> Vec<Step<'_>> {
    steps(changes, |change| (change.after.as_deref(), change.before.as_deref()))
}

/// What is removed comes last and from behind: a place in an array stays what it is until it has had its turn.
fn steps<'a>(
    changes: &'a [JsonChange],
    sides: impl Fn(&'a JsonChange) -> (Option<&'a RawValue>, Option<&'a RawValue>),
) -> Vec<Step<'a>> {
    let mut steps = Vec::with_capacity(changes.len());
    let mut removed = Vec::new();
    for change in changes {
        let path = change.pointer.as_str();
        match sides(change) {
            (Some(_), None) => removed.push(Step { op: "remove", path, value: None }),
            (Some(_), Some(after)) => steps.push(Step { op: "replace", path, value: Some(after) }),
            (None, Some(after)) => steps.push(Step { op: "add", path, value: Some(after) }),
            (None, None) => {}
        }
    }
    steps.extend(removed.into_iter().rev());
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn text(steps: &[Step<'_>]) -> String {
        serde_json::to_string(steps).expect("JSON")
    }

    /// Applies a patch to parsed values: what the patch has to be true for.
    fn apply(document: &str, patch: &str) -> serde_json::Value {
        let mut document: serde_json::Value = serde_json::from_str(document).expect("JSON");
        let patch: Vec<serde_json::Value> = serde_json::from_str(patch).expect("a patch");
        for step in patch {
            let path = step["path"].as_str().expect("a path").to_owned();
            let Some((parent, key)) = path.rsplit_once('/') else {
                document = step["value"].clone();
                continue;
            };
            let key = key.replace("~1", "/").replace("~0", "~");
            let parent = document.pointer_mut(parent).expect("a parent");
            match (parent, step["op"].as_str().expect("an op")) {
                (serde_json::Value::Object(map), "remove") => drop(map.remove(&key).expect("it is there")),
                (serde_json::Value::Object(map), _) => drop(map.insert(key, step["value"].clone())),
                (serde_json::Value::Array(list), "remove") => {
                    drop(list.remove(key.parse().expect("an index")));
                }
                (serde_json::Value::Array(list), "add") => {
                    list.insert(key.parse().expect("an index"), step["value"].clone());
                }
                (serde_json::Value::Array(list), _) => {
                    list[key.parse::<usize>().expect("an index")] = step["value"].clone();
                }
                _ => panic!("no parent for {path}"),
            }
        }
        document
    }

    #[test]
    fn a_patch_and_its_inverse_lead_to_the_other_side() {
        for (before, after) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":[1,2,3,4],"b":{"c":1}}"#, r#"{"a":[1,9],"d":[[1],{}]}"#),
            (r#"{"a":[]}"#, r#"{"a":[1,2,3]}"#),
            (r#"{"a":[[1,2,3],[4]]}"#, r#"{"a":[[1]]}"#),
            (r#"{"x/y":1,"m~n":{"a":2}}"#, r#"{"m~n":{"b":3}}"#),
            (r#"{"a":1}"#, "[1]"),
            ("null", r#"{"a":null}"#),
        ] {
            let changes = factum::diff_json(&raw(before), &raw(after));
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            assert_eq!(apply(before, &text(&forwards(&changes))), value(after), "{before} {after}");
            assert_eq!(apply(after, &text(&backwards(&changes))), value(before), "{before} {after}");
        }
    }

    #[test]
    fn numbers_stay_as_written() {
        let changes =
            factum::diff_json(&raw(r#"{"a":1.10}"#), &raw(r#"{"a":9223372036854775807,"b":1e400}"#));
        assert_eq!(
            text(&forwards(&changes)),
            r#"[{"op":"replace","path":"/a","value":9223372036854775807},{"op":"add","path":"/b","value":1e400}]"#
        );
        assert_eq!(
            text(&backwards(&changes)),
            r#"[{"op":"replace","path":"/a","value":1.10},{"op":"remove","path":"/b"}]"#
        );
    }
}
