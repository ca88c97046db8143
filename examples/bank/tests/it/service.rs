//! The bank over a store: many at once, now and in the past.

use std::sync::Arc;

use bank::{AccountCommand, AccountId, Bank, BankError, Currency, CustomerId, Money, Refusal};
use factum::{CommandMetadata, ExecuteError, Outcome};
use factum_core::{AsOf, EventStore, EventStoreExt, MemoryStore, Read, Revision, Selector};
use factum_engine::{Engine, Options};

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn id(number: u64) -> AccountId {
    AccountId::new(number.to_string())
}

/// Accounts `0..count`, each with this much in it.
async fn bank_with(count: u64, cents: i64) -> (MemoryStore, Arc<Bank>) {
    let store = MemoryStore::new();
    (store.clone(), bank_on(Arc::new(store), count, cents).await)
}

async fn bank_on(store: Arc<dyn EventStore>, count: u64, cents: i64) -> Arc<Bank> {
    let bank = Bank::new(store).unwrap();
    let asked = CommandMetadata::new().actor("branch");
    for number in 0..count {
        let open = AccountCommand::Open { holder: CustomerId::new("c-1"), currency: Currency::EUR };
        bank.ask(&id(number), open, &asked).await.unwrap();
        bank.ask(&id(number), AccountCommand::Deposit(eur(cents)), &asked).await.unwrap();
    }
    Arc::new(bank)
}

#[tokio::test]
async fn a_transfer_is_one_append_to_two_streams() {
    let (store, bank) = bank_with(2, 10).await;
    let asked = CommandMetadata::new().command_id("rent");
    for round in 0..2 {
        let outcome = bank.transfer(&id(0), &id(1), eur(4), &asked).await.unwrap();
        assert_eq!(outcome.already_applied(), round == 1);
        assert_eq!(outcome.events().len(), 2);
        let streams: Vec<_> =
            outcome.applied().unwrap().streams.iter().map(|written| written.stream.as_str()).collect();
        assert_eq!(streams, ["account-0", "account-1"]);
    }
    assert_eq!(bank.account(&id(0)).await.unwrap().state.balance, Some(eur(6)));
    assert_eq!(bank.account(&id(1)).await.unwrap().state.balance, Some(eur(14)));
    let log = store.read_all(Read::forwards(Selector::All)).await.unwrap();
    let (withdrawn, deposited) = (&log[log.len() - 2], &log[log.len() - 1]);
    assert_eq!(withdrawn.append_id(), deposited.append_id());
    assert_eq!(withdrawn.recorded_at(), deposited.recorded_at());
}

#[tokio::test]
async fn what_the_rules_are_against_is_refused() {
    let (store, bank) = bank_with(2, 10).await;
    let before = store.head().await.unwrap().unwrap().position();
    let asked = CommandMetadata::new();
    let error = bank.transfer(&id(0), &id(1), eur(11), &asked).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Overdraft { balance: eur(10), asked: eur(11) }));
    let error = bank.ask(&id(9), AccountCommand::Close, &asked).await.unwrap_err();
    assert_eq!(error.to_string(), "the account is not open");
    let nameless = AccountId::new("x".repeat(2_000));
    let error = bank.account(&nameless).await.unwrap_err();
    assert!(matches!(error, BankError::Name(_)), "{error:?}");
    assert_eq!(store.head().await.unwrap().unwrap().position(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_money_is_made_or_lost_by_many_at_once() {
    race(bank_with(ACCOUNTS, 20).await.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_money_is_made_or_lost_by_many_at_once_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    race(bank_on(Arc::new(engine), ACCOUNTS, 20).await).await;
}

const ACCOUNTS: u64 = 3;

/// Withdrawals and transfers race for the same money: a withdrawal guards one stream, a transfer a query over two.
async fn race(bank: Arc<Bank>) {
    let tasks: Vec<_> = (0..8_u64)
        .map(|task| {
            let bank = Arc::clone(&bank);
            tokio::spawn(async move {
                let mut paid_out = 0;
                for step in 0..20 {
                    let (from, to) = (id((task + step) % ACCOUNTS), id((task + step + 1) % ACCOUNTS));
                    let result = match (task + step) % 4 {
                        0 => bank.ask(&from, AccountCommand::Withdraw(eur(1)), &CommandMetadata::new()).await,
                        _ => bank.transfer(&from, &to, eur(3), &CommandMetadata::new()).await,
                    };
                    match result {
                        Ok(Outcome::Applied(applied)) if applied.events.len() == 1 => paid_out += 1,
                        Ok(_) => {}
                        // Too little, or too many others: both leave everything as it was.
                        Err(
                            BankError::Refused(Refusal::Overdraft { .. })
                            | BankError::Failed(ExecuteError::Conflict { .. }),
                        ) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                paid_out
            })
        })
        .collect();
    let mut paid_out = 0;
    for task in tasks {
        paid_out += task.await.unwrap();
    }
    let mut left = 0;
    for number in 0..ACCOUNTS {
        let balance = bank.account(&id(number)).await.unwrap().state.balance.unwrap().minor;
        assert!(balance >= 0, "account {number} has {balance}");
        left += balance;
    }
    assert!(paid_out > 0);
    assert_eq!(left + paid_out, ACCOUNTS as i64 * 20);
}

#[tokio::test]
async fn a_busy_account_is_loaded_from_its_snapshot_and_as_it_was() {
    let (_, bank) = bank_with(1, 1).await;
    for _ in 0..248 {
        bank.ask(&id(0), AccountCommand::Deposit(eur(1)), &CommandMetadata::new()).await.unwrap();
    }
    let now = bank.account(&id(0)).await.unwrap();
    assert_eq!((now.state.balance, now.events), (Some(eur(249)), 50));
    assert_eq!(bank.snapshot_stats().written, 2);
    let then = bank.account_at(&id(0), AsOf::Revision(Revision(100))).await.unwrap();
    assert_eq!((then.state.balance, then.events), (Some(eur(100)), 101));
}
