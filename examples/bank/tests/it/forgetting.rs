//! A customer is forgotten: in the log, in snapshots and in the read model, and nothing else changes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bank::{
    Address, Bank, BankError, Currency, CustomerCommand, CustomerId, CustomerRefusal, FORMER_CUSTOMER,
    customers, demo,
};
use factum::{CommandMetadata, Handle, Personal, Projections, Revealed, Waited, snapshot_stream};
use factum_core::read_model::ReadModels;
use factum_core::{ErrorKind, EventStore, EventStoreExt, MemoryStore, Read, Selector};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use factum_testkit::PostgresDatabase;

use crate::vault::Sealed;

/// Appears in no other text.
const MARK: &str = "Xanthippe-7f3a";

const PATIENCE: Duration = Duration::from_secs(60);

fn text(text: &str) -> Personal<String> {
    Personal::new(text.to_owned())
}

fn address(street: &str) -> Personal<Address> {
    let (street, town, country) = (street.to_owned(), "8010 Graz".to_owned(), "AT".to_owned());
    Personal::new(Address { street, town, country })
}

async fn ask(bank: &Bank, customer: &str, command: CustomerCommand) {
    bank.ask_customer(&CustomerId::new(customer), command, &CommandMetadata::new()).await.unwrap();
}

/// Two customers: every value of the first one has the mark.
async fn bank_with_two(store: Arc<dyn EventStore>) -> Bank {
    let bank = Bank::new(store).unwrap();
    for (customer, mark) in [("c-1", MARK), ("c-2", "Bob")] {
        let (name, email) = (text(mark), text(&format!("{mark}@example.org")));
        ask(&bank, customer, CustomerCommand::Register { name, email, address: address(mark) }).await;
        ask(&bank, customer, CustomerCommand::AllowMarketing(text(&format!("+43 {mark}")))).await;
    }
    bank
}

async fn rows(store: &dyn EventStore, handle: &Handle) -> Vec<Vec<String>> {
    let end = store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone();
    let waited = handle.wait(&end, PATIENCE).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    let query = "select customer, name, email, street, town, country, phone from customers order by customer";
    let (rows, _) = handle.query(query, &[]).unwrap();
    rows.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

fn holds(path: &Path, mark: &[u8]) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), mark));
    }
    std::fs::read(path).unwrap().windows(mark.len()).any(|window| window == mark)
}

async fn is_in_the_log(log: &Arc<dyn EventStore>, mark: &[u8]) -> bool {
    let events = log.read_all(Read::forwards(Selector::All)).await.unwrap();
    events.iter().any(|event| event.body().windows(mark.len()).any(|window| window == mark))
}

/// First the telephone number, then everything of the first customer.
async fn forget_in_steps(read_models: Arc<dyn ReadModels>) {
    let sealed = Sealed::new().await;
    let store: Arc<dyn EventStore> = sealed.store.clone();
    bank_with_two(Arc::clone(&store)).await;
    let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
    let handle = projections.start(customers().unwrap()).await.unwrap();
    let (email, phone) = (format!("{MARK}@example.org"), format!("+43 {MARK}"));
    let bob = ["c-2", "Bob", "Bob@example.org", "Bob", "8010 Graz", "AT", "+43 Bob"];
    let known = ["c-1", MARK, &email, MARK, "8010 Graz", "AT", &phone];
    assert_eq!(rows(&*store, &handle).await, [known, bob]);

    let receipt = sealed.erase("c-1", Some("marketing"), &read_models).await;
    assert_eq!(receipt.receipt.keys.len(), 1);
    let without = ["c-1", MARK, &email, MARK, "8010 Graz", "AT", "null"];
    assert_eq!(rows(&*store, &handle).await, [without, bob]);

    let receipt = sealed.erase("c-1", None, &read_models).await;
    assert!(receipt.receipt.reached.iter().any(|reach| reach.name.starts_with("customers")), "{receipt:?}");
    // The country was declared to stay.
    let gone = ["c-1", "null", "null", "null", "null", "AT", "null"];
    assert_eq!(rows(&*store, &handle).await, [gone, bob]);
    // Built anew from the log, they are the same rows.
    let rebuilt = projections.rebuild(customers().unwrap()).await.unwrap();
    rebuilt.promote(PATIENCE, "dpo", "a look").await.unwrap();
    assert_eq!(rows(&*store, &rebuilt).await, [gone, bob]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_forgotten_for_a_purpose_and_altogether() {
    let directory = tempfile::tempdir().unwrap();
    forget_in_steps(Arc::new(SqliteReadModels::open(directory.path()).unwrap())).await;
    assert!(!holds(directory.path(), MARK.as_bytes()), "no byte of any file has the name");
    assert!(holds(directory.path(), b"Bob"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_forgotten_in_postgres() {
    let Some(database) = PostgresDatabase::fresh("rows_are_forgotten_in_postgres") else { return };
    forget_in_steps(Arc::new(PostgresReadModels::open(database.url()).unwrap())).await;
}

#[tokio::test]
async fn snapshots_are_sealed_and_forgotten_with_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let read_models: Arc<dyn ReadModels> = Arc::new(SqliteReadModels::open(directory.path()).unwrap());
    let sealed = Sealed::new().await;
    let bank = bank_with_two(sealed.store.clone()).await;
    for number in 0..25 {
        ask(&bank, "c-1", CustomerCommand::ChangeEmail(text(&format!("{number}@{MARK}")))).await;
    }
    let customer = CustomerId::new("c-1");
    let loaded = bank.customer(&customer).await.unwrap();
    assert!(loaded.events < 20, "a snapshot is used: {} events", loaded.events);
    assert_eq!(loaded.state.email, Some(text(&format!("24@{MARK}"))));
    let snapshots = snapshot_stream(&customer.stream().unwrap()).unwrap();
    let log = sealed.store.sealed();
    assert!(!log.read_all(Read::stream(snapshots)).await.unwrap().is_empty());
    assert!(!is_in_the_log(log, MARK.as_bytes()).await, "in clear, nowhere and never");

    sealed.erase("c-1", None, &read_models).await;
    let state = bank.customer(&customer).await.unwrap().state;
    assert!(state.is_forgotten());
    let name = state.name.unwrap();
    assert_eq!(name.or_fallback().unwrap().map(String::as_str), Some(FORMER_CUSTOMER));
    assert!(matches!(state.email.unwrap().read(), Ok(Revealed::Erased(_))));
    assert_eq!(state.address.unwrap().partial().and_then(|country| country.as_str()), Some("AT"));
    let again = CustomerCommand::ChangeEmail(text("b@example.org"));
    let refused = bank.ask_customer(&customer, again, &CommandMetadata::new()).await.unwrap_err();
    assert!(matches!(refused, BankError::CustomerRefused(CustomerRefusal::Forgotten)), "{refused:?}");
    assert!(!bank.customer(&CustomerId::new("c-2")).await.unwrap().state.is_forgotten());
}

#[tokio::test]
async fn a_store_that_does_not_seal_takes_no_customer() {
    let store = MemoryStore::new();
    let bank = Bank::new(Arc::new(store.clone())).unwrap();
    let (name, email) = (text(MARK), text(&format!("{MARK}@example.org")));
    let register = CustomerCommand::Register { name, email, address: address(MARK) };
    let refused =
        bank.ask_customer(&CustomerId::new("c-1"), register, &CommandMetadata::new()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(!refused.to_string().contains(MARK), "{refused}");
    assert!(store.head().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_forgets_a_customer_and_no_money() {
    let directory = tempfile::tempdir().unwrap();
    let read_models: Arc<dyn ReadModels> = Arc::new(SqliteReadModels::open(directory.path()).unwrap());
    let sealed = Sealed::new().await;
    let store: Arc<dyn EventStore> = sealed.store.clone();
    let following = demo::follow(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
    demo::register(Arc::clone(&store)).await.unwrap();
    let month = demo::run(Arc::clone(&store), 400).await.unwrap();
    let shown = demo::show(Arc::clone(&store), &following).await.unwrap();
    let forgotten = demo::forget(&sealed.store, &read_models, &following).await.unwrap();
    assert_eq!((forgotten.was.as_str(), forgotten.is.as_str()), ("Grace Okafor", FORMER_CUSTOMER));
    // Every eighth account, and the one for the rent.
    assert_eq!(forgotten.accounts, month.accounts.div_ceil(8) + 1);
    assert!(forgotten.money[&Currency::EUR].minor > 80_000, "{:?}", forgotten.money);
    assert_eq!(forgotten.receipt.receipt.keys.len(), 2, "the customer's, and that for marketing");
    assert!(!is_in_the_log(sealed.store.sealed(), b"Okafor").await);
    assert!(!holds(directory.path(), b"Okafor") && holds(directory.path(), b"Lindqvist"));
    assert_eq!(shown.row[1], ("holder".to_owned(), "c-1".to_owned()));
}
