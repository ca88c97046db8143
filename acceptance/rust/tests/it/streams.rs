//! Appends, reads, deletes and metadata.

use std::time::Duration;

use kurrentdb::{
    CurrentRevision, DeleteStreamOptions, Error, EventData, ReadAllOptions, ReadEvent, ReadStreamOptions,
    StreamMetadata, StreamMetadataResult, StreamPosition, StreamState, SubscriptionFilter, TombstoneStreamOptions,
};
use serde_json::json;
use uuid::Uuid;

use crate::serving::Server;
use crate::{append, deposits, events, expecting, read, revisions, stream};

fn whole() -> ReadStreamOptions {
    ReadStreamOptions::default()
}

#[tokio::test]
async fn every_expected_state_is_taken_or_refused() {
    let server = Server::start();
    let client = server.client();
    let attempt = async |stream: &str, state| client.append_to_stream(stream, &expecting(state), deposits(1)).await;
    let refused = |result: kurrentdb::Result<_>, state, now| match result {
        Err(Error::WrongExpectedVersion { expected, current }) => assert_eq!((expected, current), (state, now)),
        other => panic!("{state:?}: {other:?}"),
    };
    for state in [StreamState::StreamExists, StreamState::StreamRevision(0), StreamState::StreamRevision(4)] {
        refused(attempt(&stream(), state).await, state, CurrentRevision::NoStream);
    }
    for state in [StreamState::Any, StreamState::NoStream] {
        assert_eq!(attempt(&stream(), state).await.unwrap().next_expected_version, 0);
    }
    let live = stream();
    append(&client, &live, deposits(3)).await;
    for state in [StreamState::NoStream, StreamState::StreamRevision(1), StreamState::StreamRevision(9)] {
        refused(attempt(&live, state).await, state, CurrentRevision::Current(2));
    }
    for (state, next) in [(StreamState::StreamRevision(2), 3), (StreamState::Any, 4), (StreamState::StreamExists, 5)] {
        assert_eq!(attempt(&live, state).await.unwrap().next_expected_version, next);
    }
}

#[tokio::test]
async fn an_append_twice_is_one_append() {
    let server = Server::start();
    let client = server.client();
    let (name, id) = (stream(), Uuid::new_v4());
    let event = || EventData::json("Opened", &json!({})).unwrap().id(id);
    let first = client.append_to_stream(name.as_str(), &expecting(StreamState::NoStream), event()).await.unwrap();
    for state in [StreamState::NoStream, StreamState::Any] {
        let again = client.append_to_stream(name.as_str(), &expecting(state), event()).await.unwrap();
        assert_eq!(again.position, first.position);
    }
    assert_eq!(read(&client, &name, &whole()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_are_read_as_they_were_written_with_their_positions() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let json = EventData::json("Opened", &json!({ "a": 1 })).unwrap().metadata_as_json(&json!({ "who": "me" })).unwrap();
    append(&client, &name, vec![json]).await;
    let position = append(&client, &name, vec![EventData::binary("Seen", vec![0, 255].into())]).await;
    let read = read(&client, &name, &whole()).await.unwrap();
    let [one, two] = [&read[0], &read[1]].map(|event| event.event.as_ref().unwrap());
    assert_eq!(one.as_json::<serde_json::Value>().unwrap(), json!({ "a": 1 }));
    assert_eq!((one.is_json, &one.custom_metadata[..]), (true, &br#"{"who":"me"}"#[..]));
    assert_eq!((two.is_json, &two.data[..], two.position), (false, &[0, 255][..], position));
    assert_eq!(read[1].commit_position, Some(position.commit));
}

#[tokio::test]
async fn a_stream_is_read_both_ways_and_tells_where_it_ends() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    append(&client, &name, deposits(10)).await;
    let some = async |options: ReadStreamOptions| revisions(&read(&client, &name, &options).await.unwrap());
    assert_eq!(some(whole().max_count(3)).await, [0, 1, 2]);
    assert_eq!(some(whole().position(StreamPosition::Position(8))).await, [8, 9]);
    assert_eq!(some(whole().backwards().position(StreamPosition::End).max_count(2)).await, [9, 8]);
    assert_eq!(some(whole().backwards().position(StreamPosition::Position(1))).await, [1, 0]);

    client
        .set_stream_metadata(name.as_str(), &expecting(StreamState::Any), &StreamMetadata::builder().max_count(4).build())
        .await
        .unwrap();
    let mut stream = client.read_stream(name.as_str(), &whole()).await.unwrap();
    let (mut first, mut last, mut count) = (None, None, 0);
    while let Some(event) = stream.next_read_event().await.unwrap() {
        match event {
            ReadEvent::FirstStreamPosition(position) => first = Some(position),
            ReadEvent::LastStreamPosition(position) => last = Some(position),
            ReadEvent::LastAllStreamPosition(_) => panic!("that is never told"),
            ReadEvent::Event(_) => count += 1,
        }
    }
    assert_eq!((first, last, count), (Some(6), Some(9), 4));
}

#[tokio::test]
async fn a_stream_that_is_missing_fails_late_and_one_that_is_tombstoned_fails_the_call() {
    let server = Server::start();
    let client = server.client();
    let mut missing = client.read_stream(stream(), &whole()).await.unwrap();
    assert!(matches!(missing.next().await, Err(Error::ResourceNotFound)));

    let name = stream();
    append(&client, &name, deposits(1)).await;
    client.tombstone_stream(name.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    assert!(matches!(client.read_stream(name.as_str(), &whole()).await, Err(Error::ResourceDeleted)));
    let written = client.append_to_stream(name.as_str(), &expecting(StreamState::Any), deposits(1)).await;
    assert!(matches!(written, Err(Error::ResourceDeleted)));
    let deleted = client.delete_stream(name.as_str(), &DeleteStreamOptions::default()).await;
    assert!(matches!(deleted, Err(Error::ResourceDeleted)));
    let metadata = client.get_stream_metadata(name.as_str(), &whole()).await;
    assert!(matches!(metadata, Err(Error::ResourceDeleted) | Ok(StreamMetadataResult::Deleted)), "{metadata:?}");
}

#[tokio::test]
async fn a_deleted_stream_is_not_found_and_comes_back() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    append(&client, &name, deposits(3)).await;
    let expecting_last = DeleteStreamOptions::default().stream_state(StreamState::StreamRevision(2));
    assert!(client.delete_stream(name.as_str(), &expecting_last).await.unwrap().is_some());
    assert!(matches!(read(&client, &name, &whole()).await, Err(Error::ResourceNotFound)));
    append(&client, &name, deposits(1)).await;
    assert_eq!(revisions(&read(&client, &name, &whole()).await.unwrap()), [3]);
    let wrong = DeleteStreamOptions::default().stream_state(StreamState::StreamRevision(1));
    assert!(client.delete_stream(name.as_str(), &wrong).await.is_err());
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_set() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let none = client.get_stream_metadata(name.as_str(), &whole()).await.unwrap();
    assert!(none.is_not_found());
    let metadata = StreamMetadata::builder()
        .max_count(2)
        .max_age(Duration::from_secs(3_600))
        .truncate_before(1)
        .insert_custom_property("colour", "blue")
        .build();
    client.set_stream_metadata(name.as_str(), &expecting(StreamState::NoStream), &metadata).await.unwrap();
    match client.get_stream_metadata(name.as_str(), &whole()).await.unwrap() {
        StreamMetadataResult::Success(read) => assert_eq!((read.version(), read.metadata()), (0, &metadata)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_log_is_read_both_ways_and_through_filters() {
    let server = Server::start();
    let client = server.client();
    let category = Uuid::new_v4().simple().to_string();
    let name = format!("{category}-1");
    append(&client, &name, events(2, "Wanted")).await;
    let position = append(&client, &name, events(1, "Other")).await;
    let all = async |options: ReadAllOptions| {
        let mut read = client.read_all(&options).await.unwrap();
        let mut types = Vec::new();
        while let Some(event) = read.next().await.unwrap() {
            types.push(event.get_original_event().event_type.clone());
        }
        types
    };
    let options = ReadAllOptions::default;
    assert_eq!(all(options().position(StreamPosition::Position(position))).await, ["Other"]);
    assert_eq!(all(options().backwards().position(StreamPosition::Position(position)).max_count(1)).await, ["Wanted"]);
    let of_stream = SubscriptionFilter::on_stream_name().add_prefix(&category);
    assert_eq!(all(options().filter(of_stream)).await, ["Wanted", "Wanted", "Other"]);
    let of_type = SubscriptionFilter::on_event_type().regex("^Want(?!ing)");
    assert_eq!(all(options().filter(of_type)).await, ["Wanted", "Wanted"]);
    let ours = SubscriptionFilter::on_event_type().exclude_system_events();
    assert_eq!(all(options().filter(ours)).await, ["Wanted", "Wanted", "Other"]);
}

#[tokio::test]
async fn links_of_a_category_are_resolved() {
    let server = Server::start();
    let client = server.client();
    let category = Uuid::new_v4().simple().to_string();
    append(&client, &format!("{category}-1"), deposits(2)).await;
    let links = format!("$ce-{category}");
    let resolved = read(&client, &links, &whole().resolve_link_tos()).await.unwrap();
    assert!(resolved.iter().all(|event| event.is_resolved() && event.get_original_stream_id() == links));
    let shown = read(&client, &links, &whole()).await.unwrap();
    assert!(shown.iter().all(|event| event.get_original_event().event_type == "$>"));
    assert_eq!(shown.len(), 2);
}

#[tokio::test]
async fn a_client_finds_the_server_again_after_it_was_killed() {
    let mut server = Server::start_kept();
    let client = server.client();
    append(&client, "kept-1", deposits(2)).await;
    server.kill_and_start();
    // The first calls may meet the old connection.
    let mut tries = 0;
    let read = loop {
        match read(&client, "kept-1", &whole()).await {
            Ok(events) => break events,
            Err(error) => assert!(tries < 20, "{error}"),
        }
        tries += 1;
    };
    assert_eq!(revisions(&read), [0, 1]);
}
