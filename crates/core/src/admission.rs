//! Whether an append or a delete may be done, and as what: the pure rules that every store with its own log shares.
//!
//! The rules look at the log through [`LogView`], so that a store decides in its own critical section, against what is
//! committed and what is before it in the same batch.
//!
//! Order of answers: limits, then repetition (by append id, by event ids), then `StreamDeleted`, then `Conflict` with every
//! failing check, and only for an append that would otherwise be written the schema registry's verdict.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use uuid::Uuid;

use crate::limits::{MAX_APPEND_BYTES, MAX_CHECKS_PER_APPEND, MAX_EVENTS_PER_APPEND};
use crate::metadata::TRUNCATE_ALL;
use crate::redaction::is_kept_by_store;
use crate::{
    Append, AppendCondition, AppendError, AppendId, Delete, DeleteMode, EventId, EventType, ExpectedRevision,
    FailedCheck, METADATA_TYPE, NewEvent, PRIVACY_STREAM, Position, Query, ReadError, Revision,
    SCHEMAS_STREAM, STREAM_DELETED_TYPE, StreamAppended, StreamMetadata, StreamName, StreamState,
};

/// What the rules need to know of the log.
pub trait LogView {
    /// The stream's last revision, its tombstone, its metadata.
    ///
    /// A metadata stream `$$s` is tombstoned when `s` is, although the tombstone stands in `s`. It has no metadata of
    /// its own.
    fn facts(&self, stream: &StreamName) -> Result<StreamFacts, ReadError>;
    /// Position of the newest event after `after` that matches.
    fn last_match(&self, query: &Query, after: Option<Position>) -> Result<Option<Position>, ReadError>;
    /// How many events match; counting may stop at `limit`.
    fn count_matches(&self, query: &Query, limit: u64) -> Result<u64, ReadError>;
    /// The event of a stream with this revision, if it is still there.
    fn event_at(
        &self,
        stream: &StreamName,
        revision: Revision,
    ) -> Result<Option<(EventId, Position)>, ReadError>;
    /// Where in the stream the event with this id is; the newest, should the stream hold the id more than once.
    fn find_event(&self, stream: &StreamName, id: EventId)
    -> Result<Option<(Revision, Position)>, ReadError>;
    /// What the append with this id wrote, in log order; empty if there was none.
    fn find_append(&self, id: AppendId) -> Result<Vec<Written>, ReadError>;
}

/// What the log knows of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamFacts {
    /// Revision of the last event other than a tombstone.
    pub last: Option<Revision>,
    /// Whether it was deleted for ever.
    pub tombstoned: bool,
    /// What its last metadata event says, if it has one.
    pub metadata: Option<StreamMetadata>,
}

impl StreamFacts {
    /// The stream's state.
    pub fn state(&self) -> StreamState {
        match (self.tombstoned, self.last, &self.metadata) {
            (true, _, _) => StreamState::Tombstoned,
            (_, last, Some(metadata)) if metadata.is_deleted() => StreamState::SoftDeleted { last },
            (_, Some(last), _) => StreamState::Live { last },
            (_, None, Some(_)) => StreamState::MetadataOnly,
            (_, None, None) => StreamState::Missing,
        }
    }
}

/// One event that an earlier append wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its stream.
    pub stream: StreamName,
    /// Its revision.
    pub revision: Revision,
    /// Its position.
    pub position: Position,
    /// Its type.
    pub event_type: EventType,
}

/// What an append comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// It is to be written.
    Write(Admitted),
    /// It was written before.
    Duplicate {
        /// Position of its first event.
        first: Position,
        /// Position of its last event.
        last: Position,
        /// What it did to each stream.
        streams: Vec<StreamAppended>,
    },
}

/// How an append is to be written: `before`, then each write's events, then `after`, in one commit.
///
/// Only the writes' own events carry the append's id, and only they count in `Appended::first` and `last`: so a repeated
/// append is answered as the first one was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admitted {
    /// Metadata events that revive soft-deleted streams.
    pub before: Vec<SystemEvent>,
    /// Revision of the first event of each write.
    pub first_revisions: Vec<Revision>,
    /// Metadata events that keep truncated events hidden.
    pub after: Vec<SystemEvent>,
    /// What the append does to each stream.
    pub streams: Vec<StreamAppended>,
}

/// An event that the store itself adds.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemEvent {
    /// Its stream.
    pub stream: StreamName,
    /// Its revision.
    pub revision: Revision,
    /// The event.
    pub event: NewEvent,
}

/// Namespace of the ids of the store's own events.
const SYSTEM_EVENTS: Uuid = Uuid::from_u128(0x3d5e_8c1f_6b0a_4c57_9d21_7f4e_a6b3_0c98);

impl SystemEvent {
    pub(crate) fn new(stream: StreamName, revision: Revision, event_type: &'static str, data: Bytes) -> Self {
        // The names are this crate's own constants, well within every limit.
        let event_type = EventType::new(event_type).unwrap_or_else(|_| unreachable!("a constant name"));
        // From its place, not from chance or the clock: the same operations give the same log.
        let id = EventId(Uuid::new_v5(&SYSTEM_EVENTS, format!("{revision}@{stream}").as_bytes()));
        Self { stream, revision, event: NewEvent::json(event_type, data).with_id(id) }
    }
}

/// Checks that an append is within its limits: needs no log, so it can be done before the critical section.
///
/// # Errors
/// `TooLarge`, `InvalidEvent`, or `Invalid` for a stream that only the store writes; with the values.
pub fn check_limits(append: &Append) -> Result<(), AppendError> {
    let within = |unit, limit, actual| {
        if actual > limit { Err(AppendError::TooLarge { unit, limit, actual }) } else { Ok(()) }
    };
    within("events", MAX_EVENTS_PER_APPEND, append.event_count())?;
    within("conditions and checks", MAX_CHECKS_PER_APPEND, append.conditions.len() + append.checks.len())?;
    let mut bytes = 0;
    for write in &append.writes {
        if is_kept_by_store(&write.stream) {
            return Err(AppendError::Invalid {
                why: format!(
                    "stream '{}' is kept by the store alone, to tell what it has redacted: choose another stream",
                    write.stream
                ),
            });
        }
        for (index, event) in write.events.iter().enumerate() {
            event.check(&write.stream).map_err(|source| AppendError::InvalidEvent {
                stream: write.stream.clone(),
                index,
                source,
            })?;
            bytes += event.size_in(&write.stream);
        }
    }
    within("bytes", MAX_APPEND_BYTES, bytes)?;
    for condition in &append.conditions {
        let (AppendCondition::FailIfEventsMatch { query, .. } | AppendCondition::CountBelow { query, .. }) =
            condition;
        query.check().map_err(|e| AppendError::Invalid { why: e.to_string() })?;
    }
    Ok(())
}

/// Whether `append` may be written, and as what.
///
/// # Errors
/// `Conflict` with every failing check, `StreamDeleted`, `AppendIdReused`, or the view's own error.
pub fn admit(view: &impl LogView, append: &Append) -> Result<Admission, AppendError> {
    if let Some(id) = append.append_id {
        let written = view.find_append(id)?;
        if let (Some(first), Some(last)) = (written.first(), written.last()) {
            check_same_append(append, id, &written)?;
            return Ok(Admission::Duplicate {
                first: first.position,
                last: last.position,
                streams: summarize(&written),
            });
        }
    }

    let mut failed = Vec::new();
    let mut streams: Vec<StreamPlan<'_>> = Vec::new();
    // An append may speak to as many streams as it has events: none is looked for in a list.
    let mut places: HashMap<&str, usize> = HashMap::new();
    for write in &append.writes {
        match places.entry(write.stream.as_str()) {
            Entry::Occupied(place) => {
                streams[*place.get()].ids.extend(write.events.iter().map(|event| event.id));
            }
            Entry::Vacant(place) => {
                place.insert(streams.len());
                streams.push(StreamPlan::new(write, view.facts(&write.stream)?));
            }
        }
    }
    let mut verdicts = Vec::with_capacity(streams.len());
    for plan in &streams {
        verdicts.push(judge(view, plan)?);
    }
    let written = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Duplicate { .. })).count();
    let with_events = streams.iter().filter(|plan| !plan.ids.is_empty()).count();
    if written > 0 && written == with_events {
        return Ok(duplicate(&streams, &verdicts));
    }
    for (plan, verdict) in streams.iter().zip(&verdicts) {
        match verdict {
            Verdict::Deleted => return Err(AppendError::StreamDeleted { stream: plan.stream.clone() }),
            // Written before, but not everything else in this append was: that is no repetition.
            Verdict::Mismatch | Verdict::Duplicate { .. } => failed.push(plan.failed()),
            Verdict::Fresh => {}
        }
    }
    for check in &append.checks {
        let actual = view.facts(&check.stream)?.state();
        if !state_meets(actual, check.expected) {
            failed.push(FailedCheck::Revision {
                stream: check.stream.clone(),
                expected: check.expected,
                actual,
            });
        }
    }
    for (index, condition) in append.conditions.iter().enumerate() {
        failed.extend(check_condition(view, index, condition)?);
    }
    if !failed.is_empty() {
        return Err(AppendError::Conflict { failed });
    }
    plan_writes(view, append, &streams)
}

struct StreamPlan<'a> {
    stream: &'a StreamName,
    expected: ExpectedRevision,
    ids: Vec<EventId>,
    facts: StreamFacts,
}

impl<'a> StreamPlan<'a> {
    fn new(write: &'a crate::StreamWrite, facts: StreamFacts) -> Self {
        Self {
            stream: &write.stream,
            expected: write.expected,
            ids: write.events.iter().map(|event| event.id).collect(),
            facts,
        }
    }

    fn failed(&self) -> FailedCheck {
        FailedCheck::Revision {
            stream: self.stream.clone(),
            expected: self.expected,
            actual: self.facts.state(),
        }
    }

    fn next(&self) -> Revision {
        self.facts.last.map_or(Revision::START, Revision::next)
    }
}

enum Verdict {
    Fresh,
    Duplicate { first: (Revision, Position), last: (Revision, Position) },
    Mismatch,
    Deleted,
}

/// The table of expected revisions, one stream at a time.
fn judge(view: &impl LogView, plan: &StreamPlan<'_>) -> Result<Verdict, ReadError> {
    use ExpectedRevision::{Any, Exact, NoStream, StreamExists};
    let repeated = |from: Revision| repetition(view, plan, from);
    match (plan.facts.state(), plan.expected) {
        (StreamState::Tombstoned, _) | (StreamState::SoftDeleted { .. }, StreamExists) => {
            Ok(Verdict::Deleted)
        }
        (StreamState::Missing, StreamExists | Exact(_)) | (StreamState::MetadataOnly, Exact(_)) => {
            Ok(Verdict::Mismatch)
        }
        (StreamState::Missing | StreamState::MetadataOnly, _) => Ok(Verdict::Fresh),
        (StreamState::Live { .. } | StreamState::SoftDeleted { .. }, Any)
        | (StreamState::Live { .. }, StreamExists) => {
            let Some(first) = plan.ids.first() else { return Ok(Verdict::Fresh) };
            match view.find_event(plan.stream, *first)? {
                Some((revision, _)) => repeated(revision),
                None => Ok(Verdict::Fresh),
            }
        }
        (StreamState::Live { .. }, NoStream) => repeated(Revision::START),
        (StreamState::SoftDeleted { .. }, NoStream) => {
            // What was deleted does not stand in the way of a new start, unless this is half a repetition.
            let stored = view.event_at(plan.stream, Revision::START)?.map(|(id, _)| id);
            match plan.ids.first() {
                Some(first) if stored == Some(*first) => repeated(Revision::START),
                _ => Ok(Verdict::Fresh),
            }
        }
        (StreamState::Live { last }, Exact(expected)) if expected == last => Ok(Verdict::Fresh),
        (StreamState::SoftDeleted { last }, Exact(expected)) if Some(expected) == last => Ok(Verdict::Fresh),
        (StreamState::Live { last }, Exact(expected)) if expected < last => repeated(expected.next()),
        (StreamState::SoftDeleted { last: Some(last) }, Exact(expected)) if expected < last => {
            repeated(expected.next())
        }
        (StreamState::Live { .. } | StreamState::SoftDeleted { .. }, Exact(_)) => Ok(Verdict::Mismatch),
    }
}

/// Whether the stream holds exactly the plan's ids from `from` on.
fn repetition(view: &impl LogView, plan: &StreamPlan<'_>, from: Revision) -> Result<Verdict, ReadError> {
    let mut first = None;
    let mut last = None;
    let mut revision = from;
    for id in &plan.ids {
        match view.event_at(plan.stream, revision)? {
            Some((stored, position)) if stored == *id => {
                first.get_or_insert((revision, position));
                last = Some((revision, position));
                revision = revision.next();
            }
            _ => return Ok(Verdict::Mismatch),
        }
    }
    match (first, last) {
        (Some(first), Some(last)) => Ok(Verdict::Duplicate { first, last }),
        // No events: nothing can be a repetition of an earlier append.
        _ => Ok(Verdict::Mismatch),
    }
}

fn duplicate(streams: &[StreamPlan<'_>], verdicts: &[Verdict]) -> Admission {
    let (mut from, mut to) = (Position(u64::MAX), Position::START);
    let mut appended = Vec::with_capacity(streams.len());
    for (plan, verdict) in streams.iter().zip(verdicts) {
        let (first, last) = match verdict {
            Verdict::Duplicate { first, last } => {
                from = from.min(first.1);
                to = to.max(last.1);
                (Some(first.0), Some(last.0))
            }
            // Not `facts.last`: of a tombstoned stream a store may or may not know it.
            _ => (None, plan.facts.state().last_revision()),
        };
        appended.push(StreamAppended { stream: plan.stream.clone(), first, last });
    }
    Admission::Duplicate { first: from, last: to, streams: appended }
}

fn check_same_append(append: &Append, id: AppendId, written: &[Written]) -> Result<(), AppendError> {
    // A retried command may have decided anew, so that contents may differ; the streams it speaks to may not.
    let streams: HashSet<&str> = written.iter().map(|event| event.stream.as_str()).collect();
    let same =
        append.writes.iter().all(|write| write.events.is_empty() || streams.contains(write.stream.as_str()));
    match written.first() {
        Some(first) if !same => Err(AppendError::AppendIdReused { id, first: first.position }),
        _ => Ok(()),
    }
}

fn summarize(written: &[Written]) -> Vec<StreamAppended> {
    let mut streams: Vec<StreamAppended> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for event in written {
        match places.entry(event.stream.as_str()) {
            Entry::Occupied(place) => streams[*place.get()].last = Some(event.revision),
            Entry::Vacant(place) => {
                place.insert(streams.len());
                streams.push(StreamAppended {
                    stream: event.stream.clone(),
                    first: Some(event.revision),
                    last: Some(event.revision),
                });
            }
        }
    }
    streams
}

/// Whether a stream in this state is as expected, where nothing is written to it.
pub fn state_meets(state: StreamState, expected: ExpectedRevision) -> bool {
    match expected {
        ExpectedRevision::Any => true,
        ExpectedRevision::NoStream => {
            matches!(
                state,
                StreamState::Missing | StreamState::MetadataOnly | StreamState::SoftDeleted { .. }
            )
        }
        ExpectedRevision::StreamExists => {
            matches!(state, StreamState::Live { .. } | StreamState::MetadataOnly)
        }
        ExpectedRevision::Exact(revision) => state.last_revision() == Some(revision),
    }
}

fn check_condition(
    view: &impl LogView,
    index: usize,
    condition: &AppendCondition,
) -> Result<Option<FailedCheck>, ReadError> {
    match condition {
        AppendCondition::FailIfEventsMatch { query, after } => Ok(view
            .last_match(query, *after)?
            .map(|conflicting| FailedCheck::Condition { index, conflicting })),
        AppendCondition::CountBelow { query, below } => {
            let found = view.count_matches(query, *below)?.min(*below);
            Ok((found >= *below).then_some(FailedCheck::Count { index, below: *below, found }))
        }
    }
}

fn plan_writes(
    view: &impl LogView,
    append: &Append,
    streams: &[StreamPlan<'_>],
) -> Result<Admission, AppendError> {
    let mut admitted = Admitted::default();
    let mut next: HashMap<&str, Revision> =
        streams.iter().map(|plan| (plan.stream.as_str(), plan.next())).collect();
    // Metadata that the store writes to a stream which this append writes too takes its number from the same count.
    let mut take =
        |view_next: Result<Revision, ReadError>, stream: &StreamName| -> Result<Revision, ReadError> {
            match next.get_mut(stream.as_str()) {
                Some(next) => {
                    let revision = *next;
                    *next = revision.next();
                    Ok(revision)
                }
                None => view_next,
            }
        };
    let view_next = |stream: &StreamName| {
        view.facts(stream).map(|facts| facts.last.map_or(Revision::START, Revision::next))
    };
    for plan in streams.iter().filter(|plan| !plan.ids.is_empty()) {
        if let (StreamState::SoftDeleted { .. }, Some(metastream)) =
            (plan.facts.state(), plan.stream.metastream())
        {
            let revision = take(view_next(&metastream), &metastream)?;
            let metadata = plan.facts.metadata.clone().unwrap_or_default();
            admitted.before.push(revival(metastream, revision, metadata, plan.next()));
        }
    }
    // Where each stream's own events begin: after the metadata event, if it just got one.
    let own: Vec<Revision> =
        streams.iter().map(|plan| next.get(plan.stream.as_str()).copied().unwrap_or(plan.next())).collect();
    for write in &append.writes {
        let first = next.get(write.stream.as_str()).copied().unwrap_or(Revision::START);
        admitted.first_revisions.push(first);
        next.insert(write.stream.as_str(), Revision(first.0 + write.events.len() as u64));
    }
    for (plan, first) in streams.iter().zip(own) {
        if let Some(event) = keep_hidden(view, append, plan, &next)? {
            admitted.after.push(event);
        }
        let count = plan.ids.len() as u64;
        admitted.streams.push(StreamAppended {
            stream: plan.stream.clone(),
            first: (count > 0).then_some(first),
            last: if count > 0 { Some(Revision(first.0 + count - 1)) } else { plan.facts.last },
        });
    }
    Ok(Admission::Write(admitted))
}

/// Metadata written over a soft delete revives the stream; what was deleted stays hidden.
fn keep_hidden(
    view: &impl LogView,
    append: &Append,
    plan: &StreamPlan<'_>,
    next: &HashMap<&str, Revision>,
) -> Result<Option<SystemEvent>, ReadError> {
    let Some(Ok(described)) = plan.stream.described().map(StreamName::new) else { return Ok(None) };
    let writes = append.writes.iter().rev();
    let Some(last) =
        writes.filter(|write| write.stream == *plan.stream).find_map(|write| write.events.last())
    else {
        return Ok(None);
    };
    let facts = view.facts(&described)?;
    let written = StreamMetadata::parse(&last.data);
    let StreamState::SoftDeleted { last: Some(deleted_at) } = facts.state() else { return Ok(None) };
    if written.is_deleted() || written.truncate_before.is_some_and(|before| before > deleted_at.0) {
        return Ok(None);
    }
    let revision = next.get(plan.stream.as_str()).copied().unwrap_or(Revision::START);
    Ok(Some(revival(plan.stream.clone(), revision, written, deleted_at.next())))
}

fn revival(
    metastream: StreamName,
    revision: Revision,
    metadata: StreamMetadata,
    visible_from: Revision,
) -> SystemEvent {
    let metadata = StreamMetadata { truncate_before: Some(visible_from.0), ..metadata };
    SystemEvent::new(metastream, revision, METADATA_TYPE, metadata.to_json())
}

/// Whether a stream may be deleted, and by which event.
///
/// # Errors
/// `Conflict`, `StreamDeleted`, `Invalid` for a metadata stream, the stream of schemas or that of redactions, or the view's
/// own error.
pub fn admit_delete(view: &impl LogView, delete: &Delete) -> Result<SystemEvent, AppendError> {
    let Some(metastream) = delete.stream.metastream() else {
        return Err(AppendError::Invalid {
            why: format!("'{}' is a metadata stream: delete the stream that it describes", delete.stream),
        });
    };
    if delete.stream.as_str() == SCHEMAS_STREAM {
        return Err(AppendError::Invalid {
            why: format!("'{SCHEMAS_STREAM}' holds the registered schemas: it cannot be deleted"),
        });
    }
    if delete.stream.as_str() == PRIVACY_STREAM {
        return Err(AppendError::Invalid {
            why: format!("'{PRIVACY_STREAM}' tells who was erased: it cannot be deleted"),
        });
    }
    if is_kept_by_store(&delete.stream) {
        return Err(AppendError::Invalid {
            why: format!("'{}' tells what was redacted: it cannot be deleted", delete.stream),
        });
    }
    let facts = view.facts(&delete.stream)?;
    let state = facts.state();
    let deleted = || AppendError::StreamDeleted { stream: delete.stream.clone() };
    match (state, delete.expected) {
        (StreamState::Tombstoned, _) | (StreamState::SoftDeleted { .. }, ExpectedRevision::StreamExists) => {
            return Err(deleted());
        }
        (StreamState::Missing, ExpectedRevision::Any | ExpectedRevision::NoStream)
            if delete.mode == DeleteMode::Tombstone => {}
        (StreamState::Missing, _) => return Err(not_as_expected(delete, state)),
        _ if state_meets(state, delete.expected) => {}
        _ => return Err(not_as_expected(delete, state)),
    }
    match delete.mode {
        DeleteMode::Tombstone => {
            let data = Bytes::from_static(b"{}");
            Ok(SystemEvent::new(delete.stream.clone(), Revision::TOMBSTONE, STREAM_DELETED_TYPE, data))
        }
        DeleteMode::Soft => {
            let revision = view.facts(&metastream)?.last.map_or(Revision::START, Revision::next);
            let data = Bytes::from(format!("{{\"$tb\":{TRUNCATE_ALL}}}"));
            Ok(SystemEvent::new(metastream, revision, METADATA_TYPE, data))
        }
    }
}

fn not_as_expected(delete: &Delete, actual: StreamState) -> AppendError {
    let stream = delete.stream.clone();
    AppendError::Conflict {
        failed: vec![FailedCheck::Revision { stream, expected: delete.expected, actual }],
    }
}
