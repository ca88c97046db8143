//! Many appends over one call.

use futures::future::join_all;
use kurrentdb::{BatchAppendOptions, ReadStreamOptions, StreamState};

use crate::serving::Server;
use crate::{deposits, read, revisions, stream};

#[tokio::test]
async fn appends_over_one_call_are_answered_each_by_itself() {
    let server = Server::start();
    let client = server.client();
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let names: Vec<String> = (0..200).map(|_| stream()).collect();
    let answers = join_all(names.iter().map(|name| batch.append_to_stream(name, StreamState::NoStream, deposits(3)))).await;
    for (name, answer) in names.iter().zip(answers) {
        let answer = answer.unwrap();
        assert_eq!((answer.stream_name(), answer.current_revision()), (name.as_str(), Some(2)));
        assert_eq!(answer.stream_state(), Some(StreamState::NoStream));
        assert!(answer.current_position().is_some());
    }
    assert_eq!(revisions(&read(&client, &names[7], &ReadStreamOptions::default()).await.unwrap()), [0, 1, 2]);
}

#[tokio::test]
async fn an_append_that_is_refused_says_why() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    batch.append_to_stream(&name, StreamState::NoStream, deposits(1)).await.unwrap();
    let refused = batch.append_to_stream(&name, StreamState::StreamRevision(9), deposits(1)).await.unwrap_err();
    assert!(!refused.to_string().is_empty());
    // The client leaves the call after an error: the next one is another.
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let answer = batch.append_to_stream(&name, StreamState::StreamRevision(0), deposits(1)).await.unwrap();
    assert_eq!(answer.stream_state(), Some(StreamState::StreamRevision(0)));
}
