//! Does SQLite keep every rule that all key stores keep?

use std::time::Duration;

use factum_sqlite::SqliteKeyStore;
use factum_testkit::FreshKeyStores;

/// How long sixteen who write at once may wait for each other where the disk is slow.
const BUSY: Duration = Duration::from_secs(60);

fn sqlite(_test: &str) -> Option<FreshKeyStores> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys");
    drop(SqliteKeyStore::create(&path).expect("it is made"));
    let open = move || Box::new(SqliteKeyStore::open_waiting(&path, BUSY).expect("it opens")) as _;
    Some(FreshKeyStores { open: Box::new(open), keep: Box::new(directory) })
}

factum_testkit::key_store_conformance!(crate::key_conformance::sqlite);
