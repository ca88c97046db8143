//! What a log holds that was never served before, and that it is written once.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    MemoryStore, Read, ReadError, Subscribe, Subscription,
};
use factum_protocol::wire::v1::streams::read_resp::Content;
use factum_server::{Server, ServerOptions};
use tokio::sync::Semaphore;
use tonic::Code;

use crate::house::{House, of_all, read};

async fn types(house: &House) -> Vec<(String, String)> {
    let answers = read(&mut house.streams().await, of_all(1_000)).await.expect("the log");
    let of = |content: &Content| match content {
        Content::Event(event) => {
            event.event.as_ref().map(|event| (event.metadata["type"].clone(), event.id_text()))
        }
        _ => None,
    };
    answers.iter().filter_map(of).collect()
}

trait IdText {
    fn id_text(&self) -> String;
}

impl IdText for factum_protocol::wire::v1::RecordedEvent {
    fn id_text(&self) -> String {
        format!("{:?}", self.id)
    }
}

#[tokio::test]
async fn a_log_begins_with_system_events_and_they_are_written_once() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let house = || House::over(store.clone(), Server::new(store.clone(), ServerOptions::default()));
    let first = house().await;
    let written = types(&first).await;
    assert!(written.len() >= 10 && written.len() <= 20, "{}", written.len());
    assert!(written.iter().all(|(event_type, _)| event_type.starts_with('$')), "{written:?}");
    first.server.stop().await;
    let second = house().await;
    assert_eq!(types(&second).await, written);
}

#[tokio::test]
async fn their_ids_are_the_same_in_every_log() {
    let (one, other) = (House::of(ServerOptions::default()).await, House::of(ServerOptions::default()).await);
    let ids = |written: Vec<(String, String)>| {
        // The stream of figures has the address in its name.
        written.into_iter().filter(|(event_type, _)| event_type.contains("Projection")).collect::<Vec<_>>()
    };
    let (one, other) = (ids(types(&one).await), ids(types(&other).await));
    assert_eq!((one.len(), &one), (11, &other));
}

/// A store that takes an append when it is told to.
struct Held {
    store: MemoryStore,
    may: Arc<Semaphore>,
}

impl EventStore for Held {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let _may = self.may.acquire().await.expect("it is never closed");
            self.store.append(append).await
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.store.read(read)
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.store.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.store.delete(delete)
    }
}

#[tokio::test]
async fn until_they_are_written_the_server_is_not_ready() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let may = Arc::new(Semaphore::new(0));
    let store: Arc<dyn EventStore> = Arc::new(Held { store: MemoryStore::new(), may: may.clone() });
    let server = Server::new(store.clone(), ServerOptions::default());
    let listening = tokio::spawn(async move { server.listen(&free.to_string()).await });
    while tokio::net::TcpStream::connect(free).await.is_err() {
        tokio::task::yield_now().await;
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(crate::metrics::ask_at(free, "GET", path).await.0, 503);
    }
    assert_eq!(crate::metrics::ask_at(free, "GET", "/ping").await.0, 200);
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{free}")).expect("a url");
    let channel = endpoint.connect().await.expect("it listens");
    let mut client = factum_protocol::wire::v1::streams::streams_client::StreamsClient::new(channel);
    let refused = read(&mut client, of_all(1)).await.expect_err("it is not ready");
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "Server Is Not Ready"));
    may.add_permits(1);
    let server = listening.await.expect("it runs").expect("it listens");
    assert_eq!(crate::metrics::ask_at(free, "HEAD", "/health/live").await.0, 204);
    assert!(read(&mut client, of_all(1)).await.is_ok());
    server.stop().await;
}
