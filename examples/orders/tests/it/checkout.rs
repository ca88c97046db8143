//! The rules of the checkout, one sentence each, without a store.

use std::time::Duration;

use factum::{Dispatch, Effect, GivenProcess, ProcessInput, given_process};
use orders::{
    ArticleId, Card, Checkout, CheckoutStep, Country, Currency, Line, Money, OrderEvent, OrderId, Submission,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn id() -> OrderId {
    OrderId::new("17")
}

fn card() -> Card {
    Card { last_four: "4242".to_owned(), limit: total() }
}

fn total() -> Money {
    Money::new(2_500, Currency::EUR)
}

fn lines() -> Vec<Line> {
    vec![Line { article: ArticleId::new("mug"), pieces: 2 }]
}

fn submitted() -> OrderEvent {
    let (lines, total, card) = (lines(), total(), card());
    let submission = Submission { lines, grams: 800, total, card, country: Country::NL };
    OrderEvent::OrderSubmitted { order: id(), submission }
}

fn checkout() -> GivenProcess<Checkout> {
    given_process(Checkout { deadline: DEADLINE }, "17", [submitted()])
}

fn gives_up(reason: &str) -> [Effect<CheckoutStep>; 2] {
    let tell = CheckoutStep::GiveUp { order: id(), reason: reason.to_owned() };
    [Effect::dispatch("give up", tell), Effect::fail(reason)]
}

#[test]
fn a_submitted_order_is_put_aside() {
    let process = Checkout { deadline: DEADLINE };
    let reserve = CheckoutStep::Reserve { order: id(), lines: lines() };
    given_process(process, "17", [] as [OrderEvent; 0]).when(submitted()).then([
        Dispatch::new("reserve", reserve).undo(CheckoutStep::Release(id())).into(),
        Effect::start_timer("deadline", DEADLINE),
    ]);
}

#[test]
fn what_is_put_aside_is_paid() {
    let pay = CheckoutStep::TakePayment { order: id(), amount: total(), card: card() };
    checkout()
        .when(ProcessInput::done("reserve"))
        .then([Dispatch::new("pay", pay).undo(CheckoutStep::Refund(id())).into()]);
}

#[test]
fn what_is_paid_is_shipped_for_good() {
    let ship = CheckoutStep::Ship { order: id(), country: Country::NL, grams: 800 };
    checkout().and(ProcessInput::done("reserve")).when(ProcessInput::done("pay")).then([Dispatch::new(
        "ship", ship,
    )
    .pivot()
    .into()]);
}

#[test]
fn what_is_shipped_is_done() {
    checkout()
        .and(ProcessInput::done("reserve"))
        .and(ProcessInput::done("pay"))
        .when(ProcessInput::done("ship"))
        .then([
            Effect::cancel_timer("deadline"),
            Effect::dispatch("hand out", CheckoutStep::HandOut(id())),
            Effect::dispatch("complete", CheckoutStep::Complete(id())),
            Effect::Complete,
        ]);
}

#[test]
fn what_is_refused_is_given_up() {
    for step in ["reserve", "pay", "ship"] {
        checkout().when(ProcessInput::rejected(step, "no")).then(gives_up(&format!("{step}: no")));
    }
}

#[test]
fn the_deadline_counts_until_the_parcel_is_handed_over() {
    let late = || ProcessInput::timeout("deadline");
    let too_late = gives_up("it was not shipped within 60s");
    checkout().when(late()).then(too_late.clone());
    checkout().and(ProcessInput::done("reserve")).when(late()).then(too_late);
    checkout().and(ProcessInput::done("reserve")).and(ProcessInput::done("pay")).when(late()).then_nothing();
}
