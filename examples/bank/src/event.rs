//! What may happen to an account.

use std::fmt;

use factum::Event;
use factum_core::{NameError, StreamName, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Currency, CustomerId, Money};

/// The number of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct AccountId(String);

impl AccountId {
    /// An account's number. One that is too long for a stream's name shows when it is used.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The stream of the account's events.
    ///
    /// # Errors
    /// Where the number is too long for a stream's name.
    pub fn stream(&self) -> Result<StreamName, NameError> {
        StreamName::new(format!("account-{self}"))
    }

    /// The tag of the account's events.
    ///
    /// # Errors
    /// Where the number is too long for a tag.
    pub fn tag(&self) -> Result<Tag, NameError> {
        Tag::new(format!("account:{self}"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What happened to an account. Each event carries the account's number as a tag.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum AccountEvent {
    /// An account was opened. Version 1 called the holder `owner` and knew only euros. Version 2 had the holder's name, in
    /// clear: it stays in the events of then, and no erasure reaches it there. It is read no more: today the holder of such an
    /// account is `account-7-holder`.
    #[event(version = 3)]
    #[event(upcast(from = 1, rename("owner", "holder"), default("currency", "EUR")))]
    #[event(upcast(from = 2, with = name_to_number))]
    AccountOpened {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
        /// Whose it is: a customer, whose name is in the customer's own stream.
        holder: CustomerId,
        /// What it is kept in.
        currency: Currency,
    },
    /// Money came in. Version 1 counted `cents`, of euros.
    #[event(version = 2, upcast(from = 1, with = cents_to_amount))]
    FundsDeposited {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
        /// How much, above zero.
        amount: Money,
        /// The account that it was transferred from, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<AccountId>,
    },
    /// Money went out. Version 1 counted `cents`, of euros.
    #[event(version = 2, upcast(from = 1, with = cents_to_amount))]
    FundsWithdrawn {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
        /// How much, above zero.
        amount: Money,
        /// The account that it was transferred to, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<AccountId>,
    },
    /// Nothing moves until it is unfrozen.
    AccountFrozen {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
        /// Why.
        reason: String,
    },
    /// Money moves again.
    AccountUnfrozen {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
    },
    /// It was closed, for ever, with nothing in it.
    AccountClosed {
        /// The account.
        #[event(tag = "account")]
        account: AccountId,
    },
}

impl AccountEvent {
    /// The account that it happened to.
    pub fn account(&self) -> &AccountId {
        match self {
            AccountEvent::AccountOpened { account, .. }
            | AccountEvent::FundsDeposited { account, .. }
            | AccountEvent::FundsWithdrawn { account, .. }
            | AccountEvent::AccountFrozen { account, .. }
            | AccountEvent::AccountUnfrozen { account }
            | AccountEvent::AccountClosed { account } => account,
        }
    }
}

/// Version 2 of an opened account: `{"account":"7","holder":"Grace","currency":"EUR"}`.
///
/// The name could stand for the number. But then it would go on from here as one: into snapshots, read models and whatever
/// else takes numbers for harmless. So it is left behind, and a number made of the account's takes its place: the same each time,
/// and nobody's in particular. It cannot be resolved to a person; it can be told apart from those that can.
fn name_to_number(mut data: Value) -> Result<Value, String> {
    let account = data["account"].as_str().ok_or("'account' is no text")?;
    let holder = format!("account-{account}-holder");
    if !data["holder"].is_string() {
        return Err("'holder' is no text".to_owned());
    }
    data["holder"] = holder.into();
    Ok(data)
}

/// Version 1 of a movement: `{"account":"7","cents":1250}`.
fn cents_to_amount(mut data: Value) -> Result<Value, String> {
    let fields = data.as_object_mut().ok_or("the data is not a JSON object")?;
    let cents = fields.shift_remove("cents").ok_or("'cents' is missing")?;
    if !cents.is_i64() {
        return Err("'cents' is not a whole number".to_owned());
    }
    fields.insert("amount".to_owned(), json!({ "minor": cents, "currency": "EUR" }));
    Ok(data)
}
