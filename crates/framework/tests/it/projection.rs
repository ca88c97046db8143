//! Projections over a log in memory, into SQLite: every rule of the read side.

mod aside;
mod faults;
mod forgetting;
mod outside;
mod runs;
mod ryw;
mod why;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use factum::{
    ApplyError, CommandMetadata, Event, Handle, Projections, StatusReport, TypedProjection, Waited,
};
use factum_core::read_model::{ReadModels, Value};
use factum_core::{Checkpoint, EventStore, EventStoreExt, ExpectedRevision, MemoryStore, StreamName};
use factum_sqlite::SqliteReadModels;
use tempfile::TempDir;

/// Long enough for a slow machine; nothing waits for it to pass.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Event)]
enum Till {
    /// Money came in.
    Paid {
        #[event(tag = "till")]
        till: String,
        cents: i64,
    },
    /// An amount that no balance can take.
    Garbled { till: String },
}

#[derive(Debug, PartialEq, Event)]
enum Weather {
    Rained { millimetres: i64 },
}

const TABLES: &str =
    "create table balances (till text primary key, cents bigint not null, payments bigint not null)";
const ADD: &str = "insert into balances (till, cents, payments) values (:till, :cents, 1)
    on conflict (till) do update set cents = balances.cents + excluded.cents, payments = balances.payments + 1";

/// Balances by till; a garbled event is refused as long as `good` is 0.
fn balances_with(good: &Arc<AtomicU64>) -> TypedProjection<Till> {
    let good = Arc::clone(good);
    TypedProjection::new("balances", TABLES, move |event: &Till, _, model| match event {
        Till::Paid { till, cents } => {
            model.execute(ADD, &[("till", till.into()), ("cents", (*cents).into())])?;
            model.changed(format!("till:{till}"));
            Ok(())
        }
        Till::Garbled { .. } if good.load(Ordering::SeqCst) == 0 => {
            Err(ApplyError::Refused("this amount cannot be read".to_owned()))
        }
        Till::Garbled { till } => Ok(model.execute(ADD, &[("till", till.into()), ("cents", 0_i64.into())])?),
    })
    .unwrap()
}

fn balances() -> TypedProjection<Till> {
    balances_with(&Arc::default())
}

/// A log, a directory for read models, and what runs over them.
struct World {
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    projections: Projections,
    dir: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    async fn over(store: Arc<dyn EventStore>) -> Self {
        let dir = TempDir::new().unwrap();
        let read_models = open(&dir);
        let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
        Self { store, read_models, projections, dir }
    }

    /// As after a restart of the process: everything ends, and is opened again.
    async fn restart(self) -> Self {
        let Self { store, read_models, projections, dir } = self;
        drop(projections);
        drop(read_models);
        let read_models = open(&dir);
        let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
        Self { store, read_models, projections, dir }
    }

    async fn append<E: Event>(&self, stream: &str, events: &[E]) -> Checkpoint {
        let codec = factum::Codec::<E>::new().unwrap();
        let metadata = CommandMetadata::new().actor("ada").correlation("shift-1").to_json();
        let new =
            events.iter().map(|event| codec.encode(event).unwrap().with_metadata(metadata.clone())).collect();
        let stream = StreamName::new(stream).unwrap();
        self.store.append_to(stream, ExpectedRevision::Any, new).await.unwrap().token
    }

    async fn pay(&self, till: &str, cents: i64) -> Checkpoint {
        self.append(&format!("till-{till}"), &[Till::Paid { till: till.to_owned(), cents }]).await
    }

    async fn garble(&self, till: &str) -> Checkpoint {
        self.append(&format!("till-{till}"), &[Till::Garbled { till: till.to_owned() }]).await
    }

    async fn rain(&self, times: usize) -> Checkpoint {
        let rain: Vec<_> = (0..times).map(|_| Weather::Rained { millimetres: 1 }).collect();
        self.append("weather-1", &rain).await
    }
}

fn open(dir: &TempDir) -> Arc<dyn ReadModels> {
    Arc::new(SqliteReadModels::open(dir.path()).unwrap())
}

async fn ready(handle: &Handle, token: &Checkpoint) {
    let waited = handle.wait(token, LONG).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
}

/// Each till with its cents and payments, as they are served.
fn rows(handle: &Handle) -> Vec<(String, i64, i64)> {
    let (rows, _) = handle.query("select till, cents, payments from balances order by till", &[]).unwrap();
    let row = |row: Vec<Value<'static>>| match &row[..] {
        [Value::Text(till), Value::Integer(cents), Value::Integer(payments)] => {
            (till.to_string(), *cents, *payments)
        }
        other => panic!("{other:?}"),
    };
    rows.rows.into_iter().map(row).collect()
}

fn row(till: &str, cents: i64, payments: i64) -> (String, i64, i64) {
    (till.to_owned(), cents, payments)
}

async fn status(handle: &Handle) -> StatusReport {
    handle.status().await.unwrap().remove(0)
}

/// Lets others run until the status is as wanted.
async fn until(handle: &Handle, wanted: impl Fn(&[StatusReport]) -> bool) {
    loop {
        if wanted(&handle.status().await.unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
