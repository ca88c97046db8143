//! The published shapes of the bank's events do not change: `schemas.lock.json` holds every one of them.

use std::path::Path;

use bank::{AccountEvent, CustomerEvent, TransferEvent};
use factum::{Codec, SchemaSet};

use crate::stored::fixture;

/// What the first version of the bank declared, as far as it has changed since.
mod first {
    use bank::AccountId;
    use factum::Event;

    #[derive(Debug, Event)]
    pub(super) enum AccountEvent {
        AccountOpened { account: AccountId, owner: String },
        FundsDeposited { account: AccountId, cents: i64 },
        FundsWithdrawn { account: AccountId, cents: i64 },
    }
}

/// After a new version: `FACTUM_UPDATE_SCHEMAS=1 cargo test -p bank schemas`, and commit the file.
#[test]
fn the_lock_file_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas.lock.json");
    let schemas = SchemaSet::of::<AccountEvent>().and::<TransferEvent>().and::<CustomerEvent>();
    let published = SchemaSet::of::<first::AccountEvent>().update_lock("").unwrap();
    if std::env::var_os("FACTUM_UPDATE_SCHEMAS").is_some() {
        let lock = std::fs::read_to_string(&path).unwrap_or_else(|_| published.clone());
        std::fs::write(&path, schemas.update_lock(&lock).unwrap()).unwrap();
    }
    let lock = std::fs::read_to_string(&path).unwrap();
    schemas.check_lock(&lock).unwrap();
    assert_eq!(schemas.update_lock(&lock).unwrap(), lock);
    let all = schemas.with_older(&lock).unwrap();
    for old in SchemaSet::default().with_older(&published).unwrap().schemas() {
        let kept = all.schemas().iter().find(|kept| (&kept.event_type, kept.version) == (&old.event_type, 1));
        assert_eq!(
            kept.map(|kept| &kept.schema["properties"]),
            Some(&old.schema["properties"]),
            "{}",
            old.event_type
        );
    }
}

#[test]
fn the_stored_fixture_is_what_the_first_version_wrote() {
    let codec = Codec::<first::AccountEvent>::new().unwrap();
    let mut checked = 0;
    for (event_type, version, data) in fixture() {
        if version == 1 && !matches!(event_type, "AccountFrozen" | "AccountUnfrozen") {
            codec.decode_data(event_type, 1, data.to_string().as_bytes()).unwrap();
            checked += 1;
        }
    }
    assert_eq!(checked, 3);
}
