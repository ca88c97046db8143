//! Why could the index not answer?

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum_core::ReadError;

/// Why the index could not do something. The log is not touched by it: a run can be discarded and built again.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// The disk refused.
    #[error("the index failed at {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// A run's bytes are not what was written.
    #[error("the index run {} is damaged at byte {offset}: {what}; it can be built again from the log", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

impl IndexError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(source) }
    }

    /// The file that it is about.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        match self {
            IndexError::Io { path, .. } | IndexError::Damaged { path, .. } => path,
        }
    }
}

impl From<IndexError> for ReadError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Io { path, source } => ReadError::Io { place: path.display().to_string(), source },
            IndexError::Damaged { path, offset, what } => ReadError::Damaged {
                place: format!("{} byte {offset}", path.display()),
                what: what.to_owned(),
            },
        }
    }
}
