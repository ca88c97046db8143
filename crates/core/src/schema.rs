//! Which JSON Schemas a store enforces: registered as events, folded into a registry, checked before an append.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use crate::limits::{MAX_SCHEMA_BYTES, MAX_SCHEMA_FAULTS};
use crate::{
    Append, AppendError, ContentType, EventStore, EventStoreExt, EventType, NewEvent, Read, ReadError,
    RecordedEvent, SchemaVersion, SchemaViolation, Selector, StreamName, StreamView,
};

/// The stream in which schemas are registered. It holds nothing else, and is not deleted.
pub const SCHEMAS_STREAM: &str = "$schemas";
/// The type of the event that registers a schema: `{"type": …, "version": …, "schema": …}`.
pub const SCHEMA_REGISTERED_TYPE: &str = "$schemaRegistered";

/// The schemas that a store enforces. A clone is a snapshot, and costs two reference counts.
///
/// A schema, once registered, is immutable. From the first version of a type on, the store refuses events of that type
/// with a version that is not registered, with binary content, or with data that does not fit.
///
/// To check outside a critical section: take a snapshot, [`check_append`](Self::check_append) on it, and check again
/// inside only if [`generation`](Self::generation) has moved. Tell of the verdict only where the append would otherwise
/// be written: a repeated append is answered as the first one was, whatever was registered in between.
#[derive(Clone, Default)]
pub struct SchemaRegistry {
    types: Arc<HashMap<EventType, Versions>>,
    generation: u64,
}

type Versions = BTreeMap<SchemaVersion, Registered>;

#[derive(Clone)]
struct Registered {
    schema: Arc<Value>,
    /// Compiled once, when the registration is applied.
    validator: Arc<Validator>,
}

/// What a registration event says.
struct Registration {
    event_type: EventType,
    version: SchemaVersion,
    schema: Value,
}

impl SchemaRegistry {
    /// The schemas registered in a store now.
    ///
    /// # Errors
    /// The store's own, or `Damaged` for a registration that cannot be one.
    pub async fn load(store: &(impl EventStore + ?Sized)) -> Result<Self, ReadError> {
        let mut registry = Self::default();
        let Ok(stream) = StreamName::new(SCHEMAS_STREAM) else { return Ok(registry) };
        let read = Read::forwards(Selector::Stream(stream)).view(StreamView::Recorded);
        let events = match store.read_all(read).await {
            Ok(events) => events,
            Err(ReadError::StreamNotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        for event in events {
            registry.apply(&event).map_err(|violation| ReadError::Damaged {
                place: format!("position {}", event.position()),
                what: violation.to_string(),
            })?;
        }
        Ok(registry)
    }

    /// The event that registers a schema, to be appended to [`SCHEMAS_STREAM`].
    ///
    /// # Errors
    /// `SchemaViolation` where the schema is not one, is too large, or is for a system event.
    pub fn registration(
        event_type: &EventType,
        version: SchemaVersion,
        schema: &Value,
    ) -> Result<NewEvent, SchemaViolation> {
        let mut data = Map::new();
        data.insert("type".to_owned(), Value::from(event_type.as_str()));
        data.insert("version".to_owned(), Value::from(version.0));
        data.insert("schema".to_owned(), schema.clone());
        let registered = EventType::new(SCHEMA_REGISTERED_TYPE).map_err(|e| refused(&[e.to_string()]))?;
        let event = NewEvent::json(registered, Value::Object(data).to_string());
        Self::default().register(event.content_type, &event.data)?;
        Ok(event)
    }

    /// Moves whenever a schema is added; equal generations of one store's registry are equal registries.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether nothing is registered, so that every event passes.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The registered schema of a type and version.
    pub fn schema(&self, event_type: &str, version: SchemaVersion) -> Option<&Value> {
        Some(&*self.types.get(event_type)?.get(&version)?.schema)
    }

    /// Every registered type and version, in no particular order of types.
    pub fn registered(&self) -> impl Iterator<Item = (&EventType, SchemaVersion, &Value)> {
        self.types.iter().flat_map(|(event_type, versions)| {
            versions.iter().map(move |(version, registered)| (event_type, *version, &*registered.schema))
        })
    }

    /// Takes in a recorded event, if it is a registration.
    ///
    /// # Errors
    /// `SchemaViolation` for a registration that could not have been appended.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), SchemaViolation> {
        if event.stream() != SCHEMAS_STREAM || event.event_type() != SCHEMA_REGISTERED_TYPE {
            return Ok(());
        }
        self.register(event.content_type(), event.data_slice())
    }

    /// Takes in the registrations of an append that is about to be written.
    ///
    /// # Errors
    /// As [`check_append`](Self::check_append), which must have been asked before.
    pub fn apply_append(&mut self, append: &Append) -> Result<(), SchemaViolation> {
        for write in append.writes.iter().filter(|write| write.stream.as_str() == SCHEMAS_STREAM) {
            for event in &write.events {
                self.register(event.content_type, &event.data)?;
            }
        }
        Ok(())
    }

    /// Whether an event fits what is registered of its type.
    ///
    /// # Errors
    /// `SchemaViolation` with every fault, up to a limit: JSON pointer and rule, never a value.
    pub fn check(&self, event: &NewEvent) -> Result<(), SchemaViolation> {
        let Some(versions) = self.types.get(&event.event_type) else { return Ok(()) };
        let violation = |faults| SchemaViolation {
            event_type: event.event_type.to_string(),
            version: event.schema_version,
            faults,
        };
        let Some(registered) = versions.get(&event.schema_version) else {
            let known: Vec<_> = versions.keys().map(ToString::to_string).collect();
            return Err(violation(vec![format!(
                "this version is not registered (registered: {})",
                known.join(", ")
            )]));
        };
        if event.content_type == ContentType::Binary {
            return Err(violation(vec!["the content is binary, a schema needs JSON".to_owned()]));
        }
        let data = serde_json::from_slice::<Value>(&event.data).map_err(|e| {
            violation(vec![format!(
                "the data is not JSON: fault at line {}, column {}",
                e.line(),
                e.column()
            )])
        })?;
        let mut errors = registered.validator.iter_errors(&data).map(|error| fault(&error)).peekable();
        if errors.peek().is_none() {
            return Ok(());
        }
        Err(violation(errors.take(MAX_SCHEMA_FAULTS).collect()))
    }

    /// Whether every event of an append fits, and every registration in it is one. A registration counts for the events
    /// that come after it in the same append.
    ///
    /// # Errors
    /// `Schema` for the first event that does not fit, `Invalid` for other events in [`SCHEMAS_STREAM`].
    pub fn check_append(&self, append: &Append) -> Result<(), AppendError> {
        let registers = append.writes.iter().any(|write| write.stream.as_str() == SCHEMAS_STREAM);
        if self.is_empty() && !registers {
            return Ok(());
        }
        let mut known = self.clone();
        for write in &append.writes {
            for event in &write.events {
                if write.stream.as_str() != SCHEMAS_STREAM {
                    known.check(event)?;
                } else if event.event_type.as_str() == SCHEMA_REGISTERED_TYPE {
                    known.register(event.content_type, &event.data)?;
                } else {
                    return Err(AppendError::Invalid {
                        why: format!(
                            "stream '{SCHEMAS_STREAM}' takes only events of type '{SCHEMA_REGISTERED_TYPE}': \
                             choose another stream"
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, content_type: ContentType, data: &[u8]) -> Result<(), SchemaViolation> {
        let Registration { event_type, version, schema } = Registration::parse(content_type, data)?;
        if let Some(known) = self.schema(&event_type, version) {
            if *known == schema {
                return Ok(());
            }
            return Err(refused(&[format!(
                "'/schema': version {version} of '{event_type}' is registered with another schema; \
                 a schema is immutable: register a new version"
            )]));
        }
        let validator = jsonschema::options()
            .build(&schema)
            .map_err(|error| refused(&[format!("'/schema' is not a JSON Schema: {}", fault(&error))]))?;
        let registered = Registered { schema: Arc::new(schema), validator: Arc::new(validator) };
        Arc::make_mut(&mut self.types).entry(event_type).or_default().insert(version, registered);
        self.generation += 1;
        Ok(())
    }
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered: Vec<_> =
            self.registered().map(|(event_type, version, _)| (event_type, version.0)).collect();
        f.debug_struct("SchemaRegistry")
            .field("generation", &self.generation)
            .field("registered", &registered)
            .finish()
    }
}

impl Registration {
    fn parse(content_type: ContentType, data: &[u8]) -> Result<Self, SchemaViolation> {
        if content_type == ContentType::Binary {
            return Err(refused(&["the content is binary, a registration is JSON".to_owned()]));
        }
        if data.len() > MAX_SCHEMA_BYTES {
            let actual = data.len();
            return Err(refused(&[format!("it has {actual} bytes, the limit is {MAX_SCHEMA_BYTES}")]));
        }
        let Ok(mut keys) = serde_json::from_slice::<Map<String, Value>>(data) else {
            return Err(refused(&["it is not a JSON object".to_owned()]));
        };
        let event_type = keys.get("type").and_then(Value::as_str).map(EventType::new);
        let version =
            keys.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
        let schema = keys.remove("schema").filter(|schema| schema.is_object() || schema.is_boolean());
        let mut faults = Vec::new();
        match &event_type {
            Some(Ok(name)) if name.starts_with('$') => {
                faults.push("'/type': system events have no registered schema".to_owned());
            }
            Some(Ok(_)) => {}
            _ => faults.push("'/type' must be an event type".to_owned()),
        }
        if version.is_none_or(|version| version == 0) {
            faults.push("'/version' must be a whole number from 1".to_owned());
        }
        if schema.is_none() {
            faults.push("'/schema' must be a JSON Schema: an object, true or false".to_owned());
        }
        match (event_type, version, schema) {
            (Some(Ok(event_type)), Some(version), Some(schema)) if faults.is_empty() => {
                Ok(Self { event_type, version: SchemaVersion(version), schema })
            }
            _ => Err(refused(&faults)),
        }
    }
}

/// A registration that is refused.
fn refused(faults: &[String]) -> SchemaViolation {
    SchemaViolation {
        event_type: SCHEMA_REGISTERED_TYPE.to_owned(),
        version: SchemaVersion::FIRST,
        faults: faults.to_vec(),
    }
}

/// Where and which rule. The library's own text would quote the value.
fn fault(error: &ValidationError<'_>) -> String {
    let place = error.instance_path();
    match error.kind() {
        // The name is the schema's, not the data's.
        ValidationErrorKind::Required { property } => format!("'{place}' lacks {property}"),
        _ => format!("'{place}' breaks rule '{}'", error.schema_path()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ExpectedRevision;

    fn name(text: &str) -> EventType {
        EventType::new(text).unwrap()
    }

    fn deposit_schema() -> Value {
        json!({"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}})
    }

    fn registry() -> SchemaRegistry {
        let mut registry = SchemaRegistry::default();
        let event = SchemaRegistry::registration(&name("Deposited"), SchemaVersion(2), &deposit_schema());
        let stream = StreamName::new(SCHEMAS_STREAM).unwrap();
        registry.apply_append(&Append::to(stream, ExpectedRevision::Any, vec![event.unwrap()])).unwrap();
        registry
    }

    fn deposited(data: &str) -> NewEvent {
        NewEvent::json(name("Deposited"), data.to_owned()).with_schema_version(SchemaVersion(2))
    }

    fn faults(registry: &SchemaRegistry, event: &NewEvent) -> Vec<String> {
        registry.check(event).map_or_else(|violation| violation.faults, |()| Vec::new())
    }

    #[test]
    fn faults_name_the_place_and_the_rule_but_never_the_value() {
        let registry = registry();
        assert_eq!(faults(&registry, &deposited(r#"{"amount":7}"#)), [""; 0]);
        assert_eq!(
            faults(&registry, &deposited(r#"{"amount":"secret"}"#)),
            ["'/amount' breaks rule '/properties/amount/type'"]
        );
        assert_eq!(faults(&registry, &deposited(r#"{"secret":1}"#)), [r#"'' lacks "amount""#]);
        assert_eq!(
            faults(&registry, &deposited("{secret")),
            ["the data is not JSON: fault at line 1, column 2"]
        );
        let first = deposited(r#"{"amount":7}"#).with_schema_version(SchemaVersion(1));
        assert_eq!(faults(&registry, &first), ["this version is not registered (registered: 2)"]);
        let binary = NewEvent { content_type: ContentType::Binary, ..deposited(r#"{"amount":7}"#) };
        assert_eq!(faults(&registry, &binary), ["the content is binary, a schema needs JSON"]);
        assert_eq!(faults(&registry, &NewEvent::json(name("Other"), "7")), [""; 0]);
    }

    #[test]
    fn a_registered_schema_is_immutable_and_the_same_again_changes_nothing() {
        let mut registry = registry();
        let generation = registry.generation();
        let data = |schema: &Value| {
            json!({"type": "Deposited", "version": 2, "schema": schema}).to_string().into_bytes()
        };
        registry.register(ContentType::Json, &data(&deposit_schema())).unwrap();
        assert_eq!(registry.generation(), generation);
        let other = registry.register(ContentType::Json, &data(&json!({"type": "object"})));
        assert!(other.unwrap_err().faults[0].contains("another schema"));
        assert_eq!(registry.schema("Deposited", SchemaVersion(2)), Some(&deposit_schema()));
    }

    #[test]
    fn malformed_registrations_are_refused() {
        let good = json!({"type": "T", "version": 1, "schema": {}});
        assert!(SchemaRegistry::default().register(ContentType::Json, good.to_string().as_bytes()).is_ok());
        for bad in [
            json!([]),
            json!({"version": 1, "schema": {}}),
            json!({"type": "$metadata", "version": 1, "schema": {}}),
            json!({"type": "T", "version": 0, "schema": {}}),
            json!({"type": "T", "version": 4_294_967_296_u64, "schema": {}}),
            json!({"type": "T", "version": 1, "schema": 7}),
            json!({"type": "T", "version": 1, "schema": {"type": "integr"}}),
            json!({"type": "T", "version": 1, "schema": {"pattern": "("}}),
            json!({"type": "T", "version": 1, "schema": {"$ref": "https://example.org/none.json"}}),
        ] {
            let refused = SchemaRegistry::default().register(ContentType::Json, bad.to_string().as_bytes());
            assert!(refused.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_registration_counts_for_later_events_of_the_same_append_only() {
        let registry = SchemaRegistry::default();
        let stream = |name: &str| StreamName::new(name).unwrap();
        let registration =
            SchemaRegistry::registration(&name("Deposited"), SchemaVersion(2), &deposit_schema()).unwrap();
        let bad = vec![deposited("{}")];
        let after = Append::to(stream(SCHEMAS_STREAM), ExpectedRevision::Any, vec![registration.clone()])
            .and(stream("account-1"), ExpectedRevision::Any, bad.clone());
        assert!(matches!(registry.check_append(&after), Err(AppendError::Schema(_))));
        let before = Append::to(stream("account-1"), ExpectedRevision::Any, bad).and(
            stream(SCHEMAS_STREAM),
            ExpectedRevision::Any,
            vec![registration],
        );
        assert!(registry.check_append(&before).is_ok());
        assert!(registry.is_empty());
    }
}
