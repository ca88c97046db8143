//! A month of the bank's business: the same commands in the same order each time, some of them refused, some repeated,
//! some at the same moment.

mod customers;
mod heritage;
mod living;
mod read_side;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use factum::{CodecError, CommandMetadata, Outcome};
use factum_core::{AsOf, EventStore, Position, Revision, StreamName, Timestamp};

pub use customers::{ForgetError, Forgotten, forget, register};
pub use heritage::{HERITAGE, HeritageError, heritage};
pub use living::Living;
pub use read_side::{Following, ReadSide, ReadSideError, follow, show};

use crate::{AccountCommand, AccountEvent, AccountId, Bank, BankError, Currency, Money};

/// 2026-01-05T08:00:00Z: when the month begins. Events carry it as the time at which they occurred.
pub const OPENING: Timestamp = Timestamp(1_767_600_000 * 10_000_000);

/// How long the month's business lasts, in seconds.
const MONTH_SECONDS: u64 = 30 * 24 * 3_600;

/// How many commands come at the same moment where some do.
const AT_ONCE: u64 = 4;

/// What the month came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Commands that were executed, repetitions included.
    pub commands: u64,
    /// Commands that led to events.
    pub accepted: u64,
    /// Commands that found nothing to do.
    pub nothing_to_do: u64,
    /// Commands that had been executed before, under the same id.
    pub repeated: u64,
    /// Commands that the rules were against.
    pub rejected: u64,
    /// The same, by rule.
    pub rejections: BTreeMap<&'static str, u64>,
    /// How often a command was decided again, since somebody else had written in between.
    pub decided_again: u64,
    /// Events written, snapshots not counted.
    pub events: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Accounts opened.
    pub accounts: u64,
    /// What is in all accounts together, by currency.
    pub total: BTreeMap<Currency, Money>,
    /// The busiest account.
    pub example: Example,
}

/// One account to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its number.
    pub account: AccountId,
    /// Its stream.
    pub stream: StreamName,
    /// Its last revision.
    pub revision: Option<Revision>,
    /// What is in it.
    pub balance: Option<Money>,
    /// A time in the middle of the month to travel to: of occurrence, not of recording.
    pub travel_to: Timestamp,
    /// What was in it then.
    pub balance_then: Option<Money>,
    /// Position of the last event of the account that had occurred by then.
    pub position_then: Option<Position>,
}

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The bank's events are declared wrongly.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The bank failed at something that is not a refusal.
    #[error(transparent)]
    Bank(#[from] BankError),
}

/// Runs about `commands` commands through the bank, at least 100.
///
/// The store should be empty. Run twice in one store, no command takes effect twice, since each has its id; but one that
/// was rejected may find another state and be accepted.
///
/// # Errors
/// What failed. A refusal is part of the show.
pub async fn run(store: Arc<dyn EventStore>, commands: u64) -> Result<Summary, DemoError> {
    let mut month = Month::new(Bank::new(store)?, commands.max(100));
    month.open_accounts().await?;
    while month.tally.commands < month.commands {
        month.step().await?;
    }
    month.summary().await
}

struct Month {
    bank: Bank,
    commands: u64,
    accounts: u64,
    dice: Dice,
    sent: u64,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    commands: u64,
    accepted: u64,
    nothing_to_do: u64,
    repeated: u64,
    rejected: u64,
    rejections: BTreeMap<&'static str, u64>,
    decided_again: u64,
    events: u64,
}

impl Month {
    fn new(bank: Bank, commands: u64) -> Self {
        let accounts = (commands / 40).clamp(5, 200);
        Self { bank, commands, accounts, dice: Dice(0x5eed_0fac_7000), sent: 0, tally: Tally::default() }
    }

    /// Account 1 is a shop's: a good part of all business is with it.
    fn shop() -> AccountId {
        AccountId::new("1")
    }

    fn account(number: u64) -> AccountId {
        AccountId::new(number.to_string())
    }

    /// Every seventh account is kept in dollars; the shop's in euros.
    fn currency(number: u64) -> Currency {
        if number.is_multiple_of(7) { Currency::USD } else { Currency::EUR }
    }

    /// Who asks, and when: the month goes by evenly, command by command.
    fn next(&mut self, actor: &str) -> CommandMetadata {
        let metadata = self.metadata(self.sent, actor);
        self.sent += 1;
        metadata
    }

    fn metadata(&self, number: u64, actor: &str) -> CommandMetadata {
        let seconds = number * MONTH_SECONDS / self.commands.max(number + 1);
        CommandMetadata::new()
            .actor(actor)
            .command_id(format!("demo-{}-{number}", self.commands))
            .occurred_at(OPENING.saturating_add(Duration::from_secs(seconds)))
    }

    async fn open_accounts(&mut self) -> Result<(), BankError> {
        for number in 1..=self.accounts {
            let holder = customers::holder(number);
            let currency = Self::currency(number);
            let asked = self.next("branch");
            let outcome = self
                .bank
                .ask(&Self::account(number), AccountCommand::Open { holder, currency }, &asked)
                .await;
            self.tally.count(outcome)?;
        }
        Ok(())
    }

    /// One command, or a few at the same moment.
    async fn step(&mut self) -> Result<(), BankError> {
        let number = 1 + self.dice.below(self.accounts);
        let account = Self::account(number);
        let currency = Self::currency(number);
        let mut amount = Money::new(100 + self.dice.below(20_000) as i64, currency);
        let command = match self.dice.below(100) {
            0..=34 => AccountCommand::Deposit(amount),
            35..=49 => AccountCommand::Withdraw(amount),
            50..=66 => return self.pay(&account, amount).await,
            67..=69 => AccountCommand::Unfreeze,
            70..=77 => return self.sell_to_many(amount).await,
            78..=79 => {
                amount.currency = Currency::JPY;
                AccountCommand::Deposit(amount)
            }
            80..=81 => {
                amount.minor = -amount.minor;
                AccountCommand::Withdraw(amount)
            }
            82..=83 if number != 1 => AccountCommand::Freeze { reason: "card reported lost".to_owned() },
            84..=89 => AccountCommand::Unfreeze,
            90 if number != 1 => AccountCommand::Close,
            91..=95 => return self.repeat(&account, amount).await,
            _ => AccountCommand::Deposit(amount),
        };
        let asked = self.next("customer");
        let outcome = self.bank.ask(&account, command, &asked).await;
        self.tally.count(outcome)
    }

    /// A customer pays in the shop, or somebody else: one append to two streams.
    async fn pay(&mut self, customer: &AccountId, amount: Money) -> Result<(), BankError> {
        let to = match self.dice.below(3) {
            0 => Self::shop(),
            _ => Self::account(1 + self.dice.below(self.accounts)),
        };
        let asked = self.next("customer");
        let outcome = self.bank.transfer(customer, &to, amount, &asked).await;
        self.tally.count(outcome)
    }

    /// Several tills of the shop pay in at the same moment. Where the store takes its time to append, they conflict and
    /// are decided again.
    async fn sell_to_many(&mut self, amount: Money) -> Result<(), BankError> {
        let amount = Money::new(amount.minor, Currency::EUR);
        let (shop, tills): (_, Vec<_>) = (Self::shop(), (0..AT_ONCE).map(|_| self.next("till")).collect());
        let deposits: Vec<_> = tills
            .iter()
            .map(|asked| {
                Box::pin(self.bank.ask(&shop, AccountCommand::Deposit(amount), asked)) as Pin<Box<_>>
            })
            .collect();
        for outcome in all(deposits).await {
            self.tally.count(outcome)?;
        }
        Ok(())
    }

    /// A customer whose connection broke sends the same command twice.
    async fn repeat(&mut self, account: &AccountId, amount: Money) -> Result<(), BankError> {
        let asked = self.next("customer");
        for _ in 0..2 {
            let outcome = self.bank.ask(account, AccountCommand::Deposit(amount), &asked).await;
            self.tally.count(outcome)?;
        }
        Ok(())
    }

    async fn summary(self) -> Result<Summary, DemoError> {
        let mut total = BTreeMap::new();
        for number in 1..=self.accounts {
            let balance = self.bank.account(&Self::account(number)).await?.state.balance;
            if let Some(balance) = balance {
                let sum = total.entry(balance.currency).or_insert(Money::zero(balance.currency));
                sum.minor += balance.minor;
            }
        }
        let account = Self::shop();
        let travel_to = OPENING.saturating_add(Duration::from_secs(MONTH_SECONDS / 2));
        let now = self.bank.account(&account).await?;
        let then = self.bank.account_at(&account, AsOf::Occurred(travel_to)).await?;
        let example = Example {
            stream: account.stream().map_err(BankError::from)?,
            account,
            revision: now.revision,
            balance: now.state.balance,
            travel_to,
            balance_then: then.state.balance,
            position_then: then.position,
        };
        let Tally {
            commands,
            accepted,
            nothing_to_do,
            repeated,
            rejected,
            rejections,
            decided_again,
            events,
        } = self.tally;
        Ok(Summary {
            commands,
            accepted,
            nothing_to_do,
            repeated,
            rejected,
            rejections,
            decided_again,
            events,
            snapshots: self.bank.snapshot_stats().written,
            accounts: self.accounts,
            total,
            example,
        })
    }
}

impl Tally {
    fn count(&mut self, outcome: Result<Outcome<AccountEvent>, BankError>) -> Result<(), BankError> {
        self.commands += 1;
        if let Ok(outcome) = &outcome {
            self.decided_again += u64::from(outcome.attempts() - 1);
        }
        match outcome {
            Ok(Outcome::Nothing { .. }) => self.nothing_to_do += 1,
            Ok(Outcome::AlreadyApplied(_)) => self.repeated += 1,
            Ok(Outcome::Applied(applied)) => {
                self.accepted += 1;
                self.events += applied.events.len() as u64;
            }
            Err(BankError::Refused(refusal)) => {
                self.rejected += 1;
                *self.rejections.entry(refusal.reason()).or_default() += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Waits for all of them at once, on one thread and on any runtime; the answers come in the order of the questions.
async fn all<F: Future + ?Sized>(mut futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut answers: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, answer) in futures.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
