//! What a program asks of the bank: register, open, deposit, withdraw, transfer, look, now or in the past.

use std::sync::Arc;

use factum::{
    Boundary, Codec, CodecError, CommandMetadata, ExecuteError, Executor, Outcome, ReplayError, Replayed,
    RetryPolicy, SnapshotStats, Snapshots, load_at,
};
use factum_core::{AsOf, ErrorKind, EventStore, NameError};

use crate::{
    Account, AccountCommand, AccountEvent, AccountId, Accounts, Customer, CustomerCommand, CustomerEvent,
    CustomerId, CustomerRefusal, Customers, Money, Refusal, Transfer, TransferCommand, TransferEvent,
    TransferId, TransferOrders, TransferRecord, TransferRefusal, Transfers,
};

/// How often a command is decided before a conflict is reported.
const ATTEMPTS: u32 = 50;

/// A snapshot of an account every so many events.
const SNAPSHOT_EVERY: u64 = 100;

/// A snapshot of a customer every so many events: most have a handful in all their life.
const CUSTOMER_SNAPSHOT_EVERY: u64 = 20;

/// A bank over any store. Share it behind a reference; commands may come from many tasks at once.
///
/// Customers need a store that seals (`factum_vault::SealingStore`): any other refuses what is personal. Accounts and transfers
/// have nothing that is.
pub struct Bank {
    store: Arc<dyn EventStore>,
    accounts: Executor<Accounts>,
    orders: Executor<TransferOrders>,
    customers: Executor<Customers>,
}

/// Why the bank did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BankError {
    /// The rules of an account are against it.
    #[error(transparent)]
    Refused(Refusal),
    /// The rules of transfers are against it.
    #[error(transparent)]
    TransferRefused(TransferRefusal),
    /// The rules of a customer's record are against it.
    #[error(transparent)]
    CustomerRefused(CustomerRefusal),
    /// The number cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It could not be done.
    #[error(transparent)]
    Failed(ExecuteError<Refusal>),
    /// A transfer could not be asked anything.
    #[error(transparent)]
    TransferFailed(ExecuteError<TransferRefusal>),
    /// A customer's record could not be asked anything.
    #[error(transparent)]
    CustomerFailed(ExecuteError<CustomerRefusal>),
}

impl BankError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            BankError::Refused(_)
            | BankError::TransferRefused(_)
            | BankError::CustomerRefused(_)
            | BankError::Name(_) => ErrorKind::Invalid,
            BankError::Failed(error) => error.kind(),
            BankError::TransferFailed(error) => error.kind(),
            BankError::CustomerFailed(error) => error.kind(),
        }
    }

    /// Why the rules of an account are against it, if they are.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            BankError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<ExecuteError<Refusal>> for BankError {
    fn from(error: ExecuteError<Refusal>) -> Self {
        match error {
            ExecuteError::Rejected(refusal) => BankError::Refused(refusal),
            error => BankError::Failed(error),
        }
    }
}

impl From<ExecuteError<TransferRefusal>> for BankError {
    fn from(error: ExecuteError<TransferRefusal>) -> Self {
        match error {
            ExecuteError::Rejected(refusal) => BankError::TransferRefused(refusal),
            error => BankError::TransferFailed(error),
        }
    }
}

impl From<ExecuteError<CustomerRefusal>> for BankError {
    fn from(error: ExecuteError<CustomerRefusal>) -> Self {
        match error {
            ExecuteError::Rejected(refusal) => BankError::CustomerRefused(refusal),
            error => BankError::CustomerFailed(error),
        }
    }
}

impl From<ReplayError> for BankError {
    fn from(error: ReplayError) -> Self {
        BankError::Failed(error.into())
    }
}

impl Bank {
    /// A bank that keeps its events in `store`, with a snapshot of each account every 100 events and of each customer every 20.
    ///
    /// # Errors
    /// Where the declaration of the events cannot work: a gap between versions, a name used twice.
    pub fn new(store: Arc<dyn EventStore>) -> Result<Self, CodecError> {
        Codec::<AccountEvent>::new()?;
        Codec::<TransferEvent>::new()?;
        Codec::<CustomerEvent>::new()?;
        let accounts = Executor::new(Arc::clone(&store), Accounts, RetryPolicy::attempts(ATTEMPTS))
            .with_snapshots(Snapshots::every(SNAPSHOT_EVERY));
        let orders = Executor::new(Arc::clone(&store), TransferOrders, RetryPolicy::attempts(ATTEMPTS));
        let customers = Executor::new(Arc::clone(&store), Customers, RetryPolicy::attempts(ATTEMPTS))
            .with_snapshots(Snapshots::every(CUSTOMER_SNAPSHOT_EVERY));
        Ok(Self { store, accounts, orders, customers })
    }

    /// Asks something of one account.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed.
    pub async fn ask(
        &self,
        account: &AccountId,
        command: AccountCommand,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<AccountEvent>, BankError> {
        let command = (account.clone(), command);
        Ok(self.accounts.execute(&account.stream()?, &command, metadata).await?)
    }

    /// Moves money between two accounts at once, in one append to both of their streams. It holds if nothing happened
    /// to either account in between. What must wait for a person, or for another bank, is
    /// [asked for](Self::ask_transfer) instead.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed.
    pub async fn transfer(
        &self,
        from: &AccountId,
        to: &AccountId,
        amount: Money,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<AccountEvent>, BankError> {
        let streams = (from.stream()?, to.stream()?);
        let sender = from.clone();
        let boundary = Boundary::<AccountEvent>::tags([from.tag()?], streams.0.clone())?
            .or_tags([to.tag()?])?
            .routed(move |event| match *event.account() == sender {
                true => streams.0.clone(),
                false => streams.1.clone(),
            });
        let decider = Transfers { from: from.clone(), to: to.clone() };
        let executor = Executor::new(Arc::clone(&self.store), decider, RetryPolicy::attempts(ATTEMPTS));
        Ok(executor.execute_within(&boundary, &Transfer { amount }, metadata).await?)
    }

    /// Asks something of a transfer that takes its time. A [runner](Self::transfer_runner) does it.
    ///
    /// # Errors
    /// `TransferRefused` with the rule that is against it, or what failed.
    pub async fn ask_transfer(
        &self,
        transfer: &TransferId,
        command: TransferCommand,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<TransferEvent>, BankError> {
        let command = (transfer.clone(), command);
        Ok(self.orders.execute(&transfer.stream()?, &command, metadata).await?)
    }

    /// Asks something of a customer's record.
    ///
    /// # Errors
    /// `CustomerRefused` with the rule that is against it, or what failed: among that, a store that does not seal, and a
    /// customer who was forgotten.
    pub async fn ask_customer(
        &self,
        customer: &CustomerId,
        command: CustomerCommand,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<CustomerEvent>, BankError> {
        let command = (customer.clone(), command);
        Ok(self.customers.execute(&customer.stream()?, &command, metadata).await?)
    }

    /// A customer as it is now.
    ///
    /// # Errors
    /// What failed. Nobody by that number is no error: the state has no name.
    pub async fn customer(&self, customer: &CustomerId) -> Result<Replayed<Customer>, BankError> {
        Ok(self.customers.load(&customer.stream()?).await?)
    }

    /// The store.
    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// A transfer as it is now.
    ///
    /// # Errors
    /// What failed. A transfer that nobody asked for is no error: its status says so.
    pub async fn transfer_record(&self, transfer: &TransferId) -> Result<TransferRecord, BankError> {
        Ok(self.orders.load(&transfer.stream()?).await?.state)
    }

    /// An account as it is now.
    ///
    /// # Errors
    /// What failed. An account that was never opened is no error: its status says so.
    pub async fn account(&self, account: &AccountId) -> Result<Replayed<Account>, BankError> {
        Ok(self.accounts.load(&account.stream()?).await?)
    }

    /// An account as it was.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub async fn account_at(&self, account: &AccountId, at: AsOf) -> Result<Replayed<Account>, BankError> {
        Ok(load_at(&*self.store, &Accounts, &account.stream()?, at).await?)
    }

    /// How often snapshots were of use so far.
    pub fn snapshot_stats(&self) -> SnapshotStats {
        self.accounts.snapshot_stats()
    }
}
