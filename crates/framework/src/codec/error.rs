//! What can go wrong between events and bytes, without the values that the events hold?

use factum_core::{ErrorKind, NameError, Position, RecordedEvent, Revision, SchemaVersion};

use super::place;
use crate::personal_data::PLAIN_OBJECT;

/// A declaration of events that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Two kinds, or a kind and an alias, have one name.
    #[error("the name '{name}' belongs to both {} and {}: every kind of event needs names of its own", kinds[0], kinds[1])]
    DuplicateName {
        /// The name.
        name: String,
        /// The kinds that claim it.
        kinds: [&'static str; 2],
    },
    /// A name that no store would take.
    #[error("'{event_type}': {source}")]
    Name {
        /// The kind.
        event_type: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// A name of the store's own.
    #[error("'{name}' is reserved: names that start with '$' are the store's own events")]
    Reserved {
        /// The name.
        name: String,
    },
    /// Versions start at 1.
    #[error("'{event_type}' has version 0: versions start at 1")]
    VersionZero {
        /// The kind.
        event_type: &'static str,
    },
    /// The chain of upcasters has a gap, a duplicate or a step too many.
    #[error(
        "'{event_type}' is at version {version} and has an upcaster from {found} where one from {expected} belongs: \
         give one from each version before {version}, in order"
    )]
    UpcasterOutOfPlace {
        /// The kind.
        event_type: &'static str,
        /// The version that the upcaster reads.
        found: u32,
        /// The version that was due.
        expected: u32,
        /// The kind's current version.
        version: u32,
    },
    /// The chain of upcasters ends too early.
    #[error(
        "'{event_type}' is at version {version}, but nothing upcasts from version {from}: add that upcaster"
    )]
    UpcasterMissing {
        /// The kind.
        event_type: &'static str,
        /// The kind's current version.
        version: u32,
        /// The version that has none.
        from: u32,
    },
    /// A step of an upcaster cannot work.
    #[error("'{event_type}': the upcaster from version {from}: {why}")]
    UpcasterStep {
        /// The kind.
        event_type: &'static str,
        /// The version that it reads.
        from: u32,
        /// What is wrong with it.
        why: String,
    },
    /// A struct in an event would let unknown fields pass unseen.
    #[error(
        "'{event_type}': {place} ignores unknown fields: put #[serde(deny_unknown_fields)] on its type, \
         or #[schemars(extend(\"additionalProperties\" = true))] if it is to ignore them"
    )]
    Open {
        /// The kind.
        event_type: &'static str,
        /// The field or the type.
        place: String,
    },
}

/// An event that was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode '{event_type}': {fault}")]
pub struct EncodeError {
    /// The event's type.
    pub event_type: &'static str,
    /// Why not.
    #[source]
    pub fault: EncodeFault,
}

impl EncodeError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Why an event was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeFault {
    /// The event names a type that its enum does not declare.
    #[error("the type is not among those that the events declare")]
    Undeclared,
    /// A value has no JSON form.
    #[error("{why}")]
    Json {
        /// serde's reason.
        why: String,
    },
    /// The JSON would not decode again.
    #[error(
        "its data would not read back ({why}): JSON has no NaN and no infinity, and serde attributes must fit in both directions"
    )]
    DoesNotReadBack {
        /// serde's reason.
        why: String,
    },
    /// The type's name may not be used.
    #[error(transparent)]
    Name(NameError),
    /// A tag may not be used.
    #[error("one of its tags: {0}")]
    Tag(#[source] NameError),
}

/// A recorded event that was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot decode '{event_type}' version {version} at position {position} (revision {revision} of '{stream}'): {fault}"
)]
pub struct DecodeError {
    /// The stored type.
    pub event_type: Box<str>,
    /// The stored schema version.
    pub version: SchemaVersion,
    /// The stream.
    pub stream: Box<str>,
    /// The place in the log.
    pub position: Position,
    /// The place in the stream.
    pub revision: Revision,
    /// Why not.
    #[source]
    pub fault: DecodeFault,
}

impl DecodeError {
    pub(super) fn at(event: &RecordedEvent, fault: DecodeFault) -> Self {
        Self {
            event_type: event.event_type().into(),
            version: event.schema_version(),
            stream: event.stream().into(),
            position: event.position(),
            revision: event.revision(),
            fault,
        }
    }

    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        self.fault.kind()
    }
}

/// Why an event was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The type is not in the enum.
    #[error("{events} has no such type: declare it, or give the type that it became this name as an alias")]
    UnknownType {
        /// The name of the enum.
        events: &'static str,
    },
    /// The version is newer than the declaration.
    #[error("the newest version known here is {newest}: the event was written by a newer program")]
    UnknownVersion {
        /// The declared version.
        newest: u32,
    },
    /// The data was taken out of the log.
    #[error(
        "its data was redacted, for this reason: {reason} (a decider says in `evolve_redacted` how to go on)"
    )]
    Redacted {
        /// Why.
        reason: Box<str>,
    },
    /// The data is binary.
    #[error("its content type is binary, JSON is expected")]
    Binary,
    /// The declaration lacks an upcaster; [`Codec::new`](crate::Codec::new) would have said so.
    #[error("nothing upcasts from version {from}")]
    NoUpcaster {
        /// The version that has none.
        from: u32,
    },
    /// An upcaster refused the data.
    #[error("the upcaster from version {from} refused it: {why}")]
    Upcast {
        /// The version that the upcaster reads.
        from: u32,
        /// Its reason.
        why: Box<str>,
    },
    /// The data does not fit the type.
    #[error("{why}{}", at_field(field))]
    Data {
        /// serde's reason, with line and column, without the value.
        why: Box<str>,
        /// Where in the (upcast) data, such as `amount.currency`; empty for the data itself.
        field: Box<str>,
    },
}

fn at_field(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", in field '{field}'") }
}

impl DecodeFault {
    pub(crate) fn data(error: &serde_json::Error, data: &[u8]) -> Self {
        let why = describe(error);
        let mut path = place::path_at(data, error.line(), error.column());
        if why.starts_with(PLAIN_OBJECT) {
            // What should have been a personal value may have a personal key.
            path.pop();
        }
        DecodeFault::Data { why: why.into(), field: place::path_text(&path).into() }
    }

    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DecodeFault::UnknownType { .. }
            | DecodeFault::UnknownVersion { .. }
            | DecodeFault::NoUpcaster { .. } => ErrorKind::Unsupported,
            DecodeFault::Redacted { .. } => ErrorKind::Deleted,
            DecodeFault::Binary | DecodeFault::Upcast { .. } | DecodeFault::Data { .. } => {
                ErrorKind::SchemaViolation
            }
        }
    }
}

/// serde's text without the value that it found: that may be somebody's secret.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    stripped(&text).unwrap_or(text)
}

/// serde's own texts that repeat a value, without it; `None` for other texts.
fn stripped(text: &str) -> Option<String> {
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            text.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            // `string "Ada"`, `integer `7``: the kind of value comes before the value.
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            return Some(format!("{prefix}{kind}, expected {expected}"));
        }
    }
    let (_, expected) = text.strip_prefix("unknown variant `")?.split_once("`, expected ")?;
    Some(format!("unknown variant, expected {expected}"))
}

/// What may be said of an error in a personal value: serde's own words for types and fields, and the texts in `ours`. What a
/// type says for itself may repeat the value, so it becomes the last of these. The place in the text stays.
pub(crate) fn without_value(text: &str, ours: &[&str]) -> String {
    if let Some(stripped) = stripped(text) {
        return stripped;
    }
    let of_serde = ["missing field `", "unknown field `", "duplicate field `", "invalid length "];
    if of_serde.iter().chain(ours).any(|known| text.starts_with(known)) {
        return text.to_owned();
    }
    let place = text.rfind(" at line ").map_or("", |at| &text[at..]);
    let plain = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || c == ' ';
    format!("the value does not fit its type{}", if place.chars().all(plain) { place } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described<T: serde::de::DeserializeOwned>(json: &str) -> String {
        describe(&serde_json::from_str::<T>(json).err().unwrap())
    }

    #[test]
    fn values_stay_out_of_error_texts() {
        assert_eq!(
            described::<u8>("\"Ada, expected\""),
            "invalid type: string, expected u8 at line 1 column 15"
        );
        assert_eq!(described::<u8>("777"), "invalid value: integer, expected u8 at line 1 column 3");
        assert_eq!(
            described::<String>("true"),
            "invalid type: boolean, expected a string at line 1 column 4"
        );
        assert_eq!(described::<u8>("null"), "invalid type: null, expected u8 at line 1 column 4");
        assert_eq!(
            without_value("no mail: ada at line 1 column 7", &[]),
            "the value does not fit its type at line 1 column 7"
        );
        assert_eq!(without_value("no mail: ada at line A", &[]), "the value does not fit its type");
        assert_eq!(without_value("missing field `a`", &[]), "missing field `a`");
        assert_eq!(without_value("of ours", &["of ours"]), "of ours");
        #[derive(Debug, serde::Deserialize)]
        enum Choice {
            Yes,
        }
        assert_eq!(described::<Choice>("\"Ada\""), "unknown variant, expected `Yes` at line 1 column 5");
    }
}
