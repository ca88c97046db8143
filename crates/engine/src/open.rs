//! Opening a store: lock, identity, segments, recovery of the tail, indexes.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

use factum_core::{
    Checkpoint, Position, Read, ReadError, SCHEMAS_STREAM, SchemaRegistry, StoreId, StreamName, Timestamp,
};

use crate::identity::{Identity, Tail, read_tail, store_path};
use crate::index::{Index, IndexError, OpenedIndex};
use crate::log::Log;
use crate::options::{Create, MIN_SEGMENT_BYTES, OpenError, Options};
use crate::reader::{EngineReader, Snapshot};
use crate::segment::format::{FORMAT_OF_NEW, FRAME_BYTES, HEADER_BYTES, Record, Seal, SegmentHeader};
use crate::segment::offsets::{Offsets, open_table, write_table};
use crate::segment::walk::{WalkEnd, walk};
use crate::segment::{Segment, base_in_name, damaged};
use crate::upkeep::{events_of, rebuild_damaged, rebuild_from_log};
use crate::vfs::{OpenMode, Vfs};
use crate::writer::{OpenSegment, create_segment};

/// Largest segment size that may be asked for, in bytes.
const MAX_SEGMENT_OPTION: u64 = 2 * 1024 * 1024 * 1024;

/// Everything that a store needs to run.
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    pub(crate) log: Arc<Log>,
    pub(crate) index: Arc<Index>,
    pub(crate) open: OpenSegment,
    pub(crate) last_recorded: Timestamp,
    pub(crate) schemas: SchemaRegistry,
    pub(crate) lock: Box<dyn Any + Send + Sync>,
    /// What recovery cut off, for people: `None` after a clean close.
    pub(crate) recovered: Option<String>,
}

/// Opens or creates the store in `dir`.
pub(crate) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_OPTION).contains(&options.segment_bytes) {
        return Err(OpenError::Option(format!(
            "segments of {} bytes cannot be: from {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_OPTION} bytes can",
            options.segment_bytes
        )));
    }
    let vfs = &*options.vfs;
    let log_dir = dir.join("log");
    if options.create == Create::Never
        && Identity::read(vfs, dir)?.is_none()
        && names(vfs, &log_dir)?.is_empty()
    {
        return Err(OpenError::NotFound { path: dir.to_owned() });
    }
    for path in [dir, &log_dir, &dir.join("index")] {
        vfs.create_dir_all(path).map_err(io("creating the directory", path))?;
    }
    let lock_path = dir.join("lock");
    let lock = vfs.try_lock(&lock_path).map_err(io("locking", &lock_path))?;
    let lock = lock.ok_or_else(|| OpenError::Locked { path: dir.to_owned() })?;
    let identity = identify(vfs, dir, &log_dir, options)?;
    remove_unfinished(vfs, &log_dir)?;
    let safe_to = match read_tail(vfs, dir).map_err(io("reading", &dir.join("tail")))? {
        Tail::SafeTo(position) => position,
        // Without the bound a cut tail cannot be told from a lost one; every other check still holds.
        Tail::Missing | Tail::Damaged => Position::START,
    };
    let (mut segments, last) = open_sealed(vfs, &log_dir, identity.id, safe_to)?;
    let end = segments
        .last()
        .and_then(|segment: &Arc<Segment>| segment.seal)
        .map_or(Position::START, |seal| seal.end);
    let mut last_recorded =
        segments.last().and_then(|segment| segment.seal).map_or(Timestamp::MIN, |seal| seal.last_recorded);
    let mut recovered = None;
    let (open, committed, tail_events) = match last {
        Some(path) => {
            let tail = recover_tail(vfs, &path, identity.id, safe_to, options.segment_bytes)?;
            last_recorded = tail.open.recorded.map_or(last_recorded, |(_, last)| last);
            recovered = tail.recovered;
            (tail.open, tail.next, tail.records)
        }
        None if end < safe_to => {
            let what = format!("the log ends at position {end}, but {safe_to} was acknowledged");
            return Err(damaged(&log_dir, 0, what).into());
        }
        None => {
            let open = create_segment(vfs, &log_dir, identity.id, end, options.segment_bytes);
            (open.map_err(io("creating a segment in", &log_dir))?, end, Vec::new())
        }
    };
    segments.push(Arc::clone(&open.segment));
    let log = Arc::new(Log::new(segments, committed));
    let index = open_index(options, dir, &log, open.segment.base(), &tail_events)?;
    let schemas = match load_schemas(&log, &index, &identity, options) {
        // A damaged index run never keeps the log from opening.
        Err(_) if index.is_damaged() => {
            rebuild_damaged(&log, &index)?;
            load_schemas(&log, &index, &identity, options)?
        }
        schemas => schemas?,
    };
    Ok(Opened { identity, log, index: Arc::new(index), open, last_recorded, schemas, lock, recovered })
}

fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path: path.clone(), source }
}

fn names(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<String>, OpenError> {
    match vfs.list(dir) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io("listing", dir)(error)),
    }
}

/// Removes files that were being made when the process ended: nothing refers to them.
fn remove_unfinished(vfs: &dyn Vfs, dir: &Path) -> Result<(), OpenError> {
    for name in names(vfs, dir)?.iter().filter(|name| name.ends_with(".tmp")) {
        let path = dir.join(name);
        vfs.remove(&path).map_err(io("removing", &path))?;
    }
    Ok(())
}

/// The bases of all segments, in order.
pub(crate) fn segment_bases(vfs: &dyn Vfs, log_dir: &Path) -> Result<Vec<Position>, OpenError> {
    let mut bases: Vec<_> = names(vfs, log_dir)?.iter().filter_map(|name| base_in_name(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

fn identify(vfs: &dyn Vfs, dir: &Path, log_dir: &Path, options: &Options) -> Result<Identity, OpenError> {
    if let Some(identity) = Identity::read(vfs, dir)? {
        return Ok(identity);
    }
    if !segment_bases(vfs, log_dir)?.is_empty() {
        return Err(damaged(&store_path(dir), 0, "the file is missing, but there are segments").into());
    }
    let (id, created_at) = (StoreId::generate(), options.clock.now());
    let identity = Identity { format: FORMAT_OF_NEW, id, epoch: 0, created_at };
    vfs.sync_dir(dir).map_err(io("syncing", dir))?;
    identity.write(vfs, dir).map_err(io("writing", &store_path(dir)))?;
    Ok(identity)
}

type SealedAndLast = (Vec<Arc<Segment>>, Option<std::path::PathBuf>);

/// Opens every sealed segment; gives the path of the last one if it is not sealed.
fn open_sealed(
    vfs: &dyn Vfs,
    log_dir: &Path,
    store: StoreId,
    safe_to: Position,
) -> Result<SealedAndLast, OpenError> {
    let bases = segment_bases(vfs, log_dir)?;
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(bases.len());
    let mut expected = Position::START;
    for (at, base) in bases.iter().enumerate() {
        let path = log_dir.join(crate::segment::segment_name(*base));
        if *base != expected {
            let what = format!("a segment of position {expected} is missing before this one");
            return Err(damaged(&path, 0, what).into());
        }
        let file = vfs.open(&path, OpenMode::Write).map_err(io("opening", &path))?;
        let header = Segment::read_header(&path, &*file, store)?;
        let is_last = at + 1 == bases.len();
        let seal = match Segment::read_seal(&*file).map_err(io("reading", &path))? {
            Some(seal) => seal,
            None if is_last => return Ok((segments, Some(path))),
            None => find_seal(&path, &*file, &header)?,
        };
        if is_last && seal.end > safe_to {
            let bytes = Segment::read_whole(&path, &*file)?;
            keep(&path, &*file, &bytes[HEADER_BYTES..], HEADER_BYTES as u64)?;
        }
        expected = seal.end;
        let count = seal.end.0 - base.0;
        let offsets = match open_table(vfs, &path, &header, count) {
            Some(offsets) => offsets,
            None => rebuild_table(vfs, &path, &*file, &header, count)?,
        };
        segments.push(Arc::new(Segment { path, header, file, offsets, seal: Some(seal) }));
    }
    Ok((segments, None))
}

/// The seal of a segment that was not cut off behind it: a crash came between.
fn find_seal(path: &Path, file: &dyn crate::vfs::VfsFile, header: &SegmentHeader) -> Result<Seal, OpenError> {
    let bytes = Segment::read_whole(path, file)?;
    let walked = walk(&bytes, header, Position::START, |_| {});
    match walked.end {
        WalkEnd::Sealed(seal) => {
            file.set_len(seal.offset + FRAME_BYTES as u64).map_err(io("cutting off", path))?;
            file.sync_data().map_err(io("syncing", path))?;
            Ok(seal)
        }
        WalkEnd::Damaged(what) | WalkEnd::Torn(what) => Err(damaged(path, walked.offset, what).into()),
        WalkEnd::Clean => {
            Err(damaged(path, walked.offset, "the seal is missing, but a later segment exists").into())
        }
    }
}

fn rebuild_table(
    vfs: &dyn Vfs,
    path: &Path,
    file: &dyn crate::vfs::VfsFile,
    header: &SegmentHeader,
    count: u64,
) -> Result<Offsets, OpenError> {
    let bytes = Segment::read_whole(path, file)?;
    let mut offsets = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(bytes.len() / 64));
    let walked = walk(&bytes, header, Position::START, |step| offsets.push(step.offset as u32));
    if let WalkEnd::Damaged(what) | WalkEnd::Torn(what) = walked.end {
        return Err(damaged(path, walked.offset, what).into());
    }
    // A table that cannot be written is kept in memory: it is only ever a copy.
    let written = write_table(vfs, path, header, &offsets).is_ok();
    match open_table(vfs, path, header, count).filter(|_| written) {
        Some(table) => Ok(table),
        None => Ok(Offsets::Memory(Arc::new(std::sync::RwLock::new(offsets)))),
    }
}

/// Writes `bytes` once more where they stand, and syncs.
///
/// What a process before this one wrote and did not sync may be shown by the system's cache and still never reach the
/// disk: after a failed sync the cache calls such pages clean. Nothing may be built on them.
fn keep(path: &Path, file: &dyn crate::vfs::VfsFile, bytes: &[u8], at: u64) -> Result<(), OpenError> {
    file.write_all_at(bytes, at).map_err(io("writing", path))?;
    file.sync_data().map_err(io("syncing", path))
}

/// Where the first frame starts that is not known to be safe.
fn first_unsafe(header: &SegmentHeader, offsets: &[u32], safe_to: Position) -> u64 {
    let safe_here = safe_to.0.saturating_sub(header.base.0);
    match offsets.get(safe_here as usize) {
        _ if safe_here == 0 => HEADER_BYTES as u64,
        // `safe_to` is always the end of a commit, so that a frame starts there.
        Some(record) => u64::from(*record) - FRAME_BYTES as u64,
        None => u64::MAX,
    }
}

struct RecoveredTail {
    open: OpenSegment,
    next: Position,
    records: Vec<Record>,
    recovered: Option<String>,
}

/// Reads the last segment to its end, and cuts a torn tail back to the last whole commit.
fn recover_tail(
    vfs: &dyn Vfs,
    path: &Path,
    store: StoreId,
    safe_to: Position,
    segment_bytes: u64,
) -> Result<RecoveredTail, OpenError> {
    let file = vfs.open(path, OpenMode::Write).map_err(io("opening", path))?;
    let header = Segment::read_header(path, &*file, store)?;
    let bytes = Segment::read_whole(path, &*file)?;
    let (mut offsets, mut records) = (Vec::new(), Vec::new());
    let walked = walk(&bytes, &header, safe_to, |step| {
        offsets.push(step.offset as u32);
        records.push(step.record);
    });
    let length = bytes.len() as u64;
    let mut recovered = None;
    // What stands behind the last commit must never be taken for a frame once something is written before it.
    let mut zeros = 0;
    match &walked.end {
        WalkEnd::Damaged(what) => return Err(damaged(path, walked.offset, what.clone()).into()),
        WalkEnd::Torn(what) => {
            let dirty = bytes.iter().rposition(|byte| *byte != 0).map_or(walked.offset, |at| at as u64 + 1);
            zeros = dirty.saturating_sub(walked.offset) as usize;
            recovered = Some(format!(
                "{zeros} bytes at byte {} of {} were never acknowledged and are cut off: {what}",
                walked.offset,
                path.display()
            ));
        }
        // A crash came after the seal was written and before the file was cut off behind it. Write on over the seal: no
        // later segment exists.
        WalkEnd::Sealed(_) => zeros = FRAME_BYTES,
        WalkEnd::Clean => {}
    }
    if zeros > 0 || walked.next > safe_to {
        let from = first_unsafe(&header, &offsets, safe_to).min(walked.offset);
        let mut again = bytes[from as usize..walked.offset as usize].to_vec();
        again.resize(again.len() + zeros, 0);
        keep(path, &*file, &again, from)?;
    }
    let open = OpenSegment {
        segment: Arc::new(Segment::open(path.to_owned(), header, file, offsets)),
        tail: walked.offset,
        zeroed: length.max(walked.offset),
        limit: segment_bytes.max(length).max(HEADER_BYTES as u64),
        link: walked.link,
        recorded: walked.recorded,
    };
    Ok(RecoveredTail { open, next: walked.next, records, recovered })
}

/// Opens the indexes and gives them what they lack.
fn open_index(
    options: &Options,
    dir: &Path,
    log: &Log,
    open_base: Position,
    tail: &[Record],
) -> Result<Index, OpenError> {
    let index_dir = dir.join("index");
    let failed = |error: IndexError| OpenError::Damaged(error.into());
    let OpenedIndex { index, missing, dropped: _ } =
        Index::open(Arc::clone(&options.vfs), &index_dir, open_base.0).map_err(failed)?;
    for range in missing {
        rebuild_from_log(log, index.rebuild(range))?;
    }
    index.insert(&events_of(tail));
    Ok(index)
}

/// The schemas that were registered in this store.
fn load_schemas(
    log: &Arc<Log>,
    index: &Index,
    identity: &Identity,
    options: &Options,
) -> Result<SchemaRegistry, OpenError> {
    let mut schemas = SchemaRegistry::default();
    let Ok(stream) = StreamName::new(SCHEMAS_STREAM) else { return Ok(schemas) };
    let snapshot =
        Snapshot::take(log, index, &Checkpoint::before(identity.id, identity.epoch, Position::START));
    let mut reader = match EngineReader::new(snapshot, Read::stream(stream), &*options.clock) {
        Err(ReadError::StreamNotFound { .. }) => return Ok(schemas),
        reader => reader?,
    };
    while let Some(page) = reader.page()? {
        for event in page.events {
            let place = || format!("position {}", event.position());
            schemas
                .apply(&event)
                .map_err(|error| ReadError::Damaged { place: place(), what: error.to_string() })?;
        }
    }
    Ok(schemas)
}
