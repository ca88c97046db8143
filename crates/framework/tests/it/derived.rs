//! Does a derived enum encode, decode, tag and describe itself as declared?

use std::collections::BTreeMap;
use std::fmt;

use factum::{Event, UpcastStep};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Amounts in minor units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Money {
    minor: i64,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
struct AccountId(String);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Closed {
    reason: String,
}

fn keep(data: Value) -> Result<Value, String> {
    Ok(data)
}

#[derive(Clone, Debug, PartialEq, Event)]
#[serde(rename_all_fields = "camelCase")]
enum AccountEvent {
    /// Money came in.
    #[event(name = "FundsDeposited", version = 3, alias = "Deposited", alias = "MoneyIn")]
    #[event(upcast(from = 2, with = keep))]
    #[event(upcast(from = 1, rename("amt", "amount"), default("note", null), remove("x"), default("n", -3)))]
    Deposited {
        /// Which account.
        #[event(tag = "account")]
        account_id: AccountId,
        amount: Money,
        #[event(tag = "label")]
        labels: Vec<String>,
        #[event(tag = "teller")]
        #[event(tag = "staff")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        teller: Option<u32>,
        r#type: String,
    },
    Closed(Closed),
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    Renamed {
        new_name: String,
        #[serde(with = "as_text")]
        #[schemars(with = "String")]
        number: u64,
    },
    Frozen,
    Empty {},
    Counted {
        counts: BTreeMap<String, u32>,
    },
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn deposited() -> AccountEvent {
    AccountEvent::Deposited {
        account_id: AccountId("7".to_owned()),
        amount: Money { minor: 1250, currency: "EUR".to_owned() },
        labels: vec!["a".to_owned(), "b".to_owned(), "a".to_owned()],
        teller: Some(4),
        r#type: "cash".to_owned(),
    }
}

fn samples() -> Vec<(AccountEvent, &'static str)> {
    vec![
        (
            deposited(),
            r#"{"accountId":"7","amount":{"minor":1250,"currency":"EUR"},"labels":["a","b","a"],"teller":4,"type":"cash"}"#,
        ),
        (AccountEvent::Closed(Closed { reason: "moved".to_owned() }), r#"{"reason":"moved"}"#),
        (AccountEvent::Renamed { new_name: "n".to_owned(), number: 9 }, r#"{"NEW_NAME":"n","NUMBER":"9"}"#),
        (AccountEvent::Frozen, "{}"),
        (AccountEvent::Empty {}, "{}"),
        (AccountEvent::Counted { counts: BTreeMap::from([("a".to_owned(), 1)]) }, r#"{"counts":{"a":1}}"#),
    ]
}

fn refused(event_type: &str, data: &str) -> String {
    AccountEvent::decode(event_type, data.as_bytes()).unwrap_err().to_string()
}

#[test]
fn every_variant_round_trips() {
    for (event, json) in samples() {
        assert_eq!(String::from_utf8(event.encode().unwrap()).unwrap(), json);
        assert_eq!(AccountEvent::decode(event.event_type(), json.as_bytes()).unwrap(), event);
    }
}

#[test]
fn kinds_are_as_declared() {
    assert_eq!(AccountEvent::name(), "AccountEvent");
    let names: Vec<_> = AccountEvent::kinds().iter().map(|kind| (kind.event_type, kind.version)).collect();
    let expected =
        [("FundsDeposited", 3), ("Closed", 1), ("Renamed", 1), ("Frozen", 1), ("Empty", 1), ("Counted", 1)];
    assert_eq!(names, expected);
    for ((event, _), kind) in samples().iter().zip(AccountEvent::kinds()) {
        assert_eq!((event.event_type(), event.schema_version()), (kind.event_type, kind.version));
    }
    let kind = AccountEvent::kinds()[0];
    assert_eq!(kind.aliases, ["Deposited", "MoneyIn"]);
    assert_eq!(kind.upcasters.iter().map(|u| u.from).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(kind.upcasters[0].steps[1], UpcastStep::Default { field: "note", json: "null" }));
    assert!(matches!(kind.upcasters[0].steps[3], UpcastStep::Default { field: "n", json: "-3" }));
}

#[test]
fn tags_come_from_single_values_options_and_lists_once_each() {
    let tags: Vec<_> = deposited().tags().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["account:7", "label:a", "label:b", "teller:4", "staff:4"]);
    assert!(AccountEvent::Frozen.tags().unwrap().is_empty());
    let AccountEvent::Deposited { amount, r#type, .. } = deposited() else { unreachable!() };
    let unnamed = AccountEvent::Deposited {
        account_id: AccountId(String::new()),
        amount,
        labels: Vec::new(),
        teller: None,
        r#type,
    };
    assert_eq!(unnamed.tags().unwrap_err().to_string(), "a tag value may not be empty");
}

#[test]
fn decoding_is_strict() {
    assert!(refused("Nothing", "{}").starts_with("unknown event type 'Nothing'"));
    assert!(refused("Frozen", r#"{"why":1}"#).starts_with("unknown field `why`"));
    assert!(refused("Closed", r#"{"reason":"x","more":1}"#).starts_with("unknown field `more`"));
    assert!(refused("Renamed", r#"{"NEW_NAME":"x"}"#).starts_with("missing field `NUMBER`"));
    assert!(refused("Renamed", r#"["x","1"]"#).contains("is a JSON object"));
    assert!(refused("Frozen", "null").contains("is a JSON object"));
    assert!(refused("Frozen", "").contains("is a JSON object"));
    assert!(AccountEvent::decode_kind(6, b"{}").is_err());
}

#[test]
fn a_schema_is_closed_and_says_what_is_required() {
    let mut generator = schemars::SchemaGenerator::default();
    let schema = (AccountEvent::kinds()[0].schema)(&mut generator).to_value();
    assert_eq!(schema["title"], "FundsDeposited");
    assert_eq!(schema["description"], "Money came in.");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["accountId", "amount", "labels", "type"]));
    assert_eq!(schema["properties"]["accountId"]["description"], "Which account.");
    assert!(generator.definitions().contains_key("Money"));
    let closed = (AccountEvent::kinds()[1].schema)(&mut generator).to_value();
    assert_eq!(closed["title"], "Closed");
    let frozen = (AccountEvent::kinds()[3].schema)(&mut generator).to_value();
    assert_eq!(frozen["additionalProperties"], false);
}
