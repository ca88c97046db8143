//! What may be asked of an order, and what is refused?

mod event;

use factum::{Context, Decider};
use serde::Serialize;

pub use self::event::{Line, OrderEvent, Submission};
use crate::{ArticleId, Card, Catalogue, Country, CouponCode, Currency, Discount, Money, OrderId};

/// Longest number of an order, in bytes: streams, tags and processes are named after it.
pub const MAX_ORDER_ID_BYTES: usize = 64;

/// How many pieces of one article an order holds at most.
pub const MAX_PIECES: u32 = 1_000;

/// How far an order has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Nobody has created it.
    #[default]
    NotCreated,
    /// The customer chooses.
    Open,
    /// The customer wants it.
    Submitted,
    /// It is paid and on its way.
    Completed,
    /// It will not be delivered.
    Cancelled,
}

/// An article in an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PricedLine {
    /// Of what.
    pub article: ArticleId,
    /// How many.
    pub pieces: u32,
    /// What they cost together. Pieces that were added on another day may have had another price.
    pub sum: Money,
}

/// What the events of an order come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Order {
    /// How far it has come.
    pub status: OrderStatus,
    /// Whose it is; empty until it is created.
    pub customer: String,
    /// What its prices are in.
    pub currency: Currency,
    /// The articles, each once, in the order of their first piece.
    pub lines: Vec<PricedLine>,
    /// What all of it weighs.
    pub grams: u64,
    /// The coupon, and what it takes off.
    pub coupon: Option<(CouponCode, Discount)>,
    /// Why it was cancelled, if it was.
    pub cancelled: Option<String>,
}

/// What may be asked of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// Begin it.
    Create {
        /// For whom.
        customer: String,
        /// What it is to be paid in.
        currency: Currency,
    },
    /// Put pieces of an article in.
    AddItem(Line),
    /// Take off what this coupon is worth.
    ApplyCoupon(CouponCode),
    /// Order it.
    Submit {
        /// What pays for it.
        card: Card,
        /// Where it is to go.
        country: Country,
    },
    /// The customer does not want it after all: until it is submitted.
    Cancel {
        /// Why.
        reason: String,
    },
    /// It is paid and on its way: for the checkout.
    Complete,
    /// It cannot be delivered: for the checkout, once it is submitted.
    GiveUp {
        /// Why.
        reason: String,
    },
}

/// Why an order does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// The number is not one.
    #[error("an order's number has between 1 and {MAX_ORDER_ID_BYTES} bytes")]
    Number,
    /// An order needs a customer.
    #[error("the order needs a customer")]
    NoCustomer,
    /// That is for orders that have come less far, or further.
    #[error("the order is {status:?}: that is not possible any more, or not yet")]
    WrongState {
        /// How far it has come.
        status: OrderStatus,
    },
    /// The article is not sold.
    #[error("article '{0}' is not sold")]
    UnknownArticle(ArticleId),
    /// Between one piece and [`MAX_PIECES`].
    #[error("{0} pieces of one article: an order holds between 1 and {MAX_PIECES}")]
    Pieces(u64),
    /// The price is in another currency than the order.
    #[error("the order is in {kept}, this is in {asked}")]
    OtherCurrency {
        /// The order's currency.
        kept: Currency,
        /// The currency of the article or the coupon.
        asked: Currency,
    },
    /// It comes to more than can be counted.
    #[error("the order comes to more than can be counted")]
    TooMuch,
    /// The coupon is not out.
    #[error("there is no coupon '{0}'")]
    UnknownCoupon(CouponCode),
    /// One coupon is enough.
    #[error("coupon '{0}' is applied already: an order takes one")]
    CouponTwice(CouponCode),
    /// The order is too small for the coupon.
    #[error("the coupon is for orders of {minimum}, this one comes to {sum}")]
    BelowMinimum {
        /// What it must come to.
        minimum: Money,
        /// What it comes to.
        sum: Money,
    },
    /// The coupon would leave nothing to pay.
    #[error("the coupon would leave nothing to pay")]
    NothingToPay,
    /// There is nothing in it.
    #[error("the order is empty")]
    Empty,
}

impl Order {
    /// What the articles come to, before the coupon; `None` where that is more than can be counted.
    pub fn sum(&self) -> Option<Money> {
        self.lines.iter().try_fold(Money::zero(self.currency), |sum, line| sum.plus(line.sum))
    }

    /// What is to be paid; `None` where that cannot be counted.
    pub fn total(&self) -> Option<Money> {
        let sum = self.sum()?;
        match &self.coupon {
            Some((_, discount)) => discount.applied_to(sum),
            None => Some(sum),
        }
    }

    fn must_be(&self, status: OrderStatus) -> Result<(), OrderRefusal> {
        if self.status == status { Ok(()) } else { Err(OrderRefusal::WrongState { status: self.status }) }
    }

    fn must_be_in(&self, currency: Currency) -> Result<(), OrderRefusal> {
        match self.currency == currency {
            true => Ok(()),
            false => Err(OrderRefusal::OtherCurrency { kept: self.currency, asked: currency }),
        }
    }

    fn add(&mut self, article: &ArticleId, pieces: u32, price: Money) {
        // `decide` lets nothing through that cannot be counted; a log that somebody else wrote may.
        let sum = price.times(pieces).unwrap_or(Money::new(i64::MAX, price.currency));
        match self.lines.iter_mut().find(|line| line.article == *article) {
            Some(line) => {
                line.pieces = line.pieces.saturating_add(pieces);
                line.sum.minor = line.sum.minor.saturating_add(sum.minor);
            }
            None => self.lines.push(PricedLine { article: article.clone(), pieces, sum }),
        }
    }
}

/// The rules of one order. The command names the order, the stream is its own.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// What is sold today.
    pub catalogue: Catalogue,
}

impl Orders {
    fn add(&self, order: &OrderId, state: &Order, line: &Line) -> Result<OrderEvent, OrderRefusal> {
        let Line { article, pieces } = line;
        let sold =
            self.catalogue.article(article).ok_or_else(|| OrderRefusal::UnknownArticle(article.clone()))?;
        state.must_be_in(sold.price.currency)?;
        let before = state.lines.iter().find(|line| line.article == *article).map_or(0, |line| line.pieces);
        let together = u64::from(before) + u64::from(*pieces);
        if *pieces == 0 || together > u64::from(MAX_PIECES) {
            return Err(OrderRefusal::Pieces(together));
        }
        let more = sold.price.times(*pieces).ok_or(OrderRefusal::TooMuch)?;
        state.sum().and_then(|sum| sum.plus(more)).ok_or(OrderRefusal::TooMuch)?;
        let (order, article, pieces) = (order.clone(), article.clone(), *pieces);
        Ok(OrderEvent::ItemAdded { order, article, pieces, price: sold.price, grams: sold.grams })
    }

    fn apply(&self, order: &OrderId, state: &Order, code: &CouponCode) -> Result<OrderEvent, OrderRefusal> {
        let coupon = self.catalogue.coupon(code).ok_or_else(|| OrderRefusal::UnknownCoupon(code.clone()))?;
        if let Some((applied, _)) = &state.coupon {
            return Err(OrderRefusal::CouponTwice(applied.clone()));
        }
        let sum = state.sum().ok_or(OrderRefusal::TooMuch)?;
        state.must_be_in(coupon.minimum.currency)?;
        if sum.minor < coupon.minimum.minor {
            return Err(OrderRefusal::BelowMinimum { minimum: coupon.minimum, sum });
        }
        if let Discount::Amount(amount) = coupon.discount {
            state.must_be_in(amount.currency)?;
        }
        if coupon.discount.applied_to(sum).is_none_or(|left| left.minor <= 0) {
            return Err(OrderRefusal::NothingToPay);
        }
        let (order, coupon, discount) = (order.clone(), code.clone(), coupon.discount);
        Ok(OrderEvent::CouponApplied { order, coupon, discount })
    }
}

fn submission(state: &Order, card: &Card, country: Country) -> Result<Submission, OrderRefusal> {
    if state.lines.is_empty() {
        return Err(OrderRefusal::Empty);
    }
    let total = state.total().ok_or(OrderRefusal::TooMuch)?;
    let line = |line: &PricedLine| Line { article: line.article.clone(), pieces: line.pieces };
    let lines = state.lines.iter().map(line).collect();
    Ok(Submission { lines, grams: state.grams, total, card: card.clone(), country })
}

impl Decider for Orders {
    type State = Order;
    type Command = (OrderId, OrderCommand);
    type Event = OrderEvent;
    type Rejection = OrderRefusal;

    fn initial_state(&self) -> Order {
        Order::default()
    }

    fn evolve(&self, state: &mut Order, event: &OrderEvent) {
        match event {
            OrderEvent::OrderCreated { customer, currency, .. } => {
                state.status = OrderStatus::Open;
                state.customer = customer.clone();
                state.currency = *currency;
            }
            OrderEvent::ItemAdded { article, pieces, price, grams, .. } => {
                state.add(article, *pieces, *price);
                state.grams = state.grams.saturating_add(u64::from(*pieces) * u64::from(*grams));
            }
            OrderEvent::CouponApplied { coupon, discount, .. } => {
                state.coupon = Some((coupon.clone(), *discount));
            }
            OrderEvent::OrderSubmitted { .. } => state.status = OrderStatus::Submitted,
            OrderEvent::OrderCompleted { .. } => state.status = OrderStatus::Completed,
            OrderEvent::OrderCancelled { reason, .. } => {
                state.status = OrderStatus::Cancelled;
                state.cancelled = Some(reason.clone());
            }
        }
    }

    fn decide(
        &self,
        state: &Order,
        (order, command): &(OrderId, OrderCommand),
        _: &Context,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        let event = match command {
            OrderCommand::Create { customer, currency } => {
                state.must_be(OrderStatus::NotCreated)?;
                if !(1..=MAX_ORDER_ID_BYTES).contains(&order.as_str().len()) {
                    return Err(OrderRefusal::Number);
                }
                if customer.trim().is_empty() {
                    return Err(OrderRefusal::NoCustomer);
                }
                let (customer, currency) = (customer.clone(), *currency);
                OrderEvent::OrderCreated { order: order.clone(), customer, currency }
            }
            OrderCommand::AddItem(line) => {
                state.must_be(OrderStatus::Open)?;
                self.add(order, state, line)?
            }
            OrderCommand::ApplyCoupon(code) => {
                state.must_be(OrderStatus::Open)?;
                self.apply(order, state, code)?
            }
            OrderCommand::Submit { card, country } => {
                state.must_be(OrderStatus::Open)?;
                let submission = submission(state, card, *country)?;
                OrderEvent::OrderSubmitted { order: order.clone(), submission }
            }
            OrderCommand::Complete if state.status == OrderStatus::Completed => return Ok(vec![]),
            OrderCommand::Complete => {
                state.must_be(OrderStatus::Submitted)?;
                OrderEvent::OrderCompleted { order: order.clone() }
            }
            OrderCommand::Cancel { .. } | OrderCommand::GiveUp { .. }
                if state.status == OrderStatus::Cancelled =>
            {
                return Ok(vec![]);
            }
            OrderCommand::Cancel { reason } => {
                state.must_be(OrderStatus::Open)?;
                OrderEvent::OrderCancelled { order: order.clone(), reason: reason.clone() }
            }
            OrderCommand::GiveUp { reason } => {
                state.must_be(OrderStatus::Submitted)?;
                OrderEvent::OrderCancelled { order: order.clone(), reason: reason.clone() }
            }
        };
        Ok(vec![event])
    }
}
