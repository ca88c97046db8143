//! Is it known which processes may hold keys, and no longer than they said?

use factum_vault::{Lease, Watermark};
use uuid::Uuid;

use super::KeyStores;
use super::case::{at, done};

fn lease(node: u128, seen: u64, until: i64) -> Lease {
    Lease { node: Uuid::from_u128(node), seen: Watermark(seen), until: at(until) }
}

/// The leases at a time, by node.
fn leases(store: &mut dyn factum_vault::KeyStore, now: i64) -> Vec<Lease> {
    let mut leases = done(store.leases(at(now)));
    leases.sort_by_key(|lease| lease.node);
    leases
}

pub fn a_process_may_hold_keys_until_its_time_is_over(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    assert_eq!(leases(&mut *store, 0), []);
    done(store.renew(&lease(1, 0, 30)));
    done(other.renew(&lease(2, 5, 40)));
    for store in [&mut store, &mut other] {
        assert_eq!(leases(&mut **store, 0), [lease(1, 0, 30), lease(2, 5, 40)]);
    }
    assert_eq!(leases(&mut *store, 29).len(), 2);
    assert_eq!(leases(&mut *store, 30), [lease(2, 5, 40)], "until is not at");
    assert_eq!(leases(&mut *other, 0), [lease(2, 5, 40)], "it was forgotten");
    assert_eq!(leases(&mut *other, 41), []);
}

pub fn a_lease_is_renewed_over_the_one_before(stores: &KeyStores) {
    let mut store = stores.open();
    done(store.renew(&lease(1, 3, 30)));
    done(store.renew(&lease(1, 4, 60)));
    assert_eq!(leases(&mut *store, 0), [lease(1, 4, 60)]);
    // Also to less: it is what the process says now.
    done(store.renew(&lease(1, u64::MAX >> 1, 20)));
    assert_eq!(leases(&mut *store, 0), [lease(1, u64::MAX >> 1, 20)]);
    assert_eq!(leases(&mut *store, 25), []);
    done(store.renew(&lease(1, 9, 90)));
    assert_eq!(leases(&mut *store, 25), [lease(1, 9, 90)]);
}

pub fn a_process_that_ends_holds_nothing(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    done(store.renew(&lease(1, 0, 30)));
    done(store.renew(&lease(2, 0, 30)));
    done(other.end_lease(Uuid::from_u128(1)));
    done(other.end_lease(Uuid::from_u128(1)));
    done(other.end_lease(Uuid::from_u128(7)));
    assert_eq!(leases(&mut *store, 0), [lease(2, 0, 30)]);
}

pub fn many_renew_at_once(stores: &KeyStores) {
    stores.at_once(8, |node, store| {
        for round in 1..=10 {
            done(store.renew(&lease(node.into(), round, 30)));
        }
    });
    let expected: Vec<_> = (0..8).map(|node| lease(node, 10, 30)).collect();
    assert_eq!(leases(&mut *stores.open(), 0), expected);
}
