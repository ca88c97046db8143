//! Walking a segment frame by frame: what is whole, where it ends, and whether what follows is torn or damaged.

use bytes::Bytes;
use factum_core::{Position, Timestamp};

use super::format::{
    FRAME_BYTES, FRAME_MAGIC, FrameHeader, HEADER_BYTES, Record, SEAL_MAGIC, Seal, SegmentHeader,
    decode_record, record_length, u32_at,
};

/// One record of a walk.
pub(crate) struct Step {
    /// Where the record starts in the file.
    pub(crate) offset: u64,
    /// The record's bytes.
    pub(crate) bytes: Bytes,
    /// What they say.
    pub(crate) record: Record,
}

/// Where a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Position after the last whole frame.
    pub(crate) next: Position,
    /// Offset after the last whole frame.
    pub(crate) offset: u64,
    /// What the next frame links to.
    pub(crate) link: u32,
    /// Recorded time of the first and the last event, if there are any.
    pub(crate) recorded: Option<(Timestamp, Timestamp)>,
    /// Why it ended there.
    pub(crate) end: WalkEnd,
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WalkEnd {
    /// Nothing but zeros follows.
    Clean,
    /// The seal follows.
    Sealed(Seal),
    /// What follows was never acknowledged: it is not whole, and no later commit group follows it.
    Torn(String),
    /// What follows was acknowledged and cannot be read.
    Damaged(String),
}

/// Walks the whole of a segment file. `visit` sees the records of whole frames only, in order.
///
/// `safe_to`: the position up to which the log is known to have been synced.
pub(crate) fn walk(
    file: &Bytes,
    header: &SegmentHeader,
    safe_to: Position,
    mut visit: impl FnMut(Step),
) -> Walked {
    let mut at = Walked {
        next: header.base,
        offset: HEADER_BYTES as u64,
        link: u32_at(file, 60),
        recorded: None,
        end: WalkEnd::Clean,
    };
    loop {
        let rest = file.slice((at.offset as usize).min(file.len())..);
        if rest.starts_with(SEAL_MAGIC)
            && let Some(seal) = Seal::decode(&rest)
            && seal.end == at.next
            && seal.offset == at.offset
            && seal.link == at.link
            && seal.place == header.place(at.offset)
        {
            at.end = WalkEnd::Sealed(seal);
            return at;
        }
        if rest.iter().all(|byte| *byte == 0) {
            at.end = if at.next < safe_to {
                WalkEnd::Damaged(format!(
                    "the log ends at position {}, but {safe_to} was acknowledged",
                    at.next
                ))
            } else {
                WalkEnd::Clean
            };
            return at;
        }
        match whole_frame(&rest, header, &at) {
            Ok((frame, link, steps)) => {
                let first = at.recorded.map_or(frame.recorded_at, |(first, _)| first);
                at.recorded = Some((first, frame.recorded_at));
                at.offset += FRAME_BYTES as u64 + u64::from(frame.bytes);
                at.next = Position(at.next.0 + u64::from(frame.records));
                at.link = link;
                steps.into_iter().for_each(&mut visit);
            }
            Err(why) => {
                at.end = if at.next < safe_to || later_group(&rest, header, &at) {
                    WalkEnd::Damaged(why)
                } else {
                    WalkEnd::Torn(why)
                };
                return at;
            }
        }
    }
}

fn whole_frame(
    rest: &Bytes,
    header: &SegmentHeader,
    at: &Walked,
) -> Result<(FrameHeader, u32, Vec<Step>), String> {
    let (frame, checksum) = FrameHeader::decode(rest).ok_or("a frame header is unreadable")?;
    if frame.first != at.next {
        return Err(format!("a frame of position {} stands where {} belongs", frame.first, at.next));
    }
    if frame.place != header.place(at.offset) {
        return Err("a frame was written for another place or another store".to_owned());
    }
    if frame.link != at.link {
        return Err("a frame does not follow the one before it".to_owned());
    }
    let end = FRAME_BYTES + frame.bytes as usize;
    if end > rest.len() {
        return Err("a frame is cut off".to_owned());
    }
    let mut steps = Vec::new();
    let mut offset = FRAME_BYTES;
    while offset < end {
        let length = record_length(&rest[offset..end]).map_err(|e| e.0)?;
        let bytes = rest.slice(offset..offset + length);
        let record = decode_record(&bytes).map_err(|e| e.0)?;
        if record.position().0 != frame.first.0 + steps.len() as u64 {
            return Err(format!("a record of position {} is out of place", record.position()));
        }
        steps.push(Step { offset: at.offset + offset as u64, bytes, record });
        offset += length;
    }
    if steps.len() as u64 != u64::from(frame.records) {
        return Err("a frame has another number of records than its header says".to_owned());
    }
    Ok((frame, checksum, steps))
}

/// Whether any frame in `rest` belongs to a commit group that started after `expected`: then everything before that
/// group had been synced.
fn later_group(rest: &[u8], header: &SegmentHeader, at: &Walked) -> bool {
    let in_place = |found: usize, place: u32| place == header.place(at.offset + found as u64);
    memchr::memmem::find_iter(rest, FRAME_MAGIC)
        .filter_map(|found| Some((found, FrameHeader::decode(&rest[found..])?.0)))
        .any(|(found, frame)| frame.group > at.next && in_place(found, frame.place))
        || memchr::memmem::find_iter(rest, SEAL_MAGIC)
            .filter_map(|found| Some((found, Seal::decode(&rest[found..])?)))
            .any(|(found, seal)| seal.end > at.next && in_place(found, seal.place))
}
