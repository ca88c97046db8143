//! Does merging, comparing and blaming do what RFC 7396 and the docs say?

use factum_core::{
    EventType, NewEvent, Position, RecordedEvent, RecordedHeader, Revision, SchemaVersion, StreamName,
};

use super::*;

fn merged(patches: &[&str]) -> String {
    let mut state = JsonState::default();
    for patch in patches {
        state.merge(patch.as_bytes()).unwrap();
    }
    state.to_json()
}

fn event(revision: u64, event_type: &str, data: &str) -> RecordedEvent {
    let new = NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned())
        .with_metadata(r#"{"actor":"ada"}"#);
    record(revision, &new)
}

fn record(revision: u64, new: &NewEvent) -> RecordedEvent {
    let header = RecordedHeader {
        position: Position(revision + 100),
        revision: Revision(revision),
        id: new.id,
        append_id: None,
        recorded_at: Timestamp(revision as i64),
        occurred_at: None,
        schema_version: SchemaVersion::FIRST,
        content_type: new.content_type,
    };
    RecordedEvent::record(header, &StreamName::new("s-1").unwrap(), new)
}

fn changes(before: &str, after: &str) -> Vec<String> {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let side = |value: &Option<Box<RawValue>>| value.as_ref().map_or("-".to_owned(), |v| v.get().to_owned());
    diff(&raw(before), &raw(after))
        .iter()
        .map(|c| format!("{} {} -> {}", c.pointer, side(&c.before), side(&c.after)))
        .collect()
}

/// RFC 7396, appendix A. The first column is brought about by a first patch, which can hold no null members.
#[test]
fn the_test_vectors_of_rfc_7396() {
    for (original, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(&[original, patch]), result, "{original} + {patch}");
    }
}

#[test]
fn arrays_are_replaced_and_keep_their_nulls() {
    assert_eq!(merged(&[r#"{"a":[1,2,3]}"#, r#"{"a":[null,{"x":null}]}"#]), r#"{"a":[null,{"x":null}]}"#);
}

#[test]
fn numbers_and_order_survive_as_written() {
    let patch = r#"{ "z": 1.10, "a": 123456789012345678901234567890, "s": "a b\" c\u00e9" }"#;
    assert_eq!(merged(&[patch]), r#"{"z":1.10,"a":123456789012345678901234567890,"s":"a b\" c\u00e9"}"#);
}

#[test]
fn a_key_that_comes_twice_counts_as_its_last() {
    assert_eq!(merged(&[r#"{"a":1,"a":2}"#]), r#"{"a":2}"#);
}

#[test]
fn data_that_cannot_be_merged_is_skipped_and_counted() {
    let mut state = JsonState::default();
    state.apply(&event(0, "Opened", r#"{"a":1}"#)).unwrap();
    let binary = NewEvent::binary(EventType::new("Photo").unwrap(), vec![1, 2]);
    assert_eq!(state.apply(&record(1, &binary)), Err(Skipped::Binary));
    assert_eq!(state.apply(&event(2, "Broken", "{\"a\":")), Err(Skipped::NotJson));
    assert_eq!(state.apply(&event(3, "$system", "{\"a\":2}")), Err(Skipped::System));
    let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    assert_eq!(state.apply(&event(4, "Deep", &deep)), Err(Skipped::TooDeep));
    assert_eq!(state.to_json(), r#"{"a":1}"#);
    assert_eq!((state.merged(), state.skipped()), (1, 4));
    assert_eq!(state.last().unwrap().revision, Revision(4));
}

#[test]
fn nesting_up_to_the_limit_is_merged() {
    let at_limit = format!("{}1{}", "{\"a\":".repeat(MAX_JSON_DEPTH), "}".repeat(MAX_JSON_DEPTH));
    assert_eq!(merged(&[&at_limit]), at_limit);
}

fn blamed(state: &JsonState, pointer: &str) -> Vec<String> {
    state
        .blame(pointer)
        .iter()
        .map(|leaf| {
            let by = leaf.set_by.as_ref().unwrap();
            format!("{} {} r{} {}", leaf.pointer, leaf.value.get(), by.revision, by.event_type)
        })
        .collect()
}

#[test]
fn blame_names_the_event_that_set_each_leaf() {
    let mut state = JsonState::default();
    state.apply(&event(0, "Opened", r#"{"id":7,"who":{"name":"ada","town":"Graz"},"lines":[1]}"#)).unwrap();
    state.apply(&event(1, "Moved", r#"{"id":7,"who":{"town":"Linz"}}"#)).unwrap();
    state.apply(&event(2, "Emptied", r#"{"lines":[],"x/y":{}}"#)).unwrap();
    assert_eq!(
        blamed(&state, ""),
        [
            "/id 7 r0 Opened",
            r#"/who/name "ada" r0 Opened"#,
            r#"/who/town "Linz" r1 Moved"#,
            "/lines [] r2 Emptied",
            "/x~1y {} r2 Emptied"
        ]
    );
    assert_eq!(blamed(&state, "/who").len(), 2);
    assert_eq!(blamed(&state, "/wh").len(), 0);
    assert_eq!(blamed(&state, "/lines/0"), ["/lines [] r2 Emptied"]);
    assert_eq!(state.blame("/id")[0].set_by.as_ref().unwrap().actor.as_deref(), Some("ada"));
}

#[test]
fn blame_goes_through_deletes_and_resets() {
    let mut state = JsonState::default();
    state.apply(&event(0, "Set", r#"{"a":1,"o":{"b":1}}"#)).unwrap();
    state.apply(&event(1, "Cleared", r#"{"a":null,"o":null}"#)).unwrap();
    assert!(state.blame("").is_empty());
    state.apply(&event(2, "SetAgain", r#"{"a":1,"o":{"b":1}}"#)).unwrap();
    assert_eq!(blamed(&state, ""), ["/a 1 r2 SetAgain", "/o/b 1 r2 SetAgain"]);
    state.apply(&event(3, "Flattened", r#"{"o":5}"#)).unwrap();
    state.apply(&event(4, "Nested", r#"{"o":{"c":null,"d":2}}"#)).unwrap();
    assert_eq!(blamed(&state, "/o"), ["/o/d 2 r4 Nested"]);
    state.apply(&event(5, "Replaced", "[1]")).unwrap();
    assert_eq!(blamed(&state, ""), [" [1] r5 Replaced"]);
}

#[test]
fn a_diff_names_each_pointer_once() {
    assert_eq!(changes(r#"{"a":1}"#, r#"{"a":1}"#), Vec::<String>::new());
    assert_eq!(
        changes(r#"{"a":1,"b":{"c":[1,2]},"gone":{"x":1}}"#, r#"{"a":2,"b":{"c":[1,3,4]},"new":"n"}"#),
        ["/a 1 -> 2", "/b/c/1 2 -> 3", "/b/c/2 - -> 4", r#"/gone {"x":1} -> -"#, r#"/new - -> "n""#]
    );
    assert_eq!(changes(r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#), [r#"/a {"b":1} -> [1]"#]);
    assert_eq!(changes("1", "[]"), [" 1 -> []"]);
    assert_eq!(changes(r#""\u0041""#, r#""A""#), Vec::<String>::new());
    assert_eq!(changes("1.0", "1.00"), [" 1.0 -> 1.00"]);
    assert_eq!(changes(r#"{"a~b/c":1}"#, r#"{}"#), ["/a~0b~1c 1 -> -"]);
}

#[test]
fn a_diff_of_hostile_nesting_does_not_overflow() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(300_000), "]".repeat(300_000));
    assert_eq!(changes(&deep("1"), &deep("2")).len(), 1);
    assert_eq!(changes(&deep("1"), &deep("1")).len(), 0);
}

#[test]
fn get_follows_pointers() {
    let mut state = JsonState::default();
    state.merge(br#"{"a/b":{"list":[{"n":1},2]}}"#).unwrap();
    assert_eq!(state.get("/a~1b/list/0/n").unwrap().get(), "1");
    assert_eq!(state.get("").unwrap().get(), r#"{"a/b":{"list":[{"n":1},2]}}"#);
    for missing in ["/a", "/a~1b/list/9", "/a~1b/list/x", "/a~1b/list/1/deeper", "no-slash"] {
        assert!(state.get(missing).is_none(), "{missing}");
    }
}
