//! The conformance suite on the engine, with segments so small that most tests cross several.

use std::sync::Arc;

use factum_engine::{Engine, Options};
use factum_testkit::Fresh;

async fn engine() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let clock = Fresh::clock();
    let options = Options { segment_bytes: 4 * 1024, clock: clock.clone(), ..Options::default() };
    let store = Engine::open(dir.path(), options).unwrap();
    Fresh { store: Arc::new(store), clock, keep: Box::new(dir) }
}

factum_testkit::conformance!(super::engine);
