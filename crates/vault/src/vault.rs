//! How is a vault opened, and what does it give to whom?

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use factum_core::{
    Clock, EventStore, ExpectedRevision, Read, RecordedEvent, Selector, StoreId, SystemClock, Timestamp,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::cache::{Cache, Forgotten, Freshness};
use crate::core_dumps::CoreDumps;
use crate::data_key::DataKey;
use crate::erase::reconcile;
use crate::error::VaultError;
use crate::keeper::{Job, Keeper, KeyState};
use crate::kek::{EpochInfo, KekProvider};
use crate::key_store::{Holdings, Identity, KeyStore, KeySummary, OutsideValue};
use crate::ledger::{self, Ledger};
use crate::marker::Unavailable;
use crate::open_event::Settled;
use crate::opening::Openers;
use crate::receipt::hex;
use crate::restored::{OnRestore, Restored};
use crate::retention::Retention;
use crate::roots::{BlindIndex, Roots};
use crate::rotation::{Rotated, Rotation};
use crate::subject::{KeyId, KeyOwner, Purpose, Subject, SubjectRef};

/// The tenant of a vault that has one only.
pub const DEFAULT_TENANT: &str = "default";

/// What a vault is made of.
pub struct VaultOptions {
    /// Keeps the wrapped keys.
    pub key_store: Box<dyn KeyStore>,
    /// Wraps them.
    pub kek: Box<dyn KekProvider>,
    /// Whose vault it is. A part of what every value is bound to.
    pub tenant: String,
    /// How long data is kept for which purpose.
    pub retention: Retention,
    /// How often the key-encryption key is rotated, for receipts.
    pub rotation: Rotation,
    /// What is done about a log that was put back from a backup.
    pub restored: OnRestore,
    /// What is done about core dumps of this process, which would hold keys and values.
    pub core_dumps: CoreDumps,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl VaultOptions {
    /// For one tenant, without retention, on the machine's clock.
    pub fn new(key_store: Box<dyn KeyStore>, kek: Box<dyn KekProvider>) -> Self {
        let (tenant, retention) = (DEFAULT_TENANT.to_owned(), Retention::none());
        let (restored, core_dumps) = (OnRestore::Refuse, CoreDumps::Off);
        let rotation = Rotation::Unscheduled;
        Self {
            key_store,
            kek,
            tenant,
            retention,
            rotation,
            restored,
            core_dumps,
            clock: Arc::new(SystemClock),
        }
    }
}

/// What opening a vault found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Whether the vault is new.
    pub created: bool,
    /// Erasures of the log that the key store did not have, or had not carried out: it was restored from an older copy, or an
    /// erasure was interrupted. They were applied before any key was given out.
    pub reapplied: u64,
}

/// The keys of one log's data subjects. A clone is cheap; with the last one the vault's thread ends.
///
/// Nothing gives out a key before the log's ledger of erasures was compared with the key store's: see [`KeyVault::open`].
#[derive(Clone)]
pub struct KeyVault(Arc<Inner>);

struct Inner {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    roots: Roots,
    vault: Uuid,
    log: StoreId,
    tenant: String,
    retention: Retention,
    rotation: Rotation,
    openers: Openers,
}

/// A vault, for those who do not keep it open.
pub(crate) struct WeakVault(Weak<Inner>);

impl WeakVault {
    pub(crate) fn upgrade(&self) -> Option<KeyVault> {
        self.0.upgrade().map(KeyVault)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        end(self.jobs.take(), self.thread.take());
    }
}

/// The thread ends once nobody can ask it any more, and has then told the key store that it holds no keys.
fn end(jobs: Option<Sender<Job>>, thread: Option<JoinHandle<()>>) {
    drop(jobs);
    if let Some(thread) = thread {
        // A panic there was seen by whoever asked.
        let _ = thread.join();
    }
}

impl KeyVault {
    /// Opens the vault of the log in `store`: the bare store, not one that seals. A log without a vault gets this one.
    ///
    /// Every erasure that the log knows is applied to the key store before this returns, so that an older copy of a key store
    /// gives out nothing that was erased since it was made. An older copy of the log is not opened, unless
    /// [`VaultOptions::restored`] says so.
    ///
    /// # Errors
    /// Where key store, provider or the log's ledger cannot be read, or do not belong together. Then no key was given out.
    pub async fn open(
        options: VaultOptions,
        store: &(impl EventStore + ?Sized),
    ) -> Result<(Self, Opened), VaultError> {
        let head = Read::backwards(Selector::All).limit(1);
        let head = store.read(head).await.map_err(VaultError::Ledger)?;
        let log = (head.head().snapshot.store(), head.head().snapshot.epoch());
        let known = Ledger::read(store).await?;
        let VaultOptions { key_store, kek, tenant, retention, rotation, restored, core_dumps, clock } =
            options;
        core_dumps.apply();
        let cache = Arc::new(Cache::new());
        let keeper = Keeper::new(key_store, kek, Arc::clone(&clock), Arc::clone(&cache), retention.clone());
        let (jobs, queue) = channel();
        let thread =
            std::thread::Builder::new().name("factum-vault".to_owned()).spawn(move || keeper.run(&queue));
        let thread = thread.map_err(|error| VaultError::Invalid {
            why: format!("the system starts no thread for the vault: {error}"),
        })?;
        match Self::admit(&jobs, store, log, &tenant, known, &restored).await {
            Ok((identity, roots, opened)) => {
                let vault = identity.vault;
                let (jobs, thread, log) = (Some(jobs), Some(thread), log.0);
                let openers = Openers::new();
                let inner = Inner {
                    jobs,
                    thread,
                    cache,
                    clock,
                    roots,
                    vault,
                    log,
                    tenant,
                    retention,
                    rotation,
                    openers,
                };
                Ok((Self(Arc::new(inner)), opened))
            }
            Err(error) => {
                end(Some(jobs), Some(thread));
                Err(error)
            }
        }
    }

    async fn admit(
        jobs: &Sender<Job>,
        store: &(impl EventStore + ?Sized),
        (log, epoch): (StoreId, u32),
        tenant: &str,
        known: Ledger,
        restored: &OnRestore,
    ) -> Result<(Identity, Roots, Opened), VaultError> {
        let expected = known.vault.as_ref().map(|(vault, _)| *vault);
        let owned = tenant.to_owned();
        let (identity, roots) = ask(jobs, move |keeper| {
            if let (Some(expected), None) = (expected, keeper.store.identity()?) {
                return Err(VaultError::KeyStoreMissing { store: keeper.store.description(), expected });
            }
            keeper.identify(log, &owned)
        })
        .await?;
        let found = identity.vault;
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let store = ask(jobs, |keeper| Ok(keeper.store.description())).await?;
            return Err(VaultError::OtherVault { store, expected, found });
        }
        let created = expected.is_none();
        if created {
            let event = ledger::vault_opened(identity.vault, (log, epoch), tenant, &roots);
            ledger::append(store, ExpectedRevision::Any, event).await.map_err(VaultError::Append)?;
            // The first one counts: somebody may have opened another one at the same time.
            let again = Ledger::read(store).await?;
            if let Some((expected, _)) = again.vault.filter(|(vault, _)| *vault != found) {
                let store = ask(jobs, |keeper| Ok(keeper.store.description())).await?;
                return Err(VaultError::OtherVault { store, expected, found });
            }
        }
        let known = Restored { store, epoch, policy: restored, roots: &roots }.admitted(jobs, known).await?;
        let reapplied = ask(jobs, move |keeper| reconcile(keeper, &known.erasures)).await?;
        Ok((identity, roots, Opened { created, reapplied }))
    }

    /// Does something on the vault's thread.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Keeper) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        match &self.0.jobs {
            Some(jobs) => ask(jobs, job).await,
            None => Err(VaultError::Closed),
        }
    }

    /// The vault's own identity.
    pub fn id(&self) -> Uuid {
        self.0.vault
    }

    /// The log that it belongs to.
    pub fn log(&self) -> StoreId {
        self.0.log
    }

    /// Whose vault it is.
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// How long data is kept for which purpose.
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    pub(crate) fn rotation(&self) -> Rotation {
        self.0.rotation
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn roots(&self) -> &Roots {
        &self.0.roots
    }

    /// The key that verifies this vault's receipts: 32 bytes in hexadecimal. Not a secret.
    pub fn receipt_key(&self) -> String {
        hex(self.0.roots.verifying_key().as_bytes())
    }

    /// Whether this vault wrote the event into its log.
    pub(crate) fn has_signed(&self, event: &RecordedEvent) -> bool {
        let data = serde_json::from_slice(event.data_slice());
        data.is_ok_and(|data| ledger::is_genuine(event.event_type(), &data, &self.receipt_key()))
    }

    /// How the log and receipts name a subject.
    pub fn subject_ref(&self, subject: &Subject) -> SubjectRef {
        self.0.roots.subject_ref(subject)
    }

    /// Whose key seals what is kept of a subject, for a purpose or without one.
    pub fn owner(&self, subject: &Subject, purpose: Option<Purpose>) -> KeyOwner {
        KeyOwner { subject: self.subject_ref(subject), purpose }
    }

    /// A keyed hash of a value, to find it by equality in rows that can be deleted. Normalise the value first. It stays
    /// personal data: never put it into the log, a tag or a stream name.
    pub fn blind_index(&self, field: &str, value: &str) -> BlindIndex {
        self.0.roots.blind_index(field, value)
    }

    pub(crate) fn openers(&self) -> &Openers {
        &self.0.openers
    }

    pub(crate) fn downgrade(&self) -> WeakVault {
        WeakVault(Arc::downgrade(&self.0))
    }

    /// How often keys were forgotten.
    pub(crate) fn forgotten(&self) -> Forgotten {
        self.0.cache.forgotten()
    }

    /// Whether values that were opened earlier would be opened now, and without asking anybody.
    pub(crate) fn still_opens(&self, settled: Settled) -> bool {
        settled == Settled::Until(self.forgotten())
            && self.0.cache.freshness(self.0.clock.now()) == Freshness::Fresh
    }

    /// What is known under these ids, in order.
    pub(crate) async fn keys(&self, ids: &[KeyId]) -> Result<Vec<KeyState>, VaultError> {
        let now = self.0.clock.now();
        if self.0.cache.freshness(now) == Freshness::Fresh {
            let found = self.0.cache.find(ids, now);
            if found.iter().all(Option::is_some) {
                return Ok(found.into_iter().flatten().map(Ok).collect());
            }
        }
        let wanted = ids.to_vec();
        match self.ask(move |keeper| keeper.load(&wanted)).await {
            // What is in memory may be used until the lease is over, also while the vault does not answer.
            Err(error) if self.0.cache.freshness(now) == Freshness::Over => Err(error),
            Err(error) => {
                let found = self.0.cache.find(ids, now);
                if found.iter().all(Option::is_none) {
                    return Err(error);
                }
                Ok(found.into_iter().map(|known| known.ok_or(Unavailable::VaultDown)).collect())
            }
            Ok(states) => {
                let state = |id| states.get(id).cloned().unwrap_or(Err(Unavailable::VaultDown));
                Ok(ids.iter().map(state).collect())
            }
        }
    }

    /// The key that an owner seals with; made where there is none.
    pub(crate) async fn key_for(&self, owner: &KeyOwner) -> Result<DataKey, VaultError> {
        let now = self.0.clock.now();
        if self.0.cache.freshness(now) == Freshness::Fresh
            && let Some(key) = self.0.cache.latest(owner, now)
        {
            return Ok(key);
        }
        let owner = owner.clone();
        self.ask(move |keeper| keeper.key_for(&owner)).await
    }

    pub(crate) async fn keep_values(&self, values: Vec<OutsideValue>) -> Result<(), VaultError> {
        self.ask(move |keeper| Ok(keeper.store.keep_values(&values)?)).await
    }

    pub(crate) async fn values(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Vec<u8>>>, VaultError> {
        self.ask(move |keeper| Ok(keeper.store.values(&ids)?)).await
    }

    /// Every key that a subject has or had.
    ///
    /// # Errors
    /// Where the key store cannot be read.
    pub async fn keys_of(&self, subject: SubjectRef) -> Result<Vec<KeySummary>, VaultError> {
        self.ask(move |keeper| Ok(keeper.store.keys_of(subject)?)).await
    }

    /// What the key store holds, in numbers.
    ///
    /// # Errors
    /// Where the key store cannot be read.
    pub async fn holdings(&self) -> Result<Holdings, VaultError> {
        self.ask(|keeper| Ok(keeper.store.holdings()?)).await
    }

    /// What keeps the keys and what wraps them, for people.
    ///
    /// # Errors
    /// Where the vault is closed.
    pub async fn description(&self) -> Result<(String, String), VaultError> {
        self.ask(|keeper| Ok((keeper.store.description(), keeper.kek.description()))).await
    }

    /// The epochs of key-encryption keys that can still unwrap, the oldest first.
    ///
    /// # Errors
    /// Where the provider does not answer.
    pub async fn epochs(&self) -> Result<Vec<EpochInfo>, VaultError> {
        self.ask(|keeper| Ok(keeper.kek.epochs()?)).await
    }

    /// Lets another key-encryption key take over, wraps every live key anew and destroys the earlier ones: a copy of the key
    /// store made before is useless once no copy of the earlier keys is left. Interrupted, it is completed by the next call.
    /// `progress` is told how many keys are done.
    ///
    /// # Errors
    /// Where key store or provider fail: what was done stays done, and every key is still readable.
    pub async fn rotate(
        &self,
        store: &(impl EventStore + ?Sized),
        progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<Rotated, VaultError> {
        let rotated = self.ask(move |keeper| keeper.rotate(progress)).await?;
        let event = ledger::kek_rotated(rotated.epoch.0, rotated.keys, self.roots());
        ledger::append(store, ExpectedRevision::Any, event).await.map_err(VaultError::Append)?;
        Ok(rotated)
    }

    /// Rotates if the key-encryption key was made before `before`, or if an earlier rotation was interrupted. `None` where it
    /// was not due.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_if_older(
        &self,
        store: &(impl EventStore + ?Sized),
        before: Timestamp,
        progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<Option<Rotated>, VaultError> {
        let epochs = self.epochs().await?;
        let old = epochs.last().is_some_and(|newest| newest.created.is_none_or(|created| created < before));
        if !old && epochs.len() <= 1 {
            return Ok(None);
        }
        self.rotate(store, progress).await.map(Some)
    }

    /// Forgets every key in memory; they are asked for anew.
    ///
    /// # Errors
    /// Where the vault is closed.
    pub async fn forget_cached(&self) -> Result<(), VaultError> {
        self.ask(|keeper| {
            keeper.cache.clear();
            Ok(())
        })
        .await
    }
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault")
            .field("vault", &self.0.vault)
            .field("log", &self.0.log)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VaultOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultOptions").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

pub(crate) async fn ask<T: Send + 'static>(
    jobs: &Sender<Job>,
    job: impl FnOnce(&mut Keeper) -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let (answer, answered) = oneshot::channel();
    let job: Job = Box::new(move |keeper| {
        // Nobody waits any more where this fails; what was done stays done.
        let _ = answer.send(job(keeper));
    });
    jobs.send(job).map_err(|_| VaultError::Closed)?;
    answered.await.map_err(|_| VaultError::Closed)?
}
