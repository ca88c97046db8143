//! Are destroyed keys gone for good, with what was kept under them?

use factum_vault::{Created, Found, KeyId, Latest};
use uuid::Uuid;

use super::KeyStores;
use super::case::{
    E1, E2, assert_not_live, assert_unknown_erasure, done, erased, erasure, fence, fence_for, find,
    first_key, id, key, latest, ledger, next_key, owner, owner_for, rewrapped, subject, value,
};

pub fn what_was_not_fenced_is_not_destroyed(stores: &KeyStores) {
    let mut store = stores.open();
    let live = first_key(&mut *store, 10, &owner(1));
    assert_unknown_erasure(store.destroy(erasure(1)), 1);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Live(live));
}

pub fn destroyed_keys_stay_known_as_erased(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 11, &owner(1));
    next_key(&mut *store, 10, &first);
    let others = first_key(&mut *store, 12, &owner(2));
    done(store.fence(&fence(1, 1)));
    assert_eq!(done(store.destroy(erasure(1))), [id(10), id(11)]);
    assert!(ledger(&mut *other)[0].destroyed);
    let gone = erased(&owner(1), 1);
    for store in [&mut store, &mut other] {
        assert_eq!(
            find(&mut **store, &[10, 11, 12]),
            [gone.clone(), gone.clone(), Found::Live(others.clone())]
        );
        assert_eq!(latest(&mut **store, &owner(1)), Latest::Fenced(erasure(1)));
    }
    assert!(done(store.keys_of(subject(1))).iter().all(|key| key.destroyed));
}

pub fn destroying_again_changes_nothing(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 10, &owner(1));
    done(store.fence(&fence(1, 1)));
    assert_eq!(done(store.destroy(erasure(1))), [id(10)]);
    let before = (ledger(&mut *store), done(store.holdings()));
    assert_eq!(done(other.destroy(erasure(1))), [id(10)], "what it covers, also where that was done before");
    assert_eq!((ledger(&mut *store), done(store.holdings())), before);
    done(store.fence(&fence(2, 9)));
    assert_eq!(done(store.destroy(erasure(2))), [] as [KeyId; 0], "an erasure that covers nothing");
}

pub fn one_erasure_destroys_only_its_own_keys(stores: &KeyStores) {
    let mut store = stores.open();
    let kept = first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner_for(1, "billing"));
    first_key(&mut *store, 12, &owner(2));
    done(store.keep_values(&[value(1, id(10)), value(2, id(11)), value(3, id(12))]));
    done(store.fence(&fence_for(1, 1, "billing")));
    done(store.fence(&fence(2, 2)));
    assert_eq!(done(store.destroy(erasure(1))), [id(11)]);
    let destroyed: Vec<_> = ledger(&mut *store).iter().map(|line| line.destroyed).collect();
    assert_eq!(destroyed, [true, false]);
    assert_eq!(find(&mut *store, &[10, 12]), [Found::Live(kept), erased(&owner(2), 2)]);
    let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    let there: Vec<_> = done(store.values(&ids)).iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true]);
}

pub fn values_go_with_their_key(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 10, &owner(1));
    let values: Vec<_> = (1..=50).map(|number| value(number, id(10))).collect();
    done(store.keep_values(&values));
    let ids: Vec<Uuid> = values.iter().map(|value| value.id).collect();
    done(store.fence(&fence(1, 1)));
    done(store.destroy(erasure(1)));
    for store in [&mut store, &mut other] {
        assert!(done(store.values(&ids)).iter().all(Option::is_none));
    }
    assert_not_live(store.keep_values(&values[..1]), 10);
    assert_eq!(done(store.holdings()).values, 0);
}

pub fn a_destroyed_key_never_comes_back(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 10, &owner(1));
    done(store.fence(&fence(1, 1)));
    done(store.destroy(erasure(1)));
    // Whoever had read it before and wraps it anew now.
    assert_eq!(done(other.rewrap(&[rewrapped(10)])), 0);
    assert_eq!(done(other.create(&first, None)), Created::Fenced(erasure(1)));
    assert_not_live(other.keep_values(&[value(1, id(10))]), 10);
    done(store.lift(erasure(1)));
    assert_eq!(done(other.rewrap(&[rewrapped(10)])), 0);
    assert_eq!(done(other.create(&first, None)), Created::Stale);
    assert_not_live(other.keep_values(&[value(1, id(10))]), 10);
    assert_eq!(find(&mut *store, &[10]), [erased(&owner(1), 1)]);
    for epoch in [E1, E2] {
        assert_eq!(done(store.wrapped_otherwise(epoch, None, 10)), []);
    }
}

pub fn an_erasure_beats_those_who_wrap_anew_and_keep_values(stores: &KeyStores) {
    for round in 0..3 {
        let owner = owner(round);
        let mut store = stores.open();
        let numbers: Vec<u64> = (1..=20).map(|n| 1_000 * round + n).collect();
        let mut before = first_key(&mut *store, numbers[0], &owner);
        for number in &numbers[1..] {
            before = next_key(&mut *store, *number, &before);
        }
        let erasure_number = u128::from(round) + 1;
        stores.at_once(8, |thread, store| match thread {
            0 => {
                done(store.fence(&fence(erasure_number, round)));
                assert_eq!(done(store.destroy(erasure(erasure_number))).len(), 20);
            }
            // In another order each: none may wait for the other in a ring.
            1..=3 => {
                let mut keys: Vec<_> = numbers.iter().map(|number| rewrapped(*number)).collect();
                keys.rotate_left(thread as usize * 5);
                done(store.rewrap(&keys));
            }
            _ => {
                for number in &numbers {
                    let kept = store.keep_values(&[value(number * 10 + thread, id(*number))]);
                    if kept.is_err() {
                        assert_not_live(kept, *number);
                    }
                }
            }
        });
        let found = find(&mut *store, &numbers);
        assert!(found.iter().all(|found| *found == erased(&owner, erasure_number)), "{found:?}");
        assert_eq!(done(store.holdings()).values, 0, "a value was kept under a destroyed key");
        assert_eq!(done(store.holdings()).fenced, 0);
        assert_eq!(done(store.wrapped_otherwise(E1, None, 100)), [], "bytes came back");
        assert_eq!(
            done(store.create(&key(9_999, &owner, 21), None)),
            Created::Fenced(erasure(erasure_number))
        );
    }
}
