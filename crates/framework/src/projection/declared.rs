//! How does a text, without any Rust, become a projection?

mod check;
mod document;
mod error;
mod handler;
mod nearest;
mod parameter;
mod personal;
mod sql_form;
mod toml_form;

use std::collections::HashMap;

use factum_core::read_model::{PersonalData, Value};
use factum_core::{EventType, NameError, Query, QueryItem, RecordedEvent, Selector, Tag, category_of};
use factum_vault::{KEYS_DESTROYED_TYPE, KeysDestroyed};

pub use check::{DeclarationCheckError, UnknownType};
pub use error::DeclarationError;

use self::document::{Document, Word};
use self::handler::{Aliases, Handler};
use self::parameter::Source;
use super::{ApplyError, Definition, MAX_PARTITIONS, Model, Projection};

/// A projection that is declared as text: which statements run on which events.
///
/// The text is TOML, or SQL with comments that say what belongs to which event. A statement's named parameters are taken
/// from the event as it is stored: `:data.amount.minor` and `:data.lines.0.sku` are paths into its JSON, and `:stream`,
/// `:stream_id` (what follows the first `-`), `:category`, `:revision`, `:position`, `:type`, `:schema_version`,
/// `:event_id`, `:recorded_at`, `:occurred_at` (where it has none: when it was recorded), `:correlation`, `:causation`,
/// `:actor`, `:metadata.PATH`, `:tags` and `:json` are what they say. Whole numbers are bound as integers, objects and
/// arrays as JSON text. An event without a path that is not declared `optional` stops the projection, and so does one
/// whose schema version is not among `versions`, where those are given.
///
/// A path that leads to personal data (opened by the vault) gives the value, `null` where its subject was erased; one step
/// further, `$subject` is the subject's reference. A declaration that uses such a path says how its rows forget: with
/// statements on `$keysDestroyed` (`:data.subject`, `:data.purpose`, `:data.erasure`), or `personal = "rebuilt"`.
///
/// ```
/// let balances = factum::DeclaredProjection::parse(
///     r#"
///     name = "balances"
///     tables = "create table balances (account text primary key, cents bigint not null)"
///
///     [on.FundsDeposited]
///     run = """
///         insert into balances values (:stream_id, :data.amount.minor)
///         on conflict (account) do update set cents = balances.cents + excluded.cents
///     """
///     changed = "account:{stream_id}"
///     "#,
/// )?;
/// # Ok::<(), factum::DeclarationError>(())
/// ```
#[derive(Debug)]
pub struct DeclaredProjection {
    definition: Definition,
    handlers: Vec<Handler>,
    /// Which handler an event type belongs to.
    of_type: HashMap<String, usize>,
    /// The types in the order of the declaration, with their lines.
    types: Vec<Word>,
    category: Option<String>,
    stream_prefix: Option<String>,
}

/// An event of a declared projection: what its statements take from it.
#[derive(Debug)]
pub struct DeclaredEvent {
    handler: usize,
    values: Vec<Value<'static>>,
}

impl DeclaredProjection {
    /// Reads a declaration, in TOML or in SQL.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn parse(text: &str) -> Result<Self, DeclarationError> {
        let document = if sql_form::is_sql(text) { sql_form::read(text)? } else { toml_form::read(text)? };
        Self::new(document, text)
    }

    fn new(document: Document, text: &str) -> Result<Self, DeclarationError> {
        let missing = |key, what| DeclarationError::Missing { key, what };
        let name = document.name.ok_or_else(|| missing("name", "what the projection is called"))?;
        let tables =
            document.tables.ok_or_else(|| missing("tables", "the statements that make its tables"))?;
        let aliases = aliases(document.aliases)?;
        let (mut of_type, mut types, mut handlers) = (HashMap::new(), Vec::new(), Vec::new());
        for handler in document.handlers {
            for event_type in &handler.types {
                if of_type.insert(event_type.value.clone(), handlers.len()).is_some() {
                    let Word { line, value: event_type } = event_type.clone();
                    return Err(DeclarationError::SaidTwice { line, event_type });
                }
                types.push(event_type.clone());
            }
            handlers.push(Handler::new(handler, &aliases)?);
        }
        if types.is_empty() {
            return Err(DeclarationError::NoEvents);
        }
        let of_types = types.iter().map(|word| checked("on", word, EventType::new(word.value.as_str())));
        let mut item = QueryItem::types(of_types.collect::<Result<Vec<_>, _>>()?);
        let tags = document.tags.iter().map(|word| checked("tags", word, Tag::new(word.value.as_str())));
        item.tags = tags.collect::<Result<_, _>>()?;
        let query = Query::item(item);
        query.check()?;
        let mut definition = Definition::new(&name.value, Selector::Query(query), tables.value)
            .map_err(|source| DeclarationError::Name { line: name.line, source })?
            .text(text);
        if let Some(partitions) = document.partitions {
            let number = u16::try_from(partitions.value).ok().filter(|n| (1..=MAX_PARTITIONS).contains(n));
            definition = definition.partitioned_by_stream(number.ok_or(DeclarationError::Partitions {
                line: partitions.line,
                partitions: partitions.value,
            })?);
        }
        let personal = match document.personal {
            _ if of_type.contains_key(KEYS_DESTROYED_TYPE) => PersonalData::Forgotten,
            None => PersonalData::None,
            Some(Word { value, .. }) if value == PersonalData::Rebuilt.as_str() => PersonalData::Rebuilt,
            Some(Word { line, value }) => return Err(DeclarationError::Personal { line, word: value }),
        };
        let definition = definition.personal_data(personal);
        for handler in &mut handlers {
            handler.forget_by(personal);
        }
        Ok(Self {
            definition,
            handlers,
            of_type,
            types,
            category: document.category.map(|word| word.value),
            stream_prefix: document.stream_prefix.map(|word| word.value),
        })
    }

    /// The types of the events that it is about, in the order of the declaration.
    pub fn event_types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(|word| word.value.as_str())
    }

    /// Whether it is about events of this stream, as far as the declaration names categories and prefixes.
    pub fn concerns(&self, stream: &str) -> bool {
        self.category.as_deref().is_none_or(|category| category_of(stream) == Some(category))
            && self.stream_prefix.as_deref().is_none_or(|prefix| stream.starts_with(prefix))
    }
}

fn checked<T>(key: &str, word: &Word, name: Result<T, NameError>) -> Result<T, DeclarationError> {
    name.map_err(|source| DeclarationError::NotAName { line: word.line, key: key.to_owned(), source })
}

fn aliases(written: Vec<(Word, Vec<String>)>) -> Result<Aliases, DeclarationError> {
    let of = |(name, path): (Word, Vec<String>)| {
        let wrong = |why| DeclarationError::Alias { line: name.line, name: name.value.clone(), why };
        let plain = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || name.value.starts_with(|c: char| c.is_ascii_digit()) || name.value.is_empty() {
            return Err(wrong("use letters, digits and '_', beginning with a letter"));
        }
        if Source::is_taken(&name.value) {
            return Err(wrong("every event has a parameter of that name: use another one"));
        }
        let source = Source::of_path(&path);
        let source = source.ok_or_else(|| wrong("give a path such as [\"data\", \"member\"]"))?;
        Ok((name.value, source))
    };
    written.into_iter().map(of).collect()
}

impl Projection for DeclaredProjection {
    type Event = DeclaredEvent;

    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<DeclaredEvent>, ApplyError> {
        if !self.concerns(event.stream()) {
            return Ok(None);
        }
        let Some(&handler) = self.of_type.get(event.event_type()) else { return Ok(None) };
        let values = self.handlers[handler].values(event)?;
        Ok(Some(DeclaredEvent { handler, values }))
    }

    fn forget(
        &self,
        _erased: &KeysDestroyed,
        recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        let handler = self.of_type.get(KEYS_DESTROYED_TYPE);
        let &handler = handler.ok_or_else(ApplyError::cannot_forget)?;
        self.handlers[handler].apply(&self.handlers[handler].values(recorded)?, model)
    }

    fn apply(
        &self,
        event: &DeclaredEvent,
        _recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        self.handlers[event.handler].apply(&event.values, model)
    }
}
