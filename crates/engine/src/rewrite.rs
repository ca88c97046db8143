//! How is a sealed segment written anew beside its place, and put there in one step? For scavenges and redactions.
//!
//! A crash at any point leaves the old file or the new one. Positions stay, and the frames keep the groups that they were
//! committed in; offsets, links and places are those of the new file.

use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};

use factum_core::{Position, ReadError};

use crate::log::Log;
use crate::segment::format::{FRAME_BYTES, FrameHeader, HEADER_BYTES, Seal, SegmentHeader, header_link};
use crate::segment::offsets::{Offsets, open_table, write_table};
use crate::segment::walk::{Step, WalkEnd, walk};
use crate::segment::{Segment, damaged, failed};
use crate::vfs::{OpenMode, Vfs};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It stays as it is.
    None,
    /// Another one was written for it.
    Changed,
}

/// A segment as it is to be.
pub(crate) struct Rewritten {
    header: SegmentHeader,
    /// The whole file.
    pub(crate) bytes: Vec<u8>,
    offsets: Vec<u32>,
    /// Records that are not as they were.
    pub(crate) changed: u64,
    /// Length of the file as it was.
    pub(crate) bytes_before: u64,
}

/// Makes a sealed segment anew, in memory. `change` is shown each record, and may write another one for it.
///
/// # Errors
/// Where the segment cannot be read, or would pass what offsets can count.
pub(crate) fn rewrite(
    segment: &Segment,
    format: u32,
    mut change: impl FnMut(&Step, &mut Vec<u8>) -> Change,
) -> Result<Rewritten, ReadError> {
    let bytes = Segment::read_whole(&segment.path, &*segment.file)?;
    let header = SegmentHeader { format, generation: segment.header.generation + 1, ..segment.header };
    let mut rewrite = Rewrite::new(&header);
    let walked = walk(&bytes, &segment.header, Position::START, |step| {
        let out = rewrite.record(step.offset);
        match change(&step, out) {
            Change::None => out.extend_from_slice(&step.bytes),
            Change::Changed => rewrite.changed += 1,
        }
    });
    let WalkEnd::Sealed(seal) = walked.end else {
        return Err(damaged(&segment.path, walked.offset, "the segment does not end with its seal"));
    };
    let rewritten = rewrite.finish(&bytes, seal);
    if rewritten.bytes.len() as u64 > u64::from(u32::MAX) {
        let why = format!("{} would be larger than 4 GiB: no segment can be", segment.path.display());
        return Err(ReadError::Invalid { why });
    }
    Ok(rewritten)
}

impl Rewritten {
    /// Puts it in the place of `segment`, on disk and for readers. The caller has the right to replace segments.
    ///
    /// # Errors
    /// Where the disk refuses. The segment is then one or the other, and whole.
    pub(crate) fn put_in_place(self, vfs: &dyn Vfs, log: &Log, segment: &Segment) -> Result<(), ReadError> {
        let Self { header, bytes, offsets, .. } = self;
        let path = &segment.path;
        replace_file(vfs, path, &bytes).map_err(|error| failed(path, 0, error))?;
        // From here on the new file is the segment. Its table is only a copy of what the walk knows.
        let table = write_table(vfs, path, &header, &offsets)
            .ok()
            .and_then(|()| open_table(vfs, path, &header, offsets.len() as u64))
            .unwrap_or_else(|| Offsets::Memory(Arc::new(RwLock::new(offsets))));
        let file = vfs.open(path, OpenMode::Read).map_err(|error| failed(path, 0, error))?;
        let seal = Segment::read_seal(&*file).map_err(|error| failed(path, 0, error))?;
        log.put_segment(Arc::new(Segment { path: path.clone(), header, file, offsets: table, seal }));
        Ok(())
    }
}

fn replace_file(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let made = crate::vfs::replace(vfs, path, bytes);
    if made.is_err() {
        // What was half-written is worthless, and may be what fills the disk.
        drop(vfs.remove(&path.with_extension("tmp")));
    }
    made
}

/// A segment that is written anew, frame by frame.
struct Rewrite {
    header: SegmentHeader,
    out: Vec<u8>,
    /// Of each record: where it was, and where it is now.
    moved: Vec<(u64, u32)>,
    changed: u64,
    link: u32,
}

impl Rewrite {
    fn new(header: &SegmentHeader) -> Self {
        let head = header.encode();
        Self { header: *header, out: head.to_vec(), moved: Vec::new(), changed: 0, link: header_link(&head) }
    }

    /// Where the record that was at `offset` is to be appended. Room is left for its frame's header before the first.
    fn record(&mut self, offset: u64) -> &mut Vec<u8> {
        let follows = self.moved.last().is_none_or(|(before, _)| offset - before > 0);
        debug_assert!(follows, "records come in order");
        self.moved.push((offset, self.out.len() as u32));
        &mut self.out
    }

    /// Puts the frame headers between the records, and the seal behind them.
    fn finish(self, old: &[u8], seal: Seal) -> Rewritten {
        let records = self.out;
        let mut out = records[..HEADER_BYTES].to_vec();
        let mut link = self.link;
        let mut offsets = Vec::with_capacity(self.moved.len());
        let mut at = HEADER_BYTES;
        let mut moved = self.moved.iter().peekable();
        while let Some((frame, _)) = old.get(at..).and_then(FrameHeader::decode) {
            let end = at + FRAME_BYTES + frame.bytes as usize;
            let head = out.len();
            out.resize(head + FRAME_BYTES, 0);
            while let Some((_, start)) = moved.next_if(|(before, _)| (*before as usize) < end) {
                let stop = moved.peek().map_or(records.len(), |(_, next)| *next as usize);
                offsets.push(out.len() as u32);
                out.extend_from_slice(&records[*start as usize..stop]);
            }
            let bytes = (out.len() - head - FRAME_BYTES) as u32;
            let place = self.header.place(head as u64);
            link = FrameHeader { bytes, link, place, ..frame }.encode(&mut out[head..head + FRAME_BYTES]);
            at = end;
        }
        let offset = out.len() as u64;
        let seal = Seal { offset, link, place: self.header.place(offset), ..seal };
        out.extend_from_slice(&seal.encode());
        let bytes_before = old.len() as u64;
        Rewritten { header: self.header, bytes: out, offsets, changed: self.changed, bytes_before }
    }
}
