//! Do the schemas, the lock file and the generated TypeScript and Zod say what the declarations say?
//!
//! Golden files: `FACTUM_UPDATE_SCHEMAS=1 cargo test -p factum --test it schema` writes them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use factum::{Codec, Event, LockError, LockFault, SchemaSet};
use factum_core::{
    Append, EventStore, ExpectedRevision, MemoryStore, SCHEMAS_STREAM, SchemaRegistry, StreamName,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Money in minor units: 12.50 EUR is `{ minor: 1250, currency: "EUR" }`.
///
/// Never a floating point number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Currency {
    #[serde(rename = "EUR")]
    Eur,
    #[serde(rename = "USD")]
    Usd,
}

/// How the money came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Source {
    /// Over the counter.
    Cash,
    /// By wire */ of course.
    Wire { iban: String, fee: Option<Money> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
enum Reason {
    Lost,
    Other(String),
    Order { number: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    replies: Vec<Note>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Opened {
    owner_id: uuid::Uuid,
    #[schemars(length(min = 1, max = 80))]
    owner: String,
}

#[derive(Clone, Debug, PartialEq, Event)]
#[serde(rename_all_fields = "camelCase")]
enum AccountEvent {
    #[event(name = "AccountOpened")]
    Opened(Opened),
    /// Money came in.
    #[event(name = "FundsDeposited", version = 2, alias = "Deposited")]
    #[event(upcast(from = 1, with = with_money, default("labels", "none")))]
    Deposited {
        /// Which account.
        #[event(tag = "account")]
        account_id: String,
        amount: Money,
        source: Source,
        labels: Vec<String>,
        #[serde(default)]
        teller: Option<u8>,
        #[serde(rename = "exchange-rate", default, skip_serializing_if = "Option::is_none")]
        rate: Option<f64>,
    },
    #[event(name = "account.frozen")]
    Frozen {
        reason: Reason,
        by: BTreeMap<String, Money>,
        corner: (u8, String),
        anything: serde_json::Value,
    },
    NoteAdded {
        note: Note,
    },
    Closed,
}

fn with_money(mut data: serde_json::Value) -> Result<serde_json::Value, String> {
    let cents = data["amount"].take();
    data["amount"] = serde_json::json!({"minor": cents, "currency": "EUR"});
    Ok(data)
}

fn samples() -> Vec<AccountEvent> {
    let money = Money { minor: 1250, currency: Currency::Eur };
    let note =
        Note { text: "a".to_owned(), replies: vec![Note { text: "b".to_owned(), replies: Vec::new() }] };
    let deposited = |source, rate| AccountEvent::Deposited {
        account_id: "7".to_owned(),
        amount: money.clone(),
        source,
        labels: vec!["x".to_owned()],
        teller: None,
        rate,
    };
    let frozen = |reason| AccountEvent::Frozen {
        reason,
        by: BTreeMap::from([("a b".to_owned(), Money { minor: -1, currency: Currency::Usd })]),
        corner: (1, "x".to_owned()),
        anything: serde_json::json!([null]),
    };
    vec![
        AccountEvent::Opened(Opened { owner_id: uuid::Uuid::nil(), owner: "Ada".to_owned() }),
        deposited(Source::Cash, None),
        deposited(Source::Wire { iban: "x".to_owned(), fee: Some(money.clone()) }, Some(1.5)),
        frozen(Reason::Lost),
        frozen(Reason::Other("x".to_owned())),
        frozen(Reason::Order { number: 7 }),
        AccountEvent::NoteAdded { note },
        AccountEvent::Closed,
    ]
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn updating() -> bool {
    std::env::var_os("FACTUM_UPDATE_SCHEMAS").is_some()
}

fn check_golden(name: &str, text: &str) {
    if updating() {
        std::fs::write(golden(name), text).unwrap();
    }
    let expected = std::fs::read_to_string(golden(name)).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs: run with FACTUM_UPDATE_SCHEMAS=1 and look at the difference");
}

fn lock() -> String {
    std::fs::read_to_string(golden("schemas.lock.json")).unwrap()
}

fn with_older() -> SchemaSet {
    SchemaSet::of::<AccountEvent>().with_older(&lock()).unwrap()
}

#[test]
fn the_lock_file_is_up_to_date() {
    let schemas = SchemaSet::of::<AccountEvent>();
    if updating() {
        std::fs::write(golden("schemas.lock.json"), schemas.update_lock(&lock()).unwrap()).unwrap();
    }
    schemas.check_lock(&lock()).unwrap();
    assert_eq!(schemas.update_lock(&lock()).unwrap(), lock());
}

#[test]
fn documents_are_as_they_were() {
    let schemas = SchemaSet::of::<AccountEvent>();
    for schema in schemas.schemas().iter().take(3) {
        check_golden(&schema.file_name(), &schema.to_json());
    }
}

#[test]
fn typescript_and_zod_are_as_they_were() {
    check_golden("events.ts", &with_older().typescript());
    check_golden("events.zod.ts", &with_older().zod());
    let current = SchemaSet::of::<AccountEvent>();
    assert!(current.zod().contains("export const AccountEvent = z.discriminatedUnion(\"type\", ["));
}

#[test]
fn events_of_both_generations_fit_the_generated_validators() {
    // Data for the check by hand with node, and proof here that this library can write and read all of it.
    let codec = Codec::<AccountEvent>::new().unwrap();
    let mut lines = String::new();
    for event in samples() {
        let new = codec.encode(&event).unwrap();
        let data: serde_json::Value = serde_json::from_slice(&new.data).unwrap();
        let line = serde_json::json!({"type": new.event_type.as_str(), "schemaVersion": new.schema_version.0, "data": data});
        lines.push_str(&format!("{line}\n"));
    }
    check_golden("events.ndjson", &lines);
}

#[tokio::test]
async fn a_store_takes_what_fits_the_registered_schemas_and_nothing_else() {
    let store = MemoryStore::new();
    let schemas = with_older();
    assert_eq!(schemas.registrations().unwrap().len(), 6);
    let registry = SchemaRegistry::load(&store).await.unwrap();
    let missing = schemas.missing_registrations(&registry).unwrap();
    let stream = StreamName::new(SCHEMAS_STREAM).unwrap();
    store.append(Append::to(stream, ExpectedRevision::Any, missing)).await.unwrap();
    let registry = SchemaRegistry::load(&store).await.unwrap();
    assert!(schemas.missing_registrations(&registry).unwrap().is_empty());

    let codec = Codec::<AccountEvent>::new().unwrap();
    let account = || StreamName::new("account-7").unwrap();
    let events: Vec<_> = samples().iter().map(|event| codec.encode(event).unwrap()).collect();
    store.append(Append::to(account(), ExpectedRevision::Any, events)).await.unwrap();
    let mut bad = codec.encode(&samples()[1]).unwrap();
    bad.data = r#"{"accountId":"7"}"#.into();
    let refused = store.append(Append::to(account(), ExpectedRevision::Any, vec![bad])).await.unwrap_err();
    assert!(refused.to_string().contains("does not fit its registered schema"), "{refused}");

    let other = SchemaSet::of::<after::AccountEvent>();
    let refused = other.missing_registrations(&registry).unwrap_err().to_string();
    assert!(refused.contains("'FundsDeposited' version 2"), "{refused}");
}

/// The same events, changed without care.
mod after {
    use factum::Event;

    #[derive(Event)]
    pub(super) enum AccountEvent {
        #[event(version = 2, upcast(from = 1, with = Ok))]
        FundsDeposited {
            #[serde(rename = "accountId")]
            account_id: String,
            amount: super::Closed,
            labels: Option<Vec<u32>>,
            #[serde(rename = "exchange-rate")]
            rate: f64,
        },
        AccountClosed,
        #[event(alias = "account.frozen", alias = "NoteAdded", alias = "Closed")]
        Anything,
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Closed {
    minor: String,
    currency: Currency,
}

#[test]
fn a_published_shape_may_not_change_unseen() {
    let error = SchemaSet::of::<after::AccountEvent>().check_lock(&lock()).unwrap_err();
    let LockError::OutOfDate { faults } = &error else { panic!("the lock file is well-formed") };
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "FundsDeposited version 2 is published and has changed: \
         field 'amount.minor' changed from integer to string; field 'source' was removed; \
         field 'labels' changed from array to array or null; field 'teller' was removed; \
         field 'exchange-rate' changed from number or null to number; \
         field 'exchange-rate' became required; field 'labels' became optional. \
         Declare the new shape as version 3 with an upcaster from 2, or restore the old one \
         (if version 2 was never stored, delete it from the lock file instead)"
    );
    assert_eq!(faults[1], LockFault::New { event_type: "AccountClosed".to_owned(), version: 1 });
    assert_eq!(faults[2], LockFault::New { event_type: "Anything".to_owned(), version: 1 });
    assert_eq!(faults[3], LockFault::Removed { event_type: "AccountOpened".to_owned() });
    assert_eq!(faults.len(), 4, "{texts:?}");
    // An update adds what is new; it never takes a change.
    assert!(SchemaSet::of::<after::AccountEvent>().update_lock(&lock()).is_err());
}

#[derive(Event)]
enum Older {
    FundsDeposited { amount: i64 },
}

#[test]
fn versions_only_go_up() {
    let text = SchemaSet::of::<Older>().check_lock(&lock()).unwrap_err().to_string();
    assert!(text.contains("FundsDeposited is published up to version 2 and declared at version 1"), "{text}");
}

#[test]
fn a_lock_file_that_is_none_says_so() {
    let schemas = SchemaSet::of::<AccountEvent>();
    for text in ["{", "[]", "{\"format\":2}", "{\"format\":1}", "{\"format\":1,\"events\":{\"A\":{\"x\":1}}}"]
    {
        assert!(matches!(schemas.check_lock(text), Err(LockError::Malformed { .. })), "{text}");
    }
    let text = schemas.check_lock("").unwrap_err().to_string();
    assert!(
        text.contains("- AccountOpened version 1 is new and to be added: run the test again with"),
        "{text}"
    );
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Loose {
    a: u8,
}

#[derive(Event)]
enum LooseEvent {
    Happened { part: Loose },
}

#[test]
fn the_lock_check_finds_declarations_that_cannot_work() {
    let schemas = SchemaSet::of::<LooseEvent>();
    let refused = schemas.update_lock("").unwrap_err().to_string();
    assert!(refused.contains("- 'Happened': the type Loose ignores unknown fields"), "{refused}");
}
