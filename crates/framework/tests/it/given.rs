//! The test kit passes what holds, and fails with words what does not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use factum::{CommandMetadata, given, given_stored};
use serde_json::json;

use crate::wallet::{NOON, Purse, Refusal, Wallet, WalletCommand, WalletEvent, stream};

fn filled(cents: u64) -> WalletEvent {
    WalletEvent::Filled { cents }
}

fn message_of(test: impl FnOnce()) -> String {
    let failure = catch_unwind(AssertUnwindSafe(test)).expect_err("the test should have failed");
    failure.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn what_holds_passes() {
    given(Wallet, []).when(WalletCommand::Fill(3)).then([filled(3)]);
    given(Wallet, [filled(3)]).when(WalletCommand::TopUp(3)).then_nothing();
    given(Wallet, [filled(3)])
        .when(WalletCommand::Spend(4, "baker"))
        .then_rejected(Refusal::TooLittle { has: 3, needs: 4 });
    given(Wallet, [filled(3)])
        .when(WalletCommand::Spend(4, "baker"))
        .then_rejected_with(|refusal| matches!(refusal, Refusal::TooLittle { needs: 4, .. }));
    given(Wallet, [filled(3)])
        .as_actor("nobody")
        .at(NOON)
        .on_stream(stream("wallet-1"))
        .when(WalletCommand::Spend(1, "baker"))
        .then_rejected(Refusal::Anonymous);
    given(Wallet, [])
        .with_metadata(CommandMetadata::new().actor("ada"))
        .when(WalletCommand::FillTwice(2))
        .then_state(|purse| assert_eq!(*purse, Purse { cents: 4, events: 2 }));
}

#[test]
fn stored_events_of_an_old_version_are_upcast() {
    let past = [("Filled", 1, json!({"euros": 2})), ("Filled", 2, json!({"cents": 5}))];
    let given = given_stored(Wallet, past);
    assert_eq!(given.state().cents, 205);
    given.when(WalletCommand::TopUp(206)).then([filled(1)]);
    let message = message_of(|| drop(given_stored(Wallet, [("Filled", 1, json!({"cents": 2}))])));
    assert!(message.starts_with("given event 0 ('Filled' version 1): "), "{message}");
    assert!(message.contains("no euros"), "{message}");
}

#[test]
fn a_difference_is_shown_line_by_line() {
    let message = message_of(|| given(Wallet, []).when(WalletCommand::Fill(3)).then([filled(4)]));
    assert_eq!(
        message,
        "the decision differs (- expected, + decided):\n  [\n      Filled {\n-         cents: 4,\n+         cents: 3,\n      },\n  ]\n"
    );
    let message = message_of(|| {
        given(Wallet, []).when(WalletCommand::Spend(3, "x")).then_rejected(Refusal::Anonymous);
    });
    assert!(message.contains("- Anonymous\n+ TooLittle {"), "{message}");
}

#[test]
fn every_other_answer_fails() {
    let fill = || given(Wallet, []).when(WalletCommand::Fill(3));
    let refused = || given(Wallet, []).when(WalletCommand::Spend(3, "x"));
    let nothing = || given(Wallet, []).when(WalletCommand::TopUp(0));
    for (message, part) in [
        (message_of(|| fill().then_nothing()), "expected nothing to do, but these were decided"),
        (message_of(|| fill().then_rejected(Refusal::Anonymous)), "expected the rejection Anonymous"),
        (message_of(|| fill().then_rejected_with(|_| true)), "expected a rejection"),
        (message_of(|| refused().then([])), "it was rejected: TooLittle"),
        (message_of(|| refused().then_nothing()), "it was rejected: TooLittle"),
        (message_of(|| refused().then_rejected_with(|_| false)), "for another reason: TooLittle"),
        (message_of(|| refused().then_state(|_| {})), "it was rejected: TooLittle"),
        (message_of(|| nothing().then([filled(0)])), "the decision differs"),
        (message_of(|| nothing().then_rejected(Refusal::Anonymous)), "but these were decided: []"),
    ] {
        assert!(message.contains(part), "{message}");
    }
}
