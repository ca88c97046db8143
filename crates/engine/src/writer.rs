//! The writer: the one owner of the log's end. It admits, numbers, writes, syncs and publishes. It has no thread.

mod group;
mod heads;
mod roll;
mod view;

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use factum_core::{
    Admission, Admitted, Append, AppendError, Appended, BodyLayout, Checkpoint, Clock, Delete, DeleteMode,
    Position, RecordedEvent, Redact, Revision, SchemaRegistry, StreamAppended, SystemEvent, Timestamp, admit,
    admit_delete, encode_body_into,
};

use bytes::{Bytes, BytesMut};

use crate::identity::Identity;
use crate::index::Index;
use crate::log::Log;
use crate::segment::Segment;
use crate::segment::format::{FRAME_BYTES, record_bytes};
use crate::spare::Spare;
use crate::upkeep::{UpkeepQueue, rebuild_damaged};
use crate::vfs::Vfs;
use group::Group;
use heads::Heads;
pub(crate) use roll::create_segment;
use view::View;

/// Most bytes in one commit group, unless a single append needs more.
const MAX_GROUP_BYTES: u64 = 8 * 1024 * 1024;
/// Room that the store's own events of one append may need: metadata that revives or hides, in bytes.
const SYSTEM_EVENT_BYTES: u64 = 64 * 1024;
/// Groups of so many events or more are indexed while the disk syncs.
const OVERLAP_EVENTS: usize = 128;

/// An append with its bodies made, so that the writer has little left to do.
pub(crate) struct Proposal {
    pub(crate) append: Append,
    bodies: Vec<(Bytes, BodyLayout)>,
    bytes: u64,
    /// Whether it fits the schemas, as of this generation of them.
    fits: (u64, Result<(), AppendError>),
}

impl Proposal {
    /// Checks against the schemas and encodes the bodies. The append has passed its limits.
    pub(crate) fn new(append: Append, schemas: &SchemaRegistry) -> Self {
        let fits = (schemas.generation(), schemas.check_append(&append));
        let size = append
            .writes
            .iter()
            .flat_map(|write| write.events.iter().map(|event| event.size_in(&write.stream)));
        let mut buffer = BytesMut::with_capacity(size.sum());
        let mut bodies = Vec::with_capacity(append.event_count());
        let mut bytes = FRAME_BYTES as u64;
        for write in &append.writes {
            for event in &write.events {
                let layout = encode_body_into(&mut buffer, &write.stream, event);
                let body = buffer.split().freeze();
                bytes +=
                    record_bytes(body.len(), event.occurred_at.is_some(), append.append_id.is_some()) as u64;
                bodies.push((body, layout));
            }
        }
        Self { append, bodies, bytes, fits }
    }
}

/// What the writer is asked for.
pub(crate) enum Work {
    Append(Proposal),
    Delete(Delete),
    /// A redaction, of this event: only its record is written here.
    Redact(Box<(Redact, RecordedEvent)>),
}

impl Work {
    /// Bytes that it takes in the log, at most.
    fn bytes(&self) -> u64 {
        match self {
            Work::Append(proposal) => {
                proposal.bytes + SYSTEM_EVENT_BYTES * proposal.append.writes.len().min(8) as u64
            }
            Work::Delete(_) | Work::Redact(_) => SYSTEM_EVENT_BYTES,
        }
    }
}

/// The outcome of one piece of work.
pub(crate) type Outcome = Result<Appended, AppendError>;

/// The segment that is being written.
pub(crate) struct OpenSegment {
    pub(crate) segment: Arc<Segment>,
    /// Offset after the last frame.
    pub(crate) tail: u64,
    /// The file is zeros from the tail to here.
    pub(crate) zeroed: u64,
    /// Where it is full.
    pub(crate) limit: u64,
    pub(crate) link: u32,
    pub(crate) recorded: Option<(Timestamp, Timestamp)>,
}

/// What the writer remembers of streams; empty at first.
#[derive(Default)]
pub(crate) struct RememberedHeads(RefCell<Heads>);

/// The one owner of the log's end.
pub(crate) struct Writer {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) segment_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<Log>,
    pub(crate) index: Arc<Index>,
    pub(crate) upkeep: UpkeepQueue,
    pub(crate) open: OpenSegment,
    pub(crate) last_recorded: Timestamp,
    /// The schemas that appends must fit, with those of appends that are not written yet.
    pub(crate) schemas: SchemaRegistry,
    /// The same, for those who prepare appends; it may lag behind.
    pub(crate) shared_schemas: Arc<RwLock<SchemaRegistry>>,
    /// The bytes of the last group, to be filled again.
    pub(crate) buffer: Vec<u8>,
    /// Where the next segment's zeros come from, if somebody makes them.
    pub(crate) spare: Option<Arc<Spare>>,
    /// What the writer remembers of streams.
    pub(crate) heads: RememberedHeads,
    /// The first failure of a write or a sync. After it nothing is written.
    pub(crate) stopped: Option<Arc<io::Error>>,
}

impl Writer {
    /// Does all of `batch`, in order, in as few syncs as it can. `reply` gets each outcome, by index, after the sync that
    /// makes it true.
    pub(crate) fn commit(&mut self, batch: Vec<Work>, mut reply: impl FnMut(usize, Outcome)) {
        // If that fails, so do the questions below, each with its reason.
        drop(rebuild_damaged(&self.log, &self.index));
        let mut group = Group::new(self.log.committed(), std::mem::take(&mut self.buffer));
        for (index, work) in batch.into_iter().enumerate() {
            if let Some(cause) = &self.stopped {
                reply(index, Err(AppendError::Stopped { cause: Arc::clone(cause) }));
                continue;
            }
            let bytes = work.bytes();
            if !group.is_empty()
                && (group.bytes() + bytes > MAX_GROUP_BYTES || !self.has_room(group.bytes() + bytes))
            {
                self.flush(&mut group, &mut reply);
            }
            let outcome = match self.stopped.as_ref() {
                Some(cause) => Err(AppendError::Stopped { cause: Arc::clone(cause) }),
                None => self.make_room(&group, bytes).and_then(|()| self.admit(&mut group, &work)),
            };
            group.outcomes.push((index, outcome));
        }
        self.flush(&mut group, &mut reply);
        self.buffer = group.take_buffer();
    }

    fn admit(&mut self, group: &mut Group, work: &Work) -> Outcome {
        // Every decision sees what is before it in the same group.
        group.index_pending(&self.index);
        let view = View { log: &self.log, index: &self.index, group, heads: &self.heads.0 };
        match work {
            Work::Append(proposal) => match admit(&view, &proposal.append)? {
                Admission::Write(admitted) => {
                    self.enforce_schemas(proposal)?;
                    Ok(self.take(group, proposal, admitted))
                }
                Admission::Duplicate { first, last, streams } => Ok(Appended {
                    first: Some(first),
                    last: Some(last),
                    streams,
                    deduplicated: true,
                    token: self.token(last.next()),
                }),
            },
            Work::Delete(delete) => {
                let event = admit_delete(&view, delete)?;
                debug_assert!(delete.mode == DeleteMode::Soft || event.stream == delete.stream);
                Ok(self.take_own(group, event))
            }
            Work::Redact(work) => {
                let (redact, event) = &**work;
                let request = redact.request(&view, event)?;
                Ok(self.take_own(group, request))
            }
        }
    }

    /// Puts an event of the store's own into the group, as one frame.
    fn take_own(&self, group: &mut Group, event: SystemEvent) -> Appended {
        let revision = event.revision;
        let frame = group.start(self.now(group), None);
        group.push_new(frame, &event);
        group.finish(frame);
        self.heads.0.borrow_mut().wrote(&event.stream, revision);
        let position = Position(group.next().0 - 1);
        let appended = StreamAppended { stream: event.stream, first: Some(revision), last: Some(revision) };
        Appended {
            first: Some(position),
            last: Some(position),
            streams: vec![appended],
            deduplicated: false,
            token: self.token(position.next()),
        }
    }

    /// The verdict that came with the proposal counts, unless a schema was registered since.
    fn enforce_schemas(&mut self, proposal: &Proposal) -> Result<(), AppendError> {
        let (generation, fits) = &proposal.fits;
        if *generation == self.schemas.generation() {
            fits.clone()?;
        } else {
            self.schemas.check_append(&proposal.append)?;
        }
        Ok(self.schemas.apply_append(&proposal.append)?)
    }

    /// Puts an admitted append into the group as one frame.
    fn take(&self, group: &mut Group, proposal: &Proposal, admitted: Admitted) -> Appended {
        let Admitted { before, first_revisions, after, streams } = admitted;
        if proposal.bodies.is_empty() {
            let token = self.token(group.next());
            return Appended { first: None, last: None, streams, deduplicated: false, token };
        }
        group.reserve(proposal.bodies.len(), proposal.bytes as usize);
        let frame = group.start(self.now(group), proposal.append.append_id);
        let mut heads = self.heads.0.borrow_mut();
        let push_own = |group: &mut Group, heads: &mut Heads, event: &SystemEvent| {
            group.push_new(frame, event);
            heads.wrote(&event.stream, event.revision);
        };
        before.iter().for_each(|event| push_own(group, &mut heads, event));
        let first = group.next();
        let mut bodies = proposal.bodies.iter();
        for (write, first_revision) in proposal.append.writes.iter().zip(first_revisions) {
            let mut revision = first_revision;
            for (event, (body, layout)) in write.events.iter().zip(&mut bodies) {
                group.push(frame, revision, event, body.clone(), *layout);
                revision = revision.next();
            }
            if revision > first_revision {
                heads.wrote(&write.stream, Revision(revision.0 - 1));
            }
        }
        let last = Position(group.next().0 - 1);
        after.iter().for_each(|event| push_own(group, &mut heads, event));
        group.finish(frame);
        Appended {
            first: Some(first),
            last: Some(last),
            streams,
            deduplicated: false,
            token: self.token(group.next()),
        }
    }

    /// Never earlier than what is recorded before it, in the log or in the group, whatever the machine's clock does.
    fn now(&self, group: &Group) -> Timestamp {
        self.clock.now().max(self.last_recorded).max(group.recorded().1)
    }

    fn token(&self, next: Position) -> Checkpoint {
        Checkpoint::before(self.identity.id, self.identity.epoch, next)
    }

    /// Writes and syncs the group, makes it visible, and only then answers.
    fn flush(&mut self, group: &mut Group, reply: &mut impl FnMut(usize, Outcome)) {
        if !group.is_empty() && self.stopped.is_none() {
            match self.write(group) {
                Ok(()) => {
                    self.publish(group);
                }
                Err(error) => self.stopped = Some(Arc::new(error)),
            }
        }
        let stopped = self.stopped.clone().filter(|_| !group.is_empty());
        for (index, outcome) in std::mem::take(&mut group.outcomes) {
            // Even a refusal may rest on what was in the group: if the group is lost, nobody knows.
            reply(
                index,
                stopped
                    .as_ref()
                    .map_or(outcome, |cause| Err(AppendError::Stopped { cause: Arc::clone(cause) })),
            );
        }
        *group = Group::new(self.log.committed(), group.take_buffer());
    }

    fn write(&mut self, group: &mut Group) -> io::Result<()> {
        self.open.link = group.seal_frames(&self.open.segment.header, self.open.tail, self.open.link);
        let file = Arc::clone(&self.open.segment.file);
        file.write_all_at(group.buffer(), self.open.tail)?;
        if group.unindexed() < OVERLAP_EVENTS {
            group.index_pending(&self.index);
            return file.sync_data();
        }
        // The disk takes its time with a large group: index meanwhile. Readers do not see it before it is published.
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| file.sync_data());
            group.index_pending(&self.index);
            sync.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs panicked")))
        })
    }

    fn publish(&mut self, group: &Group) {
        let tail = self.open.tail;
        if let crate::segment::offsets::Offsets::Memory(offsets) = &self.open.segment.offsets {
            let mut offsets = offsets.write().unwrap_or_else(PoisonError::into_inner);
            offsets.extend(group.record_offsets().map(|offset| (tail + offset) as u32));
        }
        let (first, last) = group.recorded();
        self.open.tail += group.bytes();
        // The store's own events may be larger than the room kept for them: zeros must never be written behind the tail.
        self.open.zeroed = self.open.zeroed.max(self.open.tail);
        self.open.recorded = Some((self.open.recorded.map_or(first, |(first, _)| first), last));
        self.last_recorded = self.last_recorded.max(last);
        let half_full = self.open.tail > self.open.limit / 2;
        if half_full && self.spare.as_ref().is_some_and(|spare| spare.want()) {
            self.upkeep.request();
        }
        let mut shared = self.shared_schemas.write().unwrap_or_else(PoisonError::into_inner);
        if shared.generation() != self.schemas.generation() {
            *shared = self.schemas.clone();
        }
        drop(shared);
        self.log.publish(group.next());
    }
}
