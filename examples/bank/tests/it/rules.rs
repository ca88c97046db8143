//! The rules of an account and of a transfer, one sentence each.

use bank::{
    AccountCommand, AccountEvent, AccountId, Accounts, Currency, CustomerId, Money, Refusal, Status,
    Transfer, Transfers,
};
use factum::{Given, given};

fn id() -> AccountId {
    AccountId::new("7")
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn opened() -> AccountEvent {
    AccountEvent::AccountOpened { account: id(), holder: CustomerId::new("c-2"), currency: Currency::EUR }
}

fn deposited(cents: i64) -> AccountEvent {
    AccountEvent::FundsDeposited { account: id(), amount: eur(cents), from: None }
}

fn withdrawn(cents: i64) -> AccountEvent {
    AccountEvent::FundsWithdrawn { account: id(), amount: eur(cents), to: None }
}

fn frozen() -> AccountEvent {
    AccountEvent::AccountFrozen { account: id(), reason: "lost card".to_owned() }
}

fn unfrozen() -> AccountEvent {
    AccountEvent::AccountUnfrozen { account: id() }
}

fn closed() -> AccountEvent {
    AccountEvent::AccountClosed { account: id() }
}

fn account(events: impl IntoIterator<Item = AccountEvent>) -> Given<Accounts> {
    given(Accounts, events)
}

fn asked(command: AccountCommand) -> (AccountId, AccountCommand) {
    (id(), command)
}

fn open() -> (AccountId, AccountCommand) {
    asked(AccountCommand::Open { holder: CustomerId::new("c-2"), currency: Currency::EUR })
}

fn deposit(amount: Money) -> (AccountId, AccountCommand) {
    asked(AccountCommand::Deposit(amount))
}

fn withdraw(amount: Money) -> (AccountId, AccountCommand) {
    asked(AccountCommand::Withdraw(amount))
}

fn freeze() -> (AccountId, AccountCommand) {
    asked(AccountCommand::Freeze { reason: "lost card".to_owned() })
}

#[test]
fn an_account_is_opened_once() {
    account([]).when(open()).then([opened()]);
    for past in [vec![opened()], vec![opened(), frozen()], vec![opened(), closed()]] {
        account(past).when(open()).then_rejected(Refusal::AlreadyOpened);
    }
    let nameless = AccountCommand::Open { holder: CustomerId::new(" "), currency: Currency::EUR };
    account([]).when(asked(nameless)).then_rejected(Refusal::NoHolder);
}

#[test]
fn money_comes_in_and_goes_out() {
    account([opened()]).when(deposit(eur(5))).then([deposited(5)]);
    account([opened(), deposited(5)]).when(withdraw(eur(5))).then([withdrawn(5)]);
    account([opened(), deposited(9), withdrawn(4)]).when(deposit(eur(1))).then_state(|account| {
        assert_eq!(account.balance, Some(eur(6)));
        assert_eq!(account.movements, 3);
        assert_eq!(account.holder, Some(CustomerId::new("c-2")));
    });
}

#[test]
fn nothing_is_overdrawn() {
    account([opened(), deposited(5)])
        .when(withdraw(eur(6)))
        .then_rejected(Refusal::Overdraft { balance: eur(5), asked: eur(6) });
}

#[test]
fn nothing_moves_on_an_account_that_is_not_active() {
    for (past, refusal) in [
        (vec![], Refusal::NotOpened),
        (vec![opened(), deposited(5), frozen()], Refusal::Frozen),
        (vec![opened(), closed()], Refusal::Closed),
    ] {
        for command in [deposit(eur(1)), withdraw(eur(1))] {
            account(past.clone()).when(command).then_rejected(refusal.clone());
        }
    }
    account([opened(), frozen(), unfrozen()]).when(deposit(eur(1))).then([deposited(1)]);
}

#[test]
fn only_amounts_above_zero_move() {
    for amount in [eur(0), eur(-1), eur(i64::MIN)] {
        for command in [deposit(amount), withdraw(amount)] {
            account([opened(), deposited(5)]).when(command).then_rejected(Refusal::NotPositive(amount));
        }
    }
}

#[test]
fn an_account_keeps_one_currency() {
    let yen = Money::new(5, Currency::JPY);
    for command in [deposit(yen), withdraw(yen)] {
        account([opened(), deposited(5)])
            .when(command)
            .then_rejected(Refusal::OtherCurrency { kept: Currency::EUR, asked: Currency::JPY });
    }
}

#[test]
fn no_more_comes_in_than_can_be_counted() {
    account([opened(), deposited(i64::MAX - 1)]).when(deposit(eur(1))).then([deposited(1)]);
    account([opened(), deposited(i64::MAX)])
        .when(deposit(eur(1)))
        .then_rejected(Refusal::TooMuch { balance: eur(i64::MAX), asked: eur(1) });
}

#[test]
fn freezing_twice_and_unfreezing_what_moves_is_nothing_to_do() {
    account([opened()]).when(freeze()).then([frozen()]);
    account([opened(), frozen()]).when(freeze()).then_nothing();
    account([opened(), frozen()]).when(asked(AccountCommand::Unfreeze)).then([unfrozen()]);
    account([opened()]).when(asked(AccountCommand::Unfreeze)).then_nothing();
    for command in [freeze(), asked(AccountCommand::Unfreeze)] {
        account([]).when(command.clone()).then_rejected(Refusal::NotOpened);
        account([opened(), closed()]).when(command).then_rejected(Refusal::Closed);
    }
}

#[test]
fn only_an_empty_active_account_is_closed() {
    let close = || asked(AccountCommand::Close);
    account([opened(), deposited(5), withdrawn(5)]).when(close()).then([closed()]);
    account([opened(), deposited(5)]).when(close()).then_rejected(Refusal::NotEmpty(eur(5)));
    account([opened(), frozen()]).when(close()).then_rejected(Refusal::Frozen);
    account([]).when(close()).then_rejected(Refusal::NotOpened);
    account([opened(), closed()]).when(close()).then_nothing();
    assert_eq!(account([opened(), closed()]).state().status, Status::Closed);
}

#[test]
fn a_transfer_moves_both_or_neither() {
    let other = || AccountId::new("8");
    let opened_other =
        |currency| AccountEvent::AccountOpened { account: other(), holder: CustomerId::new("c-1"), currency };
    let transfers = || Transfers { from: id(), to: other() };
    let past = |currency| [opened(), deposited(5), opened_other(currency)];
    let transfer = |amount| Transfer { amount };
    given(transfers(), past(Currency::EUR)).when(transfer(eur(5))).then([
        AccountEvent::FundsWithdrawn { account: id(), amount: eur(5), to: Some(other()) },
        AccountEvent::FundsDeposited { account: other(), amount: eur(5), from: Some(id()) },
    ]);
    given(transfers(), past(Currency::EUR))
        .when(transfer(eur(6)))
        .then_rejected(Refusal::Overdraft { balance: eur(5), asked: eur(6) });
    given(transfers(), past(Currency::USD))
        .when(transfer(eur(5)))
        .then_rejected(Refusal::OtherCurrency { kept: Currency::USD, asked: Currency::EUR });
    given(transfers(), [opened(), deposited(5)]).when(transfer(eur(5))).then_rejected(Refusal::NotOpened);
    let to_itself = Transfers { from: id(), to: id() };
    given(to_itself, [opened(), deposited(5)]).when(transfer(eur(5))).then_rejected(Refusal::SameAccount);
}
