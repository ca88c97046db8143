//! Does a projection resume by itself when the server goes away and comes back?

use std::sync::Arc;
use std::time::Duration;

use factum_core::EventStore;
use factum_core::read_model::{ReadModels, Woken};
use factum_postgres::PostgresReadModels;
use factum_testkit::PrivatePostgres;
use tempfile::TempDir;

use crate::fixture::{ADD, TABLES, V1, name, new_version, partition, progress};
use crate::flow::{append, expected, log, project, sums, totals};

const EVENTS: u64 = 60_000;

/// Waits until the server says that something holds, without the code under test.
fn wait_for(server: &PrivatePostgres, condition: &str) {
    for _ in 0..6_000 {
        if server.sql(condition) == "t" {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {condition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_in_the_middle_of_a_catch_up_is_waited_for() {
    let test = "a_server_that_restarts_in_the_middle_of_a_catch_up_is_waited_for";
    let Some(mut server) = PrivatePostgres::start(test) else { return };
    let dir = TempDir::new().unwrap();
    let store: Arc<dyn EventStore> = log(dir.path());
    append(&*store, 0, EVENTS, 1).await;
    let read_models = Arc::new(PostgresReadModels::open(&server.url()).unwrap());
    let (_projections, handle) = project(&store, read_models, sums()).await;

    wait_for(&server, "SELECT events > 0 FROM factum.partitions");
    server.stop();
    // The status says why nothing moves, from what this process knows.
    let mut why = None;
    for _ in 0..3_000 {
        why = handle.status().await.unwrap()[0].why.clone();
        if why.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let why = why.unwrap();
    assert!(why.contains("not available") && !why.contains("for-tests-only"), "{why}");
    server.start_again();
    let before: u64 = server.sql("SELECT events FROM factum.partitions").parse().unwrap();
    assert!(before < EVENTS, "it went away in the middle");

    wait_for(&server, &format!("SELECT events > {before} FROM factum.partitions"));
    server.crash();
    server.start_again();
    append(&*store, EVENTS, EVENTS + 100, 1).await;
    assert_eq!(totals(&*store, &handle).await, expected(EVENTS + 100));
}

#[test]
fn what_was_open_when_the_server_went_away_says_so_and_works_again_when_it_is_back() {
    let test = "what_was_open_when_the_server_went_away_says_so_and_works_again_when_it_is_back";
    let Some(mut server) = PrivatePostgres::start(test) else { return };
    let read_models = PostgresReadModels::open(&server.url()).unwrap();
    read_models.create(&new_version("balances", TABLES)).unwrap();
    let versions = [(name("balances"), V1)];
    let mut reader = read_models.reader(&versions).unwrap();
    let mut watch = read_models.watch(&name("balances"), V1).unwrap();
    let mut writer = read_models.writer(&partition("balances", V1, 0)).unwrap();
    writer.begin().unwrap();
    writer.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    server.stop();
    let unavailable = [
        writer.commit(&progress(1)).unwrap_err(),
        writer.begin().unwrap_err(),
        reader.query("SELECT 1", &[]).unwrap_err(),
        read_models.versions().unwrap_err(),
        read_models.writer(&partition("balances", V1, 0)).err().unwrap(),
        PostgresReadModels::open(&server.url()).unwrap_err(),
    ];
    for error in unavailable {
        assert!(error.is_transient(), "{error:?}");
    }
    server.start_again();
    // The listener comes back by itself, and wakes: there may have been commits in between.
    assert_eq!(watch.wait(Duration::from_secs(60)).unwrap(), Woken::Committed);
    assert_eq!(reader.query("SELECT * FROM accounts", &[]).unwrap().0.rows.len(), 0);
    let mut writer = read_models.writer(&partition("balances", V1, 0)).unwrap();
    writer.begin().unwrap();
    writer.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    writer.commit(&progress(1)).unwrap();
    assert_eq!(watch.wait(Duration::from_secs(60)).unwrap(), Woken::Committed);
    assert_eq!(reader.query("SELECT * FROM accounts", &[]).unwrap().0.rows.len(), 1);
    assert_eq!(read_models.versions().unwrap().len(), 1);
}
