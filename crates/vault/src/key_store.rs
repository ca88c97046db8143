//! What must a database do to keep data keys, and to forget them for good?

mod memory;

pub use memory::MemoryKeyStore;

use factum_core::{ErrorKind, StoreId, Timestamp};
use uuid::Uuid;

use crate::kek::{KekEpoch, Wrapped};
use crate::subject::{ErasureId, KeyId, KeyOwner, Purpose, SubjectRef};

/// Most keys that are asked for or listed in one call. A list is cut there, whatever was asked for.
pub const MAX_KEY_BATCH: usize = 1_000;

/// What a key store belongs to, and its wrapped roots. Written once; only the wrapping changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The vault's own identity.
    pub vault: Uuid,
    /// The log whose data it is for. Keys of another log open nothing here.
    pub log: StoreId,
    /// Whose vault it is; `default` where there is one only.
    pub tenant: String,
    /// The root secrets, wrapped.
    pub roots: Wrapped,
    /// The epoch that wrapped them.
    pub epoch: KekEpoch,
}

/// One data key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its identity.
    pub id: KeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// Which key of this owner, from 1.
    pub generation: u32,
    /// The key, wrapped.
    pub wrapped: Wrapped,
    /// The epoch that wrapped it.
    pub epoch: KekEpoch,
    /// When it was made.
    pub created: Timestamp,
}

/// What there is for an owner who wants to seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latest {
    /// The key to seal with.
    Live(StoredKey),
    /// No key yet; the next one has this generation.
    None {
        /// From 1; beyond 1 where earlier keys were destroyed and a new one is allowed, and beyond what a fence covers.
        generation: u32,
    },
    /// Erased: no key may be made.
    Fenced(ErasureId),
}

/// What came of making a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is kept.
    New,
    /// Somebody was faster: this is the owner's key to seal with.
    Exists(StoredKey),
    /// The owner was erased: nothing was kept.
    Fenced(ErasureId),
    /// The generation is not the next one, or the id is taken: ask for the latest again.
    Stale,
}

/// What there is under a key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A key that opens.
    Live(StoredKey),
    /// A key behind a fence, whether its bytes are gone yet or not.
    Erased {
        /// Whose it was.
        owner: KeyOwner,
        /// The erasure.
        erasure: ErasureId,
    },
    /// This key store never had it: it is older than the log, or another one.
    Unknown,
}

/// Which keys of an owner a fence covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that there are, and none may be made.
    Everything,
    /// Those up to this generation: what was kept for long enough. Later ones live, and new ones may be made, beyond it.
    UpTo(u32),
}

/// An erasure as it is asked for: from here on no key that it covers is given out or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Its identity.
    pub erasure: ErasureId,
    /// Who is forgotten.
    pub subject: SubjectRef,
    /// For which purpose; `None` for everything.
    pub purpose: Option<Purpose>,
    /// Which of its keys.
    pub extent: Extent,
    /// When it was asked for.
    pub at: Timestamp,
}

impl Fence {
    /// Whether it covers the key of this generation of `owner`.
    pub fn covers(&self, owner: &KeyOwner, generation: u32) -> bool {
        let within = match self.extent {
            Extent::Everything => true,
            Extent::UpTo(last) => generation <= last,
        };
        within && self.concerns(owner)
    }

    /// Whether it stands before every new key of `owner`, until it is lifted.
    pub fn stands_before(&self, owner: &KeyOwner) -> bool {
        self.extent == Extent::Everything && self.concerns(owner)
    }

    fn concerns(&self, owner: &KeyOwner) -> bool {
        self.subject == owner.subject && (self.purpose.is_none() || self.purpose == owner.purpose)
    }
}

/// How far a ledger goes: it counts its fences, from 1. 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(pub u64);

/// One line of the ledger: erasures in the order in which they were fenced here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number.
    pub number: Watermark,
    /// What was asked for.
    pub fence: Fence,
    /// The keys that it covers, by id: those that were there and behind no other fence when it was set up.
    pub keys: Vec<KeyId>,
    /// Whether the bytes of each of them are gone.
    pub destroyed: bool,
    /// Whether new keys were allowed since.
    pub lifted: bool,
}

/// One key of a subject, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySummary {
    /// Its identity.
    pub id: KeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// Which key of this owner.
    pub generation: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The erasure behind whose fence it is.
    pub erased: Option<ErasureId>,
    /// Whether its bytes are gone.
    pub destroyed: bool,
}

/// A key wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// Which key.
    pub id: KeyId,
    /// The epoch that it was wrapped by: where it is no longer, nothing is changed.
    pub from: KekEpoch,
    /// The epoch that wraps it now.
    pub to: KekEpoch,
    /// The bytes.
    pub wrapped: Wrapped,
}

/// A value that is kept here instead of in the log: still sealed, and deleted with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideValue {
    /// What the event refers to.
    pub id: Uuid,
    /// The key that seals it.
    pub key: KeyId,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// A process that may hold keys in memory: until `until`, and without those of the ledger up to `seen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process, by an identity that it made for itself.
    pub node: Uuid,
    /// How far it has read the ledger and forgotten what is erased there.
    pub seen: Watermark,
    /// When it stops using keys, unless it renews.
    pub until: Timestamp,
}

/// What a key store holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Subjects with at least one key that opens.
    pub subjects: u64,
    /// Keys that open.
    pub live: u64,
    /// Keys behind a fence whose bytes are still there.
    pub fenced: u64,
    /// Keys whose bytes are gone.
    pub destroyed: u64,
    /// Values kept outside the log.
    pub values: u64,
}

/// Keeps the wrapped data keys of one log, apart from the log and from its backups.
///
/// Blocking: the vault calls it on a thread of its own. Other processes may use the same database: each call is one
/// transaction, and what it returned is durable.
///
/// **The rule of fences**: once [`fence`](Self::fence) has returned, no call gives out or accepts a key that the fence covers,
/// whoever made it and wherever it comes from.
pub trait KeyStore: Send {
    /// What it is and where, for people. No secrets.
    fn description(&self) -> String;

    /// Whose it is; `None` for a new one.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn identity(&mut self) -> Result<Option<Identity>, KeyStoreError>;

    /// Says whose it is, unless that was said before. Gives what holds now.
    ///
    /// # Errors
    /// Where it could not be kept.
    fn initialise(&mut self, identity: &Identity) -> Result<Identity, KeyStoreError>;

    /// Keeps the roots wrapped anew, if `from` still wraps them. Says whether it did.
    ///
    /// # Errors
    /// Where it could not be kept.
    fn rewrap_roots(&mut self, from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> Result<bool, KeyStoreError>;

    /// What this owner may seal with.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn latest(&mut self, owner: &KeyOwner) -> Result<Latest, KeyStoreError>;

    /// Keeps a key, if it is the owner's next one, no fence stands before it, and the owner's live key (the one of its highest
    /// generation that opens) is the one that it succeeds; `None` for a first one.
    ///
    /// # Errors
    /// Where it could not be kept.
    fn create(&mut self, key: &StoredKey, succeeds: Option<KeyId>) -> Result<Created, KeyStoreError>;

    /// Keeps the first or next keys of several owners without a live key, each as [`create`](Self::create) would. A store for
    /// which a transaction is dear does it in one.
    ///
    /// # Errors
    /// Where they could not be kept.
    fn create_many(&mut self, keys: &[StoredKey]) -> Result<Vec<Created>, KeyStoreError> {
        keys.iter().map(|key| self.create(key, None)).collect()
    }

    /// What there is under each of these ids, in order. At most [`MAX_KEY_BATCH`].
    ///
    /// # Errors
    /// Where it cannot be read.
    fn find(&mut self, ids: &[KeyId]) -> Result<Vec<Found>, KeyStoreError>;

    /// Every key that this subject has or had, by owner and generation.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn keys_of(&mut self, subject: SubjectRef) -> Result<Vec<KeySummary>, KeyStoreError>;

    /// Keys that open and were made for `purpose` before `before`, after `after` in the order of their ids. At most
    /// [`MAX_KEY_BATCH`].
    ///
    /// # Errors
    /// Where it cannot be read.
    fn made_before(
        &mut self,
        purpose: &Purpose,
        before: Timestamp,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeySummary>, KeyStoreError>;

    /// What it holds, in numbers.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn holdings(&mut self) -> Result<Holdings, KeyStoreError>;

    /// Sets up a fence and enters it in the ledger, unless this erasure is there already. Gives its line of the ledger.
    ///
    /// # Errors
    /// Where it could not be kept.
    fn fence(&mut self, fence: &Fence) -> Result<LedgerEntry, KeyStoreError>;

    /// Destroys the bytes of all keys that the erasure covers, and the values kept outside under them. Their ids stay, so that
    /// they are known to be erased. Gives the keys that the erasure covers, whether they were destroyed now or before.
    ///
    /// # Errors
    /// `NoSuchErasure`, or where it is not certain that the bytes are gone.
    fn destroy(&mut self, erasure: ErasureId) -> Result<Vec<KeyId>, KeyStoreError>;

    /// Lifts one fence: its owner's next key may be made, one generation on. What was destroyed stays so. Says whether it stood.
    ///
    /// # Errors
    /// `NoSuchErasure`, or where it could not be kept.
    fn lift(&mut self, erasure: ErasureId) -> Result<bool, KeyStoreError>;

    /// How far the ledger goes.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn watermark(&mut self) -> Result<Watermark, KeyStoreError>;

    /// The ledger after `after`, at most `limit` lines.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn ledger(&mut self, after: Watermark, limit: usize) -> Result<Vec<LedgerEntry>, KeyStoreError>;

    /// Keeps that a process holds keys; over what it said before.
    ///
    /// # Errors
    /// Where it could not be kept: then the process may not use keys.
    fn renew(&mut self, lease: &Lease) -> Result<(), KeyStoreError>;

    /// Forgets a process that holds keys no longer.
    ///
    /// # Errors
    /// Where it could not be kept.
    fn end_lease(&mut self, node: Uuid) -> Result<(), KeyStoreError>;

    /// The processes that may hold keys at `now`. Those whose time is over are forgotten.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn leases(&mut self, now: Timestamp) -> Result<Vec<Lease>, KeyStoreError>;

    /// Keys with bytes that another epoch than `epoch` wraps, after `after` in the order of their ids. At most
    /// [`MAX_KEY_BATCH`].
    ///
    /// # Errors
    /// Where it cannot be read.
    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<StoredKey>, KeyStoreError>;

    /// Keeps keys wrapped anew. A key that was destroyed or wrapped by someone else meanwhile is left as it is. Gives how many
    /// were changed.
    ///
    /// # Errors
    /// Where they could not be kept: then none was.
    fn rewrap(&mut self, keys: &[Rewrapped]) -> Result<u64, KeyStoreError>;

    /// Keeps values outside the log. One that is there already stays as it is. Refused for a key that is not live.
    ///
    /// # Errors
    /// `NotLive`, or where they could not be kept: then none was.
    fn keep_values(&mut self, values: &[OutsideValue]) -> Result<(), KeyStoreError>;

    /// The sealed values under these ids, in order. `None` for one that is not there, or no longer.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn values(&mut self, ids: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, KeyStoreError>;
}

/// Why a key store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// It cannot be reached, or is busy.
    #[error("{store} cannot be used now: {why}")]
    Unavailable {
        /// What was asked.
        store: String,
        /// Why. No keys, no subjects.
        why: String,
    },
    /// Others may read its files.
    #[error("{store} may be read by others than its owner (mode {mode:03o}): run chmod go-rwx on it")]
    Exposed {
        /// Which.
        store: String,
        /// Its permission bits.
        mode: u32,
    },
    /// There is none.
    #[error("there is no key store at {store}: {why}")]
    Missing {
        /// Where.
        store: String,
        /// What is there instead, and what to do.
        why: String,
    },
    /// A later build made it.
    #[error("{store} has layout {found}, this build knows up to {known}: use a newer build")]
    NewerLayout {
        /// Which.
        store: String,
        /// Its layout.
        found: u32,
        /// The latest that this build knows.
        known: u32,
    },
    /// What it holds is not what Factum writes.
    #[error("{store} is damaged: {why}; restore it from its own backup")]
    Damaged {
        /// Which.
        store: String,
        /// What is wrong.
        why: String,
    },
    /// No such erasure is in its ledger.
    #[error("{store} knows no erasure {erasure}: it has to be fenced first")]
    NoSuchErasure {
        /// Which.
        store: String,
        /// The erasure.
        erasure: ErasureId,
    },
    /// A value may only be kept under a key that is there.
    #[error("{store} has no live key {key}: its owner was erased")]
    NotLive {
        /// Which.
        store: String,
        /// The key.
        key: KeyId,
    },
    /// It failed otherwise.
    #[error("{store} failed: {why}")]
    Failed {
        /// Which.
        store: String,
        /// Why. No keys, no subjects.
        why: String,
    },
}

impl KeyStoreError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            KeyStoreError::Unavailable { .. } | KeyStoreError::Failed { .. } => ErrorKind::Unavailable,
            KeyStoreError::Exposed { .. } => ErrorKind::Invalid,
            KeyStoreError::Damaged { .. } => ErrorKind::Damaged,
            KeyStoreError::NewerLayout { .. } => ErrorKind::Unsupported,
            KeyStoreError::Missing { .. } | KeyStoreError::NoSuchErasure { .. } => ErrorKind::NotFound,
            KeyStoreError::NotLive { .. } => ErrorKind::Deleted,
        }
    }
}
