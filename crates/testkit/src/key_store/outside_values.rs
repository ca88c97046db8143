//! Are values outside the log kept under live keys only, and given back as they were?

use factum_vault::OutsideValue;
use uuid::Uuid;

use super::KeyStores;
use super::case::{assert_not_live, bytes, done, fence, first_key, id, owner, value};

pub fn values_come_back_in_the_order_of_the_questions(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 1, &owner(1));
    let kept: Vec<_> = [0, 1, 200, 4_000, 100_000]
        .into_iter()
        .zip(1..)
        .map(|(length, number)| OutsideValue { sealed: bytes(number, length), ..value(number, id(1)) })
        .collect();
    done(store.keep_values(&kept));
    let asked = [kept[4].id, Uuid::from_u128(99), kept[0].id, kept[2].id, kept[2].id];
    let sealed = |at: usize| Some(kept[at].sealed.clone());
    for store in [&mut store, &mut other] {
        assert_eq!(done(store.values(&asked)), [sealed(4), None, sealed(0), sealed(2), sealed(2)]);
    }
    assert_eq!(done(store.values(&[])), [] as [Option<Vec<u8>>; 0]);
    done(store.keep_values(&[]));
}

pub fn a_value_that_is_there_stays_as_it_is(stores: &KeyStores) {
    let mut store = stores.open();
    first_key(&mut *store, 1, &owner(1));
    first_key(&mut *store, 2, &owner(2));
    let first = value(5, id(1));
    done(store.keep_values(std::slice::from_ref(&first)));
    done(store.keep_values(std::slice::from_ref(&first)));
    let other = OutsideValue { sealed: bytes(6, 10), ..value(5, id(2)) };
    let new = value(7, id(2));
    done(store.keep_values(&[other, new.clone(), OutsideValue { sealed: Vec::new(), ..new.clone() }]));
    assert_eq!(done(store.values(&[first.id, new.id])), [Some(first.sealed), Some(new.sealed)]);
    assert_eq!(done(store.holdings()).values, 2);
    // It went with the key that it was kept under, and not with the one that was named later.
    done(store.fence(&fence(1, 1)));
    done(store.destroy(super::case::erasure(1)));
    assert_eq!(done(store.values(&[first.id])), [None]);
}

pub fn a_value_needs_a_live_key(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 1, &owner(1));
    first_key(&mut *store, 2, &owner(2));
    let early = value(1, id(2));
    done(store.keep_values(std::slice::from_ref(&early)));
    assert_not_live(store.keep_values(&[value(2, id(77))]), 77);
    done(store.fence(&fence(1, 2)));
    for store in [&mut store, &mut other] {
        // All or nothing, and the first that may not is named.
        assert_not_live(store.keep_values(&[value(3, id(1)), value(4, id(2)), value(5, id(77))]), 2);
        assert_not_live(store.keep_values(std::slice::from_ref(&early)), 2);
    }
    let ids = [2, 3, 4, 5].map(Uuid::from_u128);
    assert_eq!(done(store.values(&ids)), [None, None, None, None]);
    // What was kept before is there until it is destroyed.
    assert_eq!(done(store.values(&[early.id])), [Some(early.sealed)]);
}
