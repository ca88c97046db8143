//! Does a vault open with what belongs to it, and with nothing else?

use std::sync::Arc;

use factum_core::{ErrorKind, EventStore, EventStoreExt, MemoryStore, Read, Selector, block_on};
use factum_vault::{
    KeyVault, LocalKeyFile, MemoryKeyStore, Opened, PRIVACY_STREAM, VaultError, VaultOptions,
};
use serde_json::json;

use crate::house::{House, append, fresh, last, outcome, read, stream, subject};

/// Whoever may append could else have read models forget people, and the log says nothing of why.
#[test]
fn a_forged_word_that_keys_are_destroyed_is_not_heard_through_the_vault() {
    use factum_core::{ExpectedRevision, NewEvent};
    use factum_vault::{ErasureRequest, KEYS_DESTROYED_TYPE, KeysDestroyed};
    let house = House::new();
    let store = house.open();
    for (stream, who) in [("c-1", "ada"), ("c-2", "bob")] {
        append(&store, stream, &json!({ "name": fresh(who, &json!(who)) })).unwrap();
    }
    let reference = |who| store.vault().subject_ref(&subject(who));
    let asked = ErasureRequest::everything(reference("ada"), "art. 17", "dpo");
    block_on(store.vault().erase(&*house.log, &asked, &[])).unwrap();
    let told = |store: &dyn EventStore| -> Vec<Option<KeysDestroyed>> {
        let events = block_on(store.read_all(Read::stream(stream(PRIVACY_STREAM)))).unwrap();
        let told = events.iter().filter(|event| event.event_type() == KEYS_DESTROYED_TYPE);
        told.map(KeysDestroyed::from_event).collect()
    };
    let genuine = told(&*house.log)[0].clone().unwrap();
    let bob = json!({ "erasure": genuine.erasure.to_string(), "subject": reference("bob").to_string(),
        "purpose": null, "keys": [] });
    let mut copied = last(&*house.log, PRIVACY_STREAM);
    copied["subject"] = bob["subject"].clone();
    for data in [bob, copied, json!(7)] {
        let event_type = factum_core::EventType::new(KEYS_DESTROYED_TYPE).unwrap();
        let event = NewEvent::json(event_type, data.to_string());
        block_on(house.log.append_to(stream(PRIVACY_STREAM), ExpectedRevision::Any, vec![event])).unwrap();
    }
    assert_eq!(told(&store), [Some(genuine.clone()), None, None, None]);
    assert_eq!(told(&house.open()), told(&store));
}

/// The other way cannot be tried beside it: it is the process's, and every test here opens a vault.
#[test]
#[cfg(target_os = "linux")]
fn a_process_with_a_vault_writes_no_core_dump() {
    use rustix::process::{DumpableBehavior, dumpable_behavior};
    let house = House::new();
    let vault = house.open();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    drop(vault);
}

#[test]
fn the_log_says_whose_vault_it_is_once() {
    let house = House::new();
    let (_, opened) = house.try_open(house.options(house.keys.clone())).unwrap();
    assert_eq!(opened, Opened { created: true, reapplied: 0 });
    let (vault, opened) = house.try_open(house.options(house.keys.clone())).unwrap();
    assert_eq!(opened, Opened::default());
    let events = read(&*house.log, PRIVACY_STREAM);
    assert_eq!(events.len(), 1);
    let data: serde_json::Value = serde_json::from_slice(events[0].data_slice()).unwrap();
    assert_eq!(
        (data["vault"].as_str(), data["key"].as_str()),
        (Some(&*vault.id().to_string()), Some(&*vault.receipt_key()))
    );
}

#[test]
fn a_key_store_of_another_log_is_refused() {
    let house = House::new();
    drop(house.open());
    let other = MemoryStore::new();
    let error = block_on(KeyVault::open(house.options(house.keys.clone()), &other)).unwrap_err();
    assert!(matches!(error, VaultError::OtherLog { .. }), "{error}");
    assert!(
        block_on(other.read_all(Read::forwards(Selector::All))).unwrap().is_empty(),
        "nothing was written"
    );
}

#[test]
fn a_log_whose_key_store_is_gone_takes_no_new_one() {
    let house = House::new();
    drop(house.open());
    let error = house.try_open(house.options(MemoryKeyStore::new())).unwrap_err();
    assert!(matches!(error, VaultError::KeyStoreMissing { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn the_key_file_of_another_vault_is_refused() {
    let house = House::new();
    drop(house.open());
    let directory = tempfile::tempdir().unwrap();
    let other = LocalKeyFile::create(directory.path().join("kek"), house.clock.clone()).unwrap();
    let options = VaultOptions { kek: Box::new(other), ..house.options(house.keys.clone()) };
    let error = house.try_open(options).unwrap_err();
    assert!(error.to_string().contains("another vault's key"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn without_its_ledger_a_vault_gives_out_nothing() {
    let house = House::new();
    append(&house.open(), "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let fuse = crate::faults::Fuse::never();
    fuse.blow();
    let log = crate::faults::FaultyLog { log: house.log.clone() as Arc<dyn EventStore>, fuse };
    let error = block_on(KeyVault::open(house.options(house.keys.clone()), &log)).unwrap_err();
    assert!(matches!(error, VaultError::Ledger(_)), "{error}");
}

/// Whoever can append to the log can neither lock the vault, nor have keys destroyed, nor take the log's vault over.
#[test]
fn what_no_vault_signed_means_nothing() {
    let house = House::new();
    let any = factum_core::ExpectedRevision::Any;
    let forge = |event_type: &str, data: &str| {
        let event =
            factum_core::NewEvent::json(factum_core::EventType::new(event_type).unwrap(), data.to_owned());
        block_on(house.log.append_to(stream(PRIVACY_STREAM), any, vec![event])).unwrap();
    };
    forge("$vaultOpened", "{}");
    let other = House::new();
    drop(other.open());
    let imported = read(&*other.log, PRIVACY_STREAM)[0].data();
    forge("$vaultOpened", std::str::from_utf8(&imported).unwrap());
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let subject = store.vault().subject_ref(&crate::house::subject("ada"));
    for signature in ["", "00", &"00".repeat(64)] {
        let erasure = factum_vault::ErasureId::generate();
        let request = json!({
            "erasure": erasure.to_string(), "subject": subject.to_string(), "purpose": null, "through": null,
            "reason": "r", "actor": "a", "signature": signature,
        });
        forge("$erasureRequested", &request.to_string());
    }
    forge("$erasureRequested", "[]");
    drop(store);
    let (vault, opened) = house.try_open(house.options(house.keys.clone())).unwrap();
    assert_eq!(opened, Opened::default());
    assert_eq!(outcome(&last(&house.sealing(vault), "c-1"), "name"), "value \"Ada\"");
    let ledger = block_on(factum_vault::Ledger::read(&*house.log)).unwrap();
    assert_eq!((ledger.erasures.len(), ledger.foreign), (0, 6));
}

#[test]
fn the_stream_of_the_vault_is_not_deleted() {
    let house = House::new();
    drop(house.open());
    for mode in [factum_core::DeleteMode::Soft, factum_core::DeleteMode::Tombstone] {
        let expected = factum_core::ExpectedRevision::Any;
        let delete = factum_core::Delete { stream: stream(PRIVACY_STREAM), expected, mode };
        assert!(block_on(house.log.delete(delete)).is_err());
    }
}

#[test]
fn what_was_sealed_is_read_after_reopening() {
    let house = House::new();
    append(&house.open(), "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    assert_eq!(outcome(&last(&house.open(), "c-1"), "name"), "value \"Ada\"");
}

#[test]
fn no_secret_is_printed() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let text = format!("{store:?} {:?} {:?}", store.vault(), house.options(house.keys.clone()));
    let file = std::fs::read_to_string(house.key_file()).unwrap();
    let key = file.lines().nth(1).unwrap().split(' ').next_back().unwrap();
    assert!(!text.contains(key) && !text.contains("ada") && !text.contains("Ada"), "{text}");
}
