//! Where does each order stand, across its streams? A row per order, from four kinds of aggregates.

use factum::{ApplyError, DefinitionError, Model, TypedProjection, event_union};
use factum_core::RecordedEvent;

use crate::{OrderEvent, OrderId, PaymentEvent, ShipmentEvent, StockEvent};

event_union! {
    /// Everything that happens in the shop.
    #[derive(Clone, Debug, PartialEq)]
    pub enum ShopEvent {
        /// To an order.
        Order(OrderEvent),
        /// To its payment.
        Payment(PaymentEvent),
        /// To its shipment.
        Shipment(ShipmentEvent),
        /// To the stock.
        Stock(StockEvent),
    }
}

/// `total_minor` is what is to be paid, known once the order is submitted; `reserved` is what is put aside for it;
/// `parcels` is what has left the house. Amounts are in minor units of `currency`.
const TABLES: &str = "
create table order_summary (
    order_number text primary key,
    customer text not null,
    currency text not null,
    status text not null,
    pieces bigint not null default 0,
    total_minor bigint,
    paid_minor bigint not null default 0,
    declined_cards bigint not null default 0,
    reserved bigint not null default 0,
    parcels bigint not null default 0,
    reason text,
    changed_at timestamptz not null
)";

/// A row per order that was created. What changes is tagged `order:<number>`, for caches.
///
/// # Errors
/// Where the declaration cannot work.
pub fn order_summary() -> Result<TypedProjection<ShopEvent>, DefinitionError> {
    let projection = TypedProjection::new("order_summary", TABLES, apply)?;
    Ok(projection.declared(|own| own.source(include_str!("summary.rs"))))
}

/// The row of one order, at the time of one event.
struct Row<'a, 'm> {
    order: &'a OrderId,
    recorded: &'a RecordedEvent,
    model: &'a mut Model<'m>,
}

impl Row<'_, '_> {
    /// Sets columns: `:value` and `:text` are what the event says.
    fn set(self, columns: &str, value: i64, text: &str) -> Result<(), ApplyError> {
        self.model.changed(format!("order:{}", self.order));
        let statement =
            format!("update order_summary set {columns}, changed_at = :at where order_number = :order");
        let parameters = [
            ("order", self.order.as_str().into()),
            ("at", self.recorded.happened_at().into()),
            ("value", value.into()),
            ("text", text.into()),
        ];
        Ok(self.model.execute(&statement, &parameters)?)
    }
}

fn apply(event: &ShopEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    match event {
        ShopEvent::Order(event) => apply_order(event, recorded, model),
        ShopEvent::Payment(PaymentEvent::PaymentProcessed { order, amount, .. }) => {
            Row { order, recorded, model }.set("paid_minor = :value", amount.minor, "")
        }
        ShopEvent::Payment(PaymentEvent::PaymentRefunded { order, amount }) => {
            Row { order, recorded, model }.set("paid_minor = paid_minor - :value", amount.minor, "")
        }
        ShopEvent::Payment(PaymentEvent::PaymentDeclined { order, .. }) => {
            Row { order, recorded, model }.set("declined_cards = declined_cards + 1", 0, "")
        }
        ShopEvent::Shipment(ShipmentEvent::OrderShipped { order, parcels, .. }) => {
            let parcels = i64::try_from(*parcels).unwrap_or(i64::MAX);
            Row { order, recorded, model }.set("parcels = :value", parcels, "")
        }
        ShopEvent::Stock(StockEvent::StockReserved { order, pieces, .. }) => {
            Row { order, recorded, model }.set("reserved = reserved + :value", i64::from(*pieces), "")
        }
        ShopEvent::Stock(
            StockEvent::StockReleased { order, pieces, .. } | StockEvent::StockShipped { order, pieces, .. },
        ) => Row { order, recorded, model }.set("reserved = reserved - :value", i64::from(*pieces), ""),
        // That no carrier took it, the order says in its reason; what comes in is nobody's yet.
        ShopEvent::Shipment(ShipmentEvent::ShipmentRefused { .. })
        | ShopEvent::Stock(StockEvent::StockReceived { .. }) => Ok(()),
    }
}

fn apply_order(
    event: &OrderEvent,
    recorded: &RecordedEvent,
    model: &mut Model<'_>,
) -> Result<(), ApplyError> {
    match event {
        OrderEvent::OrderCreated { order, customer, currency } => {
            model.changed(format!("order:{order}"));
            let insert = "insert into order_summary (order_number, customer, currency, status, changed_at)
                          values (:order, :customer, :currency, 'open', :at)";
            let parameters = [
                ("order", order.as_str().into()),
                ("customer", customer.into()),
                ("currency", currency.to_string().into()),
                ("at", recorded.happened_at().into()),
            ];
            Ok(model.execute(insert, &parameters)?)
        }
        OrderEvent::ItemAdded { order, pieces, .. } => {
            Row { order, recorded, model }.set("pieces = pieces + :value", i64::from(*pieces), "")
        }
        OrderEvent::CouponApplied { .. } => Ok(()),
        OrderEvent::OrderSubmitted { order, submission } => {
            let total = submission.total.minor;
            Row { order, recorded, model }.set("total_minor = :value, status = 'submitted'", total, "")
        }
        OrderEvent::OrderCompleted { order } => {
            Row { order, recorded, model }.set("status = 'completed'", 0, "")
        }
        OrderEvent::OrderCancelled { order, reason } => {
            Row { order, recorded, model }.set("status = 'cancelled', reason = :text", 0, reason)
        }
    }
}
