//! Once a fence stands, is no key given out or made that it covers?

use std::sync::atomic::{AtomicBool, Ordering};

use factum_vault::{Created, Fence, Found, Latest, Watermark};

use super::KeyStores;
use super::case::{
    assert_unknown_erasure, at, done, erased, erasure, fence, fence_for, find, first_key, id, key, latest,
    ledger, next_key, owner, owner_for, up_to,
};

pub fn a_fence_stands_before_the_first_key(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let entry = done(store.fence(&fence(1, 1)));
    assert_eq!((entry.number, &entry.fence, entry.lifted), (Watermark(1), &fence(1, 1), false));
    assert!(entry.keys.is_empty() && entry.destroyed, "there is nothing left of nothing");
    for store in [&mut store, &mut other] {
        for owner in [owner(1), owner_for(1, "billing")] {
            assert_eq!(latest(&mut **store, &owner), Latest::Fenced(erasure(1)));
            assert_eq!(done(store.create(&key(10, &owner, 1), None)), Created::Fenced(erasure(1)));
        }
        assert_eq!(latest(&mut **store, &owner(2)), Latest::None { generation: 1 });
    }
    assert_eq!(find(&mut *store, &[10]), [Found::Unknown]);
}

pub fn keys_behind_a_fence_are_not_given_out(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 11, &owner(1));
    next_key(&mut *store, 10, &first);
    let others = first_key(&mut *store, 12, &owner(2));
    let entry = done(other.fence(&fence(1, 1)));
    assert_eq!(entry.keys, [id(10), id(11)], "in the order of their ids");
    assert!(!entry.destroyed);
    let gone = erased(&owner(1), 1);
    assert_eq!(find(&mut *store, &[10, 11, 12]), [gone.clone(), gone, Found::Live(others)]);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Fenced(erasure(1)));
    assert_eq!(done(store.create(&key(13, &owner(1), 3), Some(id(10)))), Created::Fenced(erasure(1)));
    assert_eq!(done(store.create(&key(13, &owner(1), 3), None)), Created::Fenced(erasure(1)));
}

pub fn a_fence_is_set_up_once(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 10, &owner(1));
    let entry = done(store.fence(&fence(1, 1)));
    assert_eq!(done(other.fence(&fence(1, 1))), entry);
    // The same erasure is what it was, whatever is said about it now.
    first_key(&mut *store, 20, &owner(2));
    assert_eq!(done(other.fence(&Fence { at: at(9), ..fence_for(1, 2, "billing") })), entry);
    assert_eq!(latest(&mut *store, &owner(2)), Latest::Live(key(20, &owner(2), 1)));
    done(store.destroy(erasure(1)));
    assert!(done(store.fence(&fence(1, 1))).destroyed);
    assert_eq!(done(store.watermark()), Watermark(1));
}

pub fn many_who_fence_the_same_make_one_line(stores: &KeyStores) {
    first_key(&mut *stores.open(), 10, &owner(1));
    let entries = stores.at_once(8, |_, store| done(store.fence(&fence(1, 1))));
    assert!(entries.iter().all(|entry| *entry == entries[0]), "{entries:?}");
    assert_eq!(ledger(&mut *stores.open()), entries[..1]);
}

pub fn many_who_fence_different_ones_get_numbers_without_gaps(stores: &KeyStores) {
    for subject in 0..4 {
        first_key(&mut *stores.open(), 10 + subject, &owner(subject));
    }
    let entries = stores
        .at_once(8, |number, store| done(store.fence(&fence(100 + u128::from(number), number % 4))).number.0);
    let mut numbers = entries.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8], "{entries:?}");
    let lines = ledger(&mut *stores.open());
    assert_eq!(lines.iter().filter(|line| line.keys.len() == 1).count(), 4, "each key is behind one fence");
}

pub fn one_erasure_for_two_subjects_at_once_is_one(stores: &KeyStores) {
    let entries = stores.at_once(8, |number, store| done(store.fence(&fence(1, number))));
    assert!(entries.iter().all(|entry| *entry == entries[0]), "{entries:?}");
    assert_eq!(done(stores.open().watermark()), Watermark(1));
}

pub fn a_fence_for_a_purpose_covers_that_alone(stores: &KeyStores) {
    let mut store = stores.open();
    let owners = [owner(1), owner_for(1, "billing"), owner_for(1, "marketing"), owner_for(2, "marketing")];
    let keys: Vec<_> = (10..).zip(&owners).map(|(n, owner)| first_key(&mut *store, n, owner)).collect();
    assert_eq!(done(store.fence(&fence_for(1, 1, "marketing"))).keys, [id(12)]);
    for (owner, key) in owners.iter().zip(&keys) {
        let expected = match key.id == id(12) {
            true => Latest::Fenced(erasure(1)),
            false => Latest::Live(key.clone()),
        };
        assert_eq!(latest(&mut *store, owner), expected);
    }
    assert_eq!(latest(&mut *store, &owner_for(1, "tax")), Latest::None { generation: 1 });
}

pub fn a_fence_for_a_subject_covers_every_purpose(stores: &KeyStores) {
    let mut store = stores.open();
    first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner_for(1, "billing"));
    first_key(&mut *store, 12, &owner_for(2, "billing"));
    assert_eq!(done(store.fence(&fence(1, 1))).keys, [id(10), id(11)]);
    for owner in [owner(1), owner_for(1, "billing"), owner_for(1, "never-used")] {
        assert_eq!(latest(&mut *store, &owner), Latest::Fenced(erasure(1)));
    }
    assert_eq!(
        latest(&mut *store, &owner_for(2, "billing")),
        Latest::Live(key(12, &owner_for(2, "billing"), 1))
    );
}

pub fn a_key_stays_behind_its_first_fence(stores: &KeyStores) {
    let mut store = stores.open();
    first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner_for(1, "billing"));
    assert_eq!(done(store.fence(&fence_for(1, 1, "billing"))).keys, [id(11)]);
    assert_eq!(done(store.fence(&fence(2, 1))).keys, [id(10)]);
    assert!(done(store.fence(&fence(3, 1))).keys.is_empty());
    assert_eq!(find(&mut *store, &[11]), [erased(&owner_for(1, "billing"), 1)]);
    assert_eq!(done(store.destroy(erasure(2))), [id(10)]);
    let destroyed: Vec<_> = ledger(&mut *store).iter().map(|line| line.destroyed).collect();
    assert_eq!(destroyed, [false, true, true]);
    // The oldest fence that stands is told.
    assert_eq!(latest(&mut *store, &owner_for(1, "billing")), Latest::Fenced(erasure(1)));
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Fenced(erasure(2)));
}

pub fn what_was_kept_for_long_enough_goes_and_later_keys_stay(stores: &KeyStores) {
    let mut store = stores.open();
    let first = first_key(&mut *store, 10, &owner(1));
    let second = next_key(&mut *store, 11, &first);
    let third = next_key(&mut *store, 12, &second);
    assert_eq!(done(store.fence(&up_to(2, fence(1, 1)))).keys, [id(10), id(11)]);
    let gone = erased(&owner(1), 1);
    assert_eq!(find(&mut *store, &[10, 11, 12]), [gone.clone(), gone, Found::Live(third.clone())]);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Live(third.clone()));
    let fourth = next_key(&mut *store, 13, &third);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Live(fourth.clone()));
    // Up to the last one: then the next is a first one again, one generation on.
    assert_eq!(done(store.fence(&up_to(4, fence(2, 1)))).keys, [id(12), id(13)]);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 5 });
    assert_eq!(done(store.create(&key(14, &owner(1), 4), None)), Created::Stale);
    assert_eq!(done(store.create(&key(14, &owner(1), 5), None)), Created::New);
}

pub fn a_key_that_a_fence_would_cover_is_not_made(stores: &KeyStores) {
    let mut store = stores.open();
    done(store.fence(&up_to(3, fence_for(1, 1, "billing"))));
    assert_eq!(latest(&mut *store, &owner_for(1, "billing")), Latest::None { generation: 4 });
    assert_eq!(done(store.create(&key(10, &owner_for(1, "billing"), 1), None)), Created::Stale);
    assert_eq!(done(store.create(&key(10, &owner_for(1, "billing"), 4), None)), Created::New);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 1 });
    let live = first_key(&mut *store, 20, &owner(1));
    // Lifting it gives nothing back of what it covered.
    done(store.fence(&up_to(7, fence(2, 1))));
    assert!(done(store.lift(erasure(2))));
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 8 });
    assert_eq!(find(&mut *store, &[20]), [erased(&live.owner, 2)]);
    done(store.fence(&up_to(u32::MAX, fence(3, 2))));
    for generation in [1, u32::MAX - 1, u32::MAX] {
        assert_eq!(done(store.create(&key(30, &owner(2), generation), None)), Created::Stale);
    }
}

pub fn a_lifted_fence_allows_the_next_key(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = first_key(&mut *store, 10, &owner(1));
    next_key(&mut *store, 11, &first);
    done(store.fence(&fence(1, 1)));
    done(store.destroy(erasure(1)));
    assert!(done(store.lift(erasure(1))));
    assert!(!done(other.lift(erasure(1))), "it stands no longer");
    assert!(done(store.ledger(Watermark(0), 1))[0].lifted);
    for store in [&mut store, &mut other] {
        assert_eq!(latest(&mut **store, &owner(1)), Latest::None { generation: 3 });
    }
    assert_eq!(done(store.create(&key(12, &owner(1), 1), None)), Created::Stale);
    assert_eq!(done(store.create(&key(12, &owner(1), 3), Some(id(11)))), Created::Stale);
    assert_eq!(done(store.create(&key(12, &owner(1), 3), None)), Created::New);
    let gone = erased(&owner(1), 1);
    let live = Found::Live(key(12, &owner(1), 3));
    assert_eq!(find(&mut *store, &[10, 11, 12]), [gone.clone(), gone, live]);
    assert_eq!(latest(&mut *store, &owner_for(1, "billing")), Latest::None { generation: 1 });
}

pub fn lifting_one_fence_leaves_the_others(stores: &KeyStores) {
    let mut store = stores.open();
    done(store.fence(&fence(1, 1)));
    done(store.fence(&fence_for(2, 1, "billing")));
    assert!(done(store.lift(erasure(1))));
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 1 });
    assert_eq!(latest(&mut *store, &owner_for(1, "billing")), Latest::Fenced(erasure(2)));
    // A fence that was lifted is not set up again by its erasure, only by another one.
    assert!(done(store.fence(&fence(1, 1))).lifted);
    assert_eq!(latest(&mut *store, &owner(1)), Latest::None { generation: 1 });
    done(store.fence(&fence(3, 1)));
    assert_eq!(latest(&mut *store, &owner(1)), Latest::Fenced(erasure(3)));
    assert_unknown_erasure(store.lift(erasure(9)), 9);
}

pub fn a_fence_beats_those_who_make_keys_at_the_same_time(stores: &KeyStores) {
    for round in 0..3 {
        let (owner, erasure_number) = (owner(round), u128::from(round) + 1);
        let fenced = AtomicBool::new(false);
        let outcomes = stores.at_once(17, |number, store| {
            if number == 16 {
                done(store.fence(&fence(erasure_number, round)));
                fenced.store(true, Ordering::SeqCst);
                assert_eq!(latest(store, &owner), Latest::Fenced(erasure(erasure_number)));
                return 0;
            }
            // Until it is refused: each goes on from what it sees.
            for attempt in 0_u64.. {
                assert!(attempt < 10_000, "the fence never came");
                let too_late = fenced.load(Ordering::SeqCst);
                let (generation, before) = match latest(store, &owner) {
                    Latest::Live(live) => (live.generation + 1, Some(live.id)),
                    Latest::None { generation } => (generation, None),
                    Latest::Fenced(_) => return attempt,
                };
                assert!(!too_late, "a key was given out behind a fence");
                let too_late = fenced.load(Ordering::SeqCst);
                let new = key(1_000_000 * round + 10_000 * number + attempt, &owner, generation);
                match done(store.create(&new, before)) {
                    Created::Fenced(by) => {
                        assert_eq!(by, erasure(erasure_number));
                        return attempt;
                    }
                    Created::New | Created::Exists(_) => assert!(!too_late, "a key was made behind a fence"),
                    Created::Stale => {}
                }
            }
            unreachable!("it is refused or fails")
        });
        let mut store = stores.open();
        let keys = done(store.keys_of(owner.subject));
        let made: u64 = outcomes.iter().sum();
        assert!(
            keys.iter().all(|key| key.erased == Some(erasure(erasure_number))),
            "{made} attempts: {keys:?}"
        );
        let line = done(store.fence(&fence(erasure_number, round)));
        assert_eq!(line.keys.len(), keys.len(), "each of them is in the ledger");
    }
}
