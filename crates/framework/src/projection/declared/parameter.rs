//! What of an event does a named parameter stand for?

use factum_core::read_model::{PersonalData, Value};
use factum_core::{ContentType, RecordedEvent, category_of};
use serde_json::Value as Json;

use super::nearest::nearest;
use super::personal;
use crate::ACTOR_KEY;
use crate::projection::ApplyError;

/// Where a parameter's value is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the data: names of members and numbers of elements, from the outside in. No steps: all of it.
    Data(Vec<String>),
    /// In the metadata, likewise.
    Metadata(Vec<String>),
    /// Beside them.
    Field(Field),
}

impl Source {
    /// Whether a redaction takes it out of an event.
    fn is_redacted(&self) -> bool {
        match self {
            Source::Data(_) | Source::Metadata(_) => true,
            Source::Field(field) => {
                matches!(field, Field::Correlation | Field::Causation | Field::Actor | Field::Tags)
            }
        }
    }
}

/// What every event has beside its data and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Stream,
    StreamId,
    Category,
    Revision,
    Position,
    Type,
    SchemaVersion,
    EventId,
    RecordedAt,
    OccurredAt,
    Correlation,
    Causation,
    Actor,
    Tags,
}

const FIELDS: [(&str, Field); 14] = [
    ("stream", Field::Stream),
    ("stream_id", Field::StreamId),
    ("category", Field::Category),
    ("revision", Field::Revision),
    ("position", Field::Position),
    ("type", Field::Type),
    ("schema_version", Field::SchemaVersion),
    ("event_id", Field::EventId),
    ("recorded_at", Field::RecordedAt),
    ("occurred_at", Field::OccurredAt),
    ("correlation", Field::Correlation),
    ("causation", Field::Causation),
    ("actor", Field::Actor),
    ("tags", Field::Tags),
];

impl Source {
    /// What the name stands for; where it stands for nothing, the name that may have been meant.
    pub(super) fn parse(name: &str) -> Result<Self, Option<String>> {
        let mut steps = name.split('.').map(str::to_owned);
        let root = steps.next().unwrap_or_default();
        match (root.as_str(), name.contains('.')) {
            ("data", _) => return Ok(Self::Data(steps.collect())),
            ("metadata", _) => return Ok(Self::Metadata(steps.collect())),
            ("json", false) => return Ok(Self::Data(Vec::new())),
            _ => {}
        }
        if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
            return Ok(Self::Field(*field));
        }
        let roots = FIELDS.iter().map(|(name, _)| *name).chain(["data", "metadata", "json"]);
        let rest = name.strip_prefix(&root).unwrap_or_default();
        Err(nearest(&root, roots).map(|root| if root == "data" { format!("{root}{rest}") } else { root }))
    }

    /// What a path under `[parameters]` stands for: its first step is `data` or `metadata`.
    pub(super) fn of_path(path: &[String]) -> Option<Self> {
        let (root, steps) = path.split_first()?;
        match root.as_str() {
            "data" => Some(Self::Data(steps.to_vec())),
            "metadata" => Some(Self::Metadata(steps.to_vec())),
            _ => None,
        }
    }

    /// Whether a name is taken by what every event has.
    pub(super) fn is_taken(name: &str) -> bool {
        Self::parse(name).is_ok()
    }
}

/// An event whose JSON is read once, and only if a parameter is in it.
pub(super) struct Parsed<'e> {
    event: &'e RecordedEvent,
    personal: PersonalData,
    data: Option<Json>,
    metadata: Option<Json>,
}

impl<'e> Parsed<'e> {
    pub(super) fn new(event: &'e RecordedEvent, personal: PersonalData) -> Self {
        Self { event, personal, data: None, metadata: None }
    }

    /// The parameter's value; `None` where the event has none.
    ///
    /// # Errors
    /// Where the data or the metadata is no JSON or was redacted, or where it is personal and cannot be had, or may not be kept.
    pub(super) fn value(&mut self, source: &Source) -> Result<Option<Value<'static>>, ApplyError> {
        if let Some(redaction) = self.event.redaction()
            && source.is_redacted()
        {
            return Err(refused(format!("what it said was redacted, for this reason: {}", redaction.reason)));
        }
        match source {
            Source::Field(field) => Ok(of_field(self.event, *field)),
            Source::Data(steps) => {
                if self.data.is_none() {
                    if self.event.content_type() != ContentType::Json {
                        return Err(refused("its data is binary, so it has no :data or :json"));
                    }
                    let data = serde_json::from_slice(self.event.data_slice());
                    self.data = Some(data.map_err(|error| refused(format!("its data is no JSON: {error}")))?);
                }
                self.data.as_ref().map_or(Ok(None), |data| personal::value(data, steps, self.personal))
            }
            Source::Metadata(steps) => {
                let bytes = self.event.metadata_slice();
                if bytes.is_empty() {
                    return Ok(None);
                }
                if self.metadata.is_none() {
                    let metadata = serde_json::from_slice(bytes);
                    self.metadata =
                        Some(metadata.map_err(|error| refused(format!("its metadata is no JSON: {error}")))?);
                }
                Ok(self.metadata.as_ref().and_then(|metadata| walk(metadata, steps)).map(of_json))
            }
        }
    }
}

pub(super) fn refused(why: impl Into<String>) -> ApplyError {
    ApplyError::Refused(why.into())
}

fn of_field(event: &RecordedEvent, field: Field) -> Option<Value<'static>> {
    let text = |text: &str| Value::from(text.to_owned());
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    Some(match field {
        Field::Stream => text(event.stream()),
        Field::StreamId => text(event.stream().split_once('-')?.1),
        Field::Category => text(category_of(event.stream())?),
        Field::Revision => number(event.revision().0),
        Field::Position => number(event.position().0),
        Field::Type => text(event.event_type()),
        Field::SchemaVersion => Value::from(event.schema_version().0),
        Field::EventId => Value::from(event.id().to_string()),
        Field::RecordedAt => Value::Time(event.recorded_at()),
        Field::OccurredAt => Value::Time(event.happened_at()),
        // Not every event has a cause or someone behind it.
        Field::Correlation => event.correlation().into(),
        Field::Causation => event.causation().into(),
        Field::Actor => factum_core::metadata_text(event.metadata_slice(), ACTOR_KEY).into(),
        Field::Tags => Value::from(Json::from_iter(event.tags()).to_string()),
    })
}

fn walk<'j>(json: &'j Json, steps: &[String]) -> Option<&'j Json> {
    steps.iter().try_fold(json, |json, step| match json {
        Json::Object(members) => members.get(step),
        Json::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Largest whole number below which every whole number is itself as a float.
const EXACT_WHOLE: f64 = 9_007_199_254_740_992.0;

/// JSON as a database keeps it: what is whole as an integer, however it is written; objects and arrays as their text.
pub(super) fn of_json(json: &Json) -> Value<'static> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::from(text.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            #[allow(clippy::cast_possible_truncation)] // It is whole and small enough.
            (None, Some(real)) if real.fract() == 0.0 && real.abs() <= EXACT_WHOLE => {
                Value::Integer(real as i64)
            }
            (None, Some(real)) => Value::Real(real),
            (None, None) => Value::from(number.to_string()),
        },
        Json::Array(_) | Json::Object(_) => Value::from(json.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_what_an_event_has() {
        let path = |steps: &[&str]| steps.iter().map(|&step| step.to_owned()).collect();
        assert_eq!(Source::parse("data.amount.minor"), Ok(Source::Data(path(&["amount", "minor"]))));
        assert_eq!(Source::parse("json"), Ok(Source::Data(Vec::new())));
        assert_eq!(Source::parse("metadata.actor"), Ok(Source::Metadata(path(&["actor"]))));
        assert_eq!(Source::parse("stream_id"), Ok(Source::Field(Field::StreamId)));
        assert_eq!(Source::parse("dta.amount"), Err(Some("data.amount".to_owned())));
        assert_eq!(Source::parse("streamid"), Err(Some("stream_id".to_owned())));
        assert_eq!(Source::parse("amount"), Err(None));
        assert!(Source::parse("stream.name").is_err());
    }

    #[test]
    fn json_becomes_what_a_database_keeps() {
        let of = |text: &str| of_json(&serde_json::from_str(text).unwrap());
        assert_eq!(of("7"), Value::Integer(7));
        assert_eq!(of("-7.0"), Value::Integer(-7));
        assert_eq!(of("9223372036854775807"), Value::Integer(i64::MAX));
        assert_eq!(of("9223372036854775808"), Value::Real(9_223_372_036_854_775_808.0));
        assert_eq!(of("0.1"), Value::Real(0.1));
        assert_eq!(of("1e300"), Value::Real(1e300));
        assert_eq!(of("true"), Value::Bool(true));
        assert_eq!(of("null"), Value::Null);
        assert_eq!(of(r#""it""#), Value::from("it"));
        assert_eq!(of(r#"{"b":[1,2.50]}"#), Value::from(r#"{"b":[1,2.5]}"#));
    }

    #[test]
    fn paths_go_through_members_and_elements() {
        let json: Json = serde_json::from_str(r#"{"lines":[{"sku":"a"},{"sku":"b"}],"1":2}"#).unwrap();
        let at = |path: &str| {
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            walk(&json, &steps).map(ToString::to_string)
        };
        assert_eq!(at("lines.1.sku").as_deref(), Some("\"b\""));
        assert_eq!(at("1").as_deref(), Some("2"));
        assert_eq!(at("lines.2.sku"), None);
        assert_eq!(at("lines.sku"), None);
    }
}
