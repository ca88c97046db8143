//! Is what is appended sealed, and what is read opened, in its place only?

use factum_core::{
    AppendError, ContentType, ErrorKind, EventStore, EventStoreExt, Query, QueryItem, Read, Selector,
    Subscribe, SubscriptionMessage, block_on,
};
use factum_vault::{
    Cell, Envelope, KeyOwner, OpenedCell, SEALED_MEMBER, Unavailable, VaultOptions, find_objects, subject_tag,
};
use serde_json::{Value, json};

use crate::faults::{FaultyKek, FaultyKeys, Fuse};
use crate::house::{House, append, event, fresh, last, outcome, read, stream, subject};

#[test]
fn a_value_is_sealed_in_the_log_and_itself_for_who_has_the_vault() {
    let house = House::new();
    let store = house.open();
    for value in
        [json!("Ada"), json!(1815), json!(true), json!(null), json!(1.50), json!({"a": ["b", {"c": 1}]})]
    {
        append(&store, "customer-1", &json!({ "id": 7, "name": fresh("ada", &value) })).unwrap();
        let data = last(&store, "customer-1");
        assert_eq!(outcome(&data, "name"), format!("value {value}"));
        assert_eq!(data["id"], 7);
    }
    let sealed = last(&*house.log, "customer-1");
    assert!(sealed["name"][SEALED_MEMBER].is_object(), "{sealed}");
    let bytes = house.stored();
    for hidden in ["Ada", "1815", "$personal"] {
        assert!(
            !bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes()),
            "{hidden} is in the log"
        );
    }
}

#[test]
fn a_value_is_given_back_as_it_was_written_to_the_last_digit() {
    let house = House::new();
    let store = house.open();
    let text = r#"{"n":{"$personal":{"s":"ada","v":10000000000000000000000.10}}}"#;
    let new = factum_core::NewEvent { data: text.into(), ..event(&json!({})) };
    let any = factum_core::ExpectedRevision::Any;
    block_on(store.append_to(stream("c-1"), any, vec![new])).unwrap();
    let read = read(&store, "c-1");
    let data = std::str::from_utf8(read[0].data_slice()).unwrap();
    assert!(data.contains("\"v\":10000000000000000000000.10"), "{data}");
}

#[test]
fn several_subjects_and_purposes_in_one_event_have_keys_of_their_own() {
    let house = House::new();
    let store = house.open();
    let purpose = json!({ "$personal": { "s": "ada", "p": "billing", "v": "iban" } });
    let data =
        json!({ "from": fresh("ada", &json!("Ada")), "to": fresh("bob", &json!("Bob")), "iban": purpose });
    append(&store, "transfer-1", &data).unwrap();
    let opened = last(&store, "transfer-1");
    for (member, value) in [("from", "Ada"), ("to", "Bob"), ("iban", "iban")] {
        assert_eq!(outcome(&opened, member), format!("value \"{value}\""));
    }
    let sealed = read(&*house.log, "transfer-1");
    let keys: std::collections::BTreeSet<_> = find_objects(sealed[0].data_slice(), SEALED_MEMBER)
        .unwrap()
        .iter()
        .map(|found| Envelope::parse(&sealed[0].data_slice()[found.value.clone()]).unwrap().key)
        .collect();
    assert_eq!(keys.len(), 3);
    let vault = store.vault();
    let tags: Vec<&str> = sealed[0].tags().collect();
    let of = |id| subject_tag(vault.subject_ref(&subject(id))).to_string();
    assert_eq!(tags, [of("ada"), of("bob")]);
    // The tag finds the subject's events.
    let query = Query::item(QueryItem {
        types: Vec::new(),
        tags: vec![subject_tag(vault.subject_ref(&subject("bob")))],
    });
    assert_eq!(block_on(store.read_all(Read::forwards(Selector::Query(query)))).unwrap().len(), 1);
}

#[test]
fn one_subject_has_one_key_whoever_comes_first() {
    let house = House::new();
    let stores: Vec<_> = (0..4).map(|_| house.open()).collect();
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for i in 0..20 {
                    let values: Vec<Value> = (0..5).map(|v| fresh("ada", &json!(v))).collect();
                    append(store, &format!("c-{n}-{i}"), &json!({ "values": values })).unwrap();
                }
            });
        }
    });
    let vault = stores[0].vault();
    assert_eq!(block_on(vault.keys_of(vault.subject_ref(&subject("ada")))).unwrap().len(), 1);
}

#[test]
fn subscriptions_are_opened_too() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let mut subscription = block_on(store.subscribe(Subscribe::to(Selector::Stream(stream("c-1"))))).unwrap();
    match block_on(subscription.next()).unwrap() {
        SubscriptionMessage::Events { events, .. } => {
            let data: Value = serde_json::from_slice(events[0].data_slice()).unwrap();
            assert_eq!(outcome(&data, "name"), "value \"Ada\"");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_personal_passes_as_it_is() {
    let house = House::new();
    let store = house.open();
    let text = "{\"$pii\" : 1.10, \"about\":\"the word $personal\"}";
    let mut plain = event(&json!({}));
    plain.data = text.into();
    let binary =
        factum_core::NewEvent { content_type: ContentType::Binary, ..event(&fresh("ada", &json!(1))) };
    let any = factum_core::ExpectedRevision::Any;
    block_on(store.append_to(stream("s"), any, vec![plain, binary.clone()])).unwrap();
    let events = read(&store, "s");
    assert_eq!(events[0].data_slice(), text.as_bytes());
    assert_eq!(events[1].data(), binary.data);
}

/// Who can write to the log moves sealed values about: each is refused, and said to be tampered with.
#[test]
fn a_moved_value_is_not_opened() {
    let house = House::new();
    let store = house.open();
    let data = json!({ "name": fresh("ada", &json!("Ada")), "mail": fresh("ada", &json!("a@b")), "of": fresh("bob", &json!("B")) });
    append(&store, "c-1", &data).unwrap();
    let sealed = last(&*house.log, "c-1");
    let forge = |name: &str, member: &str, from: &str| {
        let mut forged = sealed.clone();
        forged[member] = sealed[from].clone();
        let recorded = &read(&*house.log, "c-1")[0];
        let same_id = event(&forged).with_id(recorded.id());
        let any = factum_core::ExpectedRevision::Any;
        // Another log takes the same event id in another stream.
        block_on(house.log.append_to(stream(name), any, vec![same_id])).unwrap();
        outcome(&last(&store, name), member)
    };
    assert_eq!(forge("c-2", "name", "name"), "unavailable tampered", "another stream");
    // Another event of the same stream, another field, another subject's field.
    append(&*house.log, "c-1", &sealed).unwrap();
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "unavailable tampered", "another event");
    assert_eq!(forge("c-3", "name", "mail"), "unavailable tampered", "another field");
    assert_eq!(forge("c-4", "name", "of"), "unavailable tampered", "another subject");
}

#[test]
fn a_value_of_another_tenant_is_not_opened() {
    let house = House::new();
    let of_tenant = |tenant: &str| {
        let tenant = tenant.to_owned();
        house.try_open(VaultOptions { tenant, ..house.options(house.keys.clone()) })
    };
    let first = house.sealing(of_tenant("first").unwrap().0);
    append(&first, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let error = of_tenant("second").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("'first'"), "{error}");
}

#[test]
fn changed_bytes_wrong_keys_erased_and_unavailable_are_told_apart() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let sealed = last(&*house.log, "c-1");
    let change = |member: &str, change: &dyn Fn(&Value) -> Value| {
        let mut changed = sealed.clone();
        let inner = &mut changed["name"][SEALED_MEMBER];
        inner[member] = change(&inner[member]);
        append(&*house.log, "c-2", &changed).unwrap();
        outcome(&last(&store, "c-2"), "name")
    };
    let flip = |text: &Value| {
        let text = text.as_str().unwrap();
        json!(format!("{}{}", if text.starts_with('A') { 'B' } else { 'A' }, &text[1..]))
    };
    assert_eq!(change("k", &flip), "unavailable unknown_key");
    assert_eq!(change("s", &flip), "unavailable wrong_key");
    assert_eq!(change("c", &|_| json!("AAAA")), "unavailable tampered");
    assert_eq!(change("c", &|_| json!("not base64!")), "unavailable malformed");
    assert_eq!(change("v", &|_| json!(9)), "unavailable malformed");
}

impl House {
    fn faulty(&self, keys: &Fuse, kek: &Fuse) -> factum_vault::SealingStore {
        let options = self.options(FaultyKeys { keys: self.keys.clone(), fuse: keys.clone() });
        let kek = FaultyKek { kek: self.kek(), fuse: kek.clone() };
        self.sealing(self.try_open(VaultOptions { kek: Box::new(kek), ..options }).unwrap().0)
    }
}

#[test]
fn while_the_vault_is_down_everything_else_goes_on_and_nothing_is_taken_for_erased() {
    for kek_is_down in [false, true] {
        let house = House::new();
        let (keys, kek) = (Fuse::never(), Fuse::never());
        append(&house.open(), "c-1", &json!({ "id": 1, "name": fresh("ada", &json!("Ada")) })).unwrap();
        let store = house.faulty(&keys, &kek);
        if kek_is_down {
            kek.blow();
        } else {
            keys.blow();
        }
        let data = last(&store, "c-1");
        assert_eq!((outcome(&data, "name").as_str(), &data["id"]), ("unavailable vault_down", &json!(1)));
        append(&store, "c-1", &json!({ "id": 2 })).unwrap();
        let before = house.stored().len();
        let error = append(&store, "c-2", &json!({ "name": fresh("bob", &json!("Bob")) })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.to_string().contains("Bob") && !error.to_string().contains("bob"), "{error}");
        assert_eq!(house.stored().len(), before, "nothing was written");
        keys.mend();
        kek.mend();
        house.clock.advance(factum_vault::REFRESH_EVERY);
        assert_eq!(outcome(&last(&store, "c-1"), "id"), "unavailable ?");
        assert_eq!(read(&store, "c-1").len(), 2);
        append(&store, "c-2", &json!({ "name": fresh("bob", &json!("Bob")) })).unwrap();
    }
}

#[test]
fn cut_off_from_the_key_store_keys_in_memory_are_used_until_the_lease_is_over() {
    let house = House::new();
    let (keys, kek) = (Fuse::never(), Fuse::never());
    let store = house.faulty(&keys, &kek);
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "value \"Ada\"");
    keys.blow();
    house.clock.advance(factum_vault::LEASE / 2);
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "value \"Ada\"");
    house.clock.advance(factum_vault::LEASE / 2);
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "unavailable vault_down");
}

#[test]
fn an_unavailable_value_is_never_written_again() {
    let house = House::new();
    let store = house.open();
    let unavailable = json!({ "name": { "$personal": { "u": "vault_down" } } });
    let error = append(&store, "c-1", &unavailable).unwrap_err();
    assert!(matches!(error, AppendError::NotSealed { kind: ErrorKind::Invalid, .. }), "{error:?}");
    for text in [r#"{"$personal":{"v":1}}"#, r#"{"$personal":{"s":"a"}}"#, r#"{"a":{"$personal":7}}"#] {
        let mut broken = event(&json!({}));
        broken.data = text.into();
        let any = factum_core::ExpectedRevision::Any;
        assert!(block_on(store.append_to(stream("c-1"), any, vec![broken])).is_err(), "{text}");
    }
}

#[test]
fn what_was_opened_is_sealed_again_in_its_new_place() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let opened = last(&store, "c-1");
    append(&store, "c:snapshot-1", &json!({ "state": opened["name"] })).unwrap();
    assert_eq!(outcome(&last(&store, "c:snapshot-1"), "state"), "value \"Ada\"");
    assert!(last(&*house.log, "c:snapshot-1")["state"][SEALED_MEMBER].is_object());
}

#[test]
fn a_value_kept_outside_is_in_no_event() {
    let house = House::new();
    let store = house.open();
    let outside = json!({ "$personal": { "s": "ada", "x": true, "v": "Ada" } });
    append(&store, "c-1", &json!({ "name": outside })).unwrap();
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "value \"Ada\"");
    let sealed = last(&*house.log, "c-1");
    assert!(sealed["name"][SEALED_MEMBER].get("c").is_none(), "{sealed}");
    assert_eq!(block_on(store.vault().holdings()).unwrap().values, 1);
    // A copy of it, such as a snapshot, is kept outside too.
    append(&store, "c:snapshot-1", &json!({ "state": last(&store, "c-1")["name"] })).unwrap();
    assert_eq!(outcome(&last(&store, "c:snapshot-1"), "state"), "value \"Ada\"");
    assert!(last(&*house.log, "c:snapshot-1")["state"][SEALED_MEMBER].get("c").is_none());
}

#[test]
fn a_part_in_clear_is_bound_to_its_value() {
    let house = House::new();
    let store = house.open();
    let card = json!({ "$personal": { "s": "ada", "v": "4000123412349876", "c": "9876" } });
    append(&store, "c-1", &json!({ "card": card })).unwrap();
    assert_eq!(last(&store, "c-1")["card"]["$personal"]["c"], "9876");
    let mut sealed = last(&*house.log, "c-1");
    sealed["card"][SEALED_MEMBER]["p"] = json!("0000");
    append(&*house.log, "c-1", &sealed).unwrap();
    assert_eq!(outcome(&last(&store, "c-1"), "card"), "unavailable tampered");
}

#[test]
fn a_cell_opens_in_its_row_and_column_only() {
    let house = House::new();
    let vault = house.open().vault().clone();
    let owner: KeyOwner = vault.owner(&subject("ada"), None);
    let cell = Cell { table: "customers", row: "7", column: "name" };
    let stored = block_on(vault.seal_cell(&owner, &cell, "\"Ada\"")).unwrap();
    assert!(!stored.contains("Ada"));
    match block_on(vault.open_cell(&cell, &stored)).unwrap() {
        OpenedCell::Value(text) => assert_eq!(*text, "\"Ada\""),
        OpenedCell::Erased(_) => panic!("it is not erased"),
    }
    for other in [Cell { row: "8", ..cell }, Cell { column: "mail", ..cell }, Cell { table: "t", ..cell }] {
        let error = block_on(vault.open_cell(&other, &stored)).unwrap_err();
        assert_eq!(error.reason, Unavailable::Tampered);
    }
    let malformed = block_on(vault.open_cell(&cell, "Ada")).unwrap_err();
    assert_eq!(malformed.reason, Unavailable::Malformed);
}

#[test]
fn many_new_subjects_in_one_append_get_a_key_each_and_one_that_was_erased_gets_none() {
    let house = House::new();
    let store = house.open();
    let events = |from: usize| -> Vec<factum_core::NewEvent> {
        (from..from + 450).map(|n| event(&json!({ "name": fresh(&format!("s{n}"), &json!(n)) }))).collect()
    };
    let any = factum_core::ExpectedRevision::Any;
    block_on(store.append_to(stream("c-1"), any, events(0))).unwrap();
    for (n, event) in read(&store, "c-1").iter().enumerate() {
        let data: Value = serde_json::from_slice(event.data_slice()).unwrap();
        assert_eq!(outcome(&data, "name"), format!("value {n}"));
    }
    assert_eq!(block_on(store.vault().holdings()).unwrap().live, 450);
    let subject = store.vault().subject_ref(&subject("s460"));
    let request = factum_vault::ErasureRequest::everything(subject, "r", "a");
    block_on(store.vault().erase(&*house.log, &request, &[])).unwrap();
    let error = block_on(store.append_to(stream("c-2"), any, events(440))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deleted);
}
