//! A small decider that the tests share: a wallet that is filled and spent, never below zero.

use std::sync::Arc;

use factum::{CommandMetadata, Context, Decider, Event, Executor, RetryPolicy};
use factum_core::{EventStore, ManualClock, MemoryStore, RecordedEvent, Selector, StreamName, Timestamp};
use factum_core::{EventStoreExt, Read};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Event)]
pub(crate) enum WalletEvent {
    /// Version 1 counted whole euros.
    #[event(version = 2, upcast(from = 1, with = euros_to_cents))]
    Filled { cents: u64 },
    Spent {
        cents: u64,
        #[event(tag = "shop")]
        shop: String,
    },
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of an upcaster")]
fn euros_to_cents(data: Value) -> Result<Value, String> {
    let euros = data.get("euros").and_then(Value::as_u64).ok_or("no euros")?;
    Ok(json!({ "cents": euros * 100 }))
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Purse {
    pub(crate) cents: u64,
    pub(crate) events: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum WalletCommand {
    Fill(u64),
    /// Two events at once.
    FillTwice(u64),
    Spend(u64, &'static str),
    /// Fills up to this much: nothing to do where there is as much.
    TopUp(u64),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    TooLittle { has: u64, needs: u64 },
    Anonymous,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wallet;

impl Decider for Wallet {
    type State = Purse;
    type Command = WalletCommand;
    type Event = WalletEvent;
    type Rejection = Refusal;

    fn initial_state(&self) -> Purse {
        Purse::default()
    }

    fn evolve(&self, purse: &mut Purse, event: &WalletEvent) {
        purse.events += 1;
        match event {
            WalletEvent::Filled { cents } => purse.cents += cents,
            WalletEvent::Spent { cents, .. } => purse.cents -= cents,
        }
    }

    fn decide(
        &self,
        purse: &Purse,
        command: &WalletCommand,
        context: &Context,
    ) -> Result<Vec<WalletEvent>, Refusal> {
        match command {
            WalletCommand::Fill(cents) => Ok(vec![WalletEvent::Filled { cents: *cents }]),
            WalletCommand::FillTwice(cents) => {
                Ok(vec![WalletEvent::Filled { cents: *cents }, WalletEvent::Filled { cents: *cents }])
            }
            WalletCommand::Spend(..) if context.actor() == Some("nobody") => Err(Refusal::Anonymous),
            WalletCommand::Spend(cents, shop) if *cents <= purse.cents => {
                Ok(vec![WalletEvent::Spent { cents: *cents, shop: (*shop).to_owned() }])
            }
            WalletCommand::Spend(cents, _) => Err(Refusal::TooLittle { has: purse.cents, needs: *cents }),
            WalletCommand::TopUp(cents) if *cents > purse.cents => {
                Ok(vec![WalletEvent::Filled { cents: cents - purse.cents }])
            }
            WalletCommand::TopUp(_) => Ok(vec![]),
        }
    }
}

/// The time at which all tests begin.
pub(crate) const NOON: Timestamp = Timestamp(1_763_811_200 * 10_000_000);

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub(crate) fn wallets(store: impl EventStore) -> Executor<Wallet> {
    Executor::new(Arc::new(store), Wallet, RetryPolicy::attempts(3))
        .with_clock(Arc::new(ManualClock::new(NOON)))
}

pub(crate) fn memory() -> MemoryStore {
    MemoryStore::with_clock(Arc::new(ManualClock::new(NOON)))
}

pub(crate) fn id(command: &str) -> CommandMetadata {
    CommandMetadata::new().command_id(command)
}

pub(crate) async fn events_of(store: &MemoryStore, name: &str) -> Vec<RecordedEvent> {
    store.read_all(Read::forwards(Selector::Stream(stream(name)))).await.unwrap()
}
