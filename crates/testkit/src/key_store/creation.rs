//! Is there one key to seal with, however many ask for it?

use factum_core::Timestamp;
use factum_vault::{Created, Found, KekEpoch, KeyId, Latest, Wrapped};

use super::KeyStores;
use super::case::{bytes, done, fence, find, first_key, id, key, latest, next_key, owner, owner_for};

pub fn a_first_key_is_kept(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 1 });
    let first = first_key(&mut *store, 10, &owner(1));
    for store in [&mut store, &mut other] {
        assert_eq!(latest(&mut **store, &owner(1)), Latest::Live(first.clone()));
        assert_eq!(find(&mut **store, &[10]), [Found::Live(first.clone())]);
    }
}

pub fn owners_have_keys_of_their_own(stores: &KeyStores) {
    let mut store = stores.open();
    let owners = [owner(1), owner(2), owner_for(1, "billing"), owner_for(1, "marketing")];
    for (number, owner) in (10..).zip(&owners) {
        assert_eq!(latest(&mut *store, owner), Latest::None { generation: 1 });
        first_key(&mut *store, number, owner);
    }
    for (number, owner) in (10..).zip(&owners) {
        assert_eq!(latest(&mut *store, owner), Latest::Live(key(number, owner, 1)));
    }
}

pub fn a_second_first_key_is_told_of_the_first(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 10, &owner(1));
    assert_eq!(done(other.create(&key(11, &owner(1), 1), None)), Created::Exists(first.clone()));
    assert_eq!(done(other.create(&key(11, &owner(1), 2), None)), Created::Exists(first.clone()));
    // Even where it is the same key once more.
    assert_eq!(done(other.create(&first, None)), Created::Exists(first.clone()));
    assert_eq!(find(&mut *store, &[11]), [Found::Unknown]);
}

pub fn a_key_succeeds_the_live_one(stores: &KeyStores) {
    let mut store = stores.open();
    let first = first_key(&mut *store, 10, &owner(1));
    let second = next_key(&mut *store, 11, &first);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Live(second.clone()));
    assert_eq!(find(&mut *store, &[10, 11]), [Found::Live(first.clone()), Found::Live(second.clone())]);
    let late = key(12, &owner(1), 2);
    assert_eq!(done(store.create(&late, Some(first.id))), Created::Exists(second.clone()));
    assert_eq!(done(store.create(&key(12, &owner(1), 3), Some(id(77)))), Created::Exists(second));
}

pub fn a_generation_that_is_not_the_next_is_stale(stores: &KeyStores) {
    let mut store = stores.open();
    for generation in [0, 2, 3, u32::MAX] {
        assert_eq!(done(store.create(&key(10, &owner(1), generation), None)), Created::Stale);
    }
    assert_eq!(done(store.create(&key(10, &owner(1), 1), Some(id(9)))), Created::Stale);
    let first = first_key(&mut *store, 10, &owner(1));
    for generation in [0, 1, 3] {
        assert_eq!(done(store.create(&key(11, &owner(1), generation), Some(first.id))), Created::Stale);
    }
    assert_eq!(find(&mut *store, &[11]), [Found::Unknown]);
}

pub fn an_id_is_given_once(stores: &KeyStores) {
    let mut store = stores.open();
    let first = first_key(&mut *store, 10, &owner(1));
    assert_eq!(done(store.create(&key(10, &owner(2), 1), None)), Created::Stale);
    assert_eq!(done(store.create(&key(10, &owner(1), 2), Some(first.id))), Created::Stale);
    assert_eq!(latest(&mut *store, &owner(2)), Latest::None { generation: 1 });
    // Also where its bytes are gone.
    let erasure = done(store.fence(&fence(1, 1))).fence.erasure;
    done(store.destroy(erasure));
    assert_eq!(done(store.create(&key(10, &owner(2), 1), None)), Created::Stale);
    first_key(&mut *store, 11, &owner(2));
}

pub fn a_key_comes_back_as_it_was_given(stores: &KeyStores) {
    let mut store = stores.open();
    let lengths = [0, 1, 60, 300, 5_000, 70_000];
    let times = [Timestamp(0), Timestamp(-1), Timestamp(i64::MIN), Timestamp(i64::MAX)];
    let epochs = [KekEpoch(0), KekEpoch(1), KekEpoch(u32::MAX)];
    let ids = [[0; 16], [0xff; 16], [0x27; 16], *b"';-- \0\\\"%_\n:a$1 "];
    let mut all = Vec::new();
    for (number, length) in (1..).zip(lengths) {
        let mut key = key(number, &owner_for(number, "a-b_9"), 1);
        key.wrapped = Wrapped(bytes(number, length));
        let at = number as usize;
        (key.created, key.epoch) = (times[at % times.len()], epochs[at % epochs.len()]);
        if let Some(id) = ids.get(at) {
            (key.id, key.owner.subject.0) = (KeyId(*id), *id);
        }
        assert_eq!(done(store.create(&key, None)), Created::New);
        assert_eq!(latest(&mut *store, &key.owner), Latest::Live(key.clone()));
        all.push(key);
    }
    let ids: Vec<_> = all.iter().map(|key| key.id).collect();
    let live: Vec<_> = all.into_iter().map(Found::Live).collect();
    assert_eq!(done(stores.open().find(&ids)), live);
}

pub fn sixteen_who_need_a_first_key_get_the_same(stores: &KeyStores) {
    for round in 0..3 {
        let owner = owner(round);
        let got = stores.at_once(16, |number, store| {
            let mine = key(1_000 * round + number, &owner, 1);
            match done(store.create(&mine, None)) {
                Created::New => (true, mine),
                Created::Exists(theirs) => (false, theirs),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(got.iter().filter(|(new, _)| *new).count(), 1, "one of them made it");
        assert!(got.iter().all(|(_, key)| *key == got[0].1));
        assert_eq!(latest(&mut *stores.open(), &owner), Latest::Live(got[0].1.clone()));
        assert_eq!(done(stores.open().keys_of(owner.subject)).len(), 1);
    }
}

pub fn sixteen_who_succeed_a_key_make_one(stores: &KeyStores) {
    let mut store = stores.open();
    let first = first_key(&mut *store, 1, &owner(1));
    let made = stores
        .at_once(16, |number, store| done(store.create(&key(100 + number, &owner(1), 2), Some(first.id))));
    assert_eq!(made.iter().filter(|created| **created == Created::New).count(), 1, "{made:?}");
    let Latest::Live(second) = latest(&mut *store, &owner(1)) else { panic!("there is one") };
    assert_eq!(second.generation, 2);
    assert!(
        made.iter()
            .all(|created| matches!(created, Created::New) || *created == Created::Exists(second.clone()))
    );
}

pub fn one_id_for_two_owners_at_once_goes_to_one(stores: &KeyStores) {
    let made = stores.at_once(8, |number, store| done(store.create(&key(7, &owner(number), 1), None)));
    assert_eq!(made.iter().filter(|created| **created == Created::New).count(), 1, "{made:?}");
    assert_eq!(made.iter().filter(|created| **created == Created::Stale).count(), 7, "{made:?}");
}
