//! How a store is opened, and why it may not open.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use factum_core::{Clock, ErrorKind, ReadError, SystemClock};

use crate::vfs::{OsVfs, Vfs};

/// Bytes of frames in a segment, unless one append needs more.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Smallest segment that may be asked for, in bytes.
pub const MIN_SEGMENT_BYTES: u64 = 4 * 1024;

/// Whether a directory without a store gets one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// It gets one.
    #[default]
    IfMissing,
    /// It is an error.
    Never,
}

/// Who does the work that appends need not wait for: index runs, offset tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upkeep {
    /// A thread of the engine's own.
    #[default]
    Thread,
    /// Whoever appends, at once: for tests that must be repeatable.
    Inline,
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Whether a directory without a store gets one.
    pub create: Create,
    /// Bytes of frames in a segment: from `MIN_SEGMENT_BYTES` to 2 GiB.
    pub segment_bytes: u64,
    /// Who keeps indexes and tables.
    pub upkeep: Upkeep,
    /// Where recorded times come from.
    pub clock: Arc<dyn Clock>,
    /// The disk.
    pub vfs: Arc<dyn Vfs>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: Create::default(),
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            upkeep: Upkeep::default(),
            clock: Arc::new(SystemClock),
            vfs: Arc::new(OsVfs),
        }
    }
}

/// Why a store did not open. Nothing in its directory was changed, unless recovery had begun.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store here.
    #[error("there is no store in {}: name another directory, or append something to create one", path.display())]
    NotFound {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the store in {} is open in another process: close that one first", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error("the store in {} has format {found}, this build reads up to format {known}: use a newer build", path.display())]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this build knows.
        known: u32,
    },
    /// Stored bytes are damaged, before the end of the log: nothing was cut off.
    #[error("{0}")]
    Damaged(ReadError),
    /// The directory or a file could not be used.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An option is out of its range.
    #[error("{0}")]
    Option(String),
}

impl OpenError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpenError::NotFound { .. } => ErrorKind::NotFound,
            OpenError::Locked { .. } | OpenError::Io { .. } => ErrorKind::Unavailable,
            OpenError::NewerFormat { .. } => ErrorKind::Unsupported,
            OpenError::Damaged(error) => error.kind(),
            OpenError::Option(_) => ErrorKind::Invalid,
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        OpenError::Damaged(error)
    }
}
