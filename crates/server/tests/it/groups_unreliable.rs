//! Groups: consumers that come and go, refuse and forget to answer. Is every event handled in the end?

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use factum_core::{EventStoreExt, MemoryStore, Read};
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use wire::read_req::nack::Action;

use crate::group_client::{Setup, from_start, name, settings};

const EVENTS: u64 = 300;
const CONSUMERS: u64 = 4;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Connects, handles some events in its own way, and goes, again and again.
async fn consume(setup: Arc<Setup>, handled: Arc<Mutex<BTreeSet<u64>>>, mut dice: Dice) {
    loop {
        let slots = i32::try_from(1 + dice.below(8)).unwrap();
        let mut reader = setup.consumer("s", "g", slots).await.unwrap();
        for _ in 0..dice.below(40) {
            let given = reader.event().await;
            let revision = given.revision();
            let done = match dice.below(20) {
                0 => None,
                1 | 2 => Some(Action::Retry),
                3 => Some(Action::Park),
                4 => Some(Action::Skip),
                _ => {
                    handled.lock().unwrap().insert(revision);
                    reader.ack(&[given]).await;
                    continue;
                }
            };
            let Some(action) = done else { continue };
            if action == Action::Skip {
                handled.lock().unwrap().insert(revision);
            }
            reader.nack(&[given], action, "").await;
        }
    }
}

async fn every_event_is_handled(strategy: &str, seed: u64) {
    let setup = Arc::new(Setup::over(MemoryStore::new()).await);
    let chosen = wire::Settings {
        max_retry_count: 3,
        message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutMs(200)),
        checkpoint_after: Some(wire::settings::CheckpointAfter::CheckpointAfterMs(1)),
        history_buffer_size: 30,
        live_buffer_size: 10,
        consumer_strategy: strategy.to_owned(),
        ..settings()
    };
    setup.create(from_start("s", "g", chosen)).await.unwrap();
    let handled = Arc::new(Mutex::new(BTreeSet::new()));
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|number| tokio::spawn(consume(setup.clone(), handled.clone(), Dice(seed + number))))
        .collect();
    for _ in 0..EVENTS / 10 {
        setup.fill("s", 10).await;
        tokio::task::yield_now().await;
    }
    let last = (EVENTS - 1).to_string();
    setup.until("s", "g", |info| info.last_checkpointed_event_position == last).await;
    for consumer in consumers {
        assert!(!consumer.is_finished(), "a consumer failed");
        consumer.abort();
    }
    let parked =
        setup.store.read_all(Read::stream(name("$persistentsubscription-s::g-parked"))).await.unwrap();
    let revision = |link: &factum_core::RecordedEvent| {
        std::str::from_utf8(link.data_slice()).unwrap().strip_suffix("@s").unwrap().parse::<u64>().unwrap()
    };
    let mut all = handled.lock().unwrap().clone();
    all.extend(parked.iter().map(revision));
    assert_eq!(all, (0..EVENTS).collect(), "{strategy}");
    assert!(!parked.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_handled_one_after_the_other() {
    every_event_is_handled("RoundRobin", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_handled_where_it_is_pinned() {
    every_event_is_handled("Pinned", 100).await;
}
