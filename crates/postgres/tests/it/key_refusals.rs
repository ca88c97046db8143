//! A key store that is not there, newer, damaged or not to be reached: is it told, before anything is written, and without the
//! password?

use factum_core::ErrorKind;
use factum_postgres::PostgresKeyStore;
use factum_testkit::PostgresDatabase;
use factum_vault::{KeyStore, KeyStoreError};

use crate::key_fixture::{Fixture, SCHEMA, make, owner};

#[test]
fn what_cannot_be_opened_is_named_without_its_password() {
    let test = "what_cannot_be_opened_is_named_without_its_password";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    let url = database.url();
    let (_, password) = url.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap();
    let open = |url: &str| PostgresKeyStore::open(url, SCHEMA).unwrap_err();
    let none = open(url);
    assert!(matches!(none, KeyStoreError::Missing { .. }), "{none:?}");
    assert!(none.kind() == ErrorKind::NotFound && none.to_string().contains("'keys'"), "{none}");
    assert_eq!(database.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'keys'"), "0");
    let wrong_password = open(&url.replace(password, "hush"));
    assert!(matches!(wrong_password, KeyStoreError::Failed { .. }), "{wrong_password:?}");
    let missing = open(&format!("{url}_not"));
    assert!(matches!(missing, KeyStoreError::Missing { .. }), "{missing:?}");
    let nobody_there = open("postgres://me:hush@127.0.0.1:1/db");
    assert!(matches!(nobody_there, KeyStoreError::Unavailable { .. }), "{nobody_there:?}");
    let no_url = open("me:hush");
    assert!(matches!(no_url, KeyStoreError::Missing { .. }), "{no_url:?}");
    let made = PostgresKeyStore::create(url, SCHEMA).unwrap();
    let said = format!(
        "{none}{none:?}{wrong_password}{wrong_password:?}{missing}{missing:?}{nobody_there}{no_url}{no_url:?}"
    );
    let said = format!("{said}{} {made:?}", made.description());
    assert!(!said.contains("hush") && !said.contains(password), "{said}");
}

#[test]
fn what_is_there_is_not_made_anew() {
    let Some(mut f) = Fixture::new("what_is_there_is_not_made_anew") else { return };
    let key = make(&mut f.store, 1, &owner(1));
    let refused = PostgresKeyStore::create(f.database.url(), SCHEMA).unwrap_err();
    assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused:?}");
    assert!(refused.to_string().contains("there is one already"), "{refused}");
    assert_eq!(f.store.latest(&owner(1)).unwrap(), factum_vault::Latest::Live(key));
    // In another schema of the same database it is another one.
    let mut other = PostgresKeyStore::create(f.database.url(), "other_keys").unwrap();
    assert_eq!(other.holdings().unwrap().live, 0);
}

#[test]
fn many_who_create_at_once_make_one() {
    let Some(database) = PostgresDatabase::fresh("many_who_create_at_once_make_one") else { return };
    let made: Vec<_> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| PostgresKeyStore::create(database.url(), SCHEMA));
        let started: Vec<_> = (0..6).map(|_| run()).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
}

#[test]
fn a_schema_that_is_there_is_used_unless_something_is_in_the_way() {
    let test = "a_schema_that_is_there_is_used_unless_something_is_in_the_way";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    database.sql("CREATE SCHEMA keys CREATE TABLE notes (note text)");
    let mut store = PostgresKeyStore::create(database.url(), SCHEMA).unwrap();
    make(&mut store, 1, &owner(1));
    database.sql("CREATE SCHEMA busy CREATE TABLE leases (room text)");
    let refused = PostgresKeyStore::create(database.url(), "busy").unwrap_err();
    assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused:?}");
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'busy'";
    assert_eq!(database.sql(tables), "1", "nothing was made in it");
    for bad in ["factum", "Keys", "pg_keys", "k\"; DROP SCHEMA keys CASCADE; --"] {
        for refused in
            [PostgresKeyStore::create(database.url(), bad), PostgresKeyStore::open(database.url(), bad)]
        {
            assert!(matches!(refused, Err(KeyStoreError::Failed { .. })), "{refused:?}");
        }
    }
}

#[test]
fn a_newer_layout_is_refused_and_none_is_damage() {
    let Some(f) = Fixture::new("a_newer_layout_is_refused_and_none_is_damage") else { return };
    let url = f.database.url();
    f.database.sql("UPDATE keys.key_store SET layout = 2");
    let newer = PostgresKeyStore::open(url, SCHEMA).unwrap_err();
    assert!(matches!(newer, KeyStoreError::NewerLayout { found: 2, known: 1, .. }), "{newer:?}");
    f.database.sql("DELETE FROM keys.key_store");
    let damaged = PostgresKeyStore::open(url, SCHEMA).unwrap_err();
    assert!(matches!(damaged, KeyStoreError::Damaged { .. }), "{damaged:?}");
}

/// Damage is never taken for an erasure, nor for an owner without keys.
#[test]
fn rows_that_are_not_ours_are_damage() {
    let Some(mut f) = Fixture::new("rows_that_are_not_ours_are_damage") else { return };
    let key = make(&mut f.store, 1, &owner(1));
    for (breaks, mends) in [
        ("purpose = 'Not One'", "purpose = ''"),
        ("generation = -1", "generation = 1"),
        ("epoch = 5000000000", "epoch = 1"),
    ] {
        f.database.sql(&format!("UPDATE keys.keys SET {breaks}"));
        let damaged = f.store.find(&[key.id]).unwrap_err();
        assert!(matches!(damaged, KeyStoreError::Damaged { .. }), "{breaks}: {damaged:?}");
        f.database.sql(&format!("UPDATE keys.keys SET {mends}"));
    }
    assert_eq!(f.store.find(&[key.id]).unwrap(), [factum_vault::Found::Live(key)]);
}

#[test]
fn a_database_that_may_only_be_read_says_so_when_it_is_written_to() {
    let test = "a_database_that_may_only_be_read_says_so_when_it_is_written_to";
    let Some(mut f) = Fixture::new(test) else { return };
    make(&mut f.store, 1, &owner(1));
    let role = format!("reader_in_{}", f.database.sql("SELECT current_database()"));
    f.database.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'reads'"));
    f.database.sql(&format!(
        "GRANT USAGE ON SCHEMA keys TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA keys TO {role}"
    ));
    let (scheme, rest) = f.database.url().split_once("://").unwrap();
    let url = format!("{scheme}://{role}:reads@{}", rest.split_once('@').unwrap().1);
    let mut reader = PostgresKeyStore::open(&url, SCHEMA).unwrap();
    assert!(matches!(reader.latest(&owner(1)).unwrap(), factum_vault::Latest::Live(_)));
    let refused = reader.fence(&crate::key_fixture::fence(1, &owner(1))).unwrap_err();
    f.database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused:?}");
    assert!(refused.to_string().contains("rights"), "{refused}");
    assert!(matches!(f.store.latest(&owner(1)).unwrap(), factum_vault::Latest::Live(_)));
}
