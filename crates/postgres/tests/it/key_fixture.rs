//! What do the tests of the key store share: one in a database of its own, and keys for it.

use factum_core::Timestamp;
use factum_postgres::PostgresKeyStore;
use factum_testkit::PostgresDatabase;
use factum_vault::{
    Created, ErasureId, Extent, Fence, KekEpoch, KeyId, KeyOwner, KeyStore, Latest, StoredKey, SubjectRef,
    Wrapped,
};
use uuid::Uuid;

pub(crate) const SCHEMA: &str = "keys";

/// A database with a key store in it.
pub(crate) struct Fixture {
    pub(crate) store: PostgresKeyStore,
    // Dropped last: it takes the database away.
    pub(crate) database: PostgresDatabase,
}

impl Fixture {
    /// `None`, and the test skipped, where there is no server.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let database = PostgresDatabase::fresh(test)?;
        Some(Self { store: PostgresKeyStore::create(database.url(), SCHEMA).unwrap(), database })
    }

    pub(crate) fn again(&self) -> PostgresKeyStore {
        PostgresKeyStore::open(self.database.url(), SCHEMA).unwrap()
    }
}

pub(crate) fn sixteen(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

pub(crate) fn owner(number: u64) -> KeyOwner {
    KeyOwner::of(SubjectRef(sixteen(number)))
}

/// Makes the owner's next key.
pub(crate) fn make(store: &mut PostgresKeyStore, number: u64, owner: &KeyOwner) -> StoredKey {
    let (generation, before) = match store.latest(owner).unwrap() {
        Latest::Live(live) => (live.generation + 1, Some(live.id)),
        Latest::None { generation } => (generation, None),
        Latest::Fenced(erasure) => panic!("fenced by {erasure}"),
    };
    let key = StoredKey {
        id: KeyId(sixteen(number)),
        owner: owner.clone(),
        generation,
        wrapped: Wrapped(format!("the key of number {number}, wrapped").into_bytes()),
        epoch: KekEpoch(1),
        created: Timestamp(0),
    };
    assert_eq!(store.create(&key, before).unwrap(), Created::New);
    key
}

/// A fence before everything of an owner's subject, by an erasure of this number.
pub(crate) fn fence(number: u128, owner: &KeyOwner) -> Fence {
    Fence {
        erasure: ErasureId(Uuid::from_u128(number)),
        subject: owner.subject,
        purpose: None,
        extent: Extent::Everything,
        at: Timestamp(0),
    }
}
