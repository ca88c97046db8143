//! How fast is the funnel rebuilt, beside the log's own reading and SQLite's own writing?

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::{Model, Projection, Projections, Waited};
use factum_core::read_model::{NamedStatement, Parameters, ReadModelError, Rows, Tables, Value};
use factum_core::{
    Append, EventFilter, EventStore, ExpectedRevision, NewEvent, Read, RecordedEvent, Selector, StreamName,
    StreamWrite, SystemEvents,
};
use factum_engine::{Engine, Options};
use factum_sqlite::{SqliteReadModels, execute_bare};
use loans::funnel;
use serde::Serialize;

/// Events of one append while the log is multiplied.
const EVENTS_PER_APPEND: usize = 2_000;

type BenchResult<T> = Result<T, Box<dyn std::error::Error>>;

/// The figures of one run. Rates are events of the whole log a second: a projection passes over those that are not its own.
#[derive(Serialize)]
pub(crate) struct Figures {
    events: u64,
    applied: u64,
    statements: u64,
    read_per_second: f64,
    sqlite_alone_per_second: f64,
    rebuild_per_second: f64,
    rebuild_seconds: f64,
    /// Against the slower of the two: at most about 1.
    ratio: f64,
    target: f64,
}

/// Multiplies the log in `data` into a scratch directory beside it, and measures there.
pub(crate) async fn bench(data: &Path, times: u32) -> BenchResult<Figures> {
    let scratch = data.with_extension(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    let figures = measure(data, &scratch, times).await;
    std::fs::remove_dir_all(&scratch)?;
    figures
}

async fn measure(data: &Path, scratch: &Path, times: u32) -> BenchResult<Figures> {
    let store: Arc<dyn EventStore> = Arc::new(Engine::open(scratch.join("log"), Options::default())?);
    multiply(data, &*store, times).await?;
    // Once to have it in the page cache, once to measure.
    read(&*store).await?;
    let started = Instant::now();
    let events = read(&*store).await?;
    let reading = started.elapsed();
    let recorded = record(&*store).await?;
    let started = Instant::now();
    let tables = funnel()?.definition().tables().to_owned();
    execute_bare(&scratch.join("alone.sqlite"), &tables, &recorded.statements, &recorded.calls)?;
    let writing = started.elapsed();
    let statements = recorded.calls.len() as u64;
    drop(recorded);
    let rebuild = rebuild(&store, scratch).await?;
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    Ok(Figures {
        events,
        applied: rebuild.1,
        statements,
        read_per_second: rate(reading).round(),
        sqlite_alone_per_second: rate(writing).round(),
        rebuild_per_second: rate(rebuild.0).round(),
        rebuild_seconds: (rebuild.0.as_secs_f64() * 1_000.0).round() / 1_000.0,
        ratio: (rate(rebuild.0) / rate(reading.max(writing)) * 1_000.0).round() / 1_000.0,
        target: 0.7,
    })
}

/// Writes the log so many times over, each copy with streams of its own.
async fn multiply(data: &Path, into: &dyn EventStore, times: u32) -> BenchResult<()> {
    let options = Options { create: factum_engine::Create::Never, ..Options::default() };
    let source = Engine::open(data, options)?;
    for copy in 0..times {
        let filter = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
        let mut reader = EventStore::read(&source, Read::forwards(Selector::All).filter(filter)).await?;
        let mut writes: Vec<StreamWrite> = Vec::new();
        while let Some(page) = reader.next_page().await? {
            for event in &page.events {
                writes.push(again(event, copy)?);
            }
            if writes.len() >= EVENTS_PER_APPEND {
                append(into, std::mem::take(&mut writes)).await?;
            }
        }
        append(into, writes).await?;
    }
    Ok(())
}

fn again(event: &RecordedEvent, copy: u32) -> BenchResult<StreamWrite> {
    let mut new = NewEvent::json(event.event_type().parse()?, event.data_slice().to_vec());
    new.schema_version = event.schema_version();
    new.occurred_at = event.occurred_at();
    let stream = StreamName::new(format!("{}x{copy}", event.stream()))?;
    Ok(StreamWrite { stream, expected: ExpectedRevision::Any, events: vec![new] })
}

/// One append may write to a stream once: the writes to one stream are put together.
async fn append(into: &dyn EventStore, writes: Vec<StreamWrite>) -> BenchResult<()> {
    let mut joined: Vec<StreamWrite> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for write in writes {
        match places.get(&write.stream) {
            Some(&at) => {
                let joined: &mut StreamWrite = &mut joined[at];
                joined.events.extend(write.events);
            }
            None => {
                places.insert(write.stream.clone(), joined.len());
                joined.push(write);
            }
        }
    }
    if !joined.is_empty() {
        into.append(Append { writes: joined, ..Append::default() }).await?;
    }
    Ok(())
}

async fn read(store: &dyn EventStore) -> BenchResult<u64> {
    let mut reader = store.read(Read::forwards(Selector::All)).await?;
    let mut events = 0;
    while let Some(page) = reader.next_page().await? {
        events += page.events.len() as u64;
    }
    Ok(events)
}

async fn rebuild(store: &Arc<dyn EventStore>, scratch: &Path) -> BenchResult<(Duration, u64)> {
    let read_models = Arc::new(SqliteReadModels::open(scratch.join("rows"))?);
    let projections = Projections::open(Arc::clone(store), read_models).await?;
    let end = store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone();
    let started = Instant::now();
    let handle = projections.start(funnel()?).await?;
    match handle.wait_blocking(&end, Duration::from_secs(3_600))? {
        Waited::Ready { .. } => {}
        other => return Err(format!("the rebuild did not come to its end: {other:?}").into()),
    }
    let took = started.elapsed();
    let applied = handle.status().await?.iter().map(|report| report.events).sum();
    Ok((took, applied))
}

/// What the projection has executed, statement by statement.
#[derive(Default)]
struct Recorded {
    statements: Vec<String>,
    names: Vec<Vec<String>>,
    calls: Vec<(usize, Vec<Value<'static>>)>,
}

impl Tables for Recorded {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        let known = self.statements.iter().position(|known| known == statement);
        let index = known.unwrap_or_else(|| {
            self.names.push(NamedStatement::parse(statement).names);
            self.statements.push(statement.to_owned());
            self.statements.len() - 1
        });
        let value = |name: &String| {
            let given = parameters.iter().find(|(given, _)| given == name);
            given.map(|(_, value)| value.clone().into_owned()).unwrap_or_default()
        };
        self.calls.push((index, self.names[index].iter().map(value).collect()));
        Ok(())
    }

    fn query(&mut self, _: &str, _: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        Ok(Rows::default())
    }
}

async fn record(store: &dyn EventStore) -> BenchResult<Recorded> {
    let funnel = funnel()?;
    let mut recorded = Recorded::default();
    let mut changed = factum::ChangedTags::default();
    let mut reader = store.read(Read::forwards(funnel.definition().selector().clone())).await?;
    while let Some(page) = reader.next_page().await? {
        for event in &page.events {
            if let Some(decoded) = funnel.decode(event)? {
                funnel.apply(&decoded, event, &mut Model::new(&mut recorded, &mut changed))?;
            }
        }
    }
    Ok(recorded)
}
