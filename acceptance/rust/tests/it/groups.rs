//! Persistent subscriptions, as the Rust client reads them.

use std::time::Duration;

use kurrentdb::{
    DeletePersistentSubscriptionOptions, Error, GetPersistentSubscriptionInfoOptions,
    ListPersistentSubscriptionsOptions, NakAction, PersistentSubscription, PersistentSubscriptionEvent,
    PersistentSubscriptionOptions, PersistentSubscriptionToAllOptions, ReplayParkedMessagesOptions,
    RestartPersistentSubscriptionSubsystem, StreamPosition, SubscribeToPersistentSubscriptionOptions,
    SubscriptionFilter, SystemConsumerStrategy,
};
use tokio::time::{sleep, timeout};

use crate::serving::Server;
use crate::{append, deposits, events, is_there, stream};

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn from_start() -> PersistentSubscriptionOptions {
    PersistentSubscriptionOptions::default().start_from(StreamPosition::Start)
}

async fn next(consumer: &mut PersistentSubscription) -> (kurrentdb::ResolvedEvent, usize) {
    loop {
        match timeout(PATIENCE, consumer.next_subscription_event()).await.expect("in time").unwrap() {
            PersistentSubscriptionEvent::EventAppeared { event, retry_count } => return (event, retry_count),
            PersistentSubscriptionEvent::Confirmed(_) => {}
        }
    }
}

#[tokio::test]
async fn events_are_acknowledged_retried_and_parked_and_come_back() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    append(&client, &name, deposits(3)).await;
    let created = client.create_persistent_subscription(name.as_str(), "group", &from_start()).await;
    if !is_there("events_are_acknowledged_retried_and_parked_and_come_back", &created) {
        return;
    }
    created.unwrap();
    let options = SubscribeToPersistentSubscriptionOptions::default();
    let mut consumer = client.subscribe_to_persistent_subscription(name.as_str(), "group", &options).await.unwrap();
    let (first, retries) = next(&mut consumer).await;
    assert_eq!((first.get_original_event().revision, retries), (0, 0));
    consumer.nack(&first, NakAction::Retry, "again").await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (event, retries) = next(&mut consumer).await;
        let revision = event.get_original_event().revision;
        seen.push((revision, retries));
        match revision {
            2 => consumer.nack(&event, NakAction::Park, "cannot be read").await.unwrap(),
            _ => consumer.ack(&event).await.unwrap(),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [(0, 1), (1, 0), (2, 0)]);
    let info = GetPersistentSubscriptionInfoOptions::default();
    let parked = async || {
        let info = client.get_persistent_subscription_info(name.as_str(), "group", &info).await.unwrap();
        info.stats.parked_message_count
    };
    timeout(PATIENCE, async {
        while parked().await != 1 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("one is parked");
    client.replay_parked_messages(&name, "group", &ReplayParkedMessagesOptions::default()).await.unwrap();
    let (replayed, _) = next(&mut consumer).await;
    assert_eq!(replayed.event.unwrap().revision, 2);
}

#[tokio::test]
async fn groups_are_created_listed_and_deleted_once() {
    let server = Server::start();
    let client = server.client();
    let name = stream();
    let options = from_start().consumer_strategy_name(SystemConsumerStrategy::Pinned).max_retry_count(4);
    let created = client.create_persistent_subscription(name.as_str(), "group", &options).await;
    if !is_there("groups_are_created_listed_and_deleted_once", &created) {
        return;
    }
    created.unwrap();
    let twice = client.create_persistent_subscription(name.as_str(), "group", &options).await;
    assert!(matches!(twice, Err(Error::ResourceAlreadyExists)), "{twice:?}");
    let info = GetPersistentSubscriptionInfoOptions::default();
    let told = client.get_persistent_subscription_info(name.as_str(), "group", &info).await.unwrap();
    let settings = told.settings.unwrap();
    assert_eq!((settings.max_retry_count, settings.start_from), (4, StreamPosition::Start));
    assert_eq!(settings.consumer_strategy_name, SystemConsumerStrategy::Pinned);
    let list = ListPersistentSubscriptionsOptions::default();
    assert_eq!(client.list_all_persistent_subscriptions(&list).await.unwrap().len(), 1);
    client.update_persistent_subscription(name.as_str(), "group", &from_start().max_retry_count(7)).await.unwrap();
    let restart = RestartPersistentSubscriptionSubsystem::default();
    client.restart_persistent_subscription_subsystem(&restart).await.unwrap();
    let delete = DeletePersistentSubscriptionOptions::default();
    client.delete_persistent_subscription(name.as_str(), "group", &delete).await.unwrap();
    let gone = client.delete_persistent_subscription(name.as_str(), "group", &delete).await;
    assert!(matches!(gone, Err(Error::ResourceNotFound)), "{gone:?}");
    let options = SubscribeToPersistentSubscriptionOptions::default();
    // The call may fail, or the first thing that is read from it.
    let gone = match client.subscribe_to_persistent_subscription(name.as_str(), "group", &options).await {
        Ok(mut consumer) => consumer.next().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(gone, Error::ResourceNotFound), "{gone}");
}

#[tokio::test]
async fn a_group_of_the_log_sees_what_its_filter_passes() {
    let server = Server::start();
    let client = server.client();
    let filter = SubscriptionFilter::on_event_type().add_prefix("Wanted");
    let options = PersistentSubscriptionToAllOptions::default().start_from(StreamPosition::Start).filter(filter);
    let created = client.create_persistent_subscription_to_all("group", &options).await;
    if !is_there("a_group_of_the_log_sees_what_its_filter_passes", &created) {
        return;
    }
    created.unwrap();
    let name = stream();
    append(&client, &name, deposits(2)).await;
    append(&client, &name, events(2, "Wanted")).await;
    let options = SubscribeToPersistentSubscriptionOptions::default();
    let mut consumer = client.subscribe_to_persistent_subscription_to_all("group", &options).await.unwrap();
    for revision in [2, 3] {
        let (event, _) = next(&mut consumer).await;
        assert_eq!(event.get_original_event().revision, revision);
        consumer.ack(&event).await.unwrap();
    }
}
