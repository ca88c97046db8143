//! Walking everything that a store holds, and naming the place of any damage.

mod online;

use std::io;
use std::path::Path;

use bytes::Bytes;
use factum_core::{Position, StoreId, Timestamp};
use sha2::{Digest, Sha256};

use crate::identity::{Identity, Tail, read_tail, tail_path};
use crate::open::segment_bases;
use crate::options::OpenError;
use crate::segment::format::{Record, SegmentHeader};
use crate::segment::offsets::{check_table, open_table};
use crate::segment::walk::{Step, WalkEnd, Walked, walk};
use crate::segment::{Segment, segment_name};
use crate::vfs::{OpenMode, Vfs};

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File and byte.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// Whether opening the store mends it: everything but the log itself is rebuilt.
    pub rebuilt_on_open: bool,
}

/// What a walk over a whole store found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The store.
    pub store: StoreId,
    /// Position after the last whole event.
    pub end: Position,
    /// Events that are there, also those that were redacted.
    pub events: u64,
    /// Events of which only the place, the proof and the reason are there, since they were redacted.
    pub redacted: u64,
    /// Events that a scavenge removed, whose proof is there.
    pub removed: u64,
    /// Segments walked.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The root of the proof over all events: equal roots, equal histories.
    pub root: [u8; 32],
    /// An append that was never acknowledged and will be cut off: no damage.
    pub torn_tail: Option<String>,
    /// Everything that is wrong, in log order. Empty: the store is whole.
    pub damage: Vec<Damage>,
}

impl Verified {
    /// The root as text.
    pub fn root_hex(&self) -> String {
        use std::fmt::Write as _;
        self.root.iter().fold(String::new(), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

struct Walker<'a> {
    vfs: &'a dyn Vfs,
    report: Verified,
    last_recorded: Timestamp,
    safe_to: Position,
}

/// Walks the store in `dir`, which no process may have open. `progress` is told the bytes read so far, and their total.
///
/// # Errors
/// Only where there is no store, or it cannot be read at all. Damage is reported, not an error.
pub fn verify(dir: &Path, vfs: &dyn Vfs, mut progress: impl FnMut(u64, u64)) -> Result<Verified, OpenError> {
    let identity = Identity::read(vfs, dir)?.ok_or_else(|| OpenError::NotFound { path: dir.to_owned() })?;
    let lock_path = dir.join("lock");
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action, path, source }
    };
    let lock = vfs.try_lock(&lock_path).map_err(io("locking", &lock_path))?;
    let _lock = lock.ok_or_else(|| OpenError::Locked { path: dir.to_owned() })?;
    let mut walker = Walker::new(vfs, &identity);
    walker.tail(dir).map_err(io("reading", &tail_path(dir)))?;
    let log_dir = dir.join("log");
    let bases = segment_bases(vfs, &log_dir)?;
    let paths: Vec<_> = bases.iter().map(|base| log_dir.join(segment_name(*base))).collect();
    let total =
        paths.iter().filter_map(|path| vfs.open(path, OpenMode::Read).and_then(|file| file.len()).ok()).sum();
    for (at, (base, path)) in bases.iter().zip(&paths).enumerate() {
        if *base != walker.report.end {
            let what =
                format!("the log is at position {} here, the segment starts at {base}", walker.report.end);
            walker.damage(path, 0, what, false);
            walker.report.end = *base;
        }
        walker.segment(path, &identity, at + 1 == paths.len());
        progress(walker.report.bytes, total);
    }
    if walker.report.end < walker.safe_to {
        let what = format!(
            "the log ends at position {}, but {} was acknowledged",
            walker.report.end, walker.safe_to
        );
        walker.damage(&log_dir, 0, what, false);
    }
    crate::index::verify_runs(vfs, &dir.join("index"), |place, what| {
        walker.report.damage.push(Damage { place, what, rebuilt_on_open: true });
    });
    Ok(walker.report)
}

impl<'a> Walker<'a> {
    fn new(vfs: &'a dyn Vfs, identity: &Identity) -> Self {
        let report = Verified {
            store: identity.id,
            end: Position::START,
            events: 0,
            redacted: 0,
            removed: 0,
            segments: 0,
            bytes: 0,
            root: [0; 32],
            torn_tail: None,
            damage: Vec::new(),
        };
        Self { vfs, report, last_recorded: Timestamp::MIN, safe_to: Position::START }
    }

    fn damage(&mut self, path: &Path, offset: u64, what: impl Into<String>, rebuilt_on_open: bool) {
        let place = format!("{} at byte {offset}", path.display());
        self.report.damage.push(Damage { place, what: what.into(), rebuilt_on_open });
    }

    fn tail(&mut self, dir: &Path) -> io::Result<()> {
        match read_tail(self.vfs, dir)? {
            Tail::SafeTo(position) => self.safe_to = position,
            Tail::Missing => {}
            Tail::Damaged => {
                self.damage(&tail_path(dir), 0, "the note of how far the log is safe is damaged", true);
            }
        }
        Ok(())
    }

    fn segment(&mut self, path: &Path, identity: &Identity, is_last: bool) {
        let opened = Segment::file(self.vfs, path).and_then(|file| {
            let header = Segment::read_header(path, &*file, identity.id)?;
            Ok((header, Segment::read_whole(path, &*file)?))
        });
        let (header, bytes) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.report.segments += 1;
                let place = path.display().to_string();
                self.report.damage.push(Damage { place, what: error.to_string(), rebuilt_on_open: false });
                return;
            }
        };
        let safe_to = if is_last { self.safe_to } else { Position::START };
        let (walked, offsets) = self.walk(path, &header, &bytes, safe_to, |_| {});
        self.end_of_segment(path, &header, &walked, is_last, &bytes);
        self.table(path, &header, &walked, &offsets);
    }

    /// Walks one segment's bytes, and counts what they hold. `each` sees the steps. Gives back where it ended, and where each
    /// record starts.
    fn walk(
        &mut self,
        path: &Path,
        header: &SegmentHeader,
        bytes: &Bytes,
        safe_to: Position,
        mut each: impl FnMut(&Step),
    ) -> (Walked, Vec<u32>) {
        self.report.segments += 1;
        self.report.bytes += bytes.len() as u64;
        let mut offsets = Vec::new();
        let mut backwards = None;
        let report = &mut self.report;
        let last_recorded = &mut self.last_recorded;
        let walked = walk(bytes, header, safe_to, |step| {
            each(&step);
            match &step.record {
                Record::Event(event) => {
                    report.events += 1;
                    report.redacted += u64::from(event.is_redacted());
                }
                Record::Removed { .. } => report.removed += 1,
            }
            let leaf = step.record.leaf(&step.bytes);
            report.root = Sha256::new().chain_update(report.root).chain_update(leaf).finalize().into();
            if step.record.recorded_at() < *last_recorded {
                backwards.get_or_insert(step.offset);
            }
            *last_recorded = (*last_recorded).max(step.record.recorded_at());
            offsets.push(step.offset as u32);
        });
        self.report.end = walked.next;
        if let Some(offset) = backwards {
            self.damage(path, offset, "an event was recorded before the one that stands before it", false);
        }
        (walked, offsets)
    }

    fn end_of_segment(
        &mut self,
        path: &Path,
        header: &SegmentHeader,
        walked: &Walked,
        is_last: bool,
        bytes: &[u8],
    ) {
        match &walked.end {
            WalkEnd::Damaged(what) => self.damage(path, walked.offset, what.clone(), false),
            WalkEnd::Torn(what) if is_last => {
                self.report.torn_tail = Some(format!("{} at byte {}: {what}", path.display(), walked.offset));
            }
            WalkEnd::Torn(what) => self.damage(path, walked.offset, what.clone(), false),
            WalkEnd::Clean if !is_last => {
                self.damage(path, walked.offset, "the seal is missing, but a later segment exists", false);
            }
            WalkEnd::Sealed(seal) => {
                let times = walked.recorded.unwrap_or_default();
                if header.base < seal.end && times != (seal.first_recorded, seal.last_recorded) {
                    self.damage(path, seal.offset, "the seal gives other times than the events", false);
                }
                let after = seal.offset as usize + crate::segment::format::FRAME_BYTES;
                if bytes.len() > after && bytes[after..].iter().any(|byte| *byte != 0) {
                    self.damage(path, after as u64, "something stands behind the seal", false);
                }
            }
            WalkEnd::Clean => {}
        }
    }

    /// Compares the offset table of a sealed segment with what the walk found.
    fn table(&mut self, path: &Path, header: &SegmentHeader, walked: &Walked, offsets: &[u32]) {
        let table = crate::segment::offsets::table_path(path);
        let exists = self.vfs.open(&table, OpenMode::Read).is_ok();
        if !exists || !matches!(walked.end, WalkEnd::Sealed(_)) {
            return;
        }
        let count = offsets.len() as u64;
        let same = open_table(self.vfs, path, header, count)
            .and_then(|table| table.get(0, offsets.len()).ok())
            .is_some_and(|entries| entries == offsets);
        if !same || !check_table(self.vfs, path).unwrap_or(false) {
            self.damage(&table, 0, "the offset table is not that of its segment", true);
        }
    }
}
