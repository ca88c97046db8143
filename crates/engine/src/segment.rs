//! One segment file: opening it, and reading records from it by position.

pub(crate) mod format;
pub(crate) mod offsets;
pub(crate) mod walk;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use factum_core::{Position, ReadError, StoreId, Timestamp};

use crate::vfs::{OpenMode, Vfs, VfsFile};
use format::{FRAME_BYTES, Fault, HEADER_BYTES, Record, Seal, SegmentHeader, decode_record, record_length};
use offsets::Offsets;

/// Most bytes read from a segment at once. Just under the size from which allocators ask the system for each buffer.
const BLOCK_BYTES: u64 = 120 * 1024;
/// Most bytes that one read can need: a block and one event of the largest size with its frame.
const MAX_READ_BYTES: u64 = BLOCK_BYTES + 2 * factum_core::limits::MAX_EVENT_BYTES as u64;

/// A segment that readers share. What it holds never changes; an open one grows at its end.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) offsets: Offsets,
    /// `None` while it is open.
    pub(crate) seal: Option<Seal>,
}

/// Name of the segment that starts at `base`.
pub(crate) fn segment_name(base: Position) -> String {
    format!("{base:020}.seg")
}

/// The base position in a segment's file name.
pub(crate) fn base_in_name(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Position)).flatten()
}

impl Segment {
    pub(crate) fn base(&self) -> Position {
        self.header.base
    }

    /// Reads and checks a segment's header.
    pub(crate) fn read_header(
        path: &Path,
        file: &dyn VfsFile,
        store: StoreId,
    ) -> Result<SegmentHeader, ReadError> {
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(path, 0, "the file is shorter than a segment header"));
            }
            Err(error) => return Err(failed(path, 0, error)),
        }
        let header = SegmentHeader::decode(&bytes).map_err(|Fault(what)| damaged(path, 0, what))?;
        if header.store != store {
            return Err(damaged(
                path,
                24,
                format!("the segment belongs to store {}, not to {store}", header.store),
            ));
        }
        if path.file_name().and_then(|name| name.to_str()).and_then(base_in_name) != Some(header.base) {
            return Err(damaged(
                path,
                16,
                format!("the segment starts at position {}, not as its name says", header.base),
            ));
        }
        Ok(header)
    }

    /// The seal at the end of the file, where a sealed segment has it.
    pub(crate) fn read_seal(file: &dyn VfsFile) -> io::Result<Option<Seal>> {
        let len = file.len()?;
        let Some(at) = len.checked_sub(FRAME_BYTES as u64) else { return Ok(None) };
        let mut bytes = [0; FRAME_BYTES];
        file.read_exact_at(&mut bytes, at)?;
        Ok(Seal::decode(&bytes).filter(|seal| seal.offset == at))
    }

    /// The open segment, with the offsets of what it holds so far.
    pub(crate) fn open(
        path: PathBuf,
        header: SegmentHeader,
        file: Arc<dyn VfsFile>,
        offsets: Vec<u32>,
    ) -> Self {
        Self { path, header, file, offsets: Offsets::Memory(Arc::new(RwLock::new(offsets))), seal: None }
    }

    /// Opens a file that is there, for reading.
    pub(crate) fn file(vfs: &dyn Vfs, path: &Path) -> Result<Arc<dyn VfsFile>, ReadError> {
        vfs.open(path, OpenMode::Read).map_err(|error| failed(path, 0, error))
    }

    /// The whole file.
    pub(crate) fn read_whole(path: &Path, file: &dyn VfsFile) -> Result<Bytes, ReadError> {
        let len = file.len().map_err(|error| failed(path, 0, error))?;
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|error| failed(path, 0, error))?;
        Ok(Bytes::from(bytes))
    }

    /// The bytes of the file from `start` to `end`.
    fn bytes(&self, start: u64, end: u64) -> Result<Bytes, ReadError> {
        // Checked before anything is allocated: a damaged table must not ask for gigabytes.
        let Some(length) = end.checked_sub(start).filter(|length| *length <= MAX_READ_BYTES) else {
            return Err(damaged(&self.path, start, "the offset table is not in order"));
        };
        let mut buffer = vec![0; length as usize];
        self.file.read_exact_at(&mut buffer, start).map_err(|error| failed(&self.path, start, error))?;
        Ok(Bytes::from(buffer))
    }

    /// Records of a range of positions, in order, from one read of the file. Stops early after about
    /// `BLOCK_BYTES`, or before the first record that is not near the one before it; at least one record is read.
    pub(crate) fn read(&self, positions: Range<u64>) -> Result<Vec<Record>, ReadError> {
        let count = (positions.end - positions.start) as usize;
        let base = self.header.base.0;
        let entries = self.entries(positions.start - base, count + 1)?;
        let Some(&start) = entries.first() else {
            return Err(damaged(
                &self.path,
                0,
                format!("position {} has no entry in the offset table", positions.start),
            ));
        };
        let mut take = entries.len().min(count);
        let near = |offset: &u32| u64::from(*offset).saturating_sub(u64::from(start)) <= BLOCK_BYTES;
        take = entries[..take].partition_point(near).max(1);
        let end = match entries.get(take) {
            Some(next) => u64::from(*next),
            None => self.record_end(u64::from(entries[take - 1]))?,
        };
        let buffer = self.bytes(u64::from(start), end)?;
        let mut records = Vec::with_capacity(take);
        for (index, offset) in entries[..take].iter().enumerate() {
            let at = (offset.wrapping_sub(start)) as usize;
            records.push(self.record_in(&buffer, at, u64::from(*offset), positions.start + index as u64)?);
        }
        Ok(records)
    }

    /// The first position of the range from which the rest of it fits one block; at least its last one.
    pub(crate) fn near_end(&self, positions: Range<u64>) -> Result<u64, ReadError> {
        let entries =
            self.entries(positions.start - self.header.base.0, (positions.end - positions.start) as usize)?;
        let last = u64::from(entries.last().copied().unwrap_or(0));
        let far = entries.partition_point(|offset| last.saturating_sub(u64::from(*offset)) > BLOCK_BYTES);
        Ok((positions.start + far as u64).min(positions.end - 1))
    }

    /// The records of these positions, which ascend and lie in this segment. Near ones share one read.
    pub(crate) fn read_some(&self, positions: &[u64], out: &mut Vec<Record>) -> Result<(), ReadError> {
        /// Records closer than this are fetched together: copying so much costs no more than one more system call.
        const NEAR_BYTES: u64 = 4 * 1024;
        let mut from = 0;
        while from < positions.len() {
            let first = positions[from];
            // A dense run of positions needs one look at the table for all of them.
            let mut to = from + 1;
            while to < positions.len() && positions[to] - positions[to - 1] <= 8 {
                to += 1;
            }
            let entries =
                self.entries(first - self.header.base.0, (positions[to - 1] - first) as usize + 2)?;
            let entry = |position: u64| entries.get((position - first) as usize).copied();
            let mut at = from;
            while at < to {
                let Some(start) = entry(positions[at]) else {
                    return Err(damaged(&self.path, 0, format!("position {} has no entry", positions[at])));
                };
                let mut last = at;
                while last + 1 < to
                    && let (Some(here), Some(next), Some(after)) =
                        (entry(positions[last]), entry(positions[last] + 1), entry(positions[last + 1]))
                    && here < next
                    && u64::from(after).saturating_sub(u64::from(next)) <= NEAR_BYTES
                    && u64::from(after).saturating_sub(u64::from(start)) <= BLOCK_BYTES
                {
                    last += 1;
                }
                let end = match entry(positions[last] + 1) {
                    Some(end) => u64::from(end),
                    None => self.record_end(u64::from(entry(positions[last]).unwrap_or(start)))?,
                };
                let buffer = self.bytes(u64::from(start), end)?;
                for position in &positions[at..=last] {
                    let offset = entry(*position).unwrap_or(start);
                    out.push(self.record_in(
                        &buffer,
                        offset.wrapping_sub(start) as usize,
                        u64::from(offset),
                        *position,
                    )?);
                }
                at = last + 1;
            }
            from = to;
        }
        Ok(())
    }

    fn entries(&self, from: u64, count: usize) -> Result<Vec<u32>, ReadError> {
        self.offsets.get(from, count).map_err(|error| failed(&offsets::table_path(&self.path), from, error))
    }

    /// Where the record of a committed position ends.
    pub(crate) fn end_of(&self, position: u64) -> Result<u64, ReadError> {
        let entries = self.entries(position - self.header.base.0, 1)?;
        let entry = entries
            .first()
            .ok_or_else(|| damaged(&self.path, 0, format!("position {position} has no entry")));
        self.record_end(u64::from(*entry?))
    }

    /// Where the record at `offset` ends, by its own length.
    fn record_end(&self, offset: u64) -> Result<u64, ReadError> {
        let mut head = [0; 8];
        self.file.read_exact_at(&mut head, offset).map_err(|error| failed(&self.path, offset, error))?;
        let length = u64::from(format::u32_at(&head, 4));
        let end = offset + length;
        if length < format::MIN_RECORD_BYTES as u64 {
            return Err(damaged(&self.path, offset, "a record's length overruns its segment"));
        }
        Ok(end)
    }

    fn record_in(&self, buffer: &Bytes, at: usize, offset: u64, position: u64) -> Result<Record, ReadError> {
        let rest = buffer.get(at..).unwrap_or_default();
        let record = record_length(rest)
            .and_then(|length| decode_record(&buffer.slice(at..at + length)))
            .map_err(|Fault(what)| damaged(&self.path, offset, what))?;
        if record.position().0 != position {
            let what = format!("position {} stands where {position} belongs", record.position());
            return Err(damaged(&self.path, offset, what));
        }
        Ok(record)
    }

    /// Recorded time of the first event.
    pub(crate) fn first_recorded(&self) -> Result<Option<Timestamp>, ReadError> {
        match self.seal {
            Some(seal) => Ok(Some(seal.first_recorded)),
            None if self.entries(0, 1)?.is_empty() => Ok(None),
            None => Ok(self.read(self.base().0..self.base().0 + 1)?.first().map(Record::recorded_at)),
        }
    }
}

/// A read error that names the place of damage.
pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> ReadError {
    ReadError::Damaged { place: format!("{} at byte {offset}", path.display()), what: what.into() }
}

/// A read error for a failed system call.
pub(crate) fn failed(path: &Path, offset: u64, error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return damaged(path, offset, "the file ends here, in the middle of something");
    }
    ReadError::Io { place: format!("{} at byte {offset}", path.display()), source: Arc::new(error) }
}
