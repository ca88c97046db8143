//! The shop over a store: the whole way of an order, in several streams and under one tag.

use std::sync::Arc;

use factum::CommandMetadata;
use factum_core::{ErrorKind, EventStore, EventStoreExt, MemoryStore, Query, QueryItem, Read, Selector};
use orders::{
    ArticleId, Card, Catalogue, Country, CouponCode, Currency, Line, Money, OrderCommand, OrderId,
    OrderRefusal, OrderStatus, PaymentCommand, PaymentStatus, ShipmentCommand, Shop, ShopError, StockCommand,
};

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn card() -> Card {
    Card { last_four: "4242".to_owned(), limit: eur(100_000) }
}

fn mugs(pieces: u32) -> Line {
    Line { article: ArticleId::new("mug"), pieces }
}

fn asked(command: &str) -> CommandMetadata {
    CommandMetadata::new().actor("ada").correlation("order-17").command_id(command)
}

async fn order(shop: &Shop, order: &OrderId) {
    let steps = [
        OrderCommand::Create { customer: "Ada".to_owned(), currency: Currency::EUR },
        OrderCommand::AddItem(mugs(2)),
        OrderCommand::ApplyCoupon(CouponCode::new("TEN")),
        OrderCommand::Submit { card: card(), country: Country::NL },
    ];
    for (number, command) in steps.into_iter().enumerate() {
        shop.order(order, command, &asked(&format!("order {number}"))).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_is_submitted_paid_and_shipped() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let (shop, id) = (Shop::new(&store, Catalogue::sample()).unwrap(), OrderId::new("17"));
    shop.stock(StockCommand::Receive(mugs(5)), &asked("delivery")).await.unwrap();
    // Twice: a command has one effect.
    for _ in 0..2 {
        order(&shop, &id).await;
        let reserve = StockCommand::Reserve { order: id.clone(), lines: vec![mugs(2)] };
        shop.stock(reserve, &asked("reserve")).await.unwrap();
        let take = PaymentCommand::Take { amount: eur(2_250), card: card() };
        shop.payment(&id, take, &asked("pay")).await.unwrap();
        let ship = ShipmentCommand::Ship { country: Country::NL, grams: 800 };
        shop.shipment(&id, ship, &asked("ship")).await.unwrap();
        shop.stock(StockCommand::Ship { order: id.clone() }, &asked("hand out")).await.unwrap();
        shop.order(&id, OrderCommand::Complete, &asked("complete")).await.unwrap();
    }
    let tagged = Selector::Query(Query::item(QueryItem::tags([id.tag().unwrap()])));
    let log = store.read_all(Read::forwards(tagged)).await.unwrap();
    let happened: Vec<_> = log.iter().map(|event| (event.stream(), event.event_type())).collect();
    let expected = [
        ("order-17", "OrderCreated"),
        ("order-17", "ItemAdded"),
        ("order-17", "CouponApplied"),
        ("order-17", "OrderSubmitted"),
        ("stock-mug", "StockReserved"),
        ("payment-17", "PaymentProcessed"),
        ("shipment-17", "OrderShipped"),
        ("stock-mug", "StockShipped"),
        ("order-17", "OrderCompleted"),
    ];
    assert_eq!(happened, expected);
    let state = shop.order_now(&id).await.unwrap().state;
    assert_eq!((state.status, state.total()), (OrderStatus::Completed, Some(eur(2_250))));
    assert_eq!(shop.payment_now(&id).await.unwrap().status, PaymentStatus::Processed);
    assert_eq!(shop.shipment_now(&id).await.unwrap().parcels, Some(1));
    assert_eq!(shop.available(&ArticleId::new("mug")).await.unwrap(), 3);
}

#[tokio::test]
async fn what_the_rules_are_against_is_refused_and_leaves_no_trace() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let (shop, id) = (Shop::new(&store, Catalogue::sample()).unwrap(), OrderId::new("17"));
    let error = shop.order(&id, OrderCommand::AddItem(mugs(1)), &asked("add")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&OrderRefusal::WrongState { status: OrderStatus::NotCreated }));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(store.head().await.unwrap(), None);
}

#[tokio::test]
async fn a_number_that_cannot_be_a_name_is_refused() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let shop = Shop::new(&store, Catalogue::sample()).unwrap();
    let long = "x".repeat(2_000);
    let create = OrderCommand::Create { customer: "Ada".to_owned(), currency: Currency::EUR };
    let error = shop.order(&OrderId::new(&long), create.clone(), &asked("create")).await.unwrap_err();
    assert!(matches!(error, ShopError::Name(_)), "{error:?}");
    let line = Line { article: ArticleId::new(&long), pieces: 1 };
    let error = shop.stock(StockCommand::Receive(line), &asked("receive")).await.unwrap_err();
    assert!(matches!(error, ShopError::Name(_)), "{error:?}");
    let error = shop.order(&OrderId::new(""), create, &asked("create")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&OrderRefusal::Number));
    assert_eq!(store.head().await.unwrap(), None);
}
