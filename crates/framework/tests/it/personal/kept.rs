//! Through a store: what is appended is sealed, states are sealed again in snapshots, and what cannot be opened is not
//! written anywhere.

use std::sync::Arc;

use factum::{
    CommandMetadata, Context, Decider, Event, ExecuteError, Executor, Personal, PersonalFields, RetryPolicy,
    SnapshotError, SnapshotWrite, Snapshots, Unavailable,
};
use factum_core::{AppendError, EventStore, MemoryStore, RecordedEvent, StreamName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sealing::Sealing;
use crate::wallet::events_of;

#[derive(Clone, Debug, PartialEq, Event)]
enum GuestEvent {
    #[personal(subject = "guest")]
    Arrived {
        guest: String,
        #[personal(purpose = "billing", partial = "last4")]
        card: Personal<String>,
    },
    CardCopied {
        owner: String,
        #[personal(subject = "owner")]
        card: Personal<String>,
    },
    CardKept {
        #[personal(own_subject)]
        card: Personal<String>,
    },
}

/// Two ways to declare a state.
#[derive(Debug, Default, PartialEq, PersonalFields)]
struct Hotel {
    #[personal]
    card: Option<Personal<String>>,
    guests: Vec<Guest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Guest {
    #[serde(with = "factum::personal")]
    cards: Vec<Personal<String>>,
}

struct Desk;

#[derive(Clone)]
enum Ask {
    Arrive(&'static str, &'static str),
    /// The last card goes into an event of this person.
    Copy(&'static str),
    /// The last card goes into another event as it is.
    Keep,
    /// Like `Arrive`, of a value that nobody could open.
    ArriveUnavailable,
}

impl Decider for Desk {
    type State = Hotel;
    type Command = Ask;
    type Event = GuestEvent;
    type Rejection = ();
    fn initial_state(&self) -> Hotel {
        Hotel::default()
    }
    fn evolve(&self, hotel: &mut Hotel, event: &GuestEvent) {
        let GuestEvent::Arrived { card, .. } = event else { return };
        hotel.card = Some(card.clone());
        hotel.guests.push(Guest { cards: vec![card.clone().map(|card| card.to_lowercase())] });
    }
    fn decide(&self, hotel: &Hotel, ask: &Ask, _: &Context) -> Result<Vec<GuestEvent>, ()> {
        let card = || hotel.card.clone().ok_or(());
        let arrived = |guest: &str, card| GuestEvent::Arrived { guest: guest.to_owned(), card };
        Ok(vec![match ask {
            Ask::Arrive(guest, card) => arrived(guest, Personal::new((*card).to_owned())),
            Ask::Copy(owner) => GuestEvent::CardCopied { owner: (*owner).to_owned(), card: card()? },
            Ask::Keep => GuestEvent::CardKept { card: card()? },
            Ask::ArriveUnavailable => arrived("ada", Personal::unavailable(Unavailable::Tampered)),
        }])
    }
}

fn desk(store: impl EventStore + 'static) -> Executor<Desk> {
    Executor::new(Arc::new(store), Desk, RetryPolicy::NEVER).with_snapshots(Snapshots::every(1))
}

fn hotel() -> StreamName {
    StreamName::new("hotel-1").unwrap()
}

async fn ask(desk: &Executor<Desk>, ask: Ask) -> SnapshotWrite {
    let outcome = desk.execute(&hotel(), &ask, &CommandMetadata::new()).await.unwrap();
    match outcome {
        factum::Outcome::Applied(applied) => applied.snapshot,
        other => panic!("nothing was applied: {other:?}"),
    }
}

fn text(event: &RecordedEvent) -> String {
    String::from_utf8(event.data_slice().to_vec()).unwrap()
}

async fn stored(store: &Sealing, stream: &str) -> String {
    text(events_of(&store.store, stream).await.last().unwrap())
}

#[tokio::test]
async fn a_store_without_a_vault_takes_none_of_it() {
    let command = Ask::Arrive("ada", "CARD-1234");
    let refused = desk(MemoryStore::new()).execute(&hotel(), &command, &CommandMetadata::new()).await;
    let Err(ExecuteError::Store(error @ AppendError::InvalidEvent { .. })) = refused else {
        panic!("the event was taken, or refused for another reason")
    };
    assert!(!error.to_string().contains("1234"), "{error}");
}

#[tokio::test]
async fn a_snapshot_right_after_a_command_knows_whose_its_values_are() {
    let store = Sealing::default();
    let desk = desk(store.clone());
    let write = ask(&desk, Ask::Arrive("ada", "CARD-1234")).await;
    assert!(matches!(write, SnapshotWrite::Written(_)), "{write:?}");
    for stream in ["hotel-1", "hotel:snapshot-1"] {
        let text = stored(&store, stream).await;
        assert!(text.contains(r#""$pii""#) && !text.contains("CARD"), "{text}");
    }
    let loaded = desk.load(&hotel()).await.unwrap();
    assert_eq!(loaded.events, 0);
    let card = loaded.state.card.unwrap();
    assert_eq!(card.value(), Ok(Some(&"CARD-1234".to_owned())));
    assert_eq!(card.partial(), Some(&"1234".into()));
    assert_eq!(loaded.state.guests[0].cards[0].value(), Ok(Some(&"card-1234".to_owned())));

    // And again from a state that came out of the vault.
    ask(&desk, Ask::Arrive("bob", "CARD-5678")).await;
    assert_eq!(desk.snapshot_stats().written, 2);
    store.erase("ada");
    let state = desk.load(&hotel()).await.unwrap().state;
    assert!(state.guests[0].cards[0].is_erased());
    assert!(!state.card.unwrap().is_erased());
}

#[tokio::test]
async fn an_erased_value_stays_erased_in_the_next_snapshot() {
    let store = Sealing::default();
    let desk = desk(store.clone());
    ask(&desk, Ask::Arrive("ada", "CARD-1234")).await;
    let erasure = store.erase("ada");
    assert!(matches!(ask(&desk, Ask::Arrive("bob", "CARD-5678")).await, SnapshotWrite::Written(_)));
    let state = desk.load(&hotel()).await.unwrap().state;
    assert_eq!(state.guests[0].cards[0], Personal::erased(erasure));
    assert!(stored(&store, "hotel:snapshot-1").await.contains(r#""p":"1234""#));
}

#[tokio::test]
async fn what_cannot_be_opened_is_not_written_and_comes_back() {
    let store = Sealing::default();
    let desk = desk(store.clone());
    ask(&desk, Ask::Arrive("ada", "CARD-1234")).await;
    store.set_down(true);
    let write = ask(&desk, Ask::Arrive("bob", "CARD-5678")).await;
    let SnapshotWrite::Failed(SnapshotError::State(error)) = write else { panic!("{write:?}") };
    let error = error.to_string();
    assert!(
        error.contains("cannot be opened now") && error.ends_with("in field 'guests[0].cards[0]'"),
        "{error}"
    );
    for command in [Ask::Copy("bob"), Ask::Keep, Ask::ArriveUnavailable] {
        let refused = desk.execute(&hotel(), &command, &CommandMetadata::new()).await;
        let Err(ExecuteError::Encode(error)) = refused else { panic!("it was written: {refused:?}") };
        assert!(error.to_string().ends_with("in field 'card'"), "{error}");
    }
    store.set_down(false);
    let state = desk.load(&hotel()).await.unwrap().state;
    assert_eq!(state.card.unwrap().value(), Ok(Some(&"CARD-5678".to_owned())));
}

#[tokio::test]
async fn a_value_copied_into_an_event_belongs_to_whom_the_mark_names_or_stays_as_it_was() {
    let store = Sealing::default();
    let desk = desk(store.clone());
    ask(&desk, Ask::Arrive("ada", "CARD-1234")).await;
    ask(&desk, Ask::Keep).await;
    ask(&desk, Ask::Copy("bob")).await;
    let events = events_of(&store.store, "hotel-1").await;
    let key = |at: usize| {
        let data: serde_json::Value = serde_json::from_slice(events[at].data_slice()).unwrap();
        data["card"]["$pii"]["k"].as_str().unwrap().to_owned()
    };
    assert_eq!(key(1), key(0));
    assert_ne!(key(2), key(0));
    // The mark of the copy keeps nothing in clear.
    assert!(!text(&events[2]).contains("1234"));

    let erasure = store.erase("ada");
    ask(&desk, Ask::Arrive("eve", "CARD-0000")).await;
    let erased = GuestEvent::CardKept { card: Personal::erased(erasure) };
    let error = factum::Codec::new().unwrap().encode(&erased).unwrap_err().to_string();
    assert!(error.contains("Personal::erased is for tests"), "{error}");
}
