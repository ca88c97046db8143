//! All figures at one moment, in the form that every way of giving them away starts from.

use crate::metrics::{Metrics, Took};
use crate::shared::Shared;

/// Figures of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// `factum_...`.
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) help: &'static str,
    /// The figures.
    pub(crate) samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// What it is about.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// The figure.
    pub(crate) value: Value,
}

/// A figure, by its nature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Only grows.
    Counter(u64),
    /// Only grows, in fractions.
    Seconds(f64),
    /// What is there now.
    Gauge(u64),
    /// A distribution.
    Histogram(Took),
}

/// Everything.
pub(crate) fn collect(shared: &Shared) -> Vec<Family> {
    let mut families = calls(&shared.ops.metrics);
    families.extend(counters(&shared.ops.metrics));
    families.extend(storage(shared));
    families.extend(process(shared));
    families
}

fn one(name: &'static str, help: &'static str, value: Value) -> Family {
    Family { name, help, samples: vec![Sample { labels: Vec::new(), value }] }
}

fn calls(metrics: &Metrics) -> Vec<Family> {
    let (mut ended, mut took) = (Vec::new(), Vec::new());
    for calls in metrics.calls.collect() {
        for (code, count) in calls.ended {
            let status = format!("{code:?}");
            let labels = vec![("method", calls.method.clone()), ("status", status)];
            ended.push(Sample { labels, value: Value::Counter(count) });
        }
        let labels = vec![("method", calls.method)];
        took.push(Sample { labels, value: Value::Histogram(calls.took) });
    }
    vec![
        Family {
            name: "factum_calls_total",
            help: "Calls that have ended, by method and status.",
            samples: ended,
        },
        Family {
            name: "factum_call_seconds",
            help: "Seconds until the answer of a call began: of a call with one answer, all of it.",
            samples: took,
        },
    ]
}

fn counters(metrics: &Metrics) -> Vec<Family> {
    let counter = |name, help, value| one(name, help, Value::Counter(value));
    let gauge = |name, help, value| one(name, help, Value::Gauge(value));
    vec![
        gauge("factum_calls_open", "Calls that are under way.", metrics.calls_open.value()),
        gauge("factum_connections_open", "Connections that are open.", metrics.connections.value()),
        counter(
            "factum_connections_refused_total",
            "Connections that were closed at once, because there were too many.",
            metrics.refused_connections.value(),
        ),
        counter(
            "factum_received_bytes_total",
            "Bytes of messages received, without headers.",
            metrics.received_bytes.value(),
        ),
        counter(
            "factum_sent_bytes_total",
            "Bytes of messages sent, without headers.",
            metrics.sent_bytes.value(),
        ),
        counter("factum_events_appended_total", "Events appended.", metrics.appended_events.value()),
        counter(
            "factum_events_appended_bytes_total",
            "Bytes of data and metadata of events appended.",
            metrics.appended_bytes.value(),
        ),
        counter(
            "factum_events_read_total",
            "Events read from the store, for reads and subscriptions.",
            metrics.read_events.value(),
        ),
        counter(
            "factum_events_delivered_total",
            "Events that subscriptions gave out.",
            metrics.delivered_events.value(),
        ),
        gauge(
            "factum_subscriptions_open",
            "Subscriptions to the log that are open.",
            metrics.subscriptions.value(),
        ),
        counter(
            "factum_scavenged_events_total",
            "Events that scavenges removed.",
            metrics.scavenged_events.value(),
        ),
        counter(
            "factum_scavenged_bytes_total",
            "Bytes that scavenges gave back.",
            metrics.scavenged_bytes.value(),
        ),
        counter(
            "factum_spans_lost_total",
            "Traces that were left out, because the collector did not keep up.",
            metrics.lost_spans.value(),
        ),
    ]
}

fn storage(shared: &Shared) -> Vec<Family> {
    let Some(maintenance) = &shared.ops.maintenance else { return Vec::new() };
    let figures = maintenance.figures();
    let gauge = |name, help, value| one(name, help, Value::Gauge(value));
    vec![
        gauge("factum_log_position", "Position after the last event.", figures.end),
        gauge("factum_log_segments", "Segments of the log.", figures.segments),
        gauge("factum_log_bytes", "Bytes of the log's files.", figures.log_bytes),
        gauge(
            "factum_index_layers",
            "Index files and tables that a lookup may have to ask.",
            figures.index_layers,
        ),
        gauge(
            "factum_index_memory_bytes",
            "Bytes of memory that the indexes take.",
            figures.index_memory_bytes,
        ),
        gauge(
            "factum_scavenge_running",
            "1 while a scavenge runs.",
            u64::from(shared.ops.jobs.runs(crate::jobs::Kind::Scavenge)),
        ),
    ]
}

fn process(shared: &Shared) -> Vec<Family> {
    let Some(figures) = shared.options.process.and_then(|ask| ask()) else { return Vec::new() };
    vec![
        one(
            "factum_process_cpu_seconds_total",
            "Processor time used, in seconds.",
            Value::Seconds(figures.cpu_seconds),
        ),
        one(
            "factum_process_resident_bytes",
            "Bytes of memory that the process holds.",
            Value::Gauge(figures.resident_bytes),
        ),
        one("factum_process_threads", "Threads of the process.", Value::Gauge(figures.threads)),
    ]
}
