//! What every import shares: progress, summary, errors that name the place in the input.

mod attributes;
mod batch;
mod merge_sort;
mod ndjson;

mod source;
mod xes;
mod xes_reader;

use std::fmt;
use std::io;
use std::path::PathBuf;

use factum_core::{AppendError, ErrorKind, ReadError, StreamName};

pub use ndjson::{NdjsonImport, import_ndjson};
pub use xes::{TRACE_STARTED, XesImport, import_xes};

/// How far an import has come. Called often: the callback decides how much of it to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// What is being done.
    pub phase: ImportPhase,
    /// Bytes of the input read so far, as they are in the file (compressed, if it is).
    pub bytes: u64,
    /// Events done in this phase.
    pub events: u64,
    /// Events to be done in this phase, where that is known.
    pub of_events: Option<u64>,
}

/// A part of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportPhase {
    /// The input is read and checked; nothing is written yet.
    Reading,
    /// Events are appended. (NDJSON is read and appended in one go.)
    Writing,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Bytes of the input.
    pub bytes: u64,
    /// Traces, for an event log.
    pub traces: u64,
    /// Events in the input, with the first event that each trace is given.
    pub events: u64,
    /// Events that were appended.
    pub new: u64,
    /// Events that the store had already.
    pub known: u64,
}

/// A place in the input, for a person to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Byte of the uncompressed input, from 0; `None` where lines are enough.
    pub byte: Option<u64>,
    /// Name of the trace, where there is one.
    pub trace: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(byte) = self.byte {
            write!(f, " (byte {byte})")?;
        }
        match &self.trace {
            Some(trace) => write!(f, ", trace '{trace}'"),
            None => Ok(()),
        }
    }
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input is not what it should be.
    #[error("{place}: {what}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong, and what is wanted.
        what: String,
    },
    /// The options do not make sense.
    #[error("{why}")]
    Invalid {
        /// What, why, and what to do.
        why: String,
    },
    /// The input could not be read.
    #[error("reading the input failed after line {line}: {source}")]
    Input {
        /// The last line that was read.
        line: u64,
        /// The system's error.
        source: io::Error,
    },
    /// The events could not be sorted on disk.
    #[error("sorting in {} failed: {source}; free some space there, or sort elsewhere", dir.display())]
    Sort {
        /// The directory of the temporary files.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The stream holds other events than the input has for it.
    #[error(
        "stream '{stream}' holds other events than the input has for it: import into another directory or category"
    )]
    StreamDiffers {
        /// The stream.
        stream: StreamName,
    },
    /// The store refused an append.
    #[error("{source} ({written} events were appended before; run the same import again to go on)")]
    Append {
        /// Why.
        source: AppendError,
        /// Events that this import appended before it.
        written: u64,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ImportError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ImportError::Malformed { .. } | ImportError::Invalid { .. } => ErrorKind::Invalid,
            ImportError::Input { .. } | ImportError::Sort { .. } => ErrorKind::Unavailable,
            ImportError::StreamDiffers { .. } => ErrorKind::Conflict,
            ImportError::Append { source, .. } => source.kind(),
            ImportError::Read(source) => source.kind(),
        }
    }
}
