//! The contract of every event store: five verbs, one that a store may have, and short forms of the common calls.

use std::future::Future;
use std::pin::Pin;

use crate::{
    Append, AppendError, Appended, Capabilities, Capability, Delete, Deleted, Direction, EventReader,
    EventType, ExpectedRevision, METADATA_TYPE, NewEvent, Page, Read, ReadError, ReadFrom, RecordedEvent,
    Redact, RedactError, Redacted, Selector, StreamMetadata, StreamName, Subscribe, Subscription,
};

/// A future that can be kept in a box and moved between threads. It needs no particular runtime.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An append-only store of events.
///
/// Positions are given at commit, so what a reader has seen is always a complete prefix of what it will ever see.
/// An append that was acknowledged is kept as [`Capabilities::durability`] says; one that failed left nothing, unless
/// the error says that its outcome is unknown, and then the same event ids or append id may safely be sent again.
pub trait EventStore: Send + Sync + 'static {
    /// What this store can do. What it cannot is refused as `Unsupported`, never done by halves.
    fn capabilities(&self) -> Capabilities;

    /// Appends events to one or more streams, all or nothing.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// Reads the log as it is now. The reader sees neither later nor half-done appends.
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>>;

    /// Follows the log: what is there, then what comes.
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>>;

    /// Deletes a stream.
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>>;

    /// Takes data, metadata and tags out of one event, for good. An administrator's verb: slow, and it cannot be undone.
    ///
    /// The event keeps its place, its names, its times and its identities, and carries a [`Redaction`](crate::Redaction)
    /// from then on; [`REDACTIONS_STREAM`](crate::REDACTIONS_STREAM) records it. Asked again, it answers as the first time.
    /// Copies that were made before are not reached: backups, exports, read models, snapshots.
    ///
    /// A store without [`Capability::Redaction`] answers `Unsupported`, as this does where it is not written anew. So does
    /// what stands in front of a store, unless it passes the call on.
    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        drop(redact);
        Box::pin(std::future::ready(Err(RedactError::Unsupported { capability: Capability::Redaction })))
    }
}

/// Short forms of the common calls.
pub trait EventStoreExt: EventStore {
    /// Appends `events` to one stream.
    fn append_to(
        &self,
        stream: StreamName,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.append(Append::to(stream, expected, events))
    }

    /// Reads everything that `read` selects into memory. For what is known to be small: give a limit.
    fn read_all(&self, read: Read) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        Box::pin(async move {
            let mut reader = self.read(read).await?;
            let mut events = Vec::new();
            while let Some(Page { events: page, .. }) = reader.next_page().await? {
                events.extend(page);
            }
            Ok(events)
        })
    }

    /// The newest visible event of a stream.
    fn last_event(&self, stream: StreamName) -> BoxFuture<'_, Result<Option<RecordedEvent>, ReadError>> {
        Box::pin(async move {
            let read = Read::backwards(Selector::Stream(stream)).limit(1);
            Ok(self.read_all(read).await?.pop())
        })
    }

    /// A stream's metadata; empty where none was written.
    fn stream_metadata(&self, stream: StreamName) -> BoxFuture<'_, Result<StreamMetadata, ReadError>> {
        Box::pin(async move {
            let Some(metastream) = stream.metastream() else { return Ok(StreamMetadata::default()) };
            match self.last_event(metastream).await {
                Ok(event) => Ok(event
                    .map_or_else(StreamMetadata::default, |event| StreamMetadata::parse(event.data_slice()))),
                Err(ReadError::StreamNotFound { .. }) => Ok(StreamMetadata::default()),
                Err(error) => Err(error),
            }
        })
    }

    /// Writes a stream's metadata, whatever it was.
    fn set_stream_metadata(
        &self,
        stream: StreamName,
        metadata: &StreamMetadata,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let data = metadata.to_json();
        Box::pin(async move {
            let Some(metastream) = stream.metastream() else {
                return Err(AppendError::Invalid {
                    why: format!("'{stream}' is a metadata stream: it has none"),
                });
            };
            let event_type =
                EventType::new(METADATA_TYPE).map_err(|e| AppendError::Invalid { why: e.to_string() })?;
            self.append_to(metastream, ExpectedRevision::Any, vec![NewEvent::json(event_type, data)]).await
        })
    }

    /// The newest event of the whole log.
    fn head(&self) -> BoxFuture<'_, Result<Option<RecordedEvent>, ReadError>> {
        Box::pin(async move {
            let read = Read {
                direction: Direction::Backwards,
                from: ReadFrom::End,
                ..Read::forwards(Selector::All)
            }
            .limit(1);
            Ok(self.read_all(read).await?.pop())
        })
    }
}

impl<S: EventStore + ?Sized> EventStoreExt for S {}
