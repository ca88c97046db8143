//! What was stored by earlier versions is still understood, and is never rewritten.

use std::sync::Arc;

use bank::{
    Account, AccountCommand, AccountEvent, AccountId, Accounts, Bank, Currency, CustomerId, Money, Status,
};
use factum::{Codec, CommandMetadata, given_stored};
use factum_core::{
    EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, Read, SchemaVersion, Tag,
};
use serde_json::{Value, json};

/// A stream as the first version of the bank left it, with one event of the second behind.
const FIXTURE: &str = include_str!("../fixtures/account-v1.ndjson");

pub(crate) fn fixture() -> Vec<(&'static str, u32, Value)> {
    let line = |text: &'static str| {
        let event: Value = serde_json::from_str(text).unwrap();
        let event_type = Box::leak(event["type"].as_str().unwrap().to_owned().into_boxed_str());
        (&*event_type, event["version"].as_u64().unwrap() as u32, event["data"].clone())
    };
    FIXTURE.lines().map(line).collect()
}

#[test]
fn a_stream_of_version_one_folds_into_the_state_of_today() {
    let given = given_stored(Accounts, fixture());
    let expected = Account {
        status: Status::Active,
        holder: Some(CustomerId::new("account-7-holder")),
        balance: Some(Money::new(10_099, Currency::EUR)),
        movements: 3,
    };
    assert_eq!(*given.state(), expected);
    let withdraw = AccountCommand::Withdraw(Money::new(10_100, Currency::EUR));
    given
        .when((AccountId::new("7"), withdraw))
        .then_rejected_with(|refusal| matches!(refusal, bank::Refusal::Overdraft { .. }));
}

#[test]
fn each_old_shape_becomes_the_event_that_it_means() {
    let codec = Codec::<AccountEvent>::new().unwrap();
    let account = AccountId::new("7");
    let amount = Money::new(1_250, Currency::EUR);
    for (event_type, data, expected) in [
        (
            "AccountOpened",
            r#"{"account":"7","owner":"Grace"}"#,
            AccountEvent::AccountOpened {
                account: account.clone(),
                holder: CustomerId::new("account-7-holder"),
                currency: Currency::EUR,
            },
        ),
        (
            "FundsDeposited",
            r#"{"account":"7","cents":1250}"#,
            AccountEvent::FundsDeposited { account: account.clone(), amount, from: None },
        ),
        (
            "FundsWithdrawn",
            r#"{"cents":1250,"account":"7"}"#,
            AccountEvent::FundsWithdrawn { account: account.clone(), amount, to: None },
        ),
    ] {
        assert_eq!(codec.decode_data(event_type, 1, data.as_bytes()).unwrap(), expected);
    }
    let second = br#"{"account":"7","holder":"Grace","currency":"USD"}"#;
    let opened = codec.decode_data("AccountOpened", 2, second).unwrap();
    let (holder, currency) = (CustomerId::new("account-7-holder"), Currency::USD);
    assert_eq!(opened, AccountEvent::AccountOpened { account, holder, currency });
    for damaged in [r#"{"account":"7"}"#, r#"{"holder":"Grace"}"#, r#"{"account":"7","holder":7}"#] {
        assert!(codec.decode_data("AccountOpened", 2, damaged.as_bytes()).is_err(), "{damaged}");
    }
    for damaged in [r#"{"account":"7"}"#, r#"{"account":"7","cents":1.5}"#, "[]"] {
        let refused = codec.decode_data("FundsDeposited", 1, damaged.as_bytes());
        assert!(refused.is_err(), "{damaged}: {refused:?}");
    }
}

#[test]
fn what_is_written_today_has_this_shape() {
    let codec = Codec::<AccountEvent>::new().unwrap();
    let event = AccountEvent::FundsDeposited {
        account: AccountId::new("7"),
        amount: Money::new(5, Currency::USD),
        from: None,
    };
    let new = codec.encode(&event).unwrap();
    let data: Value = serde_json::from_slice(&new.data).unwrap();
    assert_eq!(data, json!({"account": "7", "amount": {"minor": 5, "currency": "USD"}}));
    assert_eq!(new.schema_version, SchemaVersion(2));
    assert_eq!(new.tags, [Tag::new("account:7").unwrap()]);
}

/// The name of then is left where it was stored: it does not go on into states, and from there into snapshots and rows.
#[test]
fn the_holders_name_of_then_is_read_no_more() {
    let state = given_stored(Accounts, fixture()).state().clone();
    assert!(FIXTURE.contains("Grace"));
    assert!(!serde_json::to_string(&state).unwrap().contains("Grace"));
}

#[tokio::test]
async fn old_events_in_a_store_are_gone_on_from_and_left_as_they_are() {
    let store = MemoryStore::new();
    let account = AccountId::new("7");
    let stream = account.stream().unwrap();
    let events = fixture().into_iter().map(|(event_type, version, data)| {
        NewEvent::json(EventType::new(event_type).unwrap(), data.to_string())
            .with_schema_version(SchemaVersion(version))
    });
    store.append_to(stream.clone(), ExpectedRevision::NoStream, events.collect()).await.unwrap();
    let before = store.read_all(Read::stream(stream.clone())).await.unwrap();

    let bank = Bank::new(Arc::new(store.clone())).unwrap();
    let deposit = AccountCommand::Deposit(Money::new(1, Currency::EUR));
    bank.ask(&account, deposit, &CommandMetadata::new()).await.unwrap();
    let loaded = bank.account(&account).await.unwrap();
    assert_eq!(loaded.state.balance, Some(Money::new(10_100, Currency::EUR)));
    let after = store.read_all(Read::stream(stream)).await.unwrap();
    assert_eq!(after[..before.len()], before[..]);
}
