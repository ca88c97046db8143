//! Personal data in typed events: who it belongs to is always said, and it comes back in one of three ways.

mod kept;
mod shapes;
mod upcast;

use std::collections::{BTreeMap, HashMap};

use factum::{
    Codec, Context, Decider, Event, Keep, Personal, PersonalFields, PersonalMark, Revealed, Subject,
    Unavailable, given, given_stored,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A person's name, which refuses what has no letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().any(char::is_alphabetic) { Ok(Self(text)) } else { Err(format!("no name: {text}")) }
    }
}

pub(crate) fn name(text: &str) -> Personal<Name> {
    Personal::new(Name(text.to_owned()))
}

fn nobody() -> Name {
    Name("nobody".to_owned())
}

fn initial(name: &Name) -> char {
    name.0.chars().next().unwrap_or('?')
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) enum Channel {
    Mail,
    Phone { prefix: u16 },
}

#[derive(Clone, Debug, PartialEq, PersonalFields)]
#[personal(subject = "customer_id")]
pub(crate) struct Contact {
    customer_id: u64,
    #[personal(purpose = "marketing", fallback = Channel::Mail)]
    channel: Personal<Channel>,
    /// Another person's.
    #[personal(subject = "advisor")]
    advice: Option<Personal<String>>,
    advisor: String,
}

#[derive(Clone, Debug, PartialEq, PersonalFields)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    /// The event's default, or the note's own.
    #[personal(partial = last_word)]
    free_text: Personal<String>,
}

fn last_word(text: &str) -> Option<&str> {
    text.split(' ').next_back()
}

#[derive(Clone, Debug, PartialEq, Event)]
#[personal(subject = "customer_id")]
#[serde(rename_all_fields = "camelCase")]
pub(crate) enum CustomerEvent {
    Registered {
        #[event(tag = "customer")]
        customer_id: u64,
        #[personal(fallback = nobody, partial = initial)]
        full_name: Personal<Name>,
        #[personal(purpose = "billing", partial = "last4", external)]
        iban: Option<Personal<String>>,
        #[personal(partial = "year")]
        #[serde(rename = "born", skip_serializing_if = "Option::is_none")]
        birthday: Option<Personal<String>>,
    },
    #[personal(subject = "from")]
    Moved {
        from: String,
        to: String,
        #[personal]
        old: Personal<Vec<u8>>,
        #[personal(subject = "to", fallback = 0)]
        new: Personal<i64>,
    },
    Noted {
        customer_id: u64,
        #[personal]
        lists: Vec<Option<Personal<bool>>>,
        #[personal]
        map: BTreeMap<String, Box<Personal<Option<Channel>>>>,
        #[personal(own_subject)]
        others: HashMap<String, Personal<String>>,
        notes: Vec<Note>,
        contact: Option<Contact>,
    },
    Contacted(Contact),
    Told(Note),
    Closed,
}

fn codec() -> Codec<CustomerEvent> {
    Codec::new().unwrap()
}

pub(crate) fn registered(customer_id: u64, text: &str) -> CustomerEvent {
    CustomerEvent::Registered { customer_id, full_name: name(text), iban: None, birthday: None }
}

fn noted() -> CustomerEvent {
    CustomerEvent::Noted {
        customer_id: 7,
        lists: vec![None, Some(Personal::new(true))],
        map: BTreeMap::from([("a".to_owned(), Box::new(Personal::new(None)))]),
        others: HashMap::new(),
        notes: vec![],
        contact: None,
    }
}

fn written(event: &CustomerEvent) -> Value {
    serde_json::from_slice(&codec().encode(event).unwrap().data).unwrap()
}

fn refused(event: &CustomerEvent) -> String {
    codec().encode(event).unwrap_err().to_string()
}

#[test]
fn each_value_is_written_with_its_subject_and_what_its_mark_says() {
    let event = CustomerEvent::Registered {
        customer_id: 7,
        full_name: name("Ada"),
        iban: Some(Personal::new("DE02120300000000202051".to_owned())),
        birthday: Some(Personal::new("1815-12-10".to_owned())),
    };
    assert_eq!(
        String::from_utf8(event.encode().unwrap()).unwrap(),
        concat!(
            r#"{"customerId":7,"fullName":{"$personal":{"s":"7","v":"Ada","c":"A"}},"#,
            r#""iban":{"$personal":{"s":"7","p":"billing","x":true,"v":"DE02120300000000202051","c":"2051"}},"#,
            r#""born":{"$personal":{"s":"7","v":"1815-12-10","c":1815}}}"#
        )
    );
    assert_eq!(written(&registered(7, "Ada"))["iban"], Value::Null);
    assert!(written(&registered(7, "Ada")).get("born").is_none());
    let moved = CustomerEvent::Moved {
        from: "a".into(),
        to: "b".into(),
        old: Personal::new(vec![1, 2]),
        new: Personal::new(-3),
    };
    assert_eq!(
        written(&moved),
        json!({
            "from": "a", "to": "b",
            "old": {"$personal": {"s": "a", "v": [1, 2]}},
            "new": {"$personal": {"s": "b", "v": -3}}
        })
    );
}

#[test]
fn values_in_containers_and_nested_structs_are_written_each_for_itself() {
    let CustomerEvent::Noted { customer_id, lists, map, .. } = noted() else { unreachable!() };
    let note = |text: &str| Note { free_text: Personal::new(text.to_owned()) };
    let subject = Subject::new("grace").unwrap();
    let contact = Contact {
        customer_id: 8,
        channel: Personal::new(Channel::Phone { prefix: 49 }),
        advice: Some(Personal::new("call".to_owned())),
        advisor: "b".to_owned(),
    };
    let event = CustomerEvent::Noted {
        customer_id,
        lists,
        map,
        others: HashMap::from([("x".to_owned(), Personal::of(subject.clone(), "y".to_owned()))]),
        notes: vec![note("a b"), Note { free_text: Personal::of(subject, "c".to_owned()) }],
        contact: Some(contact.clone()),
    };
    let of_contact = json!({
        "customer_id": 8,
        "channel": {"$personal": {"s": "8", "p": "marketing", "v": {"Phone": {"prefix": 49}}}},
        "advice": {"$personal": {"s": "b", "v": "call"}},
        "advisor": "b"
    });
    assert_eq!(
        written(&event),
        json!({
            "customerId": 7,
            "lists": [null, {"$personal": {"s": "7", "v": true}}],
            "map": {"a": {"$personal": {"s": "7", "v": null}}},
            "others": {"x": {"$personal": {"s": "grace", "v": "y"}}},
            "notes": [
                {"freeText": {"$personal": {"s": "7", "v": "a b", "c": "b"}}},
                {"freeText": {"$personal": {"s": "grace", "v": "c", "c": "c"}}},
            ],
            "contact": of_contact
        })
    );
    assert_eq!(written(&CustomerEvent::Contacted(contact)), of_contact);
    for event in [event, noted(), CustomerEvent::Closed] {
        let data = event.encode().unwrap();
        assert_eq!(CustomerEvent::decode(event.event_type(), &data).unwrap(), event);
    }
}

#[test]
fn nothing_is_written_where_nobody_knows_whose_it_is() {
    let told = CustomerEvent::Told(Note { free_text: Personal::new("secret".to_owned()) });
    assert_eq!(
        refused(&told),
        "cannot encode 'Told': nobody knows whose this personal value is: mark its field with a subject, or make it with \
         Personal::of, in field 'freeText'"
    );
    let mut event = noted();
    if let CustomerEvent::Noted { others, .. } = &mut event {
        others.insert("x".to_owned(), Personal::new("secret".to_owned()));
    }
    let error = refused(&event);
    assert!(error.contains("nobody knows whose") && error.ends_with("in field 'others.x'"), "{error}");
    assert!(!error.contains("secret"));
}

#[test]
fn a_subject_that_is_none_or_another_is_refused() {
    let moved = |from: &str, new| CustomerEvent::Moved {
        from: from.to_owned(),
        to: "b".to_owned(),
        old: Personal::new(vec![]),
        new,
    };
    let error = refused(&moved("a#secret", Personal::new(1)));
    assert!(error.contains("the subject of this personal value: a subject has no '#'"), "{error}");
    assert!(error.ends_with("in field 'old'") && !error.contains("secret"), "{error}");
    assert!(refused(&moved("", Personal::new(1))).contains("this one is empty"));
    let grace = || Subject::new("grace").unwrap();
    let error = refused(&moved("a", Personal::of(grace(), 1)));
    assert!(error.contains("another subject") && error.ends_with("in field 'new'"), "{error}");
    let same = Personal::of(Subject::new("b").unwrap(), 1);
    assert_eq!(written(&moved("a", same))["new"], json!({"$personal": {"s": "b", "v": 1}}));
    // Against a default, a value's own subject wins.
    let event = CustomerEvent::Registered {
        customer_id: 7,
        full_name: Personal::of(grace(), nobody()),
        iban: None,
        birthday: None,
    };
    assert_eq!(written(&event)["fullName"]["$personal"]["s"], "grace");
}

#[test]
fn outside_of_events_and_snapshots_it_is_not_written() {
    let note = Note { free_text: Personal::new("secret".to_owned()) };
    let error = serde_json::to_string(&note).unwrap_err().to_string();
    assert_eq!(error, "personal data is only written through an event or a snapshot");
    assert!(!format!("{note:?} {:?}", registered(7, "Ada")).contains("Ada"));
    // Also after an event was refused in the middle.
    refused(&CustomerEvent::Told(note.clone()));
    assert!(serde_json::to_string(&note).is_err());
}

#[test]
fn what_is_personal_is_data_of_the_declaration() {
    let mark =
        |field, subject| PersonalMark { field, subject, purpose: None, keep: Keep::InEvent, partial: None };
    let customer = Some("/customerId");
    let of = |event_type: &str| {
        CustomerEvent::kinds().iter().find(|kind| kind.event_type == event_type).unwrap().personal
    };
    assert_eq!(
        of("Registered"),
        [
            PersonalMark { partial: Some("initial"), ..mark("/fullName", customer) },
            PersonalMark {
                purpose: Some("billing"),
                keep: Keep::Outside,
                partial: Some("last4"),
                ..mark("/iban", customer)
            },
            PersonalMark { partial: Some("year"), ..mark("/born", customer) },
        ]
    );
    assert_eq!(of("Moved"), [mark("/old", Some("/from")), mark("/new", Some("/to"))]);
    assert_eq!(of("Noted"), [mark("/lists", customer), mark("/map", customer), mark("/others", None)]);
    let channel = PersonalMark { purpose: Some("marketing"), ..mark("/channel", Some("/customer_id")) };
    assert_eq!(of("Contacted"), [channel, mark("/advice", Some("/advisor"))]);
    assert_eq!(of("Contacted"), Contact::MARKS);
    assert_eq!(of("Closed"), []);
}

/// A `Registered` of customer 7 with this in the name's place.
fn read_with(full_name: &Value) -> Result<Personal<Name>, String> {
    let data = json!({"customerId": 7, "fullName": full_name}).to_string();
    match codec().decode_data("Registered", 1, data.as_bytes()) {
        Ok(CustomerEvent::Registered { full_name, .. }) => Ok(full_name),
        Ok(other) => panic!("another event: {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

const KEY: &str = "AwMDAwMDAwMDAwMDAwMDAw";
const OWNER: &str = "07070707070707070707070707070707";
const ERASURE: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

#[test]
fn a_value_comes_back_as_value_erased_or_unavailable() {
    let opened = read_with(&json!({"$personal": {"k": KEY, "o": OWNER, "v": "Ada", "c": "A"}})).unwrap();
    assert_eq!(opened, name("Ada"));
    assert_eq!(opened.partial(), Some(&json!("A")));

    let erased = read_with(&json!({"$personal": {"k": KEY, "e": ERASURE, "c": "A"}})).unwrap();
    let Ok(Revealed::Erased(left)) = erased.read() else { panic!("it was erased: {erased:?}") };
    assert_eq!(left.erasure.to_string(), ERASURE);
    assert_eq!(left.fallback, Some(&nobody()));
    assert_eq!(erased.or_fallback(), Ok(Some(&nobody())));
    assert_eq!((erased.value(), erased.partial()), (Ok(None), Some(&json!("A"))));

    for why in ["no_vault", "vault_down", "unknown_key", "wrong_key", "tampered", "malformed", "missing"] {
        let unavailable = read_with(&json!({"$personal": {"u": why}})).unwrap();
        assert_eq!(unavailable.why_unavailable().map(Unavailable::word), Some(why));
        assert!(unavailable.or_fallback().is_err() && unavailable.read().is_err());
    }
    // A store that was read without its vault.
    let sealed = read_with(&json!({"$pii": {"v": 1, "k": KEY, "s": "..", "c": "..", "p": "A"}})).unwrap();
    assert_eq!((sealed.value(), sealed.partial()), (Err(Unavailable::NoVault), Some(&json!("A"))));
}

#[test]
fn what_is_no_personal_value_is_an_error_that_does_not_repeat_it() {
    for (found, expected) in [
        (json!("secret"), "expected a personal value"),
        (json!(4711), "expected a personal value"),
        (json!(["secret"]), "expected a personal value"),
        (json!({"secret": 1}), "expected a personal value"),
        (json!({}), "this is no personal value as Factum writes it"),
        (json!({"$personal": {"s": "c", "v": "4711"}}), "the value does not fit its type"),
        (json!({"$personal": {"s": "c", "v": 4711}}), "invalid type: integer, expected a string"),
        (json!({"$personal": {"v": "secret"}}), "this is no personal value as Factum writes it"),
        (json!({"$personal": {"s": "c", "v": "secret", "q": 1}}), "this is no personal value as"),
        (json!({"$personal": {"s": "c#secret", "v": "a"}}), "this is no personal value as"),
        (json!({"$personal": {"k": KEY, "v": "secret"}}), "this is no personal value as"),
        (json!({"$personal": {"u": "secret"}}), "this is no personal value as"),
        (json!({"$personal": {"s": "c", "v": "secret"}, "b": 1}), "it has members beside it"),
    ] {
        let error = read_with(&found).unwrap_err();
        assert!(error.contains(expected), "{found}: {error}");
        assert!(error.ends_with("in field 'fullName'"), "{found}: {error}");
        assert!(!error.contains("secret") && !error.contains("4711"), "{found}: {error}");
    }
}

#[test]
fn a_value_inside_another_is_refused() {
    #[derive(Event)]
    enum Nested {
        Happened {
            id: String,
            #[personal(subject = "id")]
            note: Personal<Note>,
        },
    }
    let note = Personal::new(Note { free_text: Personal::new("secret".to_owned()) });
    let error = Nested::Happened { id: "c".into(), note }.encode().unwrap_err().to_string();
    assert!(error.starts_with("a personal value is in another one"), "{error}");
    assert!(error.ends_with("in field 'note'"), "{error}");
}

#[test]
fn a_type_that_refuses_to_be_written_does_not_tell_what_it_holds() {
    #[derive(Debug, Deserialize, schemars::JsonSchema)]
    struct Loud(String);
    impl Serialize for Loud {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(&self.0))
        }
    }
    #[derive(Event)]
    enum Told {
        Happened {
            id: String,
            #[personal(subject = "id")]
            loud: Personal<Loud>,
        },
    }
    let error = Codec::<Told>::new()
        .unwrap()
        .encode(&Told::Happened { id: "c".into(), loud: Personal::new(Loud("secret".into())) })
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no JSON form") && !error.contains("secret"), "{error}");
}

struct Customers;
enum Ask {
    Register(u64, &'static str),
    Greet,
}

impl Decider for Customers {
    type State = Option<Personal<Name>>;
    type Command = Ask;
    type Event = CustomerEvent;
    type Rejection = String;
    fn initial_state(&self) -> Self::State {
        None
    }
    fn evolve(&self, state: &mut Self::State, event: &CustomerEvent) {
        if let CustomerEvent::Registered { full_name, .. } = event {
            *state = Some(full_name.clone());
        }
    }
    fn decide(&self, state: &Self::State, ask: &Ask, _: &Context) -> Result<Vec<CustomerEvent>, String> {
        match ask {
            Ask::Register(id, text) => Ok(vec![registered(*id, text)]),
            Ask::Greet => {
                let name = state.as_ref().ok_or("nobody is there")?;
                Err(name
                    .or_fallback()
                    .map_err(Unavailable::word)?
                    .map_or_else(String::new, |name| name.0.clone()))
            }
        }
    }
}

#[test]
fn tests_of_deciders_compare_by_value() {
    given(Customers, []).when(Ask::Register(7, "Ada")).then([registered(7, "Ada")]);
    given(Customers, [registered(7, "Ada")]).when(Ask::Greet).then_rejected("Ada".to_owned());
    let data = json!({"customerId": 7, "fullName": {"$personal": {"k": KEY, "e": ERASURE}}});
    given_stored(Customers, [("Registered", 1, data)]).when(Ask::Greet).then_rejected("nobody".to_owned());
    let unavailable = CustomerEvent::Registered {
        customer_id: 7,
        full_name: Personal::unavailable(Unavailable::VaultDown),
        iban: None,
        birthday: None,
    };
    given(Customers, [unavailable]).when(Ask::Greet).then_rejected("vault_down".to_owned());
}

#[test]
fn a_difference_that_cannot_be_shown_is_said() {
    let compare = || given(Customers, []).when(Ask::Register(7, "Ada")).then([registered(7, "Grace")]);
    let panic = std::panic::catch_unwind(compare).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("personal values are not shown"), "{text}");
    assert!(!text.contains("Ada"), "{text}");
}
