//! How a log is written as one JSON object per line, so that an import can make it again.

use std::io::{self, Write};

use factum_core::{ErrorKind, EventStore, Position, Read, ReadError};

use factum_protocol::{Breaks, write_event};

/// How far an export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportProgress {
    /// Events written.
    pub events: u64,
    /// Bytes written.
    pub bytes: u64,
    /// For a read forwards: everything before this position has been looked at.
    pub examined_to: Position,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output could not be written.
    #[error("writing failed after {events} events: {source}")]
    Output {
        /// Events written before it.
        events: u64,
        /// The system's error.
        source: io::Error,
    },
}

impl ExportError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ExportError::Read(source) => source.kind(),
            ExportError::Output { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Writes every event that `read` selects to `out`, one JSON object per line.
///
/// With `Read::forwards(Selector::All)`, [`crate::import_ndjson`] makes the same log of it: ids, order, numbers, types,
/// versions, tags, data and metadata byte for byte, occurred times, append ids, deletes and stream metadata.
/// A payload that would not survive on one line is written as base64. An event that was redacted has `redacted` instead of
/// `data`; an import makes a `$redacted` event of it, since what it said is nowhere.
///
/// # Errors
/// `Read` where the store fails, `Output` where `out` does.
pub async fn export_ndjson(
    store: &dyn EventStore,
    read: Read,
    out: &mut (dyn Write + Send),
    progress: &mut (dyn FnMut(ExportProgress) + Send),
) -> Result<ExportProgress, ExportError> {
    let mut done = ExportProgress { events: 0, bytes: 0, examined_to: Position::START };
    let mut line = Vec::new();
    let mut reader = store.read(read).await?;
    while let Some(page) = reader.next_page().await? {
        for event in &page.events {
            line.clear();
            write_event(event, Breaks::Encode, &mut line);
            line.push(b'\n');
            out.write_all(&line).map_err(|source| ExportError::Output { events: done.events, source })?;
            done.events += 1;
            done.bytes += line.len() as u64;
        }
        done.examined_to = page.examined_to;
        progress(done);
    }
    out.flush().map_err(|source| ExportError::Output { events: done.events, source })?;
    Ok(done)
}
