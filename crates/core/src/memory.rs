//! A store in memory: the model that every other store is tested against. Obviously right rather than fast.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::admission::{Admission, admit, admit_delete, check_limits};
use crate::store::BoxFuture;
use crate::{
    Append, AppendError, Appended, Capabilities, Capability, CatchUp, Clock, Delete, Deleted, Durability,
    EventReader, EventStore, Leaf, Position, Read, ReadError, RecordedEvent, Redact, RedactError,
    RedactOutcome, Redacted, Redaction, Subscribe, Subscription, SystemClock,
};

mod log;
mod reader;

use log::Log;
use reader::MemoryReader;

/// A store that keeps its events in memory as long as any clone of it lives. A clone is a handle on the same store.
///
/// ```
/// use factum_core::{EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, StreamName, block_on};
///
/// let store = MemoryStore::new();
/// let stream = StreamName::new("account-7")?;
/// let opened = NewEvent::json(EventType::new("AccountOpened")?, "{}");
/// block_on(store.append_to(stream.clone(), ExpectedRevision::NoStream, vec![opened]))?;
/// let last = block_on(store.last_event(stream))?;
/// assert_eq!(last.unwrap().event_type(), "AccountOpened");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// One lock for everything: an append is decided and done while it is held, so there is one writer at a time.
    log: Mutex<Log>,
    /// The position after the last event; moved while `log` is locked, so that it never runs ahead of it.
    head: watch::Sender<Position>,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store on this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let (head, _) = watch::channel(Position::START);
        Self { shared: Arc::new(Shared { clock, log: Mutex::new(Log::new()), head }) }
    }

    /// What it holds now, in a store of its own with the same identity: what a copy of a store's files is.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.with_log(self.log().clone())
    }

    /// The same, as it is after it was restored from a backup: in a new epoch.
    #[must_use]
    pub fn restored(&self) -> Self {
        let mut log = self.log().clone();
        log.begin_epoch();
        self.with_log(log)
    }

    fn with_log(&self, log: Log) -> Self {
        let (head, _) = watch::channel(log.next_position());
        Self {
            shared: Arc::new(Shared { clock: Arc::clone(&self.shared.clock), log: Mutex::new(log), head }),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic elsewhere cannot have left half an append: the log is only changed by code that cannot panic.
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, append: &Append) -> Result<Appended, AppendError> {
        check_limits(append)?;
        let mut log = self.log();
        let admission = admit(&*log, append)?;
        if matches!(admission, Admission::Write(_)) {
            log.schemas().check_append(append)?;
        }
        let appended = log.commit(append, admission, self.shared.clock.now());
        self.shared.head.send_replace(log.next_position());
        Ok(appended)
    }

    fn delete_now(&self, delete: &Delete) -> Result<Deleted, AppendError> {
        let mut log = self.log();
        let event = admit_delete(&*log, delete)?;
        let position = log.commit_system(&event, self.shared.clock.now());
        self.shared.head.send_replace(log.next_position());
        Ok(Deleted { position: Some(position), token: log.checkpoint(position.next()) })
    }

    fn redact_now(&self, redact: &Redact) -> Result<Redacted, RedactError> {
        redact.check()?;
        let mut log = self.log();
        let (position, end) = (redact.position, log.next_position());
        let event = log.event(position).ok_or(RedactError::BeyondEnd { position, end })?.clone();
        if let Some(redaction) = event.redaction().cloned() {
            let token = log.checkpoint(redaction.recorded.next());
            return Ok(Redacted { event, redaction, outcome: RedactOutcome::DoneBefore, token });
        }
        redact.check_event(&event)?;
        let request = redact.request(&*log, &event)?;
        let recorded = log.commit_system(&request, self.shared.clock.now());
        let at = log.event(recorded).map(RecordedEvent::recorded_at).unwrap_or_default();
        let redaction = Redaction { leaf: Leaf::of(&event), reason: redact.reason.clone(), at, recorded };
        let event = event.redacted(redaction.clone());
        log.replace(event.clone());
        self.shared.head.send_replace(log.next_position());
        let token = log.checkpoint(recorded.next());
        Ok(Redacted { event, redaction, outcome: RedactOutcome::Done, token })
    }

    fn read_now(&self, read: &Read) -> Result<MemoryReader, ReadError> {
        let now = self.shared.clock.now();
        MemoryReader::new(&self.log(), read, now)
    }

    fn subscribe_now(&self, subscribe: Subscribe) -> Result<CatchUp, ReadError> {
        let start = self.log().checkpoint(Position::START);
        CatchUp::new(Arc::new(self.clone()), self.shared.head.subscribe(), start, subscribe)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("head", &*self.shared.head.borrow()).finish_non_exhaustive()
    }
}

impl EventStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            supported: vec![
                Capability::MultiStreamAppend,
                Capability::QueryConditions,
                Capability::StreamChecks,
                Capability::GlobalOrder,
                Capability::ServerSideFilter,
                Capability::AppendIds,
                Capability::SchemaEnforcement,
                Capability::Redaction,
            ],
            durability: Durability::Process,
        }
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move { self.append_now(&append) })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move { Ok(Box::new(self.read_now(&read)?) as Box<dyn EventReader>) })
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        Box::pin(async move { Ok(Box::new(self.subscribe_now(subscribe)?) as Box<dyn Subscription>) })
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        Box::pin(async move { self.delete_now(&delete) })
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        Box::pin(async move { self.redact_now(&redact) })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{DeleteMode, EventStoreExt, EventType, ExpectedRevision, NewEvent, Revision, StreamName};

    /// Everything in this store is ready at once, except a subscription that waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn event(name: &str) -> NewEvent {
        NewEvent::json(EventType::new(name).unwrap(), "{}")
    }

    #[test]
    fn a_reader_does_not_see_later_appends_and_a_revived_stream_continues_its_numbers() {
        let store = MemoryStore::new();
        let stream = StreamName::new("s").unwrap();
        now(store.append_to(stream.clone(), ExpectedRevision::NoStream, vec![event("A"), event("B")]))
            .unwrap();
        let mut reader = now(store.read(Read::stream(stream.clone()))).unwrap();
        let delete =
            Delete { stream: stream.clone(), expected: ExpectedRevision::Any, mode: DeleteMode::Soft };
        assert_eq!(now(store.delete(delete)).unwrap().position, Some(Position(2)));
        assert!(matches!(
            now(store.read(Read::stream(stream.clone()))),
            Err(ReadError::StreamNotFound { .. })
        ));
        let revived =
            now(store.append_to(stream.clone(), ExpectedRevision::NoStream, vec![event("C")])).unwrap();
        assert_eq!(revived.first, Some(Position(4)));
        let visible = now(store.read_all(Read::stream(stream))).unwrap();
        assert_eq!(visible.iter().map(crate::RecordedEvent::revision).collect::<Vec<_>>(), [Revision(2)]);
        let page = now(reader.next_page()).unwrap().unwrap();
        assert_eq!(page.events.len(), 2);
        assert_eq!(now(reader.next_page()).unwrap(), None);
    }
}
