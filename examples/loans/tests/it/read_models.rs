//! The read models over the whole real log, row by row against a direct computation over the file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factum::{Handle, Projections, Waited};
use factum_cli::import_xes;
use factum_core::read_model::ReadModels;
use factum_core::{Checkpoint, EventStore, Read, Selector};
use factum_engine::{Engine, Options};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use factum_testkit::PostgresDatabase;
use loans::{decision_times, funnel, workload};

use crate::direct::{Book, Rows};
use crate::real_log::log;
use crate::vault::{options, sealing};

const THREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/three.xes");

/// How long a projection may take for the whole log on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The end of the log, as a token.
async fn end(store: &Arc<dyn EventStore>) -> Checkpoint {
    store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone()
}

/// The rows that a projection makes of the log, in the order of the first two columns.
async fn rows_of(handle: &Handle, token: &Checkpoint) -> Rows {
    let waited = handle.wait(token, PATIENCE).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    let statement = format!("select * from {} order by 1, 2", handle.name());
    let (rows, progress) = handle.query(&statement, &[]).unwrap();
    assert!(progress.applied.next_position() >= token.next_position());
    // What the vault calls an employee is in no file.
    let told = rows.columns.iter().filter(|column| *column != "subject").count();
    rows.rows.iter().map(|row| row.iter().take(told).map(ToString::to_string).collect()).collect()
}

/// Imports the log, projects it, and compares every row of all three read models.
async fn compare(log: &Path, read_models: Arc<dyn ReadModels>) -> [usize; 3] {
    let data = tempfile::tempdir().unwrap();
    let engine: Arc<dyn EventStore> = Arc::new(Engine::open(data.path(), Options::default()).unwrap());
    let store: Arc<dyn EventStore> = Arc::new(sealing(engine, data.path()).await);
    import_xes(&*store, File::open(log).unwrap(), &options(), &mut |_| {}).await.unwrap();
    let book = Book::read(log);
    let token = end(&store).await;
    let projections = Projections::open(store, read_models).await.unwrap();
    // All three follow the log at the same time.
    let funnel = projections.start(funnel().unwrap()).await.unwrap();
    let decision_times = projections.start(decision_times().unwrap()).await.unwrap();
    let workload = projections.start(workload().unwrap()).await.unwrap();
    let direct = [book.funnel(), book.decision_times(), book.workload()];
    for (handle, direct) in [funnel, decision_times, workload].iter().zip(&direct) {
        let projected = rows_of(handle, &token).await;
        for (projected, direct) in projected.iter().zip(direct) {
            assert_eq!(projected, direct, "{}", handle.name());
        }
        assert_eq!(projected.len(), direct.len(), "{}", handle.name());
    }
    direct.map(|rows| rows.len())
}

fn sqlite(directory: &tempfile::TempDir) -> Arc<dyn ReadModels> {
    Arc::new(SqliteReadModels::open(directory.path()).unwrap())
}

#[tokio::test]
async fn three_applications_come_to_what_the_file_says() {
    let directory = tempfile::tempdir().unwrap();
    let [weeks, applications, _] = compare(Path::new(THREE), sqlite(&directory)).await;
    assert_eq!((weeks, applications), (2, 3));
}

#[tokio::test]
async fn three_applications_come_to_what_the_file_says_in_postgres() {
    let test = "three_applications_come_to_what_the_file_says_in_postgres";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    let read_models = Arc::new(PostgresReadModels::open(database.url()).unwrap());
    let [weeks, applications, _] = compare(Path::new(THREE), read_models).await;
    assert_eq!((weeks, applications), (2, 3));
}

#[tokio::test]
async fn the_real_log_comes_to_what_the_file_says() {
    let Some(log) = log() else {
        let why =
            "../shared/data/bpic2012.xes.gz is not there: the real loan log is not part of the repository";
        return factum_testkit::skip("the_real_log_comes_to_what_the_file_says", why);
    };
    let directory = tempfile::tempdir().unwrap();
    let [weeks, applications, employees] = compare(&log, sqlite(&directory)).await;
    assert_eq!((weeks, applications), (23, 13_087));
    assert!(employees > 500, "{employees}");
}
