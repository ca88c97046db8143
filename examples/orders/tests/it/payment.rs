//! The rules of a payment, one sentence each.

use factum::{Given, given};
use orders::{
    Card, Currency, Decline, Money, OrderId, PaymentCommand, PaymentEvent, PaymentRefusal, PaymentStatus,
    Payments,
};

fn id() -> OrderId {
    OrderId::new("17")
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn processed(cents: i64) -> PaymentEvent {
    PaymentEvent::PaymentProcessed { order: id(), amount: eur(cents), card: "4242".to_owned() }
}

fn declined(cents: i64, reason: Decline) -> PaymentEvent {
    PaymentEvent::PaymentDeclined { order: id(), amount: eur(cents), reason }
}

fn refunded(cents: i64) -> PaymentEvent {
    PaymentEvent::PaymentRefunded { order: id(), amount: eur(cents) }
}

fn payment(events: impl IntoIterator<Item = PaymentEvent>) -> Given<Payments> {
    given(Payments, events)
}

fn take_from(cents: i64, limit: Money) -> (OrderId, PaymentCommand) {
    let card = Card { last_four: "4242".to_owned(), limit };
    (id(), PaymentCommand::Take { amount: eur(cents), card })
}

fn take(cents: i64) -> (OrderId, PaymentCommand) {
    take_from(cents, eur(1_000))
}

fn refund() -> (OrderId, PaymentCommand) {
    (id(), PaymentCommand::Refund)
}

#[test]
fn a_card_pays_up_to_its_limit() {
    payment([]).when(take(1_000)).then([processed(1_000)]);
    payment([]).when(take(1_001)).then([declined(1_001, Decline::OverLimit { limit: eur(1_000) })]);
}

#[test]
fn a_card_pays_in_its_own_currency() {
    let dollars = Money::new(100_000, Currency::USD);
    payment([]).when(take_from(5, dollars)).then([declined(5, Decline::OtherCurrency)]);
}

#[test]
fn only_amounts_above_zero_are_taken() {
    for cents in [0, -1] {
        payment([]).when(take(cents)).then_rejected(PaymentRefusal::NotPositive(eur(cents)));
    }
}

#[test]
fn an_order_is_paid_once() {
    payment([processed(700)]).when(take(700)).then_nothing();
    let other = PaymentRefusal::OtherAmount { paid: eur(700), asked: eur(701) };
    payment([processed(700)]).when(take(701)).then_rejected(other);
}

#[test]
fn another_card_may_pay_after_one_that_did_not() {
    let tried = declined(700, Decline::OtherCurrency);
    payment([tried]).when(take(700)).then([processed(700)]);
}

#[test]
fn what_was_paid_goes_back_once_and_all_of_it() {
    payment([processed(700)]).when(refund()).then([refunded(700)]);
    payment([processed(700), refunded(700)]).when(refund()).then_nothing();
    payment([]).when(refund()).then_rejected(PaymentRefusal::NotPaid);
    let tried = declined(700, Decline::OtherCurrency);
    payment([tried]).when(refund()).then_rejected(PaymentRefusal::NotPaid);
    payment([processed(700), refunded(700)]).when(take(700)).then_rejected(PaymentRefusal::Refunded);
}

#[test]
fn a_payment_remembers_what_was_paid_and_how_often_it_was_tried() {
    let past = [declined(700, Decline::OtherCurrency), processed(700), refunded(700)];
    let given = payment(past);
    let state = given.state();
    assert_eq!((state.status, state.paid, state.declined), (PaymentStatus::Refunded, Some(eur(700)), 1));
}
