//! Where does a single machine keep its data keys, so that they can be destroyed for good? [`SqliteKeyStore`].

mod backup;
mod erasures;
mod fault;
mod files;
mod identity;
mod keys;
mod leases;
mod outside;
mod schema;
mod slots;

use std::path::Path;
use std::time::Duration;

use factum_core::Timestamp;
use factum_vault::{
    Created, ErasureId, Fence, Found, Holdings, Identity, KekEpoch, KeyId, KeyOwner, KeyStore, KeyStoreError,
    KeySummary, Latest, Lease, LedgerEntry, OutsideValue, Purpose, Rewrapped, StoredKey, SubjectRef,
    Watermark, Wrapped,
};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use fault::{Fault, translate};
use files::{Copy, Files};

/// How long a call waits for another one that writes to the file, or reads from it when this one writes.
const BUSY: Duration = Duration::from_secs(5);

/// Data keys in one SQLite file, `keys.sqlite`, in a directory of its own. Only its owner may read it.
///
/// Keep the directory, and its backups, apart from the log and from the key file that wraps the keys. Processes of one machine
/// may share it; a network file system may not hold it.
///
/// **Destroyed is destroyed**: once [`destroy`](KeyStore::destroy) or [`rewrap`](KeyStore::rewrap) has returned, the old bytes
/// are in no file of the directory. What a file system, a disk or a snapshot of either keeps of blocks that were written over
/// is beyond it, and so is every backup: against those, key-encryption keys are rotated and the old ones destroyed.
#[derive(Debug)]
pub struct SqliteKeyStore {
    files: Files,
    store: String,
    connection: Connection,
}

impl SqliteKeyStore {
    /// Opens the key store in a directory, which must be there.
    ///
    /// # Errors
    /// `Missing`, `Exposed` where others than the owner may read it or come in, `Damaged`, `NewerLayout`, `Unavailable` where it
    /// is locked, `Failed` where it cannot be written to. In each case it is as it was.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, KeyStoreError> {
        Self::open_waiting(directory.as_ref(), BUSY)
    }

    /// As [`open`](Self::open), where a call waits at most `busy` for others who use the file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_waiting(directory: impl AsRef<Path>, busy: Duration) -> Result<Self, KeyStoreError> {
        let files = Files::existing(directory.as_ref())?;
        let store = files.called();
        let connection = schema::open(&store, &files.database(), busy)?;
        Ok(Self { files, store, connection })
    }

    /// Makes a new key store, and the directory where it is not there. Never over one that is there.
    ///
    /// It is not made by opening: where a volume is not mounted, an empty key store in its place would make keys that nobody
    /// backs up, and know none of those that there were.
    ///
    /// # Errors
    /// `Failed` where there is one, or where it cannot be made, else as [`open`](Self::open).
    pub fn create(directory: impl AsRef<Path>) -> Result<Self, KeyStoreError> {
        let files = Files::create(directory.as_ref())?;
        let store = files.called();
        let connection = schema::create(&store, &files.database(), BUSY)?;
        Ok(Self { files, store, connection })
    }

    /// Reads every page and every row, and says whether they fit together.
    ///
    /// # Errors
    /// `Damaged` where they do not.
    pub fn check(&mut self) -> Result<(), KeyStoreError> {
        self.read(backup::check)
    }

    /// Writes a copy of the key store as it is now to a file, which only its owner may read. To restore it, put it into an empty
    /// directory as `keys.sqlite`, and set up the fences of the erasures since.
    ///
    /// A backup holds keys that may be destroyed later: keep it no longer than a key-encryption key lives, and apart from the
    /// log.
    ///
    /// # Errors
    /// `Failed` where the file is there already or cannot be written, `Damaged` where the key store is. Then there is no file.
    pub fn backup_to(&mut self, file: impl AsRef<Path>) -> Result<(), KeyStoreError> {
        self.check()?;
        let copy = Copy::begin(file.as_ref())?;
        let copied = backup::copy_to(&self.connection, copy.part());
        copied.map_err(|fault| translate(&self.store, fault))?;
        copy.place()
    }

    /// Reads, all from one state.
    fn read<T>(&mut self, ask: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, KeyStoreError> {
        let asked = ask_within(&mut self.connection, ask);
        asked.map_err(|fault| translate(&self.store, fault))
    }

    /// Changes all of it, or nothing where it fails.
    fn change<T>(&mut self, make: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, KeyStoreError> {
        let made = make_within(&mut self.connection, make);
        made.map_err(|fault| translate(&self.store, fault))
    }
}

fn ask_within<T>(
    connection: &mut Connection,
    ask: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction()?;
    let answer = ask(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// Takes the right to write first: two who read, and then both want to write, would stand in each other's way.
fn make_within<T>(
    connection: &mut Connection,
    make: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::must_truncate(&transaction)?;
    let made = make(&transaction)?;
    transaction.commit()?;
    Ok(made)
}

impl KeyStore for SqliteKeyStore {
    fn description(&self) -> String {
        self.files.called()
    }

    fn identity(&mut self) -> Result<Option<Identity>, KeyStoreError> {
        self.read(identity::identity)
    }

    fn initialise(&mut self, identity: &Identity) -> Result<Identity, KeyStoreError> {
        self.change(|connection| identity::initialise(connection, identity))
    }

    fn rewrap_roots(&mut self, from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> Result<bool, KeyStoreError> {
        self.change(|connection| identity::rewrap_roots(connection, from, to, roots))
    }

    fn latest(&mut self, owner: &KeyOwner) -> Result<Latest, KeyStoreError> {
        self.read(|connection| keys::latest(connection, owner))
    }

    fn create(&mut self, key: &StoredKey, succeeds: Option<KeyId>) -> Result<Created, KeyStoreError> {
        self.change(|connection| keys::create(connection, key, succeeds))
    }

    fn create_many(&mut self, keys: &[StoredKey]) -> Result<Vec<Created>, KeyStoreError> {
        self.change(|connection| keys.iter().map(|key| keys::create(connection, key, None)).collect())
    }

    fn find(&mut self, ids: &[KeyId]) -> Result<Vec<Found>, KeyStoreError> {
        self.read(|connection| keys::find(connection, ids))
    }

    fn keys_of(&mut self, subject: SubjectRef) -> Result<Vec<KeySummary>, KeyStoreError> {
        self.read(|connection| keys::of_subject(connection, subject))
    }

    fn made_before(
        &mut self,
        purpose: &Purpose,
        before: Timestamp,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeySummary>, KeyStoreError> {
        self.read(|connection| keys::made_before(connection, purpose, before, after, limit))
    }

    fn holdings(&mut self) -> Result<Holdings, KeyStoreError> {
        self.read(keys::holdings)
    }

    fn fence(&mut self, fence: &Fence) -> Result<LedgerEntry, KeyStoreError> {
        self.change(|connection| erasures::fence(connection, fence))
    }

    fn destroy(&mut self, erasure: ErasureId) -> Result<Vec<KeyId>, KeyStoreError> {
        self.change(|connection| erasures::destroy(connection, erasure))
    }

    fn lift(&mut self, erasure: ErasureId) -> Result<bool, KeyStoreError> {
        self.change(|connection| erasures::lift(connection, erasure))
    }

    fn watermark(&mut self) -> Result<Watermark, KeyStoreError> {
        self.read(erasures::watermark)
    }

    fn ledger(&mut self, after: Watermark, limit: usize) -> Result<Vec<LedgerEntry>, KeyStoreError> {
        self.read(|connection| erasures::ledger(connection, after, limit))
    }

    fn renew(&mut self, lease: &Lease) -> Result<(), KeyStoreError> {
        self.change(|connection| leases::renew(connection, lease))
    }

    fn end_lease(&mut self, node: Uuid) -> Result<(), KeyStoreError> {
        self.change(|connection| leases::end(connection, node))
    }

    fn leases(&mut self, now: Timestamp) -> Result<Vec<Lease>, KeyStoreError> {
        let all = self.read(leases::all)?;
        let (held, over): (Vec<_>, Vec<_>) = all.into_iter().partition(|lease| lease.until > now);
        if !over.is_empty() {
            self.change(|connection| leases::forget(connection, now))?;
        }
        Ok(held)
    }

    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<StoredKey>, KeyStoreError> {
        self.read(|connection| keys::wrapped_otherwise(connection, epoch, after, limit))
    }

    fn rewrap(&mut self, keys: &[Rewrapped]) -> Result<u64, KeyStoreError> {
        self.change(|connection| keys::rewrap(connection, keys))
    }

    fn keep_values(&mut self, values: &[OutsideValue]) -> Result<(), KeyStoreError> {
        self.change(|connection| outside::keep(connection, values))
    }

    fn values(&mut self, ids: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, KeyStoreError> {
        self.read(|connection| outside::values(connection, ids))
    }
}
