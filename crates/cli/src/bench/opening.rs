//! Opening a large store after its process was killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use factum_core::{Append, ExpectedRevision, StreamName};
use factum_engine::{Engine, Options};
use serde_json::{Value, json};

use super::account::event;
use super::{BenchResult, Report, Row};

/// Events that the process has appended when it is killed.
const BEFORE_KILL: usize = 2_000;

pub(super) fn run(large: &Path, report: &mut Report) -> BenchResult<()> {
    let program = std::env::current_exe()?;
    let mut writer =
        Command::new(&program).args(["bench", "--child-append"]).arg(large).stdout(Stdio::piped()).spawn()?;
    let said = writer.stdout.take().ok_or("the child's output is not to be had")?;
    for line in BufReader::new(said).lines().take(BEFORE_KILL) {
        line?;
    }
    // SIGKILL, in the middle of appending.
    writer.kill()?;
    writer.wait()?;
    let opened = Command::new(&program).args(["bench", "--child-open"]).arg(large).output()?;
    let figures: Value = serde_json::from_slice(&opened.stdout)
        .map_err(|_| format!("the opening child failed: {}", String::from_utf8_lossy(&opened.stderr)))?;
    let number = |key: &str| figures[key].as_f64().unwrap_or(f64::NAN);
    let what = format!("{} events after kill -9", number("events"));
    report.row(&Row {
        what: format!("open: {what}"),
        value: number("ms"),
        unit: "ms",
        limit: None,
        target: "< 1 s",
        latency: None,
    })?;
    report.row(&Row {
        what: format!("open: resident memory, {what}"),
        value: number("rssMb"),
        unit: "MB",
        limit: None,
        target: "< 400 MB",
        latency: None,
    })
}

/// Appends with so many writers until it is killed. Each says `stream revision` of an event once it is acknowledged.
pub(super) fn child_append(dir: &Path, writers: u64) -> BenchResult<()> {
    let engine = Engine::open(dir, Options::default())?;
    std::thread::scope(|scope| {
        let engine = &engine;
        let threads: Vec<_> =
            (0..writers).map(|writer| scope.spawn(move || append_for_ever(engine, writer))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a writer panicked".into())))
    })
}

fn append_for_ever(engine: &Engine, writer: u64) -> BenchResult<()> {
    let name = StreamName::new(format!("writer-{writer}"))?;
    for n in 0.. {
        let appended =
            engine.append_blocking(Append::to(name.clone(), ExpectedRevision::Any, vec![event(n)?]))?;
        let last = appended.streams.first().and_then(|stream| stream.last).unwrap_or_default();
        // One write: a line is never cut in two by the line of another writer.
        writeln!(std::io::stdout().lock(), "{name} {last}")?;
    }
    Ok(())
}

/// Opens the store and says how long it took and how much memory it takes.
pub(super) fn child_open(dir: &Path) -> BenchResult<()> {
    let start = Instant::now();
    let engine = Engine::open(dir, Options::default())?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    println!("{}", json!({ "ms": ms, "rssMb": kib / 1024.0, "events": engine.info().end.0 }));
    Ok(())
}
