//! The other half of the month: read models that follow it, two transfers that take their time, and a query that waits
//! for its own write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::{CommandMetadata, DefinitionError, Handle, ProcessError, ProjectionError, Projections, Waited};
use factum_core::read_model::ReadModels;
use factum_core::{Checkpoint, CheckpointError, EventStore};

use super::customers::customer;
use crate::{
    AccountCommand, AccountId, Bank, BankError, Currency, Money, TransferCommand, TransferId, TransferOrder,
    TransferRecord, TransferSaga, balances, customers, daily_totals, statements,
};

/// How long the query waits at most.
const AT_MOST: Duration = Duration::from_secs(60);

/// What the read side showed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadSide {
    /// Which database the read models are in.
    pub database: String,
    /// What each transfer moved.
    pub amount: Money,
    /// The transfer that found its target frozen and gave the money back.
    pub given_back: (TransferId, TransferRecord),
    /// The transfer that arrived.
    pub arrived: (TransferId, TransferRecord),
    /// What the last command's append returned.
    pub token: Checkpoint,
    /// How long the query waited until the rows held it.
    pub waited: Duration,
    /// The row of `balances`, column by column.
    pub row: Vec<(String, String)>,
    /// Events of accounts that were written for it.
    pub account_events: u64,
}

/// Why the read side could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadSideError {
    /// The bank failed at something.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The events are declared wrongly.
    #[error(transparent)]
    Codec(#[from] factum::CodecError),
    /// A projection is declared wrongly.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A projection does not run.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The transfers did not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The token is of another store.
    #[error(transparent)]
    Token(#[from] CheckpointError),
    /// Its accounts are there already.
    #[error("a command of the demonstration found nothing to do: its store is not new")]
    NotNew,
    /// The rows did not come in time.
    #[error("the read model 'balances' did not come to the token: {0:?}")]
    NotReady(Waited),
}

/// The bank's four read models, as they follow the log.
pub struct Following {
    pub(super) balances: Handle,
    pub(super) customers: Handle,
    _projections: Projections,
    database: String,
}

/// Lets the four read models follow the log.
///
/// # Errors
/// Where the database does not take them, or holds those of another store.
pub async fn follow(
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
) -> Result<Following, ReadSideError> {
    let database = read_models.describe();
    let projections = Projections::open(store, read_models).await.map_err(ProjectionError::from)?;
    let balances = projections.start(balances()?).await?;
    projections.start(statements()?).await?;
    projections.start(daily_totals()?).await?;
    let customers = projections.start(customers()?).await?;
    Ok(Following { balances, customers, _projections: projections, database })
}

/// Moves money with the saga, once to a frozen account and once to an open one; then asks for a balance in the very
/// moment after a deposit.
///
/// # Errors
/// What failed.
pub async fn show(store: Arc<dyn EventStore>, following: &Following) -> Result<ReadSide, ReadSideError> {
    let desk = Desk { bank: Arc::new(Bank::new(store)?) };
    let (from, to) = (AccountId::new("salary"), AccountId::new("rent"));
    let eur = |cents| Money::new(cents, Currency::EUR);
    let mut account_events = 0;
    for (account, holder) in [(&from, 1), (&to, 2)] {
        let open = AccountCommand::Open { holder: customer(holder), currency: Currency::EUR };
        account_events += desk.ask(account, open).await?.1;
    }
    account_events += desk.ask(&from, AccountCommand::Deposit(eur(200_000))).await?.1;
    account_events += desk.ask(&to, AccountCommand::Freeze { reason: "lost card".to_owned() }).await?.1;
    let amount = eur(80_000);
    let given_back = desk.transfer("rent-january", &from, &to, amount).await?;
    account_events += desk.ask(&to, AccountCommand::Unfreeze).await?.1;
    let arrived = desk.transfer("rent-january-again", &from, &to, amount).await?;
    // Out and back, out and in.
    account_events += 4;

    let (token, deposited) = desk.ask(&from, AccountCommand::Deposit(eur(1_250))).await?;
    let began = Instant::now();
    let waited = following.balances.wait(&token, AT_MOST).await?;
    if !matches!(waited, Waited::Ready { .. }) {
        return Err(ReadSideError::NotReady(waited));
    }
    let took = began.elapsed();
    let query = "select account, holder, minor, currency, movements from balances where account = :account";
    let (rows, _) = following.balances.query(query, &[("account", from.to_string().into())])?;
    let values = rows.rows.into_iter().next().unwrap_or_default();
    let row = rows.columns.into_iter().zip(values.iter().map(ToString::to_string)).collect();
    account_events += deposited;
    let database = following.database.clone();
    Ok(ReadSide { database, amount, given_back, arrived, token, waited: took, row, account_events })
}

struct Desk {
    bank: Arc<Bank>,
}

impl Desk {
    /// Where the command's events are in the log, and how many there are.
    async fn ask(
        &self,
        account: &AccountId,
        command: AccountCommand,
    ) -> Result<(Checkpoint, u64), ReadSideError> {
        let asked = CommandMetadata::new().actor("branch");
        let outcome = self.bank.ask(account, command, &asked).await?;
        let applied = outcome.applied().ok_or(ReadSideError::NotNew)?;
        Ok((applied.token.clone(), applied.events.len() as u64))
    }

    /// Asks for a transfer and lets the saga do it.
    async fn transfer(
        &self,
        number: &str,
        from: &AccountId,
        to: &AccountId,
        amount: Money,
    ) -> Result<(TransferId, TransferRecord), ReadSideError> {
        let transfer = TransferId::new(number);
        let order = TransferOrder { from: from.clone(), to: to.clone(), amount };
        let asked = CommandMetadata::new().actor("c-1");
        self.bank.ask_transfer(&transfer, TransferCommand::Request(order), &asked).await?;
        self.bank.transfer_runner(TransferSaga::default())?.run_until_idle().await?;
        let record = self.bank.transfer_record(&transfer).await?;
        Ok((transfer, record))
    }
}
