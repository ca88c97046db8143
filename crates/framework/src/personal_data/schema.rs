//! Which shape has a personal value where it is stored?

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serializer};
use serde_json::Value;

use super::declared::{Declared, How, Whose};
use super::{Personal, PersonalField};

/// The word under which a sealed value's schema says what is sealed in it. An annotation: no validator looks inside.
pub(crate) const CONTENT: &str = "contentSchema";

/// The stored shape: an object with `$pii`. What was sealed is named beside it, so that a change of the type shows.
impl<T: JsonSchema> JsonSchema for Personal<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Personal_of_{}", T::schema_name()).into()
    }
    fn schema_id() -> Cow<'static, str> {
        format!("factum::Personal<{}>", T::schema_id()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = sealed();
        schema.insert(CONTENT.to_owned(), generator.subschema_for::<T>().to_value());
        schema
    }
}

fn sealed() -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "$pii": { "type": "object" } },
        "required": ["$pii"],
        "additionalProperties": false
    })
}

/// What is sealed in a value of this schema; `None` where it is no sealed value.
pub(crate) fn content(schema: &Value) -> Option<&Value> {
    schema.pointer("/properties/$pii")?;
    schema.get(CONTENT)
}

/// For `#[serde(with = "factum::personal")]`: a field that is a [`PersonalField`], in a type that `Serialize` and
/// `Deserialize` are derived for. In a struct, [`PersonalFields`](crate::PersonalFields) does it with less to write, and its
/// schema is exact.
///
/// ```
/// use factum::Personal;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// enum Contact {
///     None,
///     ByMail {
///         #[serde(with = "factum::personal")]
///         address: Personal<String>,
///     },
/// }
///
/// // It is written through events and snapshots only.
/// let contact = Contact::ByMail { address: Personal::new("ada@example.org".to_owned()) };
/// assert!(serde_json::to_string(&contact).is_err());
/// ```
///
/// A type and not a module, because schemars takes the same attribute for the name of a type.
#[allow(non_camel_case_types, reason = "it is written where serde expects the name of a module")]
#[derive(Debug)]
pub struct personal;

impl personal {
    /// # Errors
    /// Outside of an event or a snapshot; where it is not known whose a value is; where it cannot be opened now.
    pub fn serialize<P: PersonalField, S: Serializer>(field: &P, serializer: S) -> Result<S::Ok, S::Error> {
        field.write(serializer, How { mark: None, whose: &Whose::Default })
    }

    /// # Errors
    /// Where it is no personal value, or its value does not fit the type.
    pub fn deserialize<'de, P: PersonalField, D: Deserializer<'de>>(deserializer: D) -> Result<P, D::Error> {
        P::read(deserializer, &Declared::NOTHING)
    }
}

/// A sealed value, or a container of them: serde's attribute does not say which.
impl JsonSchema for personal {
    fn schema_name() -> Cow<'static, str> {
        "PersonalData".into()
    }
    fn schema_id() -> Cow<'static, str> {
        "factum::personal".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<personal>();
        json_schema!({
            "anyOf": [
                sealed(),
                { "type": "array", "items": inner },
                { "type": "object", "additionalProperties": inner },
                { "type": "null" }
            ]
        })
    }
}
