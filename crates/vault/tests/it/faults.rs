//! A key store, a key provider and a log that fail from a chosen call on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore, Read,
    ReadError, Subscribe, Subscription, Timestamp,
};
use factum_vault::{
    Created, EpochInfo, ErasureId, Fence, Found, Holdings, Identity, KekEpoch, KekError, KekProvider, KeyId,
    KeyOwner, KeyStore, KeyStoreError, KeySummary, Latest, Lease, LedgerEntry, OutsideValue, Purpose,
    Rewrapped, StoredKey, SubjectRef, ToUnwrap, ToWrap, Watermark, Wrapped,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Calls that still succeed; shared by everything that fails together. Whether the call that fails had its effect first is
/// chosen too: a process may die before or after.
#[derive(Clone)]
pub(crate) struct Fuse {
    left: Arc<AtomicI64>,
    after: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The call that fails did nothing.
    Before,
    /// The call that fails did what it was to do.
    After,
}

impl Fuse {
    pub(crate) fn never() -> Self {
        Self { left: Arc::new(AtomicI64::new(i64::MAX)), after: Arc::default() }
    }

    /// The call of this number from now on fails, from 1, and every one after it.
    pub(crate) fn set(&self, call: i64, effect: Effect) {
        self.after.store(effect == Effect::After, Ordering::SeqCst);
        self.left.store(call, Ordering::SeqCst);
    }

    pub(crate) fn blow(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }

    /// Whether the process died before all calls were made.
    pub(crate) fn is_blown(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    fn call<T, E>(&self, failed: impl FnOnce() -> E, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 1 => call(),
            1 if self.after.load(Ordering::SeqCst) => call().and_then(|_| Err(failed())),
            _ => Err(failed()),
        }
    }
}

pub(crate) struct FaultyKeys<K> {
    pub(crate) keys: K,
    pub(crate) fuse: Fuse,
}

fn down() -> KeyStoreError {
    KeyStoreError::Unavailable { store: "the faulty key store".to_owned(), why: "it was cut off".to_owned() }
}

macro_rules! faulty {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl<K: KeyStore> KeyStore for FaultyKeys<K> {
            fn description(&self) -> String {
                "the faulty key store".to_owned()
            }
            $(fn $name(&mut self $(, $argument: $kind)*) -> Result<$answer, KeyStoreError> {
                let Self { keys, fuse } = self;
                fuse.call(down, || keys.$name($($argument),*))
            })*
        }
    };
}

faulty! {
    identity() -> Option<Identity>;
    initialise(identity: &Identity) -> Identity;
    rewrap_roots(from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> bool;
    latest(owner: &KeyOwner) -> Latest;
    create(key: &StoredKey, succeeds: Option<KeyId>) -> Created;
    create_many(keys: &[StoredKey]) -> Vec<Created>;
    find(ids: &[KeyId]) -> Vec<Found>;
    keys_of(subject: SubjectRef) -> Vec<KeySummary>;
    made_before(purpose: &Purpose, before: Timestamp, after: Option<KeyId>, limit: usize) -> Vec<KeySummary>;
    holdings() -> Holdings;
    fence(fence: &Fence) -> LedgerEntry;
    destroy(erasure: ErasureId) -> Vec<KeyId>;
    lift(erasure: ErasureId) -> bool;
    watermark() -> Watermark;
    ledger(after: Watermark, limit: usize) -> Vec<LedgerEntry>;
    renew(lease: &Lease) -> ();
    end_lease(node: Uuid) -> ();
    leases(now: Timestamp) -> Vec<Lease>;
    wrapped_otherwise(epoch: KekEpoch, after: Option<KeyId>, limit: usize) -> Vec<StoredKey>;
    rewrap(keys: &[Rewrapped]) -> u64;
    keep_values(values: &[OutsideValue]) -> ();
    values(ids: &[Uuid]) -> Vec<Option<Vec<u8>>>;
}

pub(crate) struct FaultyKek<K> {
    pub(crate) kek: K,
    pub(crate) fuse: Fuse,
}

fn kek_down() -> KekError {
    KekError::Unreachable { provider: "the faulty provider".to_owned(), why: "it was cut off".to_owned() }
}

impl<K: KekProvider> KekProvider for FaultyKek<K> {
    fn description(&self) -> String {
        "the faulty provider".to_owned()
    }
    fn epochs(&mut self) -> Result<Vec<EpochInfo>, KekError> {
        let Self { kek, fuse } = self;
        fuse.call(kek_down, || kek.epochs())
    }
    fn wrap(&mut self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError> {
        let Self { kek, fuse } = self;
        fuse.call(kek_down, || kek.wrap(epoch, secrets))
    }
    fn unwrap_keys(&mut self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError> {
        let Self { kek, fuse } = self;
        fuse.call(kek_down, || kek.unwrap_keys(wrapped))
    }
    fn new_epoch(&mut self) -> Result<KekEpoch, KekError> {
        let Self { kek, fuse } = self;
        fuse.call(kek_down, || kek.new_epoch())
    }
    fn destroy_before(&mut self, keep: KekEpoch) -> Result<(), KekError> {
        let Self { kek, fuse } = self;
        fuse.call(kek_down, || kek.destroy_before(keep))
    }
}

/// A log whose appends fail with the fuse.
pub(crate) struct FaultyLog {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) fuse: Fuse,
}

impl EventStore for FaultyLog {
    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let answer =
            self.fuse.call(|| AppendError::Closed, || factum_core::block_on(self.log.append(append)));
        Box::pin(async move { answer })
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        if self.fuse.is_blown() {
            return Box::pin(async { Err(ReadError::Closed) });
        }
        self.log.read(read)
    }
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.log.subscribe(subscribe)
    }
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.log.delete(delete)
    }
}
