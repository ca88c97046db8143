//! What does a group keep in the store? Its checkpoint, and the events that it has put aside.

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Read, ReadError, ReadFrom,
    RecordedEvent, Revision, Selector, StreamName, Timestamp,
};
use factum_protocol::{LINK_TYPE, LinkTarget};
use serde_json::{Value, json};

use super::config::{self, Start};
use super::key::GroupStreams;
use crate::call::Call;
use crate::links;
use crate::shared::Shared;
use crate::source::{Resolved, Source};

/// The type of a checkpoint.
const CHECKPOINT_TYPE: &str = "$SubscriptionCheckpoint";
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

/// Which revisions of the stream of parked events are there: from the first, up to before the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParkedSpan {
    /// The first that was not forgotten.
    pub(crate) first: u64,
    /// The one that would be written next.
    pub(crate) next: u64,
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
pub(crate) async fn parked_span(
    store: &dyn EventStore,
    parked: &StreamName,
) -> Result<ParkedSpan, ReadError> {
    let Some(reader) = found(store.read(Read::stream(parked.clone()).limit(1)).await)? else {
        return Ok(ParkedSpan::default());
    };
    let head = reader.head();
    let next = head.stream.and_then(factum_core::StreamState::last_revision).map_or(0, |last| last.next().0);
    let first = head.first_visible.map_or(0, |first| first.0);
    Ok(ParkedSpan { first: first.min(next), next })
}

impl ParkedSpan {
    /// How many there are from a revision on.
    pub(crate) fn count_from(self, revision: u64) -> u64 {
        self.next.saturating_sub(self.first.max(revision))
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

/// Forgets the parked events before a revision.
///
/// # Errors
/// `AppendError` where they are still there.
pub(super) async fn forget_parked(
    store: &dyn EventStore,
    parked: &StreamName,
    before: u64,
) -> Result<(), AppendError> {
    let mut metadata = store.stream_metadata(parked.clone()).await?;
    if metadata.truncate_before.is_some_and(|former| former >= before) {
        return Ok(());
    }
    metadata.truncate_before = Some(before);
    store.set_stream_metadata(parked.clone(), &metadata).await?;
    Ok(())
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
    use super::*;

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
