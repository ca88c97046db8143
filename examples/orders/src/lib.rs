//! A shop: orders, payments, shipments and stock, event-sourced.
//!
//! [`Orders`], [`Payments`] and [`Shipments`] decide about one order each, in streams of their own. [`Inventory`] decides
//! over whatever an order wants: its boundary is a query, not a stream. [`Checkout`] is the process manager over all
//! four. [`Shop`] is what a program would call.
//!
//! **Invariant:** no more pieces are promised than there are, however many buy at the same moment.

mod catalogue;
mod checkout;
mod coupon;
pub mod demo;
mod desk;
mod money;
mod names;
mod order;
mod payment;
mod shipment;
mod shop;
mod stock;
mod summary;

pub use catalogue::{Article, Catalogue};
pub use checkout::{Checkout, CheckoutProgress, CheckoutStep};
pub use coupon::{Coupon, Discount};
pub use money::{Currency, Money};
pub use names::{ArticleId, CouponCode, OrderId};
pub use order::{
    Line, MAX_ORDER_ID_BYTES, MAX_PIECES, Order, OrderCommand, OrderEvent, OrderRefusal, OrderStatus, Orders,
    PricedLine, Submission,
};
pub use payment::{
    Card, Decline, Payment, PaymentCommand, PaymentEvent, PaymentRefusal, PaymentStatus, Payments,
};
pub use shipment::{
    Country, MAX_PARCELS, NoShipment, PARCEL_GRAMS, Shipment, ShipmentCommand, ShipmentEvent,
    ShipmentRefusal, Shipments,
};
pub use shop::{Answer, Shop, ShopError};
pub use stock::{Inventory, Reservation, Stock, StockCommand, StockEvent, StockRefusal};
pub use summary::{ShopEvent, order_summary};
