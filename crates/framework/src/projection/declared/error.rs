//! What can be wrong with a declaration?

use factum_core::NameError;
use factum_core::read_model::InvalidProjectionName;

use crate::projection::MAX_PARTITIONS;

/// What is wrong with a declaration, and in which line of it. Found before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// It is no TOML.
    #[error("line {line}: this is no TOML: {why}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// A key that means nothing here.
    #[error("line {line}: there is no key '{key}' here{}; the keys are {known}", meant(.nearest.as_deref()))]
    UnknownKey {
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
        /// The keys that there are.
        known: String,
    },
    /// A key that must be there.
    #[error("'{key}' is missing: {what}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it says.
        what: &'static str,
    },
    /// A value of the wrong shape.
    #[error("line {line}: '{key}' must be {expected}")]
    Shape {
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The name cannot stand in SQL.
    #[error("line {line}: {source}")]
    Name {
        /// The line.
        line: usize,
        /// Why not.
        source: InvalidProjectionName,
    },
    /// The name of a stream, a type or a tag that cannot be one.
    #[error("line {line}: '{key}': {source}")]
    NotAName {
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// Why not.
        source: NameError,
    },
    /// Too few or too many partitions.
    #[error("line {line}: partitions = {partitions} is not possible: 1 to {MAX_PARTITIONS} are")]
    Partitions {
        /// The line.
        line: usize,
        /// What was asked for.
        partitions: i64,
    },
    /// Another way to forget than there is.
    #[error(
        "line {line}: personal = \"{word}\" is not possible: say \"rebuilt\", or forget with statements on \
         '$keysDestroyed'"
    )]
    Personal {
        /// The line.
        line: usize,
        /// What was said.
        word: String,
    },
    /// No event has an effect.
    #[error("the declaration says of no event what to do: add [on.SomeEventType] with run = [\"...\"]")]
    NoEvents,
    /// More types or tags than a query may have.
    #[error("the declaration names more than one query may ask for: {0}")]
    TooLarge(#[from] factum_core::QueryTooLarge),
    /// An event that changes nothing.
    #[error("line {line}: on '{on}' has no statement: give run, or leave the event out")]
    NothingToRun {
        /// The line.
        line: usize,
        /// Which event.
        on: String,
    },
    /// A type that stands in two places.
    #[error("line {line}: what happens on '{event_type}' is said twice: put the statements into one place")]
    SaidTwice {
        /// The line.
        line: usize,
        /// The type.
        event_type: String,
    },
    /// A statement that a projection may not run.
    #[error(
        "line {line}: `{statement}` changes no rows: run takes insert, update, delete, replace, merge, and those after \
         a with; tables belong into tables"
    )]
    NoChange {
        /// The line.
        line: usize,
        /// Its beginning.
        statement: String,
    },
    /// A parameter that events do not have.
    #[error(
        "line {line}: an event has no :{parameter}{}; there are :data.PATH, :metadata.PATH, :json, :stream, \
         :stream_id, :category, :revision, :position, :type, :schema_version, :event_id, :recorded_at, \
         :occurred_at, :correlation, :causation, :actor, :tags, and the names under [parameters]",
        meant(.nearest.as_deref())
    )]
    UnknownParameter {
        /// The line.
        line: usize,
        /// The parameter, without its colon.
        parameter: String,
        /// The known one that is most like it.
        nearest: Option<String>,
    },
    /// A name under `[parameters]` that cannot be used.
    #[error("line {line}: parameters.{name}: {why}")]
    Alias {
        /// The line.
        line: usize,
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// An optional parameter that is not used.
    #[error("line {line}: optional names '{parameter}', which no statement of '{on}' uses{}", meant(.nearest.as_deref()))]
    UnusedOptional {
        /// The line.
        line: usize,
        /// The event.
        on: String,
        /// The parameter.
        parameter: String,
        /// The used one that is most like it.
        nearest: Option<String>,
    },
    /// A tag with braces that do not match.
    #[error("line {line}: the tag '{template}' {why}")]
    Template {
        /// The line.
        line: usize,
        /// The tag.
        template: String,
        /// What is wrong.
        why: &'static str,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean '{name}'?)")).unwrap_or_default()
}
