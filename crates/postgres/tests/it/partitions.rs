//! Do partitions that are applied beside each other come to the right sums, also where they share rows?

use std::sync::Arc;

use factum_core::EventStore;
use factum_postgres::PostgresReadModels;
use factum_testkit::PostgresDatabase;
use tempfile::TempDir;

use crate::flow::{append, expected, log, project, sums, totals};

/// Every partition changes the rows of all 13 accounts, each in another order: their transactions get in each other's way
/// all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_share_rows_get_through_without_standing_still() {
    let test = "partitions_that_share_rows_get_through_without_standing_still";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    const EVENTS: u64 = 20_000;
    let dir = TempDir::new().unwrap();
    let store: Arc<dyn EventStore> = log(dir.path());
    append(&*store, 0, EVENTS, 40).await;
    let read_models = Arc::new(PostgresReadModels::open(database.url()).unwrap());
    let partitioned = sums().declared(|definition| definition.partitioned_by_stream(4));
    let (_projections, handle) = project(&store, read_models, partitioned).await;
    assert_eq!(totals(&*store, &handle).await, expected(EVENTS));
    // The first deadlocks are noted, and then there are no more.
    database.sql("SELECT pg_stat_force_next_flush()");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: u32 = database.sql(deadlocks).parse().unwrap();
    assert!(deadlocks <= 8, "{deadlocks} deadlocks");
    assert_eq!(database.sql("SELECT count(*), sum(events) FROM factum.partitions"), format!("4|{EVENTS}"));
    assert_eq!(database.sql("SELECT count(*) FROM factum.partitions WHERE events = 0"), "0");
}
