//! The read models of a month's business, every row against the log itself, and a query that waits for its own write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bank::{
    AccountCommand, AccountId, Bank, Currency, CustomerId, Money, TransferCommand, TransferId, TransferOrder,
    TransferSaga, TransferStatus, balances, daily_totals, demo, statements,
};
use factum::{CommandMetadata, Handle, Projections, Waited};
use factum_core::read_model::ReadModels;
use factum_core::{Category, EventStore, EventStoreExt, MemoryStore, Read, Selector};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use factum_testkit::PostgresDatabase;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

type Rows = Vec<Vec<String>>;

struct Month {
    store: Arc<dyn EventStore>,
    projections: Projections,
}

fn sqlite(directory: &tempfile::TempDir) -> Arc<dyn ReadModels> {
    Arc::new(SqliteReadModels::open(directory.path()).unwrap())
}

impl Month {
    async fn of(commands: u64, read_models: Arc<dyn ReadModels>) -> Self {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        if commands > 0 {
            demo::run(Arc::clone(&store), commands).await.unwrap();
        }
        let projections = Projections::open(Arc::clone(&store), read_models).await.unwrap();
        Self { store, projections }
    }

    async fn rows(&self, handle: Handle) -> Rows {
        let head =
            self.store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone();
        let waited = handle.wait(&head, PATIENCE).await.unwrap();
        assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
        let statement = format!("select * from {} order by 1, 2", handle.name());
        let (rows, _) = handle.query(&statement, &[]).unwrap();
        rows.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    /// Everything that happened to accounts.
    async fn log(&self) -> Vec<(String, u64, String, Value)> {
        let accounts = Selector::Category(Category::new("account").unwrap());
        let log = self.store.read_all(Read::forwards(accounts)).await.unwrap();
        let told = log.iter().map(|event| {
            let data = serde_json::from_slice(event.data_slice()).unwrap();
            (event.event_type().to_owned(), event.revision().0, event.happened_at().to_string(), data)
        });
        told.collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The account, what moved with its sign, and the currency; `None` where nothing did.
fn moved(event_type: &str, data: &Value) -> Option<(String, i64, String)> {
    let sign = match event_type {
        "FundsDeposited" => 1,
        "FundsWithdrawn" => -1,
        _ => return None,
    };
    let amount = &data["amount"];
    Some((text(&data["account"]), sign * amount["minor"].as_i64().unwrap(), text(&amount["currency"])))
}

/// What happened to an account: type, revision, time, data.
type Log = [(String, u64, String, Value)];

fn direct_balances(log: &Log) -> Rows {
    let mut accounts: BTreeMap<String, (String, String, &str, i64, u64)> = BTreeMap::new();
    for (event_type, _, _, data) in log {
        let number = text(&data["account"]);
        if event_type == "AccountOpened" {
            accounts.insert(number, (text(&data["holder"]), text(&data["currency"]), "active", 0, 0));
            continue;
        }
        let account = accounts.get_mut(&number).unwrap();
        match event_type.as_str() {
            "AccountFrozen" => account.2 = "frozen",
            "AccountUnfrozen" => account.2 = "active",
            "AccountClosed" => account.2 = "closed",
            _ => {
                account.3 += moved(event_type, data).unwrap().1;
                account.4 += 1;
            }
        }
    }
    let row = |(number, (holder, currency, status, minor, movements)): (String, (_, _, &str, i64, u64))| {
        vec![number, holder, currency, status.to_owned(), minor.to_string(), movements.to_string()]
    };
    accounts.into_iter().map(row).collect()
}

fn direct_statements(log: &Log) -> Rows {
    let mut lines = BTreeMap::new();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (event_type, revision, at, data) in log {
        let Some((account, minor, currency)) = moved(event_type, data) else { continue };
        let other = data.get("from").or(data.get("to")).map_or("null".to_owned(), text);
        let sum = sums.entry(account.clone()).or_default();
        *sum += minor;
        lines.insert((account, revision), (at.clone(), minor, currency, other, *sum));
    }
    let row = |((account, entry), (at, minor, currency, other, sum)): ((String, &u64), _)| {
        let (minor, sum): (i64, i64) = (minor, sum);
        vec![account, entry.to_string(), at, minor.to_string(), currency, other, sum.to_string()]
    };
    lines.into_iter().map(row).collect()
}

fn direct_daily_totals(log: &Log) -> Rows {
    let mut days: BTreeMap<(String, String), [i64; 4]> = BTreeMap::new();
    for (event_type, _, at, data) in log {
        let Some((_, minor, currency)) = moved(event_type, data) else { continue };
        let day = days.entry((at[..10].to_owned(), currency)).or_default();
        let at = if minor > 0 { 0 } else { 2 };
        day[at] += 1;
        day[at + 1] += minor.abs();
    }
    let row = |((day, currency), totals): ((String, String), [i64; 4])| {
        [day, currency].into_iter().chain(totals.map(|total| total.to_string())).collect()
    };
    days.into_iter().map(row).collect()
}

/// All three, of a month's business.
async fn compare(read_models: Arc<dyn ReadModels>) {
    let month = Month::of(1_200, read_models).await;
    let log = month.log().await;

    let rows = month.rows(month.projections.start(balances().unwrap()).await.unwrap()).await;
    assert!(rows.len() == 30 && rows.iter().any(|row| row[3] == "frozen"));
    assert_eq!(rows, direct_balances(&log));
    // And those of the accounts themselves.
    let bank = Bank::new(Arc::clone(&month.store)).unwrap();
    for row in &rows {
        let account = bank.account(&AccountId::new(&row[0])).await.unwrap().state;
        assert_eq!(account.balance.unwrap().minor.to_string(), row[4]);
        assert_eq!(account.movements.to_string(), row[5]);
    }

    let rows = month.rows(month.projections.start(statements().unwrap()).await.unwrap()).await;
    assert!(rows.len() > 800, "{}", rows.len());
    // SQLite keeps six digits of the seconds; the month has whole ones.
    let whole_seconds = |mut row: Vec<String>| {
        row[2] = row[2].replace(".000000", "");
        row
    };
    assert_eq!(rows.into_iter().map(whole_seconds).collect::<Rows>(), direct_statements(&log));

    let rows = month.rows(month.projections.start(daily_totals().unwrap()).await.unwrap()).await;
    assert!(rows.len() > 30, "{}", rows.len());
    assert_eq!(rows, direct_daily_totals(&log));
}

#[tokio::test]
async fn a_month_comes_to_what_the_log_says() {
    let directory = tempfile::tempdir().unwrap();
    compare(sqlite(&directory)).await;
}

#[tokio::test]
async fn a_month_comes_to_what_the_log_says_in_postgres() {
    let test = "a_month_comes_to_what_the_log_says_in_postgres";
    let Some(database) = PostgresDatabase::fresh(test) else { return };
    compare(Arc::new(PostgresReadModels::open(database.url()).unwrap())).await;
}

#[tokio::test]
async fn the_demonstration_gives_money_back_and_waits_for_its_own_write() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let following = demo::follow(Arc::clone(&store), sqlite(&directory)).await.unwrap();
    let month = demo::run(Arc::clone(&store), 200).await.unwrap();
    let shown = demo::show(Arc::clone(&store), &following).await.unwrap();
    let why = shown.given_back.1.failure.as_deref();
    assert_eq!((shown.given_back.1.status, why), (TransferStatus::Failed, Some("the account is frozen")));
    assert_eq!(shown.arrived.1.status, TransferStatus::Completed);
    let row: Vec<_> = shown.row.iter().map(|(column, value)| (column.as_str(), value.as_str())).collect();
    // 2,000.00 in, 800.00 out and back, 800.00 out, 12.50 in.
    let expected = [
        ("account", "salary"),
        ("holder", "c-1"),
        ("minor", "121250"),
        ("currency", "EUR"),
        ("movements", "5"),
    ];
    assert_eq!(row, expected);
    let accounts = Selector::Category(Category::new("account").unwrap());
    let log = store.read_all(Read::forwards(accounts)).await.unwrap();
    assert_eq!(log.len() as u64, month.events + shown.account_events);
    assert_eq!(shown.token.next_position(), Some(log.last().unwrap().position().next()));
    let again = demo::show(store, &following).await.unwrap_err();
    assert!(matches!(again, demo::ReadSideError::Bank(_)), "{again:?}");
}

#[tokio::test]
async fn a_query_waits_for_its_own_write() {
    let directory = tempfile::tempdir().unwrap();
    let month = Month::of(0, sqlite(&directory)).await;
    let handle = month.projections.start(balances().unwrap()).await.unwrap();
    let bank = Arc::new(Bank::new(Arc::clone(&month.store)).unwrap());
    let account = AccountId::new("1");
    let open = AccountCommand::Open { holder: CustomerId::new("c-1"), currency: Currency::EUR };
    bank.ask(&account, open, &CommandMetadata::new()).await.unwrap();
    for deposits in 1..=200 {
        let deposit = AccountCommand::Deposit(Money::new(5, Currency::EUR));
        let outcome = bank.ask(&account, deposit, &CommandMetadata::new()).await.unwrap();
        let token = &outcome.applied().unwrap().token;
        let waited = handle.wait(token, PATIENCE).await.unwrap();
        assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
        let query = "select minor from balances where account = :account";
        let (rows, _) = handle.query(query, &[("account", "1".into())]).unwrap();
        assert_eq!(
            rows.first_value().and_then(factum_core::read_model::Value::as_integer),
            Some(deposits * 5)
        );
    }
}

#[tokio::test]
async fn money_that_comes_back_is_on_the_statement() {
    let directory = tempfile::tempdir().unwrap();
    let month = Month::of(0, sqlite(&directory)).await;
    let bank = Arc::new(Bank::new(Arc::clone(&month.store)).unwrap());
    let asked = CommandMetadata::new();
    for account in ["1", "2"].map(AccountId::new) {
        let open = AccountCommand::Open { holder: CustomerId::new("c-1"), currency: Currency::EUR };
        bank.ask(&account, open, &asked).await.unwrap();
    }
    let hundred = Money::new(10_000, Currency::EUR);
    bank.ask(&AccountId::new("1"), AccountCommand::Deposit(hundred), &asked).await.unwrap();
    let freeze = AccountCommand::Freeze { reason: "lost card".to_owned() };
    bank.ask(&AccountId::new("2"), freeze, &asked).await.unwrap();
    let order = TransferOrder { from: AccountId::new("1"), to: AccountId::new("2"), amount: hundred };
    bank.ask_transfer(&TransferId::new("t1"), TransferCommand::Request(order), &asked).await.unwrap();
    bank.transfer_runner(TransferSaga::default()).unwrap().run_until_idle().await.unwrap();
    let rows = month.rows(month.projections.start(statements().unwrap()).await.unwrap()).await;
    let seen: Vec<_> = rows.iter().map(|row| [&row[0], &row[3], &row[5], &row[6]]).collect();
    assert_eq!(
        seen,
        [["1", "10000", "null", "10000"], ["1", "-10000", "2", "0"], ["1", "10000", "2", "10000"]]
    );
}
