//! The rules of a transfer that takes its time, and of what it asks of accounts, one sentence each.

use bank::{
    AccountCommand, AccountEvent, AccountId, Accounts, Currency, CustomerId, MAX_TRANSFER_ID_BYTES, Money,
    Refusal, TransferCommand, TransferEvent, TransferId, TransferOrder, TransferOrders, TransferRefusal,
    TransferStatus,
};
use factum::{Given, given};

fn id() -> TransferId {
    TransferId::new("t1")
}

fn account(number: &str) -> AccountId {
    AccountId::new(number)
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn order(from: &str, to: &str, cents: i64) -> TransferOrder {
    TransferOrder { from: account(from), to: account(to), amount: eur(cents) }
}

fn requested() -> TransferEvent {
    TransferEvent::TransferRequested { transfer: id(), order: order("1", "2", 500) }
}

fn approved() -> TransferEvent {
    TransferEvent::TransferApproved { transfer: id(), by: "grace".to_owned() }
}

fn begun() -> TransferEvent {
    TransferEvent::TransferBegun { transfer: id() }
}

fn completed() -> TransferEvent {
    TransferEvent::TransferCompleted { transfer: id() }
}

fn failed() -> TransferEvent {
    TransferEvent::TransferFailed { transfer: id(), reason: "frozen".to_owned() }
}

fn transfer(events: impl IntoIterator<Item = TransferEvent>) -> Given<TransferOrders> {
    given(TransferOrders, events)
}

fn request(from: &str, to: &str, cents: i64) -> (TransferId, TransferCommand) {
    asked(TransferCommand::Request(order(from, to, cents)))
}

fn asked(command: TransferCommand) -> (TransferId, TransferCommand) {
    (id(), command)
}

fn fail() -> (TransferId, TransferCommand) {
    asked(TransferCommand::Fail { reason: "frozen".to_owned() })
}

#[test]
fn a_transfer_is_requested_once() {
    transfer([]).when(request("1", "2", 500)).then([requested()]);
    transfer([requested()]).when(request("1", "2", 500)).then_nothing();
    transfer([requested(), begun(), completed()]).when(request("1", "2", 500)).then_nothing();
    transfer([requested()]).when(request("1", "2", 501)).then_rejected(TransferRefusal::OtherOrder);
    transfer([requested()]).when(request("1", "3", 500)).then_rejected(TransferRefusal::OtherOrder);
}

#[test]
fn a_transfer_needs_two_accounts_and_an_amount() {
    transfer([]).when(request("1", "1", 5)).then_rejected(TransferRefusal::SameAccount);
    for cents in [0, -5] {
        transfer([]).when(request("1", "2", cents)).then_rejected(TransferRefusal::NotPositive(eur(cents)));
    }
}

#[test]
fn a_transfer_has_a_number_of_at_most_64_bytes() {
    let request = || TransferCommand::Request(order("1", "2", 500));
    for (length, fits) in
        [(0, false), (1, true), (MAX_TRANSFER_ID_BYTES, true), (MAX_TRANSFER_ID_BYTES + 1, false)]
    {
        let id = TransferId::new("x".repeat(length));
        let when = transfer([]).when((id, request()));
        match fits {
            true => when.then_state(|record| assert_eq!(record.status, TransferStatus::Requested)),
            false => when.then_rejected(TransferRefusal::Number),
        }
    }
}

#[test]
fn nothing_happens_to_a_transfer_that_nobody_requested() {
    let commands = [TransferCommand::Approve, TransferCommand::Begin, TransferCommand::Complete];
    for command in commands.map(asked).into_iter().chain([fail()]) {
        transfer([]).when(command).then_rejected(TransferRefusal::NotRequested);
    }
}

#[test]
fn somebody_approves_it_once() {
    let approve = || asked(TransferCommand::Approve);
    transfer([requested()]).as_actor("grace").when(approve()).then([approved()]);
    transfer([requested(), begun()]).as_actor("grace").when(approve()).then([approved()]);
    transfer([requested(), approved()]).as_actor("tony").when(approve()).then_nothing();
    transfer([requested()]).when(approve()).then_rejected(TransferRefusal::NoApprover);
}

#[test]
fn a_transfer_ends_once() {
    let complete = || asked(TransferCommand::Complete);
    transfer([requested(), begun()]).when(complete()).then([completed()]);
    transfer([requested(), begun()]).when(fail()).then([failed()]);
    transfer([requested(), begun(), completed()]).when(complete()).then_nothing();
    transfer([requested(), begun(), failed()]).when(fail()).then_nothing();
    let over = TransferRefusal::Over(TransferStatus::Completed);
    transfer([requested(), begun(), completed()]).when(fail()).then_rejected(over);
    for command in [complete(), asked(TransferCommand::Begin), asked(TransferCommand::Approve)] {
        let over = TransferRefusal::Over(TransferStatus::Failed);
        transfer([requested(), begun(), failed()]).as_actor("grace").when(command).then_rejected(over);
    }
}

#[test]
fn the_bank_begins_once() {
    transfer([requested()]).when(asked(TransferCommand::Begin)).then([begun()]);
    transfer([requested(), begun()]).when(asked(TransferCommand::Begin)).then_nothing();
}

fn opened() -> AccountEvent {
    AccountEvent::AccountOpened {
        account: account("1"),
        holder: CustomerId::new("c-1"),
        currency: Currency::EUR,
    }
}

fn deposited(cents: i64, from: Option<&str>) -> AccountEvent {
    AccountEvent::FundsDeposited { account: account("1"), amount: eur(cents), from: from.map(account) }
}

fn frozen() -> AccountEvent {
    AccountEvent::AccountFrozen { account: account("1"), reason: "lost card".to_owned() }
}

fn ask(command: AccountCommand) -> (AccountId, AccountCommand) {
    (account("1"), command)
}

fn send(cents: i64) -> (AccountId, AccountCommand) {
    ask(AccountCommand::SendTo { to: account("2"), amount: eur(cents) })
}

fn receive(cents: i64) -> (AccountId, AccountCommand) {
    ask(AccountCommand::ReceiveFrom { from: account("2"), amount: eur(cents) })
}

fn take_back(cents: i64) -> (AccountId, AccountCommand) {
    ask(AccountCommand::TakeBack { to: account("2"), amount: eur(cents) })
}

#[test]
fn money_is_sent_and_received_under_the_rules_of_every_movement() {
    let sent = AccountEvent::FundsWithdrawn { account: account("1"), amount: eur(5), to: Some(account("2")) };
    given(Accounts, [opened(), deposited(5, None)]).when(send(5)).then([sent]);
    let overdraft = Refusal::Overdraft { balance: eur(5), asked: eur(6) };
    given(Accounts, [opened(), deposited(5, None)]).when(send(6)).then_rejected(overdraft);
    given(Accounts, [opened()]).when(receive(5)).then([deposited(5, Some("2"))]);
    given(Accounts, [opened(), frozen()]).when(receive(5)).then_rejected(Refusal::Frozen);
    given(Accounts, [opened(), frozen()]).when(send(5)).then_rejected(Refusal::Frozen);
    given(Accounts, []).when(receive(5)).then_rejected(Refusal::NotOpened);
}

#[test]
fn what_could_not_be_delivered_comes_back_even_to_a_frozen_account() {
    given(Accounts, [opened()]).when(take_back(5)).then([deposited(5, Some("2"))]);
    given(Accounts, [opened(), frozen()]).when(take_back(5)).then([deposited(5, Some("2"))]);
    let closed = AccountEvent::AccountClosed { account: account("1") };
    given(Accounts, [opened(), closed]).when(take_back(5)).then_rejected(Refusal::Closed);
    given(Accounts, [opened()]).when(take_back(0)).then_rejected(Refusal::NotPositive(eur(0)));
}
