//! A store that dies after so many appends: for tests that crash a process between every two of its steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore, Read,
    ReadError, Redact, RedactError, Redacted, Subscribe, Subscription,
};

/// Appends left after the one that it died of.
const DEAD: u64 = u64::MAX;

/// A store in front of another one. It takes so many appends and then none; reads go on.
#[derive(Clone)]
pub struct Mortal {
    store: Arc<dyn EventStore>,
    left: Arc<AtomicU64>,
    last_is_kept: bool,
}

impl Mortal {
    /// Takes `appends` appends. The next one is refused and not kept.
    pub fn after(store: Arc<dyn EventStore>, appends: u64) -> Self {
        Self { store, left: Arc::new(AtomicU64::new(appends)), last_is_kept: false }
    }

    /// Takes `appends` appends. The next one is kept too, but its answer is lost.
    pub fn after_losing_an_answer(store: Arc<dyn EventStore>, appends: u64) -> Self {
        Self { last_is_kept: true, ..Self::after(store, appends) }
    }

    /// Whether an append came that it did not take any more.
    pub fn has_died(&self) -> bool {
        self.left.load(Ordering::SeqCst) == DEAD
    }
}

impl EventStore for Mortal {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let count_down =
                |left: u64| if left == DEAD { None } else { Some(left.checked_sub(1).unwrap_or(DEAD)) };
            let before =
                self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).unwrap_or(DEAD);
            if before != 0 && before != DEAD {
                return self.store.append(append).await;
            }
            if before == 0 && self.last_is_kept {
                self.store.append(append).await?;
            }
            Err(AppendError::Stopped { cause: Arc::new(io::Error::other("the test let it die")) })
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.store.read(read)
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.store.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.store.delete(delete)
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.store.redact(redact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{
        EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, Selector, StreamName,
    };

    async fn kept(mortal: impl Fn(Arc<dyn EventStore>) -> Mortal) -> (usize, usize) {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let mortal = mortal(Arc::clone(&store));
        let mut taken = 0;
        for _ in 0..5 {
            let event = NewEvent::json(EventType::new("Tick").unwrap(), "{}");
            let stream = StreamName::new("clock-1").unwrap();
            taken += usize::from(mortal.append_to(stream, ExpectedRevision::Any, vec![event]).await.is_ok());
        }
        assert!(mortal.has_died());
        (taken, store.read_all(Read::forwards(Selector::All)).await.unwrap().len())
    }

    #[tokio::test]
    async fn it_takes_so_many_and_then_none() {
        assert_eq!(kept(|store| Mortal::after(store, 3)).await, (3, 3));
        assert_eq!(kept(|store| Mortal::after(store, 0)).await, (0, 0));
        assert_eq!(kept(|store| Mortal::after_losing_an_answer(store, 3)).await, (3, 4));
    }
}
