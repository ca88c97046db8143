//! Room at the end of the log: zeros ahead of use, and the next segment when this one is full.

use std::io;
use std::path::Path;
use std::sync::Arc;

use factum_core::{AppendError, Position, StoreId};

use super::group::Group;
use super::{OpenSegment, Writer};
use crate::identity::write_tail;
use crate::segment::format::{FORMAT_OF_NEW, FRAME_BYTES, HEADER_BYTES, Seal, SegmentHeader, header_link};
use crate::segment::offsets::Offsets;
use crate::segment::{Segment, segment_name};
use crate::vfs::{OpenMode, Vfs};

/// Zeros written ahead of use at a time, in bytes. Overwriting zeros halves the sync on ext4: the file does not grow.
const ZERO_AHEAD_BYTES: u64 = 1024 * 1024;
/// Bytes that one write of zeros takes from.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Largest segment: offsets of records are 32 bits.
const MAX_SEGMENT_BYTES: u64 = u32::MAX as u64;

impl Writer {
    /// Whether so many bytes fit behind the tail, with a seal after them.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.open.tail + bytes + FRAME_BYTES as u64 <= self.open.limit
    }

    /// Makes sure that `bytes` fit behind the group, and that the file is zeros there.
    ///
    /// A disk that is full is noticed here, before anything is decided or written.
    pub(super) fn make_room(&mut self, group: &Group, bytes: u64) -> Result<(), AppendError> {
        if group.is_empty() && !self.has_room(bytes) {
            self.roll(bytes)?;
        }
        let needed = self.open.tail + group.bytes() + bytes + FRAME_BYTES as u64;
        if needed > self.open.zeroed {
            let to = needed.max((self.open.zeroed + ZERO_AHEAD_BYTES).min(self.open.limit));
            self.zero(to).map_err(|error| self.out_of_room(error))?;
        }
        Ok(())
    }

    fn zero(&mut self, to: u64) -> io::Result<()> {
        write_zeros(&*self.open.segment.file, self.open.zeroed, to)?;
        self.open.zeroed = to;
        Ok(())
    }

    fn out_of_room(&mut self, error: io::Error) -> AppendError {
        if error.kind() == io::ErrorKind::StorageFull {
            return AppendError::DiskFull;
        }
        let cause = Arc::new(error);
        self.stopped = Some(Arc::clone(&cause));
        AppendError::Stopped { cause }
    }

    /// Seals the open segment and opens the next. The next one is safe on disk before the old one is sealed, so that a
    /// full disk changes nothing.
    fn roll(&mut self, bytes: u64) -> Result<(), AppendError> {
        let base = self.log.committed();
        if base == self.open.segment.base() {
            // Nothing in it yet: it only has to be larger for this one append.
            self.open.limit = (self.open.tail + bytes + FRAME_BYTES as u64).min(MAX_SEGMENT_BYTES);
            return Ok(());
        }
        let log_dir = self.dir.join("log");
        let header = SegmentHeader { format: FORMAT_OF_NEW, generation: 0, base, store: self.identity.id };
        let limit = self.segment_bytes.max(HEADER_BYTES as u64 + bytes + FRAME_BYTES as u64);
        let (beside, zeroed, made) = match self.spare.as_ref().and_then(|spare| spare.take(limit)) {
            Some((path, bytes)) => {
                let made = write_header(&*self.vfs, &path, &header);
                (path, bytes, made)
            }
            None => {
                let path = log_dir.join("next.tmp");
                let zeroed = limit
                    .min(ZERO_AHEAD_BYTES)
                    .max(HEADER_BYTES as u64 + bytes + FRAME_BYTES as u64)
                    .min(limit);
                let made = write_segment(&*self.vfs, &path, &header, zeroed);
                (path, zeroed, made)
            }
        };
        if let Err(error) = made {
            // Give back what was taken, so that small appends may still fit in the open segment.
            let removed = self.vfs.remove(&beside);
            drop(removed);
            return Err(self.out_of_room(error));
        }
        self.seal().map_err(|error| self.stop(error))?;
        let path = log_dir.join(segment_name(base));
        let renamed = self.vfs.rename(&beside, &path).and_then(|()| self.vfs.sync_dir(&log_dir));
        renamed.map_err(|error| self.stop(error))?;
        let file = self.vfs.open(&path, OpenMode::Write).map_err(|error| self.stop(error))?;
        let segment = Arc::new(Segment::open(path, header, file, Vec::new()));
        self.open = OpenSegment {
            segment: Arc::clone(&segment),
            tail: HEADER_BYTES as u64,
            zeroed,
            limit,
            link: header_link(&header.encode()),
            recorded: None,
        };
        self.log.put_segment(segment);
        self.index.freeze();
        self.upkeep.request();
        Ok(())
    }

    /// Seals the open segment if it holds this position, which is committed. There is no group under way.
    pub(crate) fn seal_if_open(&mut self, position: Position) -> Result<(), AppendError> {
        if let Some(cause) = &self.stopped {
            return Err(AppendError::Stopped { cause: Arc::clone(cause) });
        }
        if position < self.open.segment.base() { Ok(()) } else { self.roll(0) }
    }

    fn stop(&mut self, error: io::Error) -> AppendError {
        let cause = Arc::new(error);
        self.stopped = Some(Arc::clone(&cause));
        AppendError::Stopped { cause }
    }

    fn seal(&mut self) -> io::Result<()> {
        let end = self.log.committed();
        let (first_recorded, last_recorded) = self.open.recorded.unwrap_or_default();
        let old = &self.open.segment;
        let (offset, link) = (self.open.tail, self.open.link);
        let place = old.header.place(offset);
        let seal = Seal { end, offset, first_recorded, last_recorded, link, place };
        old.file.write_all_at(&seal.encode(), self.open.tail)?;
        old.file.sync_data()?;
        old.file.set_len(self.open.tail + FRAME_BYTES as u64)?;
        old.file.sync_data()?;
        write_tail(&*self.vfs, &self.dir, end)?;
        let offsets = match &old.offsets {
            Offsets::Memory(offsets) => Offsets::Memory(Arc::clone(offsets)),
            Offsets::File { file, count } => Offsets::File { file: Arc::clone(file), count: *count },
        };
        self.log.put_segment(Arc::new(Segment {
            path: old.path.clone(),
            header: old.header,
            file: Arc::clone(&old.file),
            offsets,
            seal: Some(seal),
        }));
        Ok(())
    }
}

fn write_zeros(file: &dyn crate::vfs::VfsFile, mut from: u64, to: u64) -> io::Result<()> {
    while from < to {
        let take = (to - from).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..take as usize], from)?;
        from += take;
    }
    Ok(())
}

/// Writes a new segment under `path` and syncs it: header and zeros.
fn write_segment(vfs: &dyn Vfs, path: &Path, header: &SegmentHeader, zeroed: u64) -> io::Result<()> {
    match vfs.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = vfs.open(path, OpenMode::CreateNew)?;
    file.write_all_at(&header.encode(), 0)?;
    write_zeros(&*file, HEADER_BYTES as u64, zeroed)?;
    file.sync_data()
}

/// Makes a segment of a file of zeros.
fn write_header(vfs: &dyn Vfs, path: &Path, header: &SegmentHeader) -> io::Result<()> {
    let file = vfs.open(path, OpenMode::Write)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_data()
}

/// Creates the segment that starts at `base` in `log_dir`.
pub(crate) fn create_segment(
    vfs: &dyn Vfs,
    log_dir: &Path,
    store: StoreId,
    base: Position,
    segment_bytes: u64,
) -> io::Result<OpenSegment> {
    let header = SegmentHeader { format: FORMAT_OF_NEW, generation: 0, base, store };
    let (beside, path) = (log_dir.join("next.tmp"), log_dir.join(segment_name(base)));
    let zeroed = segment_bytes.min(ZERO_AHEAD_BYTES);
    write_segment(vfs, &beside, &header, zeroed)?;
    vfs.rename(&beside, &path)?;
    vfs.sync_dir(log_dir)?;
    let file = vfs.open(&path, OpenMode::Write)?;
    Ok(OpenSegment {
        segment: Arc::new(Segment::open(path, header, file, Vec::new())),
        tail: HEADER_BYTES as u64,
        zeroed,
        limit: segment_bytes,
        link: header_link(&header.encode()),
        recorded: None,
    })
}
