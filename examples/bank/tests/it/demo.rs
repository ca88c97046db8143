//! The month of business adds up, and is the same month each time.

use std::sync::Arc;

use bank::demo::{self, Summary};
use bank::{AccountEvent, Currency, Money};
use factum::Codec;
use factum_core::{Category, EventStoreExt, MemoryStore, Read, Selector};

async fn month(store: &MemoryStore) -> Summary {
    demo::run(Arc::new(store.clone()), 1_200).await.unwrap()
}

#[tokio::test]
async fn the_month_adds_up() {
    let store = MemoryStore::new();
    let summary = month(&store).await;
    let outcomes = summary.accepted + summary.nothing_to_do + summary.repeated + summary.rejected;
    assert_eq!(outcomes, summary.commands);
    assert!(summary.commands >= 1_200 && summary.accounts == 30, "{summary:?}");
    for (what, count) in [
        ("accepted", summary.accepted),
        ("nothing to do", summary.nothing_to_do),
        ("repeated", summary.repeated),
        ("rejected", summary.rejected),
        ("snapshots", summary.snapshots),
    ] {
        assert!(count > 0, "{what}: {summary:?}");
    }
    for rule in ["overdraft", "frozen", "closed", "other currency", "amount not above zero", "not empty"] {
        assert!(summary.rejections.contains_key(rule), "{rule}: {:?}", summary.rejections);
    }

    let accounts = Selector::Category(Category::new("account").unwrap());
    let log = store.read_all(Read::forwards(accounts)).await.unwrap();
    assert_eq!(log.len() as u64, summary.events);
    let codec = Codec::<AccountEvent>::new().unwrap();
    let mut total = [Currency::EUR, Currency::USD].map(Money::zero);
    for event in &log {
        let (moved, sign) = match codec.decode(event).unwrap() {
            AccountEvent::FundsDeposited { amount, .. } => (amount, 1),
            AccountEvent::FundsWithdrawn { amount, .. } => (amount, -1),
            _ => continue,
        };
        let sum = total.iter_mut().find(|sum| sum.currency == moved.currency).unwrap();
        sum.minor += sign * moved.minor;
    }
    assert_eq!(summary.total.values().copied().collect::<Vec<_>>(), total);

    let example = &summary.example;
    assert_eq!(example.stream.as_str(), "account-1");
    assert_ne!(example.balance, example.balance_then);
    assert!(example.balance_then.unwrap().minor > 0);
    assert!(
        log[0].happened_at() < example.travel_to && example.travel_to < log.last().unwrap().happened_at()
    );
}

#[tokio::test]
async fn it_is_the_same_month_each_time() {
    let (first, second) = (MemoryStore::new(), MemoryStore::new());
    let summary = month(&first).await;
    assert_eq!(summary, month(&second).await);
    // Run again in the same store, nothing that took effect takes effect twice.
    let again = month(&first).await;
    assert!(again.repeated >= summary.repeated + summary.accepted, "{summary:?}\n{again:?}");
}
