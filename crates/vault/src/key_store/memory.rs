//! A key store in memory: the model that every other one is compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::Timestamp;
use uuid::Uuid;

use super::{
    Created, Extent, Fence, Found, Holdings, Identity, KeyStore, KeyStoreError, KeySummary, Latest, Lease,
    LedgerEntry, MAX_KEY_BATCH, OutsideValue, Rewrapped, StoredKey, Watermark,
};
use crate::kek::{KekEpoch, Wrapped};
use crate::subject::{ErasureId, KeyId, KeyOwner, Purpose, SubjectRef};

/// Keeps keys until the last clone is dropped. Clones share them, as processes share a database.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeyStore(Arc<Mutex<Tables>>);

#[derive(Clone, Debug, Default)]
struct Tables {
    identity: Option<Identity>,
    keys: BTreeMap<KeyId, Row>,
    ledger: Vec<Line>,
    values: HashMap<Uuid, (KeyId, Vec<u8>)>,
    leases: HashMap<Uuid, Lease>,
}

#[derive(Clone, Debug)]
struct Row {
    key: StoredKey,
    /// The fence behind which it is.
    erased: Option<ErasureId>,
    destroyed: bool,
}

impl Row {
    fn summary(&self) -> KeySummary {
        KeySummary {
            id: self.key.id,
            owner: self.key.owner.clone(),
            generation: self.key.generation,
            created: self.key.created,
            erased: self.erased,
            destroyed: self.destroyed,
        }
    }
}

#[derive(Clone, Debug)]
struct Line {
    fence: Fence,
    lifted: bool,
}

const NAME: &str = "the key store in memory";

impl MemoryKeyStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it holds now, in a store of its own: what a backup keeps.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.tables().clone())))
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change is made whole before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn standing_before(&self, owner: &KeyOwner) -> Option<ErasureId> {
        let standing = self.ledger.iter().find(|line| !line.lifted && line.fence.stands_before(owner));
        standing.map(|line| line.fence.erasure)
    }

    fn of<'a>(&'a self, owner: &'a KeyOwner) -> impl Iterator<Item = &'a Row> {
        self.keys.values().filter(move |row| row.key.owner == *owner)
    }

    fn latest(&self, owner: &KeyOwner) -> Latest {
        if let Some(erasure) = self.standing_before(owner) {
            return Latest::Fenced(erasure);
        }
        let live = self.of(owner).filter(|row| row.erased.is_none()).max_by_key(|row| row.key.generation);
        let generation = self.next_generation(owner);
        live.map_or(Latest::None { generation }, |row| Latest::Live(row.key.clone()))
    }

    /// Beyond every key that there was, and beyond every generation that a fence covers: it would cover the new one too.
    fn next_generation(&self, owner: &KeyOwner) -> u32 {
        let floors = self.ledger.iter().filter_map(|Line { fence, .. }| match fence.extent {
            Extent::UpTo(last) if fence.covers(owner, last) => Some(last),
            _ => None,
        });
        self.of(owner).map(|row| row.key.generation).chain(floors).max().unwrap_or(0).saturating_add(1)
    }

    fn entry(&self, index: usize) -> LedgerEntry {
        let Line { fence, lifted } = &self.ledger[index];
        let covered = || self.keys.values().filter(|row| row.erased == Some(fence.erasure));
        LedgerEntry {
            number: Watermark(index as u64 + 1),
            fence: fence.clone(),
            keys: covered().map(|row| row.key.id).collect(),
            destroyed: covered().all(|row| row.destroyed),
            lifted: *lifted,
        }
    }

    fn line_of(&self, erasure: ErasureId) -> Result<usize, KeyStoreError> {
        let line = self.ledger.iter().position(|line| line.fence.erasure == erasure);
        line.ok_or_else(|| KeyStoreError::NoSuchErasure { store: NAME.to_owned(), erasure })
    }
}

impl KeyStore for MemoryKeyStore {
    fn description(&self) -> String {
        NAME.to_owned()
    }

    fn identity(&mut self) -> Result<Option<Identity>, KeyStoreError> {
        Ok(self.tables().identity.clone())
    }

    fn initialise(&mut self, identity: &Identity) -> Result<Identity, KeyStoreError> {
        Ok(self.tables().identity.get_or_insert_with(|| identity.clone()).clone())
    }

    fn rewrap_roots(&mut self, from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> Result<bool, KeyStoreError> {
        let mut tables = self.tables();
        let identity = tables.identity.as_mut().filter(|identity| identity.epoch == from);
        Ok(identity.map(|identity| (identity.roots, identity.epoch) = (roots.clone(), to)).is_some())
    }

    fn latest(&mut self, owner: &KeyOwner) -> Result<Latest, KeyStoreError> {
        Ok(self.tables().latest(owner))
    }

    fn create(&mut self, key: &StoredKey, succeeds: Option<KeyId>) -> Result<Created, KeyStoreError> {
        let mut tables = self.tables();
        let live = match tables.latest(&key.owner) {
            Latest::Fenced(erasure) => return Ok(Created::Fenced(erasure)),
            Latest::Live(live) => Some(live),
            Latest::None { .. } => None,
        };
        if live.as_ref().map(|live| live.id) != succeeds {
            return Ok(live.map_or(Created::Stale, Created::Exists));
        }
        // The last number goes to no key: after a fence up to it there would be no next one.
        let is_next = key.generation == tables.next_generation(&key.owner) && key.generation < u32::MAX;
        if !is_next || tables.keys.contains_key(&key.id) {
            return Ok(Created::Stale);
        }
        tables.keys.insert(key.id, Row { key: key.clone(), erased: None, destroyed: false });
        Ok(Created::New)
    }

    fn find(&mut self, ids: &[KeyId]) -> Result<Vec<Found>, KeyStoreError> {
        let tables = self.tables();
        let find = |id| match tables.keys.get(id) {
            None => Found::Unknown,
            Some(Row { key, erased: Some(erasure), .. }) => {
                Found::Erased { owner: key.owner.clone(), erasure: *erasure }
            }
            Some(Row { key, .. }) => Found::Live(key.clone()),
        };
        Ok(ids.iter().map(find).collect())
    }

    fn keys_of(&mut self, subject: SubjectRef) -> Result<Vec<KeySummary>, KeyStoreError> {
        let tables = self.tables();
        let of_subject = tables.keys.values().filter(|row| row.key.owner.subject == subject);
        let mut keys: Vec<KeySummary> = of_subject.map(Row::summary).collect();
        keys.sort_by(|a, b| (&a.owner, a.generation).cmp(&(&b.owner, b.generation)));
        Ok(keys)
    }

    fn made_before(
        &mut self,
        purpose: &Purpose,
        before: Timestamp,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeySummary>, KeyStoreError> {
        let tables = self.tables();
        let later = tables.keys.values().filter(|row| after.is_none_or(|after| row.key.id > after));
        let due = later.filter(|Row { key, erased, .. }| {
            erased.is_none() && key.owner.purpose.as_ref() == Some(purpose) && key.created < before
        });
        Ok(due.take(limit.min(MAX_KEY_BATCH)).map(Row::summary).collect())
    }

    fn holdings(&mut self) -> Result<Holdings, KeyStoreError> {
        let tables = self.tables();
        let count = |wanted: fn(&Row) -> bool| tables.keys.values().filter(|row| wanted(row)).count() as u64;
        let live = tables.keys.values().filter(|row| row.erased.is_none());
        let subjects: BTreeSet<SubjectRef> = live.map(|row| row.key.owner.subject).collect();
        Ok(Holdings {
            subjects: subjects.len() as u64,
            live: count(|row| row.erased.is_none()),
            fenced: count(|row| row.erased.is_some() && !row.destroyed),
            destroyed: count(|row| row.destroyed),
            values: tables.values.len() as u64,
        })
    }

    fn fence(&mut self, fence: &Fence) -> Result<LedgerEntry, KeyStoreError> {
        let mut tables = self.tables();
        if let Ok(index) = tables.line_of(fence.erasure) {
            return Ok(tables.entry(index));
        }
        tables.ledger.push(Line { fence: fence.clone(), lifted: false });
        for row in tables
            .keys
            .values_mut()
            .filter(|row| row.erased.is_none() && fence.covers(&row.key.owner, row.key.generation))
        {
            row.erased = Some(fence.erasure);
        }
        Ok(tables.entry(tables.ledger.len() - 1))
    }

    fn destroy(&mut self, erasure: ErasureId) -> Result<Vec<KeyId>, KeyStoreError> {
        let mut tables = self.tables();
        let index = tables.line_of(erasure)?;
        for row in tables.keys.values_mut().filter(|row| row.erased == Some(erasure)) {
            row.key.wrapped.0.clear();
            row.destroyed = true;
        }
        let keys = tables.entry(index).keys;
        tables.values.retain(|_, (key, _)| !keys.contains(key));
        Ok(keys)
    }

    fn lift(&mut self, erasure: ErasureId) -> Result<bool, KeyStoreError> {
        let mut tables = self.tables();
        let index = tables.line_of(erasure)?;
        Ok(!std::mem::replace(&mut tables.ledger[index].lifted, true))
    }

    fn watermark(&mut self) -> Result<Watermark, KeyStoreError> {
        Ok(Watermark(self.tables().ledger.len() as u64))
    }

    fn ledger(&mut self, after: Watermark, limit: usize) -> Result<Vec<LedgerEntry>, KeyStoreError> {
        let tables = self.tables();
        let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok((0..tables.ledger.len()).skip(skip).take(limit).map(|index| tables.entry(index)).collect())
    }

    fn renew(&mut self, lease: &Lease) -> Result<(), KeyStoreError> {
        self.tables().leases.insert(lease.node, lease.clone());
        Ok(())
    }

    fn end_lease(&mut self, node: Uuid) -> Result<(), KeyStoreError> {
        self.tables().leases.remove(&node);
        Ok(())
    }

    fn leases(&mut self, now: Timestamp) -> Result<Vec<Lease>, KeyStoreError> {
        let mut tables = self.tables();
        tables.leases.retain(|_, lease| lease.until > now);
        Ok(tables.leases.values().cloned().collect())
    }

    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<StoredKey>, KeyStoreError> {
        let tables = self.tables();
        let later = tables.keys.values().filter(|row| after.is_none_or(|after| row.key.id > after));
        let due = later.filter(|row| row.key.epoch != epoch && !row.destroyed);
        Ok(due.take(limit.min(MAX_KEY_BATCH)).map(|row| row.key.clone()).collect())
    }

    fn rewrap(&mut self, keys: &[Rewrapped]) -> Result<u64, KeyStoreError> {
        let mut tables = self.tables();
        let mut changed = 0;
        for Rewrapped { id, from, to, wrapped } in keys {
            if let Some(row) = tables.keys.get_mut(id).filter(|row| row.key.epoch == *from && !row.destroyed)
            {
                (row.key.wrapped, row.key.epoch) = (wrapped.clone(), *to);
                changed += 1;
            }
        }
        Ok(changed)
    }

    fn keep_values(&mut self, values: &[OutsideValue]) -> Result<(), KeyStoreError> {
        let mut tables = self.tables();
        for value in values {
            if tables.keys.get(&value.key).is_none_or(|row| row.erased.is_some()) {
                return Err(KeyStoreError::NotLive { store: NAME.to_owned(), key: value.key });
            }
        }
        for OutsideValue { id, key, sealed } in values {
            tables.values.entry(*id).or_insert_with(|| (*key, sealed.clone()));
        }
        Ok(())
    }

    fn values(&mut self, ids: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, KeyStoreError> {
        let tables = self.tables();
        Ok(ids.iter().map(|id| tables.values.get(id).map(|(_, sealed)| sealed.clone())).collect())
    }
}
