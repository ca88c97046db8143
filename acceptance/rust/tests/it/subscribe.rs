//! Catch-up subscriptions, and how the client takes them up again.

use std::time::Duration;

use kurrentdb::{
    Error, RetryOptions, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions, Subscription,
    SubscriptionEvent, SubscriptionFilter, TombstoneStreamOptions,
};
use tokio::time::timeout;

use crate::serving::Server;
use crate::{append, deposits, events, stream};

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// From its start: the client's own default is its end.
fn from_start() -> SubscribeToStreamOptions {
    SubscribeToStreamOptions::default().start_from(StreamPosition::Start)
}

async fn next(subscription: &mut Subscription) -> SubscriptionEvent {
    timeout(PATIENCE, subscription.next_subscription_event()).await.expect("in time").unwrap()
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut revisions = Vec::new();
    while revisions.len() < count {
        let event = timeout(PATIENCE, subscription.next()).await.expect("in time").unwrap();
        revisions.push(event.get_original_event().revision);
    }
    revisions
}

#[tokio::test]
async fn a_stream_is_followed_confirmed_caught_up_and_live() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    append(&client, &name, deposits(2)).await;
    let mut subscription = client.subscribe_to_stream(name.as_str(), &from_start()).await;
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::Confirmed(id) if !id.is_empty()));
    for revision in 0..2 {
        match next(&mut subscription).await {
            SubscriptionEvent::EventAppeared(event) => assert_eq!(event.get_original_event().revision, revision),
            other => panic!("{other:?}"),
        }
    }
    match next(&mut subscription).await {
        SubscriptionEvent::CaughtUp(Some(told)) => assert_eq!(told.stream_revision, Some(1)),
        other => panic!("{other:?}"),
    }
    append(&client, &name, deposits(3)).await;
    assert_eq!(take(&mut subscription, 3).await, [2, 3, 4]);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_waited_for() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let mut subscription = client.subscribe_to_stream(name.as_str(), &from_start()).await;
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::Confirmed(_)));
    append(&client, &name, deposits(1)).await;
    assert_eq!(take(&mut subscription, 1).await, [0]);
}

#[tokio::test]
async fn the_log_is_followed_from_a_position_and_through_a_filter() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let position = append(&client, &name, deposits(1)).await;
    let options = SubscribeToAllOptions::default().position(StreamPosition::Position(position));
    let filter = SubscriptionFilter::on_event_type().add_prefix("Wanted");
    let mut filtered = client.subscribe_to_all(&options.clone().filter(filter)).await;
    let mut whole = client.subscribe_to_all(&options).await;
    append(&client, &name, deposits(2)).await;
    append(&client, &name, events(1, "Wanted")).await;
    assert_eq!(take(&mut whole, 3).await, [1, 2, 3]);
    assert_eq!(take(&mut filtered, 1).await, [3]);
}

#[tokio::test]
async fn a_tombstone_ends_a_subscription() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    append(&client, &name, deposits(1)).await;
    let mut subscription = client.subscribe_to_stream(name.as_str(), &from_start()).await;
    take(&mut subscription, 1).await;
    client.tombstone_stream(name.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    assert_eq!(take(&mut subscription, 1).await, [i64::MAX.unsigned_abs()]);
    assert!(matches!(subscription.next().await, Err(Error::ResourceDeleted)));
}

#[tokio::test]
async fn a_subscription_is_taken_up_again_after_a_kill() {
    let mut server = Server::start_kept();
    let client = server.client();
    append(&client, "kept-1", deposits(3)).await;
    let retry = RetryOptions::default().retry_forever().retry_delay(Duration::from_millis(100));
    let options = from_start().retry_options(retry);
    let mut subscription = client.subscribe_to_stream("kept-1", &options).await;
    assert_eq!(take(&mut subscription, 3).await, [0, 1, 2]);
    server.kill_and_start();
    let again = server.client();
    append(&again, "kept-1", deposits(2)).await;
    assert_eq!(take(&mut subscription, 2).await, [3, 4]);
}
