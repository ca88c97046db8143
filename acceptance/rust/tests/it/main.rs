//! KurrentDB's own Rust client, against `factum serve`.

mod batch;
mod groups;
mod operations;
mod serving;
mod streams;
mod subscribe;

use kurrentdb::{AppendToStreamOptions, Client, EventData, Position, ReadStreamOptions, ResolvedEvent, StreamState};
use serde_json::json;
use uuid::Uuid;

/// A name that no other test has.
fn stream() -> String {
    format!("account-{}", Uuid::new_v4())
}

/// Events of a type, each another.
fn events(count: usize, event_type: &str) -> Vec<EventData> {
    (0..count).map(|n| EventData::json(event_type, &json!({ "n": n })).unwrap()).collect()
}

/// `count` deposits.
fn deposits(count: usize) -> Vec<EventData> {
    events(count, "Deposited")
}

fn expecting(state: StreamState) -> AppendToStreamOptions {
    AppendToStreamOptions::default().stream_state(state)
}

/// Appends to a stream in whatever state.
async fn append(client: &Client, stream: &str, events: Vec<EventData>) -> Position {
    client.append_to_stream(stream, &expecting(StreamState::Any), events).await.unwrap().position
}

/// Every event of the stream.
async fn read(client: &Client, stream: &str, options: &ReadStreamOptions) -> kurrentdb::Result<Vec<ResolvedEvent>> {
    let mut read = client.read_stream(stream, options).await?;
    let mut events = Vec::new();
    while let Some(event) = read.next().await? {
        events.push(event);
    }
    Ok(events)
}

fn revisions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.get_original_event().revision).collect()
}

/// Whether the server has what a test asks for. One that is not built in yet is said, by the test's name, not passed over.
fn is_there<T>(test: &str, answer: &kurrentdb::Result<T>) -> bool {
    let missing = matches!(answer, Err(kurrentdb::Error::UnsupportedFeature));
    if missing {
        eprintln!("SKIPPED {test}: the server has no such calls yet");
        if let Some(path) = std::env::var_os("FACTUM_SKIPS") {
            use std::io::Write;
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            writeln!(file.unwrap(), "SKIPPED {test}: the server has no such calls yet").unwrap();
        }
    }
    !missing
}
