//! Schemas show that a value is sealed, and what is sealed in it.

use factum::{Codec, Event, Personal, SchemaSet};
use factum_core::{
    Append, EventType, ExpectedRevision, NewEvent, SCHEMAS_STREAM, SchemaRegistry, StreamName,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::CustomerEvent;

#[derive(Event)]
enum ShopEvent {
    Ordered {
        buyer: String,
        #[personal(subject = "buyer")]
        address: Personal<Address>,
        #[personal(subject = "buyer")]
        phones: Option<Vec<Personal<String>>>,
        card: Card,
    },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    street: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
enum Card {
    Known {
        #[serde(with = "factum::personal")]
        number: Option<Personal<String>>,
    },
}

#[test]
fn a_schema_is_of_the_stored_shape() {
    let schemas = SchemaSet::of::<ShopEvent>();
    let schema = &schemas.schemas()[0];
    let properties = &schema.schema["properties"];
    assert_eq!(
        properties["address"],
        json!({
            "type": "object",
            "properties": {"$pii": {"type": "object"}},
            "required": ["$pii"],
            "additionalProperties": false,
            "contentSchema": {"$ref": "#/$defs/Address"}
        })
    );
    assert_eq!(schema.schema["required"], json!(["buyer", "address", "card"]));
    assert_eq!(schema.personal_fields(), ["/address", "/phones/*", "/card/Known/number"]);
    let noted = SchemaSet::of::<CustomerEvent>();
    let noted = noted.schemas().iter().find(|schema| schema.event_type == "Noted").unwrap();
    assert_eq!(
        noted.personal_fields(),
        ["/lists/*", "/map/*", "/others/*", "/notes/*/freeText", "/contact/channel", "/contact/advice"]
    );
}

#[test]
fn what_is_sealed_must_refuse_unknown_fields_too() {
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    struct Open {
        street: String,
    }
    #[derive(Event)]
    enum Leaky {
        Happened {
            id: String,
            #[personal(subject = "id")]
            open: Personal<Open>,
        },
    }
    let error = Codec::<Leaky>::new().unwrap_err().to_string();
    assert!(error.contains("the type Open ignores unknown fields"), "{error}");
    assert!(Codec::<ShopEvent>::new().is_ok());
}

#[test]
fn another_type_in_the_same_envelope_is_another_shape() {
    #[derive(Event)]
    enum Before {
        Happened {
            id: String,
            #[personal(subject = "id")]
            age: Personal<u8>,
        },
    }
    #[derive(Event)]
    enum After {
        Happened {
            id: String,
            #[personal(subject = "id")]
            age: Personal<String>,
        },
    }
    let lock = SchemaSet::of::<Before>().update_lock("").unwrap();
    let error = SchemaSet::of::<After>().check_lock(&lock).unwrap_err().to_string();
    assert!(error.contains("field 'age' changed from integer to string"), "{error}");
}

#[test]
fn other_languages_see_a_sealed_value() {
    let schemas = SchemaSet::of::<ShopEvent>();
    let typescript = schemas.typescript();
    for line in [
        "export interface Sealed<T> {",
        "  address: Sealed<Address>;",
        "  phones?: Array<Sealed<string>> | null;",
        "export interface Address {",
    ] {
        assert!(typescript.contains(line), "{line}\n{typescript}");
    }
    let zod = schemas.zod();
    for line in [
        "const sealed = <T>(): z.ZodType<Sealed<T>> =>",
        "  address: sealed<Address>(),",
        "z.array(sealed<string>())",
    ] {
        assert!(zod.contains(line), "{line}\n{zod}");
    }
    #[derive(Event)]
    enum Plain {
        Happened { id: String },
    }
    assert!(!SchemaSet::of::<Plain>().typescript().contains("Sealed"));
}

#[test]
fn stored_events_fit_their_registered_schema() {
    let mut registry = SchemaRegistry::default();
    let missing = SchemaSet::of::<ShopEvent>().missing_registrations(&registry).unwrap();
    let stream = StreamName::new(SCHEMAS_STREAM).unwrap();
    registry.apply_append(&Append::to(stream, ExpectedRevision::Any, missing)).unwrap();
    let fits = |data: serde_json::Value| {
        registry.check(&NewEvent::json(EventType::new("Ordered").unwrap(), data.to_string())).is_ok()
    };
    let sealed = json!({"$pii": {"v": 1, "k": "AwMDAwMDAwMDAwMDAwMDAw"}});
    let event = |address| json!({"buyer": "c", "address": address, "phones": [sealed], "card": {"Known": {"number": null}}});
    assert!(fits(event(sealed.clone())));
    assert!(!fits(event(json!("Main Street"))));
    assert!(!fits(event(json!({"$pii": {}, "street": "Main Street"}))));
}
