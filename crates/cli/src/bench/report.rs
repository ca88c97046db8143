//! The figures of a measurement: percentiles, ratios, hardware.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{BenchResult, account};
use crate::output::{Out, RecordSink, record};

/// One figure beside its limit.
pub(super) struct Row {
    pub(super) what: String,
    /// What was reached, in `unit`.
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// What the limit reached in the same run, in the same unit.
    pub(super) limit: Option<(String, f64)>,
    /// The figure that is aimed at.
    pub(super) target: &'static str,
    /// Median and 99th percentile of one operation.
    pub(super) latency: Option<(Duration, Duration)>,
}

/// Where figures go.
pub(super) struct Report {
    sink: RecordSink,
    dir: PathBuf,
}

impl Report {
    pub(super) fn new(out: &Out, dir: &Path) -> Self {
        let columns = ["what", "value", "unit", "limit", "limitValue", "ratio", "target", "p50us", "p99us"];
        Self { sink: out.many(&columns), dir: dir.to_owned() }
    }

    /// Says on what machine the figures were measured.
    pub(super) fn header(&mut self, say: impl Fn(&str)) -> BenchResult<()> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        say(&format!("cpu      {}, {cores} cores", model.trim_start_matches([' ', '\t', ':'])));
        say(&format!("disk     {}", file_system(&self.dir)));
        say("sync     fdatasync before every acknowledgement");
        say(&format!("events   {} bytes of JSON each", account::EVENT_BYTES));
        say(&format!("build    {} {}", env!("CARGO_PKG_VERSION"), profile()));
        Ok(())
    }

    pub(super) fn row(&mut self, row: &Row) -> BenchResult<()> {
        let rounded =
            |number: f64| if number >= 100.0 { number.round() } else { (number * 1e3).round() / 1e3 };
        let (limit, limit_value) = match &row.limit {
            Some((name, value)) => (json!(name), json!(rounded(*value))),
            None => (Value::Null, Value::Null),
        };
        let ratio = row.limit.as_ref().map_or(Value::Null, |(_, limit)| json!(rounded(row.value / limit)));
        let micros = |time: Duration| json!((time.as_secs_f64() * 1e7).round() / 10.0);
        let row = record([
            ("what", row.what.as_str().into()),
            ("value", json!(rounded(row.value))),
            ("unit", row.unit.into()),
            ("limit", limit),
            ("limitValue", limit_value),
            ("ratio", ratio),
            ("target", row.target.into()),
            ("p50us", row.latency.map_or(Value::Null, |(p50, _)| micros(p50))),
            ("p99us", row.latency.map_or(Value::Null, |(_, p99)| micros(p99))),
        ]);
        self.sink.push(&row).map_err(|failure| failure.to_string().into())
    }

    pub(super) fn finish(self) -> BenchResult<()> {
        self.sink.finish().map_err(|failure| failure.to_string().into())
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "(debug build: these figures mean nothing)" } else { "(release build)" }
}

/// Device and type of the file system that `dir` is on.
fn file_system(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        })
        .filter(|(_, at, _)| dir.starts_with(at))
        .max_by_key(|(_, at, _)| at.len());
    mount.map_or_else(
        || "unknown".to_owned(),
        |(device, at, kind)| format!("{kind} on {device}, mounted at {at}"),
    )
}

/// Median and 99th percentile.
pub(super) fn percentiles(times: &mut [Duration]) -> Option<(Duration, Duration)> {
    times.sort_unstable();
    let at = |per_mille: usize| {
        times.get((times.len() * per_mille / 1000).min(times.len().checked_sub(1)?)).copied()
    };
    Some((at(500)?, at(990)?))
}
