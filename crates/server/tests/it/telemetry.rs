//! What a collector of OpenTelemetry is sent.

use std::time::Duration;

use factum_server::{FirstEvents, ServerOptions, Telemetry};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::house::{House, of_all, read};

/// A collector that hands on what it is sent: path and message.
async fn collector() -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, messages) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mut socket = BufReader::new(socket);
            let (mut line, mut path, mut length) = (String::new(), String::new(), 0_usize);
            while socket.read_line(&mut line).await.is_ok_and(|read| read > 0) && line != "\r\n" {
                if let Some(rest) = line.strip_prefix("POST ") {
                    path = rest.split(' ').next().unwrap_or_default().to_owned();
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.expect("a body");
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("an answer");
            if told.send((path, serde_json::from_slice(&body).expect("JSON"))).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), messages)
}

#[tokio::test]
async fn calls_become_spans_and_figures_metrics() {
    let (url, mut messages) = collector().await;
    let telemetry =
        Telemetry { every: Duration::from_millis(100), ..Telemetry::to(url.parse().expect("a url")) };
    let options = ServerOptions {
        first_events: FirstEvents::None,
        telemetry: Some(telemetry),
        ..ServerOptions::default()
    };
    let house = House::of(options).await;
    read(&mut house.streams().await, of_all(10)).await.expect("it is read");
    let (mut span, mut metric) = (None, None);
    while span.is_none() || metric.is_none() {
        let waited = tokio::time::timeout(Duration::from_secs(60), messages.recv()).await;
        let (path, message) = waited.expect("it comes in time").expect("the collector lives");
        match path.as_str() {
            "/v1/traces" => span = message.pointer("/resourceSpans/0/scopeSpans/0/spans/0").cloned(),
            "/v1/metrics" => {
                let all =
                    message.pointer("/resourceMetrics/0/scopeMetrics/0/metrics").and_then(Value::as_array);
                let calls = all.and_then(|all| all.iter().find(|one| one["name"] == "factum_calls_total"));
                metric = calls.and_then(|calls| calls.pointer("/sum/dataPoints/0")).cloned();
            }
            other => panic!("{other}"),
        }
    }
    let span = span.expect("a span");
    assert_eq!(span["name"], "event_store.client.streams.Streams/Read");
    assert_eq!(span["traceId"].as_str().map(str::len), Some(32));
    assert!(span["startTimeUnixNano"].as_str() <= span["endTimeUnixNano"].as_str());
    assert_eq!(metric.expect("a metric")["asInt"], "1");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing_but_its_traces() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let telemetry = Telemetry {
        every: Duration::from_millis(100),
        ..Telemetry::to(format!("http://{free}").parse().expect("a url"))
    };
    let options = ServerOptions { telemetry: Some(telemetry), ..ServerOptions::default() };
    let house = House::of(options).await;
    let mut client = house.streams().await;
    loop {
        read(&mut client, of_all(10)).await.expect("it is read");
        let (_, text) = crate::metrics::ask(&house, "GET", "/metrics").await;
        let lost = text.lines().find_map(|line| line.strip_prefix("factum_spans_lost_total "));
        if lost.is_some_and(|lost| lost != "0") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.server.stop().await;
}
