//! Each kind of problem has a test; here are those that a healthy store does not have.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    MemoryStore, Read, ReadError, Selector, Subscribe, Subscription,
};
use factum_server::{FirstEvents, Server, ServerOptions};

use super::{Web, house};
use crate::house::House;

/// A store in trouble: which, is said by the name of the stream.
struct Troubled(MemoryStore);

impl EventStore for Troubled {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let trouble = match append.writes.first().map(|write| write.stream.as_str()) {
            Some("full") => AppendError::Busy { waiting: 1_024 },
            Some("closed") => AppendError::Closed,
            _ => return self.0.append(append),
        };
        Box::pin(async move { Err(trouble) })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        match &read.selector {
            Selector::Stream(stream) if stream.as_str() == "damaged" => Box::pin(async {
                Err(ReadError::Damaged { place: "segment 7".to_owned(), what: "a checksum".to_owned() })
            }),
            _ => self.0.read(read),
        }
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.0.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.0.delete(delete)
    }
}

#[tokio::test]
async fn trouble_of_the_store_is_told_as_what_it_is() {
    let store: Arc<dyn EventStore> = Arc::new(Troubled(MemoryStore::new()));
    let options = ServerOptions { first_events: FirstEvents::None, ..ServerOptions::default() };
    let house = House::over(store.clone(), Server::new(store, options)).await;
    let web = Web::of(&house.server);
    let append =
        async |stream: &str| web.post(&format!("/v1/streams/{stream}/events"), r#"{"type":"T"}"#).await;
    assert_eq!(append("well").await.status.as_u16(), 201);
    for (stream, slug) in [("full", "busy"), ("closed", "unavailable")] {
        let answer = append(stream).await;
        assert_eq!((answer.problem().as_str(), answer.header("retry-after")), (slug, "1"), "{stream}");
    }
    let answer = web.with("x-request-id", "mine").get("/v1/streams/damaged/events").await;
    assert_eq!((answer.problem().as_str(), answer.header("x-request-id")), ("internal", "mine"));
}

/// Those whose test is elsewhere: a server that starts or stops answers in the same moment only.
const ELSEWHERE: [&str; 1] = ["not-ready"];

#[tokio::test]
async fn every_kind_of_problem_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/v1");
    let tests: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let (_house, web) = house().await;
    let pages = web.get("/problems").await.text;
    let kinds: BTreeSet<&str> =
        pages.split("/problems/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(kinds.len() >= 30, "{kinds:?}");
    let untested: Vec<&&str> = kinds
        .iter()
        .filter(|kind| !ELSEWHERE.contains(kind) && !tests.contains(&format!("\"{kind}\"")))
        .collect();
    assert!(untested.is_empty(), "no test expects {untested:?}");
}
