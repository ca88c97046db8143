//! A day in the shop: the same orders each time. Some cards are too small, some parcels too far or too heavy, and in the
//! end the mugs are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use factum::{CommandMetadata, ProcessError};
use factum_core::ErrorKind;
use serde::Serialize;

use crate::{
    ArticleId, Card, Checkout, Country, CouponCode, Currency, Line, Money, OrderCommand, OrderId,
    OrderRefusal, OrderStatus, Shop, ShopError, StockCommand, StockRefusal,
};

/// What the day came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Orders submitted.
    pub orders: u32,
    /// Orders on their way.
    pub shipped: u32,
    /// Orders that were given up, by reason.
    pub cancelled: BTreeMap<String, u32>,
    /// What is paid and not given back, in cents of euros.
    pub turnover_minor: i64,
    /// Pieces that nobody has put aside, by article.
    pub left: BTreeMap<String, i64>,
}

/// Why the day did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// An order failed at something, or was refused.
    #[error(transparent)]
    Order(#[from] ShopError<OrderRefusal>),
    /// The stock failed at something.
    #[error(transparent)]
    Stock(#[from] ShopError<StockRefusal>),
    /// The checkout stopped.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl DayError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DayError::Order(error) => error.kind(),
            DayError::Stock(error) => error.kind(),
            DayError::Process(error) => error.kind(),
        }
    }
}

/// How many pieces of each article come in.
const DELIVERIES: [(&str, u32); 3] = [("mug", 40), ("tea", 100), ("anvil", 10)];

/// Lets so many orders come in, and the checkout carry them out. Run twice in one store, nothing happens twice.
///
/// # Errors
/// What failed. An order that is given up is part of the day.
pub async fn day(shop: &Arc<Shop>, orders: u32) -> Result<Day, DayError> {
    for (article, pieces) in DELIVERIES {
        let came_in = StockCommand::Receive(Line { article: ArticleId::new(article), pieces });
        shop.stock(came_in, &asked("warehouse", format!("day/{article}"))).await?;
    }
    for order in 1..=orders {
        submit(shop, order).await?;
    }
    shop.checkout_runner(Checkout::default())?.run_until_idle().await?;
    let mut day = Day { orders, ..Day::default() };
    for order in 1..=orders {
        let state = shop.order_now(&id(order)).await?.state;
        if state.status == OrderStatus::Completed {
            day.shipped += 1;
            day.turnover_minor += state.total().map_or(0, |total| total.minor);
        } else if let Some(reason) = state.cancelled {
            *day.cancelled.entry(reason).or_default() += 1;
        }
    }
    for (article, _) in DELIVERIES {
        day.left.insert(article.to_owned(), shop.available(&ArticleId::new(article)).await?);
    }
    Ok(day)
}

fn id(order: u32) -> OrderId {
    OrderId::new(format!("day-{order}"))
}

fn asked(actor: &str, command: String) -> CommandMetadata {
    CommandMetadata::new().actor(actor).command_id(command)
}

async fn submit(shop: &Shop, number: u32) -> Result<(), DayError> {
    let order = id(number);
    if shop.order_now(&order).await?.state.status != OrderStatus::NotCreated {
        return Ok(());
    }
    let item =
        |article: &str, pieces| OrderCommand::AddItem(Line { article: ArticleId::new(article), pieces });
    let mut commands = vec![
        OrderCommand::Create { customer: format!("customer {}", number % 7), currency: Currency::EUR },
        item("mug", 1 + number % 2),
        item("tea", 1),
    ];
    if number % 13 == 5 {
        // Four anvils are more than any carrier takes.
        commands.push(item("anvil", 4));
    }
    if number % 4 == 3 {
        commands.push(OrderCommand::ApplyCoupon(CouponCode::new("FIVER")));
    }
    let limit = Money::new(if number % 9 == 4 { 1_000 } else { 500_000 }, Currency::EUR);
    let card = Card { last_four: format!("{number:04}"), limit };
    let country = if number % 11 == 7 { Country::AQ } else { Country::DE };
    commands.push(OrderCommand::Submit { card, country });
    for (step, command) in commands.into_iter().enumerate() {
        shop.order(&order, command, &asked("customer", format!("{order}/{step}"))).await?;
    }
    Ok(())
}
