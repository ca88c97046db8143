//! Groups: what is left of them after the server stopped, or was killed.

use std::collections::BTreeSet;

use factum_core::{EventStoreExt, MemoryStore, Read};
use factum_engine::{Engine, Options};
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use tonic::Code;
use wire::read_req::nack::Action;
use wire::stream_options::RevisionOption;

use crate::group_client::{Setup, from, from_start, name, revisions, settings};

/// Few checkpoints by themselves: what a stop writes is seen.
fn seldom() -> wire::Settings {
    wire::Settings { min_checkpoint_count: 1_000, max_checkpoint_count: 1_000, ..settings() }
}

#[tokio::test]
async fn a_server_that_stops_writes_progress_and_tells_consumers() {
    let store = MemoryStore::new();
    let setup = Setup::over(store.clone()).await;
    setup.fill("s", 3).await;
    setup.create(from_start("s", "g", seldom())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(3).await;
    reader.ack(&events[..1]).await;
    reader.nack(&events[2..], Action::Park, "later").await;
    setup.until("s", "g", |info| info.parked_message_count == 1).await;
    assert_eq!(setup.info("s", "g").await.unwrap().last_checkpointed_event_position, "");
    let Setup { server, .. } = setup;
    let (status, ()) = tokio::join!(reader.end(), server.stop());
    let status = status.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server is shutting down"));
    let stream = name("$persistentsubscription-s::g-checkpoint");
    let written = store.read_all(Read::stream(stream.clone())).await.unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(
        (written[0].event_type(), written[0].data_slice()),
        ("$SubscriptionCheckpoint", &br#""0""#[..])
    );
    assert_eq!(store.stream_metadata(stream).await.unwrap().max_count, Some(2));

    let setup = Setup::over(store).await;
    let info = setup.info("s", "g").await.unwrap();
    assert_eq!((info.last_checkpointed_event_position.as_str(), info.parked_message_count), ("0", 1));
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    // The parked event is handled, but behind one that is not: at least once.
    assert_eq!(revisions(&reader.events(2).await), [1, 2]);
}

#[tokio::test]
async fn a_group_from_the_end_keeps_its_beginning() {
    let store = MemoryStore::new();
    let setup = Setup::over(store.clone()).await;
    setup.fill("s", 2).await;
    setup.create(from("s", "g", RevisionOption::End(()))).await.unwrap();
    setup.fill("s", 1).await;
    setup.server.stop().await;
    let setup = Setup::over(store.clone()).await;
    setup.fill("s", 1).await;
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&reader.events(2).await), [2, 3]);
    let config = store.last_event(name("$persistentSubscriptionConfig")).await.unwrap().unwrap();
    assert_eq!(config.event_type(), "$PersistentConfig");
    let config: serde_json::Value = serde_json::from_slice(config.data_slice()).unwrap();
    assert_eq!(
        (&config["entries"][0]["stream"], &config["entries"][0]["startPosition"]),
        (&"s".into(), &"-1".into())
    );
}

/// Runs a server over the directory in a runtime that is torn down with everything in it: no group gets to say goodbye.
fn until_killed<T>(dir: &std::path::Path, work: impl AsyncFnOnce(&Setup) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, outcome) = runtime.block_on(async {
        let setup = Setup::over(Engine::open(dir, Options::default()).unwrap()).await;
        let outcome = work(&setup).await;
        (setup.server, outcome)
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    drop(server);
    outcome
}

#[test]
fn a_group_survives_a_kill_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let chosen = || wire::Settings { max_checkpoint_count: 10, min_checkpoint_count: 10, ..settings() };
    until_killed(dir.path(), async |setup| {
        setup.fill("s", 100).await;
        setup.create(from_start("s", "g", chosen())).await.unwrap();
    });
    let mut handled = BTreeSet::new();
    let mut rounds = 0;
    while handled.len() < 100 {
        rounds += 1;
        assert!(rounds < 50, "it does not move on: {} of 100", handled.len());
        let now = until_killed(dir.path(), async |setup| {
            let mut reader = setup.consumer("s", "g", 20).await.unwrap();
            let mut now = Vec::new();
            while now.len() < 27 && now.last() != Some(&99) {
                let given = reader.event().await;
                now.push(given.revision());
                if given.revision() % 50 == 7 {
                    reader.nack(&[given], Action::Park, "odd").await;
                } else {
                    reader.ack(&[given]).await;
                }
            }
            // Ten events after the last checkpoint there is another one, and it is on disk before the kill.
            let at_least = now[0] + 9;
            let written = |info: &wire::SubscriptionInfo| {
                info.last_checkpointed_event_position.parse().is_ok_and(|place: u64| place >= at_least)
            };
            if now.last() != Some(&99) {
                setup.until("s", "g", written).await;
            }
            now
        });
        let first = now[0];
        assert!(
            (0..first).all(|revision| handled.contains(&revision)),
            "{first} comes before what was handled"
        );
        handled.extend(now);
    }
    until_killed(dir.path(), async |setup| {
        let info = setup.info("s", "g").await.unwrap();
        assert!(info.parked_message_count >= 2, "{info:?}");
        let checkpoint: u64 = info.last_checkpointed_event_position.parse().unwrap();
        assert!(checkpoint >= 60, "{checkpoint}");
        setup.fill("s", 1).await;
        let mut reader = setup.consumer("s", "g", 200).await.unwrap();
        while reader.event().await.revision() < 100 {}
    });
}

#[tokio::test]
async fn a_group_of_a_deleted_stream_says_why_it_does_not_move() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 1).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    reader.event().await;
    let delete = factum_core::Delete {
        stream: name("s"),
        expected: factum_core::ExpectedRevision::Any,
        mode: factum_core::DeleteMode::Tombstone,
    };
    setup.store.delete(delete).await.unwrap();
    setup.until("s", "g", |info| info.status.contains("is deleted for ever")).await;
}
