//! Groups: what becomes of events that are not handled.

use factum_core::{EventStoreExt, MemoryStore, Read};
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use wire::read_req::nack::Action;

use crate::group_client::{Setup, from_start, name, revisions, settings, trailer};

const PARKED: &str = "$persistentsubscription-s::g-parked";

async fn metadata_of_parked(setup: &Setup) -> Vec<(String, serde_json::Value)> {
    let events = setup.store.read_all(Read::stream(name(PARKED))).await.unwrap();
    let read = |event: &factum_core::RecordedEvent| {
        assert_eq!(event.event_type(), "$>");
        let data = String::from_utf8(event.data_slice().to_vec()).unwrap();
        (data, serde_json::from_slice(event.metadata_slice()).unwrap())
    };
    events.iter().map(read).collect()
}

#[tokio::test]
async fn parked_events_are_kept_with_their_reason_and_replayed_the_oldest_first() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 4).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(4).await;
    reader.nack(&events[1..], Action::Park, "no such account").await;
    reader.ack(&events[..1]).await;
    let info = setup.until("s", "g", |info| info.parked_message_count == 3).await;
    assert_eq!(info.total_in_flight_messages + info.outstanding_messages_count, 0);
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "3").await;
    let parked = metadata_of_parked(&setup).await;
    assert_eq!(parked.len(), 3);
    assert_eq!((parked[0].0.as_str(), parked[2].0.as_str()), ("1@s", "3@s"));
    assert_eq!(parked[0].1["reason"], "no such account");
    assert_eq!(parked[0].1["subscriptionEventNumber"], 1);

    setup.replay("s", "g", Some(2)).await.unwrap();
    let replayed = reader.events(2).await;
    assert_eq!(revisions(&replayed), [1, 2]);
    assert!(replayed.iter().all(|given| given.retries == 0));
    assert_eq!(replayed[0].link, Some((PARKED.to_owned(), 0)));
    assert_eq!(setup.info("s", "g").await.unwrap().parked_message_count, 1);
    assert!(reader.is_silent().await);
    assert_eq!(metadata_of_parked(&setup).await.len(), 3, "what is not handled stays");
    reader.ack(&replayed[..1]).await;
    reader.nack(&replayed[1..], Action::Park, "still none").await;
    // The first two are forgotten, the second is there anew.
    setup.until("s", "g", |info| info.parked_message_count == 2).await;
    let kept =
        async { metadata_of_parked(&setup).await.into_iter().map(|(link, _)| link).collect::<Vec<_>>() };
    assert_eq!(kept.await, ["3@s", "2@s"]);
    setup.replay("s", "g", None).await.unwrap();
    let replayed = reader.events(2).await;
    assert_eq!(revisions(&replayed), [3, 2]);
    reader.ack(&replayed).await;
    setup.until("s", "g", |info| info.outstanding_messages_count == 0).await;
    setup.replay("s", "g", None).await.unwrap();
    assert!(reader.is_silent().await, "nothing is parked");
}

#[tokio::test]
async fn an_event_is_retried_as_often_as_the_group_allows_and_parked_then() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 2).await;
    setup.create(from_start("s", "g", wire::Settings { max_retry_count: 2, ..settings() })).await.unwrap();
    let mut reader = setup.consumer("s", "g", 1).await.unwrap();
    for retries in 0..3 {
        let given = reader.event().await;
        assert_eq!((given.revision(), given.retries), (0, retries));
        reader.nack(&[given], Action::Retry, "the mail server is away").await;
    }
    let given = reader.event().await;
    assert_eq!((given.revision(), given.retries), (1, 0));
    reader.nack(&[given], Action::Skip, "").await;
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "1").await;
    let parked = metadata_of_parked(&setup).await;
    assert_eq!(parked.len(), 1);
    let reason = parked[0].1["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("delivered 3 times") && reason.ends_with("the mail server is away"),
        "{reason}"
    );
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_delivered_again() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 1).await;
    let short = wire::Settings {
        message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutMs(100)),
        ..settings()
    };
    setup.create(from_start("s", "g", short)).await.unwrap();
    let mut reader = setup.consumer("s", "g", 1).await.unwrap();
    assert_eq!(reader.event().await.retries, 0);
    assert_eq!(reader.event().await.retries, 1);
    // A consumer that breaks off leaves its events to the next one.
    drop(reader);
    let mut other = setup.consumer("s", "g", 1).await.unwrap();
    let given = other.event().await;
    assert!(given.retries >= 2);
    other.ack(&[given]).await;
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "0").await;
}

#[tokio::test]
async fn parked_links_of_an_index_are_replayed_as_what_they_were() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("account-1", 2).await;
    for (group, resolve, target) in [("resolved", true, "account-1"), ("links", false, "$ce-account")] {
        let chosen = wire::Settings { resolve_links: resolve, ..settings() };
        setup.create(from_start("$ce-account", group, chosen)).await.unwrap();
        let mut reader = setup.consumer("$ce-account", group, 10).await.unwrap();
        let events = reader.events(2).await;
        reader.nack(&events, Action::Park, "").await;
        setup.until("$ce-account", group, |info| info.parked_message_count == 2).await;
        setup.replay("$ce-account", group, None).await.unwrap();
        let replayed = reader.events(2).await;
        assert!(replayed.iter().all(|given| given.event.as_ref().unwrap().0 == target), "{replayed:?}");
        assert_eq!(revisions(&replayed), revisions(&events));
    }
}

#[tokio::test]
async fn parked_events_can_be_forgotten() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 5).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(5).await;
    reader.nack(&events, Action::Park, "").await;
    setup.until("s", "g", |info| info.parked_message_count == 5).await;
    let truncate = async |group, stop_at| {
        setup.client.clone().truncate_parked(Setup::parked_request("s", group, stop_at)).await
    };
    truncate("g", Some(0)).await.unwrap();
    truncate("g", Some(2)).await.unwrap();
    assert_eq!(setup.info("s", "g").await.unwrap().parked_message_count, 3);
    setup.replay("s", "g", Some(1)).await.unwrap();
    assert_eq!(reader.event().await.revision(), 2);
    truncate("g", None).await.unwrap();
    assert_eq!(setup.info("s", "g").await.unwrap().parked_message_count, 0);
    let status = truncate("none", None).await.unwrap_err();
    assert_eq!(trailer(&status, "exception"), "persistent-subscription-does-not-exist");
}
