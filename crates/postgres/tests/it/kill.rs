//! SIGKILL at any point: rows and progress are one transaction, so the sums are right to the cent.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use factum::Waited;
use factum_core::{EventStore, EventStoreExt};
use factum_postgres::PostgresReadModels;
use factum_testkit::PostgresDatabase;
use tempfile::TempDir;

use crate::flow::{LONG, append, end, expected, log, project, sums, totals};

/// Where the child works; without them the child is a test of its own.
const DIR: &str = "FACTUM_KILL_TEST_DIR";
const URL: &str = "FACTUM_KILL_TEST_URL";
const EVENTS: u64 = 100_000;
const EVENTS_PER_APPEND: u64 = 10;
/// The rows follow the log this closely: so a process that lives for half a second commits many times before it is killed.
const EVENTS_AHEAD: u64 = 500;
const KILLS: u64 = 50;

/// Appends what is missing of `events`, projects all the while, and says how far it is with each append.
async fn live(dir: &Path, url: &str, events: u64) -> (i64, i64) {
    let store: Arc<dyn EventStore> = log(dir);
    let read_models = Arc::new(PostgresReadModels::open(url).unwrap());
    let (_projections, handle) = project(&store, read_models, sums()).await;
    let mut next = store.head().await.unwrap().map_or(0, |event| event.position().0 + 1);
    while next < events {
        let upto = events.min(next + EVENTS_PER_APPEND);
        append(&*store, next, upto, 1).await;
        next = upto;
        println!("appended {next}");
        if next % EVENTS_AHEAD == 0 {
            let waited = handle.wait(&end(&*store).await, LONG).await.unwrap();
            assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
        }
    }
    totals(&*store, &handle).await
}

/// On its own a small run to the end; as the child of the test below, the one that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_to_the_end_has_the_right_sums() {
    if let (Some(dir), Ok(url)) = (std::env::var_os(DIR), std::env::var(URL)) {
        assert_eq!(live(Path::new(&dir), &url, EVENTS).await, expected(EVENTS));
        return;
    }
    let Some(database) = PostgresDatabase::fresh("a_run_to_the_end_has_the_right_sums") else { return };
    let dir = TempDir::new().unwrap();
    assert_eq!(live(dir.path(), database.url(), 1_005).await, expected(1_005));
}

#[test]
fn fifty_kills_while_events_flow_lose_and_repeat_nothing() {
    let Some(database) = PostgresDatabase::fresh("fifty_kills_while_events_flow_lose_and_repeat_nothing")
    else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let spawn = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill::a_run_to_the_end_has_the_right_sums", "--nocapture"]);
        child.env(DIR, dir.path()).env(URL, database.url());
        child.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    };
    let mut applied = Vec::new();
    for kill in 1..=KILLS {
        let mut child = spawn();
        // Evenly spread over the events, and never at the same moment of an append or a commit.
        let until = kill * EVENTS / (KILLS + 1);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut at = 0;
        for line in lines.map_while(Result::ok) {
            at = line.strip_prefix("appended ").and_then(|n| n.parse().ok()).unwrap_or(at);
            if at >= until {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(at >= until && at < EVENTS, "it was killed at {at}, on its way");
        // Rows and progress fit each other right after the kill, and not only at the end.
        let torn =
            "SELECT p.events - coalesce((SELECT sum(events) FROM sums.sums), 0) FROM factum.partitions p";
        assert_eq!(database.sql(torn), "0", "after kill {kill}");
        applied.push(database.sql("SELECT events FROM factum.partitions").parse::<u64>().unwrap());
    }
    applied.dedup();
    assert!(applied.len() as u64 > KILLS - 5, "events were applied between the kills: {applied:?}");
    let last = spawn().wait_with_output().unwrap();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stdout));
    let sums = database.sql("SELECT sum(cents), sum(events) FROM sums.sums");
    let (cents, events) = expected(EVENTS);
    assert_eq!(sums, format!("{cents}|{events}"));
}
