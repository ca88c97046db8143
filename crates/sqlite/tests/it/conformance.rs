//! Does SQLite keep every rule that all databases of read models keep?

use std::sync::Arc;
use std::time::Duration;

use factum_sqlite::SqliteReadModels;
use factum_testkit::FreshReadModels;

fn sqlite(_test: &str) -> Option<FreshReadModels> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_owned();
    let busy = Duration::from_millis(500);
    let open = move || Arc::new(SqliteReadModels::open_waiting(&path, busy).expect("it opens")) as _;
    Some(FreshReadModels { open: Box::new(open), keep: Box::new(directory) })
}

factum_testkit::read_model_conformance!(crate::conformance::sqlite);
