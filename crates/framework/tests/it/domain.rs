//! What an application tells others of its types: the same states, the same upcasters, and no personal value.

use factum::{
    Context, Decider, DecodeFault, Domain, DomainError, Event, FoldError, FoldState, Personal,
    PersonalFields, load_at,
};
use factum_core::{
    AsOf, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Read, RecordedEvent, Revision,
    SchemaVersion,
};
use serde_json::Value;

use crate::sealing::Sealing;
use crate::wallet::{Wallet, events_of, memory, stream};

fn stored(event_type: &str, version: u32, data: &str) -> NewEvent {
    NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned())
        .with_schema_version(SchemaVersion(version))
}

fn wallets() -> Domain {
    Domain::new().aggregate("Wallet", "wallet", Wallet).unwrap()
}

fn shown(state: &dyn FoldState) -> Value {
    serde_json::from_str(state.json().unwrap().get()).unwrap()
}

#[tokio::test]
async fn a_state_is_what_the_application_comes_to_at_every_event() {
    let store = memory();
    let events = vec![
        stored("Filled", 1, r#"{"euros":3}"#),
        stored("Filled", 2, r#"{"cents":50}"#),
        stored("Spent", 1, r#"{"cents":120,"shop":"baker"}"#),
    ];
    store.append_to(stream("wallet-1"), ExpectedRevision::NoStream, events).await.unwrap();
    let domain = wallets();
    let fold = domain.aggregate_of("wallet-1").unwrap();
    let mut state = fold.begin();
    for event in events_of(&store, "wallet-1").await {
        state.apply(&event).unwrap();
        let at = AsOf::Revision(event.revision());
        let loaded = load_at(&store, &Wallet, &stream("wallet-1"), at).await.unwrap().state;
        assert_eq!(shown(&*state), serde_json::to_value(&loaded).unwrap());
        assert_eq!(shown(&*state.copy()), shown(&*state));
    }
    assert!(domain.aggregate_of("purse-1").is_none() && domain.aggregate_named("Purse").is_none());
}

#[tokio::test]
async fn an_event_that_cannot_be_folded_leaves_the_state_as_it_was() {
    let store = memory();
    let bad = [
        stored("Lost", 1, "{}"),
        stored("Filled", 1, r#"{"dollars":3}"#),
        stored("Filled", 9, r#"{"cents":3}"#),
        stored("Filled", 2, r#"{"cents":"three"}"#),
        // More than there is: the subtraction panics.
        stored("Spent", 1, r#"{"cents":999,"shop":"jeweller"}"#),
        NewEvent::binary(EventType::new("Filled").unwrap(), vec![1]),
    ];
    let mut events = vec![stored("Filled", 2, r#"{"cents":50}"#)];
    events.extend(bad);
    events.push(stored("Filled", 2, r#"{"cents":7}"#));
    store.append_to(stream("wallet-1"), ExpectedRevision::NoStream, events).await.unwrap();
    let mut state = wallets().aggregate_named("Wallet").unwrap().begin();
    let mut faults = Vec::new();
    for event in events_of(&store, "wallet-1").await {
        let before = shown(&*state);
        if let Err(error) = state.apply(&event) {
            assert_eq!(shown(&*state), before, "{error}");
            faults.push(error);
        }
    }
    assert_eq!(shown(&*state), serde_json::json!({"cents": 57, "events": 2}));
    let [unknown, refused, newer, unfit, panicked, binary] = &faults[..] else { panic!("{faults:?}") };
    let fault = |error: &FoldError| match error {
        FoldError::Event(error) => error.fault.clone(),
        other => panic!("{other}"),
    };
    assert!(matches!(fault(unknown), DecodeFault::UnknownType { .. }));
    assert!(matches!(fault(refused), DecodeFault::Upcast { from: 1, .. }));
    assert!(matches!(fault(newer), DecodeFault::UnknownVersion { newest: 2 }));
    assert!(matches!(fault(unfit), DecodeFault::Data { .. }));
    assert!(matches!(panicked, FoldError::Panicked { .. }), "{panicked}");
    assert!(matches!(fault(binary), DecodeFault::Binary));
}

#[tokio::test]
async fn an_old_event_is_shown_as_it_is_read_step_by_step() {
    let store = memory();
    let events = vec![
        stored("Filled", 1, r#"{"euros":3}"#),
        stored("Filled", 2, r#"{"cents": 50}"#),
        stored("Filled", 1, r#"{"dollars":3}"#),
        stored("Lost", 1, "{}"),
    ];
    store.append_to(stream("wallet-1"), ExpectedRevision::NoStream, events).await.unwrap();
    let domain = wallets();
    let read: Vec<_> = events_of(&store, "wallet-1").await.iter().map(|event| domain.upcast(event)).collect();
    let old = read[0].as_ref().unwrap();
    assert_eq!((old.event_type, old.version, old.steps.len(), old.steps[0].from), ("Filled", 2, 1, 1));
    assert_eq!(old.steps[0].does, ["a function of the application"]);
    assert_eq!(old.data.as_ref().unwrap().get(), r#"{"cents":300}"#);
    let today = read[1].as_ref().unwrap();
    assert_eq!((today.steps.len(), today.data.as_ref().unwrap().get()), (0, r#"{"cents": 50}"#));
    let refused = read[2].as_ref().unwrap().data.as_ref().unwrap_err();
    assert_eq!(refused.to_string(), "the upcaster from version 1 refused it: no euros");
    assert!(read[3].is_none());
    assert_eq!(domain.kind("Spent").map(|kind| kind.version), Some(1));
}

#[test]
fn names_are_taken_once_and_can_be_names() {
    let twice = wallets().aggregate("Wallet", "purse", Wallet).unwrap_err();
    assert_eq!(twice, DomainError::NameTwice { name: "Wallet".to_owned() });
    assert!(matches!(Domain::new().aggregate("", "wallet", Wallet), Err(DomainError::Name { .. })));
    assert!(matches!(Domain::new().aggregate("Wallet", "", Wallet), Err(DomainError::Category { .. })));
    assert_eq!(format!("{:?}", wallets()), r#"Domain { aggregates: ["Wallet"], kinds: 2 }"#);
}

#[derive(Clone, Debug, PartialEq, Event)]
#[personal(subject = "guest")]
enum GuestEvent {
    Arrived {
        guest: String,
        #[personal(partial = country)]
        from: Personal<String>,
    },
}

fn country(address: &str) -> &str {
    address.rsplit(' ').next().unwrap_or_default()
}

#[derive(Clone, Debug, Default, PartialEq, PersonalFields)]
struct Guest {
    #[personal]
    from: Option<Personal<String>>,
    nights: u64,
}

struct Guests;

impl Decider for Guests {
    type State = Guest;
    type Command = String;
    type Event = GuestEvent;
    type Rejection = ();
    fn initial_state(&self) -> Guest {
        Guest::default()
    }
    fn evolve(&self, guest: &mut Guest, event: &GuestEvent) {
        let GuestEvent::Arrived { from, .. } = event;
        guest.from = Some(from.clone());
        guest.nights += 1;
    }
    fn decide(&self, _: &Guest, from: &String, _: &Context) -> Result<Vec<GuestEvent>, ()> {
        Ok(vec![GuestEvent::Arrived { guest: "ada".to_owned(), from: Personal::new(from.clone()) }])
    }
}

async fn guest_of(store: &dyn EventStore) -> Vec<RecordedEvent> {
    store.read_all(Read::stream(stream("guest-1"))).await.unwrap()
}

#[tokio::test]
async fn no_state_shows_a_personal_value_whoever_opened_it() {
    let sealing = Sealing::default();
    let guests =
        factum::Executor::new(std::sync::Arc::new(sealing.clone()), Guests, factum::RetryPolicy::NEVER);
    let secret = "Ringstrasse 1 Vienna".to_owned();
    guests.execute(&stream("guest-1"), &secret, &factum::CommandMetadata::new()).await.unwrap();
    let domain = Domain::new().aggregate("Guest", "guest", Guests).unwrap();
    let fold = |events: Vec<RecordedEvent>| {
        let mut state = domain.aggregate_named("Guest").unwrap().begin();
        for event in &events {
            state.apply(event).unwrap();
        }
        state.json().unwrap().get().to_owned()
    };
    // Read past the vault, as a server does: what stands in the log, as it stands there.
    let sealed = guest_of(&sealing.store).await;
    let in_log: Value = serde_json::from_slice(sealed[0].data_slice()).unwrap();
    let state: Value = serde_json::from_str(&fold(sealed)).unwrap();
    assert_eq!(state["from"], in_log["from"]);
    assert!(state["from"]["$pii"].is_object() && state["nights"] == 1);
    // Read through it: opened, and not shown all the same.
    let open = fold(guest_of(&sealing).await);
    assert!(!open.contains("Ringstrasse") && open.contains("Vienna"), "{open}");
    let erasure = sealing.erase("ada");
    let erased = fold(guest_of(&sealing).await);
    assert!(erased.contains(&format!(r#"{{"$personal":{{"e":"{erasure}""#)), "{erased}");
    sealing.set_down(true);
    assert!(fold(guest_of(&sealing).await).contains(r#"{"$personal":{"u":"vault_down""#));
    // Nothing sealed is ever written again as if it were a value.
    let loaded =
        load_at(&sealing.store, &Guests, &stream("guest-1"), AsOf::Revision(Revision(0))).await.unwrap();
    assert!(serde_json::to_string(&loaded.state).is_err());
}
