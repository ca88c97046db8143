//! States of the past, and decisions as they would have been.

use std::sync::Arc;
use std::time::Duration;

use factum::{Asked, CommandMetadata, ReplayError, decide_at, load_at};
use factum_core::{
    AsOf, Delete, DeleteMode, ErrorKind, EventStore, EventStoreExt, EventType, ExpectedRevision, ManualClock,
    MemoryStore, NewEvent, Position, Revision, Timestamp,
};

use crate::wallet::{NOON, Refusal, Wallet, WalletCommand, WalletEvent, stream, wallets};

fn minutes(minutes: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(60 * minutes))
}

/// Five minutes, one cent each, in `wallet-1`; the other wallet's events lie in between. The one of minute 3 tells of
/// what happened at minute 1.
async fn history() -> MemoryStore {
    let clock = Arc::new(ManualClock::new(NOON));
    let store = MemoryStore::with_clock(clock.clone());
    let wallets = wallets(store.clone());
    for minute in 0..5 {
        clock.set(minutes(minute));
        let late = CommandMetadata { occurred_at: (minute == 3).then(|| minutes(1)), ..Default::default() };
        wallets.execute(&stream("wallet-1"), &WalletCommand::Fill(1), &late).await.unwrap();
        wallets.execute(&stream("wallet-2"), &WalletCommand::Fill(100), &late).await.unwrap();
    }
    store
}

#[tokio::test]
async fn every_kind_of_moment_shows_the_state_that_was() {
    let store = history().await;
    for (at, cents, revision, position) in [
        (AsOf::Now, 5, Some(4), Some(8)),
        (AsOf::Revision(Revision(2)), 3, Some(2), Some(4)),
        (AsOf::Revision(Revision(99)), 5, Some(4), Some(8)),
        (AsOf::Position(Position(5)), 3, Some(2), Some(4)),
        (AsOf::Position(Position(6)), 4, Some(3), Some(6)),
        (AsOf::Recorded(minutes(2)), 3, Some(2), Some(4)),
        (AsOf::Recorded(Timestamp(minutes(0).0 - 1)), 0, None, None),
        (AsOf::Occurred(minutes(1)), 3, Some(3), Some(6)),
        (AsOf::Occurred(minutes(2)), 4, Some(3), Some(6)),
    ] {
        let then = load_at(&store, &Wallet, &stream("wallet-1"), at).await.unwrap();
        assert_eq!(then.state.cents, cents, "{at:?}");
        assert_eq!(
            (then.revision, then.position),
            (revision.map(Revision), position.map(Position)),
            "{at:?}"
        );
        assert_eq!(then.events, cents, "{at:?}");
    }
}

#[tokio::test]
async fn a_stream_that_was_not_there_is_in_its_initial_state() {
    let store = history().await;
    let then = load_at(&store, &Wallet, &stream("wallet-9"), AsOf::Now).await.unwrap();
    assert_eq!((then.state.cents, then.revision, then.events), (0, None, 0));
    let delete =
        Delete { stream: stream("wallet-1"), expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
    store.delete(delete).await.unwrap();
    let error = load_at(&store, &Wallet, &stream("wallet-1"), AsOf::Now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deleted);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named() {
    let store = history().await;
    let odd = NewEvent::json(EventType::new("Odd").unwrap(), "{}");
    store.append_to(stream("wallet-1"), ExpectedRevision::Any, vec![odd]).await.unwrap();
    let error = load_at(&store, &Wallet, &stream("wallet-1"), AsOf::Now).await.unwrap_err();
    assert!(matches!(error, ReplayError::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("Odd"), "{error}");
    load_at(&store, &Wallet, &stream("wallet-1"), AsOf::Revision(Revision(4))).await.unwrap();
}

#[tokio::test]
async fn a_command_is_decided_as_it_would_have_been() {
    let store = history().await;
    let command = WalletCommand::Spend(3, "baker");
    let ask = |at| {
        let asked = Asked { command: &command, metadata: CommandMetadata::new().actor("ada"), now: NOON };
        decide_at(&store, &Wallet, stream_of(), at, asked)
    };
    let before = ask(AsOf::Position(Position(3))).await.unwrap();
    assert_eq!(before, Err(Refusal::TooLittle { has: 2, needs: 3 }));
    let after = ask(AsOf::Position(Position(4))).await.unwrap();
    assert_eq!(after, Ok(vec![WalletEvent::Spent { cents: 3, shop: "baker".to_owned() }]));
    // Asking writes nothing.
    assert_eq!(store.head().await.unwrap().unwrap().position(), Position(9));
}

fn stream_of() -> &'static factum_core::StreamName {
    static STREAM: std::sync::OnceLock<factum_core::StreamName> = std::sync::OnceLock::new();
    STREAM.get_or_init(|| stream("wallet-1"))
}
