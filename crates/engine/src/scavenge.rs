//! Reclaiming the bytes of events that nobody can read any more, while appends and reads go on.
//!
//! A sealed segment is written anew without them and takes the old one's place in one step, so that a crash at any point
//! leaves either. Each removed event keeps its place and its leaf: positions, revisions and the proof stay valid. The last
//! event of a stream stays, since numbering goes on from it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};

use factum_core::{
    EventType, METADATA_TYPE, Position, Read, ReadError, RecordedEvent, Revision, SCHEMAS_STREAM,
    STREAM_DELETED_TYPE, Selector, StreamFacts, StreamName, StreamState, VisibleRange,
};

use crate::engine::{Engine, Shared};
use crate::reader::{EngineReader, Snapshot, facts_of};
use crate::segment::format::{
    FRAME_BYTES, FrameHeader, Record, Seal, SegmentHeader, encode_removed, header_link, leaf_of,
};
use crate::segment::offsets::{Offsets, open_table, write_table};
use crate::segment::walk::{WalkEnd, walk};
use crate::segment::{Segment, damaged, failed};
use crate::vfs::{OpenMode, Vfs};

/// Whether a scavenge does it, or only says what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScavengeMode {
    /// Reclaim.
    Reclaim,
    /// Only count.
    Estimate,
}

/// What a scavenge did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scavenged {
    /// Sealed segments looked at. The open one is left alone.
    pub segments: u64,
    /// Segments written anew.
    pub rewritten: u64,
    /// Events removed.
    pub events: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// What may go of one stream.
enum Removable {
    /// All but its tombstone.
    AllButTombstone,
    /// All but the last event.
    AllButLast(Revision),
    /// What is not visible, but never the last event.
    Hidden { visible: VisibleRange, last: Revision },
}

impl Removable {
    fn includes(&self, event: &RecordedEvent) -> bool {
        match self {
            Removable::AllButTombstone => event.revision() != Revision::TOMBSTONE,
            Removable::AllButLast(last) => event.revision() != *last,
            Removable::Hidden { visible, last } => {
                event.revision() != *last && !visible.shows(event.revision(), event.recorded_at())
            }
        }
    }
}

impl Engine {
    /// Reclaims what deletes, `$tb`, `$maxCount` and `$maxAge` have hidden, in all sealed segments. May run while appends and
    /// reads go on; one scavenge runs at a time. `progress` is told the segments done, and their number.
    ///
    /// Memory grows with the number of streams that have metadata or a tombstone, and with the size of one segment.
    ///
    /// # Errors
    /// `ReadError::Damaged` or `Io`; what was reclaimed before stays so, and the store goes on.
    pub fn scavenge(
        &self,
        mode: ScavengeMode,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Scavenged, ReadError> {
        let shared = self.shared();
        let removable = removable_streams(shared)?;
        let mut done = Scavenged::default();
        let sealed: Vec<_> =
            shared.log.segments().iter().filter(|s| s.seal.is_some()).map(|s| s.base()).collect();
        for base in &sealed {
            if !removable.is_empty() {
                let _replacing = shared.upkeep.replace();
                // Upkeep may have put another handle in its place since.
                let segments = shared.log.segments();
                if let Some(segment) = segments.iter().find(|segment| segment.base() == *base) {
                    scavenge_segment(shared, segment, &removable, mode, &mut done)?;
                }
            }
            done.segments += 1;
            progress(done.segments, sealed.len() as u64);
        }
        Ok(done)
    }
}

/// Every stream of which something may go. Only a stream with metadata or a tombstone can be one.
fn removable_streams(shared: &Shared) -> Result<HashMap<String, Removable>, ReadError> {
    let snapshot = || Snapshot::take(&shared.log, &shared.index, &shared.start());
    let view = snapshot();
    let mut removable = HashMap::new();
    for event_type in [METADATA_TYPE, STREAM_DELETED_TYPE] {
        let Ok(event_type) = EventType::new(event_type) else { continue };
        let read = Read::forwards(Selector::event_type(event_type));
        let mut reader = EngineReader::new(snapshot(), read, &*shared.clock)?;
        while let Some(page) = reader.page()? {
            for event in page.events {
                let stream = event.stream().strip_prefix("$$").unwrap_or(event.stream()).to_owned();
                // The registered schemas are enforced for ever, whatever anybody writes into their metadata.
                if removable.contains_key(&stream) || stream == SCHEMAS_STREAM {
                    continue;
                }
                let Ok(name) = StreamName::new(stream.as_str()) else { continue };
                let facts = facts_of(&name, |name| view.last_of(name))?;
                if let Some(metastream) = name.metastream() {
                    let last = view.last_of(&metastream)?.map(|event| event.revision());
                    let rule = match (facts.tombstoned, last) {
                        (true, _) => Some(Removable::AllButTombstone),
                        (false, last) => last.map(Removable::AllButLast),
                    };
                    removable.extend(rule.map(|rule| (metastream.as_str().to_owned(), rule)));
                }
                removable.extend(rule_for(&facts, shared).map(|rule| (stream, rule)));
            }
        }
    }
    Ok(removable)
}

fn rule_for(facts: &StreamFacts, shared: &Shared) -> Option<Removable> {
    match facts.state() {
        StreamState::Tombstoned => Some(Removable::AllButTombstone),
        StreamState::SoftDeleted { last: Some(last) } => Some(Removable::AllButLast(last)),
        StreamState::Live { last } => {
            let visible = facts.metadata.as_ref()?.visible(last, shared.clock.now());
            Some(Removable::Hidden { visible, last })
        }
        StreamState::Missing | StreamState::MetadataOnly | StreamState::SoftDeleted { last: None } => None,
    }
}

fn scavenge_segment(
    shared: &Shared,
    segment: &Arc<Segment>,
    removable: &HashMap<String, Removable>,
    mode: ScavengeMode,
    done: &mut Scavenged,
) -> Result<(), ReadError> {
    let bytes = Segment::read_whole(&segment.path, &*segment.file)?;
    let header = SegmentHeader { generation: segment.header.generation + 1, ..segment.header };
    let mut rewrite = Rewrite::new(&header);
    let walked = walk(&bytes, &segment.header, Position::START, |step| match &step.record {
        Record::Event(event) if removable.get(event.stream()).is_some_and(|rule| rule.includes(event)) => {
            rewrite.removed += 1;
            encode_removed(
                event.position(),
                event.recorded_at(),
                leaf_of(&step.bytes),
                rewrite.record(step.offset),
            );
        }
        _ => rewrite.record(step.offset).extend_from_slice(&step.bytes),
    });
    let WalkEnd::Sealed(seal) = walked.end else {
        return Err(damaged(&segment.path, walked.offset, "the segment does not end with its seal"));
    };
    if rewrite.removed == 0 {
        return Ok(());
    }
    let (out, offsets, removed) = rewrite.finish(&bytes, seal);
    done.rewritten += 1;
    done.events += removed;
    done.bytes += (bytes.len() as u64).saturating_sub(out.len() as u64);
    if mode == ScavengeMode::Estimate {
        return Ok(());
    }
    let vfs = &*shared.vfs;
    replace_segment(vfs, &segment.path, &out).map_err(|error| failed(&segment.path, 0, error))?;
    // From here on the new file is the segment. Its table is only a copy of what the walk knows.
    let table = write_table(vfs, &segment.path, &header, &offsets)
        .ok()
        .and_then(|()| open_table(vfs, &segment.path, &header, offsets.len() as u64))
        .unwrap_or_else(|| Offsets::Memory(Arc::new(RwLock::new(offsets))));
    let file = vfs.open(&segment.path, OpenMode::Read).map_err(|error| failed(&segment.path, 0, error))?;
    let seal = Segment::read_seal(&*file).map_err(|error| failed(&segment.path, 0, error))?;
    shared.log.put_segment(Arc::new(Segment {
        path: segment.path.clone(),
        header,
        file,
        offsets: table,
        seal,
    }));
    Ok(())
}

fn replace_segment(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
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
    removed: u64,
    link: u32,
}

impl Rewrite {
    fn new(header: &SegmentHeader) -> Self {
        let head = header.encode();
        Self { header: *header, out: head.to_vec(), moved: Vec::new(), removed: 0, link: header_link(&head) }
    }

    /// Where the record that was at `offset` is to be appended. Room is left for its frame's header before the first.
    fn record(&mut self, offset: u64) -> &mut Vec<u8> {
        let follows = self.moved.last().is_none_or(|(before, _)| offset - before > 0);
        debug_assert!(follows, "records come in order");
        self.moved.push((offset, self.out.len() as u32));
        &mut self.out
    }

    /// Puts the frame headers between the records, and the seal behind them.
    fn finish(self, old: &[u8], seal: Seal) -> (Vec<u8>, Vec<u32>, u64) {
        let records = self.out;
        let mut out = records[..crate::segment::format::HEADER_BYTES].to_vec();
        let mut link = self.link;
        let mut offsets = Vec::with_capacity(self.moved.len());
        let mut at = crate::segment::format::HEADER_BYTES;
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
        (out, offsets, self.removed)
    }
}
