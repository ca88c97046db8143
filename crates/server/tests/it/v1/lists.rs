//! Lists of streams, categories and types.

use std::time::Duration;

use factum_core::{Append, ExpectedRevision};
use http::Method;
use serde_json::json;

use super::{Web, house};
use crate::house::{event, name};

async fn names(web: &Web, path: &str) -> String {
    let page = web.get(path).await.json();
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{path}: {page}")).clone();
    let all: Vec<_> = items.iter().map(|item| item["stream"].as_str().unwrap().to_owned()).collect();
    all.join(" ")
}

#[tokio::test]
async fn streams_are_listed_by_prefix_pattern_category_and_order() {
    let (house, web) = house().await;
    for stream in ["order-2", "cart-1", "order-1", "ledger", "$own", "cart-1"] {
        house.fill(stream, "T", 1).await;
    }
    for (query, expected) in [
        ("", "cart-1 ledger order-1 order-2"),
        ("?q=or", "order-1 order-2"),
        ("?q=*-1", "cart-1 order-1"),
        ("?q=order-?", "order-1 order-2"),
        ("?q=ORDER", ""),
        ("?category=cart", "cart-1"),
        ("?category=order&q=*2", "order-2"),
        ("?category=order&q=cart", ""),
        ("?system=true&q=$o", "$own"),
        ("?sort=created", "order-2 cart-1 order-1 ledger"),
        ("?sort=-created", "ledger order-1 cart-1 order-2"),
        ("?sort=-updated", "cart-1 ledger order-1 order-2"),
    ] {
        assert_eq!(names(&web, &format!("/v1/streams{query}")).await, expected, "{query}");
    }
    for sort in ["name", "created", "-created", "-updated"] {
        let whole = names(&web, &format!("/v1/streams?sort={sort}")).await;
        let mut path = format!("/v1/streams?sort={sort}&limit=1");
        let mut seen = Vec::new();
        loop {
            let page = web.get(&path).await.json();
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["stream"].as_str().unwrap().to_owned()),
            );
            match page["page"]["next"].as_str() {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
        assert_eq!(seen.join(" "), whole, "{sort}");
    }
    let item = web.get("/v1/streams?q=cart").await.json()["items"][0].clone();
    assert_eq!(
        (&item["lastRevision"], &item["lastType"], &item["state"]),
        (&json!(1), &json!("T"), &json!("active"))
    );
    for bad in ["sort=size", "system=x", "cursor=x", "cursor=e30", "limit=0"] {
        assert_eq!(web.get(&format!("/v1/streams?{bad}")).await.problem(), "bad-parameter", "{bad}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_store_or_list_is_refused() {
    let (house, web) = house().await;
    house.fill("a", "T", 1).await;
    house.fill("b", "T", 1).await;
    let next = web.get("/v1/streams?limit=1").await.json()["page"]["next"].as_str().unwrap().to_owned();
    assert_eq!(names(&web, &next).await, "b");
    assert_eq!(web.get(&format!("{next}&sort=created")).await.problem(), "bad-parameter");
    let (other, stranger) = super::house().await;
    other.fill("a", "T", 1).await;
    let answer = stranger.get(&next).await;
    assert_eq!(answer.problem(), "bad-parameter");
    assert!(answer.json()["detail"].as_str().unwrap().contains("another store"), "{}", answer.text);
}

#[tokio::test]
async fn a_list_has_what_was_just_written() {
    let (_house, web) = house().await;
    assert_eq!(names(&web, "/v1/streams").await, "");
    for number in 0..20 {
        let answer = web.post(&format!("/v1/streams/s-{number}/events"), r#"{"type":"T"}"#).await;
        let position = answer.json()["position"].as_str().unwrap().to_owned();
        let seen = names(&web, &format!("/v1/streams?limit=1000&after={position}")).await;
        assert_eq!(seen.split(' ').count(), number + 1);
    }
    assert_eq!(web.get("/v1/streams?after=99&wait=10ms").await.problem(), "stale");
    let position =
        web.send(Method::DELETE, "/v1/streams/s-7", "").await.json()["position"].as_str().unwrap().to_owned();
    let item = web.get(&format!("/v1/streams?q=s-7&after={position}")).await.json()["items"][0].clone();
    assert_eq!(item["state"], "deleted");
    let categories = web.get("/v1/categories").await.json();
    assert_eq!(categories["items"], json!([{"category": "s", "streams": 19}]));
    let types = web.get("/v1/types").await.json();
    assert_eq!(
        types["items"],
        json!([{"type": "T", "count": 20, "schemaVersion": 1, "versions": [{"version": 1, "events": 20}]}])
    );
    let types = web.get("/v1/types?system=true").await.json();
    assert_eq!(types["items"][0]["type"], "$metadata");
}

#[tokio::test]
async fn many_streams_are_listed_while_they_are_gathered_and_after() {
    let (house, web) = house().await;
    for batch in 0..20 {
        let mut append = Append::default();
        for number in 0..1_000 {
            append = append.and(
                name(&format!("s-{batch:02}{number:03}")),
                ExpectedRevision::Any,
                vec![event("T", "1")],
            );
        }
        house.store.append(append).await.unwrap();
    }
    let mut page = web.get("/v1/streams?q=s-19").await.json();
    while page["indexing"] != json!(null) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        page = web.get("/v1/streams?q=s-19").await.json();
    }
    assert_eq!(page["items"].as_array().unwrap().len(), 50);
    assert_eq!(page["items"][49]["stream"], "s-19049");
    assert_eq!(names(&web, "/v1/streams?q=s-*999&limit=1000").await.split(' ').count(), 20);
    assert_eq!(web.get("/v1/categories").await.json()["items"][0]["streams"], 20_000);
}
