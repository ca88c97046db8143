//! The rules of the stock, one sentence each.

use std::collections::BTreeMap;

use factum::{Given, given};
use orders::{ArticleId, Inventory, Line, OrderId, Reservation, StockCommand, StockEvent, StockRefusal};

fn id(order: &str) -> OrderId {
    OrderId::new(order)
}

fn line(article: &str, pieces: u32) -> Line {
    Line { article: ArticleId::new(article), pieces }
}

fn received(article: &str, pieces: u32) -> StockEvent {
    StockEvent::StockReceived { article: ArticleId::new(article), pieces }
}

fn reserved(order: &str, article: &str, pieces: u32) -> StockEvent {
    StockEvent::StockReserved { order: id(order), article: ArticleId::new(article), pieces }
}

fn released(order: &str, article: &str, pieces: u32) -> StockEvent {
    StockEvent::StockReleased { order: id(order), article: ArticleId::new(article), pieces }
}

fn shipped(order: &str, article: &str, pieces: u32) -> StockEvent {
    StockEvent::StockShipped { order: id(order), article: ArticleId::new(article), pieces }
}

fn stock(events: impl IntoIterator<Item = StockEvent>) -> Given<Inventory> {
    given(Inventory, events)
}

fn reserve(order: &str, lines: &[(&str, u32)]) -> StockCommand {
    let lines = lines.iter().map(|(article, pieces)| line(article, *pieces)).collect();
    StockCommand::Reserve { order: id(order), lines }
}

fn release(order: &str) -> StockCommand {
    StockCommand::Release { order: id(order) }
}

fn ship(order: &str) -> StockCommand {
    StockCommand::Ship { order: id(order) }
}

fn out(article: &str, wanted: u64, available: u64) -> StockRefusal {
    StockRefusal::OutOfStock { article: ArticleId::new(article), wanted, available }
}

#[test]
fn pieces_come_in() {
    stock([]).when(StockCommand::Receive(line("mug", 5))).then([received("mug", 5)]);
    stock([]).when(StockCommand::Receive(line("mug", 0))).then_rejected(StockRefusal::NoPieces);
}

#[test]
fn as_many_are_put_aside_as_there_are() {
    stock([received("mug", 5)]).when(reserve("1", &[("mug", 5)])).then([reserved("1", "mug", 5)]);
    stock([received("mug", 5)]).when(reserve("1", &[("mug", 6)])).then_rejected(out("mug", 6, 5));
    stock([]).when(reserve("1", &[("mug", 1)])).then_rejected(out("mug", 1, 0));
}

#[test]
fn what_others_have_is_not_there() {
    let past = || [received("mug", 5), reserved("1", "mug", 3)];
    stock(past()).when(reserve("2", &[("mug", 2)])).then([reserved("2", "mug", 2)]);
    stock(past()).when(reserve("2", &[("mug", 3)])).then_rejected(out("mug", 3, 2));
    let gone = past().into_iter().chain([shipped("1", "mug", 3)]);
    stock(gone).when(reserve("2", &[("mug", 3)])).then_rejected(out("mug", 3, 2));
    let back = past().into_iter().chain([released("1", "mug", 3)]);
    stock(back).when(reserve("2", &[("mug", 5)])).then([reserved("2", "mug", 5)]);
}

#[test]
fn all_of_an_order_is_put_aside_or_nothing() {
    let past = || [received("mug", 5), received("tea", 1)];
    stock(past())
        .when(reserve("1", &[("mug", 1), ("tea", 1)]))
        .then([reserved("1", "mug", 1), reserved("1", "tea", 1)]);
    stock(past()).when(reserve("1", &[("mug", 1), ("tea", 2)])).then_rejected(out("tea", 2, 1));
}

#[test]
fn lines_of_the_same_article_count_together() {
    stock([received("mug", 5)]).when(reserve("1", &[("mug", 2), ("mug", 3)])).then([reserved("1", "mug", 5)]);
    stock([received("mug", 5)]).when(reserve("1", &[("mug", 3), ("mug", 3)])).then_rejected(out("mug", 6, 5));
    stock([received("mug", 5)])
        .when(reserve("1", &[("mug", u32::MAX), ("mug", u32::MAX)]))
        .then_rejected(out("mug", u64::from(u32::MAX), 5));
}

#[test]
fn something_must_be_wanted() {
    stock([received("mug", 5)]).when(reserve("1", &[])).then_rejected(StockRefusal::NoPieces);
    stock([received("mug", 5)]).when(reserve("1", &[("mug", 0)])).then_rejected(StockRefusal::NoPieces);
}

#[test]
fn an_order_has_one_reservation() {
    let past = || [received("mug", 5), reserved("1", "mug", 2)];
    stock(past()).when(reserve("1", &[("mug", 2)])).then_nothing();
    stock(past()).when(reserve("1", &[("mug", 1)])).then_rejected(StockRefusal::OtherReservation(id("1")));
    let back = past().into_iter().chain([released("1", "mug", 2)]);
    stock(back).when(reserve("1", &[("mug", 2)])).then_rejected(StockRefusal::Released(id("1")));
    let gone = past().into_iter().chain([shipped("1", "mug", 2)]);
    stock(gone).when(reserve("1", &[("mug", 2)])).then_rejected(StockRefusal::Shipped(id("1")));
}

#[test]
fn what_was_put_aside_is_released_once_and_all_of_it() {
    let past = || [reserved("1", "mug", 2), reserved("1", "tea", 1)];
    stock(past()).when(release("1")).then([released("1", "mug", 2), released("1", "tea", 1)]);
    let back = past().into_iter().chain([released("1", "mug", 2), released("1", "tea", 1)]);
    stock(back).when(release("1")).then_nothing();
    stock([]).when(release("1")).then_nothing();
}

#[test]
fn what_was_put_aside_leaves_once_and_for_good() {
    let past = || [reserved("1", "mug", 2), reserved("1", "tea", 1)];
    stock(past()).when(ship("1")).then([shipped("1", "mug", 2), shipped("1", "tea", 1)]);
    let gone = || past().into_iter().chain([shipped("1", "mug", 2), shipped("1", "tea", 1)]);
    stock(gone()).when(ship("1")).then_nothing();
    stock(gone()).when(release("1")).then_rejected(StockRefusal::Shipped(id("1")));
    let back = past().into_iter().chain([released("1", "mug", 2), released("1", "tea", 1)]);
    stock(back).when(ship("1")).then_rejected(StockRefusal::Released(id("1")));
    stock([]).when(ship("1")).then_rejected(StockRefusal::NotReserved(id("1")));
}

#[test]
fn a_reservation_knows_its_pieces() {
    let given = stock([received("mug", 5), reserved("1", "mug", 2), reserved("2", "mug", 1)]);
    let held = BTreeMap::from([(ArticleId::new("mug"), 2)]);
    assert_eq!(given.state().reservation(&id("1")), Some(&Reservation::Held(held)));
    assert_eq!(given.state().available(&ArticleId::new("mug")), 2);
}
