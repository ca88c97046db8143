//! Are keys wrapped anew, each once, and none by mistake?

use std::slice::from_ref;

use factum_vault::{Found, KekEpoch, MAX_KEY_BATCH, Rewrapped, StoredKey};

use super::KeyStores;
use super::case::{
    E1, E2, bytes, done, erasure, fence, find, first_key, id, latest, owner, rewrapped, wrapped,
};

pub fn keys_of_other_epochs_are_listed_in_parts(stores: &KeyStores) {
    let mut store = stores.open();
    let keys: Vec<_> = (1..=9).rev().map(|n| first_key(&mut *store, n, &owner(n))).rev().collect();
    let ids = |keys: Vec<StoredKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(done(store.wrapped_otherwise(E1, None, 100)), []);
    assert_eq!(done(store.wrapped_otherwise(E2, None, 100)), keys);
    assert_eq!(ids(done(store.wrapped_otherwise(E2, None, 3))), [id(1), id(2), id(3)]);
    assert_eq!(ids(done(store.wrapped_otherwise(E2, Some(id(3)), 3))), [id(4), id(5), id(6)]);
    assert_eq!(ids(done(store.wrapped_otherwise(E2, Some(id(8)), 3))), [id(9)]);
    assert_eq!(done(store.wrapped_otherwise(E2, Some(id(9)), 3)), []);
    assert_eq!(done(store.wrapped_otherwise(E2, None, 0)), []);
}

pub fn keys_are_wrapped_anew(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 1, &owner(1));
    let second = first_key(&mut *store, 2, &owner(2));
    assert_eq!(done(store.rewrap(&[rewrapped(1)])), 1);
    let now = StoredKey { wrapped: rewrapped(1).wrapped, epoch: E2, ..first };
    for store in [&mut store, &mut other] {
        assert_eq!(find(&mut **store, &[1, 2]), [Found::Live(now.clone()), Found::Live(second.clone())]);
        assert_eq!(latest(&mut **store, &owner(1)), factum_vault::Latest::Live(now.clone()));
        assert_eq!(done(store.wrapped_otherwise(E2, None, 10)), from_ref(&second));
        assert_eq!(done(store.wrapped_otherwise(E1, None, 10)), from_ref(&now));
    }
    assert_eq!(done(store.rewrap(&[])), 0);
}

pub fn a_wrapping_may_have_another_length(stores: &KeyStores) {
    let mut store = stores.open();
    first_key(&mut *store, 1, &owner(1));
    for (epoch, length) in (1..).zip([61, 59, 5_000, 0, 60]) {
        let new = Rewrapped {
            id: id(1),
            from: KekEpoch(epoch),
            to: KekEpoch(epoch + 1),
            wrapped: factum_vault::Wrapped(bytes(u64::from(epoch), length)),
        };
        assert_eq!(done(store.rewrap(from_ref(&new))), 1);
        let Found::Live(key) = find(&mut *store, &[1]).remove(0) else { panic!("it is live") };
        assert_eq!((key.wrapped, key.epoch), (new.wrapped, new.to));
    }
}

pub fn what_changed_meanwhile_is_left_as_it_is(stores: &KeyStores) {
    let mut store = stores.open();
    for number in 1..=4 {
        first_key(&mut *store, number, &owner(number));
    }
    let faster = Rewrapped { wrapped: wrapped(77), to: KekEpoch(3), ..rewrapped(1) };
    assert_eq!(done(store.rewrap(&[faster])), 1);
    done(store.fence(&fence(1, 2)));
    done(store.destroy(erasure(1)));
    done(store.fence(&fence(2, 3)));
    // 1 is wrapped by somebody else, 2 is gone, 3 is fenced and has its bytes yet, 5 never was.
    let all: Vec<_> = (1..=5).map(rewrapped).collect();
    assert_eq!(done(store.rewrap(&all)), 2);
    let left = done(store.wrapped_otherwise(KekEpoch(9), None, 10));
    let left: Vec<_> = left.iter().map(|key| (key.id, key.epoch, key.wrapped.clone())).collect();
    let expected = [
        (id(1), KekEpoch(3), wrapped(77)),
        (id(3), E2, rewrapped(3).wrapped),
        (id(4), E2, rewrapped(4).wrapped),
    ];
    assert_eq!(left, expected);
    assert_eq!(find(&mut *store, &[5]), [Found::Unknown]);
}

pub fn a_key_named_twice_is_wrapped_in_turn(stores: &KeyStores) {
    let mut store = stores.open();
    first_key(&mut *store, 1, &owner(1));
    first_key(&mut *store, 2, &owner(2));
    let again = Rewrapped { from: E2, to: KekEpoch(3), wrapped: wrapped(9), ..rewrapped(1) };
    assert_eq!(done(store.rewrap(&[rewrapped(1), rewrapped(2), rewrapped(1), again])), 3);
    let Found::Live(key) = find(&mut *store, &[1]).remove(0) else { panic!("it is live") };
    assert_eq!((key.wrapped, key.epoch), (wrapped(9), KekEpoch(3)));
}

pub fn two_who_rotate_at_once_wrap_each_key_once(stores: &KeyStores) {
    let mut store = stores.open();
    for number in 1..=60 {
        first_key(&mut *store, number, &owner(number));
    }
    let changed = stores.at_once(2, |thread, store| {
        let (mut changed, mut after) = (0, None);
        loop {
            let part = done(store.wrapped_otherwise(E2, after, 7));
            let Some(last) = part.last() else { return changed };
            after = Some(last.id);
            let anew = |key: &StoredKey| Rewrapped {
                id: key.id,
                from: key.epoch,
                to: E2,
                wrapped: factum_vault::Wrapped(vec![thread as u8; 60]),
            };
            changed += done(store.rewrap(&part.iter().map(anew).collect::<Vec<_>>()));
        }
    });
    assert_eq!(changed.iter().sum::<u64>(), 60, "{changed:?}");
    assert_eq!(done(store.wrapped_otherwise(E2, None, MAX_KEY_BATCH)), []);
}
