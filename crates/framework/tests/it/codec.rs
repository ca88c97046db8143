//! Are events written whole, read strictly, and old ones brought up to date?

use factum::{Codec, CodecError, DecodeFault, Event, EventKind, UnknownEvents, UnknownFields, Upcaster};
use factum_core::{
    ErrorKind, EventId, EventType, NewEvent, Position, RecordedEvent, RecordedHeader, Revision,
    SchemaVersion, StreamName, Tag, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Money {
    minor: i64,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Event)]
enum AccountEvent {
    #[event(name = "FundsDeposited", version = 3, alias = "Deposited", alias = "MoneyIn")]
    #[event(upcast(from = 1, rename("amt", "amount")), upcast(from = 2, with = money))]
    Deposited {
        #[event(tag = "account")]
        account: String,
        amount: Money,
    },
    Rated {
        rate: f64,
    },
    Noted {
        lines: Vec<Money>,
    },
    Frozen,
}

fn money(mut data: Value) -> Result<Value, String> {
    let minor = data["amount"].as_i64().ok_or("amount is not a whole number")?;
    data["amount"] = json!({"minor": minor, "currency": "EUR"});
    Ok(data)
}

fn deposited() -> AccountEvent {
    AccountEvent::Deposited {
        account: "7".to_owned(),
        amount: Money { minor: 5, currency: "EUR".to_owned() },
    }
}

fn codec() -> Codec<AccountEvent> {
    Codec::new().unwrap()
}

fn recorded(new: &NewEvent) -> RecordedEvent {
    let header = RecordedHeader {
        position: Position(41),
        revision: Revision(2),
        id: new.id,
        append_id: None,
        recorded_at: Timestamp(7),
        occurred_at: None,
        schema_version: new.schema_version,
        content_type: new.content_type,
    };
    RecordedEvent::record(header, &StreamName::new("account-7").unwrap(), new)
}

fn stored(event_type: &str, version: u32, data: &'static str) -> RecordedEvent {
    let mut new = NewEvent::json(EventType::new(event_type).unwrap(), data);
    new.schema_version = SchemaVersion(version);
    recorded(&new)
}

fn refusal(event: &RecordedEvent) -> String {
    codec().decode(event).unwrap_err().to_string()
}

#[test]
fn an_event_is_written_with_all_its_parts_and_read_back() {
    let new = codec().encode(&deposited()).unwrap();
    assert_eq!(new.event_type, "FundsDeposited");
    assert_eq!(new.schema_version, SchemaVersion(3));
    assert_eq!(new.tags, [Tag::new("account:7").unwrap()]);
    assert_eq!(new.data, r#"{"account":"7","amount":{"minor":5,"currency":"EUR"}}"#);
    assert_ne!(new.id, EventId(uuid::Uuid::nil()));
    assert_eq!(codec().decode(&recorded(&new)).unwrap(), deposited());
}

#[test]
fn old_versions_under_old_names_are_brought_up_to_date() {
    for (name, version, data) in [
        ("Deposited", 1, r#"{"account":"7","amt":5}"#),
        ("MoneyIn", 2, r#"{"account":"7","amount":5}"#),
        ("FundsDeposited", 1, r#"{"account":"7","amt":5}"#),
        ("Deposited", 3, r#"{"account":"7","amount":{"minor":5,"currency":"EUR"}}"#),
    ] {
        assert_eq!(codec().decode(&stored(name, version, data)).unwrap(), deposited(), "{name} {version}");
    }
}

#[test]
fn a_refusal_names_the_event_and_the_fault() {
    let event = stored("Deposit", 1, "{}");
    assert_eq!(
        refusal(&event),
        "cannot decode 'Deposit' version 1 at position 41 (revision 2 of 'account-7'): AccountEvent has no such type: \
         declare it, or give the type that it became this name as an alias"
    );
    let error = codec().decode(&event).unwrap_err();
    assert_eq!((error.kind(), error.position), (ErrorKind::Unsupported, Position(41)));
    assert!(refusal(&stored("Frozen", 2, "{}")).contains("newest version known here is 1"));
    assert!(refusal(&stored("Frozen", 0, "{}")).contains("newest version known here is 1"));
    let upcast = refusal(&stored("MoneyIn", 2, r#"{"account":"7","amount":"much"}"#));
    assert!(
        upcast.ends_with("the upcaster from version 2 refused it: amount is not a whole number"),
        "{upcast}"
    );
    let binary = recorded(&NewEvent::binary(EventType::new("Frozen").unwrap(), "{}"));
    assert!(refusal(&binary).contains("content type is binary"));
}

#[test]
fn a_refusal_names_the_field_and_not_the_value() {
    let data = r#"{"lines":[{"minor":1,"currency":"EUR"},{"minor":"secret","currency":"EUR"}]}"#;
    let DecodeFault::Data { why, field } = codec().decode_data("Noted", 1, data.as_bytes()).unwrap_err()
    else {
        panic!("the data is at fault");
    };
    assert_eq!(&*field, "lines[1].minor");
    assert_eq!(&*why, "invalid type: string, expected i64 at line 1 column 56");
    let unknown = stored("Noted", 1, r#"{"lines":[{"minor":1,"currency":"EUR","x":"secret"}]}"#);
    let unknown = refusal(&unknown);
    assert!(unknown.contains("unknown field `x`") && unknown.ends_with("in field 'lines[0].x'"), "{unknown}");
    assert!(!unknown.contains("secret"));
    assert!(refusal(&stored("Frozen", 1, "{")).contains("EOF while parsing"));
}

#[test]
fn an_event_that_would_not_read_back_is_not_written() {
    let error = codec().encode(&AccountEvent::Rated { rate: f64::NAN }).unwrap_err().to_string();
    assert!(error.starts_with("cannot encode 'Rated': its data would not read back"), "{error}");
    let AccountEvent::Deposited { amount, .. } = deposited() else { unreachable!() };
    let untagged = AccountEvent::Deposited { account: String::new(), amount };
    let error = codec().encode(&untagged).unwrap_err().to_string();
    assert_eq!(error, "cannot encode 'FundsDeposited': one of its tags: a tag value may not be empty");
}

#[test]
fn a_tolerant_codec_skips_unknown_events_and_drops_unknown_fields() {
    let tolerant = codec().unknown_events(UnknownEvents::Skip).unknown_fields(UnknownFields::Drop);
    assert_eq!(tolerant.decode_known(&stored("Other", 1, "{}")).unwrap(), None);
    assert!(tolerant.decode(&stored("Other", 1, "{}")).is_err());
    assert!(codec().decode_known(&stored("Other", 1, "{}")).is_err());
    let extra = stored(
        "FundsDeposited",
        3,
        r#"{"new":[1],"account":"7","amount":{"minor":5,"more":{"a":1},"currency":"EUR"}}"#,
    );
    assert_eq!(tolerant.decode_known(&extra).unwrap(), Some(deposited()));
    assert_eq!(tolerant.clone().dropped_fields(), 2);
    assert!(codec().decode(&extra).is_err());
    // What is wrong in another way stays wrong, and so does a version that nobody here knows.
    assert!(tolerant.decode(&stored("FundsDeposited", 3, r#"{"new":1,"account":7}"#)).is_err());
    assert!(tolerant.decode_known(&stored("Frozen", 2, "{}")).is_err());
}

#[test]
fn queries_include_historical_names() {
    let names = |types: Vec<EventType>| types.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        names(codec().stored_types()),
        ["FundsDeposited", "Deposited", "MoneyIn", "Rated", "Noted", "Frozen"]
    );
    assert_eq!(
        names(codec().stored_types_of(["Frozen", "FundsDeposited"])),
        ["Frozen", "FundsDeposited", "Deposited", "MoneyIn"]
    );
    assert!(codec().query_item().matches(&stored("MoneyIn", 1, "{}")));
}

/// Events declared by hand: what the derive would have refused.
macro_rules! by_hand {
    ($name:ident, $($kind:expr),+) => {
        #[derive(Debug)]
        struct $name;
        impl Event for $name {
            fn kinds() -> &'static [EventKind] {
                const KINDS: &[EventKind] = &[$($kind),+];
                KINDS
            }
            fn event_type(&self) -> &'static str {
                "Undeclared"
            }
            fn schema_version(&self) -> u32 {
                1
            }
            fn tags(&self) -> Result<Vec<Tag>, factum_core::NameError> {
                Ok(Vec::new())
            }
            fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                Ok(b"{}".to_vec())
            }
            fn decode(_: &str, _: &[u8]) -> Result<Self, serde_json::Error> {
                Ok(Self)
            }
        }
    };
}

const NONE: EventKind = EventKind {
    event_type: "A",
    version: 1,
    aliases: &[],
    upcasters: &[],
    personal: &[],
    schema: |_| schemars::json_schema!({"type": "object"}),
};
const FROM_1: Upcaster = Upcaster { from: 1, steps: &[] };
const FROM_2: Upcaster = Upcaster { from: 2, steps: &[] };

by_hand!(Fine, NONE);
by_hand!(SameName, NONE, EventKind { event_type: "B", aliases: &["A"], ..NONE });
by_hand!(Gap, EventKind { version: 3, upcasters: &[FROM_2], ..NONE });
by_hand!(Twice, EventKind { version: 3, upcasters: &[FROM_1, FROM_1], ..NONE });
by_hand!(TooFew, EventKind { version: 3, upcasters: &[FROM_1], ..NONE });
by_hand!(TooMany, EventKind { version: 2, upcasters: &[FROM_1, FROM_2], ..NONE });
by_hand!(Zero, EventKind { version: 0, ..NONE });
by_hand!(Reserved, EventKind { event_type: "$A", ..NONE });
by_hand!(Nameless, EventKind { event_type: "", ..NONE });

#[test]
fn declarations_are_checked_at_start() {
    assert!(Codec::<Fine>::new().is_ok());
    let error = |result: Result<(), CodecError>| result.unwrap_err().to_string();
    let new = error(Codec::<SameName>::new().map(drop));
    assert_eq!(new, "the name 'A' belongs to both A and B: every kind of event needs names of its own");
    assert!(matches!(Codec::<Gap>::new(), Err(CodecError::UpcasterOutOfPlace { found: 2, expected: 1, .. })));
    assert!(matches!(
        Codec::<Twice>::new(),
        Err(CodecError::UpcasterOutOfPlace { found: 1, expected: 2, .. })
    ));
    assert!(matches!(Codec::<TooFew>::new(), Err(CodecError::UpcasterMissing { from: 2, .. })));
    assert!(matches!(Codec::<TooMany>::new(), Err(CodecError::UpcasterOutOfPlace { found: 2, .. })));
    assert!(matches!(Codec::<Zero>::new(), Err(CodecError::VersionZero { .. })));
    assert!(matches!(Codec::<Reserved>::new(), Err(CodecError::Reserved { .. })));
    assert!(matches!(Codec::<Nameless>::new(), Err(CodecError::Name { .. })));
    let undeclared = Codec::<Fine>::new().unwrap().encode(&Fine).unwrap_err();
    assert!(undeclared.to_string().contains("not among those"));
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Loose {
    a: u8,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
struct LooseOnPurpose {
    a: u8,
}

#[derive(Debug, Event)]
enum LooseData {
    Happened(Loose),
}

#[derive(Debug, Event)]
enum LooseInside {
    Happened { parts: Vec<Option<Loose>> },
}

#[derive(Debug, Event)]
enum Purpose {
    Happened { part: LooseOnPurpose, took: std::time::Duration, range: std::ops::Range<u8> },
}

#[test]
fn structs_that_ignore_unknown_fields_are_found_at_start() {
    let error = Codec::<LooseData>::new().unwrap_err().to_string();
    assert!(
        error.starts_with("'Happened': its data ignores unknown fields: put #[serde(deny_unknown_fields)]")
    );
    let error = Codec::<LooseInside>::new().unwrap_err().to_string();
    assert!(error.starts_with("'Happened': the type Loose ignores unknown fields"));
    let codec = Codec::<Purpose>::new().unwrap();
    let data = br#"{"part":{"a":1,"b":2},"took":{"secs":1,"nanos":0},"range":{"start":1,"end":2}}"#;
    assert!(codec.decode_data("Happened", 1, data).is_ok());
    let more = br#"{"part":{"a":1},"took":{"secs":1,"nanos":0,"x":1},"range":{"start":1,"end":2}}"#;
    assert!(codec.decode_data("Happened", 1, more).unwrap_err().to_string().contains("unknown field `x`"));
}
