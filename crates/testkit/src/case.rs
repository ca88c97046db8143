//! What does one conformance test work with? A fresh store, its clock, and short forms of what tests ask of it.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{
    Append, AppendError, Appended, Capability, Checkpoint, Delete, DeleteMode, Deleted, EventStore,
    EventStoreExt, EventType, ExpectedRevision, FailedCheck, ManualClock, NewEvent, Position, Read,
    ReadError, RecordedEvent, Revision, Selector, StreamName, StreamState, Subscribe, Subscription,
    SubscriptionMessage, Tag, Timestamp,
};

/// An empty store for one test.
pub struct Fresh {
    /// The store: no events.
    pub store: Arc<dyn EventStore>,
    /// The clock that the store reads.
    pub clock: Arc<ManualClock>,
    /// What must outlive the store, such as its directory.
    pub keep: Box<dyn Any + Send>,
}

impl Fresh {
    /// The time that [`Case`]s start at: 2026-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp(17_672_256_000_000_000);

    /// A clock for a fresh store.
    pub fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::new(Self::START))
    }
}

/// One conformance test's store, with short forms. What must succeed panics where it does not.
pub struct Case {
    /// The store under test.
    pub store: Arc<dyn EventStore>,
    /// The clock that it reads.
    pub clock: Arc<ManualClock>,
    keep: Box<dyn Any + Send>,
}

/// The longest that one rule may take before it counts as hanging. A thousand rounds of a race, each with its sync, take
/// minutes where others use the disk too.
const LONGEST: Duration = Duration::from_secs(1_200);

/// Runs one rule on a fresh store, in a runtime of its own.
///
/// # Panics
/// Where the store breaks the rule, or takes minutes over it.
pub fn check<M, R>(make: M, rule: R)
where
    M: AsyncFnOnce() -> Fresh,
    R: AsyncFnOnce(Case),
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    runtime.block_on(async {
        let run = async {
            let Fresh { store, clock, keep } = make().await;
            rule(Case { store, clock, keep }).await;
        };
        tokio::time::timeout(LONGEST, run).await.expect("the rule is checked in time");
    });
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a stream name")
}

pub(crate) fn event_type(name: &str) -> EventType {
    EventType::new(name).expect("an event type")
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::new(name).expect("a tag")
}

/// An event of this type, with a fresh id.
pub(crate) fn event(name: &str) -> NewEvent {
    NewEvent::json(event_type(name), "{}")
}

/// One event per letter, its type.
pub(crate) fn events(letters: &str) -> Vec<NewEvent> {
    letters.chars().map(|letter| event(&letter.to_string())).collect()
}

pub(crate) fn tagged(name: &str, tags: &[&str]) -> NewEvent {
    tags.iter().fold(event(name), |event, name| event.with_tag(tag(name)))
}

/// Expected: the stream's last event has this revision.
pub(crate) fn exact(revision: u64) -> ExpectedRevision {
    ExpectedRevision::Exact(Revision(revision))
}

pub(crate) fn live(last: u64) -> StreamState {
    StreamState::Live { last: Revision(last) }
}

/// The checks that failed; panics where the append did not end so.
pub(crate) fn conflict<T: Debug>(result: Result<T, AppendError>) -> Vec<FailedCheck> {
    match result {
        Err(AppendError::Conflict { failed }) => failed,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub(crate) fn revision_check(name: &str, expected: ExpectedRevision, actual: StreamState) -> FailedCheck {
    FailedCheck::Revision { stream: stream(name), expected, actual }
}

/// Panics unless the stream was said to be deleted.
pub(crate) fn assert_deleted<T: Debug>(result: Result<T, AppendError>, name: &str) {
    match result {
        Err(AppendError::StreamDeleted { stream }) if stream.as_str() == name => {}
        other => panic!("expected that '{name}' is deleted, got {other:?}"),
    }
}

pub(crate) fn types(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(RecordedEvent::event_type).collect()
}

pub(crate) fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position().0).collect()
}

pub(crate) fn revisions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.revision().0).collect()
}

/// First and last position of an append's own events.
pub(crate) fn span(appended: &Appended) -> Option<(u64, u64)> {
    Some((appended.first?.0, appended.last?.0))
}

/// Each stream with its first and last revision.
pub(crate) fn by_stream(appended: &Appended) -> Vec<(&str, Option<u64>, Option<u64>)> {
    let number = |revision: Option<Revision>| revision.map(|revision| revision.0);
    appended.streams.iter().map(|s| (s.stream.as_str(), number(s.first), number(s.last))).collect()
}

impl Case {
    /// Whether the store can do this. A rule that rests on what a store declares it cannot do is left out; that the
    /// store then refuses is a rule of its own.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.store.capabilities().has(capability)
    }

    pub(crate) async fn try_append(
        &self,
        name: &str,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.store.append_to(stream(name), expected, events).await
    }

    /// Appends whatever the stream's state.
    pub(crate) async fn append(&self, name: &str, events: Vec<NewEvent>) -> Appended {
        self.try_append(name, ExpectedRevision::Any, events).await.expect("the append is done")
    }

    pub(crate) async fn submit(&self, append: Append) -> Appended {
        self.store.append(append).await.expect("the append is done")
    }

    /// Writes a stream's metadata as JSON text.
    pub(crate) async fn describe(&self, name: &str, json: &str) -> Appended {
        let metadata = NewEvent::json(event_type("$metadata"), json.to_owned());
        self.append(&format!("$${name}"), vec![metadata]).await
    }

    pub(crate) async fn try_delete(
        &self,
        name: &str,
        expected: ExpectedRevision,
        mode: DeleteMode,
    ) -> Result<Deleted, AppendError> {
        self.store.delete(Delete { stream: stream(name), expected, mode }).await
    }

    pub(crate) async fn soft_delete(&self, name: &str) -> Deleted {
        self.try_delete(name, ExpectedRevision::Any, DeleteMode::Soft).await.expect("the delete is done")
    }

    pub(crate) async fn tombstone(&self, name: &str) -> Deleted {
        self.try_delete(name, ExpectedRevision::Any, DeleteMode::Tombstone).await.expect("the delete is done")
    }

    pub(crate) async fn try_read(&self, read: Read) -> Result<Vec<RecordedEvent>, ReadError> {
        self.store.read_all(read).await
    }

    pub(crate) async fn read(&self, read: Read) -> Vec<RecordedEvent> {
        self.try_read(read).await.expect("the read is done")
    }

    /// The visible events of a stream, forwards.
    pub(crate) async fn read_stream(&self, name: &str) -> Vec<RecordedEvent> {
        self.read(Read::stream(stream(name))).await
    }

    /// The types of what a read gives, joined.
    pub(crate) async fn types(&self, read: Read) -> String {
        types(&self.read(read).await).concat()
    }

    pub(crate) async fn assert_not_found(&self, read: Read) {
        match self.try_read(read).await {
            Err(ReadError::StreamNotFound { .. }) => {}
            other => panic!("expected that the stream is not found, got {other:?}"),
        }
    }

    pub(crate) async fn assert_stream_deleted(&self, read: Read) {
        match self.try_read(read).await {
            Err(ReadError::StreamDeleted { .. }) => {}
            other => panic!("expected that the stream is deleted, got {other:?}"),
        }
    }

    /// The place after the last event.
    pub(crate) async fn end(&self) -> Checkpoint {
        let reader = self.store.read(Read::backwards(Selector::All).limit(1)).await;
        reader.expect("the log can be read").head().snapshot.clone()
    }

    /// The number of events in the log.
    pub(crate) async fn length(&self) -> u64 {
        self.end().await.next_position().unwrap_or_default().0
    }

    pub(crate) async fn subscribe(&self, subscribe: Subscribe) -> Box<dyn Subscription> {
        self.store.subscribe(subscribe).await.expect("the subscription starts")
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Ends the test early, with the store closed before what it stands on goes.
    pub(crate) fn close(self) {
        drop(self.store);
        drop(self.keep);
    }
}

/// Everything up to the first `CaughtUp`, and its checkpoint.
pub(crate) async fn until_caught_up(subscription: &mut dyn Subscription) -> (Vec<RecordedEvent>, Checkpoint) {
    let mut seen = Vec::new();
    loop {
        match subscription.next().await.expect("the subscription goes on") {
            SubscriptionMessage::Events { events, .. } => seen.extend(events),
            SubscriptionMessage::Checkpoint(_) => {}
            SubscriptionMessage::CaughtUp(checkpoint) => return (seen, checkpoint),
        }
    }
}

/// The next `count` events at least, and the checkpoint after the last of them.
pub(crate) async fn next_events(
    subscription: &mut dyn Subscription,
    count: usize,
) -> (Vec<RecordedEvent>, Checkpoint) {
    let mut seen = Vec::new();
    loop {
        if let SubscriptionMessage::Events { events, checkpoint } =
            subscription.next().await.expect("the subscription goes on")
        {
            seen.extend(events);
            if seen.len() >= count {
                return (seen, checkpoint);
            }
        }
    }
}

/// Waits until the subscription has looked at everything before `position`; gives what it saw on the way.
pub(crate) async fn until_looked_at(
    subscription: &mut dyn Subscription,
    position: Position,
) -> Vec<RecordedEvent> {
    let mut seen = Vec::new();
    loop {
        let checkpoint = match subscription.next().await.expect("the subscription goes on") {
            SubscriptionMessage::Events { events, checkpoint } => {
                seen.extend(events);
                checkpoint
            }
            SubscriptionMessage::Checkpoint(checkpoint) | SubscriptionMessage::CaughtUp(checkpoint) => {
                checkpoint
            }
        };
        if checkpoint.next_position() >= Some(position) {
            return seen;
        }
    }
}
