//! What does an error of SQLite mean to whoever uses the read models?

use std::path::Path;

use factum_core::read_model::ReadModelError;
use rusqlite::{Error, ErrorCode};

/// The error, where it concerns the database as a whole.
pub(crate) fn of_database(database: &str, error: &Error) -> ReadModelError {
    let (database, why) = (database.to_owned(), message(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let why = format!("it is in use: {why}; another process writes to it or keeps it locked");
            ReadModelError::Unavailable { database, why }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ReadModelError::ReadOnly { database, why },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ReadModelError::Damaged { database, why }
        }
        _ => ReadModelError::Failed { database, why },
    }
}

/// The error, where someone else's statement may be to blame. `allowed` says what such a statement may do.
pub(crate) fn of_statement(database: &str, statement: &str, allowed: &str, error: &Error) -> ReadModelError {
    let why = match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen,
        ) => return of_database(database, error),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            format!("{}: {allowed}", message(error))
        }
        _ => message(error),
    };
    ReadModelError::Statement { statement: statement.to_owned(), why }
}

/// The error of the file system.
pub(crate) fn of_file(path: &Path, error: &std::io::Error) -> ReadModelError {
    let (database, why) = (path.display().to_string(), error.to_string());
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ReadModelError::ReadOnly { database, why }
        }
        std::io::ErrorKind::NotFound => ReadModelError::Missing { database, why },
        _ => ReadModelError::Failed { database, why },
    }
}

/// What SQLite said, without the statement: its text is given beside it, or is ours.
fn message(error: &Error) -> String {
    match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqliteFailure(failure, None) => failure.to_string(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
