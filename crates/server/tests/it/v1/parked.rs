//! What consumers put aside, over HTTP: shown, delivered again, dropped.

use factum_protocol::wire::v1::persistent_subscriptions as wire;
use http::Method;
use serde_json::{Value, json};
use wire::read_req::nack::Action;

use super::Web;
use crate::group_client::{Given, Reader, Setup, from_start, settings};

const GROUP: &str = "/v1/subscriptions/s/g";

/// A group with so many parked messages, and the consumer that put them aside.
async fn parked(count: usize) -> (Setup, Web, Reader) {
    let setup = Setup::over(factum_core::MemoryStore::new()).await;
    setup.fill("s", count).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(count).await;
    reader.nack(&events, Action::Park, "no such account").await;
    let most = i64::try_from(count).unwrap();
    setup.until("s", "g", |info| info.parked_message_count == most).await;
    let web = Web::of(&setup.server);
    (setup, web, reader)
}

async fn numbers(web: &Web) -> Vec<u64> {
    let page = web.get(&format!("{GROUP}/parked")).await.json();
    let numbers: Vec<u64> =
        page["items"].as_array().unwrap().iter().map(|one| one["revision"].as_u64().unwrap()).collect();
    assert_eq!(page["total"], numbers.len());
    assert_eq!(web.get(GROUP).await.json()["parked"], numbers.len());
    numbers
}

async fn replay(web: &Web, body: Value) -> Value {
    let answer = web.post(&format!("{GROUP}/parked/replay"), &body.to_string()).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
    answer.json()
}

/// Waits until the replay is as it should be.
async fn until(web: &Web, id: &Value, is: impl Fn(&Value) -> bool) -> Value {
    let path = format!("{GROUP}/parked/replays/{}", id.as_str().unwrap());
    for _ in 0..2_000 {
        let run = web.get(&path).await.json();
        if is(&run) {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the replay stays as it is: {}", web.get(&path).await.text);
}

#[tokio::test]
async fn chosen_messages_are_delivered_again_and_the_replay_says_what_came_of_them() {
    let (_setup, web, mut reader) = parked(6).await;
    let run = replay(&web, json!({"revisions": [4, 1], "reason": "the account is there"})).await;
    assert_eq!((&run["state"], &run["total"], &run["waiting"]), (&json!("running"), &json!(2), &json!(2)));
    assert_eq!(run["reason"], "the account is there");
    let given = reader.events(2).await;
    assert_eq!(given.iter().map(Given::revision).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(numbers(&web).await, [0, 2, 3, 5]);
    reader.ack(&given[1..]).await;
    reader.nack(&given[..1], Action::Park, "still none").await;
    let over = until(&web, &run["id"], |run| run["state"] == "completed").await;
    assert_eq!(
        [&over["acked"], &over["parkedAgain"], &over["dropped"], &over["gone"], &over["left"]],
        [1, 1, 0, 0, 0]
    );
    assert!(over["ended"].is_string());
    // The one that failed again stands at the end, under a number of its own.
    assert_eq!(numbers(&web).await, [0, 2, 3, 5, 6]);
    let run = replay(&web, json!({"upTo": 3})).await;
    assert_eq!(run["total"], 3);
    let given = reader.events(3).await;
    assert_eq!(given.iter().map(Given::revision).collect::<Vec<_>>(), [0, 2, 3]);
    reader.nack(&given[..1], Action::Skip, "").await;
    reader.ack(&given[1..]).await;
    let over = until(&web, &run["id"], |run| run["state"] == "completed").await;
    assert_eq!([&over["acked"], &over["dropped"]], [2, 1]);
    assert_eq!(numbers(&web).await, [5, 6]);
    assert_eq!(replay(&web, json!({"count": 1})).await["total"], 1);
    assert_eq!(reader.event().await.revision(), 5);
    // The log has who asked for it, why, and what came of it.
    let told = async {
        loop {
            let page = web.get("/v1/system/operations").await.json();
            let told: Vec<Value> = page["items"].as_array().unwrap().iter().rev().cloned().collect();
            if told.iter().filter(|one| one["outcome"] == "done").count() == 2 {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let told = told.await;
    assert_eq!((&told[0]["what"], &told[0]["target"]), (&json!("replay-parked"), &json!("s::g")));
    assert_eq!(told[0]["reason"], "the account is there");
    assert_eq!(told[0]["details"]["revisions"], json!([4, 1]));
    let over = told.iter().find(|one| one["of"] == told[0]["id"]).unwrap();
    assert_eq!(over["details"]["parkedAgain"], 1);
    let list = web.get(&format!("{GROUP}/parked/replays")).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(web.get(GROUP).await.json()["replays"], list["items"]);
}

#[tokio::test]
async fn a_replay_that_is_stopped_leaves_what_nobody_has_got() {
    let (setup, web, reader) = parked(6).await;
    drop(reader);
    let mut reader = setup.consumer("s", "g", 2).await.unwrap();
    setup.until("s", "g", |info| info.connections.len() == 1).await;
    let run = replay(&web, json!({})).await;
    let given = reader.events(2).await;
    assert!(numbers(&web).await.is_empty());
    let path = format!("{GROUP}/parked/replays/{}", run["id"].as_str().unwrap());
    let stopped = web.send(Method::DELETE, &path, "").await.json();
    assert_eq!((&stopped["state"], &stopped["left"]), (&json!("stopping"), &json!(4)));
    assert_eq!(numbers(&web).await, [2, 3, 4, 5]);
    reader.ack(&given).await;
    let over = until(&web, &run["id"], |run| run["state"] == "stopped").await;
    assert_eq!([&over["acked"], &over["left"], &over["waiting"]], [2, 4, 0]);
    // What was left is delivered when it is asked for again.
    let run = replay(&web, json!({"revisions": [5]})).await;
    let given = reader.events(1).await;
    assert_eq!(given[0].revision(), 5);
    reader.ack(&given).await;
    until(&web, &run["id"], |run| run["state"] == "completed").await;
    assert_eq!(numbers(&web).await, [2, 3, 4]);
    let unknown = format!("{GROUP}/parked/replays/{}", uuid::Uuid::nil());
    assert_eq!(web.send(Method::DELETE, &unknown, "").await.problem(), "not-found");
    assert_eq!(web.get(&format!("{GROUP}/parked/replays/x")).await.problem(), "not-found");
}

#[tokio::test]
async fn chosen_messages_are_dropped_and_stay_so() {
    let (setup, web, _reader) = parked(6).await;
    let skip = async |body: Value| web.post(&format!("{GROUP}/parked/skip"), &body.to_string()).await;
    let answer = skip(json!({"revisions": [1, 4], "reason": "of a test customer"})).await;
    assert_eq!(answer.json()["skipped"], 2, "{}", answer.text);
    assert_eq!(numbers(&web).await, [0, 2, 3, 5]);
    let told = web.get("/v1/system/operations").await.json()["items"][0].clone();
    assert_eq!((&told["what"], &told["reason"]), (&json!("skip-parked"), &json!("of a test customer")));
    assert_eq!(setup.info("s", "g").await.unwrap().parked_message_count, 4);
    // It is kept in the store: the group begins anew, and knows.
    setup.update(from_start("s", "g", settings())).await.unwrap();
    assert_eq!(numbers(&web).await, [0, 2, 3, 5]);
    assert_eq!(skip(json!({"upTo": 2, "reason": "old"})).await.json()["skipped"], 2);
    assert_eq!(numbers(&web).await, [3, 5]);
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    replay(&web, json!({})).await;
    assert_eq!(reader.events(2).await.iter().map(Given::revision).collect::<Vec<_>>(), [3, 5]);
    assert!(reader.is_silent().await, "what was dropped is not delivered");
}

#[tokio::test]
async fn what_is_not_parked_or_not_said_is_refused() {
    let (_setup, web, _reader) = parked(2).await;
    for (path, body, slug) in [
        ("replay", json!({"count": 1, "upTo": 1}), "bad-json"),
        ("replay", json!({"revisions": "all"}), "bad-json"),
        ("replay", json!({"revisions": vec![0; 1_001]}), "bad-json"),
        ("replay", json!({"reason": "x".repeat(1_025)}), "bad-json"),
        ("replay", json!({"revisions": [0, 7]}), "refused"),
        ("replay", json!({"upTo": 7}), "refused"),
        ("replay", json!({"revisions": []}), "conflict"),
        ("replay", json!({"count": 0}), "conflict"),
        ("skip", json!({"revisions": [0]}), "bad-json"),
        ("skip", json!({"revisions": [0], "reason": "  "}), "bad-json"),
        ("skip", json!({"revisions": [7], "reason": "x"}), "refused"),
        ("skip", json!({"count": 0, "reason": "x"}), "conflict"),
    ] {
        let answer = web.post(&format!("{GROUP}/parked/{path}"), &body.to_string()).await;
        assert_eq!(answer.problem(), slug, "{path} {body}");
    }
    let answer = web.post("/v1/subscriptions/s/none/parked/skip", r#"{"reason":"x"}"#).await;
    assert_eq!(answer.problem(), "not-found");
    assert_eq!(numbers(&web).await, [0, 1]);
    // What is being replayed is nobody else's.
    replay(&web, json!({"revisions": [0]})).await;
    let answer = web.post(&format!("{GROUP}/parked/skip"), r#"{"revisions":[0],"reason":"x"}"#).await;
    assert_eq!(answer.problem(), "refused");
}
