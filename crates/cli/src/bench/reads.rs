//! Reads, decisions and conditional appends over a large store.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::{Codec, Decider, Executor, RetryPolicy, Snapshots};
use factum_core::{
    Append, AppendCondition, EventReader, EventStore, EventType, ExpectedRevision, Page, Position, Query,
    QueryItem, Read, Selector, StreamWrite,
};
use factum_engine::{Engine, Options};

use super::account::{Account, AccountEvent, EVENT_BYTES, event, stream, tag};
use super::limits::{RECORD_OVERHEAD, memory_copy};
use super::report::percentiles;
use super::{BenchResult, Report, Row};

const BATCH: u64 = 1_000;
/// Events of the aggregate that is loaded.
const AGGREGATE_EVENTS: u64 = 10_000;
/// Name of the aggregate that is loaded.
const AGGREGATE: u64 = u64::MAX;

pub(super) fn run(large: &Path, (events, streams): (u64, u64), report: &mut Report) -> BenchResult<()> {
    let engine = Engine::open(large, Options::default())?;
    fill(&engine, events, streams, report)?;
    conditional_appends(&engine, streams, report)?;
    scans(&engine, report)?;
    aggregates(&engine, report)?;
    points(&engine, streams, report)?;
    engine.close();
    Ok(())
}

/// The next number of a sequence that looks like chance and is the same in every run.
fn shuffle(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn fill(engine: &Engine, events: u64, streams: u64, report: &mut Report) -> BenchResult<()> {
    let have = engine.info().end.0;
    let start = Instant::now();
    let mut n = have;
    while n < events {
        let writes = (n..(n + BATCH).min(events)).map(|n| {
            let account = if n < streams { n } else { shuffle(n) % streams };
            Ok(StreamWrite {
                stream: stream(account)?,
                expected: ExpectedRevision::Any,
                events: vec![event(n)?.with_tag(tag(account)?)],
            })
        });
        let writes: BenchResult<Vec<_>> = writes.collect();
        engine.append_blocking(Append { writes: writes?, ..Append::default() })?;
        n += BATCH;
    }
    if have < events {
        report.row(&Row {
            what: format!("fill: 1,000 streams an append, up to {events} events"),
            value: (events - have) as f64 / start.elapsed().as_secs_f64(),
            unit: "events/s",
            limit: None,
            target: "",
            latency: None,
        })?;
    }
    Ok(())
}

fn conditional_appends(engine: &Engine, streams: u64, report: &mut Report) -> BenchResult<()> {
    const ROUNDS: u64 = 6;
    const APPENDS: u64 = 300;
    let (mut plain, mut conditional) = (Vec::new(), Vec::new());
    let mut n = 0;
    for _ in 0..ROUNDS {
        for with_condition in [false, true] {
            for _ in 0..APPENDS {
                n += 1;
                let account = shuffle(n) % streams;
                let after = engine.info().end.0.checked_sub(1).map(Position);
                let events = vec![event(n)?.with_tag(tag(account)?)];
                let mut append = Append::to(stream(account)?, ExpectedRevision::Any, events);
                if with_condition {
                    let item = QueryItem::types([EventType::new("Deposited")?]).and_tags([tag(account)?]);
                    append = append
                        .on_condition(AppendCondition::FailIfEventsMatch { query: Query::item(item), after });
                }
                let start = Instant::now();
                engine.append_blocking(append)?;
                if with_condition { &mut conditional } else { &mut plain }.push(start.elapsed());
            }
        }
    }
    let rate = |times: &[Duration]| times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    report.row(&Row {
        what: "append: condition over (type, tag)".to_owned(),
        value: rate(&conditional),
        unit: "events/s",
        limit: Some(("the same append without".to_owned(), rate(&plain))),
        target: "0.8 x",
        latency: percentiles(&mut conditional),
    })
}

/// Pages of a read, on this thread. The engine's pages are ready at once.
fn pages(engine: &Engine, read: Read, mut each: impl FnMut(Page) -> BenchResult<()>) -> BenchResult<()> {
    let mut reader = engine.read_blocking(read)?;
    while let Some(page) = ready(&mut *reader)? {
        each(page)?;
    }
    Ok(())
}

fn ready(reader: &mut dyn EventReader) -> BenchResult<Option<Page>> {
    let mut next = reader.next_page();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match next.as_mut().poll(&mut context) {
        std::task::Poll::Ready(page) => Ok(page?),
        std::task::Poll::Pending => Err("the engine's pages are ready at once".into()),
    }
}

fn scans(engine: &Engine, report: &mut Report) -> BenchResult<()> {
    let scan = |decode: bool| -> BenchResult<(f64, i64)> {
        let codec = Codec::<AccountEvent>::new()?;
        let mut state = Account.initial_state();
        let mut events = 0u64;
        let start = Instant::now();
        pages(engine, Read::forwards(Selector::All), |page| {
            events += page.events.len() as u64;
            for event in page.events.iter().filter(|event| decode && event.event_type() == "Deposited") {
                Account.evolve(&mut state, &codec.decode(event)?);
            }
            Ok(())
        })?;
        Ok((events as f64 / start.elapsed().as_secs_f64(), state.amount))
    };
    // Once before, so that both are warm.
    scan(false)?;
    let (read, _) = scan(false)?;
    let (fold, sum) = scan(true)?;
    std::hint::black_box(sum);
    let copy = memory_copy(EVENT_BYTES + RECORD_OVERHEAD);
    report.row(&Row {
        what: "read: whole log forwards, warm".to_owned(),
        value: read,
        unit: "events/s",
        limit: Some(("a copy in memory".to_owned(), copy)),
        target: "5 M events/s",
        latency: None,
    })?;
    report.row(&Row {
        what: "fold: whole log, typed, one core".to_owned(),
        value: fold,
        unit: "events/s",
        limit: Some(("the read alone".to_owned(), read)),
        target: "1.5 M events/s",
        latency: None,
    })
}

fn aggregates(engine: &Engine, report: &mut Report) -> BenchResult<()> {
    const LOADS: usize = 50;
    let name = stream(AGGREGATE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store: Arc<dyn EventStore> = Arc::new(engine.clone());
    let exists = engine.read_blocking(Read::stream(name.clone())).is_ok();
    if !exists {
        for from in (0..AGGREGATE_EVENTS - 1).step_by(111) {
            let events: BenchResult<Vec<_>> =
                (from..(from + 111).min(AGGREGATE_EVENTS - 1)).map(event).collect();
            engine.append_blocking(Append::to(name.clone(), ExpectedRevision::Any, events?))?;
        }
    }
    let executor = Executor::new(Arc::clone(&store), Account, RetryPolicy::attempts(3));
    let with_snapshots =
        Executor::new(store, Account, RetryPolicy::attempts(3)).with_snapshots(Snapshots::every(100));
    runtime
        .block_on(with_snapshots.execute(&name, &1, &factum::CommandMetadata::default()))
        .map_err(|e| format!("{e:?}"))?;
    for (what, executor, target) in
        [("by replay", &executor, "< 8 ms"), ("from a snapshot", &with_snapshots, "< 0.3 ms")]
    {
        let mut times = Vec::with_capacity(LOADS);
        for _ in 0..LOADS {
            let start = Instant::now();
            let loaded = runtime.block_on(executor.load(&name))?;
            times.push(start.elapsed());
            if loaded.state.events < AGGREGATE_EVENTS {
                return Err(
                    format!("{} of {AGGREGATE_EVENTS} events were folded", loaded.state.events).into()
                );
            }
        }
        let latency = percentiles(&mut times);
        report.row(&Row {
            what: format!("load: one aggregate of {AGGREGATE_EVENTS} events, {what}"),
            value: latency.map_or(0.0, |(p50, _)| p50.as_secs_f64() * 1e3),
            unit: "ms",
            limit: None,
            target,
            latency,
        })?;
    }
    Ok(())
}

fn points(engine: &Engine, streams: u64, report: &mut Report) -> BenchResult<()> {
    const READS: u64 = 5_000;
    let by_tag = |n: u64| -> BenchResult<Selector> { Ok(Selector::tag(tag(n)?)) };
    let by_stream = |n: u64| -> BenchResult<Selector> { Ok(Selector::Stream(stream(n)?)) };
    type Kind<'a> = (&'a str, &'a dyn Fn(u64) -> BenchResult<Selector>);
    let kinds: [Kind<'_>; 2] = [("tag", &by_tag), ("stream", &by_stream)];
    for (what, selector) in kinds {
        let mut times = Vec::with_capacity(READS as usize);
        // The first round only warms the pages that the second one reads.
        for round in 0..2 {
            times.clear();
            for n in 0..READS {
                let selector = selector(shuffle(n) % streams)?;
                let start = Instant::now();
                let mut found = 0;
                pages(engine, Read::forwards(selector).limit(10), |page| {
                    found += page.events.len();
                    Ok(())
                })?;
                times.push(start.elapsed());
                if found == 0 && round == 0 {
                    return Err("a stream that was filled has no events".into());
                }
            }
        }
        let latency = percentiles(&mut times);
        report.row(&Row {
            what: format!("read: 10 events by {what}, warm"),
            value: latency.map_or(0.0, |(_, p99)| p99.as_secs_f64() * 1e6),
            unit: "us (p99)",
            limit: None,
            target: "< 100 us",
            latency,
        })?;
    }
    Ok(())
}
