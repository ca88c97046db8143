//! Which shape does each event have, for programs in other languages, for the store, and for the next release?

mod catalog;
mod closed;
mod lock;
mod sealed;
mod shape;
mod typescript;
mod zod;

pub(crate) use closed::check_closed;
pub use lock::{LockError, LockFault};
pub use shape::ShapeChange;

use factum_core::{EventType, NameError, NewEvent, SchemaRegistry, SchemaVersion, SchemaViolation};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::{Codec, CodecError, Event, EventKind};

/// The dialect of every document.
const SCHEMA_DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of one version of one type of event: a document of its own, nested types under `$defs`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSchema {
    /// The name of the enum that declares it.
    pub events: String,
    /// The stable type name.
    pub event_type: String,
    /// The schema version.
    pub version: u32,
    /// The document (draft 2020-12).
    pub schema: Value,
}

impl EventSchema {
    fn of(events: &str, kind: &EventKind) -> Self {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let mut root = (kind.schema)(&mut generator);
        let mut definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            closed::close_std(&mut definitions);
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let mut schema = Map::new();
        schema.insert("$schema".to_owned(), Value::from(SCHEMA_DIALECT));
        schema.extend(std::mem::take(root.ensure_object()));
        Self {
            events: events.to_owned(),
            event_type: kind.event_type.to_owned(),
            version: kind.version,
            schema: Value::Object(schema),
        }
    }

    /// A file name for the document, such as `FundsDeposited.v2.json`.
    pub fn file_name(&self) -> String {
        let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = self.event_type.chars().map(safe).collect();
        format!("{}.v{}.json", name.trim_start_matches('.'), self.version)
    }

    /// The document as indented JSON text that ends with a newline.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.schema)
    }

    /// Where personal values are in the event's data, nested ones too, as JSON pointers with `*` for elements of lists and
    /// maps: `/lines/*/name`. Types that contain themselves are looked into once.
    pub fn personal_fields(&self) -> Vec<String> {
        sealed::fields(&self.schema)
    }

    /// What is different in `other`, titles, descriptions and the names of nested types aside. Empty: the same shape.
    pub fn changes_to(&self, other: &Value) -> Vec<ShapeChange> {
        shape::changes(&self.schema, other)
    }
}

/// The schemas of one or more enums of events.
///
/// ```
/// use factum::{Event, SchemaSet};
///
/// #[derive(Event)]
/// enum AccountEvent {
///     /// Money came in.
///     #[event(name = "FundsDeposited", version = 2, upcast(from = 1, default("currency", "EUR")))]
///     Deposited { minor: i64, currency: String },
///     Frozen,
/// }
///
/// let schemas = SchemaSet::of::<AccountEvent>();
/// assert_eq!(schemas.schemas()[0].file_name(), "FundsDeposited.v2.json");
/// assert!(schemas.typescript().contains(r#"| { type: "FundsDeposited"; schemaVersion: 2; data: FundsDeposited }"#));
/// assert!(schemas.zod().contains("export const FundsDeposited = z"));
///
/// // The lock file, committed beside the crate: a published shape may not change without a new version.
/// let lock = schemas.update_lock("")?;
/// schemas.check_lock(&lock)?;
/// # Ok::<(), factum::LockError>(())
/// ```
///
/// A test keeps the lock file honest, and writes it when it is told to:
///
/// ```no_run
/// # use factum::{Event, SchemaSet};
/// # #[derive(Event)]
/// # enum AccountEvent { Frozen }
/// let path = "schemas.lock.json";
/// let lock = std::fs::read_to_string(path).unwrap_or_default();
/// let schemas = SchemaSet::of::<AccountEvent>();
/// if std::env::var_os("FACTUM_UPDATE_SCHEMAS").is_some() {
///     std::fs::write(path, schemas.update_lock(&lock)?)?;
/// } else {
///     schemas.check_lock(&lock)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SchemaSet {
    /// Current versions in order of declaration, then older ones.
    schemas: Vec<EventSchema>,
    /// Historical names, each with the current one.
    aliases: Vec<(&'static str, &'static str)>,
    /// Declarations that cannot work: the lock check says so too, for those who make no codec at start.
    unsound: Vec<CodecError>,
}

impl SchemaSet {
    /// The current schemas of `E`.
    pub fn of<E: Event>() -> Self {
        Self::default().and::<E>()
    }

    /// And those of another enum.
    #[must_use]
    pub fn and<E: Event>(mut self) -> Self {
        self.unsound.extend(Codec::<E>::new().err());
        for kind in E::kinds() {
            self.schemas.push(EventSchema::of(E::name(), kind));
            self.aliases.extend(kind.aliases.iter().map(|alias| (*alias, kind.event_type)));
        }
        self
    }

    /// Schemas that no declaration here gives, such as those registered in a store, as one union called `events`.
    /// A reference that does not lead to the document's own `$defs` becomes a type that takes anything.
    ///
    /// ```
    /// use factum::SchemaSet;
    /// use serde_json::json;
    ///
    /// let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    /// let schemas = SchemaSet::of_documents("ShopEvent", [("OrderPlaced".to_owned(), 1, schema)]);
    /// assert!(schemas.typescript().contains("export type ShopEvent ="));
    /// ```
    pub fn of_documents(events: &str, documents: impl IntoIterator<Item = (String, u32, Value)>) -> Self {
        let mut schemas: Vec<_> = documents
            .into_iter()
            .map(|(event_type, version, schema)| EventSchema {
                events: events.to_owned(),
                event_type,
                version,
                schema,
            })
            .collect();
        schemas.sort_by(|a, b| (&a.event_type, a.version).cmp(&(&b.event_type, b.version)));
        Self { schemas, ..Self::default() }
    }

    /// And the earlier versions that a lock file has of the same types.
    ///
    /// # Errors
    /// `LockError::Malformed` where the text is not a lock file.
    pub fn with_older(mut self, lock: &str) -> Result<Self, LockError> {
        let locked = lock::parse(lock)?;
        let current = self.schemas.len();
        for ((event_type, version), schema) in locked {
            let declared = self.schemas[..current].iter().find(|known| known.event_type == event_type);
            if let Some(declared) = declared.filter(|declared| version < declared.version) {
                let events = declared.events.clone();
                self.schemas.push(EventSchema { events, event_type, version, schema });
            }
        }
        Ok(self)
    }

    /// Every schema: the current versions in order of declaration, then the older ones.
    pub fn schemas(&self) -> &[EventSchema] {
        &self.schemas
    }

    /// TypeScript: an interface per event and nested type, and per enum a union that `type` and `schemaVersion`
    /// discriminate. Doc comments are kept. Whole numbers become `number`, which is exact up to 2^53.
    pub fn typescript(&self) -> String {
        typescript::module(&catalog::Catalog::of(&self.schemas))
    }

    /// Zod validators of the same types, importing from "zod" (version 3 or 4). What Zod has no word for, such as
    /// `uniqueItems`, is not checked.
    pub fn zod(&self) -> String {
        zod::module(&catalog::Catalog::of(&self.schemas))
    }

    /// What to register in a store, so that it refuses events that do not fit, whoever appends them.
    ///
    /// # Errors
    /// Where a type has a name that no store takes.
    pub fn registrations(&self) -> Result<Vec<(EventType, SchemaVersion, &Value)>, NameError> {
        let triple = |known: &EventSchema| EventType::new(known.event_type.as_str());
        self.schemas.iter().map(|s| Ok((triple(s)?, SchemaVersion(s.version), &s.schema))).collect()
    }

    /// The events to append to `factum_core::SCHEMAS_STREAM` for what is not yet registered there. What is registered
    /// with the same shape stays as it is, whatever its descriptions say.
    ///
    /// # Errors
    /// `SchemaViolation` where a version is registered with another shape, with what is different.
    pub fn missing_registrations(&self, registry: &SchemaRegistry) -> Result<Vec<NewEvent>, SchemaViolation> {
        let mut missing = Vec::new();
        for known in &self.schemas {
            let version = SchemaVersion(known.version);
            let refuse = |faults| SchemaViolation { event_type: known.event_type.clone(), version, faults };
            let event_type =
                EventType::new(known.event_type.as_str()).map_err(|e| refuse(vec![e.to_string()]))?;
            match registry.schema(&event_type, version) {
                None => missing.push(SchemaRegistry::registration(&event_type, version, &known.schema)?),
                Some(registered) => {
                    let changes = shape::changes(registered, &known.schema);
                    if !changes.is_empty() {
                        return Err(refuse(changes.iter().map(ToString::to_string).collect()));
                    }
                }
            }
        }
        Ok(missing)
    }

    /// Checks that the lock file has every declared version, that no published shape has changed, and all that
    /// [`Codec::new`] checks.
    ///
    /// # Errors
    /// `LockError::Malformed` where the text is not a lock file; `LockError::OutOfDate` with everything that differs,
    /// and what to do.
    pub fn check_lock(&self, lock: &str) -> Result<(), LockError> {
        let faults = self.lock_faults(lock)?;
        if faults.is_empty() { Ok(()) } else { Err(LockError::OutOfDate { faults }) }
    }

    /// The lock file with new types and versions added, and descriptions brought up to date. Empty text counts as an
    /// empty lock file.
    ///
    /// # Errors
    /// As `check_lock`, except that what is only to be added is no error.
    pub fn update_lock(&self, lock: &str) -> Result<String, LockError> {
        let faults: Vec<_> = self
            .lock_faults(lock)?
            .into_iter()
            .filter(|fault| !matches!(fault, LockFault::New { .. }))
            .collect();
        if !faults.is_empty() {
            return Err(LockError::OutOfDate { faults });
        }
        let mut locked = lock::parse(lock)?;
        for known in &self.schemas {
            locked.insert((known.event_type.clone(), known.version), known.schema.clone());
        }
        Ok(lock::render(&locked))
    }

    fn lock_faults(&self, lock: &str) -> Result<Vec<LockFault>, LockError> {
        let unsound = self.unsound.iter().cloned().map(LockFault::Unsound);
        Ok(unsound.chain(lock::faults(&self.schemas, &self.aliases, &lock::parse(lock)?)).collect())
    }
}

/// The current schemas of `E`, in order of declaration.
fn current<E: Event>() -> Vec<EventSchema> {
    E::kinds().iter().map(|kind| EventSchema::of(E::name(), kind)).collect()
}
