//! What does an error of the server, or a row that is not as it should be, mean to whoever uses the key store?

use factum_core::read_model::ReadModelError;
use factum_vault::{ErasureId, KeyId, KeyStoreError};

/// Why a statement or what came of it did not do, before the store's name is known.
#[derive(Debug)]
pub(super) enum Fault {
    Server(ReadModelError),
    /// A row is not what we write. What is wrong, without the row's content.
    Damaged(&'static str),
    Failed(&'static str),
    Missing(&'static str),
    NewerLayout {
        found: u32,
        known: u32,
    },
    NoSuchErasure(ErasureId),
    NotLive(KeyId),
}

impl From<ReadModelError> for Fault {
    fn from(error: ReadModelError) -> Self {
        Self::Server(error)
    }
}

impl Fault {
    /// Whether the session may be gone.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Fault::Server(error) if error.is_transient())
    }
}

/// The error as the contract has it.
pub(super) fn translate(store: &str, fault: Fault) -> KeyStoreError {
    let store = store.to_owned();
    match fault {
        Fault::Server(error) => of_server(store, error),
        Fault::Damaged(why) => KeyStoreError::Damaged { store, why: why.to_owned() },
        Fault::Failed(why) => KeyStoreError::Failed { store, why: why.to_owned() },
        Fault::Missing(why) => KeyStoreError::Missing { store, why: why.to_owned() },
        Fault::NewerLayout { found, known } => KeyStoreError::NewerLayout { store, found, known },
        Fault::NoSuchErasure(erasure) => KeyStoreError::NoSuchErasure { store, erasure },
        Fault::NotLive(key) => KeyStoreError::NotLive { store, key },
    }
}

/// The server's messages are without the values of rows.
fn of_server(store: String, error: ReadModelError) -> KeyStoreError {
    match error {
        ReadModelError::Unavailable { why, .. } => KeyStoreError::Unavailable { store, why },
        ReadModelError::Missing { why, .. } => KeyStoreError::Missing { store, why },
        ReadModelError::Damaged { why, .. } => KeyStoreError::Damaged { store, why },
        ReadModelError::ReadOnly { why, .. } => {
            let why =
                format!("it cannot be written to: {why}; give the user all rights on the key store's schema");
            KeyStoreError::Failed { store, why }
        }
        ReadModelError::Failed { why, .. } | ReadModelError::Statement { why, .. } => {
            KeyStoreError::Failed { store, why }
        }
        other => KeyStoreError::Failed { store, why: other.to_string() },
    }
}
