//! What may happen to an order?

use factum::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ArticleId, Card, Country, CouponCode, Currency, Discount, Money, OrderId};

/// So many pieces of an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Of what.
    pub article: ArticleId,
    /// How many, at least one.
    pub pieces: u32,
}

/// What was ordered, for whoever pays, reserves and ships it: nobody needs to read the order again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The articles, each once.
    pub lines: Vec<Line>,
    /// What all of it weighs.
    pub grams: u64,
    /// What is to be paid, the coupon taken off; above zero.
    pub total: Money,
    /// With what it is to be paid.
    pub card: Card,
    /// Where it is to go.
    pub country: Country,
}

/// What happened to an order. Each event carries the order's number as a tag, as those of its payment, its shipment
/// and its reservations do: one query has them all.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum OrderEvent {
    /// Somebody began to choose.
    OrderCreated {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Whose it is.
        customer: String,
        /// What its prices are in.
        currency: Currency,
    },
    /// Pieces of an article were put in, at the price of the day.
    ItemAdded {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Of what.
        article: ArticleId,
        /// How many, at least one.
        pieces: u32,
        /// What one piece costs.
        price: Money,
        /// What one piece weighs.
        grams: u32,
    },
    /// A coupon takes something off.
    CouponApplied {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Which coupon.
        coupon: CouponCode,
        /// What it takes off whatever the order comes to in the end.
        discount: Discount,
    },
    /// The customer wants it, and will pay.
    OrderSubmitted {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// What exactly.
        submission: Submission,
    },
    /// It is paid and on its way: nothing more happens to it.
    OrderCompleted {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
    },
    /// It will not be delivered: nothing more happens to it.
    OrderCancelled {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Why.
        reason: String,
    },
}
