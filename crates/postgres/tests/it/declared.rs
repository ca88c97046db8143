//! Do projections that are declared as text run on PostgreSQL, are they checked before, and can a row be explained?

use std::sync::Arc;

use factum::{DeclarationCheckError, DeclaredProjection, Projections, RowQuestion, explain};
use factum_core::read_model::{ReadModels, Role};
use factum_core::{EventStore, Timestamp};
use factum_postgres::PostgresReadModels;
use factum_testkit::PostgresDatabase;
use tempfile::TempDir;

use crate::flow::{append, end, expected, log, totals};

fn declared(run: &str) -> DeclaredProjection {
    let text = format!(
        r#"
name = "sums"
tables = """create table sums (account text primary key, cents numeric not null, events bigint not null,
    latest timestamptz not null, data jsonb)"""

[on.Moved]
run = """{run}"""
"#
    );
    DeclaredProjection::parse(&text).unwrap()
}

const RUN: &str = "insert into sums (account, cents, events, latest, data)
    values (:data.account, :data.cents, 1, :recorded_at, :json) on conflict (account) do update
    set cents = sums.cents + excluded.cents, events = sums.events + 1, latest = excluded.latest";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_runs_and_its_rows_can_be_explained() {
    let Some(database) = PostgresDatabase::fresh("a_declaration_runs_and_its_rows_can_be_explained") else {
        return;
    };
    const EVENTS: u64 = 500;
    let dir = TempDir::new().unwrap();
    let store: Arc<dyn EventStore> = log(dir.path());
    append(&*store, 0, EVENTS, 3).await;
    let read_models: Arc<dyn ReadModels> = Arc::new(PostgresReadModels::open(database.url()).unwrap());
    declared(RUN).check(&*read_models, &end(&*store).await, Timestamp(0)).unwrap();
    assert_eq!(read_models.versions().unwrap(), []);
    let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
    let handle = projections.start(declared(RUN)).await.unwrap();
    assert_eq!(totals(&*store, &handle).await, expected(EVENTS));

    let serving = read_models.versions().unwrap().into_iter().find(|one| one.role == Role::Serving).unwrap();
    let question = RowQuestion { table: None, key: vec!["7".to_owned()], column: Some("cents".to_owned()) };
    let history = explain(&*store, &read_models, &declared(RUN), serving.number, &question).await.unwrap();
    let events: u64 = database.sql("SELECT events FROM sums.sums WHERE account = '7'").parse().unwrap();
    assert!(events > 10);
    assert_eq!(history.changes.len() as u64, events, "{history:?}");
}

#[tokio::test]
async fn a_declaration_that_the_server_does_not_take_is_refused_before_anything_is_written() {
    let test = "a_declaration_that_the_server_does_not_take_is_refused_before_anything_is_written";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    let dir = TempDir::new().unwrap();
    let store = log(dir.path());
    let origin = end(&*store).await;
    let read_models = PostgresReadModels::open(database.url()).unwrap();
    for (run, said) in [
        ("insert into nowhere values (:data.account)", "nowhere"),
        ("insert into sums (acount) values (:data.account)", "acount"),
        ("insert into sums values (:data.account", "syntax error"),
        ("update factum.partitions set events = 0", "Factum's own"),
    ] {
        let refused = declared(run).check(&read_models, &origin, Timestamp(0)).unwrap_err();
        let text = format!("{refused}: {:?}", std::error::Error::source(&refused).map(ToString::to_string));
        assert!(matches!(refused, DeclarationCheckError::Statement { .. }), "{text}");
        assert!(text.contains(said) && text.contains(run), "{text}");
    }
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sums%' OR nspname LIKE 'factum\\_%'";
    assert_eq!(database.sql(left), "0");
}
