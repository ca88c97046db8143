//! A store that does something else just before an append, or refuses one: what tests of conflicts and faults need.

use std::sync::{Arc, Mutex};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Capability, Delete, Deleted, EventReader,
    EventStore, MemoryStore, Read, ReadError, Subscribe, Subscription,
};

type Before = Box<dyn FnMut(&MemoryStore, &Append) -> Result<(), AppendError> + Send>;
type Lost = Box<dyn FnMut(&Append) -> Option<AppendError> + Send>;

/// A store in memory with something in the way.
#[derive(Clone)]
pub(crate) struct Faulty {
    pub(crate) store: MemoryStore,
    before_append: Arc<Mutex<Before>>,
    /// After the append was done: its answer is lost, this one comes instead.
    answer: Arc<Mutex<Lost>>,
    pub(crate) without: Option<Capability>,
}

impl Faulty {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self {
            store,
            before_append: Arc::new(Mutex::new(Box::new(|_, _| Ok(())))),
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
    fn append(&self, mut append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            (self.before_append.lock().unwrap())(&self.store, &append)?;
            if self.without == Some(Capability::AppendIds) {
                append.append_id = None;
            }
            let appended = self.store.append(append.clone()).await?;
            match (self.answer.lock().unwrap())(&append) {
                Some(error) => Err(error),
                None => Ok(appended),
            }
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
}

/// The answer of a store that answers at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("a store in memory answers at once"),
    }
}
