//! What is remembered of rights is forgotten when a write changes it: at once if the write came through this server, and
//! a moment later if somebody else wrote into the same store.

use std::sync::{Arc, Weak};
use std::time::Duration;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    EventType, METADATA_TYPE, Query, QueryItem, Read, ReadError, RecordedEvent, Redact, RedactError,
    Redacted, STREAM_DELETED_TYPE, Selector, StreamName, Subscribe, SubscribeFrom, Subscription,
    SubscriptionMessage,
};

use super::Guard;
use crate::stopping::Stopping;
use crate::users::{SETTINGS_STREAM, USER_CREATED, USER_STREAM_PREFIX, USER_UPDATED};

/// Pause between two looks at what others wrote: each append would wake the subscription otherwise.
const PAUSE: Duration = Duration::from_millis(50);
/// Pause after the log could not be read.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A store whose writes make the guard forget.
pub(crate) struct Watched {
    store: Arc<dyn EventStore>,
    guard: Arc<Guard>,
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn EventStore>, guard: Arc<Guard>) -> Self {
        Self { store, guard }
    }
}

/// Forgets when it is dropped: after the write, whatever became of it, and before its writer hears of it.
struct Forgets<'a> {
    guard: &'a Guard,
    streams: Vec<StreamName>,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        for stream in &self.streams {
            forget(self.guard, stream);
        }
    }
}

/// Forgets what a change of `stream` may change.
fn forget(guard: &Guard, stream: &str) {
    if let Some(described) = stream.strip_prefix("$$") {
        guard.forget_list(described);
        // A stream is deleted by its metadata, and a user with its stream.
        if let Some(login) = described.strip_prefix(USER_STREAM_PREFIX) {
            guard.forget_user(login);
        }
    } else if stream == SETTINGS_STREAM {
        guard.forget_settings();
    } else if let Some(login) = stream.strip_prefix(USER_STREAM_PREFIX) {
        guard.forget_user(login);
    }
}

impl EventStore for Watched {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let counts = |stream: &StreamName| {
            stream.is_metastream() || *stream == SETTINGS_STREAM || stream.starts_with(USER_STREAM_PREFIX)
        };
        let streams: Vec<_> =
            append.writes.iter().map(|write| &write.stream).filter(|name| counts(name)).cloned().collect();
        let appended = self.store.append(append);
        if streams.is_empty() {
            return appended;
        }
        let forgets = Forgets { guard: &self.guard, streams };
        Box::pin(async move {
            let appended = appended.await;
            drop(forgets);
            appended
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.store.read(read)
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.store.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        // A deleted stream has other metadata, or none.
        let streams =
            [Some(delete.stream.clone()), delete.stream.metastream()].into_iter().flatten().collect();
        let forgets = Forgets { guard: &self.guard, streams };
        let deleted = self.store.delete(delete);
        Box::pin(async move {
            let deleted = deleted.await;
            drop(forgets);
            deleted
        })
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        Box::pin(async move {
            let redacted = self.store.redact(redact).await;
            self.guard.forget();
            redacted
        })
    }
}

/// Begins to follow what others write, from now on, until the server stops.
///
/// # Errors
/// `ReadError` where the store cannot be followed.
pub(crate) async fn follow(
    store: Arc<dyn EventStore>,
    guard: &Arc<Guard>,
    stopping: Stopping,
) -> Result<(), ReadError> {
    for selector in
        [rights(), StreamName::new(SETTINGS_STREAM).ok().map(Selector::Stream)].into_iter().flatten()
    {
        let subscription = store.subscribe(Subscribe::to(selector.clone()).from(SubscribeFrom::End)).await?;
        let following = Following { store: store.clone(), selector, guard: Arc::downgrade(guard) };
        tokio::spawn(following.run(subscription, stopping.clone()));
    }
    Ok(())
}

/// The events that change rights, by their type. Those of `$settings` may have any.
fn rights() -> Option<Selector> {
    let types: Result<Vec<_>, _> = [METADATA_TYPE, STREAM_DELETED_TYPE, USER_CREATED, USER_UPDATED]
        .into_iter()
        .map(EventType::new)
        .collect();
    Some(Selector::Query(Query::item(QueryItem::types(types.ok()?))))
}

struct Following {
    store: Arc<dyn EventStore>,
    selector: Selector,
    guard: Weak<Guard>,
}

impl Following {
    async fn run(self, first: Box<dyn Subscription>, mut stopping: Stopping) {
        let mut subscription = first;
        loop {
            let message = tokio::select! {
                () = stopping.wait() => return,
                message = subscription.next() => message,
            };
            let Some(guard) = self.guard.upgrade() else { return };
            let pause = match message {
                Ok(SubscriptionMessage::Events { events, .. }) => {
                    events.iter().for_each(|event: &RecordedEvent| forget(&guard, event.stream()));
                    PAUSE
                }
                Ok(_) => PAUSE,
                Err(ReadError::Closed) => return,
                Err(_) => {
                    // What happens until it is followed again goes unseen, so nothing may be remembered across it.
                    let request = Subscribe::to(self.selector.clone()).from(SubscribeFrom::End);
                    if let Ok(again) = self.store.subscribe(request).await {
                        subscription = again;
                    }
                    guard.forget();
                    PAUSE_AFTER_FAILURE
                }
            };
            drop(guard);
            tokio::select! {
                () = stopping.wait() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
