//! What do the tests of the key store share: one in a directory, keys for it, and a search through every byte of its files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factum_core::Timestamp;
use factum_sqlite::SqliteKeyStore;
use factum_vault::{
    Created, ErasureId, Extent, Fence, KekEpoch, KeyId, KeyOwner, KeyStore, KeyStoreError, Latest,
    OutsideValue, StoredKey, SubjectRef, Wrapped,
};
use tempfile::TempDir;
use uuid::Uuid;

/// How long these tests wait for a lock.
pub(crate) const BUSY: Duration = Duration::from_millis(100);

pub(crate) const E1: KekEpoch = KekEpoch(1);
pub(crate) const E2: KekEpoch = KekEpoch(2);

/// A directory with a key store in it, opened.
pub(crate) struct Fixture {
    pub(crate) store: SqliteKeyStore,
    // Dropped last.
    pub(crate) directory: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteKeyStore::create(directory.path().join("keys")).unwrap());
        let store = open(&directory.path().join("keys")).unwrap();
        Self { store, directory }
    }

    /// With nothing open, as after the process ended.
    pub(crate) fn close(self) -> Closed {
        Closed(self.directory)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("keys.sqlite")
    }
}

/// A key store that nobody has open.
pub(crate) struct Closed(TempDir);

impl Closed {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("keys.sqlite")
    }

    pub(crate) fn open(&self) -> Result<SqliteKeyStore, KeyStoreError> {
        open(&self.path())
    }
}

pub(crate) fn open(directory: &Path) -> Result<SqliteKeyStore, KeyStoreError> {
    SqliteKeyStore::open_waiting(directory, BUSY)
}

/// SplitMix64: bytes that look random, the same each time.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x5851_f42d_4c95_7f2d);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(crate) fn owner(number: u64) -> KeyOwner {
    KeyOwner::of(SubjectRef(bytes(1 << 40 | number, 16).try_into().unwrap()))
}

pub(crate) fn id(number: u64) -> KeyId {
    KeyId(bytes(2 << 40 | number, 16).try_into().unwrap())
}

pub(crate) fn key(number: u64, owner: &KeyOwner, generation: u32) -> StoredKey {
    StoredKey {
        id: id(number),
        owner: owner.clone(),
        generation,
        wrapped: Wrapped(bytes(3 << 40 | number, 60)),
        epoch: E1,
        created: Timestamp(0),
    }
}

/// Makes the owner's next key.
pub(crate) fn make(store: &mut SqliteKeyStore, number: u64, owner: &KeyOwner) -> StoredKey {
    let (generation, before) = match store.latest(owner).unwrap() {
        Latest::Live(live) => (live.generation + 1, Some(live.id)),
        Latest::None { generation } => (generation, None),
        Latest::Fenced(erasure) => panic!("fenced by {erasure}"),
    };
    let key = key(number, owner, generation);
    assert_eq!(store.create(&key, before).unwrap(), Created::New);
    key
}

pub(crate) fn value(number: u64, key: KeyId, length: usize) -> OutsideValue {
    OutsideValue { id: Uuid::from_u128(number.into()), key, sealed: bytes(4 << 40 | number, length) }
}

pub(crate) fn erasure(number: u64) -> ErasureId {
    ErasureId(Uuid::from_u128(number.into()))
}

/// Fences everything of an owner's subject, by an erasure of this number.
pub(crate) fn fence(store: &mut SqliteKeyStore, number: u64, owner: &KeyOwner) -> ErasureId {
    let (erasure, extent) = (erasure(number), Extent::Everything);
    let fence = Fence { erasure, subject: owner.subject, purpose: None, extent, at: Timestamp(0) };
    store.fence(&fence).unwrap();
    erasure
}

/// The length of the parts that are searched for: a part of a secret is a trace too.
const PART: usize = 12;

/// How many of these secrets, or parts of them, are in any byte of any file of the directory.
pub(crate) fn traces(directory: &Path, secrets: &[Vec<u8>]) -> usize {
    let parts = |secret: &Vec<u8>| secret.chunks_exact(PART).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let wanted: HashSet<Vec<u8>> = secrets.iter().flat_map(parts).collect();
    // Most places are passed over by their first three bytes.
    let begin = |part: &[u8]| usize::from(part[0]) << 16 | usize::from(part[1]) << 8 | usize::from(part[2]);
    let mut begins = vec![false; 1 << 24];
    wanted.iter().for_each(|part| begins[begin(part)] = true);
    let mut found = HashSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        for window in fs::read(entry.unwrap().path()).unwrap().windows(PART) {
            if begins[begin(window)] && wanted.contains(window) {
                found.insert(window.to_vec());
            }
        }
    }
    secrets.iter().filter(|secret| parts(secret).iter().any(|part| found.contains(part))).count()
}
