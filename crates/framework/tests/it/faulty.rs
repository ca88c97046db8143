//! A store that does something else after a read or before an append, or refuses one: for tests of conflicts and faults.

use std::sync::{Arc, Mutex};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Capability, Delete, Deleted, EventReader,
    EventStore, MemoryStore, Page, Read, ReadError, ReadHead, Redact, RedactError, Redacted, Subscribe,
    Subscription,
};

type Before = Box<dyn FnMut(&MemoryStore, &Append) -> Result<(), AppendError> + Send>;
type After = Box<dyn FnMut(&MemoryStore) + Send>;
type Lost = Box<dyn FnMut(&Append) -> Option<AppendError> + Send>;

/// A store in memory with something in the way.
#[derive(Clone)]
pub(crate) struct Faulty {
    pub(crate) store: MemoryStore,
    before_append: Arc<Mutex<Before>>,
    after_read: Arc<Mutex<After>>,
    /// After the append was done: its answer is lost, this one comes instead.
    answer: Arc<Mutex<Lost>>,
    pub(crate) without: Option<Capability>,
}

impl Faulty {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self {
            store,
            before_append: Arc::new(Mutex::new(Box::new(|_, _| Ok(())))),
            after_read: Arc::new(Mutex::new(Box::new(|_| {}))),
            answer: Arc::new(Mutex::new(Box::new(|_| None))),
            without: None,
        }
    }

    pub(crate) fn before_append(
        self,
        before: impl FnMut(&MemoryStore, &Append) -> Result<(), AppendError> + Send + 'static,
    ) -> Self {
        *self.before_append.lock().unwrap() = Box::new(before);
        self
    }

    /// Once a read has given its last page.
    pub(crate) fn after_read(self, after: impl FnMut(&MemoryStore) + Send + 'static) -> Self {
        *self.after_read.lock().unwrap() = Box::new(after);
        self
    }

    pub(crate) fn answering(
        self,
        answer: impl FnMut(&Append) -> Option<AppendError> + Send + 'static,
    ) -> Self {
        *self.answer.lock().unwrap() = Box::new(answer);
        self
    }
}

impl EventStore for Faulty {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.store.capabilities();
        capabilities.supported.retain(|capability| Some(*capability) != self.without);
        capabilities
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            (self.before_append.lock().unwrap())(&self.store, &append)?;
            if let (Some(Capability::AppendIds), Some(_)) = (self.without, append.append_id) {
                return Err(AppendError::Unsupported { capability: Capability::AppendIds });
            }
            let appended = self.store.append(append.clone()).await?;
            match (self.answer.lock().unwrap())(&append) {
                Some(error) => Err(error),
                None => Ok(appended),
            }
        })
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move {
            let reader = self.store.read(read).await?;
            Ok(Box::new(Watched { reader, faulty: self.clone() }) as Box<dyn EventReader>)
        })
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

struct Watched {
    reader: Box<dyn EventReader>,
    faulty: Faulty,
}

impl EventReader for Watched {
    fn head(&self) -> &ReadHead {
        self.reader.head()
    }
    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            let page = self.reader.next_page().await?;
            if page.is_none() {
                (self.faulty.after_read.lock().unwrap())(&self.faulty.store);
            }
            Ok(page)
        })
    }
}

/// The answer of a store that answers at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("a store in memory answers at once"),
    }
}
