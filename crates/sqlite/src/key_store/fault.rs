//! What does an error of SQLite, or a row that is not as it should be, mean to whoever uses the key store?

use factum_vault::{ErasureId, KeyId, KeyStoreError};
use rusqlite::{Error, ErrorCode};

/// Why a statement or what came of it did not do, before the store's name is known.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(Error),
    /// A row is not what we write. What is wrong, without the row's content.
    Damaged(&'static str),
    Failed(String),
    NoSuchErasure(ErasureId),
    NotLive(KeyId),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The error as the contract has it.
pub(super) fn translate(store: &str, fault: Fault) -> KeyStoreError {
    let store = store.to_owned();
    match fault {
        Fault::Sqlite(error) => of_sqlite(store, &error),
        Fault::Damaged(why) => KeyStoreError::Damaged { store, why: why.to_owned() },
        Fault::Failed(why) => KeyStoreError::Failed { store, why },
        Fault::NoSuchErasure(erasure) => KeyStoreError::NoSuchErasure { store, erasure },
        Fault::NotLive(key) => KeyStoreError::NotLive { store, key },
    }
}

fn of_sqlite(store: String, error: &Error) -> KeyStoreError {
    // SQLite's messages name tables and columns, and no values.
    let why = match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqliteFailure(failure, None) => failure.to_string(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        // What these show may be of the row.
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..) => {
            return KeyStoreError::Damaged { store, why: "a row does not hold what it should".to_owned() };
        }
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let why = format!("{why}; another process writes to it or keeps it locked");
            KeyStoreError::Unavailable { store, why }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => KeyStoreError::Damaged { store, why },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            let why =
                format!("{why}; its directory and its file have to be writable for the user who runs this");
            KeyStoreError::Failed { store, why }
        }
        _ => KeyStoreError::Failed { store, why },
    }
}
