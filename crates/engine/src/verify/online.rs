//! Walking everything that an open store holds, while appends, scavenges and redactions go on.
//!
//! What is walked is a snapshot: the runs of the index, then the committed end, then the segments, in this order. Each is held
//! open, so that a segment that is written anew meanwhile, or a run that is merged away, can be read to its end. What a scavenge
//! removes between two of the three steps makes the log less than its index, never more.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use factum_core::{Position, ReadError};

use super::{Damage, Verified, Walker};
use crate::backup::used_bytes;
use crate::engine::Engine;
use crate::index::RunSums;
use crate::segment::Segment;
use crate::segment::format::Record;
use crate::segment::walk::{WalkEnd, Walked};
use crate::vfs::OpenMode;

impl Engine {
    /// Walks everything that is committed now, and the index of what is sealed: every record, checksum and link, the seals, the
    /// tables of offsets, and whether the index says what the log says. Appends, reads, scavenges and redactions go on. `progress` is
    /// told the bytes read so far and their total; where it breaks off, the answer is `None`.
    ///
    /// Memory grows with the size of one segment. What is in memory only (the index of the open segment) is not checked.
    ///
    /// # Errors
    /// Only where the store is closed or its end cannot be found. Damage is reported, not an error.
    pub fn verify_while(
        &self,
        mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Option<Verified>, ReadError> {
        let shared = self.shared();
        let mut runs = shared.index.runs();
        let end = shared.log.committed();
        let segments = shared.log.segments();
        // Whatever covers more is of a commit that nobody was told of yet.
        runs.retain(|run| run.range().1 <= end.0);
        let mut walker = Walker::new(&*shared.vfs, &shared.identity);
        if let Err(error) = walker.tail(&shared.dir) {
            walker.damage(&crate::identity::tail_path(&shared.dir), 0, error.to_string(), true);
        }
        let inside = |segment: &&Arc<Segment>| segment.base() < end || segment.base() == Position::START;
        let plan: Vec<_> = segments.iter().filter(inside).collect();
        let total = plan.iter().filter_map(|segment| used_bytes(segment, end).ok()).sum();
        let mut indexed = Indexed { runs, next: 0 };
        for segment in plan {
            if segment.base() != walker.report.end {
                let (at, base) = (walker.report.end, segment.base());
                let what = format!("the log is at position {at} here, the segment starts at {base}");
                walker.damage(&segment.path, 0, what, false);
                walker.report.end = base;
            }
            walker.shared_segment(segment, end, &mut indexed);
            if progress(walker.report.bytes, total).is_break() {
                return Ok(None);
            }
        }
        if walker.report.end < end {
            let what = format!("the log ends at position {}, but {end} is committed", walker.report.end);
            walker.damage(&shared.dir.join("log"), 0, what, false);
        }
        for run in &indexed.runs {
            if let Some((place, what)) = run.fault() {
                walker.report.damage.push(Damage { place, what, rebuilt_on_open: true });
            }
            if progress(total, total).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(walker.report))
    }
}

/// The runs, and which of them the next record may be in.
struct Indexed {
    /// In order of position, without overlap.
    runs: Vec<RunSums>,
    next: usize,
}

impl Indexed {
    fn see(&mut self, record: &Record) {
        let position = record.position().0;
        while self.runs.get(self.next).is_some_and(|run| run.range().1 <= position) {
            self.next += 1;
        }
        let Some(run) = self.runs.get_mut(self.next).filter(|run| run.range().0 <= position) else { return };
        match record {
            Record::Event(event) if !event.is_redacted() => run.expect(event),
            Record::Event(_) | Record::Removed { .. } => run.expect_something(),
        }
    }
}

impl Walker<'_> {
    /// A segment that readers and perhaps the writer have open, up to the committed end.
    fn shared_segment(&mut self, segment: &Segment, end: Position, indexed: &mut Indexed) {
        let path = &segment.path;
        let read = Segment::read_header(path, &*segment.file, self.report.store)
            .and_then(|header| Ok((header, read_used(segment, end)?)));
        let (header, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                self.report.segments += 1;
                let (place, what) = match error {
                    ReadError::Damaged { place, what } => (place, what),
                    other => (path.display().to_string(), other.to_string()),
                };
                self.report.damage.push(Damage { place, what, rebuilt_on_open: false });
                // What stands here is not known to be there: the next segment says where it goes on.
                return;
            }
        };
        let (walked, offsets) = self.walk(path, &header, &bytes, end, |step| indexed.see(&step.record));
        match (&segment.seal, &walked.end) {
            (Some(_), _) => self.end_of_segment(path, &header, &walked, false, &bytes),
            (None, WalkEnd::Clean) if walked.next == end => {}
            (None, _) => self.end_of_open(path, &walked, end),
        }
        // Somebody else took the file away: the store would not open again.
        if self.vfs.open(path, OpenMode::Read).is_err() {
            self.damage(path, 0, "the file is not there any more, or cannot be opened", false);
        }
        let same = segment.offsets.get(0, offsets.len()).is_ok_and(|entries| entries == offsets);
        if !same && matches!(walked.end, WalkEnd::Sealed(_)) {
            let table = crate::segment::offsets::table_path(path);
            self.damage(&table, 0, "the offset table is not that of its segment", true);
        }
    }

    /// The open segment ends at the committed end, and nothing of it is torn before that.
    fn end_of_open(&mut self, path: &Path, walked: &Walked, end: Position) {
        let what = match &walked.end {
            WalkEnd::Damaged(what) | WalkEnd::Torn(what) => what.clone(),
            WalkEnd::Sealed(_) | WalkEnd::Clean => {
                format!("the log ends at position {} here, but {end} is committed", walked.next)
            }
        };
        self.damage(path, walked.offset, what, false);
    }
}

/// The bytes of a segment up to the committed end: what follows is being written.
fn read_used(segment: &Segment, end: Position) -> Result<Bytes, ReadError> {
    let mut bytes = vec![0; used_bytes(segment, end)? as usize];
    segment
        .file
        .read_exact_at(&mut bytes, 0)
        .map_err(|error| crate::segment::failed(&segment.path, 0, error))?;
    Ok(Bytes::from(bytes))
}
