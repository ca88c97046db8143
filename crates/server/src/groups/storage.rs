//! What does a group keep in the store? Its checkpoint, and the events that it has put aside.

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Read, ReadError, ReadFrom,
    RecordedEvent, Revision, Selector, StreamMetadata, StreamName, Timestamp,
};
use factum_protocol::{LINK_TYPE, LinkTarget};
use serde_json::{Value, json};

use super::config::{self, Start};
use super::key::GroupStreams;
use super::ranges::Ranges;
use crate::call::Call;
use crate::links;
use crate::shared::Shared;
use crate::source::{Resolved, Source};

/// The type of a checkpoint.
const CHECKPOINT_TYPE: &str = "$SubscriptionCheckpoint";
/// The member of the parked stream's metadata that names forgotten events among others: pairs of a first and a last revision.
const FORGOTTEN: &str = "factumForgotten";
/// Most ranges of them.
const MAX_FORGOTTEN_RANGES: usize = 1_000;
/// Checkpoints that stay visible; the others can be scavenged.
const CHECKPOINTS_KEPT: u64 = 2;

/// An event that was put aside.
#[derive(Clone, Debug)]
pub(crate) struct ParkedEvent {
    /// The link that stands for it, and the event; none where it is gone.
    pub(crate) resolved: Resolved,
    /// Its number among the parked ones.
    pub(crate) revision: u64,
    /// Why it was put aside, in the words of the consumer or of the group.
    pub(crate) reason: String,
}

/// The parked events that are there: by their revisions in the stream of parked events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parked {
    /// Those that were not forgotten.
    pub(crate) there: Ranges,
    /// Those after the first one that were: what keeps them apart is written down, and that has a limit.
    forgotten: Ranges,
}

/// An event that is to be put aside.
#[derive(Clone, Debug)]
pub(super) struct ToPark {
    /// The event.
    pub(super) resolved: std::sync::Arc<Resolved>,
    /// Why.
    pub(super) reason: String,
}

/// The last checkpoint of a group.
///
/// # Errors
/// `ReadError` where it cannot be read; a checkpoint that is no place is `Damaged`.
pub(super) async fn checkpoint(
    store: &dyn EventStore,
    streams: &GroupStreams,
) -> Result<Option<u64>, ReadError> {
    let Some(event) = found(store.last_event(streams.checkpoint.clone()).await)?.flatten() else {
        return Ok(None);
    };
    match place_in(event.data_slice()) {
        Some(place) => Ok(Some(place)),
        None => Err(ReadError::Damaged {
            place: format!("revision {} of '{}'", event.revision(), event.stream()),
            what: "the checkpoint is no revision and no position".to_owned(),
        }),
    }
}

fn place_in(data: &[u8]) -> Option<u64> {
    match serde_json::from_slice(data).ok()? {
        Value::String(text) => match config::read_place(&text)? {
            Start::At(place) => Some(place),
            Start::End => None,
        },
        number => number.as_u64(),
    }
}

/// Writes a checkpoint; after the first one, how many are kept. Not before: what a former group of this name left behind
/// would be seen again.
///
/// # Errors
/// `AppendError` where it was not written.
pub(super) async fn write_checkpoint(
    store: &dyn EventStore,
    streams: &GroupStreams,
    place: String,
    which: WhichCheckpoint,
) -> Result<(), AppendError> {
    let event = NewEvent::json(event_type(CHECKPOINT_TYPE)?, Value::String(place).to_string());
    store.append_to(streams.checkpoint.clone(), ExpectedRevision::Any, vec![event]).await?;
    if which == WhichCheckpoint::First {
        let mut metadata = store.stream_metadata(streams.checkpoint.clone()).await?;
        if metadata.max_count.is_none() {
            metadata.max_count = Some(CHECKPOINTS_KEPT);
            store.set_stream_metadata(streams.checkpoint.clone(), &metadata).await?;
        }
    }
    Ok(())
}

/// Whether a group has written a checkpoint before, since it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhichCheckpoint {
    /// It has not.
    First,
    /// It has.
    Later,
}

/// Puts events aside.
///
/// # Errors
/// `AppendError` where none of them was written.
pub(super) async fn park(
    store: &dyn EventStore,
    streams: &GroupStreams,
    events: &[ToPark],
    now: Timestamp,
) -> Result<(), AppendError> {
    let link_type = event_type(LINK_TYPE)?;
    let links = events.iter().map(|event| {
        let number = event.resolved.original().map(|original| original.revision().0);
        let metadata = json!({
            "added": now.to_string(), "reason": event.reason, "subscriptionEventNumber": number,
        });
        NewEvent::binary(link_type.clone(), link_data(&event.resolved)).with_metadata(metadata.to_string())
    });
    store.append_to(streams.parked.clone(), ExpectedRevision::Any, links.collect()).await?;
    Ok(())
}

/// What a link to the event says; of a link to nothing, what that says.
fn link_data(resolved: &Resolved) -> Vec<u8> {
    match (&resolved.event, &resolved.link) {
        (Some(event), _) => LinkTarget::write(event.stream(), event.revision()).into_bytes(),
        (None, Some(link)) => link.data_slice().to_vec(),
        (None, None) => Vec::new(),
    }
}

/// Which parked events there are.
///
/// # Errors
/// `ReadError` where that cannot be read.
pub(crate) async fn parked(store: &dyn EventStore, parked: &StreamName) -> Result<Parked, ReadError> {
    let Some(reader) = found(store.read(Read::stream(parked.clone()).limit(1)).await)? else {
        return Ok(Parked::default());
    };
    let head = reader.head();
    let next = head.stream.and_then(factum_core::StreamState::last_revision).map_or(0, |last| last.next().0);
    let first = head.first_visible.map_or(0, |first| first.0);
    let mut forgotten = Ranges::default();
    if first < next {
        forgotten = forgotten_in(&store.stream_metadata(parked.clone()).await?);
        forgotten.remove(0..first);
    }
    let mut there = Ranges::from(first.min(next)..next);
    there.subtract(&forgotten);
    Ok(Parked { there, forgotten })
}

/// Which parked events are forgotten, though older ones are there.
fn forgotten_in(metadata: &StreamMetadata) -> Ranges {
    let mut forgotten = Ranges::default();
    let pairs = metadata.user.get(FORGOTTEN).and_then(Value::as_array).into_iter().flatten();
    for pair in pairs.take(MAX_FORGOTTEN_RANGES) {
        if let (Some(first), Some(last)) = (pair[0].as_u64(), pair[1].as_u64()) {
            forgotten.insert(first..last.saturating_add(1));
        }
    }
    forgotten
}

impl Parked {
    /// Whether `events` can be forgotten as well.
    pub(super) fn can_forget(&self, events: &Ranges) -> bool {
        let mut forgotten = self.forgotten.clone();
        forgotten.extend(events);
        forgotten.pieces() <= MAX_FORGOTTEN_RANGES
    }
}

/// Parked events from a revision on, the oldest first, at most so many.
///
/// # Errors
/// `ReadError` where one of them, or what it points to, cannot be read.
pub(crate) async fn parked_page(
    shared: &Shared,
    parked: &StreamName,
    from: u64,
    count: u64,
) -> Result<Vec<ParkedEvent>, ReadError> {
    let store: &dyn EventStore = shared.store.as_ref();
    let read = Read::stream(parked.clone()).from(ReadFrom::Revision(Revision(from))).limit(count);
    let links = found(store.read_all(read).await)?.unwrap_or_default();
    let mut page = Vec::with_capacity(links.len());
    for link in links {
        let event = match LinkTarget::parse(link.data_slice()) {
            // The group has the rights of the server: who reads it was asked for theirs.
            Some(target) => links::target(shared, &Call::of_server(), target).await?,
            None => None,
        };
        let metadata: Value = serde_json::from_slice(link.metadata_slice()).unwrap_or_default();
        let reason = config::member(&metadata, "reason").and_then(Value::as_str).unwrap_or_default();
        page.push(ParkedEvent {
            revision: link.revision().0,
            reason: reason.to_owned(),
            resolved: Resolved { event, link: Some(link) },
        });
    }
    Ok(page)
}

/// Forgets parked events: those at the beginning by `$tb`, as KurrentDB does, and others by a member of the stream's metadata.
/// Gives those for which there was no room, the newest ones: they are asked for again when older ones have gone.
///
/// # Errors
/// `AppendError` where they are still there.
pub(super) async fn forget_parked(
    store: &dyn EventStore,
    parked: &StreamName,
    events: &Ranges,
) -> Result<Ranges, AppendError> {
    let mut metadata = store.stream_metadata(parked.clone()).await?;
    let former = metadata.clone();
    let mut forgotten = forgotten_in(&metadata);
    forgotten.extend(events);
    forgotten.insert(0..metadata.truncate_before.unwrap_or(0));
    let before = forgotten.iter().next().filter(|range| range.start == 0).map_or(0, |range| range.end);
    forgotten.remove(0..before);
    if before > 0 {
        metadata.truncate_before = Some(before);
    }
    let mut left = Ranges::default();
    forgotten.iter().skip(MAX_FORGOTTEN_RANGES).for_each(|range| left.insert(range));
    forgotten.subtract(&left);
    let pairs: Vec<Value> = forgotten.iter().map(|range| json!([range.start, range.end - 1])).collect();
    if pairs.is_empty() {
        metadata.user.remove(FORGOTTEN);
    } else {
        metadata.user.insert(FORGOTTEN.to_owned(), pairs.into());
    }
    if metadata != former {
        store.set_stream_metadata(parked.clone(), &metadata).await?;
    }
    Ok(left)
}

/// Deletes what a group keeps, so that one of the same name begins anew.
///
/// # Errors
/// `AppendError` where something is still there.
pub(super) async fn delete(store: &dyn EventStore, streams: &GroupStreams) -> Result<(), AppendError> {
    for stream in [&streams.checkpoint, &streams.parked] {
        if found(store.last_event(stream.clone()).await)?.is_none() {
            continue;
        }
        let delete = factum_core::Delete {
            stream: stream.clone(),
            expected: ExpectedRevision::Any,
            mode: factum_core::DeleteMode::Soft,
        };
        store.delete(delete).await?;
    }
    Ok(())
}

/// The last place of a source that has an event; `None` where it has none.
///
/// # Errors
/// `ReadError` where that cannot be read.
pub(super) async fn last_place(store: &dyn EventStore, source: &Source) -> Result<Option<u64>, ReadError> {
    let mut read = Read::backwards(source.selector()).limit(1);
    read.filter = source.filter();
    let last = found(store.read_all(read).await)?.and_then(|mut events| events.pop());
    Ok(last.map(|event| place_of(source, &event)))
}

/// Where an event stands in a source: in a stream its revision, in the log and its indexes its position.
pub(super) fn place_of(source: &Source, event: &RecordedEvent) -> u64 {
    match source {
        Source::Stream(_) => event.revision().0,
        Source::All | Source::Index(_) => event.position().0,
    }
}

/// The first place of a source that has no event yet.
///
/// # Errors
/// `ReadError` where that cannot be read.
pub(super) async fn end_of(store: &dyn EventStore, source: &Source) -> Result<u64, ReadError> {
    let whole = match source {
        Source::Stream(name) => Selector::Stream(name.clone()),
        // What an index has next stands after whatever the log has now.
        Source::All | Source::Index(_) => Selector::All,
    };
    let last =
        found(store.read_all(Read::backwards(whole).limit(1)).await)?.and_then(|mut events| events.pop());
    Ok(last.map_or(0, |event| place_of(source, &event).saturating_add(1)))
}

/// A stream that is not there, or not any more, has nothing.
fn found<T>(outcome: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn event_type(name: &'static str) -> Result<EventType, AppendError> {
    EventType::new(name).map_err(|error| AppendError::Invalid { why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use factum_core::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn parked_events_are_forgotten_in_any_order() {
        let store = MemoryStore::new();
        let stream = StreamName::new("parked").expect("a name");
        let event = || NewEvent::json(EventType::new("A").expect("a type"), "1");
        let events = (0..10).map(|_| event()).collect();
        store.append_to(stream.clone(), ExpectedRevision::Any, events).await.expect("appended");
        let there = async |store: &MemoryStore| {
            let parked = parked(store, &stream).await.expect("readable");
            parked.there.iter().collect::<Vec<_>>()
        };
        for (forget, left, before) in [
            (5..7, vec![0..5, 7..10], None),
            (8..9, vec![0..5, 7..8, 9..10], None),
            (0..1, vec![1..5, 7..8, 9..10], Some(1)),
            (1..5, vec![7..8, 9..10], Some(7)),
            (7..10, vec![], Some(10)),
        ] {
            assert!(forget_parked(&store, &stream, &Ranges::from(forget)).await.expect("written").is_empty());
            assert_eq!(there(&store).await, left);
            let metadata = store.stream_metadata(stream.clone()).await.expect("readable");
            assert_eq!(metadata.truncate_before, before);
            assert_eq!(
                metadata.user.contains_key(FORGOTTEN),
                left.len() > 1 || (before.is_none()),
                "{left:?}"
            );
        }
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_gaps() {
        let store = MemoryStore::new();
        let stream = StreamName::new("parked").expect("a name");
        let mut scattered = Ranges::default();
        let most = MAX_FORGOTTEN_RANGES as u64;
        (0..most + 2).for_each(|n| scattered.add(2 * n + 1));
        assert!(!Parked::default().can_forget(&scattered));
        let left = forget_parked(&store, &stream, &scattered).await.expect("written");
        assert_eq!(left.iter().collect::<Vec<_>>(), [2 * most + 1..2 * most + 2, 2 * most + 3..2 * most + 4]);
        let left = forget_parked(&store, &stream, &Ranges::from(0..9)).await.expect("written");
        assert!(left.is_empty());
        let metadata = store.stream_metadata(stream.clone()).await.expect("readable");
        assert_eq!(metadata.truncate_before, Some(10));
    }

    #[test]
    fn checkpoints_of_either_kind_are_read() {
        assert_eq!(place_in(br#""12""#), Some(12));
        assert_eq!(place_in(b"12"), Some(12));
        assert_eq!(place_in(br#""C:40/P:40""#), Some(40));
        for nothing in [&b""[..], b"{}", br#""-1""#, br#""C:x/P:1""#, b"-3"] {
            assert_eq!(place_in(nothing), None);
        }
    }
}
