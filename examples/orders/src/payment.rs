//! When is an order's payment taken, declined or given back?

use std::fmt;

use factum::{Context, Decider, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, OrderId};

/// What is paid with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The last four digits: more is not kept.
    pub last_four: String,
    /// What may be paid with it at once.
    pub limit: Money,
}

/// Why a card does not pay: a fact to live with, not a mistake of the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Decline {
    /// It is more than the card's limit.
    OverLimit {
        /// The limit.
        limit: Money,
    },
    /// The card pays in another currency.
    OtherCurrency,
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decline::OverLimit { limit } => write!(f, "it is more than the card's limit of {limit}"),
            Decline::OtherCurrency => f.write_str("the card pays in another currency"),
        }
    }
}

/// What happened to the payment of an order.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum PaymentEvent {
    /// The money is there.
    PaymentProcessed {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// How much.
        amount: Money,
        /// The last four digits of the card.
        card: String,
    },
    /// The card did not pay.
    PaymentDeclined {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// How much it was to be.
        amount: Money,
        /// Why not.
        reason: Decline,
    },
    /// The money went back, all of it.
    PaymentRefunded {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// How much.
        amount: Money,
    },
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// No card has paid.
    #[default]
    Open,
    /// The money is there.
    Processed,
    /// It was there, and went back.
    Refunded,
}

/// What the events of a payment come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// How far it has come.
    pub status: PaymentStatus,
    /// What was paid; kept when it goes back.
    pub paid: Option<Money>,
    /// How many cards did not pay.
    pub declined: u32,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentCommand {
    /// Take this much from this card.
    Take {
        /// How much.
        amount: Money,
        /// From what.
        card: Card,
    },
    /// Give everything back.
    Refund,
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefusal {
    /// Only amounts above zero are taken.
    #[error("{0} cannot be taken: it must be above zero")]
    NotPositive(Money),
    /// An order is paid once.
    #[error("{paid} was taken before, now it is to be {asked}")]
    OtherAmount {
        /// What was taken.
        paid: Money,
        /// What is asked.
        asked: Money,
    },
    /// The order's money went back: a new order is needed.
    #[error("the payment was given back")]
    Refunded,
    /// There is nothing to give back.
    #[error("nothing was paid that could be given back")]
    NotPaid,
}

/// The rules of the payment of one order. The command names the order, the stream is its payment's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payments;

impl Decider for Payments {
    type State = Payment;
    type Command = (OrderId, PaymentCommand);
    type Event = PaymentEvent;
    type Rejection = PaymentRefusal;

    fn initial_state(&self) -> Payment {
        Payment::default()
    }

    fn evolve(&self, state: &mut Payment, event: &PaymentEvent) {
        match event {
            PaymentEvent::PaymentProcessed { amount, .. } => {
                state.status = PaymentStatus::Processed;
                state.paid = Some(*amount);
            }
            PaymentEvent::PaymentDeclined { .. } => state.declined += 1,
            PaymentEvent::PaymentRefunded { .. } => state.status = PaymentStatus::Refunded,
        }
    }

    fn decide(
        &self,
        state: &Payment,
        (order, command): &(OrderId, PaymentCommand),
        _: &Context,
    ) -> Result<Vec<PaymentEvent>, PaymentRefusal> {
        let order = order.clone();
        match (command, state.status, state.paid) {
            (PaymentCommand::Take { amount, .. }, ..) if amount.minor <= 0 => {
                Err(PaymentRefusal::NotPositive(*amount))
            }
            (PaymentCommand::Take { .. }, PaymentStatus::Refunded, _) => Err(PaymentRefusal::Refunded),
            (PaymentCommand::Take { amount, .. }, _, Some(paid)) if paid == *amount => Ok(vec![]),
            (PaymentCommand::Take { amount, .. }, _, Some(paid)) => {
                Err(PaymentRefusal::OtherAmount { paid, asked: *amount })
            }
            (PaymentCommand::Take { amount, card }, _, None) => Ok(vec![take(order, *amount, card)]),
            (PaymentCommand::Refund, PaymentStatus::Refunded, _) => Ok(vec![]),
            (PaymentCommand::Refund, _, Some(amount)) => {
                Ok(vec![PaymentEvent::PaymentRefunded { order, amount }])
            }
            (PaymentCommand::Refund, _, None) => Err(PaymentRefusal::NotPaid),
        }
    }
}

fn take(order: OrderId, amount: Money, card: &Card) -> PaymentEvent {
    let limit = card.limit;
    if limit.currency != amount.currency {
        return PaymentEvent::PaymentDeclined { order, amount, reason: Decline::OtherCurrency };
    }
    if amount.minor > limit.minor {
        return PaymentEvent::PaymentDeclined { order, amount, reason: Decline::OverLimit { limit } };
    }
    PaymentEvent::PaymentProcessed { order, amount, card: card.last_four.clone() }
}
