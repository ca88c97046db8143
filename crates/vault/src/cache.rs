//! Which keys are in memory, and until when may they be used?

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use factum_core::Timestamp;

use crate::data_key::DataKey;
use crate::key_store::LedgerEntry;
use crate::subject::{ErasureId, KeyId, KeyOwner};

/// Most keys kept in memory.
pub const MAX_CACHED_KEYS: usize = 10_000;
/// How long a key stays in memory without being asked for anew.
pub const KEY_TTL: Duration = Duration::from_secs(60);
/// How long keys in memory may be used after the ledger was last read: the longest use after an erasure elsewhere.
pub const LEASE: Duration = Duration::from_secs(30);
/// How old the last look at the ledger may be before there is another one.
pub const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// What is known of a key.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// It opens.
    Key(DataKey),
    /// It was erased, and stays so.
    Erased { owner: Option<KeyOwner>, erasure: ErasureId },
}

/// Read by everybody who opens and seals, written by the keeper's thread alone.
#[derive(Debug)]
pub(crate) struct Cache {
    // A lock, since readers on many threads look up what one thread fills; it is held for a look-up and never across a call.
    keys: RwLock<Keys>,
    refresh_at: AtomicI64,
    usable_until: AtomicI64,
    forgotten: AtomicU64,
}

/// How often keys were forgotten since the vault was opened: where it is the same as before, what they opened then they would
/// open now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten(u64);

#[derive(Debug, Default)]
struct Keys {
    by_id: HashMap<KeyId, (Known, Timestamp)>,
    latest: HashMap<KeyOwner, (KeyId, Timestamp)>,
}

/// Whether keys in memory may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// They may be used, but the ledger should be looked at first.
    Due,
    /// They may not be used.
    Over,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            keys: RwLock::default(),
            refresh_at: AtomicI64::new(i64::MIN),
            usable_until: AtomicI64::new(i64::MIN),
            forgotten: AtomicU64::new(0),
        }
    }

    pub(crate) fn forgotten(&self) -> Forgotten {
        Forgotten(self.forgotten.load(Ordering::SeqCst))
    }

    pub(crate) fn freshness(&self, now: Timestamp) -> Freshness {
        if now.0 >= self.usable_until.load(Ordering::Acquire) {
            Freshness::Over
        } else if now.0 >= self.refresh_at.load(Ordering::Acquire) {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }

    pub(crate) fn refreshed(&self, at: Timestamp, usable_until: Timestamp) {
        self.usable_until.store(usable_until.0, Ordering::Release);
        self.refresh_at.store(at.saturating_add(REFRESH_EVERY).0, Ordering::Release);
    }

    /// The last look failed: the next one is not due at once, and nothing may be used for longer.
    pub(crate) fn not_refreshed(&self, at: Timestamp) {
        self.refresh_at.store(at.saturating_add(REFRESH_EVERY).0, Ordering::Release);
    }

    /// What is known under each id, in order; `None` where the keeper has to be asked.
    pub(crate) fn find(&self, ids: &[KeyId], now: Timestamp) -> Vec<Option<Known>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let find = |id| keys.by_id.get(id).filter(|(_, until)| *until > now).map(|(known, _)| known.clone());
        ids.iter().map(find).collect()
    }

    /// The key that this owner seals with.
    pub(crate) fn latest(&self, owner: &KeyOwner, now: Timestamp) -> Option<DataKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (id, _) = keys.latest.get(owner).filter(|(_, until)| *until > now)?;
        match keys.by_id.get(id) {
            Some((Known::Key(key), until)) if *until > now => Some(key.clone()),
            _ => None,
        }
    }

    pub(crate) fn keep(&self, id: KeyId, known: Known, now: Timestamp) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Rather a few look-ups again than a list of who was used last on the path of every event.
        if keys.by_id.len() >= MAX_CACHED_KEYS {
            keys.by_id.clear();
            keys.latest.clear();
        }
        let until = match known {
            Known::Key(_) => now.saturating_add(KEY_TTL),
            Known::Erased { .. } => Timestamp::MAX,
        };
        keys.by_id.insert(id, (known, until));
    }

    pub(crate) fn keep_latest(&self, key: &DataKey, now: Timestamp) {
        self.keep(key.id(), Known::Key(key.clone()), now);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.latest.insert(key.owner().clone(), (key.id(), now.saturating_add(KEY_TTL)));
    }

    /// Forgets the keys that an erasure covers.
    pub(crate) fn evict(&self, entry: &LedgerEntry) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for id in &entry.keys {
            // The key store knows whose it was and by which erasure; it is asked once.
            keys.by_id.remove(id);
        }
        keys.latest.retain(|owner, _| owner.subject != entry.fence.subject);
        // After they went: who reads the number before looks them up in vain, or sees it change.
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets everything, and lets nothing be used until the ledger was read.
    pub(crate) fn clear(&self) {
        self.usable_until.store(i64::MIN, Ordering::Release);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Keys::default();
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::{Extent, Fence, Watermark};
    use crate::subject::SubjectRef;

    const NOW: Timestamp = Timestamp(1_000);

    fn key(id: u8) -> DataKey {
        DataKey::new(KeyId([id; 16]), KeyOwner::of(SubjectRef([id; 16])), &[9; 32])
    }

    #[test]
    fn a_key_is_used_until_its_time_is_over() {
        let cache = Cache::new();
        cache.keep_latest(&key(1), NOW);
        let known = |now| cache.find(&[KeyId([1; 16]), KeyId([2; 16])], now);
        assert!(matches!(&known(NOW)[..], [Some(Known::Key(_)), None]));
        let later = NOW.saturating_add(KEY_TTL);
        assert!(known(later)[0].is_none());
        assert!(cache.latest(key(1).owner(), NOW).is_some());
        assert!(cache.latest(key(1).owner(), later).is_none());
    }

    #[test]
    fn an_erased_key_is_forgotten() {
        let cache = Cache::new();
        cache.keep_latest(&key(1), NOW);
        let fence = Fence {
            erasure: ErasureId::generate(),
            subject: SubjectRef([1; 16]),
            purpose: None,
            extent: Extent::Everything,
            at: NOW,
        };
        let keys = vec![KeyId([1; 16])];
        let before = cache.forgotten();
        cache.evict(&LedgerEntry { number: Watermark(1), fence, keys, destroyed: false, lifted: false });
        assert_ne!(cache.forgotten(), before);
        assert!(cache.latest(key(1).owner(), NOW).is_none());
        assert!(cache.find(&[KeyId([1; 16])], NOW)[0].is_none());
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let cache = Cache::new();
        for n in 0..MAX_CACHED_KEYS as u64 + 10 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.to_le_bytes());
            let known = Known::Erased { owner: None, erasure: ErasureId::generate() };
            cache.keep(KeyId(id), known, NOW);
        }
        assert!(cache.keys.read().unwrap().by_id.len() <= MAX_CACHED_KEYS);
    }

    #[test]
    fn nothing_is_usable_before_the_ledger_was_read_or_after_the_lease() {
        let cache = Cache::new();
        assert_eq!(cache.freshness(NOW), Freshness::Over);
        cache.refreshed(NOW, NOW.saturating_add(LEASE));
        assert_eq!(cache.freshness(NOW), Freshness::Fresh);
        assert_eq!(cache.freshness(NOW.saturating_add(REFRESH_EVERY)), Freshness::Due);
        assert_eq!(cache.freshness(NOW.saturating_add(LEASE)), Freshness::Over);
        cache.refreshed(NOW, NOW.saturating_add(LEASE));
        cache.clear();
        assert_eq!(cache.freshness(NOW), Freshness::Over);
    }
}
