//! A commit group: the frames that one write and one sync make true together.

use bytes::Bytes;
use factum_core::{
    AppendId, BodyLayout, NewEvent, Position, RecordedEvent, RecordedHeader, Revision, SystemEvent,
    Timestamp, encode_body,
};

use super::Outcome;
use crate::index::Index;
use crate::segment::format::{FRAME_BYTES, FrameHeader, SegmentHeader, encode_record};

/// Most bytes of buffer that are kept from one group to the next.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

pub(super) struct Group {
    first: Position,
    events: Vec<RecordedEvent>,
    /// How many of `events` the index has.
    indexed: usize,
    buffer: Vec<u8>,
    /// Where each event's record starts in the buffer.
    records: Vec<u64>,
    frames: Vec<Frame>,
    pub(super) outcomes: Vec<(usize, Outcome)>,
}

struct Frame {
    start: usize,
    first: Position,
    recorded_at: Timestamp,
    append_id: Option<AppendId>,
    records: u32,
    bytes: u32,
}

/// A frame that is being filled.
#[derive(Clone, Copy)]
pub(super) struct FrameHandle(usize);

impl Group {
    /// An empty group. `buffer` is one that an earlier group has left, or a new one.
    pub(super) fn new(first: Position, buffer: Vec<u8>) -> Self {
        Self {
            first,
            events: Vec::new(),
            indexed: 0,
            buffer,
            records: Vec::new(),
            frames: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// The buffer, empty, for the next group; a very large one is given back to the system.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(MAX_KEPT_BYTES);
        buffer
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// The position after the last event of the group.
    pub(super) fn next(&self) -> Position {
        Position(self.first.0 + self.events.len() as u64)
    }

    /// The event at `position`, if it is one of the group's.
    pub(super) fn event(&self, position: u64) -> Option<&RecordedEvent> {
        position.checked_sub(self.first.0).and_then(|at| self.events.get(at as usize))
    }

    /// Makes room for so many events with so many bytes of records.
    pub(super) fn reserve(&mut self, events: usize, bytes: usize) {
        self.events.reserve(events);
        self.records.reserve(events);
        self.buffer.reserve(bytes);
    }

    /// Starts the frame of one append.
    pub(super) fn start(&mut self, recorded_at: Timestamp, append_id: Option<AppendId>) -> FrameHandle {
        let start = self.buffer.len();
        self.buffer.resize(start + FRAME_BYTES, 0);
        let first = self.next();
        self.frames.push(Frame { start, first, recorded_at, append_id, records: 0, bytes: 0 });
        FrameHandle(self.frames.len() - 1)
    }

    /// Adds an event whose body is made.
    pub(super) fn push(
        &mut self,
        handle: FrameHandle,
        revision: Revision,
        event: &NewEvent,
        body: Bytes,
        layout: BodyLayout,
    ) {
        let append_id = self.frames[handle.0].append_id;
        self.record(handle, append_id, revision, event, body, layout);
    }

    fn record(
        &mut self,
        FrameHandle(frame): FrameHandle,
        append_id: Option<AppendId>,
        revision: Revision,
        event: &NewEvent,
        body: Bytes,
        layout: BodyLayout,
    ) {
        let position = self.next();
        let frame = &mut self.frames[frame];
        let header = RecordedHeader {
            position,
            revision,
            id: event.id,
            append_id,
            recorded_at: frame.recorded_at,
            occurred_at: event.occurred_at,
            schema_version: event.schema_version,
            content_type: event.content_type,
        };
        frame.records += 1;
        self.records.push(self.buffer.len() as u64);
        let recorded = RecordedEvent::from_encoded(header, body, layout);
        encode_record(&recorded, &mut self.buffer);
        self.events.push(recorded);
    }

    /// Adds an event of the store's own. It does not carry the append's id: a repeated append answers as the first did.
    pub(super) fn push_new(&mut self, frame: FrameHandle, event: &SystemEvent) {
        let (body, layout) = encode_body(&event.stream, &event.event);
        self.record(frame, None, event.revision, &event.event, body, layout);
    }

    /// Ends a frame.
    pub(super) fn finish(&mut self, FrameHandle(frame): FrameHandle) {
        let frame = &mut self.frames[frame];
        frame.bytes = (self.buffer.len() - frame.start - FRAME_BYTES) as u32;
    }

    /// Writes the frame headers for a group that goes to `tail`, linked one to the next; returns what the next frame
    /// links to.
    pub(super) fn seal_frames(&mut self, segment: &SegmentHeader, tail: u64, mut link: u32) -> u32 {
        for frame in &self.frames {
            let header = FrameHeader {
                first: frame.first,
                group: self.first,
                recorded_at: frame.recorded_at,
                records: frame.records,
                bytes: frame.bytes,
                link,
                place: segment.place(tail + frame.start as u64),
            };
            link = header.encode(&mut self.buffer[frame.start..frame.start + FRAME_BYTES]);
        }
        link
    }

    pub(super) fn unindexed(&self) -> usize {
        self.events.len() - self.indexed
    }

    /// Gives the index what it does not have yet.
    pub(super) fn index_pending(&mut self, index: &Index) {
        if self.indexed < self.events.len() {
            index.insert(&self.events[self.indexed..]);
            self.indexed = self.events.len();
        }
    }

    pub(super) fn record_offsets(&self) -> impl Iterator<Item = u64> {
        self.records.iter().copied()
    }

    /// Recorded time of the first and the last event.
    pub(super) fn recorded(&self) -> (Timestamp, Timestamp) {
        let at = |frame: Option<&Frame>| frame.map_or(Timestamp::MIN, |frame| frame.recorded_at);
        (at(self.frames.first()), at(self.frames.last()))
    }
}
