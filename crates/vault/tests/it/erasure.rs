//! Is who was erased forgotten, everywhere, for good, and nobody else?

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use factum_core::{ErrorKind, EventStoreExt, Position, Read, Selector, block_on};
use factum_vault::{
    Cell, EraseError, ErasureHandler, ErasureRequest, KeysDestroyed, LEASE, OpenedCell, PRIVACY_STREAM,
    Purpose, REFRESH_EVERY, Reach, Retention, SealingStore, VaultError, VaultOptions,
};
use serde_json::json;

use crate::house::{House, append, fresh, last, outcome, read, subject};

fn request(store: &SealingStore, id: &str) -> ErasureRequest {
    ErasureRequest::everything(store.vault().subject_ref(&subject(id)), "art. 17", "dpo")
}

fn erase(
    house: &House,
    store: &SealingStore,
    request: &ErasureRequest,
) -> Result<factum_vault::SignedReceipt, EraseError> {
    block_on(store.vault().erase(&*house.log, request, &[]))
}

fn customers(store: &SealingStore) {
    append(
        store,
        "c-1",
        &json!({ "name": fresh("ada", &json!("Ada")), "with": fresh("bob", &json!("Bob")) }),
    )
    .unwrap();
    append(store, "c-2", &json!({ "iban": { "$personal": { "s": "ada", "p": "billing", "v": "IBAN" } } }))
        .unwrap();
}

#[test]
fn an_erased_subject_is_erased_and_others_are_not() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let receipt = erase(&house, &store, &request(&store, "ada")).unwrap();
    assert_eq!(receipt.receipt.keys.len(), 2, "one without purpose and one for billing");
    for store in [&store, &house.open()] {
        let data = last(store, "c-1");
        assert_eq!(
            (outcome(&data, "name").as_str(), outcome(&data, "with").as_str()),
            ("erased", "value \"Bob\"")
        );
        assert_eq!(outcome(&last(store, "c-2"), "iban"), "erased");
    }
    // The bytes of the events are what they were.
    assert!(last(&*house.log, "c-1")["name"]["$pii"]["c"].is_string());
}

#[test]
fn a_receipt_is_verified_offline_and_is_in_the_log() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let request = request(&store, "ada");
    let receipt = erase(&house, &store, &request).unwrap();
    assert_eq!(receipt.verify(&store.vault().receipt_key()), Ok(()));
    assert_eq!(erase(&house, &store, &request).unwrap(), receipt, "asked again, it is the same");
    let ledger = block_on(factum_vault::Ledger::read(&*house.log)).unwrap();
    assert_eq!(ledger.erasures.len(), 1);
    assert_eq!(ledger.find(request.erasure).unwrap().receipt.as_ref(), Some(&receipt));
    assert_eq!(block_on(store.vault().still_open(&receipt.receipt)).unwrap(), []);
    let text = String::from_utf8(house.stored()).unwrap();
    assert!(!text.contains("\"ada\""), "the log names the subject by its reference only");
}

#[test]
fn nothing_is_sealed_for_an_erased_subject_until_it_is_allowed_and_then_with_another_key() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let asked = request(&store, "ada");
    erase(&house, &store, &asked).unwrap();
    let error = append(&store, "c-3", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deleted);
    let vault = store.vault();
    assert!(block_on(vault.allow_new_keys(&*house.log, asked.erasure, "new contract", "dpo")).unwrap());
    assert!(!block_on(vault.allow_new_keys(&*house.log, asked.erasure, "again", "dpo")).unwrap());
    append(&store, "c-3", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    for store in [&store, &house.open()] {
        assert_eq!(outcome(&last(store, "c-3"), "name"), "value \"Ada\"");
        assert_eq!(outcome(&last(store, "c-1"), "name"), "erased", "what was destroyed stays so");
    }
    let generations: Vec<u32> = block_on(vault.keys_of(vault.subject_ref(&subject("ada"))))
        .unwrap()
        .iter()
        .filter(|key| key.owner.purpose.is_none())
        .map(|key| key.generation)
        .collect();
    assert_eq!(generations, [1, 2]);
}

#[test]
fn one_purpose_is_erased_and_the_rest_is_kept() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let billing = request(&store, "ada").for_purpose(Purpose::new("billing").unwrap());
    let preview = |purpose: Option<&Purpose>| {
        block_on(store.vault().preview(&*house.log, billing.subject, purpose)).unwrap()
    };
    assert_eq!((preview(None).keys.len(), preview(None).events, preview(None).streams.len()), (2, 2, 2));
    assert_eq!(preview(billing.purpose.as_ref()).keys.len(), 1);
    erase(&house, &store, &billing).unwrap();
    assert_eq!(outcome(&last(&store, "c-2"), "iban"), "erased");
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "value \"Ada\"");
    append(&store, "c-3", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let iban = json!({ "iban": { "$personal": { "s": "ada", "p": "billing", "v": "IBAN" } } });
    assert_eq!(append(&store, "c-3", &iban).unwrap_err().kind(), ErrorKind::Deleted);
}

#[test]
fn what_was_kept_long_enough_expires_and_what_is_new_does_not() {
    // Whether or not the program that seals knows of the retention.
    for known in [true, false] {
        let house = House::new();
        let billing = Purpose::new("billing").unwrap();
        let day = Duration::from_secs(24 * 3_600);
        let retention = Retention::none().keep(billing, day * 360);
        let with_retention = || {
            let options = VaultOptions { retention: retention.clone(), ..house.options(house.keys.clone()) };
            house.sealing(house.try_open(options).unwrap().0)
        };
        let clerk = with_retention();
        let store = if known { with_retention() } else { house.open() };
        let bill = |n: u32| json!({ "iban": { "$personal": { "s": "ada", "p": "billing", "v": n } } });
        let due = |days: u32| {
            house.clock.advance(day * days);
            block_on(clerk.vault().expired("clock")).unwrap()
        };
        append(&store, "b-1", &bill(1)).unwrap();
        assert!(due(29).is_empty());
        append(&store, "b-2", &bill(2)).unwrap();
        // Its period is over: a successor is made, and seals from here on.
        assert!(due(2).is_empty());
        append(&store, "b-3", &bill(3)).unwrap();
        assert!(due(358).is_empty(), "the second bill is not as old as that");
        let over = due(3);
        assert_eq!(over.len(), 1);
        erase(&house, &clerk, &over[0]).unwrap();
        assert_eq!(outcome(&last(&store, "b-1"), "iban"), "erased");
        assert_eq!(outcome(&last(&store, "b-2"), "iban"), "erased");
        assert_eq!(outcome(&last(&store, "b-3"), "iban"), "value 3");
        append(&store, "b-4", &bill(4)).unwrap();
        assert!(due(0).is_empty());
    }
}

/// Whoever appends while somebody is erased either comes before, and is forgotten, or is refused.
#[test]
fn a_fence_beats_concurrent_appends() {
    for _ in 0..20 {
        let house = House::new();
        let stores: Vec<SealingStore> = (0..4).map(|_| house.open()).collect();
        let eraser = house.open();
        customers(&eraser);
        let asked = request(&eraser, "ada");
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(move || {
                    for _ in 0..50 {
                        let _ = append(store, "c-9", &json!({ "name": fresh("ada", &json!("Ada")) }));
                    }
                });
            }
            scope.spawn(|| match erase(&house, &eraser, &asked) {
                Ok(_) | Err(EraseError::Incomplete { .. }) => {}
                Err(error) => panic!("{error}"),
            });
        });
        house.clock.advance(LEASE);
        erase(&house, &eraser, &asked).unwrap();
        for store in stores.iter().chain([&eraser, &house.open()]) {
            let error = append(store, "c-9", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Deleted);
            let events = block_on(store.read_all(Read::forwards(Selector::All))).unwrap();
            for event in events.iter().filter(|event| event.stream() == "c-9") {
                let data = serde_json::from_slice(event.data_slice()).unwrap();
                assert_eq!(outcome(&data, "name"), "erased");
            }
        }
    }
}

/// A process that was cut off holds the key no longer than its lease, and until then no receipt is given.
#[test]
fn no_receipt_is_written_while_another_process_may_hold_a_key() {
    let house = House::new();
    let (other, eraser) = (house.open(), house.open());
    customers(&other);
    let asked = request(&eraser, "ada");
    let error = erase(&house, &eraser, &asked).unwrap_err();
    let EraseError::Incomplete { missing, again_at: Some(again_at), .. } = error else { panic!("{error}") };
    assert_eq!(missing[0].kind, "process");
    assert_eq!(again_at, factum_core::Clock::now(&*house.clock).saturating_add(LEASE));
    assert!(
        block_on(factum_vault::Ledger::read(&*house.log))
            .unwrap()
            .find(asked.erasure)
            .unwrap()
            .receipt
            .is_none()
    );
    // Looking at the ledger, it forgets the key, and says so.
    house.clock.advance(REFRESH_EVERY);
    assert_eq!(outcome(&last(&other, "c-1"), "name"), "erased");
    erase(&house, &eraser, &asked).unwrap();
}

#[test]
fn a_process_that_is_gone_is_waited_for_no_longer_than_its_lease() {
    let house = House::new();
    let (other, eraser) = (house.open(), house.open());
    customers(&other);
    let asked = request(&eraser, "ada");
    assert!(erase(&house, &eraser, &asked).is_err());
    house.clock.advance(LEASE);
    erase(&house, &eraser, &asked).unwrap();
}

#[test]
fn a_process_that_ended_is_not_waited_for() {
    let house = House::new();
    let other = house.open();
    customers(&other);
    drop(other);
    let eraser = house.open();
    erase(&house, &eraser, &request(&eraser, "ada")).unwrap();
}

/// The resurrection test: a copy of the key store from before the erasure comes back.
#[test]
fn a_key_store_restored_from_before_an_erasure_gives_out_nothing_that_was_erased() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let backup = house.keys.copy();
    let asked = request(&store, "ada");
    erase(&house, &store, &asked).unwrap();
    drop(store);
    let (vault, opened) = house.try_open(house.options(backup.clone())).unwrap();
    assert_eq!((opened.reapplied, opened.created), (1, false));
    let restored = house.sealing(vault);
    let data = last(&restored, "c-1");
    assert_eq!(
        (outcome(&data, "name").as_str(), outcome(&data, "with").as_str()),
        ("erased", "value \"Bob\"")
    );
    assert_eq!(
        append(&restored, "c-3", &json!({ "name": fresh("ada", &json!(1)) })).unwrap_err().kind(),
        ErrorKind::Deleted
    );
    drop(restored);
    assert_eq!(house.try_open(house.options(backup)).unwrap().1.reapplied, 0, "once is enough");
}

/// A key store older than the log has never had some keys: that is an error and not an erasure.
#[test]
fn a_key_store_that_is_older_than_the_log_is_not_taken_for_erasures() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let backup = house.keys.copy();
    append(&store, "c-3", &json!({ "name": fresh("eve", &json!("Eve")) })).unwrap();
    drop(store);
    let restored = house.sealing(house.try_open(house.options(backup)).unwrap().0);
    assert_eq!(outcome(&last(&restored, "c-3"), "name"), "unavailable unknown_key");
    assert_eq!(outcome(&last(&restored, "c-1"), "name"), "value \"Ada\"");
}

#[test]
fn what_is_kept_outside_is_deleted_with_the_key() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": { "$personal": { "s": "ada", "x": true, "v": "Ada" } } }))
        .unwrap();
    erase(&house, &store, &request(&store, "ada")).unwrap();
    assert_eq!(block_on(store.vault().holdings()).unwrap().values, 0);
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "erased");
}

#[test]
fn a_sealed_cell_is_erased_with_its_subject() {
    let house = House::new();
    let store = house.open();
    let vault = store.vault();
    let cell = Cell { table: "customers", row: "1", column: "name" };
    let stored = block_on(vault.seal_cell(&vault.owner(&subject("ada"), None), &cell, "1")).unwrap();
    let asked = request(&store, "ada");
    erase(&house, &store, &asked).unwrap();
    assert_eq!(block_on(vault.open_cell(&cell, &stored)), Ok(OpenedCell::Erased(asked.erasure)));
}

#[test]
fn an_erased_value_stays_erased_where_a_snapshot_keeps_it() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    append(&store, "c:snapshot-1", &json!({ "state": last(&store, "c-1")["name"] })).unwrap();
    erase(&house, &store, &request(&store, "ada")).unwrap();
    assert_eq!(outcome(&last(&store, "c:snapshot-1"), "state"), "erased");
    append(&store, "c:snapshot-1", &json!({ "state": last(&store, "c-1")["name"] })).unwrap();
    assert_eq!(outcome(&last(&store, "c:snapshot-1"), "state"), "erased");
}

struct Slow(Mutex<u32>);

impl ErasureHandler for Slow {
    fn forget<'a>(
        &'a self,
        _: &'a KeysDestroyed,
        told: Position,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Reach>, Vec<Reach>>> + Send + 'a>> {
        Box::pin(async move {
            let mut calls = self.0.lock().unwrap();
            *calls += 1;
            let reach =
                |how: String| vec![Reach { kind: "read model".into(), name: "customers".into(), how }];
            if *calls < 3 { Err(reach("is behind".into())) } else { Ok(reach(format!("forgot at {told}"))) }
        })
    }
}

#[test]
fn an_erasure_is_not_done_before_every_handler_has_forgotten() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let (asked, slow) = (request(&store, "ada"), Slow(Mutex::new(0)));
    let erase = || block_on(store.vault().erase(&*house.log, &asked, &[&slow]));
    for _ in 0..2 {
        match erase().unwrap_err() {
            EraseError::Incomplete { missing, .. } => assert_eq!(missing[0].how, "is behind"),
            other => panic!("{other}"),
        }
        assert_eq!(outcome(&last(&store, "c-1"), "name"), "erased", "the keys are gone all the same");
    }
    let receipt = erase().unwrap();
    assert!(receipt.receipt.reached.iter().any(|reach| reach.how.starts_with("forgot at")));
    let types: Vec<String> =
        read(&*house.log, PRIVACY_STREAM).iter().map(|event| event.event_type().to_owned()).collect();
    assert_eq!(types, ["$vaultOpened", "$erasureRequested", "$keysDestroyed", "$subjectErased"]);
}

#[test]
fn a_request_without_a_reason_or_for_another_subject_is_refused_before_anything() {
    let house = House::new();
    let store = house.open();
    customers(&store);
    let asked = request(&store, "ada");
    let before = house.stored();
    for wrong in [
        ErasureRequest { reason: " ".into(), ..asked.clone() },
        ErasureRequest { actor: String::new(), ..asked.clone() },
        ErasureRequest { reason: "x".repeat(factum_vault::MAX_REASON_BYTES + 1), ..asked.clone() },
    ] {
        let error = erase(&house, &store, &wrong).unwrap_err();
        assert!(matches!(error, EraseError::Vault(VaultError::Invalid { .. })), "{error}");
    }
    assert_eq!(house.stored(), before);
    erase(&house, &store, &asked).unwrap();
    let other = request(&store, "bob").as_erasure(asked.erasure);
    assert!(matches!(erase(&house, &store, &other), Err(EraseError::Vault(VaultError::Invalid { .. }))));
    assert_eq!(outcome(&last(&store, "c-1"), "with"), "value \"Bob\"");
}

#[test]
fn a_subject_without_data_can_be_erased_and_is_refused_afterwards() {
    let house = House::new();
    let store = house.open();
    assert_eq!(erase(&house, &store, &request(&store, "nobody")).unwrap().receipt.keys, []);
    assert!(append(&store, "c-1", &json!({ "name": fresh("nobody", &json!(1)) })).is_err());
}
