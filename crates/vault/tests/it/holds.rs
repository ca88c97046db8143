//! Is nobody erased whose data must be kept, and everybody else?

use std::time::Duration;

use factum_core::{ErrorKind, block_on};
use factum_vault::{
    EraseError, ErasureRequest, Ledger, Purpose, Retention, SealingStore, VaultError, VaultOptions,
};
use serde_json::json;

use crate::house::{House, append, fresh, last, outcome, subject};

fn customers(store: &SealingStore) {
    for (stream, who) in [("c-1", "ada"), ("c-2", "bob")] {
        append(store, stream, &json!({ "name": fresh(who, &json!(who)) })).unwrap();
    }
}

#[test]
fn who_is_held_is_not_erased_until_the_hold_is_released() {
    let house = House::new();
    let store = house.open();
    let vault = store.vault();
    customers(&store);
    let ada = vault.subject_ref(&subject("ada"));
    let asked = ErasureRequest::everything(ada, "art. 17", "dpo");
    assert!(block_on(vault.hold(&*house.log, ada, "case 7", "legal")).unwrap());
    assert!(!block_on(vault.hold(&*house.log, ada, "case 7", "legal")).unwrap());
    for asked in [asked.clone(), asked.clone().for_purpose(Purpose::new("billing").unwrap())] {
        let error = block_on(vault.erase(&*house.log, &asked, &[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let EraseError::Vault(VaultError::Held { reason, actor, .. }) = error else { panic!("{error}") };
        assert_eq!((reason.as_str(), actor.as_str()), ("case 7", "legal"));
    }
    assert_eq!(outcome(&last(&house.open(), "c-1"), "name"), "value \"ada\"");
    let ledger = block_on(Ledger::read(&*house.log)).unwrap();
    assert!(ledger.erasures.is_empty() && ledger.hold_of(ada).is_some(), "nothing was asked for");
    // Nobody else is held.
    let bob = ErasureRequest::everything(vault.subject_ref(&subject("bob")), "art. 17", "dpo");
    block_on(vault.erase(&*house.log, &bob, &[])).unwrap();

    assert!(block_on(vault.release_hold(&*house.log, ada, "case 7 is over", "legal")).unwrap());
    assert!(!block_on(vault.release_hold(&*house.log, ada, "again", "legal")).unwrap());
    block_on(vault.erase(&*house.log, &asked, &[])).unwrap();
    assert_eq!(outcome(&last(&store, "c-1"), "name"), "erased");
    let ledger = block_on(Ledger::read(&*house.log)).unwrap();
    assert!(ledger.holds.is_empty() && ledger.foreign == 0);
    for (reason, actor) in [("", "legal"), ("case 8", " ")] {
        let error = block_on(vault.hold(&*house.log, ada, reason, actor)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn what_is_kept_for_long_enough_does_not_expire_while_its_subject_is_held() {
    let house = House::new();
    let day = Duration::from_secs(24 * 3_600);
    let retention = Retention::none().keep(Purpose::new("billing").unwrap(), day * 360);
    let options = VaultOptions { retention, ..house.options(house.keys.clone()) };
    let store = house.sealing(house.try_open(options).unwrap().0);
    let vault = store.vault();
    let bill = json!({ "iban": { "$personal": { "s": "ada", "p": "billing", "v": "IBAN" } } });
    append(&store, "b-1", &bill).unwrap();
    let ada = vault.subject_ref(&subject("ada"));
    block_on(vault.hold(&*house.log, ada, "case 7", "legal")).unwrap();
    house.clock.advance(day * 31);
    assert!(block_on(vault.expired("clock")).unwrap().is_empty(), "a successor takes over");
    house.clock.advance(day * 361);
    let due = block_on(vault.expired("clock")).unwrap();
    assert_eq!(due.len(), 1);
    let error = block_on(vault.erase(&*house.log, &due[0], &[])).unwrap_err();
    assert!(matches!(error, EraseError::Vault(VaultError::Held { .. })), "{error}");
    assert_eq!(outcome(&last(&house.open(), "b-1"), "iban"), "value \"IBAN\"");
    block_on(vault.release_hold(&*house.log, ada, "over", "legal")).unwrap();
    block_on(vault.erase(&*house.log, &due[0], &[])).unwrap();
    assert_eq!(outcome(&last(&house.open(), "b-1"), "iban"), "erased");
}

/// The later of the two sees the earlier: a subject is held or erased, and never both.
#[test]
fn a_hold_and_an_erasure_at_once_do_not_pass_each_other() {
    for _ in 0..20 {
        let house = House::new();
        let store = house.open();
        customers(&store);
        let vault = store.vault();
        let ada = vault.subject_ref(&subject("ada"));
        let asked = ErasureRequest::everything(ada, "art. 17", "dpo");
        let (held, erased) = std::thread::scope(|scope| {
            let held = scope.spawn(|| block_on(vault.hold(&*house.log, ada, "case 7", "legal")));
            let erased = scope.spawn(|| block_on(vault.erase(&*house.log, &asked, &[])));
            (held.join().unwrap(), erased.join().unwrap())
        });
        let outcome = outcome(&last(&house.open(), "c-1"), "name");
        match (held, erased) {
            (Ok(true), Err(EraseError::Vault(VaultError::Held { .. }))) => {
                assert_eq!(outcome, "value \"ada\"");
            }
            // The erasure was under way, or was complete before it was asked to hold.
            (Err(VaultError::Invalid { .. }) | Ok(true), Ok(_)) => assert_eq!(outcome, "erased"),
            (held, erased) => panic!("{held:?} {erased:?}"),
        }
    }
}
