//! A snapshot saves work and never changes an answer: one that does not fit is as good as none.

use std::sync::Arc;

use factum::{
    CommandMetadata, Context, Decider, Executor, Outcome, RetryPolicy, SnapshotError, SnapshotStats,
    SnapshotWrite, Snapshots, snapshot_stream,
};
use factum_core::{
    AppendError, Category, Delete, DeleteMode, EventStore, EventStoreExt, EventType, ExpectedRevision,
    MemoryStore, NewEvent, Read, Revision, Selector, StreamMetadata, StreamView,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::faulty::Faulty;
use crate::wallet::{Purse, Refusal, Wallet, WalletCommand, WalletEvent, events_of, memory, stream, wallets};

fn kept(store: impl EventStore, every: u64) -> Executor<Wallet> {
    wallets(store).with_snapshots(Snapshots::every(every))
}

async fn fill<D: Decider<Command = WalletCommand, Rejection = Refusal>>(
    wallets: &Executor<D>,
    times: u64,
) -> Vec<Outcome<D::Event>> {
    let mut outcomes = Vec::new();
    for _ in 0..times {
        let command = WalletCommand::Fill(1);
        outcomes.push(
            wallets.execute(&stream("wallet-1"), &command, &CommandMetadata::new()).await.ok().unwrap(),
        );
    }
    outcomes
}

/// What a full replay says.
async fn truth(store: &MemoryStore) -> Purse {
    wallets(store.clone()).load(&stream("wallet-1")).await.unwrap().state
}

#[tokio::test]
async fn one_is_written_every_so_many_events_and_saves_the_rest() {
    let store = memory();
    let wallets = kept(store.clone(), 10);
    let outcomes = fill(&wallets, 25).await;
    let written: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome.applied()?.snapshot {
            SnapshotWrite::Written(revision) => Some(revision.0),
            _ => None,
        })
        .collect();
    assert_eq!(written, [9, 19]);
    let loaded = wallets.load(&stream("wallet-1")).await.unwrap();
    assert_eq!(loaded.state, Purse { cents: 25, events: 25 });
    assert_eq!((loaded.revision, loaded.events), (Some(Revision(24)), 5));
    let stats = wallets.snapshot_stats();
    assert_eq!((stats.written, stats.failed, stats.missing), (2, 0, 10));
    assert_eq!(stats.used, 16);
}

#[tokio::test]
async fn the_default_is_every_hundred() {
    let wallets = wallets(memory()).with_snapshots(Snapshots::default());
    fill(&wallets, 100).await;
    assert_eq!(wallets.snapshot_stats().written, 1);
    assert_eq!(wallets.load(&stream("wallet-1")).await.unwrap().events, 0);
}

#[tokio::test]
async fn only_the_last_is_kept_in_a_category_of_its_own() {
    let store = memory();
    fill(&kept(store.clone(), 10), 40).await;
    let name = snapshot_stream(&stream("wallet-1")).unwrap();
    assert_eq!(name.as_str(), "wallet:snapshot-1");
    assert_eq!(events_of(&store, "wallet:snapshot-1").await.len(), 1);
    let recorded = Read::stream(name.clone()).view(StreamView::Recorded);
    assert_eq!(store.read_all(recorded).await.unwrap().len(), 4);
    let category = Selector::Category(Category::new("wallet").unwrap());
    assert_eq!(store.read_all(Read::forwards(category)).await.unwrap().len(), 40);
    assert_eq!(store.stream_metadata(name).await.unwrap().max_count, Some(1));
}

#[tokio::test]
async fn it_says_what_it_was_taken_of() {
    let store = memory();
    fill(&kept(store.clone(), 10), 10).await;
    let snapshot = store.last_event(stream("wallet:snapshot-1")).await.unwrap().unwrap();
    let source = store.last_event(stream("wallet-1")).await.unwrap().unwrap();
    assert_eq!(snapshot.event_type(), factum::SNAPSHOT_TYPE);
    assert_eq!(snapshot.data(), r#"{"cents":10,"events":10}"#);
    let metadata: serde_json::Value = serde_json::from_slice(snapshot.metadata_slice()).unwrap();
    assert_eq!(metadata["sourceRevision"], 9);
    assert_eq!(metadata["sourceEventId"], source.id().to_string());
    assert_eq!(metadata["stateFingerprint"], Snapshots::<Purse>::every(10).fingerprint::<WalletEvent>());
    assert_eq!(metadata["factum"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_state_may_ask_for_one() {
    let store = memory();
    let wallets = wallets(store.clone())
        .with_snapshots(Snapshots::every(1_000).or_when(|purse: &Purse| purse.cents == 3));
    fill(&wallets, 5).await;
    assert_eq!(wallets.snapshot_stats().written, 1);
    assert_eq!(wallets.load(&stream("wallet-1")).await.unwrap().events, 2);
}

#[tokio::test]
async fn one_that_cannot_be_written_fails_no_command() {
    let store = Faulty::new(memory()).before_append(|_, append| {
        let snapshot = append.writes.iter().any(|write| write.stream.contains(":snapshot"));
        if snapshot { Err(AppendError::DiskFull) } else { Ok(()) }
    });
    let wallets = kept(store.clone(), 10);
    let outcomes = fill(&wallets, 12).await;
    let failed = |outcome: &Outcome<_>| {
        let snapshot = &outcome.applied().unwrap().snapshot;
        matches!(snapshot, SnapshotWrite::Failed(SnapshotError::Store(AppendError::DiskFull)))
    };
    assert_eq!(outcomes.iter().map(failed).collect::<Vec<_>>()[8..], [false, true, true, true]);
    assert_eq!(wallets.snapshot_stats().failed, 3);
    assert_eq!(truth(&store.store).await.cents, 12);
}

#[tokio::test]
async fn a_stream_without_room_for_the_name_has_none() {
    let wallets = kept(memory(), 1);
    let long = stream(&"w".repeat(1_020));
    let outcome = wallets.execute(&long, &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap();
    let snapshot = &outcome.applied().unwrap().snapshot;
    assert!(matches!(snapshot, SnapshotWrite::Failed(SnapshotError::NoName { .. })), "{snapshot:?}");
}

/// The same rules with one more field in the state: what a deployment of new code is.
struct Thrifty;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct ThriftyPurse {
    cents: u64,
    events: u64,
    /// New: an old snapshot decodes, and would silently say zero.
    #[serde(default)]
    fillings: u64,
}

impl Decider for Thrifty {
    type State = ThriftyPurse;
    type Command = WalletCommand;
    type Event = WalletEvent;
    type Rejection = Refusal;

    fn initial_state(&self) -> ThriftyPurse {
        ThriftyPurse::default()
    }
    fn evolve(&self, purse: &mut ThriftyPurse, event: &WalletEvent) {
        purse.events += 1;
        if let WalletEvent::Filled { cents } = event {
            purse.cents += cents;
            purse.fillings += 1;
        }
    }
    fn decide(
        &self,
        _: &ThriftyPurse,
        command: &WalletCommand,
        _: &Context,
    ) -> Result<Vec<WalletEvent>, Refusal> {
        match command {
            WalletCommand::Fill(cents) => Ok(vec![WalletEvent::Filled { cents: *cents }]),
            _ => Ok(vec![]),
        }
    }
}

/// semantics.md 9, item 13.
#[tokio::test]
async fn a_snapshot_of_a_changed_state_type_is_not_used() {
    let store = memory();
    fill(&kept(store.clone(), 10), 15).await;
    let thrifty = Executor::new(Arc::new(store.clone()), Thrifty, RetryPolicy::NEVER)
        .with_snapshots(Snapshots::every(10));
    let loaded = thrifty.load(&stream("wallet-1")).await.unwrap();
    assert_eq!(loaded.state, ThriftyPurse { cents: 15, events: 15, fillings: 15 });
    assert_eq!(loaded.events, 15);
    assert_eq!(thrifty.snapshot_stats().other_fingerprint, 1);
    // The next commit replaces it, since so much had to be folded.
    fill(&thrifty, 1).await;
    let loaded = thrifty.load(&stream("wallet-1")).await.unwrap();
    assert_eq!((loaded.state.fillings, loaded.events), (16, 0));
    // And the old code, still running beside the new, does not use the new one either.
    let old = kept(store.clone(), 10);
    assert_eq!(old.load(&stream("wallet-1")).await.unwrap().state, truth(&store).await);
    assert_eq!(old.snapshot_stats().other_fingerprint, 1);
}

#[tokio::test]
async fn a_changed_fold_can_be_said() {
    let store = memory();
    fill(&kept(store.clone(), 10), 10).await;
    let changed = wallets(store).with_snapshots(Snapshots::every(10).fold_changed(1));
    assert_eq!(changed.load(&stream("wallet-1")).await.unwrap().events, 10);
    assert_eq!(changed.snapshot_stats().other_fingerprint, 1);
}

/// Loads through a snapshot stream that has been tampered with, and expects the truth.
async fn check_ignored(store: &MemoryStore, counted: fn(&SnapshotStats) -> u64) {
    let wallets = kept(store.clone(), 10);
    let loaded = wallets.load(&stream("wallet-1")).await.unwrap();
    assert_eq!(loaded.state, truth(store).await);
    let stats = wallets.snapshot_stats();
    assert_eq!((counted(&stats), stats.used), (1, 0), "{stats:?}");
}

#[tokio::test]
async fn one_that_is_missing_or_deleted_is_ignored() {
    let store = memory();
    fill(&wallets(store.clone()), 3).await;
    check_ignored(&store, |stats| stats.missing).await;
    fill(&kept(store.clone(), 3), 1).await;
    let delete = |mode| Delete { stream: stream("wallet:snapshot-1"), expected: ExpectedRevision::Any, mode };
    store.delete(delete(DeleteMode::Soft)).await.unwrap();
    check_ignored(&store, |stats| stats.missing).await;
    store.delete(delete(DeleteMode::Tombstone)).await.unwrap();
    check_ignored(&store, |stats| stats.unreadable).await;
}

#[tokio::test]
async fn one_that_cannot_be_decoded_is_ignored() {
    let store = memory();
    fill(&kept(store.clone(), 10), 12).await;
    let good = store.last_event(stream("wallet:snapshot-1")).await.unwrap().unwrap();
    let event = |data: &str, metadata: bytes::Bytes| {
        let event_type = EventType::new(factum::SNAPSHOT_TYPE).unwrap();
        NewEvent::json(event_type, data.to_owned()).with_metadata(metadata)
    };
    for (data, metadata) in [
        (r#"{"cents":"many"}"#, good.metadata()),
        (r#"{"cents":1,"events":1}"#, bytes::Bytes::from_static(b"{}")),
        (r#"{"cents":1,"events":1}"#, bytes::Bytes::new()),
    ] {
        let events = vec![event(data, metadata)];
        store.append_to(stream("wallet:snapshot-1"), ExpectedRevision::Any, events).await.unwrap();
        check_ignored(&store, |stats| stats.undecodable).await;
    }
}

/// The log was restored to before the snapshot's last event, but the snapshot's stream was not.
#[tokio::test]
async fn one_that_is_ahead_of_its_stream_is_ignored() {
    let (before, restored) = (memory(), memory());
    fill(&kept(before.clone(), 10), 10).await;
    fill(&wallets(restored.clone()), 4).await;
    copy_snapshot(&before, &restored).await;
    check_ignored(&restored, |stats| stats.ahead).await;
    // The stream has grown past the snapshot again, with other events than those that it was taken of.
    fill(&wallets(restored.clone()), 16).await;
    check_ignored(&restored, |stats| stats.other_history).await;
}

async fn copy_snapshot(from: &MemoryStore, to: &MemoryStore) {
    let snapshot = from.last_event(stream("wallet:snapshot-1")).await.unwrap().unwrap();
    let event_type = EventType::new(snapshot.event_type()).unwrap();
    let copy = NewEvent::json(event_type, snapshot.data()).with_metadata(snapshot.metadata());
    to.append_to(stream("wallet:snapshot-1"), ExpectedRevision::Any, vec![copy]).await.unwrap();
}

#[tokio::test]
async fn one_of_before_a_deletion_or_truncation_is_ignored() {
    let store = memory();
    fill(&kept(store.clone(), 10), 10).await;
    let delete =
        Delete { stream: stream("wallet-1"), expected: ExpectedRevision::Any, mode: DeleteMode::Soft };
    store.delete(delete).await.unwrap();
    check_ignored(&store, |stats| stats.ahead).await;
    fill(&wallets(store.clone()), 2).await;
    assert_eq!(truth(&store).await.events, 2);
    check_ignored(&store, |stats| stats.other_history).await;
    // One that was taken since is used.
    fill(&kept(store.clone(), 10), 10).await;
    let wallets = kept(store.clone(), 10);
    assert_eq!(wallets.load(&stream("wallet-1")).await.unwrap().state, truth(&store).await);
    assert_eq!(wallets.snapshot_stats().used, 1);
    let hide = StreamMetadata { truncate_before: Some(15), ..StreamMetadata::default() };
    store.set_stream_metadata(stream("wallet-1"), &hide).await.unwrap();
    check_ignored(&store, |stats| stats.other_history).await;
}

#[tokio::test]
async fn the_append_goes_to_the_true_head_whatever_the_snapshot_says() {
    let store = memory();
    let wallets = kept(store.clone(), 10);
    fill(&wallets, 10).await;
    // Another writer without snapshots goes on.
    fill(&crate::wallet::wallets(store.clone()), 5).await;
    let outcome = fill(&wallets, 1).await.remove(0);
    assert_eq!(outcome.applied().unwrap().revision(), Some(Revision(15)));
    assert_eq!(wallets.load(&stream("wallet-1")).await.unwrap().state, truth(&store).await);
}

/// Whatever is done to a stream and to its snapshots, loading with them says the same as loading without.
#[tokio::test]
async fn snapshots_change_no_answer_whatever_happens() {
    let mut used = 0;
    for seed in 1..=40_u64 {
        let mut dice = seed;
        let mut below = |bound: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % bound
        };
        let store = memory();
        let kept = kept(store.clone(), 4);
        for step in 0..60 {
            let name = if below(6) == 0 { "wallet:snapshot-1" } else { "wallet-1" };
            let last = store.last_event(stream(name)).await.ok().flatten().map(|event| event.revision().0);
            match below(20) {
                0 => {
                    let mode = DeleteMode::Soft;
                    let delete = Delete { stream: stream(name), expected: ExpectedRevision::Any, mode };
                    // A stream that is not there cannot be deleted, which is as good.
                    drop(store.delete(delete).await);
                }
                1 if last.is_some() => {
                    let before = below(last.unwrap() + 2);
                    let hide = StreamMetadata { truncate_before: Some(before), ..StreamMetadata::default() };
                    store.set_stream_metadata(stream(name), &hide).await.unwrap();
                }
                2 if last.is_some() => {
                    let keep = StreamMetadata { max_count: Some(1 + below(9)), ..StreamMetadata::default() };
                    store.set_stream_metadata(stream(name), &keep).await.unwrap();
                }
                3..=5 => drop(fill(&wallets(store.clone()), 1 + below(3)).await),
                _ => drop(fill(&kept, 1).await),
            }
            let (with, without) = (
                kept.load(&stream("wallet-1")).await,
                wallets(store.clone()).load(&stream("wallet-1")).await,
            );
            let (with, without) = (with.unwrap(), without.unwrap());
            assert_eq!(
                (with.state, with.revision),
                (without.state, without.revision),
                "seed {seed} step {step}"
            );
        }
        used += kept.snapshot_stats().used;
    }
    assert!(used > 500, "{used} loads used a snapshot");
}
