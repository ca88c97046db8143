//! Does another key-encryption key take over, also when it is interrupted, and is the old one useless then?

use std::sync::{Arc, Mutex};

use factum_core::block_on;
use factum_vault::{KekEpoch, KekProvider, KeyStore, VaultOptions};
use serde_json::json;

use crate::faults::{Effect, FaultyKek, FaultyKeys, Fuse};
use crate::house::{House, append, fresh, last, outcome};

const SUBJECTS: usize = 7;

fn filled() -> House {
    let house = House::new();
    let store = house.open();
    for n in 0..SUBJECTS {
        append(&store, &format!("c-{n}"), &json!({ "name": fresh(&format!("s{n}"), &json!(n)) })).unwrap();
    }
    house
}

fn all_readable(house: &House) {
    let store = house.open();
    for n in 0..SUBJECTS {
        assert_eq!(outcome(&last(&store, &format!("c-{n}")), "name"), format!("value {n}"));
    }
}

#[test]
fn every_key_is_wrapped_anew_and_old_copies_are_useless() {
    let house = filled();
    let (old_keys, old_file) = (house.keys.copy(), std::fs::read(house.key_file()).unwrap());
    let store = house.open();
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let rotated =
        block_on(store.vault().rotate(&*house.log, move |n| teller.lock().unwrap().push(n))).unwrap();
    assert_eq!((rotated.epoch, rotated.keys, rotated.unreadable), (KekEpoch(2), SUBJECTS as u64, 0));
    assert_eq!(told.lock().unwrap().last(), Some(&(SUBJECTS as u64)));
    all_readable(&house);
    // The new key file opens nothing in the old copy of the key store, ..
    let error = house.try_open(house.options(old_keys.copy())).unwrap_err();
    assert!(error.to_string().contains("epoch 1"), "{error}");
    // .. and the old copy of the key file nothing in the key store of today.
    std::fs::write(house.key_file(), old_file).unwrap();
    let error = house.try_open(house.options(house.keys.clone())).unwrap_err();
    assert!(error.to_string().contains("epoch 2"), "{error}");
}

/// At each call of the key store and of the provider, failing before and after its effect.
#[test]
fn an_interrupted_rotation_loses_nothing_and_is_completed_by_the_next() {
    let mut interrupted = 0;
    for effect in [Effect::Before, Effect::After] {
        for call in 1.. {
            let house = filled();
            let fuse = Fuse::never();
            let options = house.options(FaultyKeys { keys: house.keys.clone(), fuse: fuse.clone() });
            let kek = Box::new(FaultyKek { kek: house.kek(), fuse: fuse.clone() });
            let vault = house.try_open(VaultOptions { kek, ..options }).unwrap().0;
            fuse.set(call, effect);
            let outcome = block_on(vault.rotate(&*house.log, |_| {}));
            let blown = fuse.is_blown();
            fuse.mend();
            drop(vault);
            if !blown {
                assert!(outcome.is_ok());
                break;
            }
            interrupted += 1;
            all_readable(&house);
            let store = house.open();
            block_on(store.vault().rotate(&*house.log, |_| {})).unwrap();
            all_readable(&house);
            assert_eq!(house.kek().epochs().unwrap().len(), 1, "{effect:?} {call}");
            let newest = house.kek().epochs().unwrap()[0].epoch;
            assert!(house.keys.clone().wrapped_otherwise(newest, None, 100).unwrap().is_empty());
        }
    }
    assert!(interrupted > 10, "{interrupted}");
}

#[test]
fn a_rotation_by_schedule_waits_for_its_time() {
    let house = filled();
    let vault = house.open().vault().clone();
    let month = std::time::Duration::from_secs(30 * 24 * 3_600);
    let rotate = || {
        let before = factum_core::Clock::now(&*house.clock).saturating_sub(month);
        block_on(vault.rotate_if_older(&*house.log, before, |_| {})).unwrap()
    };
    assert_eq!(rotate(), None);
    house.clock.advance(month * 2);
    assert_eq!(rotate().map(|rotated| rotated.epoch), Some(KekEpoch(2)));
    assert_eq!(rotate(), None);
    all_readable(&house);
}

#[test]
fn keys_made_during_a_rotation_are_readable_after_it() {
    let house = filled();
    let (writer, rotator) = (house.open(), house.open());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..200 {
                append(&writer, "w-1", &json!({ "name": fresh(&format!("w{n}"), &json!(n)) })).unwrap();
            }
        });
        for _ in 0..5 {
            block_on(rotator.vault().rotate(&*house.log, |_| {})).unwrap();
        }
    });
    let store = house.open();
    for (n, event) in crate::house::read(&store, "w-1").iter().enumerate() {
        let data = serde_json::from_slice(event.data_slice()).unwrap();
        assert_eq!(outcome(&data, "name"), format!("value {n}"));
    }
}

/// Two operators at once: whoever is later goes further, and nothing is left to an epoch that is destroyed.
#[test]
fn two_rotations_at_once_lose_no_key() {
    for _ in 0..10 {
        let house = filled();
        let stores = [house.open(), house.open()];
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(|| {
                    for _ in 0..3 {
                        block_on(store.vault().rotate(&*house.log, |_| {})).unwrap();
                    }
                });
            }
        });
        drop(stores);
        all_readable(&house);
        let epochs = house.kek().epochs().unwrap();
        let newest = epochs.last().unwrap().epoch;
        assert!(house.keys.clone().wrapped_otherwise(newest, None, 100).unwrap().is_empty());
    }
}
