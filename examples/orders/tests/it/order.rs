//! The rules of an order, one sentence each.

use factum::{Given, given};
use orders::{
    ArticleId, Card, Catalogue, Country, Coupon, CouponCode, Currency, Discount, Line, MAX_ORDER_ID_BYTES,
    MAX_PIECES, Money, OrderCommand, OrderEvent, OrderId, OrderRefusal, OrderStatus, Orders, Submission,
};

fn id() -> OrderId {
    OrderId::new("17")
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn card() -> Card {
    Card { last_four: "4242".to_owned(), limit: eur(100_000) }
}

fn created() -> OrderEvent {
    OrderEvent::OrderCreated { order: id(), customer: "Ada".to_owned(), currency: Currency::EUR }
}

fn added(article: &str, pieces: u32, cents: i64, grams: u32) -> OrderEvent {
    OrderEvent::ItemAdded { order: id(), article: ArticleId::new(article), pieces, price: eur(cents), grams }
}

fn mugs(pieces: u32) -> OrderEvent {
    added("mug", pieces, 1_250, 400)
}

fn coupon(code: &str, discount: Discount) -> OrderEvent {
    OrderEvent::CouponApplied { order: id(), coupon: CouponCode::new(code), discount }
}

fn submitted(lines: &[(&str, u32)], grams: u64, total: i64) -> OrderEvent {
    let lines = lines.iter().map(|(article, pieces)| line(article, *pieces)).collect();
    let submission = Submission { lines, grams, total: eur(total), card: card(), country: Country::DE };
    OrderEvent::OrderSubmitted { order: id(), submission }
}

fn completed() -> OrderEvent {
    OrderEvent::OrderCompleted { order: id() }
}

fn cancelled() -> OrderEvent {
    OrderEvent::OrderCancelled { order: id(), reason: "changed my mind".to_owned() }
}

fn line(article: &str, pieces: u32) -> Line {
    Line { article: ArticleId::new(article), pieces }
}

fn order(events: impl IntoIterator<Item = OrderEvent>) -> Given<Orders> {
    given(Orders { catalogue: Catalogue::sample() }, events)
}

fn asked(command: OrderCommand) -> (OrderId, OrderCommand) {
    (id(), command)
}

fn create() -> (OrderId, OrderCommand) {
    asked(OrderCommand::Create { customer: "Ada".to_owned(), currency: Currency::EUR })
}

fn add(article: &str, pieces: u32) -> (OrderId, OrderCommand) {
    asked(OrderCommand::AddItem(line(article, pieces)))
}

fn apply(code: &str) -> (OrderId, OrderCommand) {
    asked(OrderCommand::ApplyCoupon(CouponCode::new(code)))
}

fn submit() -> (OrderId, OrderCommand) {
    asked(OrderCommand::Submit { card: card(), country: Country::DE })
}

fn cancel() -> (OrderId, OrderCommand) {
    asked(OrderCommand::Cancel { reason: "changed my mind".to_owned() })
}

fn give_up() -> (OrderId, OrderCommand) {
    asked(OrderCommand::GiveUp { reason: "changed my mind".to_owned() })
}

fn complete() -> (OrderId, OrderCommand) {
    asked(OrderCommand::Complete)
}

fn wrong(status: OrderStatus) -> OrderRefusal {
    OrderRefusal::WrongState { status }
}

#[test]
fn an_order_is_created_once_and_for_a_customer() {
    order([]).when(create()).then([created()]);
    order([created()]).when(create()).then_rejected(wrong(OrderStatus::Open));
    let nobody = asked(OrderCommand::Create { customer: " ".to_owned(), currency: Currency::EUR });
    order([]).when(nobody).then_rejected(OrderRefusal::NoCustomer);
}

#[test]
fn what_is_not_created_can_do_nothing() {
    for command in [add("mug", 1), apply("TEN"), submit(), complete(), cancel(), give_up()] {
        order([]).when(command).then_rejected(wrong(OrderStatus::NotCreated));
    }
}

#[test]
fn an_item_keeps_the_price_of_the_day() {
    order([created()]).when(add("mug", 2)).then([mugs(2)]);
    // The mug was cheaper when the first two were put in.
    let given = order([created(), added("mug", 2, 1_000, 400), mugs(1)]);
    assert_eq!(given.state().total(), Some(eur(3_250)));
    given.when(submit()).then([submitted(&[("mug", 3)], 1_200, 3_250)]);
}

#[test]
fn an_unknown_item_is_refused() {
    let unknown = OrderRefusal::UnknownArticle(ArticleId::new("unicorn"));
    order([created()]).when(add("unicorn", 1)).then_rejected(unknown);
}

#[test]
fn an_item_of_another_currency_is_refused() {
    let other = OrderRefusal::OtherCurrency { kept: Currency::EUR, asked: Currency::USD };
    order([created()]).when(add("import", 1)).then_rejected(other);
}

#[test]
fn pieces_are_at_least_one_and_at_most_a_thousand_together() {
    order([created()]).when(add("tea", 0)).then_rejected(OrderRefusal::Pieces(0));
    order([created()]).when(add("tea", MAX_PIECES)).then([added("tea", MAX_PIECES, 495, 100)]);
    order([created()]).when(add("tea", MAX_PIECES + 1)).then_rejected(OrderRefusal::Pieces(1_001));
    order([created(), added("tea", 600, 495, 100)])
        .when(add("tea", 401))
        .then_rejected(OrderRefusal::Pieces(1_001));
    order([created(), added("tea", 600, 495, 100)])
        .when(add("tea", 0))
        .then_rejected(OrderRefusal::Pieces(600));
    order([created()]).when(add("tea", u32::MAX)).then_rejected(OrderRefusal::Pieces(u64::from(u32::MAX)));
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let dear = Catalogue::new().with_article("star", eur(i64::MAX / 2), 1);
    let star = |pieces| added("star", pieces, i64::MAX / 2, 1);
    let orders = || Orders { catalogue: dear.clone() };
    given(orders(), [created()]).when(add("star", 2)).then([star(2)]);
    given(orders(), [created()]).when(add("star", 3)).then_rejected(OrderRefusal::TooMuch);
    given(orders(), [created(), star(2)]).when(add("star", 1)).then_rejected(OrderRefusal::TooMuch);
}

#[test]
fn a_coupon_takes_its_part_of_whatever_the_order_comes_to_in_the_end() {
    let ten = coupon("TEN", Discount::Percent(10));
    order([created(), mugs(2)]).when(apply("TEN")).then([ten.clone()]);
    order([created(), mugs(2), ten.clone()]).when(submit()).then([submitted(&[("mug", 2)], 800, 2_250)]);
    // 10 % of 29.95 are 2.995: half a cent stays with the shop.
    order([created(), mugs(2), ten, added("tea", 1, 495, 100)]).when(submit()).then([submitted(
        &[("mug", 2), ("tea", 1)],
        900,
        2_696,
    )]);
    order([created(), mugs(1)]).when(apply("FIVER")).then([coupon("FIVER", Discount::Amount(eur(500)))]);
}

#[test]
fn a_coupon_is_applied_once() {
    let ten = coupon("TEN", Discount::Percent(10));
    let twice = OrderRefusal::CouponTwice(CouponCode::new("TEN"));
    order([created(), mugs(2), ten.clone()]).when(apply("TEN")).then_rejected(twice.clone());
    order([created(), mugs(2), ten]).when(apply("FIVER")).then_rejected(twice);
}

#[test]
fn a_coupon_that_is_not_out_is_refused() {
    let unknown = OrderRefusal::UnknownCoupon(CouponCode::new("FREE"));
    order([created(), mugs(2)]).when(apply("FREE")).then_rejected(unknown);
}

#[test]
fn a_coupon_has_its_minimum_and_leaves_something_to_pay() {
    let below = OrderRefusal::BelowMinimum { minimum: eur(2_000), sum: eur(1_250) };
    order([created(), mugs(1)]).when(apply("TEN")).then_rejected(below);
    let tea = added("tea", 1, 495, 100);
    order([created(), tea]).when(apply("FIVER")).then_rejected(OrderRefusal::NothingToPay);
    let gift = Coupon { discount: Discount::Percent(100), minimum: eur(0) };
    let orders = Orders { catalogue: Catalogue::sample().with_coupon("GIFT", gift) };
    given(orders, [created(), mugs(2)]).when(apply("GIFT")).then_rejected(OrderRefusal::NothingToPay);
}

#[test]
fn a_coupon_of_another_currency_is_refused() {
    let usd = |cents| Money::new(cents, Currency::USD);
    let other = OrderRefusal::OtherCurrency { kept: Currency::EUR, asked: Currency::USD };
    let minimum = Coupon { discount: Discount::Percent(10), minimum: usd(0) };
    let orders = Orders { catalogue: Catalogue::sample().with_coupon("BUCK", minimum) };
    given(orders, [created(), mugs(2)]).when(apply("BUCK")).then_rejected(other.clone());
    let amount = Coupon { discount: Discount::Amount(usd(5)), minimum: eur(0) };
    let orders = Orders { catalogue: Catalogue::sample().with_coupon("BUCK", amount) };
    given(orders, [created(), mugs(2)]).when(apply("BUCK")).then_rejected(other);
}

#[test]
fn an_empty_order_is_not_submitted() {
    order([created()]).when(submit()).then_rejected(OrderRefusal::Empty);
}

#[test]
fn a_submitted_order_says_what_was_ordered_and_does_not_change() {
    let events = [created(), mugs(2), added("tea", 3, 495, 100)];
    order(events.clone()).when(submit()).then([submitted(&[("mug", 2), ("tea", 3)], 1_100, 3_985)]);
    for command in [create(), add("mug", 1), apply("TEN"), submit()] {
        let past = events.clone().into_iter().chain([submitted(&[("mug", 2), ("tea", 3)], 1_100, 3_985)]);
        order(past).when(command).then_rejected(wrong(OrderStatus::Submitted));
    }
}

#[test]
fn an_order_ends_once() {
    let past = [created(), mugs(1), submitted(&[("mug", 1)], 400, 1_250)];
    order(past.clone()).when(complete()).then([completed()]);
    order(past.clone()).when(give_up()).then([cancelled()]);
    order([created()]).when(cancel()).then([cancelled()]);
    order([created()]).when(complete()).then_rejected(wrong(OrderStatus::Open));
    let done = || past.clone().into_iter().chain([completed()]);
    order(done()).when(complete()).then_nothing();
    order(done()).when(give_up()).then_rejected(wrong(OrderStatus::Completed));
    let over = || past.clone().into_iter().chain([cancelled()]);
    order(over()).when(cancel()).then_nothing();
    order(over()).when(give_up()).then_nothing();
    order(over()).when(complete()).then_rejected(wrong(OrderStatus::Cancelled));
    for command in [create(), add("mug", 1), apply("TEN"), submit()] {
        order(over()).when(command).then_rejected(wrong(OrderStatus::Cancelled));
    }
}

#[test]
fn a_customer_cancels_until_it_is_submitted_and_the_checkout_gives_up_from_then_on() {
    let past = [created(), mugs(1), submitted(&[("mug", 1)], 400, 1_250)];
    order(past).when(cancel()).then_rejected(wrong(OrderStatus::Submitted));
    order([created(), mugs(1)]).when(give_up()).then_rejected(wrong(OrderStatus::Open));
}

#[test]
fn an_order_has_a_number_of_at_most_64_bytes() {
    for (length, fits) in [(0, false), (1, true), (MAX_ORDER_ID_BYTES, true), (MAX_ORDER_ID_BYTES + 1, false)]
    {
        let when = order([]).when((OrderId::new("x".repeat(length)), create().1));
        match fits {
            true => when.then_state(|order| assert_eq!(order.status, OrderStatus::Open)),
            false => when.then_rejected(OrderRefusal::Number),
        }
    }
}
