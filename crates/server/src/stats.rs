//! The figures that clients of `Monitoring` read: flat names and texts.

use std::collections::BTreeMap;

use factum_core::Timestamp;

use crate::grpc::PROTOCOL_VERSION;
use crate::shared::Shared;

const TICKS_PER_SECOND: f64 = 10_000_000.0;

/// What the process had used by a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedBefore {
    at: Option<Timestamp>,
    cpu_seconds: f64,
}

impl UsedBefore {
    /// When the process began.
    pub(crate) const START: UsedBefore = UsedBefore { at: None, cpu_seconds: 0.0 };
}

/// Figures at one moment.
#[derive(Debug)]
pub(crate) struct Stats {
    /// By name.
    pub(crate) flat: BTreeMap<String, String>,
    /// To tell the next ones what was used since.
    pub(crate) used: UsedBefore,
}

impl Stats {
    /// The figures as they are now.
    pub(crate) fn of(shared: &Shared, before: UsedBefore) -> Self {
        let now = shared.options.clock.now();
        let metrics = &shared.ops.metrics;
        let mut flat = BTreeMap::new();
        let mut tell = |name: &str, value: String| {
            flat.insert(name.to_owned(), value);
        };
        let mut used = UsedBefore { at: Some(now), cpu_seconds: before.cpu_seconds };
        tell("proc-id", std::process::id().to_string());
        tell("proc-startTime", shared.started.to_string());
        tell("proc-tcp-connections", metrics.connections.value().to_string());
        if let Some(process) = shared.options.process.and_then(|ask| ask()) {
            used.cpu_seconds = process.cpu_seconds;
            let seconds = now.0.saturating_sub(before.at.unwrap_or(shared.started).0);
            #[allow(clippy::cast_precision_loss, reason = "a difference in time, for a percentage")]
            let seconds = seconds as f64 / TICKS_PER_SECOND;
            let share = if seconds > 0.0 {
                100.0 * (process.cpu_seconds - before.cpu_seconds).max(0.0) / seconds
            } else {
                0.0
            };
            tell("proc-cpu", format!("{share:.2}"));
            tell("proc-cpu-seconds", format!("{:.2}", process.cpu_seconds));
            tell("proc-mem", process.resident_bytes.to_string());
            tell("proc-threadsCount", process.threads.to_string());
        }
        tell("es-version", PROTOCOL_VERSION.to_owned());
        tell("es-server", format!("factum {}", env!("CARGO_PKG_VERSION")));
        tell("es-events-appended", metrics.appended_events.value().to_string());
        tell("es-events-read", metrics.read_events.value().to_string());
        tell("es-bytes-received", metrics.received_bytes.value().to_string());
        tell("es-bytes-sent", metrics.sent_bytes.value().to_string());
        tell("es-calls-open", metrics.calls_open.value().to_string());
        tell("es-subscriptions-open", metrics.subscriptions.value().to_string());
        tell("es-scavenge-running", shared.ops.jobs.runs(crate::jobs::Kind::Scavenge).to_string());
        if let Some(maintenance) = &shared.ops.maintenance {
            let figures = maintenance.figures();
            tell("es-position", figures.end.to_string());
            tell("es-segments", figures.segments.to_string());
            tell("es-log-bytes", figures.log_bytes.to_string());
            tell("es-index-layers", figures.index_layers.to_string());
            tell("es-index-memory-bytes", figures.index_memory_bytes.to_string());
        }
        Self { flat, used }
    }
}
