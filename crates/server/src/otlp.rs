//! OpenTelemetry: traces of calls and all metrics, sent to a collector as OTLP over HTTP in JSON.
//!
//! By hand, and not with the SDK: see `docs/adr/0020`. A call only puts a few bytes into a bounded queue; one task sends what
//! gathered there. A collector that is away or slow costs the traces that do not fit, which are counted, and nothing else.

mod json;
mod send;

use std::sync::Arc;
use std::time::Duration;

use factum_core::Timestamp;
use http::HeaderMap;
use tokio::sync::mpsc;
use tonic::Code;
use uuid::Uuid;

use crate::metrics::{Metrics, collect};
use crate::shared::Shared;

pub use send::{Collector, CollectorError};

/// Spans that wait to be sent, at most.
const WAITING_SPANS: usize = 4_096;
/// Spans in one message.
const SPANS_PER_MESSAGE: usize = 512;

/// Where OpenTelemetry's data goes, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The collector.
    pub collector: Collector,
    /// How often metrics are sent, and spans that do not fill a message.
    pub every: Duration,
}

impl Telemetry {
    /// To this collector, every 10 s.
    pub fn to(collector: Collector) -> Self {
        Self { collector, every: Duration::from_secs(10) }
    }
}

/// Who a span is, and who its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanIds {
    trace: u128,
    span: u64,
    parent: Option<u64>,
}

impl SpanIds {
    /// A span below the one that the request names in its `traceparent`, or the first of a trace.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (span, _) = Uuid::new_v4().as_u64_pair();
        let parent = headers.get("traceparent").and_then(|text| text.to_str().ok()).and_then(parent);
        match parent {
            Some((trace, parent)) => Self { trace, span, parent: Some(parent) },
            None => Self { trace: Uuid::new_v4().as_u128(), span, parent: None },
        }
    }
}

/// Reads W3C's `version-trace-parent-flags`.
fn parent(text: &str) -> Option<(u128, u64)> {
    let mut parts = text.split('-');
    let version = parts.next()?;
    let (trace, span) = (parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
        return None;
    }
    if ![version, trace, span].into_iter().all(hex) {
        return None;
    }
    let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    (trace != 0 && span != 0).then_some((trace, span))
}

/// One call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Who it is.
    pub(crate) ids: SpanIds,
    /// `package.Service/Method`.
    pub(crate) method: String,
    /// How it ended.
    pub(crate) code: Code,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it ended.
    pub(crate) ended: Timestamp,
}

/// Where calls that have ended are told to.
#[derive(Debug)]
pub(crate) struct Spans {
    queue: mpsc::Sender<Span>,
    metrics: Arc<Metrics>,
}

impl Spans {
    /// And where they can be taken from.
    pub(crate) fn channel(metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(WAITING_SPANS);
        (Self { queue, metrics }, spans)
    }

    /// Tells of a call. Never waits.
    pub(crate) fn tell(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.metrics.lost_spans.add(1);
        }
    }
}

/// Sends, until the server stops, and then once more.
pub(crate) async fn export(shared: Arc<Shared>, telemetry: Telemetry, mut spans: mpsc::Receiver<Span>) {
    let mut stopping = shared.stopping.clone();
    let every = telemetry.every.max(Duration::from_millis(100));
    let mut gathered = Vec::new();
    let mut health = Health::Good;
    let mut due = tokio::time::interval(every);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let room = SPANS_PER_MESSAGE - gathered.len();
        let round = tokio::select! {
            biased;
            () = stopping.wait() => Round::Last,
            _ = due.tick() => Round::Due,
            taken = spans.recv_many(&mut gathered, room) => match taken {
                0 => Round::Last,
                _ if gathered.len() < SPANS_PER_MESSAGE => continue,
                _ => Round::Full,
            },
        };
        if round == Round::Last {
            while gathered.len() < SPANS_PER_MESSAGE
                && let Ok(span) = spans.try_recv()
            {
                gathered.push(span);
            }
        }
        let sent = send_round(&shared, &telemetry.collector, std::mem::take(&mut gathered), round).await;
        health = health.now(&shared, sent);
        if round == Round::Last {
            return;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// The time has come.
    Due,
    /// A message is full.
    Full,
    /// The server stops.
    Last,
}

async fn send_round(
    shared: &Shared,
    collector: &Collector,
    spans: Vec<Span>,
    round: Round,
) -> Result<(), (usize, CollectorError)> {
    let count = spans.len();
    let instance = shared.instance.to_string();
    if !spans.is_empty() {
        let message = json::traces(&instance, &spans);
        collector.send("/v1/traces", message).await.map_err(|error| (count, error))?;
    }
    if round != Round::Full {
        let now = shared.options.clock.now();
        let message = json::metrics(&instance, &collect(shared), shared.started, now);
        collector.send("/v1/metrics", message).await.map_err(|error| (0, error))?;
    }
    Ok(())
}

/// Whether the collector takes what it is sent: a change is logged, and not each failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Good,
    Bad,
}

impl Health {
    fn now(self, shared: &Shared, sent: Result<(), (usize, CollectorError)>) -> Self {
        match sent {
            Ok(()) => {
                if self == Health::Bad {
                    tracing::info!("the collector takes telemetry again");
                }
                Health::Good
            }
            Err((lost, error)) => {
                shared.ops.metrics.lost_spans.add_count(lost);
                if self == Health::Good {
                    tracing::warn!(error = %error, "the collector takes no telemetry");
                }
                Health::Bad
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(parent(good), Some((0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)));
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parent(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_queue_that_is_full_loses_spans_and_says_how_many() {
        let metrics = Arc::new(Metrics::default());
        let (spans, _kept) = Spans::channel(metrics.clone());
        let span = Span {
            ids: SpanIds { trace: 1, span: 2, parent: None },
            method: "s/M".to_owned(),
            code: Code::Ok,
            began: Timestamp(1),
            ended: Timestamp(2),
        };
        for _ in 0..WAITING_SPANS + 3 {
            spans.tell(span.clone());
        }
        assert_eq!(metrics.lost_spans.value(), 3);
    }
}
