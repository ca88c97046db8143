//! What does an error of the server or of the connection mean for a read model?

use factum_core::read_model::ReadModelError;
use tokio_postgres::error::DbError;

use factum_core::with_causes;

/// Most characters of a statement that an error repeats.
const MAX_SHOWN: usize = 2_000;

/// The server's code for two transactions that waited for each other; it stands in the text of the error.
pub(crate) const DEADLOCK: &str = "40P01";

/// Whose statement it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Ours: on the catalog, or what opens a session or transaction.
    Ours,
    /// What makes a projection's tables.
    Tables,
    /// What a projection does with their rows.
    Rows,
    /// A reader's.
    Reader,
}

/// The error as the contract has it. `statement` is without the values of its parameters.
pub(crate) fn translate(
    database: &str,
    whose: Whose,
    statement: &str,
    error: &tokio_postgres::Error,
) -> ReadModelError {
    let database = database.to_owned();
    let Some(said) = error.as_db_error() else {
        return ReadModelError::Unavailable { database, why: with_causes(error) };
    };
    let why = message(said);
    match said.code().code() {
        "3D000" => ReadModelError::Missing { database, why },
        code if is_transient(code) => ReadModelError::Unavailable { database, why },
        "28P01" | "28000" => ReadModelError::Failed {
            database,
            why: format!("{why}; correct user and password in the URL, or the server's pg_hba.conf"),
        },
        "XX001" | "XX002" => ReadModelError::Damaged { database, why },
        // Disk full, out of memory, and the like: not the statement's fault.
        code if code.starts_with("53") || code.starts_with("58") => ReadModelError::Failed { database, why },
        "25006" if whose != Whose::Reader => ReadModelError::ReadOnly { database, why },
        "42501" if whose == Whose::Ours => ReadModelError::ReadOnly {
            database,
            why: format!(
                "{why} (the user needs CREATE on the database, and the schemas that Factum made there)"
            ),
        },
        _ if whose == Whose::Ours => ReadModelError::Failed { database, why },
        _ => refused(statement, why),
    }
}

/// A statement that is refused, by the server or before it.
pub(crate) fn refused(statement: &str, why: impl Into<String>) -> ReadModelError {
    let mut shown: String = statement.trim().chars().take(MAX_SHOWN).collect();
    if shown.len() < statement.trim().len() {
        shown.push_str(" ...");
    }
    ReadModelError::Statement { statement: shown, why: why.into() }
}

/// Whether the same may work later: the server restarts, has no room, or two transactions stood in each other's way.
fn is_transient(code: &str) -> bool {
    code.starts_with("08")
        || matches!(
            code,
            "57P01"
                | "57P02"
                | "57P03"
                | "57P04"
                | "57P05"
                | "57014"
                | "53300"
                | "40P01"
                | "40001"
                | "55P03"
                | "25P03"
        )
}

/// What the server said, without the values of rows: no detail line, and of bad input not what was put in.
fn message(said: &DbError) -> String {
    let code = said.code().code();
    let mut text = said.message().to_owned();
    if code.starts_with("22")
        && let Some((before, _)) = text.split_once('"')
    {
        text = before.trim_end_matches([' ', ':']).to_owned();
    }
    if let Some(constraint) = said.constraint()
        && !text.contains(constraint)
    {
        text = format!("{text} (constraint {constraint})");
    }
    if let Some(hint) = said.hint().filter(|_| !code.starts_with("22")) {
        text = format!("{text}; {hint}");
    }
    format!("{text} (SQLSTATE {code})")
}

/// A schema that cannot be made because one of its name is there, which Factum did not make.
pub(crate) fn translate_schema(schema: &str, error: ReadModelError) -> ReadModelError {
    match error {
        ReadModelError::Failed { why, .. } if why.contains("SQLSTATE 42P06") => {
            refused(&format!("CREATE SCHEMA {schema}"), why)
        }
        other => other,
    }
}
