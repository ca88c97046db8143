//! Why did the vault not do it? Never with a key, a subject or a value in the text.

use factum_core::{AppendError, ErrorKind, ReadError, StoreId, Timestamp};

use crate::data_key::RandomError;
use crate::kek::KekError;
use crate::key_store::KeyStoreError;
use crate::marker::Unavailable;
use crate::seal::{NotSealed, SealError};
use crate::subject::{ErasureId, InvalidName, KeyOwner, SubjectRef};

/// Why the vault did not do it. An error is never an erasure.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key store did not do it.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The provider of key-encryption keys did not do it.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The log could not be read.
    #[error("the log's ledger of erasures cannot be read: {0}; without it no key is given out")]
    Ledger(#[source] ReadError),
    /// The log did not take an event of the vault's.
    #[error("the log did not take the vault's own event: {0}")]
    Append(#[source] AppendError),
    /// The key store belongs to another log.
    #[error(
        "{store} keeps the keys of log {found}, this is log {expected}: give the key store that belongs to this log"
    )]
    OtherLog {
        /// The key store.
        store: String,
        /// This log.
        expected: StoreId,
        /// The log that the key store belongs to.
        found: StoreId,
    },
    /// The key store belongs to another tenant.
    #[error("{store} keeps the keys of tenant '{found}', not of '{expected}'")]
    OtherTenant {
        /// The key store.
        store: String,
        /// What was asked for.
        expected: String,
        /// What it is for.
        found: String,
    },
    /// The log has a vault, but not this one.
    #[error(
        "the log was sealed with vault {expected}, {store} is {found}: give the key store that belongs to this log, or restore \
         it from its backup"
    )]
    OtherVault {
        /// The key store.
        store: String,
        /// The vault that the log names.
        expected: uuid::Uuid,
        /// The key store's.
        found: uuid::Uuid,
    },
    /// The log has a vault, and the key store is new.
    #[error(
        "the log was sealed with vault {expected}, but {store} is empty: restore the key store from its backup; a new one \
         could read nothing of what is sealed"
    )]
    KeyStoreMissing {
        /// The key store.
        store: String,
        /// The vault that the log names.
        expected: uuid::Uuid,
    },
    /// The log was put back from a backup, and nobody has said whether it knows all that was erased since.
    #[error(
        "this log was restored from a backup (it is in epoch {epoch}) and knows {erasures} erasures: what was erased after the \
         backup would be back; apply the newest copy of its ledger, or accept it as it is"
    )]
    LogRestored {
        /// The log's epoch.
        epoch: u32,
        /// Erasures that it knows.
        erasures: usize,
    },
    /// The key store knows erasures that the log does not: an older copy of the log was put back.
    #[error(
        "{store} knows {missing} erasures that the log does not, the newest is {newest} of {at}: the log was restored from \
         before them, and what they erased would be back; apply a newer copy of its ledger, or accept it as it is"
    )]
    LogBehind {
        /// The key store.
        store: String,
        /// How many.
        missing: usize,
        /// The newest of them.
        newest: ErasureId,
        /// When it was asked for.
        at: Timestamp,
    },
    /// The subject's data must be kept.
    #[error(
        "subject {subject} is held since {since} by {actor}: {reason}; nothing of it is erased until the hold is released"
    )]
    Held {
        /// Who.
        subject: SubjectRef,
        /// Why.
        reason: String,
        /// Who says so.
        actor: String,
        /// Since when.
        since: Timestamp,
    },
    /// What the key store holds cannot be used.
    #[error("{store} is damaged: {what}; restore it from its own backup")]
    Damaged {
        /// The key store.
        store: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The subject was erased: nothing may be sealed for it.
    #[error(
        "subject {owner} was erased (erasure {erasure}): no personal data is taken for it; allow new keys first if there is a \
         new lawful relation"
    )]
    SubjectErased {
        /// Whose key was asked for.
        owner: KeyOwner,
        /// The erasure.
        erasure: ErasureId,
    },
    /// A value was not sealed.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Others made keys for this owner again and again.
    #[error("no key could be made for subject {owner} in {attempts} attempts: try again")]
    Contended {
        /// Whose.
        owner: KeyOwner,
        /// How often it was tried.
        attempts: u32,
    },
    /// A wrong request.
    #[error("{why}")]
    Invalid {
        /// What, why, and what to do.
        why: String,
    },
    /// The vault's thread is gone.
    #[error("the vault is closed")]
    Closed,
}

/// What bytes that do not open mean to whoever reads the value.
impl From<SealError> for Unavailable {
    fn from(error: SealError) -> Self {
        match error {
            SealError::OtherKey => Unavailable::WrongKey,
            SealError::Tampered | SealError::CutOff => Unavailable::Tampered,
        }
    }
}

impl VaultError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            VaultError::KeyStore(error) => error.kind(),
            VaultError::Kek(error) => error.kind(),
            VaultError::Ledger(error) => error.kind(),
            VaultError::Append(error) => error.kind(),
            VaultError::OtherLog { .. }
            | VaultError::OtherTenant { .. }
            | VaultError::OtherVault { .. }
            | VaultError::KeyStoreMissing { .. }
            | VaultError::Name(_)
            | VaultError::Invalid { .. } => ErrorKind::Invalid,
            VaultError::LogRestored { .. } | VaultError::LogBehind { .. } | VaultError::Held { .. } => {
                ErrorKind::Conflict
            }
            VaultError::Damaged { .. } => ErrorKind::Damaged,
            VaultError::SubjectErased { .. } => ErrorKind::Deleted,
            VaultError::NotSealed(NotSealed::TooLong { .. }) => ErrorKind::TooLarge,
            VaultError::NotSealed(NotSealed::Random(_))
            | VaultError::Random(_)
            | VaultError::Contended { .. }
            | VaultError::Closed => ErrorKind::Unavailable,
        }
    }
}
