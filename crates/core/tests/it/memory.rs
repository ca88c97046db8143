//! The conformance suite on the store in memory, which is the model for all others.

use std::sync::Arc;

use factum_core::MemoryStore;
use factum_testkit::Fresh;

async fn memory() -> Fresh {
    let clock = Fresh::clock();
    Fresh { store: Arc::new(MemoryStore::with_clock(clock.clone())), clock, keep: Box::new(()) }
}

factum_testkit::conformance!(super::memory);
