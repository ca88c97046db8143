//! What must something do to hold the keys that wrap data keys?

mod local;
mod openbao;
mod pkcs11;

pub use local::LocalKeyFile;
pub use openbao::{OpenBaoTransit, TransitOptions};
pub use pkcs11::{Pkcs11Options, Pkcs11Token};

use std::fmt;
use std::path::PathBuf;

use factum_core::{ErrorKind, Timestamp};
use zeroize::Zeroizing;

/// Most keys that are wrapped or unwrapped in one call.
pub const MAX_WRAP_BATCH: usize = 200;

/// The number of a key-encryption key: they are made one after the other, and old ones are destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekEpoch(pub u32);

impl fmt::Display for KekEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One epoch that can still unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number.
    pub epoch: KekEpoch,
    /// When its key was made; `None` where the provider does not say.
    pub created: Option<Timestamp>,
}

/// A secret as it may be stored: only the provider that wrapped it makes sense of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped(pub Vec<u8>);

/// A secret to be wrapped, and what it is bound to: unwrapping it under another label fails.
#[derive(Debug)]
pub struct ToWrap<'a> {
    /// The secret.
    pub secret: &'a [u8],
    /// What it is for.
    pub label: &'a [u8],
}

/// A wrapped secret, and what it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct ToUnwrap<'a> {
    /// The epoch that wrapped it.
    pub epoch: KekEpoch,
    /// The bytes.
    pub wrapped: &'a Wrapped,
    /// What it is for, as it was said when it was wrapped.
    pub label: &'a [u8],
}

/// Holds the key-encryption keys of one vault, and wraps data keys with them. The keys themselves never leave it.
///
/// Blocking: the vault calls it on a thread of its own. An answer is all or nothing.
pub trait KekProvider: Send {
    /// What it is and where, for people. No secrets.
    fn description(&self) -> String;

    /// The epochs that can still unwrap, the oldest first. The last one wraps. There is at least one.
    ///
    /// # Errors
    /// Where the provider cannot be asked.
    fn epochs(&mut self) -> Result<Vec<EpochInfo>, KekError>;

    /// Wraps secrets with the key of this epoch, in order. At most [`MAX_WRAP_BATCH`].
    ///
    /// # Errors
    /// `NoEpoch` where it was destroyed, `TooMany`, or why the provider does not answer.
    fn wrap(&mut self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError>;

    /// The secrets, in order. At most [`MAX_WRAP_BATCH`].
    ///
    /// # Errors
    /// `NoEpoch` where an epoch was destroyed, `NotOurs` where bytes, label and key do not fit, `TooMany`, or why the provider
    /// does not answer.
    fn unwrap_keys(&mut self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError>;

    /// Makes the next epoch; it wraps from now on.
    ///
    /// # Errors
    /// Where it could not be made: then nothing has changed.
    fn new_epoch(&mut self) -> Result<KekEpoch, KekError>;

    /// Destroys every epoch before `keep`, for ever. Repeating it changes nothing.
    ///
    /// # Errors
    /// `NoEpoch` where no epoch would be left: `keep` is later than the last. Otherwise where it is not certain that they are gone.
    fn destroy_before(&mut self, keep: KekEpoch) -> Result<(), KekError>;
}

/// A batch is refused whole, before anything is asked.
fn check_batch(given: usize) -> Result<(), KekError> {
    if given > MAX_WRAP_BATCH { Err(KekError::TooMany { given }) } else { Ok(()) }
}

/// Why a key-encryption key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no key file.
    #[error(
        "there is no key file at '{path}': give the path of the vault's key file; a new vault makes its own, and without the \
         key file no personal data can be read",
        path = path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others may read the key file.
    #[error(
        "the key file '{path}' has mode {mode:03o}: others than its owner may read it; run chmod 600 '{path}', and think of \
         rotating the key",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file is not what Factum writes.
    #[error("the key file '{path}' cannot be used: {why}; restore it from its own backup", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong. Never the key.
        why: String,
    },
    /// An epoch that was destroyed, or never was.
    #[error("{provider} has no key of epoch {epoch}: it was destroyed, or this is another vault's key")]
    NoEpoch {
        /// What was asked.
        provider: String,
        /// The epoch.
        epoch: KekEpoch,
    },
    /// The bytes were wrapped by another key or for another label, or were changed.
    #[error(
        "{provider} did not wrap these key bytes with epoch {epoch}: this is another vault's key, or the bytes were changed"
    )]
    NotOurs {
        /// What was asked.
        provider: String,
        /// The epoch.
        epoch: KekEpoch,
    },
    /// It says no: a token that was revoked, rights that are missing, a sealed vault.
    #[error("{provider} refuses: {why}")]
    Denied {
        /// What was asked.
        provider: String,
        /// Its reason. No secrets.
        why: String,
    },
    /// It does not answer.
    #[error("{provider} cannot be reached: {why}")]
    Unreachable {
        /// What was asked.
        provider: String,
        /// Why. No secrets.
        why: String,
    },
    /// It is set up in a way that cannot work: another kind of key, no certificates, a path that is not there.
    #[error("{provider} cannot be used as it is set up: {why}")]
    Misconfigured {
        /// What was asked.
        provider: String,
        /// What is wrong, and what would be right. No secrets.
        why: String,
    },
    /// More than one call takes.
    #[error("{given} keys in one call, the limit is {MAX_WRAP_BATCH}: wrap and unwrap them in several calls")]
    TooMany {
        /// How many.
        given: usize,
    },
    /// The key file could not be read or written.
    #[error("the key file '{path}' cannot be {verb}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `read`, `written`.
        verb: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl KekError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            KekError::Missing { .. } | KekError::Exposed { .. } | KekError::Misconfigured { .. } => {
                ErrorKind::Invalid
            }
            KekError::TooMany { .. } => ErrorKind::TooLarge,
            KekError::Malformed { .. } | KekError::NotOurs { .. } => ErrorKind::Damaged,
            KekError::NoEpoch { .. } => ErrorKind::NotFound,
            KekError::Denied { .. } | KekError::Unreachable { .. } | KekError::Io { .. } => {
                ErrorKind::Unavailable
            }
        }
    }
}
