//! Which shape does each event have, for programs in other languages and for the store?

mod closed;

pub(crate) use closed::check_closed;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::{Event, EventKind};

/// The JSON Schema of one version of one type of event: a document of its own, nested types under `$defs`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSchema {
    /// The stable type name.
    pub event_type: String,
    /// The schema version.
    pub version: u32,
    /// The document (draft 2020-12).
    pub schema: Value,
}

impl EventSchema {
    fn of(kind: &EventKind) -> Self {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let mut root = (kind.schema)(&mut generator);
        let mut definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            closed::close_std(&mut definitions);
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let mut schema = serde_json::Map::new();
        schema.insert("$schema".to_owned(), Value::from(SCHEMA_DIALECT));
        schema.extend(std::mem::take(root.ensure_object()));
        Self { event_type: kind.event_type.to_owned(), version: kind.version, schema: Value::Object(schema) }
    }
}

/// The dialect of every document.
const SCHEMA_DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The current schemas of `E`, in order of declaration.
fn current<E: Event>() -> Vec<EventSchema> {
    E::kinds().iter().map(EventSchema::of).collect()
}
