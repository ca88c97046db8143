//! Opening a large store after its process was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use factum_core::{Append, ExpectedRevision};
use factum_engine::{Engine, Options};
use serde_json::{Value, json};

use super::account::{event, stream};
use super::{BenchResult, Report, Row};

/// Events that the process has appended when it is killed.
const BEFORE_KILL: u64 = 2_000;

pub(super) fn run(large: &Path, report: &mut Report) -> BenchResult<()> {
    let program = std::env::current_exe()?;
    let mut writer =
        Command::new(&program).args(["bench", "--child-append"]).arg(large).stdout(Stdio::piped()).spawn()?;
    let said = writer.stdout.take().ok_or("the child's output is not to be had")?;
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
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

/// Appends until it is killed, and says when it is well under way.
pub(super) fn child_append(dir: &Path) -> BenchResult<()> {
    let engine = Engine::open(dir, Options::default())?;
    for n in 0.. {
        engine.append_blocking(Append::to(stream(n % 100)?, ExpectedRevision::Any, vec![event(n)?]))?;
        if n == BEFORE_KILL {
            println!("under way");
        }
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
