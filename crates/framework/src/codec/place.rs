//! Which field is at this line and column of JSON text?

use factum_core::PERSONAL_MEMBER;
use serde_json::Value;

/// A step from a JSON value into one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The path to what stands before `line` and `column` (both from 1, as serde_json counts them): the last key or
/// element that was begun. Text that is not JSON gives the path as far as it goes.
pub(super) fn path_at(data: &[u8], line: usize, column: usize) -> Vec<Step> {
    let before = &data[..offset_of(data, line, column)];
    let mut path = Vec::new();
    // Text that may be a key, until what follows it shows whether it is one.
    let mut text: Option<&[u8]> = None;
    let mut at = 0;
    while at < before.len() {
        match before[at] {
            b'"' => {
                let end = end_of_string(before, at);
                text = Some(&before[at..end]);
                at = end;
                continue;
            }
            b':' => set_key(&mut path, text.take()),
            b'{' => path.push(Step::Key(String::new())),
            b'[' => path.push(Step::Index(0)),
            b',' => match path.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(key)) => key.clear(),
                None => {}
            },
            b'}' | b']' => {
                path.pop();
            }
            _ => {}
        }
        at += 1;
    }
    // The text ends just after a key: serde refused that key.
    if matches!(path.last(), Some(Step::Key(key)) if key.is_empty()) && text.is_some() {
        set_key(&mut path, text);
    }
    path.retain(|step| !matches!(step, Step::Key(key) if key.is_empty()));
    path
}

/// The path to the end of JSON text that was cut off: to what was being written.
pub(crate) fn end_of(data: &[u8]) -> String {
    let line = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    path_text(&path_at(data, line, data.len()))
}

/// `amount.lines[2].price`. Ends at a personal value: the keys of a map in it are personal too.
pub(super) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if key == PERSONAL_MEMBER => break,
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The data without the field that serde refused as unknown; `None` where the error is another one.
pub(super) fn without_unknown_field(data: &[u8], error: &serde_json::Error) -> Option<Vec<u8>> {
    let text = error.to_string();
    let (field, _) = text.strip_prefix("unknown field `")?.split_once("`, ")?;
    let mut path = path_at(data, error.line(), error.column());
    if path.last() == Some(&Step::Key(field.to_owned())) {
        path.pop();
    }
    let mut root: Value = serde_json::from_slice(data).ok()?;
    let holder = path.iter().try_fold(&mut root, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })?;
    holder.as_object_mut()?.shift_remove(field)?;
    serde_json::to_vec(&root).ok()
}

fn set_key(path: &mut [Step], text: Option<&[u8]>) {
    if let (Some(Step::Key(key)), Some(text)) = (path.last_mut(), text) {
        *key = serde_json::from_slice(text).unwrap_or_default();
    }
}

/// The place after the string that begins at `at`.
fn end_of_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn offset_of(data: &[u8], line: usize, column: usize) -> usize {
    let lines = line.saturating_sub(1);
    let start = match lines {
        0 => 0,
        _ => data
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .nth(lines - 1)
            .map_or(data.len(), |(at, _)| at + 1),
    };
    start.saturating_add(column).min(data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(data: &str, until: &str) -> String {
        let end = data.find(until).unwrap() + until.len();
        let line = data[..end].matches('\n').count() + 1;
        let column = end - data[..end].rfind('\n').map_or(0, |at| at + 1);
        path_text(&path_at(data.as_bytes(), line, column))
    }

    #[test]
    fn a_place_has_a_path() {
        let data = "{\"a\": {\"b\\\"c\": [1, {\"d\": 7}, \"x:{[\"]},\n \"e\": true}";
        assert_eq!(path(data, "{"), "");
        assert_eq!(path(data, "\"a\""), "a");
        assert_eq!(path(data, "7"), "a.b\"c[1].d");
        assert_eq!(path(data, "x:{["), "a.b\"c[2]");
        assert_eq!(path(data, "]}"), "a");
        assert_eq!(path(data, "true"), "e");
        assert_eq!(path(data, "true}"), "");
        let marker = r#"{"a":[{"$personal":{"s":"c","v":{"b":7}}}]}"#;
        assert_eq!(path(marker, "\"c\""), "a[0]");
        assert_eq!(path(marker, "7"), "a[0]");
        assert_eq!(end_of(&marker.as_bytes()[..19]), "a[0]");
    }

    #[test]
    fn any_text_has_a_path() {
        for text in ["", "}", "]]", "{\"", "{\"a\\", ":", "\u{0}", "[,,,"] {
            for column in 0..6 {
                path_at(text.as_bytes(), 1, column);
                path_at(text.as_bytes(), 3, column);
            }
        }
    }
}
