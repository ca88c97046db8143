//! What goes on in the bank after its month: a command every now and then, and what waits for somebody.

use std::sync::Arc;

use factum::{CodecError, CommandMetadata, Personal};
use factum_core::EventStore;

use super::Dice;
use super::customers::{FORGOTTEN, PEOPLE, customer};
use super::heritage::HERITAGE;
use crate::{
    AccountCommand, AccountId, Address, Bank, BankError, Currency, CustomerCommand, Money, TransferCommand,
    TransferId, TransferOrder,
};

/// Of the month's accounts, so many are busy now: the smallest month has five.
const BUSY: u64 = 5;
/// The account that large transfers leave from.
const TREASURY: &str = "treasury";
/// From this amount on a transfer waits for a second person.
const LARGE: i64 = 1_000_000;

/// Business that goes on, one command at a time.
///
/// The commands are the same in the same order each time that it begins; what becomes of them depends on the store.
pub struct Living {
    bank: Arc<Bank>,
    dice: Dice,
    /// Tells the commands of this run from those of another one in the same store.
    run: String,
    sent: u64,
    /// A large transfer that somebody will approve of.
    to_approve: Option<TransferId>,
}

impl Living {
    /// In this store, which had its month. `run` is another text each time.
    ///
    /// # Errors
    /// Where the declaration of the events cannot work.
    pub fn new(store: Arc<dyn EventStore>, run: impl Into<String>) -> Result<Self, CodecError> {
        let bank = Arc::new(Bank::new(store)?);
        Ok(Self { bank, dice: Dice(0x11fe), run: run.into(), sent: 0, to_approve: None })
    }

    /// The bank, for whoever carries its transfers out.
    pub fn bank(&self) -> &Arc<Bank> {
        &self.bank
    }

    /// What a bank has on its desk in the morning: a large transfer that waits for approval, two that found a frozen account,
    /// a card that was reported lost twice. The account from the first years is to be [there](super::heritage()).
    ///
    /// # Errors
    /// What failed.
    pub async fn morning(&mut self) -> Result<(), BankError> {
        let (treasury, closed) = (AccountId::new(TREASURY), AccountId::new("holiday"));
        for account in [&treasury, &closed] {
            let open = AccountCommand::Open { holder: customer(1), currency: Currency::EUR };
            self.ask(account, open, "branch").await?;
        }
        self.ask(&treasury, AccountCommand::Deposit(eur(900_000_000)), "branch").await?;
        let freeze = |reason: &str| AccountCommand::Freeze { reason: reason.to_owned() };
        self.ask(&closed, freeze("card reported lost"), "branch").await?;
        self.ask(&closed, AccountCommand::Unfreeze, "branch").await?;
        self.ask(&closed, freeze("card reported lost again"), "branch").await?;
        for (number, to, amount) in [
            ("deposit-hall", &AccountId::new("1"), LARGE),
            ("travel-1", &closed, 45_000),
            ("travel-2", &closed, 12_990),
        ] {
            self.request(TransferId::new(number), to.clone(), eur(amount)).await?;
        }
        self.ask(&AccountId::new(HERITAGE), AccountCommand::Deposit(eur(18_400)), "branch").await
    }

    /// One command, or the few that belong together. That a rule is against it is business as usual.
    ///
    /// # Errors
    /// What failed and is not a refusal.
    pub async fn step(&mut self) -> Result<(), BankError> {
        let account = AccountId::new((1 + self.dice.below(BUSY)).to_string());
        let amount = eur(100 + self.dice.below(20_000) as i64);
        let outcome = match self.dice.below(20) {
            0..=8 => self.ask(&account, AccountCommand::Deposit(amount), "customer").await,
            9..=11 => self.ask(&account, AccountCommand::Withdraw(amount), "customer").await,
            12..=14 => self.pay(&account, amount).await,
            15..=16 => self.request(self.numbered(), account, amount).await,
            17 => self.large(account).await,
            18 => self.move_somebody().await,
            _ => self.request(self.numbered(), AccountId::new("holiday"), amount).await,
        };
        match outcome {
            Err(BankError::Refused(_) | BankError::TransferRefused(_) | BankError::CustomerRefused(_)) => {
                Ok(())
            }
            other => other,
        }
    }

    /// In the shop.
    async fn pay(&mut self, from: &AccountId, amount: Money) -> Result<(), BankError> {
        let to = AccountId::new("1");
        let from = if *from == to { AccountId::new(TREASURY) } else { from.clone() };
        let asked = self.metadata("customer");
        self.bank.transfer(&from, &to, amount, &asked).await.map(drop)
    }

    /// A large transfer; the one before it is approved of.
    async fn large(&mut self, to: AccountId) -> Result<(), BankError> {
        if let Some(transfer) = self.to_approve.take() {
            let asked = self.metadata("c-3");
            self.bank.ask_transfer(&transfer, TransferCommand::Approve, &asked).await?;
        }
        let transfer = self.numbered();
        self.to_approve = Some(transfer.clone());
        let more = self.dice.below(500_000) as i64;
        self.request(transfer, to, eur(LARGE + more)).await
    }

    async fn move_somebody(&mut self) -> Result<(), BankError> {
        // Who is forgotten does not move.
        let number = match 1 + self.dice.below(PEOPLE.len() as u64) {
            FORGOTTEN => FORGOTTEN + 1,
            number => number,
        };
        let (street, town) =
            (format!("Ringstrasse {}", 1 + self.dice.below(90)), PEOPLE[self.sent as usize % 8].1);
        let address = Address { street, town: town.to_owned(), country: "AT".to_owned() };
        let command = CustomerCommand::Move(Personal::new(address));
        let asked = self.metadata("branch");
        self.bank.ask_customer(&customer(number), command, &asked).await.map(drop)
    }

    async fn request(&mut self, transfer: TransferId, to: AccountId, amount: Money) -> Result<(), BankError> {
        let order = TransferOrder { from: AccountId::new(TREASURY), to, amount };
        let asked = self.metadata("c-1");
        self.bank.ask_transfer(&transfer, TransferCommand::Request(order), &asked).await.map(drop)
    }

    async fn ask(
        &mut self,
        account: &AccountId,
        command: AccountCommand,
        actor: &str,
    ) -> Result<(), BankError> {
        let asked = self.metadata(actor);
        self.bank.ask(account, command, &asked).await.map(drop)
    }

    fn numbered(&self) -> TransferId {
        TransferId::new(format!("{}-{}", self.run, self.sent))
    }

    fn metadata(&mut self, actor: &str) -> CommandMetadata {
        self.sent += 1;
        let id = format!("living-{}-{}", self.run, self.sent);
        CommandMetadata::new().actor(actor).correlation(id.clone()).command_id(id)
    }
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}
