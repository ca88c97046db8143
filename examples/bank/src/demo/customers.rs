//! Who banks here, and what is left of a customer who is forgotten?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factum::{CommandMetadata, ForgettingReadModels, Handle, Personal, ProjectionError, Revealed, Waited};
use factum_core::read_model::{ReadModelError, ReadModels};
use factum_core::{EventStore, Read, ReadError, Selector};
use factum_vault::{EraseError, ErasureRequest, InvalidName, SealingStore, SignedReceipt, Subject};

use super::{Following, OPENING};
use crate::{AccountId, Address, Bank, BankError, Currency, CustomerCommand, CustomerId, Money};

/// Name and town of each customer; the first one has the shop.
pub(super) const PEOPLE: [(&str, &str); 8] = [
    ("Ada Lindqvist", "8010 Graz"),
    ("Grace Okafor", "1040 Wien"),
    ("Edsger Vermeer", "4020 Linz"),
    ("Barbara Moreau", "6020 Innsbruck"),
    ("Donald Petrov", "5020 Salzburg"),
    ("Radia Silva", "9020 Klagenfurt"),
    ("Tony Ferrara", "3100 Krems"),
    ("Leslie Novak", "7000 Eisenstadt"),
];

/// Who asks to be forgotten.
pub(super) const FORGOTTEN: u64 = 2;

/// How long the read models may take to come to the end of the log, and to forget.
const AT_MOST: Duration = Duration::from_secs(60);

/// A customer who was forgotten, and what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Forgotten {
    /// The customer.
    pub customer: CustomerId,
    /// Whom the read model `customers` knew before.
    pub was: String,
    /// What a letter would begin with now: the name's fallback.
    pub is: String,
    /// The row of `customers` now, column by column.
    pub row: Vec<(String, String)>,
    /// How many accounts the customer has, and had before.
    pub accounts: u64,
    /// What is in them, to the cent as before.
    pub money: BTreeMap<Currency, Money>,
    /// What the vault attests. Its signature was checked, and that the keys are gone.
    pub receipt: SignedReceipt,
}

/// Why a customer could not be forgotten, or not shown to be.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The bank failed at something.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The read models could not be asked.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// A projection does not run.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The customer's number cannot be a subject.
    #[error(transparent)]
    Subject(#[from] InvalidName),
    /// The erasure is not complete.
    #[error(transparent)]
    Erase(#[from] EraseError),
    /// Something is not as it must be afterwards.
    #[error("{0}")]
    NotAsPromised(&'static str),
}

/// Whose account number so and so is.
pub(super) fn holder(account: u64) -> CustomerId {
    customer((account - 1) % PEOPLE.len() as u64 + 1)
}

pub(super) fn customer(number: u64) -> CustomerId {
    CustomerId::new(format!("c-{number}"))
}

/// Registers everybody who banks here. The store must seal: see [`Bank`].
///
/// # Errors
/// What failed. Registered before is no failure: commands have their ids.
pub async fn register(store: Arc<dyn EventStore>) -> Result<u64, ForgetError> {
    let bank = Bank::new(store).map_err(|_| ForgetError::NotAsPromised("the events are declared wrongly"))?;
    for (number, (name, town)) in (1..).zip(PEOPLE) {
        let street = format!("Ringstrasse {number}");
        let address = Address { street, town: town.to_owned(), country: "AT".to_owned() };
        let first_name = name.split(' ').next().unwrap_or(name).to_lowercase();
        let register = CustomerCommand::Register {
            name: Personal::new(name.to_owned()),
            email: Personal::new(format!("{first_name}@example.org")),
            address: Personal::new(address),
        };
        bank.ask_customer(&customer(number), register, &asked(number, "register")).await?;
    }
    let phone = CustomerCommand::AllowMarketing(Personal::new("+43 1 234567".to_owned()));
    bank.ask_customer(&customer(FORGOTTEN), phone, &asked(FORGOTTEN, "phone")).await?;
    Ok(PEOPLE.len() as u64)
}

fn asked(number: u64, what: &str) -> CommandMetadata {
    CommandMetadata::new().actor("branch").command_id(format!("demo-{what}-{number}")).occurred_at(OPENING)
}

/// Forgets a customer who has accounts with money in them, and looks at what is left.
///
/// # Errors
/// What failed, or is not as it must be.
pub async fn forget(
    store: &SealingStore,
    read_models: &Arc<dyn ReadModels>,
    following: &Following,
) -> Result<Forgotten, ForgetError> {
    let bank = Bank::new(Arc::new(store.clone()))
        .map_err(|_| ForgetError::NotAsPromised("the events are declared wrongly"))?;
    let customer = customer(FORGOTTEN);
    let name = |row: &[(String, String)]| {
        row.iter().find(|(column, _)| column == "name").map(|(_, name)| name.clone())
    };
    up_to_date(store, &[&following.customers, &following.balances]).await?;
    let was = name(&row(&following.customers, &customer)?).unwrap_or_default();
    let accounts = accounts(&following.balances, &customer)?;
    let money = money(&bank, &accounts).await?;

    let (vault, log) = (store.vault(), store.sealed());
    let subject = vault.subject_ref(&Subject::new(customer.to_string())?);
    let request = ErasureRequest::everything(subject, "asked for on 2026-02-05", "branch");
    let forgetting = ForgettingReadModels::new(Arc::clone(log), Arc::clone(read_models), AT_MOST);
    let receipt = vault.erase(&**log, &request, &[&forgetting]).await?;

    let genuine = receipt.verify(&vault.receipt_key()).is_ok();
    if !genuine || !vault.still_open(&receipt.receipt).await.map_err(EraseError::from)?.is_empty() {
        return Err(ForgetError::NotAsPromised("the receipt is not true"));
    }
    let row = row(&following.customers, &customer)?;
    let state = bank.customer(&customer).await?.state;
    let erased = state.name.as_ref().map(Personal::read);
    let Some(Ok(Revealed::Erased(erased))) = erased else {
        return Err(ForgetError::NotAsPromised("the customer's name can still be read"));
    };
    if name(&row).as_deref() != Some("null") {
        return Err(ForgetError::NotAsPromised("'customers' still has the name"));
    }
    if self::money(&bank, &accounts).await? != money {
        return Err(ForgetError::NotAsPromised("the customer's accounts have changed"));
    }
    let is = erased.fallback.cloned().unwrap_or_default();
    Ok(Forgotten { customer, was, is, row, accounts: accounts.len() as u64, money, receipt })
}

/// Waits until the read models hold the whole log.
async fn up_to_date(store: &SealingStore, handles: &[&Handle]) -> Result<(), ForgetError> {
    let end = store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone();
    for handle in handles {
        match handle.wait(&end, AT_MOST).await {
            Ok(Waited::Ready { .. }) => {}
            _ => return Err(ForgetError::NotAsPromised("a read model did not come to the end of the log")),
        }
    }
    Ok(())
}

fn row(customers: &Handle, customer: &CustomerId) -> Result<Vec<(String, String)>, ForgetError> {
    let query = "select * from customers where customer = :customer";
    let (rows, _) = customers.query(query, &[("customer", customer.to_string().into())])?;
    let values = rows.rows.into_iter().next().unwrap_or_default();
    Ok(rows.columns.into_iter().zip(values.iter().map(ToString::to_string)).collect())
}

fn accounts(balances: &Handle, customer: &CustomerId) -> Result<Vec<AccountId>, ForgetError> {
    let query = "select account from balances where holder = :holder order by account";
    let (rows, _) = balances.query(query, &[("holder", customer.to_string().into())])?;
    Ok(rows
        .rows
        .iter()
        .filter_map(|row| row.first())
        .map(|account| AccountId::new(account.to_string()))
        .collect())
}

async fn money(bank: &Bank, accounts: &[AccountId]) -> Result<BTreeMap<Currency, Money>, BankError> {
    let mut sums = BTreeMap::new();
    for account in accounts {
        if let Some(balance) = bank.account(account).await?.state.balance {
            sums.entry(balance.currency).or_insert(Money::zero(balance.currency)).minor += balance.minor;
        }
    }
    Ok(sums)
}
