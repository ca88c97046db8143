//! Catch-up subscriptions: history, then live, with no gap and no duplicate between.

use std::sync::Arc;

use tokio::sync::watch;

use crate::store::BoxFuture;
use crate::{
    Checkpoint, EventFilter, EventReader, EventStore, Position, Read, ReadError, ReadFrom, RecordedEvent,
    Revision, Selector, StreamView,
};

/// Where a subscription starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribeFrom {
    /// With the oldest event.
    Start,
    /// With the first event appended from now on.
    End,
    /// With the event after this revision of the selected stream.
    AfterRevision(Revision),
    /// With the event after this position.
    AfterPosition(Position),
    /// Where an earlier subscription to the same store left off.
    Checkpoint(Checkpoint),
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Which events.
    pub selector: Selector,
    /// From where.
    pub from: SubscribeFrom,
    /// Which of them pass.
    pub filter: EventFilter,
}

impl Subscribe {
    /// The selected events, from the oldest on.
    pub fn to(selector: Selector) -> Self {
        Self { selector, from: SubscribeFrom::Start, filter: EventFilter::default() }
    }

    /// Starting here.
    #[must_use]
    pub fn from(mut self, from: SubscribeFrom) -> Self {
        self.from = from;
        self
    }

    /// Only those that pass.
    #[must_use]
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }
}

/// What a subscription says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionMessage {
    /// Events in log order, and the checkpoint after the last of them.
    Events {
        /// At least one event.
        events: Vec<RecordedEvent>,
        /// Where to resume once they are handled.
        checkpoint: Checkpoint,
    },
    /// Nothing passed, but this much of the log has been looked at.
    Checkpoint(Checkpoint),
    /// History is exhausted; what follows is live.
    CaughtUp(Checkpoint),
}

/// A running subscription. Dropping it ends it. It holds nothing of the writer's: a slow consumer reads from disk.
pub trait Subscription: Send {
    /// The next message; waits for one.
    fn next(&mut self) -> BoxFuture<'_, Result<SubscriptionMessage, ReadError>>;
}

/// A subscription over any store with one log that announces its head: read what is there, wait for more, repeat.
///
/// The head is read *before* the log, so that an event appended in between is found by the next round. Of a tombstoned
/// stream the tombstone is delivered, whatever the filter, and then the error; events that were not delivered before are
/// deleted and stay so.
pub struct CatchUp {
    store: Arc<dyn EventStore>,
    /// The position after the last committed event.
    head: watch::Receiver<Position>,
    request: Subscribe,
    start: Checkpoint,
    next: Position,
    reader: Option<Box<dyn EventReader>>,
    announced: Announced,
    after_revision: Option<Revision>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// There is history that has not been sent.
    Reading,
    /// The consumer knows that it has seen everything up to `next`.
    CaughtUp,
    /// The stream's tombstone has been sent; only the error is left.
    Deleted,
}

/// A place beyond the end would skip events that are still to come.
fn within(next: Position, head: &watch::Receiver<Position>) -> Result<Position, ReadError> {
    let end = *head.borrow();
    if next > end { Err(ReadError::BeyondEnd { asked: next, end }) } else { Ok(next) }
}

impl CatchUp {
    /// A subscription that starts as `request` says. `head` announces the position after the last committed event,
    /// `start` is any checkpoint of the store: its identity and epoch are what counts.
    ///
    /// # Errors
    /// `ReadError::Checkpoint` where the request's checkpoint is of another store or epoch, `BeyondEnd` where the place
    /// lies beyond the head.
    pub fn new(
        store: Arc<dyn EventStore>,
        head: watch::Receiver<Position>,
        start: Checkpoint,
        request: Subscribe,
    ) -> Result<Self, ReadError> {
        let mut read = Read::forwards(request.selector.clone());
        let mut after_revision = None;
        let next = match &request.from {
            SubscribeFrom::Start => Position::START,
            SubscribeFrom::End => *head.borrow(),
            SubscribeFrom::AfterPosition(position) => within(position.next(), &head)?,
            SubscribeFrom::AfterRevision(revision) => {
                read = read.from(ReadFrom::Revision(*revision));
                after_revision = Some(*revision);
                Position::START
            }
            SubscribeFrom::Checkpoint(checkpoint) => {
                checkpoint.check(start.store(), start.epoch())?;
                within(checkpoint.next_position().unwrap_or_default(), &head)?
            }
        };
        read.check()?;
        Ok(Self {
            store,
            head,
            request,
            start,
            next,
            reader: None,
            announced: Announced::Reading,
            after_revision,
        })
    }

    fn checkpoint(&self) -> Checkpoint {
        self.start.at(self.next)
    }

    async fn open(&mut self) -> Result<Option<Box<dyn EventReader>>, ReadError> {
        let from = match self.after_revision {
            Some(revision) if self.next == Position::START => ReadFrom::Revision(revision.next()),
            _ => ReadFrom::Position(self.next),
        };
        let read =
            Read::forwards(self.request.selector.clone()).from(from).filter(self.request.filter.clone());
        match self.store.read(read).await {
            Ok(reader) => Ok(Some(reader)),
            // A stream that is not there yet, or was soft-deleted, may come.
            Err(ReadError::StreamNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn tombstone(&mut self, error: ReadError) -> Result<SubscriptionMessage, ReadError> {
        if self.announced == Announced::Deleted {
            return Err(error);
        }
        self.announced = Announced::Deleted;
        let read = Read::backwards(self.request.selector.clone()).limit(1).view(StreamView::Recorded);
        let page = match self.store.read(read).await {
            Ok(mut reader) => reader.next_page().await?.unwrap_or_default(),
            // A metadata stream that never was, of a tombstoned stream.
            Err(ReadError::StreamNotFound { .. }) => return Err(error),
            Err(error) => return Err(error),
        };
        match page.events.into_iter().next() {
            Some(event) if event.revision() == Revision::TOMBSTONE && event.position() >= self.next => {
                self.next = event.position().next();
                Ok(SubscriptionMessage::Events { events: vec![event], checkpoint: self.checkpoint() })
            }
            _ => Err(error),
        }
    }

    async fn message(&mut self) -> Result<SubscriptionMessage, ReadError> {
        loop {
            if self.reader.is_none() {
                let end = *self.head.borrow_and_update();
                if self.announced != Announced::CaughtUp || end > self.next {
                    match self.open().await {
                        Ok(Some(reader)) => self.reader = Some(reader),
                        Ok(None) => {
                            let advanced = end > self.next;
                            self.next = self.next.max(end);
                            if advanced && self.announced == Announced::CaughtUp {
                                return Ok(SubscriptionMessage::Checkpoint(self.checkpoint()));
                            }
                        }
                        Err(error @ ReadError::StreamDeleted { .. }) => return self.tombstone(error).await,
                        Err(error) => return Err(error),
                    }
                }
            }
            if let Some(reader) = &mut self.reader {
                let snapshot = reader.head().snapshot.next_position().unwrap_or_default();
                let page = reader.next_page().await?;
                let looked_at = match &page {
                    Some(page) => page.examined_to,
                    None => snapshot,
                };
                let advanced = looked_at > self.next;
                self.next = self.next.max(looked_at);
                let live = self.announced == Announced::CaughtUp;
                match page {
                    Some(mut page) if !page.events.is_empty() => {
                        if let Some(after) = self.after_revision {
                            page.events.retain(|event| event.revision() > after);
                            if page.events.is_empty() {
                                continue;
                            }
                        }
                        return Ok(SubscriptionMessage::Events {
                            events: page.events,
                            checkpoint: self.checkpoint(),
                        });
                    }
                    Some(_) if advanced => return Ok(SubscriptionMessage::Checkpoint(self.checkpoint())),
                    Some(_) => continue,
                    None => {
                        self.reader = None;
                        if live && advanced {
                            return Ok(SubscriptionMessage::Checkpoint(self.checkpoint()));
                        }
                    }
                }
            }
            if self.announced == Announced::Reading && *self.head.borrow() <= self.next {
                self.announced = Announced::CaughtUp;
                return Ok(SubscriptionMessage::CaughtUp(self.checkpoint()));
            }
            let next = self.next;
            if self.head.wait_for(|head| *head > next).await.is_err() {
                return Err(ReadError::Closed);
            }
        }
    }
}

impl Subscription for CatchUp {
    fn next(&mut self) -> BoxFuture<'_, Result<SubscriptionMessage, ReadError>> {
        Box::pin(self.message())
    }
}
