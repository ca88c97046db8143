//! What a program asks of the bank: open, deposit, withdraw, transfer, look, now or in the past.

use std::sync::Arc;

use factum::{
    Boundary, Codec, CodecError, CommandMetadata, ExecuteError, Executor, Outcome, ReplayError, Replayed,
    RetryPolicy, SnapshotStats, Snapshots, load_at,
};
use factum_core::{AsOf, ErrorKind, EventStore, NameError};

use crate::{
    Account, AccountCommand, AccountEvent, AccountId, Accounts, Money, Refusal, Transfer, Transfers,
};

/// How often a command is decided before a conflict is reported.
const ATTEMPTS: u32 = 50;

/// A snapshot of an account every so many events.
const SNAPSHOT_EVERY: u64 = 100;

/// A bank over any store. Share it behind a reference; commands may come from many tasks at once.
pub struct Bank {
    store: Arc<dyn EventStore>,
    accounts: Executor<Accounts>,
}

/// Why the bank did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BankError {
    /// The rules of the bank are against it.
    #[error(transparent)]
    Refused(Refusal),
    /// The account's number cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It could not be done.
    #[error(transparent)]
    Failed(ExecuteError<Refusal>),
}

impl BankError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            BankError::Refused(_) | BankError::Name(_) => ErrorKind::Invalid,
            BankError::Failed(error) => error.kind(),
        }
    }

    /// Why the rules are against it, if they are.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            BankError::Refused(refusal) => Some(refusal),
            BankError::Name(_) | BankError::Failed(_) => None,
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

impl From<ReplayError> for BankError {
    fn from(error: ReplayError) -> Self {
        BankError::Failed(error.into())
    }
}

impl Bank {
    /// A bank that keeps its events in `store`, with a snapshot of each account every 100 events.
    ///
    /// # Errors
    /// Where the declaration of the events cannot work: a gap between versions, a name used twice.
    pub fn new(store: Arc<dyn EventStore>) -> Result<Self, CodecError> {
        Codec::<AccountEvent>::new()?;
        let accounts = Executor::new(Arc::clone(&store), Accounts, RetryPolicy::attempts(ATTEMPTS))
            .with_snapshots(Snapshots::every(SNAPSHOT_EVERY));
        Ok(Self { store, accounts })
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

    /// Moves money between two accounts, in one append to both of their streams. It holds if nothing happened to
    /// either account in between.
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
