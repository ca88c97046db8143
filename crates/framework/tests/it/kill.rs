//! SIGKILL at any point: rows and progress are one transaction, so the sums are right to the cent.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use factum::{Codec, Event, Projections, TypedProjection, Waited};
use factum_core::read_model::ReadModels;
use factum_core::{EventStore, EventStoreExt, ExpectedRevision, Read, Selector, StreamName};
use factum_engine::{Engine, Options};
use factum_sqlite::SqliteReadModels;
use tempfile::TempDir;

/// Where the child works; without it the child is a test of its own.
const DIR: &str = "FACTUM_KILL_TEST_DIR";
const EVENTS: u64 = 100_000;
const EVENTS_PER_APPEND: u64 = 10;
const KILLS: u64 = 50;

#[derive(Debug, PartialEq, Event)]
enum Movement {
    Moved { account: String, cents: i64 },
}

/// The same movements each time, so that the sum is known without asking what is tested.
fn movement(n: u64) -> Movement {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Movement::Moved { account: format!("{}", mixed % 13), cents: (mixed >> 40) as i64 % 10_000 - 4_000 }
}

fn sums() -> TypedProjection<Movement> {
    TypedProjection::new(
        "sums",
        "create table sums (account text primary key, cents bigint not null, events bigint not null)",
        |Movement::Moved { account, cents }: &Movement, _, model| {
            Ok(model.execute(
                "insert into sums (account, cents, events) values (:account, :cents, 1) on conflict (account)
                 do update set cents = sums.cents + excluded.cents, events = sums.events + 1",
                &[("account", account.into()), ("cents", (*cents).into())],
            )?)
        },
    )
    .unwrap()
}

/// Appends what is missing of `events`, projects all the while, and says how far it is with each append. Gives back the
/// sums of cents and of events in the rows at the end.
async fn live(dir: &Path, events: u64) -> (i64, i64) {
    let store: Arc<dyn EventStore> = Arc::new(Engine::open(dir.join("log"), Options::default()).unwrap());
    let read_models: Arc<dyn ReadModels> = Arc::new(SqliteReadModels::open(dir.join("rows")).unwrap());
    let projections = Projections::open(Arc::clone(&store), read_models).await.unwrap();
    let handle = projections.start(sums()).await.unwrap();
    let codec = Codec::<Movement>::new().unwrap();
    let stream = StreamName::new("movements-1").unwrap();
    let mut next = store.head().await.unwrap().map_or(0, |event| event.position().0 + 1);
    while next < events {
        let count = EVENTS_PER_APPEND.min(events - next);
        let new = (next..next + count).map(|n| codec.encode(&movement(n)).unwrap()).collect();
        store.append_to(stream.clone(), ExpectedRevision::Any, new).await.unwrap();
        next += count;
        println!("appended {next}");
    }
    let token = store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone();
    let waited = handle.wait(&token, Duration::from_secs(120)).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    let (rows, _) = handle.query("select sum(cents), sum(events) from sums", &[]).unwrap();
    let value = |column: usize| rows.rows[0][column].as_integer().unwrap();
    (value(0), value(1))
}

fn expected(events: u64) -> (i64, i64) {
    let cents = (0..events).map(|n| match movement(n) {
        Movement::Moved { cents, .. } => cents,
    });
    (cents.sum(), events as i64)
}

/// On its own a small run to the end; as the child of the test below, the one that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_to_the_end_has_the_right_sums() {
    let here = TempDir::new().unwrap();
    let (dir, events) = match std::env::var_os(DIR) {
        Some(dir) => (dir.into(), EVENTS),
        None => (here.path().to_owned(), 1_005),
    };
    assert_eq!(live(&dir, events).await, expected(events));
}

#[test]
fn fifty_kills_while_events_flow_lose_and_repeat_nothing() {
    let dir = TempDir::new().unwrap();
    let spawn = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill::a_run_to_the_end_has_the_right_sums", "--nocapture"]);
        child.env(DIR, dir.path()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    };
    let mut killed_at = Vec::new();
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
        killed_at.push(at);
    }
    assert_eq!(killed_at.len() as u64, KILLS);
    let last = spawn().wait_with_output().unwrap();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stdout));
    // The child has compared; this process looks once more with its own eyes.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    assert_eq!(runtime.block_on(live(dir.path(), EVENTS)), expected(EVENTS));
}
