//! Following the log and its streams, and coming back to it.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::{Web, house};

/// What a stream of answers says, message by message.
struct Listener {
    body: BodyDataStream,
    buffer: String,
    separator: &'static str,
}

impl Listener {
    async fn to(web: &Web, path: &str, media: &'static str) -> Self {
        let response = web.with("accept", media).open(Method::GET, path, Body::empty()).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], media);
        let separator = if media == "text/event-stream" { "\n\n" } else { "\n" };
        Self { body: response.into_body().into_data_stream(), buffer: String::new(), separator }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((message, rest)) = self.buffer.split_once(self.separator) {
                let message = message.to_owned();
                self.buffer = rest.to_owned();
                return Some(message);
            }
            let chunk = self.body.next().await?.ok()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next message of a kind: its id and its data.
    async fn of_kind(&mut self, kind: &str) -> (String, Value) {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("it ended before {kind}"));
            let field = |name: &str| {
                message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
            };
            if field("event:") == kind {
                return (field("id:").to_owned(), serde_json::from_str(field("data:")).unwrap());
            }
        }
    }
}

const SSE: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

#[tokio::test]
async fn the_log_is_followed_and_gone_on_with_after_a_reconnect() {
    let (house, web) = house().await;
    house.fill("s", "T", 2).await;
    let mut listener = Listener::to(&web, "/v1/events", SSE).await;
    for expected in 0..2 {
        let (id, event) = listener.of_kind("event").await;
        assert_eq!((id, &event["revision"]), (expected.to_string(), &json!(expected)));
    }
    assert_eq!(listener.of_kind("caughtUp").await.1, json!({"position": "1"}));
    house.fill("s", "T", 1).await;
    let (id, _) = listener.of_kind("event").await;
    drop(listener);
    house.fill("s", "T", 3).await;
    let again = web.with("last-event-id", &id);
    let mut listener = Listener::to(&again, "/v1/events", SSE).await;
    for expected in 3..6 {
        assert_eq!(listener.of_kind("event").await.1["revision"], expected);
    }
    for (place, slug) in [("x", "bad-parameter"), ("-1", "bad-parameter"), ("4711", "bad-parameter")] {
        let answer = web.with("last-event-id", place).with("accept", SSE).get("/v1/events").await;
        assert_eq!(answer.problem(), slug, "{place}");
    }
}

#[tokio::test]
async fn a_stream_is_followed_from_a_revision_and_filtered() {
    let (house, web) = house().await;
    house.fill("s", "A", 3).await;
    house.fill("t", "A", 1).await;
    let mut listener = Listener::to(&web, "/v1/streams/s/events?from=2&type=A", SSE).await;
    assert_eq!(listener.of_kind("event").await.1["revision"], 2);
    house.fill("s", "B", 1).await;
    house.fill("s", "A", 1).await;
    assert_eq!(listener.of_kind("event").await.1["revision"], 4);
    // Its end is told, and why.
    web.send(Method::DELETE, "/v1/streams/s?tombstone=true", "").await;
    assert!(listener.of_kind("end").await.1["reason"].as_str().unwrap().contains("deleted"));
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn events_with_line_breaks_stay_on_their_line() {
    let (_house, web) = house().await;
    web.post("/v1/streams/s/events", "{\"type\":\"T\",\"data\":{\n\"a\": 1.10,\r\n\"b\":\"x\\ny\"}}").await;
    let mut listener = Listener::to(&web, "/v1/streams/s/events?follow=false", LINES).await;
    let line = listener.next().await.unwrap();
    assert!(line.contains("1.10"), "{line}");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event"]["data"]["b"], "x\ny");
    assert_eq!(listener.next().await.unwrap(), r#"{"caughtUp":{"position":"0"}}"#);
    assert_eq!(listener.next().await, None);
    let mut listener = Listener::to(&web, "/v1/streams/s/events", SSE).await;
    assert_eq!(listener.of_kind("event").await.1["data"]["b"], "x\ny");
}

#[tokio::test]
async fn a_filter_that_lets_nothing_pass_says_how_far_it_is() {
    let (house, web) = house().await;
    house.fill("s", "A", 3).await;
    let mut listener = Listener::to(&web, "/v1/events?stream=none&from=start", SSE).await;
    assert_eq!(listener.of_kind("checkpoint").await, ("2".to_owned(), json!({"position": "2"})));
    listener.of_kind("caughtUp").await;
    house.fill("s", "A", 1).await;
    assert_eq!(listener.of_kind("checkpoint").await.0, "3");
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_whoever_follows() {
    let (house, web) = house().await;
    let mut listener = Listener::to(&web, "/v1/events", SSE).await;
    let mut live = Listener::to(&web, "/v1/live", SSE).await;
    listener.of_kind("caughtUp").await;
    live.of_kind("stats").await;
    let stopped = tokio::spawn(house.server.stop());
    listener.of_kind("end").await;
    live.of_kind("end").await;
    stopped.await.unwrap();
}

#[tokio::test]
async fn figures_and_heads_of_events_go_by() {
    let (house, web) = house().await;
    house.fill("s-1", "T", 3).await;
    let overview = web.get("/v1/overview").await.json();
    assert_eq!(
        (&overview["events"], &overview["position"], &overview["problems"]),
        (&json!(3), &json!("2"), &json!([]))
    );
    let mut live = Listener::to(&web, "/v1/live", SSE).await;
    while live.of_kind("stats").await.1["streams"] != json!(1) {}
    web.post("/v1/streams/s-1/events", r#"{"type":"Seen","data":{"secret":1}}"#).await;
    let (_, heads) = live.of_kind("events").await;
    let head = &heads["items"][0];
    assert_eq!((&head["type"], &head["revision"], &heads["skipped"]), (&json!("Seen"), &json!(3), &json!(0)));
    assert_eq!((&head["data"], &head["metadata"]), (&Value::Null, &Value::Null));
    let (_, stats) = live.of_kind("stats").await;
    assert_eq!(stats["events"], 4);
    assert!(stats["connections"].as_u64().unwrap() > 0, "{stats}");
    assert_eq!(web.with("accept", "application/json").get("/v1/live").await.problem(), "not-acceptable");
}
