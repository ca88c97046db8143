//! A key store in memory: the model that every other one is compared with.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::{
    Created, Fence, Found, Identity, KeyStore, KeyStoreError, KeySummary, Latest, LedgerEntry, OutsideValue,
    Rewrapped, StoredKey, Watermark,
};
use crate::kek::{KekEpoch, Wrapped};
use crate::subject::{ErasureId, KeyId, KeyOwner, SubjectRef};

/// Keeps keys until the last clone is dropped. Clones share them, as processes share a database.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeyStore(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    identity: Option<Identity>,
    keys: BTreeMap<KeyId, Row>,
    ledger: Vec<Line>,
    values: HashMap<Uuid, (KeyId, Vec<u8>)>,
}

#[derive(Debug)]
struct Row {
    key: StoredKey,
    /// The fence behind which it is.
    erased: Option<ErasureId>,
    destroyed: bool,
}

#[derive(Debug)]
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

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change is made whole before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn standing_before(&self, owner: &KeyOwner) -> Option<ErasureId> {
        let standing = self.ledger.iter().find(|line| !line.lifted && line.fence.covers(owner));
        standing.map(|line| line.fence.erasure)
    }

    fn of<'a>(&'a self, owner: &'a KeyOwner) -> impl Iterator<Item = &'a Row> {
        self.keys.values().filter(move |row| row.key.owner == *owner)
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
        let tables = self.tables();
        if let Some(erasure) = tables.standing_before(owner) {
            return Ok(Latest::Fenced(erasure));
        }
        let live = tables.of(owner).filter(|row| row.erased.is_none()).max_by_key(|row| row.key.generation);
        let generations = tables.of(owner).map(|row| row.key.generation).max();
        Ok(live.map_or(Latest::None { generation: generations.unwrap_or(0) + 1 }, |row| {
            Latest::Live(row.key.clone())
        }))
    }

    fn create(&mut self, key: &StoredKey) -> Result<Created, KeyStoreError> {
        let latest = self.latest(&key.owner)?;
        let mut tables = self.tables();
        Ok(match latest {
            Latest::Fenced(erasure) => Created::Fenced(erasure),
            Latest::Live(existing) => Created::Exists(existing),
            Latest::None { generation }
                if generation != key.generation || tables.keys.contains_key(&key.id) =>
            {
                Created::Stale
            }
            Latest::None { .. } => {
                tables.keys.insert(key.id, Row { key: key.clone(), erased: None, destroyed: false });
                Created::New
            }
        })
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
        let mut keys: Vec<KeySummary> = of_subject
            .map(|Row { key, erased, destroyed }| KeySummary {
                id: key.id,
                owner: key.owner.clone(),
                generation: key.generation,
                created: key.created,
                erased: *erased,
                destroyed: *destroyed,
            })
            .collect();
        keys.sort_by(|a, b| (&a.owner, a.generation).cmp(&(&b.owner, b.generation)));
        Ok(keys)
    }

    fn fence(&mut self, fence: &Fence) -> Result<LedgerEntry, KeyStoreError> {
        let mut tables = self.tables();
        if let Ok(index) = tables.line_of(fence.erasure) {
            return Ok(tables.entry(index));
        }
        tables.ledger.push(Line { fence: fence.clone(), lifted: false });
        for row in tables.keys.values_mut().filter(|row| row.erased.is_none() && fence.covers(&row.key.owner))
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

    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<StoredKey>, KeyStoreError> {
        let tables = self.tables();
        let later = tables.keys.values().filter(|row| after.is_none_or(|after| row.key.id > after));
        let due = later.filter(|row| row.key.epoch != epoch && !row.destroyed);
        Ok(due.take(limit).map(|row| row.key.clone()).collect())
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
