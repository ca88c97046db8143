//! The checkout over a store: an order is shipped and paid, or nothing is taken and nothing is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use factum::{
    CommandMetadata, Delivery, Dispatched, ProcessFilter, ProcessRunner, ProcessStage, RetryBudget,
    list_processes, show_process,
};
use factum_core::{
    Clock, EventStore, EventStoreExt, ManualClock, MemoryStore, Query, QueryItem, Read, Selector, Timestamp,
};
use factum_engine::{Engine, Options};
use factum_testkit::Mortal;
use orders::{
    ArticleId, Card, Catalogue, Checkout, CheckoutStep, Country, Currency, Line, Money, OrderCommand,
    OrderId, OrderStatus, PaymentStatus, Shop, StockCommand,
};

const DEADLINE: Duration = Duration::from_secs(3_600);

struct World {
    store: Arc<dyn EventStore>,
    clock: Arc<ManualClock>,
    shop: Arc<Shop>,
}

/// What is ordered, and with what it is paid.
struct Wanted {
    lines: &'static [(&'static str, u32)],
    limit: i64,
    country: Country,
}

const TWO_MUGS: Wanted = Wanted { lines: &[("mug", 2)], limit: 100_000, country: Country::NL };

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-01-05T12:00:00Z").unwrap()));
        let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::stocked(Arc::new(store), clock).await
    }

    /// With five of each article.
    async fn stocked(store: Arc<dyn EventStore>, clock: Arc<ManualClock>) -> Self {
        let world = Self::on(store, clock);
        for article in ["mug", "anvil"] {
            let came_in = StockCommand::Receive(Line { article: ArticleId::new(article), pieces: 5 });
            world.shop.stock(came_in, &CommandMetadata::new()).await.unwrap();
        }
        world
    }

    fn on(store: Arc<dyn EventStore>, clock: Arc<ManualClock>) -> Self {
        let shop = Arc::new(Shop::new(&store, Catalogue::sample()).unwrap());
        Self { store, clock, shop }
    }

    /// The same world as seen by a process that has started anew, on this store.
    fn again_on(&self, store: Arc<dyn EventStore>) -> Self {
        Self::on(store, Arc::clone(&self.clock))
    }

    async fn submit(&self, order: &str, wanted: &Wanted) {
        let order = OrderId::new(order);
        let card = Card { last_four: "4242".to_owned(), limit: Money::new(wanted.limit, Currency::EUR) };
        let create = OrderCommand::Create { customer: "Ada".to_owned(), currency: Currency::EUR };
        let add = |(article, pieces): &(&str, u32)| {
            OrderCommand::AddItem(Line { article: ArticleId::new(*article), pieces: *pieces })
        };
        let submit = OrderCommand::Submit { card, country: wanted.country };
        let commands = [create].into_iter().chain(wanted.lines.iter().map(add)).chain([submit]);
        for (number, command) in commands.enumerate() {
            let asked = CommandMetadata::new().actor("ada").command_id(format!("{order}/{number}"));
            self.shop.order(&order, command, &asked).await.unwrap();
        }
    }

    fn runner(&self) -> ProcessRunner<Checkout> {
        self.on_time(self.shop.checkout_runner(Checkout { deadline: DEADLINE }).unwrap())
    }

    fn on_time(&self, runner: ProcessRunner<Checkout>) -> ProcessRunner<Checkout> {
        let budget = RetryBudget { total: DEADLINE * 3, ..RetryBudget::default() };
        runner.with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>).with_retries(budget)
    }

    async fn run(&self) {
        self.runner().run_until_idle().await.unwrap();
    }

    async fn available(&self, article: &str) -> i64 {
        self.shop.available(&ArticleId::new(article)).await.unwrap()
    }

    async fn types(&self, order: &str) -> Vec<String> {
        let tagged = Selector::Query(Query::item(QueryItem::tags([OrderId::new(order).tag().unwrap()])));
        let log = self.store.read_all(Read::forwards(tagged)).await.unwrap();
        log.iter().map(|event| event.event_type().to_owned()).collect()
    }

    async fn stage(&self, order: &str) -> ProcessStage {
        show_process(&*self.store, "checkout", order).await.unwrap().unwrap().instance.stage()
    }

    async fn check_shipped(&self, order: &str) {
        let id = OrderId::new(order);
        assert_eq!(self.shop.order_now(&id).await.unwrap().state.status, OrderStatus::Completed);
        assert_eq!(self.shop.payment_now(&id).await.unwrap().status, PaymentStatus::Processed);
        assert_eq!(self.shop.shipment_now(&id).await.unwrap().parcels, Some(1));
        assert_eq!(self.stage(order).await, ProcessStage::Completed);
    }

    async fn check_cancelled(&self, order: &str, reason: &str) {
        let id = OrderId::new(order);
        let state = self.shop.order_now(&id).await.unwrap().state;
        assert_eq!((state.status, state.cancelled.as_deref()), (OrderStatus::Cancelled, Some(reason)));
        assert_ne!(self.shop.payment_now(&id).await.unwrap().status, PaymentStatus::Processed);
        assert_eq!(self.shop.shipment_now(&id).await.unwrap().parcels, None);
        assert_eq!(self.stage(order).await, ProcessStage::Failed);
    }
}

#[tokio::test]
async fn an_order_is_put_aside_paid_and_shipped() {
    let world = World::new().await;
    world.submit("1", &TWO_MUGS).await;
    world.run().await;
    world.check_shipped("1").await;
    assert_eq!(world.available("mug").await, 3);
    let types = world.types("1").await;
    assert_eq!(types[3..6], ["StockReserved", "PaymentProcessed", "OrderShipped"]);
    let mut ends = types[6..].to_vec();
    ends.sort();
    assert_eq!(ends, ["OrderCompleted", "StockShipped"]);
}

#[tokio::test]
async fn what_is_not_there_costs_nothing() {
    let world = World::new().await;
    world.submit("1", &Wanted { lines: &[("mug", 6)], ..TWO_MUGS }).await;
    world.run().await;
    world.check_cancelled("1", "reserve: 6 pieces of 'mug' are wanted, 5 are there").await;
    assert_eq!(world.types("1").await[3..], ["OrderCancelled"]);
    assert_eq!(world.available("mug").await, 5);
}

#[tokio::test]
async fn a_declined_card_puts_everything_back() {
    let world = World::new().await;
    world.submit("1", &Wanted { limit: 2_499, ..TWO_MUGS }).await;
    world.run().await;
    world.check_cancelled("1", "pay: it is more than the card's limit of 24.99 EUR").await;
    assert_eq!(world.available("mug").await, 5);
    let types = world.types("1").await;
    assert_eq!(types[3..], ["StockReserved", "PaymentDeclined", "OrderCancelled", "StockReleased"]);
}

#[tokio::test]
async fn an_impossible_shipment_gives_the_money_back_and_then_the_stock() {
    let world = World::new().await;
    world.submit("1", &Wanted { country: Country::AQ, ..TWO_MUGS }).await;
    world.submit("2", &Wanted { lines: &[("mug", 1), ("anvil", 4)], limit: 1_000_000, ..TWO_MUGS }).await;
    world.run().await;
    world.check_cancelled("1", "ship: no carrier goes to AQ").await;
    world.check_cancelled("2", "ship: 160400 g are more than 5 parcels hold").await;
    assert_eq!([world.available("mug").await, world.available("anvil").await], [5, 5]);
    assert_eq!(world.shop.payment_now(&OrderId::new("1")).await.unwrap().status, PaymentStatus::Refunded);
    let types = world.types("1").await;
    let back = ["ShipmentRefused", "OrderCancelled", "PaymentRefunded", "StockReleased"];
    assert_eq!(types[5..], back);
}

/// A desk whose line to the card company is dead until `open` is set. What was sent may have been heard: `heard` says so.
fn dead_line(world: &World, open: &Arc<AtomicBool>, heard: bool) -> ProcessRunner<Checkout> {
    let (shop, open) = (Arc::clone(&world.shop), Arc::clone(open));
    let desk = move |delivery: Delivery<CheckoutStep>| {
        let (shop, open) = (Arc::clone(&shop), Arc::clone(&open));
        async move {
            let pays = matches!(delivery.command, CheckoutStep::TakePayment { .. });
            if !pays || open.load(Ordering::SeqCst) {
                return shop.carry_out(&delivery).await;
            }
            if heard {
                shop.carry_out(&delivery).await;
            }
            Dispatched::failed("the line is dead")
        }
    };
    let checkout = Checkout { deadline: DEADLINE };
    world.on_time(ProcessRunner::new(Arc::clone(&world.store), checkout, desk).unwrap())
}

#[tokio::test]
async fn too_late_is_cancelled_and_a_payment_that_was_heard_after_all_goes_back() {
    for heard in [false, true] {
        let world = World::new().await;
        let open = Arc::new(AtomicBool::new(false));
        let mut runner = dead_line(&world, &open, heard);
        world.submit("1", &TWO_MUGS).await;
        runner.run_until_idle().await.unwrap();
        assert_eq!(world.available("mug").await, 3);
        world.clock.advance(DEADLINE);
        runner.run_until_idle().await.unwrap();
        // The customer knows. Whether the card has paid, nobody does: nothing is undone yet.
        let order = world.shop.order_now(&OrderId::new("1")).await.unwrap().state;
        assert_eq!(order.cancelled.as_deref(), Some("it was not shipped within 3600s"));
        assert_eq!((world.stage("1").await, world.available("mug").await), (ProcessStage::Compensating, 3));
        open.store(true, Ordering::SeqCst);
        world.clock.advance(Duration::from_secs(60));
        runner.run_until_idle().await.unwrap();
        world.check_cancelled("1", "it was not shipped within 3600s").await;
        assert_eq!(world.available("mug").await, 5);
        assert_eq!(world.shop.payment_now(&OrderId::new("1")).await.unwrap().status, PaymentStatus::Refunded);
    }
}

/// Lets the process die at its n-th append, with the append lost or only its answer, and starts it anew.
async fn survives_every_crash(wanted: &Wanted, cancelled: Option<&str>) {
    for answer_lost in [false, true] {
        let mut crashes = 0;
        for appends in 0.. {
            let world = World::new().await;
            world.submit("1", wanted).await;
            let mortal = match answer_lost {
                true => Mortal::after_losing_an_answer(Arc::clone(&world.store), appends),
                false => Mortal::after(Arc::clone(&world.store), appends),
            };
            let ended = world.again_on(Arc::new(mortal.clone())).runner().run_until_idle().await;
            if !mortal.has_died() {
                ended.unwrap();
                break;
            }
            crashes += 1;
            world.again_on(Arc::clone(&world.store)).run().await;
            match cancelled {
                Some(reason) => world.check_cancelled("1", reason).await,
                None => world.check_shipped("1").await,
            }
            let left = if cancelled.is_some() { 5 } else { 3 };
            assert_eq!(world.available("mug").await, left, "died after {appends} appends");
            // However often a command was sent, its event is there once.
            let mut types = world.types("1").await;
            types.sort();
            let all = types.len();
            types.dedup();
            assert_eq!(types.len(), all, "{types:?}");
        }
        assert!(crashes >= 8, "{crashes}");
    }
}

#[tokio::test]
async fn a_crash_between_every_two_steps_changes_nothing() {
    survives_every_crash(&TWO_MUGS, None).await;
}

#[tokio::test]
async fn a_crash_between_every_two_steps_of_the_way_back_changes_nothing() {
    let to_nowhere = Wanted { country: Country::AQ, ..TWO_MUGS };
    survives_every_crash(&to_nowhere, Some("ship: no carrier goes to AQ")).await;
}

/// Forty orders of one mug or two, for five mugs: the checkout carries out many at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_orders_for_five_mugs_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine: Arc<dyn EventStore> = Arc::new(Engine::open(dir.path(), Options::default()).unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-01-05T12:00:00Z").unwrap()));
    let world = World::stocked(engine, clock).await;
    let one = Wanted { lines: &[("mug", 1)], ..TWO_MUGS };
    for order in 0..40 {
        world.submit(&order.to_string(), if order % 3 == 0 { &TWO_MUGS } else { &one }).await;
    }
    world.run().await;
    let (mut mugs, mut cancelled) = (0, 0);
    for order in 0..40 {
        let state = world.shop.order_now(&OrderId::new(order.to_string())).await.unwrap().state;
        match state.status {
            OrderStatus::Completed => mugs += i64::from(state.lines[0].pieces),
            OrderStatus::Cancelled => cancelled += 1,
            other => panic!("order {order} is {other:?}"),
        }
    }
    assert_eq!((world.available("mug").await, mugs), (0, 5));
    assert!(cancelled >= 35, "{cancelled}");
    assert_eq!(list_processes(&*world.store, &ProcessFilter::default()).await.unwrap().len(), 0);
}
