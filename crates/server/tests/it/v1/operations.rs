//! What operators did is in the log, and can be read there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    MemoryStore, Read, ReadError, Subscribe, Subscription,
};
use factum_server::{Server, ServerOptions};
use http::Method;
use serde_json::{Value, json};

use super::{Web, house};
use crate::house::House;

async fn items(web: &Web, query: &str) -> Vec<Value> {
    web.get(&format!("/v1/system/operations{query}")).await.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_reason_is_in_the_log_before_what_it_is_for() {
    let (house, web) = house().await;
    assert_eq!(items(&web, "").await, Vec::<Value>::new());
    house.fill("order-1", "Placed", 3).await;
    let named = web.with("x-request-id", "req-7");
    let deleted = named.send(Method::DELETE, "/v1/streams/order-1?reason=asked%20for%20it", "").await;
    assert!(deleted.status.is_success(), "{}", deleted.text);
    let position: u64 = deleted.json()["position"].as_str().unwrap().parse().unwrap();
    let all = items(&web, "").await;
    assert_eq!(all.len(), 1, "{all:?}");
    let item = &all[0];
    assert_eq!((&item["what"], &item["target"]), (&json!("delete-stream"), &json!("order-1")));
    assert_eq!((&item["outcome"], &item["reason"]), (&json!("asked"), &json!("asked for it")));
    assert_eq!((&item["actor"], &item["requestId"]), (&json!("anonymous"), &json!("req-7")));
    assert_eq!(item["details"], json!({ "events": 3 }));
    let recorded: u64 = item["position"].as_str().unwrap().parse().unwrap();
    assert!(recorded < position, "{recorded} {position}");
    // Without a reason nothing is told.
    house.fill("order-2", "Placed", 1).await;
    assert!(web.send(Method::DELETE, "/v1/streams/order-2", "").await.status.is_success());
    assert_eq!(items(&web, "").await.len(), 1);
    let path = "/v1/streams/order-2/metadata?reason=less";
    assert!(web.put_json(Method::PUT, path, r#"{"$maxCount":1}"#).await.status.is_success());
    assert_eq!(items(&web, "").await[0]["what"], "set-metadata");
    let too_long = format!("/v1/streams/order-2?reason={}", "x".repeat(1_025));
    assert_eq!(web.send(Method::DELETE, &too_long, "").await.problem(), "bad-parameter");
}

#[tokio::test]
async fn what_failed_is_told_as_failed() {
    let (house, web) = house().await;
    house.fill("s", "T", 1).await;
    let stale = web.with("if-match", "\"7\"");
    let refused = stale.send(Method::DELETE, "/v1/streams/s?reason=x&tombstone=true", "").await;
    assert_eq!(refused.problem(), "wrong-expected-revision");
    let all = items(&web, "").await;
    let words: Vec<_> = all.iter().map(|item| (item["what"].as_str(), item["outcome"].as_str())).collect();
    assert_eq!(
        words,
        [(Some("tombstone-stream"), Some("failed")), (Some("tombstone-stream"), Some("asked"))]
    );
    assert_eq!(all[0]["of"], all[1]["id"]);
    assert!(!all[0]["details"]["error"].as_str().unwrap().is_empty());
    assert_eq!(web.get("/v1/streams/s").await.json()["state"], "active");
}

#[tokio::test]
async fn the_list_has_pages() {
    let (house, web) = house().await;
    for n in 0..5 {
        house.fill(&format!("s-{n}"), "T", 1).await;
        web.send(Method::DELETE, &format!("/v1/streams/s-{n}?reason=r{n}"), "").await;
    }
    let mut path = "/v1/system/operations?limit=2".to_owned();
    let mut reasons = Vec::new();
    loop {
        let page = web.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        reasons.extend(items.iter().map(|item| item["reason"].as_str().unwrap().to_owned()));
        match page["page"]["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(reasons, ["r4", "r3", "r2", "r1", "r0"]);
    assert_eq!(web.get("/v1/system/operations?cursor=x").await.problem(), "bad-parameter");
}

#[tokio::test]
async fn nobody_writes_there_but_the_server() {
    let (_house, web) = house().await;
    let append = web.post("/v1/streams/$operations/events", r#"{"type":"$operation"}"#).await;
    assert_eq!(append.problem(), "refused");
    assert_eq!(web.send(Method::DELETE, "/v1/streams/$operations?reason=x", "").await.problem(), "refused");
    assert_eq!(items(&web, "").await, Vec::<Value>::new());
}

/// A store whose disk is full when the test says so.
struct Filling {
    store: MemoryStore,
    full: Arc<AtomicBool>,
}

impl EventStore for Filling {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(AppendError::DiskFull) });
        }
        self.store.append(append)
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.store.read(read)
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.store.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        // A delete that was not recorded must never come here.
        self.store.delete(delete)
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let full = Arc::new(AtomicBool::new(false));
    let store: Arc<dyn EventStore> = Arc::new(Filling { store: MemoryStore::new(), full: full.clone() });
    let house = House::over(store.clone(), Server::new(store, ServerOptions::default())).await;
    let web = Web::of(&house.server);
    house.fill("s", "T", 1).await;
    full.store(true, Ordering::SeqCst);
    let refused = web.send(Method::DELETE, "/v1/streams/s?reason=x", "").await;
    assert_eq!(refused.problem(), "unavailable");
    assert!(refused.json()["next"].as_str().unwrap().starts_with("Nothing was done"), "{}", refused.text);
    assert_eq!(web.get("/v1/streams/s").await.json()["state"], "active");
    full.store(false, Ordering::SeqCst);
    assert!(web.send(Method::DELETE, "/v1/streams/s?reason=x", "").await.status.is_success());
    assert_eq!(items(&web, "").await.len(), 1);
}
