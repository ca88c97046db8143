//! Is everything there again once it was closed and opened?

use factum_vault::{Found, Latest, Lease, Watermark};
use uuid::Uuid;

use super::KeyStores;
use super::case::{
    E1, E2, at, done, erased, erasure, fence, fence_for, find, first_key, id, identity, key, latest, ledger,
    next_key, owner, owner_for, rewrapped, subject, value,
};

pub fn everything_survives_reopening(stores: &KeyStores) {
    let mut store = stores.open();
    let whose = done(store.initialise(&identity(1)));
    let first = first_key(&mut *store, 1, &owner(1));
    next_key(&mut *store, 2, &first);
    first_key(&mut *store, 3, &owner_for(1, "billing"));
    first_key(&mut *store, 4, &owner(2));
    first_key(&mut *store, 5, &owner(3));
    done(store.rewrap(&[rewrapped(1)]));
    done(store.keep_values(&[value(1, id(1)), value(2, id(4)), value(3, id(5))]));
    done(store.fence(&fence(1, 2)));
    done(store.destroy(erasure(1)));
    done(store.lift(erasure(1)));
    done(store.fence(&fence_for(2, 1, "billing")));
    done(store.fence(&fence(3, 3)));
    let lease = Lease { node: Uuid::from_u128(7), seen: Watermark(2), until: at(50) };
    done(store.renew(&lease));

    let look = |store: &mut dyn factum_vault::KeyStore| {
        let values = done(store.values(&[1, 2, 3].map(Uuid::from_u128)));
        (
            (done(store.identity()), done(store.holdings()), done(store.watermark()), ledger(store)),
            (find(store, &[1, 2, 3, 4, 5, 6]), [1, 2, 3].map(|n| latest(store, &owner(n)))),
            ([1, 2, 3].map(|n| done(store.keys_of(subject(n)))), values, done(store.leases(at(0)))),
            [E1, E2].map(|epoch| done(store.wrapped_otherwise(epoch, None, 10))),
        )
    };
    let before = look(&mut *store);
    drop(store);
    let mut store = stores.open();
    assert_eq!(look(&mut *store), before);

    assert_eq!(done(store.identity()), Some(whose));
    let unwrapped = rewrapped(1).wrapped;
    let Found::Live(rewrapped) = find(&mut *store, &[1]).remove(0) else { panic!("it is live") };
    assert_eq!((rewrapped.wrapped, rewrapped.epoch), (unwrapped, E2));
    assert_eq!(find(&mut *store, &[3, 4]), [erased(&owner_for(1, "billing"), 2), erased(&owner(2), 1)]);
    assert_eq!(latest(&mut *store, &owner(2)), Latest::None { generation: 2 });
    assert_eq!(latest(&mut *store, &owner(3)), Latest::Fenced(erasure(3)));
    assert_eq!(done(store.leases(at(0))), [lease]);
    // And it goes on from there.
    assert_eq!(done(store.create(&key(6, &owner(2), 2), None)), factum_vault::Created::New);
    assert_eq!(done(store.fence(&fence(4, 4))).number, Watermark(4));
    assert_eq!(done(store.destroy(erasure(3))), [id(5)]);
}
