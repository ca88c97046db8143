//! OTLP's messages in JSON: ids in hex, 64-bit numbers as texts.

use factum_core::Timestamp;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::Span;
use crate::metrics::{Family, Sample, Value};

/// OTLP's number for a span of a server.
const KIND_SERVER: u8 = 2;
/// OTLP's number for a status that is an error.
const STATUS_ERROR: u8 = 2;
/// OTLP's number for figures since the start.
const CUMULATIVE: u8 = 2;
const NANOS_PER_TICK: i128 = 100;

fn nanos(at: Timestamp) -> String {
    (i128::from(at.0).max(0) * NANOS_PER_TICK).to_string()
}

fn attribute(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn resource(instance: &str) -> Json {
    json!({ "attributes": [
        attribute("service.name", "factum"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", instance),
    ] })
}

fn scope() -> Json {
    json!({ "name": "factum-server", "version": env!("CARGO_PKG_VERSION") })
}

/// Spans.
pub(super) fn traces(instance: &str, spans: &[Span]) -> Json {
    json!({ "resourceSpans": [{
        "resource": resource(instance),
        "scopeSpans": [{ "scope": scope(), "spans": spans.iter().map(span).collect::<Vec<_>>() }],
    }] })
}

/// Whether a code is the server's fault: the convention for spans of servers.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn span(span: &Span) -> Json {
    let (service, method) = span.method.rsplit_once('/').unwrap_or(("", &span.method));
    let mut written = json!({
        "traceId": format!("{:032x}", span.ids.trace),
        "spanId": format!("{:016x}", span.ids.span),
        "name": span.method,
        "kind": KIND_SERVER,
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended.max(span.began)),
        "attributes": [
            attribute("rpc.system", "grpc"),
            attribute("rpc.service", service),
            attribute("rpc.method", method),
            { "key": "rpc.grpc.status_code", "value": { "intValue": i32::from(span.code).to_string() } },
        ],
        "status": if is_fault(span.code) { json!({ "code": STATUS_ERROR }) } else { json!({}) },
    });
    if let (Some(parent), Some(fields)) = (span.ids.parent, written.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    written
}

/// Metrics.
pub(super) fn metrics(instance: &str, families: &[Family], started: Timestamp, now: Timestamp) -> Json {
    let at = Moment { started: nanos(started), now: nanos(now) };
    let metrics: Vec<_> = families.iter().filter_map(|family| metric(family, &at)).collect();
    json!({ "resourceMetrics": [{
        "resource": resource(instance),
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
}

struct Moment {
    started: String,
    now: String,
}

fn metric(family: &Family, at: &Moment) -> Option<Json> {
    let points: Vec<_> = family.samples.iter().map(|sample| point(sample, at)).collect();
    let (kind, data) = match family.samples.first()?.value {
        Value::Counter(_) | Value::Seconds(_) => (
            "sum",
            json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points }),
        ),
        Value::Gauge(_) => ("gauge", json!({ "dataPoints": points })),
        Value::Histogram(_) => {
            ("histogram", json!({ "aggregationTemporality": CUMULATIVE, "dataPoints": points }))
        }
    };
    let unit = if family.name.contains("seconds") {
        "s"
    } else if family.name.contains("bytes") {
        "By"
    } else {
        "1"
    };
    Some(json!({ "name": family.name, "description": family.help, "unit": unit, kind: data }))
}

fn point(Sample { labels, value }: &Sample, at: &Moment) -> Json {
    let attributes: Vec<_> = labels.iter().map(|(key, value)| attribute(key, value)).collect();
    let mut point =
        json!({ "attributes": attributes, "startTimeUnixNano": at.started, "timeUnixNano": at.now });
    let figures = match value {
        Value::Counter(value) | Value::Gauge(value) => json!({ "asInt": value.to_string() }),
        Value::Seconds(value) => json!({ "asDouble": value }),
        Value::Histogram(took) => json!({
            "count": took.counts.iter().sum::<u64>().to_string(),
            "sum": took.seconds,
            "bucketCounts": took.counts.iter().map(u64::to_string).collect::<Vec<_>>(),
            "explicitBounds": took.bounds,
        }),
    };
    if let (Some(point), Json::Object(figures)) = (point.as_object_mut(), figures) {
        point.extend(figures);
    }
    point
}

#[cfg(test)]
mod tests {
    use super::super::SpanIds;
    use super::*;

    #[test]
    fn a_span_is_written_as_the_protocol_has_it() {
        let ids = SpanIds { trace: 0xab, span: 0xcd, parent: Some(0xef) };
        let (began, ended) = (Timestamp(10), Timestamp(30));
        let written = span(&Span { ids, method: "p.S/M".to_owned(), code: Code::Internal, began, ended });
        assert_eq!(written["traceId"], "000000000000000000000000000000ab");
        assert_eq!(written["spanId"], "00000000000000cd");
        assert_eq!(written["parentSpanId"], "00000000000000ef");
        assert_eq!(
            (&written["startTimeUnixNano"], &written["endTimeUnixNano"]),
            (&json!("1000"), &json!("3000"))
        );
        assert_eq!(written["attributes"][1], attribute("rpc.service", "p.S"));
        assert_eq!(written["status"]["code"], 2);
    }
}
