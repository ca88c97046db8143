//! Appends to a small store: one client, many clients, batches.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum_core::{Append, EventStore, ExpectedRevision, Revision};
use factum_engine::{Engine, Options};

use super::account::{EVENT_BYTES, event, stream};
use super::limits::{RECORD_OVERHEAD, RawLoop};
use super::report::percentiles;
use super::{BenchResult, Report, Row};

/// Rounds in which limit and store take turns, so that both see the disk in the same moods.
const ROUNDS: usize = 6;
const RECORD_BYTES: usize = EVENT_BYTES + RECORD_OVERHEAD;

pub(super) fn run(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    one_client(scratch, report)?;
    many_clients(scratch, report)?;
    for clients in [1, 4] {
        batches(scratch, report, clients)?;
    }
    Ok(())
}

fn rate(count: usize, times: &[Duration]) -> f64 {
    count as f64 / times.iter().sum::<Duration>().as_secs_f64()
}

fn one_client(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    const APPENDS: usize = 1_000;
    let engine = Engine::open(scratch.join("one"), Options::default())?;
    let mut raw = RawLoop::new(scratch, RECORD_BYTES, APPENDS * ROUNDS)?;
    let (mut raw_times, mut times) = (Vec::new(), Vec::new());
    let name = stream(1)?;
    let mut expected = ExpectedRevision::NoStream;
    for _ in 0..ROUNDS {
        raw_times.extend(raw.run(APPENDS)?);
        for n in 0..APPENDS as u64 {
            let event = event(n)?;
            let start = Instant::now();
            let appended = engine.append_blocking(Append::to(name.clone(), expected, vec![event]))?;
            times.push(start.elapsed());
            let last = appended.streams.first().and_then(|stream| stream.last).unwrap_or(Revision::START);
            expected = ExpectedRevision::Exact(last);
        }
    }
    let total = APPENDS * ROUNDS;
    report.row(&Row {
        what: "append: 1 client, 1 event, expected revision".to_owned(),
        value: rate(total, &times),
        unit: "events/s",
        limit: Some(("write + fdatasync of each record".to_owned(), rate(total, &raw_times))),
        target: "0.85 x",
        latency: percentiles(&mut times),
    })
}

fn many_clients(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    const CLIENTS: usize = 64;
    const APPENDS: usize = 150;
    let engine = Arc::new(Engine::open(scratch.join("many"), Options::default())?);
    let mut raw = RawLoop::new(scratch, RECORD_BYTES * CLIENTS, APPENDS * ROUNDS)?;
    let (mut raw_times, mut times) = (Vec::new(), Vec::new());
    let mut wall = Duration::ZERO;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for round in 0..ROUNDS {
        raw_times.extend(raw.run(APPENDS)?);
        // Events are made before the clock starts: what is measured is the store.
        let work = (0..CLIENTS as u64).map(|client| {
            let appends = (0..APPENDS).map(|n| {
                let event = event((round * APPENDS + n) as u64)?;
                Ok(Append::to(stream(client)?, ExpectedRevision::Any, vec![event]))
            });
            appends.collect::<BenchResult<Vec<_>>>()
        });
        let work = work.collect::<BenchResult<Vec<_>>>()?;
        let start = Instant::now();
        let clients: Vec<_> = work
            .into_iter()
            .map(|appends| {
                let engine = Arc::clone(&engine);
                runtime.spawn(async move {
                    let mut times = Vec::with_capacity(APPENDS);
                    for append in appends {
                        let start = Instant::now();
                        engine.append(append).await?;
                        times.push(start.elapsed());
                    }
                    BenchResult::Ok(times)
                })
            })
            .collect();
        for client in clients {
            times.extend(runtime.block_on(client)??);
        }
        wall += start.elapsed();
    }
    let total = CLIENTS * APPENDS * ROUNDS;
    report.row(&Row {
        what: format!("append: {CLIENTS} clients, 1 event each"),
        value: total as f64 / wall.as_secs_f64(),
        unit: "events/s",
        limit: Some((format!("write + fdatasync of {CLIENTS} records"), rate(total, &raw_times))),
        target: "0.7 x",
        latency: percentiles(&mut times),
    })
}

fn batches(scratch: &Path, report: &mut Report, clients: usize) -> BenchResult<()> {
    const EVENTS: usize = 1_000;
    const BATCHES: usize = 80;
    let engine = Engine::open(scratch.join(format!("batches-{clients}")), Options::default())?;
    let piece = EVENTS * (RECORD_BYTES - 48) + 48;
    let mut raw = RawLoop::new(scratch, piece, BATCHES * ROUNDS)?;
    let (mut raw_times, mut times) = (Vec::new(), Vec::new());
    let mut wall = Duration::ZERO;
    for round in 0..ROUNDS {
        raw_times.extend(raw.run(BATCHES)?);
        // Events are made before the clock starts: what is measured is the store.
        let mut work = Vec::new();
        for client in 0..clients {
            let batches = (0..BATCHES / clients).map(|_| {
                let events: BenchResult<Vec<_>> = (0..EVENTS as u64).map(event).collect();
                Ok(Append::to(stream((round * clients + client) as u64)?, ExpectedRevision::Any, events?))
            });
            work.push(batches.collect::<BenchResult<Vec<_>>>()?);
        }
        let start = Instant::now();
        let done: Vec<BenchResult<Vec<Duration>>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                work.into_iter().map(|batches| scope.spawn(|| append_all(&engine, batches))).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err("a client panicked".into())))
                .collect()
        });
        wall += start.elapsed();
        for client in done {
            times.extend(client?);
        }
    }
    let total = EVENTS * (BATCHES / clients) * clients * ROUNDS;
    report.row(&Row {
        what: format!("append: batches of {EVENTS}, {clients} client(s)"),
        value: total as f64 / wall.as_secs_f64(),
        unit: "events/s",
        limit: Some((
            format!("write + fdatasync of {piece} bytes"),
            rate(EVENTS * BATCHES * ROUNDS, &raw_times),
        )),
        target: "0.6 x, 1 M events/s",
        latency: percentiles(&mut times),
    })
}

fn append_all(engine: &Engine, batches: Vec<Append>) -> BenchResult<Vec<Duration>> {
    let mut times = Vec::with_capacity(batches.len());
    for batch in batches {
        let start = Instant::now();
        engine.append_blocking(batch)?;
        times.push(start.elapsed());
    }
    Ok(times)
}
