//! The store that a server hands out: what comes in is sealed, what goes out stays so.

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore, Read,
    ReadError, Redact, RedactError, Redacted, Subscribe, Subscription,
};
use factum_vault::SealingStore;

/// A log whose personal values are sealed as they are appended, and never opened.
///
/// Whoever may read a stream is not for that alone one who may see who it is about: readers get the envelopes, as they are in the
/// log, and applications with a vault of their own open them.
pub(super) struct SealedStore(pub(super) SealingStore);

impl EventStore for SealedStore {
    fn capabilities(&self) -> Capabilities {
        self.0.sealed().capabilities()
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.0.append(append)
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.0.sealed().read(read)
    }
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.0.sealed().subscribe(subscribe)
    }
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.0.delete(delete)
    }
    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.0.redact(redact)
    }
}
