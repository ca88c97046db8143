//! What may be asked of one account, and what is refused.

use factum::{Context, Decider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountEvent, AccountId, Currency, CustomerId, Money};

/// Whether money may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Status {
    /// Nobody has opened it.
    #[default]
    NotOpened,
    /// It may.
    Active,
    /// It may not, for now.
    Frozen,
    /// It may not, ever again.
    Closed,
}

/// What the events of an account come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Whether money may move.
    pub status: Status,
    /// Whose it is; `None` until it is opened.
    pub holder: Option<CustomerId>,
    /// What is in it; `None` until it is opened.
    pub balance: Option<Money>,
    /// How often money moved.
    pub movements: u64,
}

/// What may be asked of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCommand {
    /// Open it.
    Open {
        /// For whom.
        holder: CustomerId,
        /// In what.
        currency: Currency,
    },
    /// Put money in.
    Deposit(Money),
    /// Take money out.
    Withdraw(Money),
    /// Take money out that is on its way to another account.
    SendTo {
        /// Where to.
        to: AccountId,
        /// How much.
        amount: Money,
    },
    /// Put money in that comes from another account.
    ReceiveFrom {
        /// Where from.
        from: AccountId,
        /// How much.
        amount: Money,
    },
    /// Put money back that could not be delivered. It is the account's own: a frozen account takes it too.
    TakeBack {
        /// Where it should have gone.
        to: AccountId,
        /// How much.
        amount: Money,
    },
    /// Stop all movements.
    Freeze {
        /// Why.
        reason: String,
    },
    /// Allow movements again.
    Unfreeze,
    /// Close it for ever.
    Close,
}

/// Why an account does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was never opened.
    #[error("the account is not open")]
    NotOpened,
    /// It was opened before.
    #[error("the account was opened before")]
    AlreadyOpened,
    /// An account needs a holder.
    #[error("the account needs a holder")]
    NoHolder,
    /// It is frozen.
    #[error("the account is frozen")]
    Frozen,
    /// It is closed.
    #[error("the account is closed")]
    Closed,
    /// Only amounts above zero move.
    #[error("{0} is not an amount that can move: it must be above zero")]
    NotPositive(Money),
    /// The amount is of another currency.
    #[error("the account is kept in {kept}, not in {asked}")]
    OtherCurrency {
        /// The account's currency.
        kept: Currency,
        /// The amount's.
        asked: Currency,
    },
    /// There is too little in it.
    #[error("the account has {balance}, {asked} is more")]
    Overdraft {
        /// What is in it.
        balance: Money,
        /// What was asked for.
        asked: Money,
    },
    /// There would be more in it than can be counted.
    #[error("the account cannot hold {balance} and {asked}")]
    TooMuch {
        /// What is in it.
        balance: Money,
        /// What was to be put in.
        asked: Money,
    },
    /// Only an empty account can be closed.
    #[error("the account still has {0}")]
    NotEmpty(Money),
    /// Money moves between two accounts.
    #[error("a transfer needs two accounts")]
    SameAccount,
}

impl Refusal {
    /// A few words for tables, the same for all amounts.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::NotOpened => "not open",
            Refusal::AlreadyOpened => "opened before",
            Refusal::NoHolder => "no holder",
            Refusal::Frozen => "frozen",
            Refusal::Closed => "closed",
            Refusal::NotPositive(_) => "amount not above zero",
            Refusal::OtherCurrency { .. } => "other currency",
            Refusal::Overdraft { .. } => "overdraft",
            Refusal::TooMuch { .. } => "too much",
            Refusal::NotEmpty(_) => "not empty",
            Refusal::SameAccount => "same account",
        }
    }
}

impl Account {
    /// What is in it.
    ///
    /// # Errors
    /// Why no money may move.
    pub fn active_balance(&self) -> Result<Money, Refusal> {
        match (self.status, self.balance) {
            (Status::Active, Some(balance)) => Ok(balance),
            (Status::Frozen, _) => Err(Refusal::Frozen),
            (Status::Closed, _) => Err(Refusal::Closed),
            (Status::NotOpened, _) | (Status::Active, None) => Err(Refusal::NotOpened),
        }
    }

    /// Whether `amount` may be put in.
    ///
    /// # Errors
    /// Why not.
    pub fn check_deposit(&self, amount: Money) -> Result<(), Refusal> {
        let balance = self.check_movement(amount)?;
        match balance.minor.checked_add(amount.minor) {
            Some(_) => Ok(()),
            None => Err(Refusal::TooMuch { balance, asked: amount }),
        }
    }

    /// Whether `amount` may be taken out.
    ///
    /// # Errors
    /// Why not.
    pub fn check_withdrawal(&self, amount: Money) -> Result<(), Refusal> {
        let balance = self.check_movement(amount)?;
        if amount.minor > balance.minor { Err(Refusal::Overdraft { balance, asked: amount }) } else { Ok(()) }
    }

    /// Whether `amount`, which was taken out before, may be put back.
    ///
    /// # Errors
    /// Why not.
    pub fn check_return(&self, amount: Money) -> Result<(), Refusal> {
        let status = if self.status == Status::Frozen { Status::Active } else { self.status };
        Account { status, ..self.clone() }.check_deposit(amount)
    }

    fn check_movement(&self, amount: Money) -> Result<Money, Refusal> {
        let balance = self.active_balance()?;
        if amount.currency != balance.currency {
            return Err(Refusal::OtherCurrency { kept: balance.currency, asked: amount.currency });
        }
        if amount.minor <= 0 {
            return Err(Refusal::NotPositive(amount));
        }
        Ok(balance)
    }

    /// What `event` makes of the account.
    pub fn evolve(&mut self, event: &AccountEvent) {
        let mut moves = |minor: i64| {
            self.movements += 1;
            if let Some(balance) = &mut self.balance {
                // `decide` lets nothing through that would overflow; a log that somebody else wrote may.
                balance.minor = balance.minor.saturating_add(minor);
            }
        };
        match event {
            AccountEvent::AccountOpened { holder, currency, .. } => {
                self.status = Status::Active;
                self.holder = Some(holder.clone());
                self.balance = Some(Money::zero(*currency));
            }
            AccountEvent::FundsDeposited { amount, .. } => moves(amount.minor),
            AccountEvent::FundsWithdrawn { amount, .. } => moves(amount.minor.saturating_neg()),
            AccountEvent::AccountFrozen { .. } => self.status = Status::Frozen,
            AccountEvent::AccountUnfrozen { .. } => self.status = Status::Active,
            AccountEvent::AccountClosed { .. } => self.status = Status::Closed,
        }
    }
}

/// The rules of one account. The command names the account, the stream is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts;

impl Decider for Accounts {
    type State = Account;
    type Command = (AccountId, AccountCommand);
    type Event = AccountEvent;
    type Rejection = Refusal;

    fn initial_state(&self) -> Account {
        Account::default()
    }

    fn evolve(&self, state: &mut Account, event: &AccountEvent) {
        state.evolve(event);
    }

    fn decide(
        &self,
        state: &Account,
        (account, command): &(AccountId, AccountCommand),
        _: &Context,
    ) -> Result<Vec<AccountEvent>, Refusal> {
        let account = account.clone();
        match command {
            AccountCommand::Open { .. } if state.status != Status::NotOpened => Err(Refusal::AlreadyOpened),
            AccountCommand::Open { holder, .. } if holder.is_blank() => Err(Refusal::NoHolder),
            AccountCommand::Open { holder, currency } => {
                let holder = holder.clone();
                Ok(vec![AccountEvent::AccountOpened { account, holder, currency: *currency }])
            }
            AccountCommand::Deposit(amount) => {
                state.check_deposit(*amount)?;
                Ok(vec![AccountEvent::FundsDeposited { account, amount: *amount, from: None }])
            }
            AccountCommand::Withdraw(amount) => {
                state.check_withdrawal(*amount)?;
                Ok(vec![AccountEvent::FundsWithdrawn { account, amount: *amount, to: None }])
            }
            AccountCommand::SendTo { to, amount } => {
                state.check_withdrawal(*amount)?;
                Ok(vec![AccountEvent::FundsWithdrawn { account, amount: *amount, to: Some(to.clone()) }])
            }
            AccountCommand::ReceiveFrom { from, amount } => {
                state.check_deposit(*amount)?;
                Ok(vec![AccountEvent::FundsDeposited { account, amount: *amount, from: Some(from.clone()) }])
            }
            AccountCommand::TakeBack { to, amount } => {
                state.check_return(*amount)?;
                Ok(vec![AccountEvent::FundsDeposited { account, amount: *amount, from: Some(to.clone()) }])
            }
            AccountCommand::Freeze { reason } => match state.status {
                Status::NotOpened => Err(Refusal::NotOpened),
                Status::Closed => Err(Refusal::Closed),
                Status::Frozen => Ok(vec![]),
                Status::Active => Ok(vec![AccountEvent::AccountFrozen { account, reason: reason.clone() }]),
            },
            AccountCommand::Unfreeze => match state.status {
                Status::NotOpened => Err(Refusal::NotOpened),
                Status::Closed => Err(Refusal::Closed),
                Status::Active => Ok(vec![]),
                Status::Frozen => Ok(vec![AccountEvent::AccountUnfrozen { account }]),
            },
            AccountCommand::Close => match state.active_balance() {
                Err(Refusal::Closed) => Ok(vec![]),
                Err(refusal) => Err(refusal),
                Ok(balance) if balance.minor != 0 => Err(Refusal::NotEmpty(balance)),
                Ok(_) => Ok(vec![AccountEvent::AccountClosed { account }]),
            },
        }
    }
}
