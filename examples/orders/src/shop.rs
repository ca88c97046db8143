//! What does a program ask of the shop: order, pay, ship, put aside, and look?

use std::sync::Arc;

use factum::{
    Boundary, Codec, CodecError, CommandMetadata, Decider, ExecuteError, Executor, Outcome, ReplayError,
    Replayed, RetryPolicy,
};
use factum_core::{ErrorKind, EventStore, NameError};

use crate::{
    ArticleId, Catalogue, Inventory, Order, OrderCommand, OrderEvent, OrderId, OrderRefusal, Orders, Payment,
    PaymentCommand, PaymentEvent, PaymentRefusal, Payments, Shipment, ShipmentCommand, ShipmentEvent,
    ShipmentRefusal, Shipments, StockCommand, StockEvent, StockRefusal,
};

/// How often a command is decided before a conflict is reported.
const ATTEMPTS: u32 = 50;

/// A shop over any store. Share it behind a reference; commands may come from many tasks at once.
pub struct Shop {
    store: Arc<dyn EventStore>,
    orders: Executor<Orders>,
    payments: Executor<Payments>,
    shipments: Executor<Shipments>,
    stock: Executor<Inventory>,
}

/// Why the shop did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShopError<R: std::error::Error + 'static> {
    /// The rules of the shop are against it.
    #[error(transparent)]
    Refused(R),
    /// The number of the order or the article cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It could not be done.
    #[error(transparent)]
    Failed(ExecuteError<R>),
}

impl<R: std::error::Error + 'static> ShopError<R> {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ShopError::Refused(_) | ShopError::Name(_) => ErrorKind::Invalid,
            ShopError::Failed(error) => error.kind(),
        }
    }

    /// Why the rules are against it, if they are.
    pub fn refusal(&self) -> Option<&R> {
        match self {
            ShopError::Refused(refusal) => Some(refusal),
            ShopError::Name(_) | ShopError::Failed(_) => None,
        }
    }
}

impl<R: std::error::Error + 'static> From<ExecuteError<R>> for ShopError<R> {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Rejected(refusal) => ShopError::Refused(refusal),
            error => ShopError::Failed(error),
        }
    }
}

impl<R: std::error::Error + 'static> From<ReplayError> for ShopError<R> {
    fn from(error: ReplayError) -> Self {
        ShopError::Failed(error.into())
    }
}

/// What a command came to: its events, or why there are none.
pub type Answer<D> = Result<Outcome<<D as Decider>::Event>, ShopError<<D as Decider>::Rejection>>;

impl Shop {
    /// A shop that sells this and keeps its events in `store`.
    ///
    /// # Errors
    /// Where the declaration of the events cannot work: a gap between versions, a name used twice.
    pub fn new(store: &Arc<dyn EventStore>, catalogue: Catalogue) -> Result<Self, CodecError> {
        Codec::<OrderEvent>::new()?;
        Codec::<PaymentEvent>::new()?;
        Codec::<ShipmentEvent>::new()?;
        Codec::<StockEvent>::new()?;
        Ok(Self {
            store: Arc::clone(store),
            orders: executor(store, Orders { catalogue }),
            payments: executor(store, Payments),
            shipments: executor(store, Shipments),
            stock: executor(store, Inventory),
        })
    }

    /// The store.
    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Asks something of an order.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed.
    pub async fn order(
        &self,
        order: &OrderId,
        command: OrderCommand,
        metadata: &CommandMetadata,
    ) -> Answer<Orders> {
        let command = (order.clone(), command);
        Ok(self.orders.execute(&order.stream("order")?, &command, metadata).await?)
    }

    /// Takes or gives back what an order costs.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed. A card that does not pay is an event.
    pub async fn payment(
        &self,
        order: &OrderId,
        command: PaymentCommand,
        metadata: &CommandMetadata,
    ) -> Answer<Payments> {
        let command = (order.clone(), command);
        Ok(self.payments.execute(&order.stream("payment")?, &command, metadata).await?)
    }

    /// Hands an order to a carrier.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed. A carrier that does not take it is an event.
    pub async fn shipment(
        &self,
        order: &OrderId,
        command: ShipmentCommand,
        metadata: &CommandMetadata,
    ) -> Answer<Shipments> {
        let command = (order.clone(), command);
        Ok(self.shipments.execute(&order.stream("shipment")?, &command, metadata).await?)
    }

    /// Asks something of the stock. It holds if nothing that it rests on happened in between.
    ///
    /// # Errors
    /// `Refused` with the rule that is against it, or what failed.
    pub async fn stock(&self, command: StockCommand, metadata: &CommandMetadata) -> Answer<Inventory> {
        Ok(self.stock.execute_within(&command.boundary()?, &command, metadata).await?)
    }

    /// An order as it is now.
    ///
    /// # Errors
    /// What failed. An order that was never created is no error: its status says so.
    pub async fn order_now(&self, order: &OrderId) -> Result<Replayed<Order>, ShopError<OrderRefusal>> {
        Ok(self.orders.load(&order.stream("order")?).await?)
    }

    /// An order's payment as it is now.
    ///
    /// # Errors
    /// What failed.
    pub async fn payment_now(&self, order: &OrderId) -> Result<Payment, ShopError<PaymentRefusal>> {
        Ok(self.payments.load(&order.stream("payment")?).await?.state)
    }

    /// An order's shipment as it is now.
    ///
    /// # Errors
    /// What failed.
    pub async fn shipment_now(&self, order: &OrderId) -> Result<Shipment, ShopError<ShipmentRefusal>> {
        Ok(self.shipments.load(&order.stream("shipment")?).await?.state)
    }

    /// How many pieces of an article nobody has put aside.
    ///
    /// # Errors
    /// What failed. An article that was never received is no error: there are none.
    pub async fn available(&self, article: &ArticleId) -> Result<i64, ShopError<StockRefusal>> {
        let boundary = Boundary::tags([article.tag()?], article.stream()?)?;
        let loaded = self.stock.load_boundary(&boundary).await?;
        Ok(loaded.replayed.state.available(article))
    }
}

fn executor<D: Decider>(store: &Arc<dyn EventStore>, decider: D) -> Executor<D> {
    Executor::new(Arc::clone(store), decider, RetryPolicy::attempts(ATTEMPTS))
}
