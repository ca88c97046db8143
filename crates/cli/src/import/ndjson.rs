//! How a file of events, one JSON object per line, becomes a log again: same ids, same order, same numbers.

use std::io::{BufRead, Read};

use factum_core::{
    Append, AppendError, AppendId, Delete, DeleteMode, EventId, EventStore, ExpectedRevision, NewEvent,
    PRIVACY_STREAM, REDACTIONS_STREAM, Revision, STREAM_DELETED_TYPE, StreamName, StreamWrite, Timestamp,
};
use uuid::Uuid;

use super::batch::{Outcome, append_in_order};
use super::source::{Input, is_malformed};
use super::{ImportError, ImportPhase, ImportProgress, ImportSummary, Place};
use factum_protocol::{ReadEvent, read_event};

/// Where another log's record of its redactions goes: the store writes its own, and nobody else does.
const IMPORTED_REDACTIONS: &str = "$redactions-imported";
/// Where what another log's vault did goes: it is no business of this log's vault.
const IMPORTED_PRIVACY: &str = "$privacy-imported";
/// Most events without an append id that go into one append.
const BATCH_EVENTS: usize = 1_000;
/// Bytes after which an append of events without an append id is full.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Most appends that are under way at once: they share the store's syncs.
const WINDOW_APPENDS: usize = 64;
/// Bytes after which no further append is started before those under way are done.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Names the ids of events that have none (UUID version 5): never to be changed, or repeats are not recognised.
const ID_SPACE: Uuid = Uuid::from_u128(0x61d9_0be4_27f3_5c08_a51e_93d7_4cf2_6b84);

/// How events of another log are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NdjsonImport {
    /// When the other log recorded an event becomes when it happened, where the event does not say that itself. Without it
    /// such an event is as old as the import, and questions about earlier moments do not find it.
    pub keep_times: bool,
}

/// Imports events, one JSON object per line, gzip or plain, as [`crate::export_ndjson`] writes them.
///
/// `id`, `stream`, `type`, `schemaVersion`, `contentType`, `tags`, `data`, `metadata`, `occurredTime` and `appendId`
/// are kept; events of one append id stay one append. `revision` gives the order in the stream; `position` and
/// `time` are the log's to give: the first is not read, the second as `options` say. A tombstone is a delete for good; metadata streams are written
/// like others. A redacted event comes back as a `$redacted` event in its place, and the record of redactions as
/// `$redactions-imported`. Run again, an import adds nothing; one that was cut goes on where it stopped.
///
/// # Errors
/// `Malformed` with the line; nothing of that line's append is written. `StreamDiffers` where a stream of that name
/// holds something else.
pub async fn import_ndjson(
    store: &dyn EventStore,
    input: impl Read + Send,
    options: NdjsonImport,
    progress: &mut (dyn FnMut(ImportProgress) + Send),
) -> Result<ImportSummary, ImportError> {
    let mut lines = Lines::open(input, options)?;
    let mut import = Import { store, window: Vec::new(), window_bytes: 0, summary: ImportSummary::default() };
    let mut batch = Batch::default();
    loop {
        let line = match lines.next_event() {
            Ok(line) => line,
            // The appends before the faulty line are whole: they are kept.
            Err(error) => {
                import.finish_window().await?;
                return Err(error);
            }
        };
        import.summary.bytes = lines.input.raw_bytes();
        let full = batch.is_full() || !line.as_ref().is_some_and(|line| batch.takes(line));
        if full && !batch.writes.is_empty() {
            import.start(std::mem::take(&mut batch)).await?;
            progress(import.progress());
        }
        let Some(line) = line else { break };
        import.summary.events += 1;
        if line.is_tombstone() {
            import.finish_window().await?;
            import.tombstone(line.stream).await?;
        } else {
            batch.push(line);
        }
    }
    import.finish_window().await?;
    progress(import.progress());
    Ok(import.summary)
}

/// The events of the input, one line at a time.
struct Lines<'r> {
    input: Input<'r>,
    buffer: Vec<u8>,
    options: NdjsonImport,
}

struct Line {
    stream: StreamName,
    revision: Option<Revision>,
    append_id: Option<AppendId>,
    event: NewEvent,
}

impl Line {
    fn is_tombstone(&self) -> bool {
        self.revision == Some(Revision::TOMBSTONE) && *self.event.event_type == *STREAM_DELETED_TYPE
    }
}

impl<'r> Lines<'r> {
    fn open(input: impl Read + Send + 'r, options: NdjsonImport) -> Result<Self, ImportError> {
        let input = Input::open(input).map_err(|source| ImportError::Input { line: 0, source })?;
        Ok(Self { input, buffer: Vec::new(), options })
    }

    /// The next event; empty lines are passed over.
    fn next_event(&mut self) -> Result<Option<Line>, ImportError> {
        loop {
            self.buffer.clear();
            let line = self.input.line();
            let fault = |what: String| {
                Err(ImportError::Malformed { place: Place { line, byte: None, trace: None }, what })
            };
            let count = match self.input.read_until(b'\n', &mut self.buffer) {
                Ok(count) => count,
                Err(source) if is_malformed(&source) => {
                    return fault(format!("the input is damaged or cut: {source}"));
                }
                Err(source) => return Err(ImportError::Input { line, source }),
            };
            self.input.token_done();
            if count == 0 {
                return Ok(None);
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let read = match read_event(&self.buffer) {
                Ok(read) => read,
                Err(error) => return fault(error.to_string()),
            };
            return match self.line_of(read, line) {
                Ok(line) => Ok(Some(line)),
                Err(what) => fault(what),
            };
        }
    }

    fn line_of(&self, read: ReadEvent, number: u64) -> Result<Line, String> {
        let ReadEvent { stream, revision, append_id, id_given, recorded_elsewhere, mut event } = read;
        let mut stream = stream.ok_or("it has no 'stream': an import must know where each event goes")?;
        if stream.as_str() == REDACTIONS_STREAM {
            stream = StreamName::new(IMPORTED_REDACTIONS).map_err(|e| e.to_string())?;
        }
        if stream.as_str() == PRIVACY_STREAM {
            stream = StreamName::new(IMPORTED_PRIVACY).map_err(|e| e.to_string())?;
        }
        if !id_given {
            let name = [number.to_le_bytes().as_slice(), self.buffer.trim_ascii()].concat();
            event.id = EventId(Uuid::new_v5(&ID_SPACE, &name));
        }
        if self.options.keep_times && event.occurred_at.is_none() {
            let time = recorded_elsewhere.ok_or("it has no 'time' that could be kept")?;
            event.occurred_at =
                Some(Timestamp::parse(&time).map_err(|e| format!("its 'time' is none: {e}"))?);
        }
        event.check(&stream).map_err(|e| e.to_string())?;
        Ok(Line { stream, revision, append_id, event })
    }
}

/// One append in the making.
#[derive(Default)]
struct Batch {
    id: Option<AppendId>,
    writes: Vec<StreamWrite>,
    events: usize,
    bytes: usize,
}

impl Batch {
    /// Whether an event belongs to this append. One with an append id is kept whole, since its second half would pass
    /// for a repetition. Otherwise metadata is on its own: what it says counts from the next append on.
    fn takes(&self, line: &Line) -> bool {
        let Some(last) = self.writes.last() else { return !line.is_tombstone() };
        if line.is_tombstone() || self.id != line.append_id {
            return false;
        }
        let apart = last.stream.is_metastream() || line.stream.is_metastream();
        self.id.is_some() || !apart || last.stream == line.stream
    }

    fn is_full(&self) -> bool {
        self.id.is_none() && (self.events >= BATCH_EVENTS || self.bytes >= BATCH_BYTES)
    }

    fn push(&mut self, line: Line) {
        self.id = line.append_id;
        self.events += 1;
        self.bytes += line.event.size_in(&line.stream);
        match self.writes.last_mut() {
            Some(write) if write.stream == line.stream => write.events.push(line.event),
            _ => {
                let expected = match line.revision {
                    Some(Revision(0)) => ExpectedRevision::NoStream,
                    Some(Revision(number)) => ExpectedRevision::Exact(Revision(number - 1)),
                    None => ExpectedRevision::Any,
                };
                self.writes.push(StreamWrite { stream: line.stream, expected, events: vec![line.event] });
            }
        }
    }

    /// Whether the store may be given this append before it has answered the one before: only where the expected
    /// revisions keep the order of each stream.
    fn may_overlap(&self) -> bool {
        self.writes
            .iter()
            .all(|write| write.expected != ExpectedRevision::Any && !write.stream.is_metastream())
    }
}

struct Import<'s> {
    store: &'s dyn EventStore,
    window: Vec<Append>,
    window_bytes: usize,
    summary: ImportSummary,
}

impl Import<'_> {
    fn progress(&self) -> ImportProgress {
        ImportProgress {
            phase: ImportPhase::Writing,
            bytes: self.summary.bytes,
            events: self.summary.new + self.summary.known,
            of_events: None,
        }
    }

    async fn start(&mut self, batch: Batch) -> Result<(), ImportError> {
        let alone = !batch.may_overlap();
        if alone {
            self.finish_window().await?;
        }
        self.window_bytes += batch.bytes;
        self.window.push(Append { append_id: batch.id, writes: batch.writes, ..Append::default() });
        if alone || self.window.len() >= WINDOW_APPENDS || self.window_bytes >= WINDOW_BYTES {
            self.finish_window().await?;
        }
        Ok(())
    }

    async fn finish_window(&mut self) -> Result<(), ImportError> {
        let window = std::mem::take(&mut self.window);
        self.window_bytes = 0;
        let mut outcome = Outcome::default();
        let done = append_in_order(self.store, window, self.summary.new, &mut outcome).await;
        self.summary.new += outcome.new;
        self.summary.known += outcome.known;
        done
    }

    async fn tombstone(&mut self, stream: StreamName) -> Result<(), ImportError> {
        let delete = Delete { stream, expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
        match self.store.delete(delete).await {
            Ok(deleted) if deleted.position.is_some() => self.summary.new += 1,
            Ok(_) | Err(AppendError::StreamDeleted { .. }) => self.summary.known += 1,
            Err(source) => return Err(ImportError::Append { source, written: self.summary.new }),
        }
        Ok(())
    }
}
