//! What does one rule for key stores work with? A fresh database, several who use it, and short forms of what tests ask.

use std::any::Any;
use std::sync::Barrier;

use factum_core::{StoreId, Timestamp};
use factum_vault::{
    Created, ErasureId, Extent, Fence, Found, Identity, KekEpoch, KeyId, KeyOwner, KeyStore, KeyStoreError,
    Latest, LedgerEntry, OutsideValue, Purpose, Rewrapped, StoredKey, SubjectRef, Wrapped,
};
use uuid::Uuid;

/// Opens a key store once more.
pub type OpenKeyStore = Box<dyn Fn() -> Box<dyn KeyStore> + Send + Sync>;

/// An empty key store for one test.
pub struct FreshKeyStores {
    /// Opens it once more, as another process would: with nothing shared in memory.
    pub open: OpenKeyStore,
    /// What must outlive it, such as its directory.
    pub keep: Box<dyn Any>,
}

/// One rule's key store, which may be opened many times.
pub struct KeyStores {
    open: OpenKeyStore,
    // Dropped last.
    _keep: Box<dyn Any>,
}

/// Runs one rule on a fresh key store. Without one the test is skipped, and whoever makes it says so.
///
/// # Panics
/// Where the key store breaks the rule.
pub fn check_key_stores(
    make: impl FnOnce(&str) -> Option<FreshKeyStores>,
    test: &str,
    rule: impl FnOnce(&KeyStores),
) {
    let Some(FreshKeyStores { open, keep }) = make(test) else { return };
    rule(&KeyStores { open, _keep: keep });
}

impl KeyStores {
    /// The key store once more, as another process has it.
    pub(crate) fn open(&self) -> Box<dyn KeyStore> {
        (self.open)()
    }

    /// Runs `act` in so many threads at once, each with the key store opened by itself. Gives what each came to.
    pub(crate) fn at_once<T: Send>(
        &self,
        threads: u64,
        act: impl Fn(u64, &mut dyn KeyStore) -> T + Sync,
    ) -> Vec<T> {
        let (open, act, ready) = (&self.open, &act, &Barrier::new(threads as usize));
        std::thread::scope(|scope| {
            let run = |number| {
                move || {
                    let mut store = open();
                    ready.wait();
                    act(number, &mut *store)
                }
            };
            let started: Vec<_> = (0..threads).map(|number| scope.spawn(run(number))).collect();
            started.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        })
    }
}

/// What must succeed.
#[track_caller]
pub(crate) fn done<T>(result: Result<T, KeyStoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// 2026-01-01T00:00:00Z and so many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(17_672_256_000_000_000 + seconds * 10_000_000)
}

pub(crate) const E1: KekEpoch = KekEpoch(1);
pub(crate) const E2: KekEpoch = KekEpoch(2);

/// Bytes that differ with the number and do not repeat.
pub(crate) fn bytes(number: u64, length: usize) -> Vec<u8> {
    let mut random = crate::model::random::Random::new(number);
    (0..length).map(|_| random.next() as u8).collect()
}

/// As long as a data key is that AES-GCM wraps.
pub(crate) fn wrapped(number: u64) -> Wrapped {
    Wrapped(bytes(number, 60))
}

pub(crate) fn identity(vault: u128) -> Identity {
    Identity {
        vault: Uuid::from_u128(vault),
        log: StoreId(Uuid::from_u128(0x5f3a_9c41_7d20_4e8b_9a6f_1c2d_3e4f_5061)),
        tenant: "default".to_owned(),
        roots: wrapped(1_000_000),
        epoch: E1,
    }
}

pub(crate) fn subject(number: u64) -> SubjectRef {
    let mut reference = [0x5b; 16];
    reference[8..].copy_from_slice(&number.to_be_bytes());
    SubjectRef(reference)
}

pub(crate) fn owner(number: u64) -> KeyOwner {
    KeyOwner::of(subject(number))
}

pub(crate) fn purpose(name: &str) -> Purpose {
    Purpose::new(name).expect("a purpose")
}

pub(crate) fn owner_for(number: u64, name: &str) -> KeyOwner {
    owner(number).with_purpose(purpose(name))
}

/// In the order of the numbers.
pub(crate) fn id(number: u64) -> KeyId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    KeyId(id)
}

/// A key of this owner, wrapped by the first epoch, made so many seconds after the start as its number says.
pub(crate) fn key(number: u64, owner: &KeyOwner, generation: u32) -> StoredKey {
    StoredKey {
        id: id(number),
        owner: owner.clone(),
        generation,
        wrapped: wrapped(number),
        epoch: E1,
        created: at(number.cast_signed()),
    }
}

pub(crate) fn erasure(number: u128) -> ErasureId {
    ErasureId(Uuid::from_u128(number))
}

/// Everything of a subject.
pub(crate) fn fence(number: u128, of: u64) -> Fence {
    Fence {
        erasure: erasure(number),
        subject: subject(of),
        purpose: None,
        extent: Extent::Everything,
        at: at(1_000),
    }
}

pub(crate) fn fence_for(number: u128, of: u64, name: &str) -> Fence {
    Fence { purpose: Some(purpose(name)), ..fence(number, of) }
}

pub(crate) fn up_to(last: u32, fence: Fence) -> Fence {
    Fence { extent: Extent::UpTo(last), ..fence }
}

pub(crate) fn value(number: u64, key: KeyId) -> OutsideValue {
    OutsideValue { id: Uuid::from_u128(number.into()), key, sealed: bytes(number, 200) }
}

/// The key of this number, wrapped anew by the second epoch.
pub(crate) fn rewrapped(number: u64) -> Rewrapped {
    Rewrapped { id: id(number), from: E1, to: E2, wrapped: wrapped(500_000 + number) }
}

/// Makes the owner's first key.
#[track_caller]
pub(crate) fn first_key(store: &mut dyn KeyStore, number: u64, owner: &KeyOwner) -> StoredKey {
    let key = key(number, owner, 1);
    assert_eq!(done(store.create(&key, None)), Created::New);
    key
}

/// Makes the key that follows `before`.
#[track_caller]
pub(crate) fn next_key(store: &mut dyn KeyStore, number: u64, before: &StoredKey) -> StoredKey {
    let key = key(number, &before.owner, before.generation + 1);
    assert_eq!(done(store.create(&key, Some(before.id))), Created::New);
    key
}

#[track_caller]
pub(crate) fn latest(store: &mut dyn KeyStore, owner: &KeyOwner) -> Latest {
    done(store.latest(owner))
}

/// What there is under the key ids of these numbers.
#[track_caller]
pub(crate) fn find(store: &mut dyn KeyStore, numbers: &[u64]) -> Vec<Found> {
    let ids: Vec<KeyId> = numbers.iter().map(|number| id(*number)).collect();
    done(store.find(&ids))
}

pub(crate) fn erased(owner: &KeyOwner, number: u128) -> Found {
    Found::Erased { owner: owner.clone(), erasure: erasure(number) }
}

/// The whole ledger.
#[track_caller]
pub(crate) fn ledger(store: &mut dyn KeyStore) -> Vec<LedgerEntry> {
    done(store.ledger(factum_vault::Watermark(0), 1_000))
}

#[track_caller]
pub(crate) fn assert_unknown_erasure<T: std::fmt::Debug>(result: Result<T, KeyStoreError>, number: u128) {
    match result {
        Err(KeyStoreError::NoSuchErasure { erasure: named, .. }) if named == erasure(number) => {}
        other => panic!("expected that the erasure is unknown, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_not_live(result: Result<(), KeyStoreError>, number: u64) {
    match result {
        Err(KeyStoreError::NotLive { key, .. }) if key == id(number) => {}
        other => panic!("expected that key {number} is not live, got {other:?}"),
    }
}
