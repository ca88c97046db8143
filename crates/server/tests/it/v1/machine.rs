//! Groups, schemas, the machine, and what belongs together.

use factum_core::{
    EventStoreExt, EventType, ExpectedRevision, SCHEMAS_STREAM, SchemaRegistry, SchemaVersion,
};
use http::Method;
use serde_json::json;

use super::house;
use crate::house::name;

#[tokio::test]
async fn events_of_a_correlation_know_their_causes() {
    let (_house, web) = house().await;
    let first = "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90";
    let body = format!(r#"{{"type":"A","id":"{first}","correlationId":"c/1","data":{{"secret":1}}}}"#);
    assert!(web.post("/v1/streams/a/events", &body).await.status.is_success());
    let body = format!(r#"{{"type":"B","correlationId":"c/1","causationId":"{first}"}}"#);
    assert!(web.post("/v1/streams/b/events", &body).await.status.is_success());
    let found = web.get("/v1/correlations/c%2F1").await;
    let answer = found.json();
    assert_eq!((&answer["correlation"], &answer["streams"]), (&json!("c/1"), &json!(["a", "b"])));
    assert_eq!(answer["events"][0]["causedBy"], json!(null));
    assert_eq!(answer["events"][1]["causedBy"], first);
    assert!(!found.text.contains("secret"), "{}", found.text);
    let effects = web.get(&format!("/v1/events/{first}/effects")).await.json();
    assert_eq!((effects["items"].as_array().unwrap().len(), &effects["items"][0]["type"]), (1, &json!("B")));
    assert_eq!(web.get("/v1/correlations/none").await.problem(), "not-found");
    // What its stream hides is not shown here either.
    web.put_json(Method::PUT, "/v1/streams/b/metadata", r#"{"$tb":1}"#).await;
    let answer = web.get("/v1/correlations/c%2F1").await.json();
    assert_eq!(answer["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_text_is_taken_for_whatever_it_may_mean() {
    let (house, web) = house().await;
    house.fill("order-1", "Placed", 2).await;
    let id = web.get("/v1/streams/order-1/events/0").await.json()["id"].as_str().unwrap().to_owned();
    web.post("/v1/streams/other/events", r#"{"type":"T","correlationId":"order"}"#).await;
    web.get("/v1/streams?after=2").await;
    let kinds = async |text: &str| {
        let answer = web.get(&format!("/v1/resolve?q={text}")).await.json();
        let all = answer["items"].as_array().unwrap_or_else(|| panic!("{text}: {answer}")).clone();
        all.iter()
            .map(|item| format!("{} {}", item["kind"].as_str().unwrap(), item["url"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds("order").await,
        [
            "stream /ui/streams/order-1",
            "category /ui/streams?category=order",
            "correlation /ui/correlations/order"
        ]
    );
    assert_eq!(kinds("Pla").await, ["type /ui/events?type=Placed"]);
    assert_eq!(kinds(&id).await, ["event /ui/streams/order-1/0"]);
    assert_eq!(kinds("1").await, ["position /ui/streams/order-1/1"]);
    assert_eq!(kinds("order-1@1").await, ["event /ui/streams/order-1/1"]);
    assert_eq!(kinds("2026-01-01").await, ["time /ui/events?from=2026-01-01T00%3A00%3A00Z"]);
    assert_eq!(kinds("nothing%20like%20that").await, Vec::<String>::new());
    for bad in ["", "%20", &"x".repeat(2_000)] {
        assert_eq!(web.get(&format!("/v1/resolve?q={bad}")).await.problem(), "bad-parameter");
    }
}

#[tokio::test]
async fn a_group_is_made_shown_and_deleted() {
    let (house, web) = house().await;
    house.fill("s/1", "T", 3).await;
    let path = "/v1/subscriptions/s%2F1/billing";
    assert_eq!(web.get(path).await.problem(), "not-found");
    let made = web
        .put_json(Method::PUT, path, r#"{"start":1,"settings":{"maxRetryCount":3,"strategy":"Pinned"}}"#)
        .await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    assert_eq!((&made.json()["settings"]["maxRetryCount"], &made.json()["start"]), (&json!(3), &json!("1")));
    assert_eq!(web.put_json(Method::PUT, path, "{}").await.problem(), "conflict");
    let list = web.get("/v1/subscriptions").await.json();
    let item = &list["items"][0];
    assert_eq!(
        (&item["source"], &item["group"], &item["consumers"]),
        (&json!("s/1"), &json!("billing"), &json!(0))
    );
    assert_eq!((&item["parked"], &item["oldestUnackedMillis"]), (&json!(0), &json!(null)));
    assert_eq!(web.get(&format!("{path}/parked")).await.json()["items"], json!([]));
    assert_eq!(web.post(&format!("{path}/parked/replay"), r#"{"reason":"x"}"#).await.problem(), "conflict");
    for bad in [
        r#"{"start":-1}"#,
        r#"{"settings":{"strategy":"Best"}}"#,
        r#"{"settings":{"maxRetryCount":-1}}"#,
        "[]",
        r#"{"filter":{"on":"stream"}}"#,
    ] {
        let other = "/v1/subscriptions/s/other";
        assert_eq!(web.put_json(Method::PUT, other, bad).await.problem(), "bad-json", "{bad}");
    }
    let over_all = r#"{"start":"end","filter":{"on":"type","prefixes":["T"]}}"#;
    assert!(web.put_json(Method::PUT, "/v1/subscriptions/$all/g", over_all).await.status.is_success());
    assert!(web.send(Method::DELETE, path, "").await.status.is_success());
    assert_eq!(web.send(Method::DELETE, path, "").await.problem(), "not-found");
    assert_eq!(web.get("/v1/overview").await.json()["problems"], json!([]));
}

#[tokio::test]
async fn schemas_are_listed_with_real_events_and_enforced() {
    let (house, web) = house().await;
    let of = EventType::new("Placed").unwrap();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let registration = SchemaRegistry::registration(&of, SchemaVersion::FIRST, &schema).unwrap();
    house.store.append_to(name(SCHEMAS_STREAM), ExpectedRevision::Any, vec![registration]).await.unwrap();
    web.post("/v1/streams/o/events", r#"{"type":"Placed","data":{"n":1}}"#).await;
    let broken = web.post("/v1/streams/o/events", r#"{"type":"Placed","data":{"n":"x"}}"#).await;
    assert_eq!(broken.problem(), "schema-violation");
    assert_eq!(broken.json()["errors"][0]["pointer"], "/n", "{}", broken.text);
    assert_eq!(web.get("/v1/schemas").await.json()["items"], json!([{"type": "Placed", "versions": [1]}]));
    let one = web.get("/v1/schemas/Placed").await.json();
    assert_eq!((&one["versions"][0]["schema"], &one["examples"][0]["data"]["n"]), (&schema, &json!(1)));
    assert_eq!(web.get("/v1/schemas/None").await.problem(), "not-found");
}

#[tokio::test]
async fn a_server_says_what_it_is_and_what_it_has_not() {
    let (_house, web) = house().await;
    let system = web.get("/v1/system").await.json();
    assert_eq!((&system["security"], &system["durability"]), (&json!("insecure"), &json!("process")));
    assert_eq!(system["caller"]["mayWrite"], true);
    assert!(system["config"].as_array().unwrap().iter().any(|one| one["name"] == "limits.appendBytes"));
    for (method, path) in [
        (Method::GET, "/v1/system/storage"),
        (Method::GET, "/v1/system/scavenges"),
        (Method::POST, "/v1/system/scavenges"),
        (Method::POST, "/v1/system/verify"),
        (Method::POST, "/v1/system/backups"),
    ] {
        assert_eq!(web.send(method, path, "").await.problem(), "unsupported", "{path}");
    }
}

#[tokio::test]
async fn cloud_events_come_in_every_mode_and_go_out() {
    let (_house, web) = house().await;
    let path = "/v1/streams/s/events";
    let event =
        r#"{"specversion":"1.0","id":"1","source":"/shop","type":"Placed","data":{"n":1.10},"myext":"x"}"#;
    let structured = web.with("content-type", "application/cloudevents+json; charset=utf-8");
    assert_eq!(structured.send(Method::POST, path, event).await.status.as_u16(), 201);
    let batch = web.with("content-type", "application/cloudevents-batch+json");
    let other = event.replace("\"1\"", "\"2\"");
    assert_eq!(batch.send(Method::POST, path, format!("[{other}]")).await.json()["lastRevision"], 1);
    let binary = web
        .with("content-type", "image/png")
        .with("ce-specversion", "1.0")
        .with("ce-id", "3")
        .with("ce-source", "/shop")
        .with("ce-type", "Photo%20taken");
    assert_eq!(binary.send(Method::POST, path, vec![0_u8, 255]).await.status.as_u16(), 201);
    let out = web.with("accept", "application/cloudevents-batch+json").get(path).await;
    assert_eq!(out.header("content-type"), "application/cloudevents-batch+json");
    let events = out.json();
    assert_eq!(
        (&events[0]["id"], &events[0]["source"], &events[0]["myext"]),
        (&json!("1"), &json!("/shop"), &json!("x"))
    );
    assert_eq!(
        (&events[2]["type"], &events[2]["data_base64"], &events[2]["datacontenttype"]),
        (&json!("Photo taken"), &json!("AP8="), &json!("image/png"))
    );
    assert!(out.text.contains(r#""data":{"n":1.10}"#), "{}", out.text);
    let one = web.with("accept", "application/cloudevents+json").get("/v1/streams/s/events/0").await.json();
    assert_eq!(one["specversion"], "1.0");
    for bad in ["{}", "[]", r#"{"specversion":"1.0"}"#] {
        assert_eq!(structured.send(Method::POST, path, bad).await.problem(), "bad-json", "{bad}");
    }
}
