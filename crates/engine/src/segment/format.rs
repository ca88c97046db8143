//! Bytes of a segment: header, frame, record, seal. The tables are in `docs/format.md`.

use bytes::{BufMut, Bytes};
use factum_core::{
    AppendId, BodyLayout, ContentType, EventId, Leaf, Position, RecordedEvent, RecordedHeader, Redaction,
    Revision, SchemaVersion, StoreId, Timestamp,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The newest format that this build reads. A store is made in format 1, and goes to this one with its first redaction.
pub const FORMAT: u32 = FORMAT_WITH_REDACTED;
/// The format of a new store, and of a segment without redacted events: older builds read it.
pub(crate) const FORMAT_OF_NEW: u32 = 1;
/// The format of a store and of a segment that may hold redacted events.
pub(crate) const FORMAT_WITH_REDACTED: u32 = 2;
/// Bytes of a segment header.
pub(crate) const HEADER_BYTES: usize = 64;
/// Bytes of a frame header, and of a seal.
pub(crate) const FRAME_BYTES: usize = 48;
/// Bytes of an event record before its optional parts and its body.
pub(crate) const RECORD_BYTES: usize = 68;
/// Bytes of the record of a removed event.
pub(crate) const REMOVED_BYTES: usize = 72;
/// Smallest record there is.
pub(crate) const MIN_RECORD_BYTES: usize = RECORD_BYTES;

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"FACTUMSG";
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"FCMT";
pub(crate) const SEAL_MAGIC: &[u8; 4] = b"FSEA";

/// Every kind of record ever persisted. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    Event = 1,
    Removed = 2,
    Redacted = 3,
}

const HAS_OCCURRED: u8 = 1;
const HAS_APPEND_ID: u8 = 2;
const IS_BINARY: u8 = 4;

/// A fault in stored bytes: what is wrong, without the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

fn fault<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(what.into()))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    u64_at(bytes, at).cast_signed()
}
pub(crate) fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    bytes.get(at..at + 16).and_then(|b| b.try_into().ok()).map_or(Uuid::nil(), Uuid::from_bytes)
}

/// The head of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) format: u32,
    pub(crate) generation: u32,
    pub(crate) base: Position,
    pub(crate) store: StoreId,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&self.format.to_le_bytes());
        out[12..16].copy_from_slice(&self.generation.to_le_bytes());
        out[16..24].copy_from_slice(&self.base.0.to_le_bytes());
        out[24..40].copy_from_slice(self.store.0.as_bytes());
        let checksum = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() < HEADER_BYTES || &bytes[..8] != SEGMENT_MAGIC {
            return fault("this is not a segment");
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return fault("the segment header's checksum is wrong");
        }
        let format = u32_at(bytes, 8);
        if !(FORMAT_OF_NEW..=FORMAT).contains(&format) {
            return fault(format!("the segment has format {format}, this build reads up to format {FORMAT}"));
        }
        Ok(Self {
            format,
            generation: u32_at(bytes, 12),
            base: Position(u64_at(bytes, 16)),
            store: StoreId(uuid_at(bytes, 24)),
        })
    }
}

impl SegmentHeader {
    /// What a frame or a seal at `offset` of this store's files says of its place.
    ///
    /// Data may hold a copy of a segment. In an append that was torn, such a copy must not be taken for later frames.
    pub(crate) fn place(&self, offset: u64) -> u32 {
        crc32c::crc32c(self.store.0.as_bytes()) ^ offset as u32
    }
}

/// The checksum that the first frame of a segment links to.
pub(crate) fn header_link(header: &[u8; HEADER_BYTES]) -> u32 {
    u32_at(header, 60)
}

/// The head of one append in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) first: Position,
    pub(crate) group: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) records: u32,
    pub(crate) bytes: u32,
    pub(crate) link: u32,
    /// [`SegmentHeader::place`] of the frame.
    pub(crate) place: u32,
}

impl FrameHeader {
    /// Writes the header over the first `FRAME_BYTES` of `out`; returns its checksum, which the next frame links to.
    pub(crate) fn encode(&self, out: &mut [u8]) -> u32 {
        out[0..4].copy_from_slice(FRAME_MAGIC);
        out[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.group.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.recorded_at.0.to_le_bytes());
        out[32..36].copy_from_slice(&self.records.to_le_bytes());
        out[36..40].copy_from_slice(&self.bytes.to_le_bytes());
        out[40..44].copy_from_slice(&self.link.to_le_bytes());
        out[44..48].copy_from_slice(&self.place.to_le_bytes());
        let checksum = crc32c::crc32c(&out[8..FRAME_BYTES]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// The header and its checksum; `None` where these bytes are no frame header.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        if bytes.len() < FRAME_BYTES || &bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let checksum = u32_at(bytes, 4);
        if crc32c::crc32c(&bytes[8..FRAME_BYTES]) != checksum {
            return None;
        }
        let header = Self {
            first: Position(u64_at(bytes, 8)),
            group: Position(u64_at(bytes, 16)),
            recorded_at: Timestamp(i64_at(bytes, 24)),
            records: u32_at(bytes, 32),
            bytes: u32_at(bytes, 36),
            link: u32_at(bytes, 40),
            place: u32_at(bytes, 44),
        };
        Some((header, checksum))
    }
}

/// The end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) end: Position,
    pub(crate) offset: u64,
    pub(crate) first_recorded: Timestamp,
    pub(crate) last_recorded: Timestamp,
    pub(crate) link: u32,
    /// [`SegmentHeader::place`] of the seal.
    pub(crate) place: u32,
}

impl Seal {
    pub(crate) fn encode(&self) -> [u8; FRAME_BYTES] {
        let mut out = [0; FRAME_BYTES];
        out[0..4].copy_from_slice(SEAL_MAGIC);
        out[8..16].copy_from_slice(&self.end.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.offset.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_recorded.0.to_le_bytes());
        out[32..40].copy_from_slice(&self.last_recorded.0.to_le_bytes());
        out[40..44].copy_from_slice(&self.link.to_le_bytes());
        out[44..48].copy_from_slice(&self.place.to_le_bytes());
        let checksum = crc32c::crc32c(&out[8..FRAME_BYTES]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FRAME_BYTES
            || &bytes[..4] != SEAL_MAGIC
            || crc32c::crc32c(&bytes[8..FRAME_BYTES]) != u32_at(bytes, 4)
        {
            return None;
        }
        Some(Self {
            end: Position(u64_at(bytes, 8)),
            offset: u64_at(bytes, 16),
            first_recorded: Timestamp(i64_at(bytes, 24)),
            last_recorded: Timestamp(i64_at(bytes, 32)),
            link: u32_at(bytes, 40),
            place: u32_at(bytes, 44),
        })
    }
}

/// Bytes that the record of an event with such a body takes.
pub(crate) fn record_bytes(body: usize, has_occurred: bool, has_append_id: bool) -> usize {
    RECORD_BYTES + if has_occurred { 8 } else { 0 } + if has_append_id { 16 } else { 0 } + body
}

/// Appends the record of `event` to `out`.
pub(crate) fn encode_record(event: &RecordedEvent, out: &mut Vec<u8>) {
    let header = event.header();
    let layout = event.layout();
    let start = out.len();
    let length = record_bytes(event.body().len(), header.occurred_at.is_some(), header.append_id.is_some());
    let mut flags = 0;
    flags |= if header.occurred_at.is_some() { HAS_OCCURRED } else { 0 };
    flags |= if header.append_id.is_some() { HAS_APPEND_ID } else { 0 };
    flags |= if header.content_type == ContentType::Binary { IS_BINARY } else { 0 };
    out.reserve(length);
    out.put_u32_le(0);
    out.put_u32_le(length as u32);
    out.put_u8(RecordKind::Event as u8);
    out.put_u8(flags);
    out.put_u16_le(0);
    out.put_u32_le(header.schema_version.0);
    out.put_u64_le(header.position.0);
    out.put_u64_le(header.revision.0);
    out.put_i64_le(header.recorded_at.0);
    out.put_slice(header.id.0.as_bytes());
    // Names are at most 1,026 bytes and tags at most 64 x 1,026: checked when the append came in.
    out.put_u16_le(layout.stream as u16);
    out.put_u16_le(layout.event_type as u16);
    out.put_u32_le(layout.tags);
    out.put_u32_le(layout.metadata);
    if let Some(at) = header.occurred_at {
        out.put_i64_le(at.0);
    }
    if let Some(id) = header.append_id {
        out.put_slice(id.0.as_bytes());
    }
    out.put_slice(event.body());
    seal_record(&mut out[start..]);
}

fn seal_record(record: &mut [u8]) {
    let checksum = crc32c::crc32c(&record[4..]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// What stands at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Event(RecordedEvent),
    Removed { position: Position, recorded_at: Timestamp, leaf: [u8; 32] },
}

impl Record {
    pub(crate) fn position(&self) -> Position {
        match self {
            Record::Event(event) => event.position(),
            Record::Removed { position, .. } => *position,
        }
    }

    pub(crate) fn recorded_at(&self) -> Timestamp {
        match self {
            Record::Event(event) => event.recorded_at(),
            Record::Removed { recorded_at, .. } => *recorded_at,
        }
    }

    /// What stands in the proof for the event that is here, or that was. `bytes`: those that this record was decoded from.
    pub(crate) fn leaf(&self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Record::Event(event) => {
                event.redaction().map_or_else(|| leaf_of(bytes), |redaction| redaction.leaf.0)
            }
            Record::Removed { leaf, .. } => *leaf,
        }
    }
}

/// The leaf of the proof for the record in `record`, which `decode_record` has accepted.
pub(crate) fn leaf_of(record: &[u8]) -> [u8; 32] {
    Sha256::digest(&record[8..]).into()
}

/// The record that a scavenge leaves in the place of an event.
pub(crate) fn encode_removed(position: Position, recorded_at: Timestamp, leaf: [u8; 32], out: &mut Vec<u8>) {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u32_le(REMOVED_BYTES as u32);
    out.put_u8(RecordKind::Removed as u8);
    out.put_bytes(0, 7);
    out.put_u64_le(position.0);
    out.put_u64_le(0);
    out.put_i64_le(recorded_at.0);
    out.put_slice(&leaf);
    seal_record(&mut out[start..]);
}

/// Appends the record that a redaction leaves in the place of an event. `event` is redacted.
pub(crate) fn encode_redacted(event: &RecordedEvent, redaction: &Redaction, out: &mut Vec<u8>) {
    let (header, layout) = (event.header(), event.layout());
    let names = &event.body()[..(layout.stream + layout.event_type) as usize];
    let start = out.len();
    let mut flags = 0;
    flags |= if header.occurred_at.is_some() { HAS_OCCURRED } else { 0 };
    flags |= if header.append_id.is_some() { HAS_APPEND_ID } else { 0 };
    flags |= if header.content_type == ContentType::Binary { IS_BINARY } else { 0 };
    // Checksum and length are filled in when the rest is there.
    out.put_u64_le(0);
    out.put_u8(RecordKind::Redacted as u8);
    out.put_u8(flags);
    out.put_u16_le(0);
    out.put_u32_le(header.schema_version.0);
    out.put_u64_le(header.position.0);
    out.put_u64_le(header.revision.0);
    out.put_i64_le(header.recorded_at.0);
    out.put_slice(header.id.0.as_bytes());
    out.put_u16_le(layout.stream as u16);
    out.put_u16_le(layout.event_type as u16);
    // A reason has at most 1,024 bytes: checked when it was asked for.
    out.put_u16_le(redaction.reason.len() as u16);
    out.put_bytes(0, 6);
    if let Some(at) = header.occurred_at {
        out.put_i64_le(at.0);
    }
    if let Some(id) = header.append_id {
        out.put_slice(id.0.as_bytes());
    }
    out.put_slice(&redaction.leaf.0);
    out.put_u64_le(redaction.recorded.0);
    out.put_i64_le(redaction.at.0);
    out.put_slice(names);
    out.put_slice(redaction.reason.as_bytes());
    let length = (out.len() - start) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    seal_record(&mut out[start..]);
}

/// Length of the record that starts `bytes`, if it can be one within them.
pub(crate) fn record_length(bytes: &[u8]) -> Result<usize, Fault> {
    if bytes.len() < MIN_RECORD_BYTES {
        return fault("a record is cut off");
    }
    let length = u32_at(bytes, 4) as usize;
    if length < MIN_RECORD_BYTES || length > bytes.len() {
        return fault("a record's length overruns its frame");
    }
    Ok(length)
}

/// Reads one whole record. Shares the buffer; copies nothing.
pub(crate) fn decode_record(record: &Bytes) -> Result<Record, Fault> {
    let length = record_length(record)?;
    if length != record.len() {
        return fault("a record's length is not that of its place");
    }
    if crc32c::crc32c(&record[4..]) != u32_at(record, 0) {
        return fault("a record's checksum is wrong");
    }
    let position = Position(u64_at(record, 16));
    let recorded_at = Timestamp(i64_at(record, 32));
    match record[8] {
        kind if kind == RecordKind::Removed as u8 => {
            let leaf = record.get(40..72).and_then(|leaf| leaf.try_into().ok());
            leaf.map_or_else(
                || fault("the record of a removed event is too short"),
                |leaf| Ok(Record::Removed { position, recorded_at, leaf }),
            )
        }
        kind if kind == RecordKind::Event as u8 => decode_event(record).map(Record::Event),
        kind if kind == RecordKind::Redacted as u8 => decode_redacted(record).map(Record::Event),
        kind => fault(format!("record kind {kind} is unknown to this build")),
    }
}

/// The header of an event, whole or redacted, and where the parts of fixed length end.
fn decode_header(record: &Bytes) -> Result<(RecordedHeader, usize), Fault> {
    let flags = record[9];
    let mut at = RECORD_BYTES;
    let mut optional = |flag: u8, bytes: usize| {
        let start = at;
        let present = flags & flag != 0;
        if present {
            at += bytes;
        }
        (present && at <= record.len()).then_some(start)
    };
    let occurred_at = optional(HAS_OCCURRED, 8).map(|at| Timestamp(i64_at(record, at)));
    let append_id = optional(HAS_APPEND_ID, 16).map(|at| AppendId(uuid_at(record, at)));
    if at > record.len() {
        return fault("a record is shorter than its flags say");
    }
    let header = RecordedHeader {
        position: Position(u64_at(record, 16)),
        revision: Revision(u64_at(record, 24)),
        id: EventId(uuid_at(record, 40)),
        append_id,
        recorded_at: Timestamp(i64_at(record, 32)),
        occurred_at,
        schema_version: SchemaVersion(u32_at(record, 12)),
        content_type: if flags & IS_BINARY == 0 { ContentType::Json } else { ContentType::Binary },
    };
    Ok((header, at))
}

fn decode_event(record: &Bytes) -> Result<RecordedEvent, Fault> {
    let (header, at) = decode_header(record)?;
    let layout = BodyLayout {
        stream: u32::from(u16_at(record, 56)),
        event_type: u32::from(u16_at(record, 58)),
        tags: u32_at(record, 60),
        metadata: u32_at(record, 64),
    };
    RecordedEvent::from_body(header, record.slice(at..), layout).map_err(|e| Fault(e.to_string()))
}

/// Bytes of leaf, position and time of a redaction.
const REDACTION_BYTES: usize = 48;

fn decode_redacted(record: &Bytes) -> Result<RecordedEvent, Fault> {
    let (header, at) = decode_header(record)?;
    let (stream, event_type) = (u32::from(u16_at(record, 56)), u32::from(u16_at(record, 58)));
    let names_at = at + REDACTION_BYTES;
    let reason_at = names_at + (stream + event_type) as usize;
    if record.len() != reason_at + usize::from(u16_at(record, 60)) {
        return fault("the record of a redacted event is not as long as its parts");
    }
    let leaf = record[at..at + 32].try_into().map_err(|_| Fault("a leaf is cut off".to_owned()))?;
    let reason = std::str::from_utf8(&record[reason_at..]);
    let reason = reason.map_err(|_| Fault("the reason of a redaction is not UTF-8".to_owned()))?.to_owned();
    let recorded = Position(u64_at(record, at + 32));
    let redaction = Redaction { leaf: Leaf(leaf), reason, at: Timestamp(i64_at(record, at + 40)), recorded };
    let layout = BodyLayout { stream, event_type, tags: 0, metadata: 0 };
    let event = RecordedEvent::from_body(header, record.slice(names_at..reason_at), layout);
    Ok(event.map_err(|e| Fault(e.to_string()))?.redacted(redaction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{EventType, NewEvent, StreamName, Tag};

    fn event() -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(9),
            revision: Revision(3),
            id: EventId::generate(),
            append_id: Some(AppendId::generate()),
            recorded_at: Timestamp(1_234),
            occurred_at: Some(Timestamp(-5)),
            schema_version: SchemaVersion(2),
            content_type: ContentType::Binary,
        };
        let new = NewEvent::binary(EventType::new("T").unwrap(), vec![0, 255, 7])
            .with_metadata("{}")
            .with_tag(Tag::new("a:1").unwrap());
        RecordedEvent::record(header, &StreamName::new("s-1").unwrap(), &new)
    }

    #[test]
    fn a_record_round_trips() {
        let event = event();
        let mut out = Vec::new();
        encode_record(&event, &mut out);
        assert_eq!(decode_record(&Bytes::from(out)).unwrap(), Record::Event(event));
    }

    #[test]
    fn a_removed_record_keeps_place_and_leaf() {
        let mut out = Vec::new();
        encode_record(&event(), &mut out);
        let leaf = leaf_of(&out);
        let mut removed = Vec::new();
        encode_removed(Position(9), Timestamp(1_234), leaf, &mut removed);
        let expected = Record::Removed { position: Position(9), recorded_at: Timestamp(1_234), leaf };
        assert_eq!(decode_record(&Bytes::from(removed)).unwrap(), expected);
    }

    fn redacted() -> RecordedEvent {
        let event = event();
        let (reason, at, recorded) = ("wrong person".to_owned(), Timestamp(99), Position(31));
        event.redacted(Redaction { leaf: Leaf::of(&event), reason, at, recorded })
    }

    #[test]
    fn a_redacted_record_keeps_all_but_what_the_event_said() {
        let redacted = redacted();
        let mut out = Vec::new();
        encode_redacted(&redacted, redacted.redaction().unwrap(), &mut out);
        assert_eq!(
            out.len(),
            RECORD_BYTES + 8 + 16 + REDACTION_BYTES + "s-1".len() + 1 + "wrong person".len()
        );
        let record = decode_record(&Bytes::from(out.clone())).unwrap();
        assert_eq!(record, Record::Event(redacted.clone()));
        assert_eq!(record.leaf(&out), Leaf::of(&redacted).0);
    }

    #[test]
    fn the_leaf_of_the_vocabulary_is_that_of_the_bytes() {
        for event in [event(), {
            let header = RecordedHeader { append_id: None, occurred_at: None, ..*event().header() };
            let new = NewEvent::json(EventType::new("Ü").unwrap(), "{}").with_tag(Tag::new("é").unwrap());
            RecordedEvent::record(header, &StreamName::new("s-1").unwrap(), &new)
        }] {
            let mut out = Vec::new();
            encode_record(&event, &mut out);
            assert_eq!(leaf_of(&out), Leaf::of(&event).0);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut out = Vec::new();
        encode_record(&event(), &mut out);
        assert_each_change_is_noticed(&out);
        out.clear();
        encode_redacted(&redacted(), redacted().redaction().unwrap(), &mut out);
        assert_each_change_is_noticed(&out);
    }

    #[test]
    fn a_redacted_record_whose_lengths_do_not_fit_is_refused() {
        let mut out = Vec::new();
        encode_redacted(&redacted(), redacted().redaction().unwrap(), &mut out);
        for at in [56, 57, 58, 59, 60, 61] {
            let mut bad = out.clone();
            bad[at] ^= 0x01;
            seal_record(&mut bad);
            assert!(decode_record(&Bytes::from(bad)).is_err(), "byte {at}");
        }
    }

    fn assert_each_change_is_noticed(out: &[u8]) {
        for at in 0..out.len() * 8 {
            let mut bad = out.to_vec();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(decode_record(&Bytes::from(bad)).is_err(), "bit {at}");
        }
        for cut in 0..out.len() {
            assert!(decode_record(&Bytes::copy_from_slice(&out[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn heads_round_trip_and_notice_damage() {
        let (base, store) = (Position(7), StoreId::generate());
        let header = SegmentHeader { format: FORMAT_OF_NEW, generation: 1, base, store };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), header);
        let frame = FrameHeader {
            first: Position(7),
            group: Position(6),
            recorded_at: Timestamp(5),
            records: 2,
            bytes: 100,
            link: 9,
            place: header.place(64),
        };
        let mut out = [0; FRAME_BYTES];
        let checksum = frame.encode(&mut out);
        assert_eq!(FrameHeader::decode(&out), Some((frame, checksum)));
        let seal = Seal {
            end: Position(9),
            offset: 300,
            first_recorded: Timestamp(1),
            last_recorded: Timestamp(2),
            link: 4,
            place: header.place(300),
        };
        let sealed = seal.encode();
        assert_eq!(Seal::decode(&sealed), Some(seal));
        for at in 0..FRAME_BYTES {
            let (mut f, mut s) = (out, sealed);
            f[at] ^= 0x10;
            s[at] ^= 0x10;
            assert_eq!(FrameHeader::decode(&f), None, "frame byte {at}");
            assert_eq!(Seal::decode(&s), None, "seal byte {at}");
        }
    }
}
