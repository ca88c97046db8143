//! Upcasters see values after they were opened, and never make up what was erased.

use factum::{Codec, Event, Personal, map_personal};
use serde_json::{Value, json};

use super::{ERASURE, KEY, OWNER};

#[derive(Debug, PartialEq, Event)]
enum PersonEvent {
    /// Version 1 had `called`, in clear; version 2 had it whole; version 3 was not sure of the nickname.
    #[event(name = "Named", version = 4)]
    #[event(upcast(from = 1, rename("called", "name"), personal("name", "id")))]
    #[event(upcast(from = 2, with = in_parts))]
    #[event(upcast(from = 3, remove("nick"), default("title", null)))]
    Named {
        id: u32,
        #[personal(subject = "id")]
        name: Option<Personal<(String, String)>>,
        #[personal(subject = "id")]
        title: Option<Personal<String>>,
    },
}

fn in_parts(mut data: Value) -> Result<Value, String> {
    if data["name"].is_object() {
        data["name"] = map_personal(data["name"].take(), |name| {
            let parts = name.as_str().and_then(|name| name.split_once(' ')).ok_or("one part only")?;
            Ok(json!([parts.0, parts.1]))
        })?;
    }
    Ok(data)
}

fn read(version: u32, data: &Value) -> Result<Option<Personal<(String, String)>>, String> {
    let codec = Codec::<PersonEvent>::new().unwrap();
    let event = codec.decode_data("Named", version, data.to_string().as_bytes());
    event.map(|PersonEvent::Named { name, .. }| name).map_err(|error| error.to_string())
}

fn ada() -> Personal<(String, String)> {
    Personal::new(("Ada".to_owned(), "Lovelace".to_owned()))
}

#[test]
fn a_field_that_became_personal_belongs_to_the_named_subject() {
    assert_eq!(read(1, &json!({"id": 7, "called": "Ada Lovelace"})), Ok(Some(ada())));
    assert_eq!(read(1, &json!({"id": 7, "called": null})), Ok(None));
    assert_eq!(read(1, &json!({"id": 7})), Ok(None));
    let error = read(1, &json!({"called": "Ada Lovelace"})).unwrap_err();
    assert!(error.contains("field 'id' does not name the subject of 'name'"), "{error}");
    // Without that step, the error says what is missing.
    let error = read(4, &json!({"id": 7, "name": "Ada", "title": null})).unwrap_err();
    assert!(error.contains("a field that became personal needs an upcaster"), "{error}");
}

#[test]
fn what_was_erased_or_is_unavailable_stays_so() {
    let opened = json!({"$personal": {"k": KEY, "o": OWNER, "v": "Ada Lovelace"}});
    assert_eq!(read(2, &json!({"id": 7, "name": opened, "nick": 1})), Ok(Some(ada())));
    let erased = read(2, &json!({"id": 7, "name": {"$personal": {"k": KEY, "e": ERASURE}}}));
    assert!(erased.unwrap().unwrap().is_erased());
    for unavailable in [json!({"$personal": {"u": "vault_down"}}), json!({"$pii": {"v": 1, "k": KEY}})] {
        let read = read(2, &json!({"id": 7, "name": unavailable})).unwrap().unwrap();
        assert!(read.why_unavailable().is_some() && !read.is_erased());
    }
}
