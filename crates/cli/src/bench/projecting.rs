//! Read models: how fast they are rebuilt, how soon a write is seen, and what waiting costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::{Handle, Projections, TypedProjection, Waited};
use factum_core::{Append, Checkpoint, EventStore, ExpectedRevision, Position, Read, Selector, StreamWrite};
use factum_engine::{Engine, Options};
use factum_sqlite::{SqliteReadModels, execute_bare};

use super::account::{AccountEvent, event, stream};
use super::report::percentiles;
use super::{BenchResult, Report, Row};

/// Events of the log that is projected.
const EVENTS: u64 = 500_000;
/// Rows that they are folded into.
const ACCOUNTS: u64 = 1_000;
/// Appends of which each is waited for, at a thousand a second.
const LIVE_APPENDS: u64 = 5_000;
const LIVE_EVERY: Duration = Duration::from_millis(1);
/// Those who wait for something that does not come, and for how long what they cost is measured.
const WAITERS: usize = 1_000;
const WAIT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

const TABLES: &str = "create table balances (account bigint primary key, amount bigint not null)";
const ADD: &str = "insert into balances (account, amount) values (:account, :amount)
    on conflict (account) do update set amount = balances.amount + excluded.amount";

pub(super) fn run(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(&scratch.join("projecting"), report))
}

fn balances() -> BenchResult<TypedProjection<AccountEvent>> {
    let projection = TypedProjection::new("balances", TABLES, |event: &AccountEvent, _, model| {
        let AccountEvent::Deposited { account, amount, .. } = event;
        let account = i64::try_from(account % ACCOUNTS).unwrap_or_default();
        Ok(model.execute(ADD, &[("account", account.into()), ("amount", (*amount).into())])?)
    })?;
    Ok(projection)
}

async fn measure(dir: &Path, report: &mut Report) -> BenchResult<()> {
    std::fs::create_dir_all(dir)?;
    let engine = Arc::new(Engine::open(dir.join("log"), Options::default())?);
    fill(&engine)?;
    let store: Arc<dyn EventStore> = engine.clone();
    let read_models = Arc::new(SqliteReadModels::open(dir.join("rows"))?);
    let projections = Projections::open(Arc::clone(&store), read_models).await?;
    let handle = rebuild(dir, &store, &projections, report).await?;
    live(&engine, &handle, report).await?;
    waiting(&handle, &store, report).await
}

fn fill(engine: &Engine) -> BenchResult<()> {
    const BATCH: u64 = 1_000;
    for batch in 0..EVENTS / BATCH {
        let writes = (batch * BATCH..(batch + 1) * BATCH).map(|n| {
            Ok(StreamWrite { stream: stream(n)?, expected: ExpectedRevision::Any, events: vec![event(n)?] })
        });
        let writes: BenchResult<Vec<_>> = writes.collect();
        engine.append_blocking(Append { writes: writes?, ..Append::default() })?;
    }
    Ok(())
}

async fn end_of(store: &Arc<dyn EventStore>) -> BenchResult<Checkpoint> {
    Ok(store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone())
}

fn must_be_ready(waited: &Waited) -> BenchResult<()> {
    match waited {
        Waited::Ready { .. } => Ok(()),
        other => Err(format!("the read model did not come so far: {other:?}").into()),
    }
}

async fn rebuild(
    dir: &Path,
    store: &Arc<dyn EventStore>,
    projections: &Projections,
    report: &mut Report,
) -> BenchResult<Handle> {
    let started = Instant::now();
    let mut reader = store.read(Read::forwards(Selector::All)).await?;
    let mut read = 0;
    while let Some(page) = reader.next_page().await? {
        read += page.events.len();
    }
    let reading = started.elapsed();
    let calls: Vec<_> =
        (0..EVENTS as i64).map(|n| (0, vec![(n % ACCOUNTS as i64).into(), (n % 1_000).into()])).collect();
    let started = Instant::now();
    execute_bare(&dir.join("alone.sqlite"), TABLES, &[ADD.to_owned()], &calls)?;
    let writing = started.elapsed();
    let end = end_of(store).await?;
    let started = Instant::now();
    let handle = projections.start(balances()?).await?;
    must_be_ready(&handle.wait(&end, LONG).await?)?;
    let took = started.elapsed();
    let slower = if reading > writing { "reading the log" } else { "SQLite alone, same statements" };
    report.row(&Row {
        what: format!("project: {read} events into {ACCOUNTS} rows of SQLite"),
        value: EVENTS as f64 / took.as_secs_f64(),
        unit: "events/s",
        limit: Some((slower.to_owned(), EVENTS as f64 / reading.max(writing).as_secs_f64())),
        target: "0.7 x",
        latency: None,
    })?;
    Ok(handle)
}

async fn live(engine: &Arc<Engine>, handle: &Handle, report: &mut Report) -> BenchResult<()> {
    let (sender, mut lags) = tokio::sync::mpsc::unbounded_channel();
    let started = Instant::now();
    for n in 0..LIVE_APPENDS {
        let due = started + LIVE_EVERY * u32::try_from(n)?;
        tokio::time::sleep_until(due.into()).await;
        let append = Append::to(stream(n)?, ExpectedRevision::Any, vec![event(n)?]);
        let engine = Arc::clone(engine);
        let appended = tokio::task::spawn_blocking(move || engine.append_blocking(append)).await??;
        let acknowledged = Instant::now();
        let (handle, sender) = (handle.clone(), sender.clone());
        tokio::spawn(async move {
            let waited = handle.wait(&appended.token, LONG).await;
            let seen = matches!(waited, Ok(Waited::Ready { .. }));
            // Who counts has gone only when the measurement failed.
            let _ = sender.send(seen.then(|| acknowledged.elapsed()));
        });
    }
    let rate = LIVE_APPENDS as f64 / started.elapsed().as_secs_f64();
    drop(sender);
    let mut times = Vec::new();
    while let Some(lag) = lags.recv().await {
        times.push(lag.ok_or("a write was not seen")?);
    }
    report.row(&Row {
        what: "live: from acknowledged to visible, at 1,000 appends/s".to_owned(),
        value: rate,
        unit: "appends/s",
        limit: None,
        target: "p99 < 10 ms",
        latency: percentiles(&mut times),
    })
}

/// What 1,000 waiters cost while nothing happens, in milliseconds of the processor a second, beside none at all.
async fn waiting(handle: &Handle, store: &Arc<dyn EventStore>, report: &mut Report) -> BenchResult<()> {
    let idle = processor_time(WAIT).await?;
    let end = end_of(store).await?;
    let beyond = end.at(Position(end.next_position().unwrap_or_default().0 + 1_000_000));
    let waits: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (handle, beyond) = (handle.clone(), beyond.clone());
            tokio::spawn(async move { drop(handle.wait(&beyond, LONG).await) })
        })
        .collect();
    // They must have come to wait before it counts.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let busy = processor_time(WAIT).await?;
    for wait in &waits {
        wait.abort();
    }
    report.row(&Row {
        what: format!("wait: {WAITERS} waiters on one projection, nothing happens"),
        value: busy,
        unit: "ms of CPU/s",
        limit: Some(("nobody waits".to_owned(), idle)),
        target: "no polling",
        latency: None,
    })
}

/// Milliseconds of processor that this process takes in a second of the next so long.
async fn processor_time(during: Duration) -> BenchResult<f64> {
    let before = processor_ticks()?;
    tokio::time::sleep(during).await;
    // A tick is 10 ms on Linux.
    Ok((processor_ticks()? - before) as f64 * 10.0 / during.as_secs_f64())
}

fn processor_ticks() -> BenchResult<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program may hold blanks; after it come state, then ten numbers, then user and system time.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next =
        || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("no times in /proc/self/stat");
    Ok(next()? + next()?)
}
