//! Who calls the key store and the key provider? One thread, which owns both, and writes what is kept in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use factum_core::{Clock, StoreId, Timestamp};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cache::{Cache, Freshness, Known, LEASE};
use crate::data_key::{DATA_KEY_BYTES, DataKey, random};
use crate::error::VaultError;
use crate::kek::{KekEpoch, KekError, KekProvider, MAX_WRAP_BATCH, ToUnwrap, ToWrap};
use crate::key_store::{
    Created, Found, Identity, KeyStore, Latest, Lease, MAX_KEY_BATCH, StoredKey, Watermark,
};
use crate::marker::Unavailable;
use crate::retention::Retention;
use crate::roots::{self, Roots};
use crate::subject::{KeyId, KeyOwner};

/// How long the thread keeps keys in memory while nobody asks for any.
const IDLE: Duration = Duration::from_secs(5);
/// How often a key is made for an owner for whom others make keys too.
const MAX_ATTEMPTS: u32 = 8;

/// Something to do on the thread.
pub(crate) type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// What there is under a key id: a key, an erasure, or why neither is known.
pub(crate) type KeyState = Result<Known, Unavailable>;

/// Owns the key store and the key provider.
pub(crate) struct Keeper {
    pub(crate) store: Box<dyn KeyStore>,
    pub(crate) kek: Box<dyn KekProvider>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cache: Arc<Cache>,
    retention: Retention,
    vault: Uuid,
    node: Uuid,
    seen: Watermark,
    /// Until when the key store knows of this process.
    lease: Option<Timestamp>,
}

impl Keeper {
    pub(crate) fn new(
        store: Box<dyn KeyStore>,
        kek: Box<dyn KekProvider>,
        clock: Arc<dyn Clock>,
        cache: Arc<Cache>,
        retention: Retention,
    ) -> Self {
        let (vault, node) = (Uuid::nil(), Uuid::new_v4());
        Self { store, kek, clock, cache, retention, vault, node, seen: Watermark::default(), lease: None }
    }

    /// Does what it is asked until nobody can ask any more.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => self.rest(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.rest();
    }

    /// Holds no keys, so that nobody who erases has to wait for this process.
    fn rest(&mut self) {
        if self.lease.take().is_some() {
            self.cache.clear();
            // Where it cannot be said, the lease ends by itself.
            let _ = self.store.end_lease(self.node);
        }
    }

    /// Whose key store this is, and its root secrets. A new one becomes this log's.
    pub(crate) fn identify(&mut self, log: StoreId, tenant: &str) -> Result<(Identity, Roots), VaultError> {
        let identity = match self.store.identity()? {
            Some(identity) => identity,
            None => self.initialise(log, tenant)?,
        };
        let store = || self.store.description();
        if identity.log != log {
            return Err(VaultError::OtherLog { store: store(), expected: log, found: identity.log });
        }
        if identity.tenant != tenant {
            let (expected, found) = (tenant.to_owned(), identity.tenant);
            return Err(VaultError::OtherTenant { store: store(), expected, found });
        }
        let label = roots::label(identity.vault, log, tenant);
        let wrapped = ToUnwrap { epoch: identity.epoch, wrapped: &identity.roots, label: &label };
        let secret = self.kek.unwrap_keys(&[wrapped])?;
        let damaged =
            VaultError::Damaged { store: self.store.description(), what: "its roots have another size" };
        let roots = secret.first().and_then(|secret| Roots::from_secret(tenant, secret)).ok_or(damaged)?;
        self.vault = identity.vault;
        // Nothing is in memory yet, so nothing of what was erased before can be.
        self.seen = self.store.watermark()?;
        Ok((identity, roots))
    }

    fn initialise(&mut self, log: StoreId, tenant: &str) -> Result<Identity, VaultError> {
        let vault = Uuid::new_v4();
        let secret = Roots::fresh()?;
        let epoch = self.newest_epoch()?;
        let label = roots::label(vault, log, tenant);
        let mut wrapped = self.kek.wrap(epoch, &[ToWrap { secret: &*secret, label: &label }])?;
        let roots = wrapped.pop().ok_or_else(|| no_answer(&*self.kek))?;
        let identity = Identity { vault, log, tenant: tenant.to_owned(), roots, epoch };
        Ok(self.store.initialise(&identity)?)
    }

    pub(crate) fn newest_epoch(&mut self) -> Result<KekEpoch, VaultError> {
        let epochs = self.kek.epochs()?;
        epochs.last().map(|info| info.epoch).ok_or_else(|| no_answer(&*self.kek))
    }

    /// Reads what was erased since, forgets it, and tells the key store until when keys may be in memory here.
    pub(crate) fn refresh(&mut self) -> Result<(), VaultError> {
        let at = self.clock.now();
        if self.cache.freshness(at) == Freshness::Fresh {
            return Ok(());
        }
        self.look(at).inspect_err(|_| self.cache.not_refreshed(at))
    }

    fn look(&mut self, at: Timestamp) -> Result<(), VaultError> {
        let before = self.seen;
        loop {
            let page = self.store.ledger(self.seen, MAX_KEY_BATCH)?;
            for entry in &page {
                self.cache.evict(entry);
                self.seen = entry.number;
            }
            if page.len() < MAX_KEY_BATCH {
                break;
            }
        }
        let half_over = |until: Timestamp| until.saturating_sub(LEASE / 2) <= at;
        let until = match self.lease {
            Some(until) if self.seen == before && !half_over(until) => until,
            _ => {
                let until = at.saturating_add(LEASE);
                self.store.renew(&Lease { node: self.node, seen: self.seen, until })?;
                until
            }
        };
        self.lease = Some(until);
        self.cache.refreshed(at, until);
        Ok(())
    }

    /// The processes other than this one that may hold keys and have not read the ledger up to `number`.
    pub(crate) fn behind(&mut self, number: Watermark) -> Result<Vec<Lease>, VaultError> {
        let now = self.clock.now();
        let mut leases = self.store.leases(now)?;
        leases.retain(|lease| lease.node != self.node && lease.seen < number);
        Ok(leases)
    }

    /// What there is under these ids, from memory where it is there.
    pub(crate) fn load(&mut self, ids: &[KeyId]) -> Result<HashMap<KeyId, KeyState>, VaultError> {
        self.refresh()?;
        let now = self.clock.now();
        let mut states: HashMap<KeyId, KeyState> = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for (id, known) in ids.iter().zip(self.cache.find(ids, now)) {
            match known {
                Some(known) => drop(states.insert(*id, Ok(known))),
                None => missing.push(*id),
            }
        }
        for ids in missing.chunks(MAX_KEY_BATCH) {
            let mut live = Vec::new();
            for (id, found) in ids.iter().zip(self.store.find(ids)?) {
                match found {
                    Found::Live(key) => live.push(key),
                    Found::Erased { owner, erasure } => {
                        let known = Known::Erased { owner: Some(owner), erasure };
                        self.cache.keep(*id, known.clone(), now);
                        states.insert(*id, Ok(known));
                    }
                    Found::Unknown => drop(states.insert(*id, Err(Unavailable::UnknownKey))),
                }
            }
            for keys in live.chunks(MAX_WRAP_BATCH) {
                for (stored, secret) in keys.iter().zip(self.secrets(keys)?) {
                    let state = secret.map(|secret| Known::Key(data_key(stored, &secret)));
                    if let Ok(known) = &state {
                        self.cache.keep(stored.id, known.clone(), now);
                    }
                    states.insert(stored.id, state);
                }
            }
        }
        Ok(states)
    }

    /// The secrets of these keys, in order. An answer for all is all or nothing; where one key is not this provider's, each is
    /// asked for by itself, so that it does not hide the others.
    pub(crate) fn secrets(
        &mut self,
        keys: &[StoredKey],
    ) -> Result<Vec<Result<Secret, Unavailable>>, VaultError> {
        match self.secrets_of_all(keys) {
            Ok(secrets) => Ok(secrets.into_iter().map(Ok).collect()),
            Err(error) if !is_wrong_key(&error) => Err(error),
            Err(_) => keys
                .iter()
                .map(|key| match self.secrets_of_all(std::slice::from_ref(key)) {
                    Ok(mut secrets) => secrets.pop().map(Ok).ok_or_else(|| no_answer(&*self.kek)),
                    Err(error) if is_wrong_key(&error) => Ok(Err(Unavailable::WrongKey)),
                    Err(error) => Err(error),
                })
                .collect(),
        }
    }

    fn secrets_of_all(&mut self, keys: &[StoredKey]) -> Result<Vec<Secret>, VaultError> {
        let labels: Vec<Vec<u8>> = keys.iter().map(|key| self.label(key.id, &key.owner)).collect();
        let wrapped: Vec<ToUnwrap<'_>> = keys
            .iter()
            .zip(&labels)
            .map(|(key, label)| ToUnwrap { epoch: key.epoch, wrapped: &key.wrapped, label })
            .collect();
        let secrets = self.kek.unwrap_keys(&wrapped)?;
        if secrets.len() != keys.len() {
            return Err(no_answer(&*self.kek));
        }
        if secrets.iter().any(|secret| secret.len() != DATA_KEY_BYTES) {
            let store = self.store.description();
            return Err(VaultError::Damaged { store, what: "a key has another size" });
        }
        Ok(secrets)
    }

    /// What a wrapped data key is bound to: under another id or owner it does not unwrap.
    pub(crate) fn label(&self, id: KeyId, owner: &KeyOwner) -> Vec<u8> {
        format!("factum/key/v1|{}|{id}|{owner}", self.vault).into_bytes()
    }

    /// What the vault's roots are bound to.
    pub(crate) fn roots_label(&self, identity: &Identity) -> Vec<u8> {
        roots::label(identity.vault, identity.log, &identity.tenant)
    }

    /// The key that this owner seals with; made where there is none, or where the one that is there is too old.
    pub(crate) fn key_for(&mut self, owner: &KeyOwner) -> Result<DataKey, VaultError> {
        self.refresh()?;
        let now = self.clock.now();
        if let Some(key) = self.cache.latest(owner, now) {
            return Ok(key);
        }
        for _ in 0..MAX_ATTEMPTS {
            let (generation, succeeds) = match self.store.latest(owner)? {
                Latest::Fenced(erasure) => {
                    return Err(VaultError::SubjectErased { owner: owner.clone(), erasure });
                }
                Latest::Live(live) if self.retention.is_due(owner, live.created, now) => {
                    (live.generation + 1, Some(live.id))
                }
                Latest::Live(live) => return self.use_latest(&live, now),
                Latest::None { generation } => (generation, None),
            };
            if let Some(key) = self.make(owner, generation, succeeds)? {
                return Ok(key);
            }
        }
        Err(VaultError::Contended { owner: owner.clone(), attempts: MAX_ATTEMPTS })
    }

    /// Makes the keys of those owners who have none yet, many at a time: an import has thousands of new subjects. Whatever
    /// stands in an owner's way is found by [`key_for`](Self::key_for).
    pub(crate) fn prepare(&mut self, owners: &[KeyOwner]) -> Result<(), VaultError> {
        self.refresh()?;
        let now = self.clock.now();
        let mut new = Vec::new();
        for owner in owners.iter().filter(|owner| self.cache.latest(owner, now).is_none()) {
            if let Latest::None { generation } = self.store.latest(owner)? {
                new.push((owner, generation));
            }
        }
        for new in new.chunks(MAX_WRAP_BATCH) {
            self.make_many(new)?;
        }
        Ok(())
    }

    fn make_many(&mut self, new: &[(&KeyOwner, u32)]) -> Result<(), VaultError> {
        let mut secrets = Vec::with_capacity(new.len());
        for _ in new {
            secrets.push((KeyId(*random::<16>()?), random::<DATA_KEY_BYTES>()?));
        }
        let labels: Vec<Vec<u8>> =
            secrets.iter().zip(new).map(|((id, _), (owner, _))| self.label(*id, owner)).collect();
        let to_wrap: Vec<ToWrap<'_>> = secrets
            .iter()
            .zip(&labels)
            .map(|((_, secret), label)| ToWrap { secret: &**secret, label })
            .collect();
        let epoch = self.newest_epoch()?;
        let wrapped = self.kek.wrap(epoch, &to_wrap)?;
        if wrapped.len() != new.len() {
            return Err(no_answer(&*self.kek));
        }
        let created = self.clock.now();
        let stored: Vec<StoredKey> = new
            .iter()
            .zip(&secrets)
            .zip(wrapped)
            .map(|(((owner, generation), (id, _)), wrapped)| StoredKey {
                id: *id,
                owner: (*owner).clone(),
                generation: *generation,
                wrapped,
                epoch,
                created,
            })
            .collect();
        let answers = self.store.create_many(&stored)?;
        let kept: Vec<(StoredKey, Secret)> = stored
            .into_iter()
            .zip(&secrets)
            .zip(answers)
            .filter(|(_, answer)| *answer == Created::New)
            .map(|((stored, (_, secret)), _)| (stored, Zeroizing::new(secret.to_vec())))
            .collect();
        // As where one is made: a rotation may have gone by.
        let newest = self.newest_epoch()?;
        if newest != epoch {
            self.wrap_anew(&kept, newest)?;
        }
        for (stored, secret) in &kept {
            self.cache.keep_latest(&data_key(stored, secret), created);
        }
        Ok(())
    }

    fn use_latest(&mut self, stored: &StoredKey, now: Timestamp) -> Result<DataKey, VaultError> {
        let secrets = self.secrets_of_all(std::slice::from_ref(stored))?;
        let secret = secrets.first().ok_or_else(|| no_answer(&*self.kek))?;
        let key = data_key(stored, secret);
        self.cache.keep_latest(&key, now);
        Ok(key)
    }

    /// `None` where somebody else was faster, and the latest has to be asked for again.
    pub(crate) fn make(
        &mut self,
        owner: &KeyOwner,
        generation: u32,
        succeeds: Option<KeyId>,
    ) -> Result<Option<DataKey>, VaultError> {
        let (id, secret) = (KeyId(*random::<16>()?), random::<DATA_KEY_BYTES>()?);
        let epoch = self.newest_epoch()?;
        let label = self.label(id, owner);
        let mut wrapped = self.kek.wrap(epoch, &[ToWrap { secret: &*secret, label: &label }])?;
        let wrapped = wrapped.pop().ok_or_else(|| no_answer(&*self.kek))?;
        let created = self.clock.now();
        let stored = StoredKey { id, owner: owner.clone(), generation, wrapped, epoch, created };
        match self.store.create(&stored, succeeds)? {
            Created::New => {}
            Created::Fenced(erasure) => {
                return Err(VaultError::SubjectErased { owner: owner.clone(), erasure });
            }
            Created::Exists(_) | Created::Stale => return Ok(None),
        }
        // A rotation may have gone by between wrapping and keeping: its last sweep did not see this key.
        let newest = self.newest_epoch()?;
        if newest != epoch {
            self.wrap_anew(&[(stored, Zeroizing::new(secret.to_vec()))], newest)?;
        }
        let key = DataKey::new(id, owner.clone(), &secret);
        self.cache.keep_latest(&key, created);
        Ok(Some(key))
    }
}

/// A data key's bytes.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// Of a secret whose size was checked.
fn data_key(stored: &StoredKey, secret: &Secret) -> DataKey {
    let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
    key.copy_from_slice(secret);
    DataKey::new(stored.id, stored.owner.clone(), &key)
}

pub(crate) fn no_answer(kek: &dyn KekProvider) -> VaultError {
    let why = "it gave fewer answers than it was asked for".to_owned();
    VaultError::Kek(KekError::Unreachable { provider: kek.description(), why })
}

/// Whether the provider is there, and the key is not its own.
fn is_wrong_key(error: &VaultError) -> bool {
    matches!(error, VaultError::Kek(KekError::NotOurs { .. } | KekError::NoEpoch { .. }))
}
