//! How a batch reaches the store, so that an import that is run again adds nothing and one that was cut goes on.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, EventStore, ExpectedRevision, METADATA_TYPE, NewEvent, Read,
    ReadError, ReadFrom, RecordedEvent, Revision, Selector, StreamAppended, StreamName, StreamState,
    StreamView, StreamWrite,
};

use super::ImportError;

/// Events appended, and events that were there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) new: u64,
    pub(super) known: u64,
}

/// Appends `append`; where the store holds part of it already, the rest.
///
/// `written` is what this import appended before, for the error.
pub(super) async fn append_or_skip(
    store: &dyn EventStore,
    append: Append,
    written: u64,
) -> Result<Outcome, ImportError> {
    let count = append.event_count() as u64;
    let failed = |source| ImportError::Append { source, written };
    match store.append(append.clone()).await {
        Ok(appended) if !appended.deduplicated => Ok(Outcome { new: count, known: 0 }),
        Ok(appended) if is_whole(&appended, count) => Ok(Outcome { new: 0, known: count }),
        // What is of a subject that was erased since is not sealed again; where it is there already, it need not be.
        Ok(_)
        | Err(
            AppendError::Conflict { .. } | AppendError::StreamDeleted { .. } | AppendError::NotSealed { .. },
        ) => {
            let (rest, known) = missing(store, append).await?;
            let new = rest.event_count() as u64;
            if new > 0 {
                store.append(rest).await.map_err(failed)?;
            }
            Ok(Outcome { new, known })
        }
        Err(source) => Err(failed(source)),
    }
}

/// Whether an earlier append wrote `count` events. A file that was cut in the middle of an append leaves a part of it
/// under the append's id.
fn is_whole(appended: &Appended, count: u64) -> bool {
    let written = |stream: &StreamAppended| Some(stream.last?.0 - stream.first?.0 + 1);
    appended.streams.iter().filter_map(written).sum::<u64>() == count
}

/// Gives the store all `appends` at once, in order, so that they share its syncs, and adds up what came of them.
///
/// Each must expect exact revisions: then an append that overtakes a failed one of the same stream fails too, and both
/// are done again, one after the other.
pub(super) async fn append_in_order(
    store: &dyn EventStore,
    appends: Vec<Append>,
    written: u64,
    outcome: &mut Outcome,
) -> Result<(), ImportError> {
    let mut running: Vec<_> =
        appends.iter().map(|append| Running::Waits(store.append(append.clone()))).collect();
    poll_fn(|context| {
        let mut waits = false;
        for append in &mut running {
            if let Running::Waits(future) = append {
                match future.as_mut().poll(context) {
                    Poll::Ready(result) => *append = Running::Done(result),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    for (append, running) in appends.into_iter().zip(running) {
        let count = append.event_count() as u64;
        let one = match running {
            Running::Done(Ok(appended)) if !appended.deduplicated => Outcome { new: count, known: 0 },
            Running::Done(Ok(appended)) if is_whole(&appended, count) => Outcome { new: 0, known: count },
            Running::Done(Ok(_) | Err(AppendError::Conflict { .. } | AppendError::StreamDeleted { .. }))
            | Running::Waits(_) => append_or_skip(store, append, written + outcome.new).await?,
            Running::Done(Err(source)) => {
                return Err(ImportError::Append { source, written: written + outcome.new });
            }
        };
        outcome.new += one.new;
        outcome.known += one.known;
    }
    Ok(())
}

enum Running<'a> {
    Waits(BoxFuture<'a, Result<Appended, AppendError>>),
    Done(Result<Appended, AppendError>),
}

/// The part of `append` that the store does not hold, with expectations that fit what it does hold, and how many
/// events it holds.
async fn missing(store: &dyn EventStore, append: Append) -> Result<(Append, u64), ImportError> {
    // The rest is a different append: it must not carry the identity of the whole.
    let mut rest = Append { append_id: None, writes: Vec::new(), ..append };
    let mut known = 0;
    let mut streams: HashMap<StreamName, Continuation> = HashMap::new();
    for write in append.writes {
        let mut place = match streams.remove(&write.stream) {
            Some(place) => place,
            None => Continuation::of(store, &write).await?,
        };
        let mut events = Vec::new();
        for event in write.events {
            if !place.appending && place.holds(store, &write.stream, &event).await? {
                place.before += 1;
                known += 1;
            } else {
                place.begin(&write.stream)?;
                events.push(event);
            }
        }
        if !events.is_empty() {
            rest.writes.push(StreamWrite { stream: write.stream.clone(), expected: place.expected, events });
        }
        streams.insert(write.stream, place);
    }
    Ok((rest, known))
}

/// Where a stream's missing events are to be added.
struct Continuation {
    state: StreamState,
    /// What an append of the rest expects.
    expected: ExpectedRevision,
    /// Events that the input has in this stream before the one that is looked at.
    before: u64,
    appending: bool,
}

impl Continuation {
    async fn of(store: &dyn EventStore, write: &StreamWrite) -> Result<Self, ImportError> {
        let state = state_of(store, &write.stream).await?;
        let expected = state.last_revision().map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        let before = match write.expected {
            ExpectedRevision::Exact(revision) => revision.0 + 1,
            ExpectedRevision::NoStream => 0,
            // The input does not count them.
            ExpectedRevision::Any | ExpectedRevision::StreamExists => u64::MAX / 2,
        };
        Ok(Self { state, expected, before, appending: false })
    }

    /// Called before the first event that is not there: it may only follow events of the input. The store may hold
    /// fewer of those than the input counts, since an export of a scavenged log has gaps; never more.
    fn begin(&mut self, stream: &StreamName) -> Result<(), ImportError> {
        let stored = self.state.last_revision().map_or(0, |revision| revision.0 + 1);
        if self.state == StreamState::Tombstoned || (!self.appending && stored > self.before) {
            return Err(ImportError::StreamDiffers { stream: stream.clone() });
        }
        self.appending = true;
        Ok(())
    }

    async fn holds(
        &self,
        store: &dyn EventStore,
        stream: &StreamName,
        event: &NewEvent,
    ) -> Result<bool, ImportError> {
        let by_id = Read::forwards(Selector::Event(event.id));
        if any(store, by_id, |stored| stored.stream() == stream.as_str()).await? {
            return Ok(true);
        }
        if !stream.is_metastream() || *event.event_type != *METADATA_TYPE {
            return Ok(false);
        }
        // Metadata that the store added by itself, when it revived a stream, has an id of its own each time.
        let at = Read::stream(stream.clone())
            .from(ReadFrom::Revision(Revision(self.before)))
            .limit(1)
            .view(StreamView::Recorded);
        any(store, at, |stored| stored.revision().0 == self.before && stored.data_slice() == event.data).await
    }
}

async fn state_of(store: &dyn EventStore, stream: &StreamName) -> Result<StreamState, ImportError> {
    let read = Read::backwards(Selector::Stream(stream.clone())).limit(1).view(StreamView::Recorded);
    match store.read(read).await {
        Ok(reader) => Ok(reader.head().stream.unwrap_or(StreamState::Missing)),
        Err(ReadError::StreamNotFound { .. }) => Ok(StreamState::Missing),
        Err(error) => Err(error.into()),
    }
}

async fn any(
    store: &dyn EventStore,
    read: Read,
    test: impl Fn(&RecordedEvent) -> bool,
) -> Result<bool, ImportError> {
    let mut reader = match store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    while let Some(page) = reader.next_page().await? {
        if page.events.iter().any(&test) {
            return Ok(true);
        }
    }
    Ok(false)
}
