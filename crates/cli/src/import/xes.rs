//! How an XES event log becomes streams: read and sort it whole, then append it in the order of time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use factum_core::{
    Append, AppendId, EventId, EventStore, EventType, ExpectedRevision, InvalidEvent, NewEvent, Revision,
    StreamName, StreamWrite, Tag, Timestamp, category_of,
};
use uuid::Uuid;

use super::batch::append_or_skip;
use super::merge_sort::{Sorted, Sorter};
use super::source::Input;
use super::xes_reader::{NAME, Refused, TIME, XesItem, XesReader};
use super::{ImportError, ImportPhase, ImportProgress, ImportSummary, Place};

/// The type of the event that a trace's own attributes become, at revision 0 of its stream.
pub const TRACE_STARTED: &str = "TraceStarted";

/// Most events of one append.
const BATCH_EVENTS: usize = 1_000;
/// Bytes after which an append is full, whatever its number of events.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of events that are sorted in memory before a run is written to disk.
const RUN_BYTES: usize = 32 * 1024 * 1024;
/// Events between two calls of the progress callback.
const PROGRESS_EVENTS: u64 = 1_024;
/// Names the ids of imported events (UUID version 5): never to be changed, or repeats are not recognised.
const ID_SPACE: Uuid = Uuid::from_u128(0x3f0c_71d2_9a64_5b1e_8d27_c40b_6e95_a813);

/// How an event log is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XesImport {
    /// Streams are named `{category}-{trace}`.
    pub category: String,
    /// Where temporary files go if the log does not fit in memory.
    pub sort_dir: PathBuf,
    /// Bytes of events that may be in memory at once; the rest is sorted on disk.
    pub memory_bytes: usize,
    /// The trace attribute that says when a trace began. Where it is missing, the first event's time counts.
    pub trace_date: String,
    /// Attributes that name a person: each value is marked for the vault, as data of the subject that it names. The store must
    /// seal. The file itself, and what is sorted on disk, have them in clear.
    pub personal: Vec<String>,
}

impl XesImport {
    /// With 32 MiB of memory, and `REG_DATE` as the attribute that says when a trace began. Nothing is personal.
    pub fn new(category: impl Into<String>, sort_dir: impl Into<PathBuf>) -> Self {
        Self {
            category: category.into(),
            sort_dir: sort_dir.into(),
            memory_bytes: RUN_BYTES,
            trace_date: "REG_DATE".to_owned(),
            personal: Vec::new(),
        }
    }
}

/// Imports an XES event log, gzip or plain, into `store`.
///
/// One stream per trace, `{category}-{concept:name}`. Its first event is [`TRACE_STARTED`], with the trace's
/// attributes as data; every log event follows, in the order of the file: type = activity, data = all its attributes,
/// tag `case:{trace}`, occurred time = `time:timestamp`. Over all streams the order is that of time; equal times
/// keep the order of the file, and an event that the file puts after a later one of its trace stays after it.
///
/// The whole log is read and checked before the first append. Ids follow from category, trace and place in the trace:
/// the same import run again adds nothing, and one that was cut goes on where it stopped.
///
/// # Errors
/// `Malformed` with line, byte and trace where the log is not XES; nothing is written then. `StreamDiffers` where a
/// stream of that name holds something else.
pub async fn import_xes(
    store: &dyn EventStore,
    input: impl Read + Send,
    options: &XesImport,
    progress: &mut (dyn FnMut(ImportProgress) + Send),
) -> Result<ImportSummary, ImportError> {
    check_category(&options.category)?;
    check_personal(options)?;
    let (mut summary, sorted) = sort_log(input, options, progress)?;
    append_sorted(store, sorted, options, &mut summary, progress).await?;
    Ok(summary)
}

fn check_category(category: &str) -> Result<(), ImportError> {
    if category_of(&format!("{category}-1")) == Some(category) {
        return Ok(());
    }
    let why =
        format!("'{category}' cannot be a category: give a word without '-' that does not start with '$'");
    Err(ImportError::Invalid { why })
}

/// What stands in the names of streams and types, or is the time of an event, is stored in clear for ever.
fn check_personal(options: &XesImport) -> Result<(), ImportError> {
    let clear = |key: &&String| [NAME, TIME, options.trace_date.as_str()].contains(&key.as_str());
    match options.personal.iter().find(clear) {
        Some(key) => Err(ImportError::Invalid {
            why: format!(
                "'{key}' cannot be personal: streams, types and times are made of it, and those are stored in clear"
            ),
        }),
        None => Ok(()),
    }
}

/// Reads the log to its end and puts its events in the order of time. Nothing of the store is touched.
fn sort_log(
    input: impl Read + Send,
    options: &XesImport,
    progress: &mut (dyn FnMut(ImportProgress) + Send),
) -> Result<(ImportSummary, Sorted), ImportError> {
    let sort_failed = |source| ImportError::Sort { dir: options.sort_dir.clone(), source };
    let input = Input::open(input).map_err(|source| ImportError::Input { line: 0, source })?;
    let mut reader = XesReader::new(input, &options.trace_date, &options.personal);
    let mut events = Sorter::new(&options.sort_dir, options.memory_bytes);
    // Names are sorted too: a set of them all would grow with the log.
    let mut names = Sorter::new(&options.sort_dir, options.memory_bytes / 8);
    let mut summary = ImportSummary::default();
    let mut latest = Timestamp::MIN;
    reader.read(&mut |item, bytes| {
        let stored = StoredItem::of(&item);
        stored.new_event(options).map_err(Refused::Item)?;
        if item.index == 0 {
            latest = Timestamp::MIN;
            summary.traces += 1;
            let key = (name_hash(item.trace), item.line);
            names.push(key, item.trace.as_bytes()).map_err(|e| Refused::Other(sort_failed(e)))?;
        }
        latest = latest.max(item.time);
        events
            .push((latest.0, summary.events), &stored.encode())
            .map_err(|e| Refused::Other(sort_failed(e)))?;
        summary.events += 1;
        if summary.events % PROGRESS_EVENTS == 0 {
            let phase = ImportPhase::Reading;
            progress(ImportProgress { phase, bytes, events: summary.events, of_events: None });
        }
        Ok(())
    })?;
    summary.bytes = reader.raw_bytes();
    check_names(names.finish().map_err(sort_failed)?, options)?;
    Ok((summary, events.finish().map_err(sort_failed)?))
}

fn name_hash(name: &str) -> i64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish().cast_signed()
}

/// Two traces of one name would end in one stream: refuse them.
fn check_names(mut names: Sorted, options: &XesImport) -> Result<(), ImportError> {
    let sort_failed = |source| ImportError::Sort { dir: options.sort_dir.clone(), source };
    let mut same_hash: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut last_hash = None;
    while let Some(((hash, line), name)) = names.next_record().map_err(sort_failed)? {
        if last_hash != Some(hash) {
            same_hash.clear();
            last_hash = Some(hash);
        }
        if let Some((first, _)) = same_hash.iter().find(|(_, other)| *other == name) {
            let trace = Some(String::from_utf8_lossy(&name).into_owned());
            let what =
                format!("a trace of this name was there before, with its first event ending in line {first}");
            return Err(ImportError::Malformed { place: Place { line, byte: None, trace }, what });
        }
        same_hash.push((line, name));
    }
    Ok(())
}

async fn append_sorted(
    store: &dyn EventStore,
    mut sorted: Sorted,
    options: &XesImport,
    summary: &mut ImportSummary,
    progress: &mut (dyn FnMut(ImportProgress) + Send),
) -> Result<(), ImportError> {
    let sort_failed = |source| ImportError::Sort { dir: options.sort_dir.clone(), source };
    let mut batch = Batch::default();
    loop {
        let record = sorted.next_record().map_err(sort_failed)?;
        let last = record.is_none();
        if let Some((_, record)) = record {
            let item = StoredItem::decode(&record).map_err(sort_failed)?;
            let event = item.new_event(options).map_err(|why| ImportError::Invalid { why })?;
            batch.push(event, item.index);
        }
        if batch.is_full() || (last && !batch.writes.is_empty()) {
            let append = std::mem::take(&mut batch).into_append();
            let outcome = append_or_skip(store, append, summary.new).await?;
            summary.new += outcome.new;
            summary.known += outcome.known;
            progress(ImportProgress {
                phase: ImportPhase::Writing,
                bytes: summary.bytes,
                events: summary.new + summary.known,
                of_events: Some(summary.events),
            });
        }
        if last {
            return Ok(());
        }
    }
}

/// One append in the making.
#[derive(Default)]
struct Batch {
    writes: Vec<StreamWrite>,
    events: usize,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, (stream, event): (StreamName, NewEvent), index: u64) {
        self.events += 1;
        self.bytes += event.size_in(&stream);
        match self.writes.last_mut() {
            Some(write) if write.stream == stream => write.events.push(event),
            _ => {
                let expected = match index.checked_sub(1) {
                    Some(before) => ExpectedRevision::Exact(Revision(before)),
                    None => ExpectedRevision::NoStream,
                };
                self.writes.push(StreamWrite { stream, expected, events: vec![event] });
            }
        }
    }

    fn is_full(&self) -> bool {
        self.events >= BATCH_EVENTS || self.bytes >= BATCH_BYTES
    }

    /// The append's id follows from the ids of its events: the same batch has the same id in every run.
    fn into_append(self) -> Append {
        let ids = self.writes.iter().flat_map(|write| &write.events).flat_map(|event| *event.id.0.as_bytes());
        let id = AppendId(Uuid::new_v5(&ID_SPACE, &ids.collect::<Vec<u8>>()));
        Append { append_id: Some(id), writes: self.writes, ..Append::default() }
    }
}

/// What the sort keeps of a trace's start or of an event.
struct StoredItem {
    index: u64,
    time: Timestamp,
    trace: String,
    event_type: String,
    data: Bytes,
}

impl StoredItem {
    fn of(item: &XesItem<'_>) -> Self {
        Self {
            index: item.index,
            time: item.time,
            trace: item.trace.to_owned(),
            event_type: item.activity.unwrap_or(TRACE_STARTED).to_owned(),
            data: Bytes::copy_from_slice(item.data.as_bytes()),
        }
    }

    /// The stream and the event, or why no store would take it.
    fn new_event(&self, options: &XesImport) -> Result<(StreamName, NewEvent), String> {
        let category = &options.category;
        let stream = StreamName::new(format!("{category}-{}", self.trace)).map_err(|e| e.to_string())?;
        let event_type = EventType::new(self.event_type.as_str()).map_err(|e| e.to_string())?;
        let tag = Tag::new(format!("case:{}", self.trace)).map_err(|e| e.to_string())?;
        // The zero bytes cannot be in any XML text, so that no two places have the same name.
        let place = format!("{category}\0{}\0{}", self.trace, self.index);
        let event = NewEvent::json(event_type, self.data.clone())
            .with_id(EventId(Uuid::new_v5(&ID_SPACE, place.as_bytes())))
            .with_tag(tag)
            .with_occurred_at(self.time);
        match event.check(&stream) {
            // The store seals it, or refuses it.
            Err(InvalidEvent::Unsealed) if !options.personal.is_empty() => {}
            checked => checked.map_err(|e| e.to_string())?,
        }
        Ok((stream, event))
    }

    /// `index u64 | time i64 | length u32, trace | length u32, type | data`, little-endian.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.trace.len() + self.event_type.len() + self.data.len());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.time.0.to_le_bytes());
        for text in [&self.trace, &self.event_type] {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.data);
        out
    }

    fn decode(record: &[u8]) -> io::Result<Self> {
        let mut rest = record;
        let index = u64::from_le_bytes(take(&mut rest)?);
        let time = Timestamp(i64::from_le_bytes(take(&mut rest)?));
        let trace = take_text(&mut rest)?;
        let event_type = take_text(&mut rest)?;
        Ok(Self { index, time, trace, event_type, data: Bytes::copy_from_slice(rest) })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(damaged)?;
    *rest = after;
    Ok(*bytes)
}

fn take_text(rest: &mut &[u8]) -> io::Result<String> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (text, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
    *rest = after;
    String::from_utf8(text.to_vec()).map_err(|_| damaged())
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a temporary file was changed while it was in use")
}
