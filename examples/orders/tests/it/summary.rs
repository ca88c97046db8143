//! The order summary: a row per order, equal to what the deciders' own states say.

use std::sync::Arc;
use std::time::Duration;

use factum::{CommandMetadata, Projections, Waited};
use factum_core::read_model::ReadModels;
use factum_core::{EventStore, MemoryStore, Read, Selector};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use factum_testkit::PostgresDatabase;
use orders::{
    ArticleId, Card, Catalogue, Checkout, Country, CouponCode, Currency, Line, Money, OrderCommand, OrderId,
    PaymentStatus, Shop, StockCommand, order_summary,
};

async fn submit(shop: &Shop, order: u32) {
    let id = OrderId::new(order.to_string());
    // Some cards are too small, some go to where no carrier goes, and there are mugs for some only.
    let limit = Money::new(if order % 5 == 1 { 10 } else { 100_000 }, Currency::EUR);
    let country = if order % 7 == 2 { Country::AQ } else { Country::DE };
    let card = Card { last_four: "4242".to_owned(), limit };
    let mut commands = vec![
        OrderCommand::Create { customer: format!("customer {}", order % 4), currency: Currency::EUR },
        OrderCommand::AddItem(Line { article: ArticleId::new("mug"), pieces: 1 + order % 3 }),
        OrderCommand::AddItem(Line { article: ArticleId::new("tea"), pieces: 2 }),
    ];
    if order % 3 == 2 {
        commands.push(OrderCommand::ApplyCoupon(CouponCode::new("TEN")));
    }
    if order % 11 != 3 {
        commands.push(OrderCommand::Submit { card, country });
    }
    for command in commands {
        shop.order(&id, command, &CommandMetadata::new()).await.unwrap();
    }
}

#[tokio::test]
async fn every_row_is_what_the_streams_say() {
    let directory = tempfile::tempdir().unwrap();
    compare(Arc::new(SqliteReadModels::open(directory.path()).unwrap())).await;
}

#[tokio::test]
async fn every_row_is_what_the_streams_say_in_postgres() {
    let Some(database) = PostgresDatabase::fresh("every_row_is_what_the_streams_say_in_postgres") else {
        return;
    };
    compare(Arc::new(PostgresReadModels::open(database.url()).unwrap())).await;
}

async fn compare(read_models: Arc<dyn ReadModels>) {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let shop = Arc::new(Shop::new(&store, Catalogue::sample()).unwrap());
    for article in ["mug", "tea"] {
        let came_in = StockCommand::Receive(Line { article: ArticleId::new(article), pieces: 50 });
        shop.stock(came_in, &CommandMetadata::new()).await.unwrap();
    }
    // The read model follows while the orders come in.
    let projections = Projections::open(Arc::clone(&store), read_models).await.unwrap();
    let handle = projections.start(order_summary().unwrap()).await.unwrap();
    let mut runner = shop.checkout_runner(Checkout::default()).unwrap();
    for order in 0..60 {
        submit(&shop, order).await;
        if order % 10 == 9 {
            runner.run_until_idle().await.unwrap();
        }
    }
    let end = store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone();
    let waited = handle.wait(&end, Duration::from_secs(60)).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");

    let columns = "order_number, customer, currency, status, pieces, total_minor, paid_minor, declined_cards, \
                   reserved, parcels, reason";
    let (rows, _) = handle.query(&format!("select {columns} from order_summary"), &[]).unwrap();
    let mut rows: Vec<Vec<String>> =
        rows.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    rows.sort_by_key(|row| row[0].parse::<u32>().unwrap());

    let null = || "null".to_owned();
    let mut direct = Vec::new();
    for order in 0..60 {
        let id = OrderId::new(order.to_string());
        let state = shop.order_now(&id).await.unwrap().state;
        let payment = shop.payment_now(&id).await.unwrap();
        let shipment = shop.shipment_now(&id).await.unwrap();
        let status = serde_json::to_value(state.status).unwrap();
        let paid = match payment.status {
            PaymentStatus::Processed => payment.paid.unwrap().minor,
            PaymentStatus::Open | PaymentStatus::Refunded => 0,
        };
        let submitted = status != "open";
        direct.push(vec![
            order.to_string(),
            state.customer.clone(),
            state.currency.to_string(),
            status.as_str().unwrap().to_owned(),
            state.lines.iter().map(|line| u64::from(line.pieces)).sum::<u64>().to_string(),
            if submitted { state.total().unwrap().minor.to_string() } else { null() },
            paid.to_string(),
            payment.declined.to_string(),
            "0".to_owned(),
            shipment.parcels.unwrap_or(0).to_string(),
            state.cancelled.clone().unwrap_or_else(null),
        ]);
    }
    assert_eq!(rows, direct);
    for what in ["open", "completed", "cancelled"] {
        assert!(rows.iter().any(|row| row[3] == what), "{what}");
    }
    let stock = shop.available(&ArticleId::new("mug")).await.unwrap();
    assert!((0..50).contains(&stock), "{stock}");
}
