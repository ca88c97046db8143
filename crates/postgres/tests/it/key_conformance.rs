//! Does PostgreSQL keep every rule that all key stores keep?

use factum_postgres::PostgresKeyStore;
use factum_testkit::{FreshKeyStores, PostgresDatabase};

fn postgres(test: &str) -> Option<FreshKeyStores> {
    let database = PostgresDatabase::fresh(test)?;
    let url = database.url().to_owned();
    drop(PostgresKeyStore::create(&url, "keys").unwrap());
    let open = move || Box::new(PostgresKeyStore::open(&url, "keys").unwrap()) as _;
    Some(FreshKeyStores { open: Box::new(open), keep: Box::new(database) })
}

factum_testkit::key_store_conformance!(crate::key_conformance::postgres);
