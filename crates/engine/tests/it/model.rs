//! Random operations on the engine and on the model, compared outcome by outcome, with the store reopened in between.

use std::sync::Arc;

use factum_core::{Clock, EventStore};
use factum_engine::{Engine, Options};
use factum_testkit::Fresh;
use tempfile::TempDir;

/// Operations in a run.
const OPERATIONS: usize = 10_000;

fn open(dir: &TempDir, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
    let options = Options { segment_bytes: 16 * 1024, clock, ..Options::default() };
    Arc::new(Engine::open(dir.path(), options).unwrap())
}

async fn make() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let clock = Fresh::clock();
    Fresh { store: open(&dir, clock.clone()), clock, keep: Box::new(dir) }
}

async fn reopen(fresh: Fresh) -> Fresh {
    let Fresh { store, clock, keep } = fresh;
    // The last handle closes the store and gives its directory free.
    drop(store);
    let dir: Box<TempDir> = keep.downcast().unwrap();
    Fresh { store: open(&dir, clock.clone()), clock, keep: dir }
}

#[test]
fn the_engine_is_the_model() {
    let report = factum_testkit::model::check(make, reopen, OPERATIONS);
    assert!(report.reopened > 20 && report.redacted > 20, "{report:?}");
}
