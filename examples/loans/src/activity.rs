//! What the log says of one activity, and of an application's registration.

use factum::{Personal, PersonalFields};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The attribute that names the employee: the only thing in the log about a person who can be told apart.
pub const RESOURCE: &str = "org:resource";

/// One activity: the data of every event but the first of an application.
#[derive(Clone, Debug, PartialEq, Eq, PersonalFields)]
pub struct Activity {
    /// The number of the employee who did it, where the log says so: sealed, as data of the subject of that number.
    #[personal(own_subject)]
    #[serde(rename = "org:resource", default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Personal<String>>,
    /// Which part of the activity this is. States of the application and of offers are always complete.
    #[serde(rename = "lifecycle:transition")]
    pub transition: Lifecycle,
    /// The activity's name, the same as the event's type.
    #[serde(rename = "concept:name")]
    pub name: String,
    /// When, as it was written: RFC 3339 with the bank's offset.
    #[serde(rename = "time:timestamp")]
    pub at: String,
}

/// A part of an activity's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Lifecycle {
    /// It is to be done.
    Schedule,
    /// Somebody works on it.
    Start,
    /// That work ended. It may be taken up again.
    Complete,
}

/// What the log says of an application as a whole: the data of its first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// When it came in, as it was written: RFC 3339 with the bank's offset.
    #[serde(rename = "REG_DATE")]
    pub at: String,
    /// The application's number.
    #[serde(rename = "concept:name")]
    pub number: String,
    /// The amount asked for, in whole euros. The log has it as text.
    #[serde(rename = "AMOUNT_REQ", serialize_with = "as_text", deserialize_with = "from_text")]
    #[schemars(with = "String")]
    pub requested_eur: u64,
}

fn as_text<S: Serializer>(euros: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(euros)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("'{text}' is not an amount in whole euros")))
}
