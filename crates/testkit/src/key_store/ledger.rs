//! Is the ledger of erasures in order, whole, and read on from anywhere?

use std::slice::from_ref;

use factum_vault::{LedgerEntry, Watermark};

use super::KeyStores;
use super::case::{done, erasure, fence, fence_for, first_key, id, ledger, owner, owner_for, up_to};

pub fn a_new_ledger_is_empty(stores: &KeyStores) {
    let mut store = stores.open();
    assert_eq!(done(store.watermark()), Watermark(0));
    assert_eq!(ledger(&mut *store), []);
}

pub fn erasures_are_numbered_as_they_were_fenced(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 10, &owner(1));
    first_key(&mut *store, 11, &owner_for(1, "billing"));
    let line = |number, fence, keys: &[u64], destroyed| LedgerEntry {
        number: Watermark(number),
        fence,
        keys: keys.iter().map(|number| id(*number)).collect(),
        destroyed,
        lifted: false,
    };
    let lines = [
        line(1, fence_for(30, 1, "billing"), &[11], false),
        line(2, up_to(7, fence(10, 1)), &[10], false),
        line(3, fence(20, 2), &[], true),
    ];
    for (number, expected) in (1..).zip(&lines) {
        let by = if number % 2 == 0 { &mut store } else { &mut other };
        assert_eq!(done(by.fence(&expected.fence)), *expected);
        assert_eq!(done(store.watermark()), Watermark(number));
    }
    assert_eq!(ledger(&mut *store), lines);
}

pub fn the_ledger_is_read_in_parts(stores: &KeyStores) {
    let mut store = stores.open();
    for number in 1..=7 {
        done(store.fence(&fence(number, number as u64)));
    }
    let whole = ledger(&mut *store);
    assert_eq!(whole.len(), 7);
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(Watermark(0), |line: &LedgerEntry| line.number);
        let part = done(store.ledger(after, 3));
        if part.is_empty() {
            break;
        }
        assert!(part.len() <= 3);
        read.extend(part);
    }
    assert_eq!(read, whole);
    assert_eq!(done(store.ledger(Watermark(3), 1)), whole[3..4]);
    assert_eq!(done(store.ledger(Watermark(0), 0)), []);
    assert_eq!(done(store.ledger(Watermark(7), 10)), []);
    assert_eq!(done(store.ledger(Watermark(u64::MAX), 10)), []);
    assert_eq!(done(store.ledger(Watermark(0), usize::MAX)), whole);
}

pub fn a_line_says_what_was_done_since(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    first_key(&mut *store, 10, &owner(1));
    let fenced = done(store.fence(&fence(1, 1)));
    done(store.destroy(erasure(1)));
    assert_eq!(ledger(&mut *other), [LedgerEntry { destroyed: true, ..fenced.clone() }]);
    done(store.lift(erasure(1)));
    let lifted = LedgerEntry { destroyed: true, lifted: true, ..fenced };
    assert_eq!(ledger(&mut *other), from_ref(&lifted));
    assert_eq!(done(other.watermark()), Watermark(1), "neither is a new line");
    // A new key is not the erasure's.
    assert_eq!(done(store.create(&super::case::key(11, &owner(1), 2), None)), factum_vault::Created::New);
    assert_eq!(ledger(&mut *store), [lifted]);
}

pub fn a_new_line_is_never_before_one_that_was_read(stores: &KeyStores) {
    let lines = stores.at_once(8, |thread, store| {
        if thread > 0 {
            for number in 0..10 {
                done(store.fence(&fence(u128::from(thread * 100 + number), thread)));
            }
            return Vec::new();
        }
        let (mut seen, mut at) = (Vec::new(), Watermark(0));
        while seen.len() < 70 {
            for line in done(store.ledger(at, 5)) {
                assert_eq!(line.number.0, at.0 + 1, "no line was passed over");
                at = line.number;
                seen.push(line);
            }
            assert!(done(store.watermark()) >= at);
        }
        seen
    });
    assert_eq!(lines[0], ledger(&mut *stores.open()));
}
