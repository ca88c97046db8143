//! States, histories, blame and differences.

use factum_core::{EventStoreExt, ExpectedRevision, NewEvent};
use http::Method;
use serde_json::{Value, json};

use super::{Web, house};
use crate::house::{House, event, name};

async fn an_order(house: &House) {
    let binary = NewEvent::binary(factum_core::EventType::new("Photo").unwrap(), vec![0]);
    let events = vec![
        event("Placed", r#"{"total":1.10,"big":9223372036854775807,"lines":[1,2,3]}"#),
        event("Changed", r#"{"total":2.20,"lines":[1],"note":"x"}"#),
        binary,
        event("Cleared", r#"{"note":null}"#),
    ];
    house.store.append_to(name("o-1"), ExpectedRevision::Any, events).await.unwrap();
}

#[tokio::test]
async fn a_state_is_shown_at_any_moment_with_exact_numbers() {
    let (house, web) = house().await;
    an_order(&house).await;
    let now = web.get("/v1/streams/o-1/state").await;
    assert!(
        now.text.contains(r#""state":{"total":2.20,"big":9223372036854775807,"lines":[1]}"#),
        "{}",
        now.text
    );
    assert_eq!((&now.json()["merged"], &now.json()["skipped"]), (&json!(3), &json!(1)));
    assert_eq!((&now.json()["at"]["revision"], &now.json()["at"]["type"]), (&json!(3), &json!("Cleared")));
    for at in ["0", "@0", "0@"] {
        let then = web.get(&format!("/v1/streams/o-1/state?at={at}")).await;
        assert!(then.text.contains(r#""state":{"total":1.10,"#), "{at}: {}", then.text);
    }
    let time = web.get("/v1/streams/o-1/events/0").await.json()["time"].as_str().unwrap().to_owned();
    for kind in ["occurred", "recorded"] {
        let then = web.get(&format!("/v1/streams/o-1/state?at={time}&kind={kind}")).await.json();
        assert_eq!(then["state"]["total"].to_string(), "2.2", "all were recorded in one instant");
    }
    let before = web.get("/v1/streams/o-1/state?at=2001-01-01&kind=recorded").await.json();
    assert_eq!((&before["state"], &before["at"]), (&json!({}), &Value::Null));
    assert_eq!(web.get("/v1/streams/o-1/state?at=yesterday").await.problem(), "bad-parameter");
    assert_eq!(web.get("/v1/streams/o-1/state?fold=other").await.problem(), "bad-parameter");
    assert_eq!(web.get("/v1/streams/none/state").await.problem(), "stream-not-found");
    assert_eq!(web.get("/v1/streams/$ce-o/state").await.problem(), "bad-request");
}

#[tokio::test]
async fn a_history_is_a_base_and_patches_both_ways() {
    let (house, web) = house().await;
    an_order(&house).await;
    let answer = web.get("/v1/streams/o-1/history").await;
    let history = answer.json();
    assert_eq!(history["base"], json!({"revision": null, "state": {}}));
    assert_eq!((&history["head"], &history["next"]), (&json!(3), &Value::Null));
    let steps = history["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    assert_eq!((&steps[2]["skipped"], &steps[2]["patch"]), (&json!("binary"), &json!([])));
    assert!(
        answer.text.contains(
            r#""patch":[{"op":"replace","path":"/total","value":2.20},{"op":"add","path":"/note","value":"x"},{"op":"remove","path":"/lines/2"},{"op":"remove","path":"/lines/1"}]"#
        ),
        "{}",
        answer.text
    );
    assert!(answer.text.contains(r#""inverse":[{"op":"replace","path":"/total","value":1.10},{"op":"add","path":"/lines/1","value":2},{"op":"add","path":"/lines/2","value":3},{"op":"remove","path":"/note"}]"#), "{}", answer.text);
    let part = web.get("/v1/streams/o-1/history?from=1&limit=2").await.json();
    assert_eq!(part["base"]["revision"], 0);
    assert_eq!(part["base"]["state"]["lines"], json!([1, 2, 3]));
    assert_eq!((part["steps"].as_array().unwrap().len(), &part["next"]), (2, &json!(3)));
    let beyond = web.get("/v1/streams/o-1/history?from=99").await.json();
    assert_eq!((&beyond["base"]["revision"], &beyond["steps"]), (&json!(3), &json!([])));
    let field = web.get("/v1/streams/o-1/history?path=/total").await;
    assert!(
        field.text.contains(r#""value":1.10"#) && field.text.contains(r#""value":2.20"#),
        "{}",
        field.text
    );
    let field = web.get("/v1/streams/o-1/history?path=/note").await.json();
    assert_eq!((&field["items"][0]["revision"], &field["items"][1]["absent"]), (&json!(1), &json!(true)));
    assert_eq!(web.get("/v1/streams/o-1/history?path=/never").await.json()["items"], json!([]));
    for bad in ["path=total", "path=/~2", "from=x", "from=-1"] {
        assert_eq!(
            web.get(&format!("/v1/streams/o-1/history?{bad}")).await.problem(),
            "bad-parameter",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn blame_and_differences_name_events_and_values() {
    let (house, web) = house().await;
    an_order(&house).await;
    let blame = web.get("/v1/streams/o-1/blame?path=/total").await;
    assert!(blame.text.contains(r#""value":2.20"#), "{}", blame.text);
    let by = &blame.json()["items"][0]["setBy"];
    assert_eq!((&by["revision"], &by["type"]), (&json!(1), &json!("Changed")));
    assert_eq!(web.get("/v1/streams/o-1/blame?path=/none").await.problem(), "not-found");
    assert_eq!(web.get("/v1/streams/o-1/blame?at=0").await.json()["items"].as_array().unwrap().len(), 3);
    let diff = web.get("/v1/streams/o-1/diff?a=0&b=1").await;
    assert!(
        diff.text.contains(r#"{"pointer":"/total","change":"changed","before":1.10,"after":2.20}"#),
        "{}",
        diff.text
    );
    assert!(diff.text.contains(r#"{"pointer":"/note","change":"added","after":"x"}"#), "{}", diff.text);
}

/// Every state that is answered from a remembered one is what a fold of the whole stream would be.
async fn folds_agree(web: &Web, revisions: &[u64]) {
    for revision in revisions {
        let state = web.get(&format!("/v1/streams/long/state?at={revision}")).await.json();
        let merged = state["merged"].as_u64().unwrap();
        let history =
            web.get(&format!("/v1/streams/long/history?from={}&limit=1", revision + 1)).await.json();
        assert_eq!(history["base"]["state"], state["state"], "{revision}");
        assert_eq!(
            (&state["state"]["n"], state["at"]["revision"].as_u64()),
            (&json!(revision), Some(*revision))
        );
        assert!(merged > 0);
    }
}

#[tokio::test]
async fn what_is_remembered_of_a_long_stream_changes_nothing() {
    let (house, web) = house().await;
    let events = (0..3_500).map(|n| event("T", &format!(r#"{{"n":{n},"k{}":{n}}}"#, n % 7))).collect();
    house.store.append_to(name("long"), ExpectedRevision::Any, events).await.unwrap();
    // Filled by the first, used by the others, from near and from far.
    folds_agree(&web, &[3_499, 3_000, 2_999, 2_001, 1_000, 999, 0, 3_499]).await;
    let whole = web.get("/v1/streams/long/state").await.json();
    assert_eq!(whole["merged"], 3_500);
    // A place far beyond the end is no work.
    let beyond = u64::try_from(i64::MAX).unwrap();
    let far = web.get(&format!("/v1/streams/long/state?at={beyond}")).await.json();
    assert_eq!(far["merged"], 3_500);
    let far = web.get(&format!("/v1/streams/long/history?from={beyond}")).await.json();
    assert_eq!((&far["steps"], &far["base"]["revision"]), (&json!([]), &json!(3_499)));
    // A truncation changes the past, and what was remembered of it.
    web.put_json(Method::PUT, "/v1/streams/long/metadata", r#"{"$tb":3490}"#).await;
    let cut = web.get("/v1/streams/long/state").await.json();
    assert_eq!((&cut["merged"], &cut["state"]["n"]), (&json!(10), &json!(3_499)));
}
