//! The rules of the saga of transfers, one sentence each, without a store.

use std::time::Duration;

use bank::{
    AccountId, Currency, Money, TransferEvent, TransferId, TransferOrder, TransferSaga, TransferStep,
};
use factum::{Dispatch, Effect, GivenProcess, ProcessInput, given_process};

const DEADLINE: Duration = Duration::from_secs(60);

/// Ten euros wait for an approval.
fn saga() -> TransferSaga {
    TransferSaga { deadline: DEADLINE, approval_from: 1_000 }
}

fn id() -> TransferId {
    TransferId::new("t1")
}

fn order(cents: i64) -> TransferOrder {
    let amount = Money::new(cents, Currency::EUR);
    TransferOrder { from: AccountId::new("1"), to: AccountId::new("2"), amount }
}

fn requested(cents: i64) -> TransferEvent {
    TransferEvent::TransferRequested { transfer: id(), order: order(cents) }
}

fn approved() -> TransferEvent {
    TransferEvent::TransferApproved { transfer: id(), by: "grace".to_owned() }
}

fn transfer(cents: i64) -> GivenProcess<TransferSaga> {
    given_process(saga(), "t1", [requested(cents)])
}

fn begin() -> Effect<TransferStep> {
    let undo = TransferStep::Fail { transfer: id(), reason: "cancelled".to_owned() };
    Dispatch::new("begin", TransferStep::Begin(id())).undo(undo).into()
}

fn withdraw(cents: i64) -> Effect<TransferStep> {
    let undo = TransferStep::GiveBack(order(cents));
    Dispatch::new("withdraw", TransferStep::Withdraw(order(cents))).undo(undo).into()
}

fn deposit(cents: i64) -> Effect<TransferStep> {
    Dispatch::new("deposit", TransferStep::Deposit(order(cents))).pivot().into()
}

fn gives_up(reason: &str) -> [Effect<TransferStep>; 2] {
    let command = TransferStep::Fail { transfer: id(), reason: reason.to_owned() };
    [Effect::SetUndo { step: "begin".to_owned(), command }, Effect::fail(reason)]
}

#[test]
fn it_begins_with_a_deadline() {
    given_process(saga(), "t1", [] as [TransferEvent; 0])
        .when(requested(5))
        .then([begin(), Effect::start_timer("deadline", DEADLINE)]);
}

#[test]
fn it_withdraws_deposits_and_completes() {
    let transfer = transfer(5);
    transfer.when(ProcessInput::done("begin")).then([withdraw(5)]);
    let begun = || self::transfer(5).and(ProcessInput::done("begin"));
    begun().when(ProcessInput::done("withdraw")).then([deposit(5)]);
    begun().and(ProcessInput::done("withdraw")).when(ProcessInput::done("deposit")).then([
        Effect::cancel_timer("deadline"),
        Effect::dispatch("complete", TransferStep::Complete(id())),
        Effect::Complete,
    ]);
}

#[test]
fn a_large_one_waits_for_an_approval_with_the_money_out() {
    let withdrawn = || transfer(1_000).and(ProcessInput::done("begin")).and(ProcessInput::done("withdraw"));
    transfer(1_000).and(ProcessInput::done("begin")).when(ProcessInput::done("withdraw")).then_nothing();
    withdrawn().when(approved()).then([deposit(1_000)]);
    withdrawn().when(ProcessInput::timeout("deadline")).then(gives_up("it did not go out within 60s"));
    // Approved before the money was out.
    transfer(1_000).when(approved()).then_nothing();
    transfer(1_000)
        .and(approved())
        .and(ProcessInput::done("begin"))
        .when(ProcessInput::done("withdraw"))
        .then([deposit(1_000)]);
}

#[test]
fn an_approval_that_nobody_waits_for_does_not_deposit_twice() {
    let out = transfer(5).and(ProcessInput::done("begin")).and(ProcessInput::done("withdraw"));
    out.when(approved()).then_nothing();
}

#[test]
fn what_is_refused_is_given_up_and_told_last() {
    for step in ["begin", "withdraw", "deposit"] {
        transfer(5)
            .when(ProcessInput::rejected(step, "the account is frozen"))
            .then(gives_up("the account is frozen"));
    }
}

#[test]
fn once_the_deposit_is_out_only_its_answer_counts() {
    let out = || transfer(5).and(ProcessInput::done("begin")).and(ProcessInput::done("withdraw"));
    out().when(ProcessInput::timeout("deadline")).then_nothing();
    out().when(ProcessInput::rejected("deposit", "frozen")).then(gives_up("frozen"));
    transfer(5).when(ProcessInput::timeout("deadline")).then(gives_up("it did not go out within 60s"));
}
