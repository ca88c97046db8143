//! What a log holds that was never served before, and that it is written once.

use std::sync::Arc;

use factum_core::{EventStore, MemoryStore};
use factum_protocol::wire::v1::streams::read_resp::Content;
use factum_server::{Server, ServerOptions};

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
