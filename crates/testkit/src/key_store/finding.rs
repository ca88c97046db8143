//! Does it tell what there is: keys by id, by subject, by age, and in numbers?

use factum_vault::{Found, Holdings, KeyId, KeySummary, StoredKey};

use super::KeyStores;
use super::case::{
    at, done, erased, erasure, fence, fence_for, find, first_key, id, key, next_key, owner, owner_for,
    purpose, subject, up_to, value,
};

fn summary(key: &StoredKey) -> KeySummary {
    KeySummary {
        id: key.id,
        owner: key.owner.clone(),
        generation: key.generation,
        created: key.created,
        erased: None,
        destroyed: false,
    }
}

pub fn live_erased_and_unknown_are_told_apart(stores: &KeyStores) {
    let mut store = stores.open();
    let live = first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner(2));
    done(store.fence(&fence(1, 2)));
    let expected = [Found::Unknown, erased(&owner(2), 1), Found::Live(live.clone())];
    assert_eq!(find(&mut *store, &[12, 11, 10]), expected);
    done(store.destroy(erasure(1)));
    assert_eq!(find(&mut *store, &[12, 11, 10]), expected, "and no different once the bytes are gone");
    assert_eq!(find(&mut *store, &[]), []);
}

pub fn answers_are_in_the_order_of_the_questions(stores: &KeyStores) {
    let mut store = stores.open();
    let keys: Vec<_> = (0..20).map(|n| first_key(&mut *store, 100 - n, &owner(n))).collect();
    let live = |at: usize| Found::Live(keys[at].clone());
    let asked: Vec<KeyId> = [3, 0, 19, 3, 7].iter().map(|at: &usize| keys[*at].id).collect();
    assert_eq!(done(store.find(&asked)), [live(3), live(0), live(19), live(3), live(7)]);
}

pub fn a_batch_as_large_as_allowed_is_answered(stores: &KeyStores) {
    let mut store = stores.open();
    let live = first_key(&mut *store, 500, &owner(1));
    let asked: Vec<u64> = (1..=factum_vault::MAX_KEY_BATCH as u64).collect();
    let found = find(&mut *store, &asked);
    assert_eq!(found.len(), asked.len());
    for (number, found) in asked.iter().zip(found) {
        assert_eq!(found, if *number == 500 { Found::Live(live.clone()) } else { Found::Unknown });
    }
}

pub fn a_subjects_keys_are_listed_by_owner_and_generation(stores: &KeyStores) {
    let mut store = stores.open();
    let marketing = first_key(&mut *store, 5, &owner_for(1, "marketing"));
    let first = first_key(&mut *store, 9, &owner(1));
    let second = next_key(&mut *store, 4, &first);
    let billing = first_key(&mut *store, 7, &owner_for(1, "billing"));
    first_key(&mut *store, 6, &owner(2));
    done(store.fence(&fence_for(1, 1, "marketing")));
    done(store.fence(&up_to(1, fence(2, 1))));
    done(store.destroy(erasure(2)));
    let expected = [
        KeySummary { erased: Some(erasure(2)), destroyed: true, ..summary(&first) },
        summary(&second),
        KeySummary { erased: Some(erasure(2)), destroyed: true, ..summary(&billing) },
        KeySummary { erased: Some(erasure(1)), ..summary(&marketing) },
    ];
    assert_eq!(done(store.keys_of(subject(1))), expected);
    assert_eq!(done(store.keys_of(subject(3))), []);
}

pub fn keys_made_before_a_time_are_listed_for_their_purpose(stores: &KeyStores) {
    let mut store = stores.open();
    // A key's number is its age: 1 is the oldest.
    let keys: Vec<_> = (1..=9).map(|n| first_key(&mut *store, n, &owner_for(n, "marketing"))).collect();
    first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner_for(1, "billing"));
    done(store.fence(&fence(1, 3)));
    done(store.fence(&fence(2, 4)));
    done(store.destroy(erasure(2)));
    let numbers = |keys: Vec<KeySummary>| -> Vec<u64> {
        let number = |key: &KeySummary| keys_number(&key.id);
        keys.iter().map(number).collect()
    };
    let mut due = |before: i64, after: Option<u64>, limit: usize| {
        numbers(done(store.made_before(&purpose("marketing"), at(before), after.map(id), limit)))
    };
    assert_eq!(due(7, None, 100), [1, 2, 5, 6], "before is not at");
    assert_eq!(due(7, None, 2), [1, 2]);
    assert_eq!(due(7, Some(2), 1), [5]);
    assert_eq!(due(7, Some(5), 100), [6]);
    assert_eq!(due(7, Some(6), 100), [0; 0]);
    assert_eq!(due(1, None, 100), [0; 0]);
    assert_eq!(due(100, None, 0), [0; 0]);
    let all = done(store.made_before(&purpose("marketing"), at(2), None, 100));
    assert_eq!(all, [summary(&keys[0])]);
    assert_eq!(done(store.made_before(&purpose("tax"), at(100), None, 100)), []);
}

fn keys_number(id: &KeyId) -> u64 {
    id.0[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub fn what_it_holds_is_counted(stores: &KeyStores) {
    let mut store = stores.open();
    assert_eq!(done(store.holdings()), Holdings::default());
    let first = first_key(&mut *store, 1, &owner(1));
    next_key(&mut *store, 2, &first);
    first_key(&mut *store, 3, &owner_for(1, "billing"));
    first_key(&mut *store, 4, &owner(2));
    first_key(&mut *store, 5, &owner(3));
    done(store.keep_values(&[value(1, id(1)), value(2, id(4)), value(3, id(4)), value(4, id(5))]));
    let all = Holdings { subjects: 3, live: 5, fenced: 0, destroyed: 0, values: 4 };
    assert_eq!(done(store.holdings()), all);
    done(store.fence(&fence_for(1, 1, "billing")));
    done(store.fence(&fence(2, 2)));
    assert_eq!(done(store.holdings()), Holdings { subjects: 2, live: 3, fenced: 2, ..all });
    done(store.destroy(erasure(2)));
    let now = Holdings { subjects: 2, live: 3, fenced: 1, destroyed: 1, values: 2 };
    assert_eq!(done(stores.open().holdings()), now);
    assert_eq!(done(store.create(&key(6, &owner(4), 1), None)), factum_vault::Created::New);
    assert_eq!(done(store.holdings()), Holdings { subjects: 3, live: 4, ..now });
}
