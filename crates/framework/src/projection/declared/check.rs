//! Does a declaration fit a store and a database, before anything is written?

use std::collections::BTreeSet;

use factum_core::read_model::{NewVersion, ReadModelError, ReadModels, Value};
use factum_core::{Checkpoint, EventStore, EventType, Read, ReadError, SchemaRegistry, Selector, Timestamp};

use factum_vault::KEYS_DESTROYED_TYPE;

use super::DeclaredProjection;
use super::document::Word;
use super::nearest::nearest;
use crate::projection::Projection;

/// Newest events whose types are looked at for what an unknown type may have been meant to be.
const NEWEST_LOOKED_AT: u64 = 10_000;
/// Types that a message names.
const TYPES_NAMED: usize = 12;

/// Why a declaration does not fit. Nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationCheckError {
    /// The database does not take the tables.
    #[error("the tables cannot be made: {0}")]
    Tables(#[source] ReadModelError),
    /// The database does not take a statement.
    #[error("line {line}: {source}")]
    Statement {
        /// The line of the declaration, from 1.
        line: usize,
        /// What the database said.
        source: ReadModelError,
    },
    /// The database cannot be used.
    #[error(transparent)]
    ReadModel(ReadModelError),
}

/// A type that no event has and that no schema is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownType {
    /// The line of the declaration, from 1.
    pub line: usize,
    /// The type.
    pub event_type: String,
    /// The known type that is most like it.
    pub nearest: Option<String>,
    /// Some types that the store has, by name.
    pub known: Vec<String>,
}

impl DeclaredProjection {
    /// The declared types that have never happened in this store and for which no schema is registered: slips, or types
    /// that are yet to come.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn unknown_types(&self, store: &dyn EventStore) -> Result<Vec<UnknownType>, ReadError> {
        let registry = SchemaRegistry::load(store).await?;
        let mut known: BTreeSet<String> =
            registry.registered().map(|(event_type, ..)| event_type.as_str().to_owned()).collect();
        let mut unknown: Vec<&Word> = Vec::new();
        for word in &self.types {
            // It was checked when the declaration was read.
            let Ok(event_type) = EventType::new(word.value.as_str()) else { continue };
            let told = word.value == KEYS_DESTROYED_TYPE;
            if !told && !known.contains(&word.value) && !has_happened(store, event_type).await? {
                unknown.push(word);
            }
        }
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        for selector in [Selector::StreamStarts, Selector::All] {
            let mut reader = store.read(Read::backwards(selector).limit(NEWEST_LOOKED_AT)).await?;
            while let Some(page) = reader.next_page().await? {
                let types = page.events.iter().map(factum_core::RecordedEvent::event_type);
                known.extend(types.filter(|name| !name.starts_with('$')).map(str::to_owned));
            }
        }
        let of = |word: &Word| UnknownType {
            line: word.line,
            event_type: word.value.clone(),
            nearest: nearest(&word.value, known.iter().map(String::as_str)),
            known: known.iter().take(TYPES_NAMED).cloned().collect(),
        };
        Ok(unknown.into_iter().map(of).collect())
    }

    /// Has the database prepare the tables and every statement, in a copy that vanishes. `origin` is any place of the
    /// store.
    ///
    /// # Errors
    /// What the database refuses.
    pub fn check(
        &self,
        database: &dyn ReadModels,
        origin: &Checkpoint,
        at: Timestamp,
    ) -> Result<(), DeclarationCheckError> {
        let new = NewVersion {
            definition: String::new(),
            partitions: 1,
            ..self.definition().new_version(origin, at)
        };
        let mut scratch = database.scratch(&new).map_err(|error| match error {
            ReadModelError::Statement { .. } | ReadModelError::MissingParameter { .. } => {
                DeclarationCheckError::Tables(error)
            }
            other => DeclarationCheckError::ReadModel(other),
        })?;
        for handler in &self.handlers {
            let nothing = handler.named(std::iter::repeat(Value::Null));
            for statement in &handler.statements {
                scratch.begin().map_err(DeclarationCheckError::ReadModel)?;
                // Both databases plan such a statement and do not run it.
                let planned = scratch.query(&format!("explain {}", statement.value), &nothing);
                // The copy vanishes anyway.
                let _ = scratch.rollback();
                planned.map_err(|error| match error {
                    ReadModelError::Statement { why, .. } => DeclarationCheckError::Statement {
                        line: statement.line,
                        source: ReadModelError::Statement { statement: one_line(&statement.value), why },
                    },
                    other => DeclarationCheckError::ReadModel(other),
                })?;
            }
        }
        Ok(())
    }
}

fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn has_happened(store: &dyn EventStore, event_type: EventType) -> Result<bool, ReadError> {
    let mut reader = store.read(Read::forwards(Selector::event_type(event_type)).limit(1)).await?;
    Ok(reader.next_page().await?.is_some_and(|page| !page.events.is_empty()))
}
