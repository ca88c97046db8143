//! Is it said once whose keys these are?

use factum_vault::Identity;

use super::KeyStores;
use super::case::{E1, E2, done, identity, wrapped};

pub fn a_new_one_belongs_to_nobody(stores: &KeyStores) {
    let mut store = stores.open();
    assert_eq!(done(store.identity()), None);
    assert!(!done(store.rewrap_roots(E1, E2, &wrapped(1))));
    assert_eq!(done(store.identity()), None);
    assert!(!store.description().is_empty());
}

pub fn the_first_identity_stays(stores: &KeyStores) {
    let (mut store, mut other) = (stores.open(), stores.open());
    let first = identity(1);
    assert_eq!(done(store.initialise(&first)), first);
    let second = Identity { tenant: "another".to_owned(), ..identity(2) };
    for store in [&mut store, &mut other] {
        assert_eq!(done(store.initialise(&second)), first);
        assert_eq!(done(store.identity()), Some(first.clone()));
    }
}

pub fn many_who_initialise_at_once_agree(stores: &KeyStores) {
    let came = stores.at_once(8, |number, store| done(store.initialise(&identity(number.into()))));
    let kept = done(stores.open().identity()).expect("it was initialised");
    assert!(came.iter().all(|identity| *identity == kept), "{came:?}");
}

pub fn roots_are_wrapped_anew_only_from_the_epoch_that_wraps_them(stores: &KeyStores) {
    let mut store = stores.open();
    let first = done(store.initialise(&identity(1)));
    assert!(!done(store.rewrap_roots(E2, E1, &wrapped(2))));
    assert_eq!(done(store.identity()), Some(first.clone()));
    assert!(done(store.rewrap_roots(E1, E2, &wrapped(3))));
    assert!(!done(store.rewrap_roots(E1, E2, &wrapped(4))), "somebody was faster");
    let now = Identity { roots: wrapped(3), epoch: E2, ..first };
    assert_eq!(done(store.identity()), Some(now.clone()));
    assert_eq!(done(store.initialise(&identity(1))), now);
}
