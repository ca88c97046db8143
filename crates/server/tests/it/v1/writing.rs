//! Appending, deleting, metadata.

use http::Method;
use serde_json::json;

use super::{house, revisions};

#[tokio::test]
async fn one_event_or_several_are_appended_and_found() {
    let (_house, web) = house().await;
    let answer = web.post("/v1/streams/order%2F1/events", r#"{"type":"Placed","data":{"n":1.10}}"#).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    assert_eq!(
        answer.json(),
        json!({"stream":"order/1","firstRevision":0,"lastRevision":0,"position":"0","deduplicated":false})
    );
    assert_eq!(
        (answer.header("etag"), answer.header("location")),
        ("\"0\"", "/v1/streams/order%2F1/events/0")
    );
    assert!(web.get(answer.header("location")).await.text.contains("1.10"));
    let several = r#"[{"type":"A"},{"type":"B","dataBase64":"AP8=","tags":["x:1"],"occurredTime":"2020-01-01T00:00:00Z"}]"#;
    assert_eq!(web.post("/v1/streams/order%2F1/events", several).await.json()["lastRevision"], 2);
    let event = web.get("/v1/streams/order%2F1/events/2").await.json();
    assert_eq!((&event["tags"], &event["occurredTime"]), (&json!(["x:1"]), &json!("2020-01-01T00:00:00Z")));
    let lines = web.with("content-type", "application/x-ndjson");
    let answer =
        lines.send(Method::POST, "/v1/streams/s/events", "{\"type\":\"A\"}\n\n{\"type\":\"B\"}\n").await;
    assert_eq!(answer.json()["lastRevision"], 1);
}

#[tokio::test]
async fn preconditions_hold_or_say_what_is_true() {
    let (_house, web) = house().await;
    let path = "/v1/streams/s/events";
    let event = r#"{"type":"T"}"#;
    let answer = web.with("if-match", "*").post(path, event).await;
    assert_eq!(answer.problem(), "wrong-expected-revision");
    assert_eq!(
        (&answer.json()["currentRevision"], &answer.json()["expected"]),
        (&json!(null), &json!("exists"))
    );
    assert!(web.with("if-none-match", "*").post(path, event).await.status.is_success());
    assert_eq!(web.with("if-none-match", "*").post(path, event).await.problem(), "wrong-expected-revision");
    assert!(web.with("if-match", "\"0\"").post(path, event).await.status.is_success());
    let answer = web.with("if-match", "\"0\"").post(path, event).await;
    assert_eq!(answer.problem(), "wrong-expected-revision");
    assert_eq!((answer.header("etag"), &answer.json()["currentRevision"]), ("\"1\"", &json!(1)));
    assert_eq!((&answer.json()["stream"], &answer.json()["expected"]), (&json!("s"), &json!(0)));
    for (name, value) in [("if-match", "0"), ("if-match", "W/\"0\""), ("if-none-match", "\"0\"")] {
        assert_eq!(
            web.with(name, value).post(path, event).await.problem(),
            "bad-parameter",
            "{name}: {value}"
        );
    }
    assert_eq!(revisions(&web.get(path).await.json()), [0, 1]);
}

#[tokio::test]
async fn the_same_key_has_one_effect() {
    let (_house, web) = house().await;
    let web = web.with("idempotency-key", "\"0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90\"");
    let path = "/v1/streams/s/events";
    let first = web.post(path, r#"[{"type":"A"},{"type":"B"}]"#).await;
    let again = web.post(path, r#"[{"type":"A"},{"type":"B"}]"#).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!((&again.json()["deduplicated"], &again.json()["lastRevision"]), (&json!(true), &json!(1)));
    assert_eq!(again.json()["position"], first.json()["position"]);
    let other = web.post("/v1/streams/t/events", r#"{"type":"C"}"#).await;
    assert_eq!(other.problem(), "conflict");
    assert_eq!(web.with("idempotency-key", "x").get(path).await.json()["items"].as_array().unwrap().len(), 2);
    let (_house, web) = house().await;
    assert_eq!(
        web.with("idempotency-key", "seven").post(path, r#"{"type":"A"}"#).await.problem(),
        "bad-parameter"
    );
}

#[tokio::test]
async fn bodies_that_are_no_events_are_refused_whole() {
    let (_house, web) = house().await;
    let path = "/v1/streams/s/events";
    for (body, slug) in [
        ("", "bad-json"),
        ("{", "bad-json"),
        ("7", "bad-json"),
        ("[]", "bad-request"),
        (r#"{"data":1}"#, "bad-json"),
        (r#"{"type":""}"#, "bad-name"),
        (r#"{"type":"T","id":"x"}"#, "bad-json"),
        (r#"{"type":"T","occurredTime":"noon"}"#, "bad-json"),
        (r#"{"type":"T","schemaVersion":0}"#, "bad-request"),
        (r#"{"type":"T","tags":[""]}"#, "bad-name"),
        (r#"[{"type":"T"},{"type":"T","data":}]"#, "bad-json"),
        (r#"{"type":"T","data":{"x":{"$personal":"p"}}}"#, "refused"),
    ] {
        assert_eq!(web.post(path, body).await.problem(), slug, "{body}");
    }
    let faulty = web.post(path, r#"[{"type":"T"},{"type":7}]"#).await;
    assert_eq!((faulty.problem().as_str(), &faulty.json()["index"]), ("bad-json", &json!(1)));
    for media in ["text/plain", "application/xml", "application/x-www-form-urlencoded"] {
        let answer = web.with("content-type", media).send(Method::POST, path, r#"{"type":"T"}"#).await;
        assert_eq!(answer.problem(), "unsupported-media-type", "{media}");
    }
    assert_eq!(web.send(Method::POST, path, r#"{"type":"T"}"#).await.problem(), "unsupported-media-type");
    assert_eq!(web.get(path).await.problem(), "stream-not-found");
}

#[tokio::test]
async fn several_streams_are_written_in_one_instant_or_not_at_all() {
    let (_house, web) = house().await;
    let body = json!({
        "writes": [
            {"stream": "a", "expected": "noStream", "events": [{"type": "Opened", "tags": ["k:1"]}]},
            {"stream": "b", "events": [{"type": "X"}, {"type": "Y"}]},
        ],
        "conditions": [{"query": {"items": [{"types": ["Opened"], "tags": ["k:1"]}]}}],
        "appendId": "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90",
    });
    let answer = web.post("/v1/append", &body.to_string()).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    assert_eq!(
        answer.json(),
        json!({"streams": [{"stream":"a","firstRevision":0,"lastRevision":0}, {"stream":"b","firstRevision":0,"lastRevision":1}],
               "position": "2", "deduplicated": false})
    );
    assert_eq!(web.post("/v1/append", &body.to_string()).await.json()["deduplicated"], true);
    let condition = |after: serde_json::Value| {
        json!({"writes": [{"stream": "c", "events": [{"type": "T"}]}],
               "conditions": [{"query": {"items": [{"types": ["Opened"]}]}, "after": after}]})
    };
    let answer = web.post("/v1/append", &condition(json!(null)).to_string()).await;
    assert_eq!(answer.problem(), "append-condition-failed");
    assert_eq!(answer.json()["failed"], json!([{"condition": 0, "position": "0"}]));
    assert!(web.post("/v1/append", &condition(json!("0")).to_string()).await.status.is_success());
    let wrong = json!({"writes": [{"stream": "d", "events": [{"type": "T"}]}, {"stream": "a", "expected": 7, "events": [{"type": "T"}]}]});
    assert_eq!(web.post("/v1/append", &wrong.to_string()).await.problem(), "wrong-expected-revision");
    assert_eq!(web.get("/v1/streams/d/events").await.problem(), "stream-not-found");
    for bad in [
        json!({}),
        json!({"writes": []}),
        json!({"writes": [{"stream": "a", "events": []}]}),
        json!({"writes": [{"stream": "a", "expected": "sometimes", "events": [{"type":"T"}]}]}),
        json!({"writes": [{"stream": "", "events": [{"type":"T"}]}]}),
        condition(json!("x")),
    ] {
        let slug = web.post("/v1/append", &bad.to_string()).await.problem();
        assert!(slug.starts_with("bad-"), "{slug}: {bad}");
    }
}

#[tokio::test]
async fn a_stream_says_what_it_is_until_its_end() {
    let (_house, web) = house().await;
    let path = "/v1/streams/order-1";
    assert_eq!(web.get(path).await.problem(), "stream-not-found");
    web.post("/v1/streams/order-1/events", r#"[{"type":"A"},{"type":"B"},{"type":"C"}]"#).await;
    let put = web.put_json(
        Method::PUT,
        "/v1/streams/order-1/metadata",
        r#"{"$maxCount":2,"owner":"ada","n":1.10}"#,
    );
    assert_eq!(put.await.json()["metadataRevision"], 0);
    let answer = web.get(path).await;
    assert_eq!(answer.header("etag"), "\"2\"");
    assert!(answer.text.contains(r#""metadata":{"$maxCount":2,"owner":"ada","n":1.10}"#), "{}", answer.text);
    let info = answer.json();
    assert_eq!(
        (&info["category"], &info["state"], &info["lastRevision"], &info["firstVisible"], &info["lastType"]),
        (&json!("order"), &json!("active"), &json!(2), &json!(1), &json!("C"))
    );
    for bad in ["[]", "7", r#"{"$maxCount":-1}"#, r#"{"$tb":"x"}"#, r#"{"$acl":7}"#] {
        let answer = web.put_json(Method::PUT, "/v1/streams/order-1/metadata", bad).await;
        assert_eq!(answer.problem(), "bad-json", "{bad}");
    }
    let wrong = web.with("if-match", "\"7\"").send(Method::DELETE, path, "").await;
    assert_eq!(wrong.problem(), "wrong-expected-revision");
    let answer = web.with("if-match", "\"2\"").send(Method::DELETE, &format!("{path}?reason=test"), "").await;
    assert_eq!(answer.json()["hidden"], 2, "{}", answer.text);
    assert_eq!(web.get(path).await.json()["state"], "deleted");
    assert_eq!(web.get("/v1/streams/order-1/events").await.problem(), "stream-not-found");
    web.post("/v1/streams/order-1/events", r#"{"type":"D"}"#).await;
    assert_eq!(web.get(path).await.json()["lastRevision"], 3);
    assert!(web.send(Method::DELETE, &format!("{path}?tombstone=true"), "").await.status.is_success());
    assert_eq!(web.get(path).await.json()["state"], "tombstoned");
    assert_eq!(web.get("/v1/streams/order-1/events").await.problem(), "stream-deleted");
    assert_eq!(web.post("/v1/streams/order-1/events", r#"{"type":"E"}"#).await.problem(), "stream-deleted");
}
