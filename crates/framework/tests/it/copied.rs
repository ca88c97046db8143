//! What the console copies as a Rust fixture compiles and runs. crates/console/tests-ui/fixture-pure.test.mjs makes the same text.

use crate::wallet::{Wallet, WalletCommand};

#[test]
#[rustfmt::skip]
fn a_copied_fixture_compiles_and_runs() {
    // wallet-1 up to #3, as it is stored. Name your decider, and go on: .when(command).then([...])
    factum::given_stored(
        Wallet,
        [
            ("Filled", 1, serde_json::from_str(r#"{"euros": 2}"#).expect("JSON")), // #0
            ("Filled", 2, serde_json::from_str(r#"{"cents": 9223372036854775000}"#).expect("JSON")), // #1
            ("Spent", 1, serde_json::from_str(r##"{    "cents": 5, "shop": "baker's \\ 1.10 \"#\" \u202e\u202e # 😀"}"##).expect("JSON")), // #2
            // wallet-1 #3, Photo\u{a}: its data is not JSON, and a fixture holds JSON.
        ],
    )
    .when(WalletCommand::TopUp(9_223_372_036_854_775_195))
    .then_nothing();
}
