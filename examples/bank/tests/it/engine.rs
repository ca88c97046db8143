//! The month of business on the embedded store, on a real disk.

use std::sync::Arc;

use bank::demo;
use bank::{AccountId, Bank};
use factum_core::{AsOf, EventStoreExt, MemoryStore};
use factum_engine::{Engine, Options};

#[tokio::test]
async fn the_month_is_the_same_on_disk_and_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let summary = demo::run(Arc::new(engine.clone()), 600).await.unwrap();
    let mut in_memory = demo::run(Arc::new(MemoryStore::new()), 600).await.unwrap();

    // Only what hangs on who came first may differ: on disk, commands of the same moment can conflict.
    in_memory.decided_again = summary.decided_again;
    in_memory.example.position_then = summary.example.position_then;
    in_memory.snapshots = summary.snapshots;
    assert_eq!(summary, in_memory);

    engine.close();
    drop(engine);
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    assert!(engine.head().await.unwrap().is_some());
    let bank = Bank::new(Arc::new(engine)).unwrap();
    let shop = AccountId::new("1");
    let (now, then) = (
        bank.account(&shop).await.unwrap(),
        bank.account_at(&shop, AsOf::Occurred(summary.example.travel_to)).await.unwrap(),
    );
    assert_eq!((now.state.balance, now.revision), (summary.example.balance, summary.example.revision));
    assert_eq!(
        (then.state.balance, then.position),
        (summary.example.balance_then, summary.example.position_then)
    );
}
