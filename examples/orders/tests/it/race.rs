//! Many buyers want the last pieces at the same moment: nobody gets what is not there.

use std::sync::Arc;

use factum::{Codec, CommandMetadata};
use factum_core::{Category, EventStore, EventStoreExt, MemoryStore, Read, Selector};
use factum_engine::{Engine, Options};
use orders::{ArticleId, Catalogue, Line, OrderId, Shop, ShopError, StockCommand, StockEvent, StockRefusal};
use tokio::sync::Barrier;

const BUYERS: u32 = 16;

fn line(article: &str, pieces: u32) -> Line {
    Line { article: ArticleId::new(article), pieces }
}

/// What each buyer got: pieces in all, or nothing.
async fn buy_at_once(store: &Arc<dyn EventStore>, wanted: impl Fn(u32) -> Vec<Line>) -> Vec<bool> {
    let shop = Arc::new(Shop::new(store, Catalogue::sample()).unwrap());
    let ready = Arc::new(Barrier::new(BUYERS as usize));
    let tasks: Vec<_> = (0..BUYERS)
        .map(|buyer| {
            let (shop, ready, lines) = (Arc::clone(&shop), Arc::clone(&ready), wanted(buyer));
            tokio::spawn(async move {
                let order = OrderId::new(buyer.to_string());
                let asked = CommandMetadata::new().actor("buyer").command_id(format!("reserve {buyer}"));
                ready.wait().await;
                match shop.stock(StockCommand::Reserve { order, lines }, &asked).await {
                    Ok(_) => true,
                    Err(ShopError::Refused(StockRefusal::OutOfStock { .. })) => false,
                    Err(error) => panic!("{error}"),
                }
            })
        })
        .collect();
    let mut got = Vec::new();
    for task in tasks {
        got.push(task.await.unwrap());
    }
    got
}

async fn receive(store: &Arc<dyn EventStore>, article: &str, pieces: u32) {
    let shop = Shop::new(store, Catalogue::sample()).unwrap();
    shop.stock(StockCommand::Receive(line(article, pieces)), &CommandMetadata::new()).await.unwrap();
}

/// Goes through the log event by event: at no moment was more put aside than there was. Gives what is left.
async fn left_of(store: &Arc<dyn EventStore>, article: &str) -> i64 {
    let codec = Codec::<StockEvent>::new().unwrap();
    let stock = Selector::Category(Category::new("stock").unwrap());
    let mut left = 0;
    for event in store.read_all(Read::forwards(stock)).await.unwrap() {
        let event = codec.decode(&event).unwrap();
        if event.article().as_str() != article {
            continue;
        }
        left += match event {
            StockEvent::StockReceived { pieces, .. } | StockEvent::StockReleased { pieces, .. } => {
                i64::from(pieces)
            }
            StockEvent::StockReserved { pieces, .. } => -i64::from(pieces),
            StockEvent::StockShipped { .. } => 0,
        };
        assert!(left >= 0, "{article}: {left} left after {event:?}");
    }
    left
}

async fn the_last_five_are_sold_five_times(store: Arc<dyn EventStore>) {
    receive(&store, "mug", 5).await;
    let got = buy_at_once(&store, |_| vec![line("mug", 1)]).await;
    assert_eq!(got.iter().filter(|got| **got).count(), 5);
    assert_eq!(left_of(&store, "mug").await, 0);
    // Those who come again get what they had, and nobody else's.
    assert_eq!(buy_at_once(&store, |_| vec![line("mug", 1)]).await, got);
    assert_eq!(left_of(&store, "mug").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_buyers_of_the_last_five_pieces() {
    for _ in 0..20 {
        the_last_five_are_sold_five_times(Arc::new(MemoryStore::new())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_buyers_of_the_last_five_pieces_on_disk() {
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        the_last_five_are_sold_five_times(Arc::new(engine)).await;
    }
}

/// Orders of two articles each, in either order: neither article is oversold, and no order has only half.
async fn baskets_are_whole(store: Arc<dyn EventStore>) {
    receive(&store, "mug", 5).await;
    receive(&store, "tea", 9).await;
    let basket = |buyer: u32| match buyer % 2 {
        0 => vec![line("mug", 1), line("tea", 2)],
        _ => vec![line("tea", 1), line("mug", 1)],
    };
    let got = buy_at_once(&store, basket).await;
    let sold = |parity: usize| got.iter().skip(parity).step_by(2).filter(|got| **got).count() as i64;
    let (even, odd) = (sold(0), sold(1));
    assert_eq!(left_of(&store, "mug").await, 5 - even - odd);
    assert_eq!(left_of(&store, "tea").await, 9 - 2 * even - odd);
    // Whoever got nothing could not have got it: too few mugs, or too little tea for two.
    assert!(even + odd == 5 || 9 - 2 * even - odd < 2, "{got:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn baskets_of_two_articles_are_whole() {
    for _ in 0..20 {
        baskets_are_whole(Arc::new(MemoryStore::new())).await;
    }
    let dir = tempfile::tempdir().unwrap();
    baskets_are_whole(Arc::new(Engine::open(dir.path(), Options::default()).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn buyers_of_different_articles_do_not_disturb_each_other() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    for buyer in 0..BUYERS {
        receive(&store, &format!("article {buyer}"), 1).await;
    }
    let got = buy_at_once(&store, |buyer| vec![line(&format!("article {buyer}"), 1)]).await;
    assert!(got.iter().all(|got| *got));
}

/// A release rests on its own order alone: it does not wait for others who reserve the same article.
#[tokio::test]
async fn a_release_is_not_decided_again_because_others_buy() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    receive(&store, "mug", 5).await;
    let released = StockCommand::Release { order: OrderId::new("1") }.boundary().unwrap();
    let reserve = StockCommand::Reserve { order: OrderId::new("1"), lines: vec![line("mug", 1)] };
    let reserved = reserve.boundary().unwrap();
    let shop = Shop::new(&store, Catalogue::sample()).unwrap();
    let other = StockCommand::Reserve { order: OrderId::new("2"), lines: vec![line("mug", 1)] };
    shop.stock(other, &CommandMetadata::new()).await.unwrap();
    let log = store.read_all(Read::forwards(Selector::All)).await.unwrap();
    let of_order_2 = log.last().unwrap();
    assert!(reserved.query().matches(of_order_2));
    assert!(!released.query().matches(of_order_2));
}
