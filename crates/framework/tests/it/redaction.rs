//! What becomes of a fold over events of which one was redacted? Nothing is passed over in silence.

use std::sync::Arc;

use factum::{
    CommandMetadata, Context, Decider, DecodeFault, ExecuteError, Executor, JsonState, OnRedacted, Outcome,
    ReplayError, RetryPolicy, Skipped, load_at,
};
use factum_core::{AsOf, ErrorKind, EventStore, MemoryStore, Position, RecordedEvent, Redact, Revision};

use crate::wallet::{Purse, Refusal, Wallet, WalletCommand, WalletEvent, events_of, memory, stream, wallets};

/// Three cents, the second of which was redacted.
async fn store() -> MemoryStore {
    let store = memory();
    let wallets = wallets(store.clone());
    for _ in 0..3 {
        wallets.execute(&stream("wallet-1"), &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap();
    }
    store.redact(Redact::at(Position(1), "wrong wallet")).await.unwrap();
    store
}

/// A wallet that does without what it does not know any more, and counts it.
struct Forgiving;

impl Decider for Forgiving {
    type State = Purse;
    type Command = WalletCommand;
    type Event = WalletEvent;
    type Rejection = Refusal;

    fn initial_state(&self) -> Purse {
        Wallet.initial_state()
    }
    fn evolve(&self, purse: &mut Purse, event: &WalletEvent) {
        Wallet.evolve(purse, event);
    }
    fn evolve_redacted(&self, purse: &mut Purse, event: &RecordedEvent) -> OnRedacted {
        match event.event_type() {
            "Filled" => {
                purse.events += 1;
                OnRedacted::Folded
            }
            _ => OnRedacted::Refused,
        }
    }
    fn decide(
        &self,
        purse: &Purse,
        command: &WalletCommand,
        context: &Context,
    ) -> Result<Vec<WalletEvent>, Refusal> {
        Wallet.decide(purse, command, context)
    }
}

#[tokio::test]
async fn a_decider_that_does_not_say_what_it_means_refuses_the_fold_by_name() {
    let store = store().await;
    let error = load_at(&store, &Wallet, &stream("wallet-1"), AsOf::Now).await.unwrap_err();
    let ReplayError::Decode(decode) = &error else { panic!("{error:?}") };
    assert_eq!((decode.position, decode.revision), (Position(1), Revision(1)));
    assert_eq!(
        (decode.fault.clone(), decode.kind()),
        (DecodeFault::Redacted { reason: "wrong wallet".into() }, ErrorKind::Deleted,)
    );
    let told = "cannot decode 'Filled' version 2 at position 1 (revision 1 of 'wallet-1'): \
                its data was redacted, for this reason: wrong wallet (a decider says in `evolve_redacted` how to go on)";
    assert_eq!(error.to_string(), told);
    let refused = wallets(store.clone())
        .execute(&stream("wallet-1"), &WalletCommand::Spend(1, "baker"), &CommandMetadata::new())
        .await;
    assert!(matches!(refused, Err(ExecuteError::Decode(_))), "{refused:?}");
    // What came before it is as it was.
    let before = load_at(&store, &Wallet, &stream("wallet-1"), AsOf::Revision(Revision(0))).await.unwrap();
    assert_eq!((before.state.cents, before.redacted), (1, 0));
}

#[tokio::test]
async fn a_decider_that_says_what_it_means_goes_on_and_the_fold_says_how_many() {
    let store = store().await;
    let now = load_at(&store, &Forgiving, &stream("wallet-1"), AsOf::Now).await.unwrap();
    assert_eq!((now.state.cents, now.state.events, now.events, now.redacted), (2, 3, 3, 1));
    assert_eq!(now.revision, Some(Revision(2)));
    let forgiving = Executor::new(Arc::new(store.clone()), Forgiving, RetryPolicy::NEVER);
    let command = WalletCommand::Spend(2, "baker");
    let outcome = forgiving.execute(&stream("wallet-1"), &command, &CommandMetadata::new()).await.unwrap();
    assert!(matches!(outcome, Outcome::Applied(_)));
    // It says it of each kind of event by itself.
    store.redact(Redact::at(events_of(&store, "wallet-1").await[3].position(), "r")).await.unwrap();
    let refused = load_at(&store, &Forgiving, &stream("wallet-1"), AsOf::Now).await.unwrap_err();
    assert!(matches!(refused, ReplayError::Decode(_)), "{refused:?}");
}

#[tokio::test]
async fn merged_json_skips_it_and_says_so() {
    let store = store().await;
    let mut state = JsonState::default();
    let outcomes: Vec<_> =
        events_of(&store, "wallet-1").await.iter().map(|event| state.apply(event)).collect();
    assert_eq!(outcomes, [Ok(()), Err(Skipped::Redacted), Ok(())]);
    assert_eq!((state.merged(), state.skipped()), (2, 1));
}
