//! Where do several machines keep their data keys together, so that they can be destroyed? [`PostgresKeyStore`].

mod erasures;
mod fault;
mod identity;
mod keys;
mod leases;
mod outside;
mod rows;
mod schema;

use std::sync::Arc;

use factum_core::Timestamp;
use factum_vault::{
    Created, ErasureId, Fence, Found, Holdings, Identity, KekEpoch, KeyId, KeyOwner, KeyStore, KeyStoreError,
    KeySummary, Latest, Lease, LedgerEntry, OutsideValue, Purpose, Rewrapped, StoredKey, SubjectRef,
    Watermark, Wrapped,
};
use uuid::Uuid;

use crate::address::Address;
use crate::error::Whose;
use crate::link::Link;
use fault::{Fault, translate};

/// Data keys in a schema of a PostgreSQL database, for processes on any machine.
///
/// Give it a database and a role of its own, other than the log's and the read models', and nobody else rights on it; best a
/// server of its own, whose backups go elsewhere. Whoever has its rows, the key-encryption key and the log can read everything.
///
/// One session, opened when it is first used, and anew after the server was away; meanwhile calls fail as `Unavailable`.
///
/// # What remains of a destroyed key
/// Once [`destroy`](KeyStore::destroy) has returned, no row holds the key or the values under it, and no query gives them out.
/// The server does not overwrite: old rows stay in the table's file until their space is used again (`destroy` runs `VACUUM`,
/// which frees that space and leaves its bytes; `VACUUM FULL` writes a new file), and in the write-ahead log, its archive,
/// replicas that lag, and backups for as long as those are kept. Those bytes are wrapped: they are worth nothing once the
/// key-encryption key of their epoch is destroyed. So rotate it, and keep archives and backups no longer than an epoch. Where
/// that is not enough, `SqliteKeyStore` of `factum-sqlite` leaves nothing in its files.
pub struct PostgresKeyStore {
    address: Arc<Address>,
    schema: String,
    store: String,
    link: Option<Link>,
}

impl std::fmt::Debug for PostgresKeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresKeyStore").field(&self.store).finish()
    }
}

impl PostgresKeyStore {
    /// Connects to `postgres://user:password@host:port/database` and opens the key store in the schema, which must be there.
    ///
    /// # Errors
    /// `Missing` where database or key store is not there or the URL is none, `Unavailable` where the server cannot be reached,
    /// `NewerLayout`, `Damaged`, `Failed` where the server refuses the user or the schema has no name that a key store may have.
    /// None holds the password.
    pub fn open(url: &str, schema: &str) -> Result<Self, KeyStoreError> {
        let mut opened = Self::at(url, schema)?;
        opened.with(|_| Ok(()))?;
        Ok(opened)
    }

    /// Makes a new key store in the schema, and the schema where it is not there: for that the user needs `CREATE` on the
    /// database. Never over one that is there.
    ///
    /// It is not made by opening: with a URL that leads elsewhere, an empty key store would make keys that nobody backs up, and
    /// know none of those that there were.
    ///
    /// # Errors
    /// `Failed` where there is one, or where it cannot be made, else as [`open`](Self::open).
    pub fn create(url: &str, schema: &str) -> Result<Self, KeyStoreError> {
        let made = Self::at(url, schema)?;
        let create = || {
            let mut link = Link::open(&made.address)?;
            schema::begin_session(&mut link, schema)?;
            schema::create(&mut link, schema)
        };
        create().map_err(|fault: Fault| translate(&made.store, fault))?;
        Self::open(url, schema)
    }

    fn at(url: &str, schema: &str) -> Result<Self, KeyStoreError> {
        let address =
            Address::parse(url).map_err(|error| translate("the address given", Fault::Server(error)))?;
        let store = format!("the key store in {}, schema '{schema}'", address.described());
        if !schema::is_a_name(schema) {
            let why = format!(
                "a schema for keys has a name of a-z, 0-9 and '_', not begun by a digit or by 'pg_', of at most {} bytes, and is \
                 not 'factum', which is for read models",
                schema::MAX_SCHEMA_BYTES
            );
            return Err(KeyStoreError::Failed { store: "the key store in PostgreSQL".to_owned(), why });
        }
        Ok(Self { address: Arc::new(address), schema: schema.to_owned(), store, link: None })
    }

    /// Calls `run` with a session that answers: one that lay idle may have died with the server.
    fn with<T>(&mut self, run: impl FnOnce(&mut Link) -> Result<T, Fault>) -> Result<T, KeyStoreError> {
        let session = || {
            let mut link = match self.link.take().filter(Link::answers) {
                Some(link) => link,
                None => {
                    let mut link = Link::open(&self.address)?;
                    schema::begin_session(&mut link, &self.schema)?;
                    schema::check(&mut link, &self.schema)?;
                    link
                }
            };
            let done = run(&mut link);
            // What ended with a transient error may have lost its connection.
            if done.as_ref().err().is_none_or(|fault| !fault.is_transient()) {
                self.link = Some(link);
            }
            done
        };
        session().map_err(|fault| translate(&self.store, fault))
    }

    /// Changes all of it, or nothing where it fails. Each statement sees what was committed before it, whatever the server's
    /// default is: after a lock was waited for, that matters.
    fn change<T>(&mut self, make: impl FnOnce(&mut Link) -> Result<T, Fault>) -> Result<T, KeyStoreError> {
        self.with(|link| {
            let made = (|| {
                link.execute(Whose::Ours, "BEGIN ISOLATION LEVEL READ COMMITTED", &[])?;
                let made = make(link)?;
                link.batch(Whose::Ours, "COMMIT")?;
                Ok(made)
            })();
            if made.is_err() {
                // The error of interest is the first; a session that is gone has rolled back by itself.
                let _ = link.rollback();
            }
            made
        })
    }
}

impl KeyStore for PostgresKeyStore {
    fn description(&self) -> String {
        self.store.clone()
    }

    fn identity(&mut self) -> Result<Option<Identity>, KeyStoreError> {
        self.with(identity::identity)
    }

    fn initialise(&mut self, identity: &Identity) -> Result<Identity, KeyStoreError> {
        self.with(|link| identity::initialise(link, identity))
    }

    fn rewrap_roots(&mut self, from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> Result<bool, KeyStoreError> {
        self.with(|link| identity::rewrap_roots(link, from, to, roots))
    }

    fn latest(&mut self, owner: &KeyOwner) -> Result<Latest, KeyStoreError> {
        self.with(|link| keys::latest(link, owner))
    }

    fn create(&mut self, key: &StoredKey, succeeds: Option<KeyId>) -> Result<Created, KeyStoreError> {
        self.change(|link| keys::create(link, key, succeeds))
    }

    fn find(&mut self, ids: &[KeyId]) -> Result<Vec<Found>, KeyStoreError> {
        self.with(|link| keys::find(link, ids))
    }

    fn keys_of(&mut self, subject: SubjectRef) -> Result<Vec<KeySummary>, KeyStoreError> {
        self.with(|link| keys::of_subject(link, subject))
    }

    fn made_before(
        &mut self,
        purpose: &Purpose,
        before: Timestamp,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeySummary>, KeyStoreError> {
        self.with(|link| keys::made_before(link, purpose, before, after, limit))
    }

    fn holdings(&mut self) -> Result<Holdings, KeyStoreError> {
        self.with(keys::holdings)
    }

    fn fence(&mut self, fence: &Fence) -> Result<LedgerEntry, KeyStoreError> {
        self.change(|link| erasures::fence(link, fence))
    }

    fn destroy(&mut self, erasure: ErasureId) -> Result<Vec<KeyId>, KeyStoreError> {
        let keys = self.change(|link| erasures::destroy(link, erasure))?;
        if let Some(link) = self.link.as_mut().filter(|_| !keys.is_empty()) {
            erasures::clear_dead_rows(link);
        }
        Ok(keys)
    }

    fn lift(&mut self, erasure: ErasureId) -> Result<bool, KeyStoreError> {
        self.with(|link| erasures::lift(link, erasure))
    }

    fn watermark(&mut self) -> Result<Watermark, KeyStoreError> {
        self.with(erasures::watermark)
    }

    fn ledger(&mut self, after: Watermark, limit: usize) -> Result<Vec<LedgerEntry>, KeyStoreError> {
        self.with(|link| erasures::ledger(link, after, limit))
    }

    fn renew(&mut self, lease: &Lease) -> Result<(), KeyStoreError> {
        self.with(|link| leases::renew(link, lease))
    }

    fn end_lease(&mut self, node: Uuid) -> Result<(), KeyStoreError> {
        self.with(|link| leases::end(link, node))
    }

    fn leases(&mut self, now: Timestamp) -> Result<Vec<Lease>, KeyStoreError> {
        self.with(|link| leases::held(link, now))
    }

    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<StoredKey>, KeyStoreError> {
        self.with(|link| keys::wrapped_otherwise(link, epoch, after, limit))
    }

    fn rewrap(&mut self, keys: &[Rewrapped]) -> Result<u64, KeyStoreError> {
        self.change(|link| keys::rewrap(link, keys))
    }

    fn keep_values(&mut self, values: &[OutsideValue]) -> Result<(), KeyStoreError> {
        self.change(|link| outside::keep(link, values))
    }

    fn values(&mut self, ids: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, KeyStoreError> {
        self.with(|link| outside::values(link, ids))
    }
}
