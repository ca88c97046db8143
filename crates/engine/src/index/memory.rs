//! Where are the postings of the newest events, before they go into a run?
//!
//! A memtable is split into shards by hash, each behind a lock of its own: the writer takes each lock once per batch, a reader
//! takes one for as long as a binary search takes. Reads are bounded by a position, since the
//! writer inserts events before their commit is published.
//!
//! A key with one posting takes one slot of 16 bytes (17 to 39 with the table's slack), any other 4 to 8 bytes per posting on top.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::key::KeyHash;

/// Number of shards: 2^4, by the top bits of the hash, so that the shards in turn hold the keys in order.
const SHARD_BITS: u32 = 4;
/// Marks a slot whose one posting is all there is.
const NO_LIST: u32 = u32::MAX;

/// Postings of a range of positions, in memory. Positions are kept as distances from the first one.
#[derive(Debug)]
pub(super) struct Memtable {
    from: u64,
    shards: [RwLock<Shard>; 1 << SHARD_BITS],
}

#[derive(Debug, Default)]
struct Shard {
    slots: HashMap<u64, Slot, BuildHasherDefault<AlreadyHashed>>,
    lists: Vec<Vec<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    last: u32,
    list: u32,
}

/// Keys are hashes already. The shard's bits are the same for all of its keys: they are turned to where the table uses them least.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0.rotate_left(24)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Shard {
    fn insert(&mut self, key: KeyHash, posting: u32) {
        match self.slots.entry(key.0) {
            Entry::Vacant(slot) => {
                slot.insert(Slot { last: posting, list: NO_LIST });
            }
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                // An event that carries a tag twice has one posting.
                if slot.last == posting {
                    return;
                }
                match self.lists.get_mut(slot.list as usize) {
                    Some(list) => list.push(posting),
                    None => {
                        slot.list = self.lists.len() as u32;
                        self.lists.push(vec![slot.last, posting]);
                    }
                }
                slot.last = posting;
            }
        }
    }

    /// The postings of a slot.
    fn postings<'a>(&'a self, slot: &'a Slot) -> &'a [u32] {
        self.lists.get(slot.list as usize).map_or(std::slice::from_ref(&slot.last), Vec::as_slice)
    }
}

/// Keys and postings on their way into a memtable, sorted into shards. Kept by the writer between batches.
#[derive(Debug, Default)]
pub(super) struct Batch {
    shards: [Vec<(KeyHash, u32)>; 1 << SHARD_BITS],
}

impl Batch {
    pub(super) fn add(&mut self, key: KeyHash, posting: u32) {
        self.shards[shard_of(key)].push((key, posting));
    }
}

impl Memtable {
    /// An empty table for positions from `from` on.
    pub(super) fn new(from: u64) -> Self {
        Self { from, shards: Default::default() }
    }

    /// An empty table with room for as many keys as this one has: the next segment is most often like the last.
    pub(super) fn next(&self, from: u64) -> Self {
        let room = |shard: &RwLock<Shard>| {
            let keys = read(shard).slots.len();
            RwLock::new(Shard {
                slots: HashMap::with_capacity_and_hasher(keys, BuildHasherDefault::default()),
                lists: Vec::new(),
            })
        };
        Self { from, shards: std::array::from_fn(|number| room(&self.shards[number])) }
    }

    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// Inserts a batch and empties it. Postings are at least as high as all before.
    pub(super) fn insert(&self, batch: &mut Batch) {
        for (shard, keys) in self.shards.iter().zip(&mut batch.shards) {
            if !keys.is_empty() {
                let mut shard = write(shard);
                for (key, posting) in keys.drain(..) {
                    shard.insert(key, posting);
                }
            }
        }
    }

    /// Calls `with` with all postings of a key; not at all where it has none.
    pub(super) fn with<T>(&self, key: KeyHash, with: impl FnOnce(&[u32]) -> T) -> Option<T> {
        let shard = read(&self.shards[shard_of(key)]);
        shard.slots.get(&key.0).map(|slot| with(shard.postings(slot)))
    }

    /// How many of a key's postings are at or below `posting`.
    pub(super) fn rank(&self, key: KeyHash, posting: u32) -> usize {
        self.with(key, |postings| postings.partition_point(|at| *at <= posting)).unwrap_or(0)
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> u64 {
        self.shards.iter().map(|shard| read(shard).slots.len() as u64).sum()
    }

    /// Calls `each` with every key and its postings, by hash. For a table that takes no more postings.
    pub(super) fn try_for_each<E>(
        &self,
        mut each: impl FnMut(KeyHash, &[u32]) -> Result<(), E>,
    ) -> Result<(), E> {
        for shard in &self.shards {
            let shard = read(shard);
            let mut keys = shard.slots.iter().collect::<Vec<_>>();
            keys.sort_unstable_by_key(|(hash, _)| **hash);
            for (hash, slot) in keys {
                each(KeyHash(*hash), shard.postings(slot))?;
            }
        }
        Ok(())
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let of_shard = |shard: &RwLock<Shard>| {
            let shard = read(shard);
            let lists = shard.lists.iter().map(|list| list.capacity() * 4 + 16).sum::<usize>();
            shard.slots.capacity() * 17 * 8 / 7 + shard.lists.capacity() * size_of::<Vec<u32>>() + lists
        };
        self.shards.iter().map(of_shard).sum()
    }
}

fn shard_of(key: KeyHash) -> usize {
    (key.0 >> (64 - SHARD_BITS)) as usize
}

// A thread that panics holding a lock leaves at worst a posting too few behind, and only in a store that is going down.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_come_back_in_order_and_once() {
        let table = Memtable::new(100);
        let mut batch = Batch::default();
        let (once, often) = (KeyHash::tag("once"), KeyHash::tag("often"));
        batch.add(once, 3);
        for posting in [0, 3, 3, 9] {
            batch.add(often, posting);
        }
        table.insert(&mut batch);
        assert_eq!(table.with(once, <[u32]>::to_vec), Some(vec![3]));
        assert_eq!(table.with(often, <[u32]>::to_vec), Some(vec![0, 3, 9]));
        assert_eq!(table.with(KeyHash::tag("never"), <[u32]>::to_vec), None);
        assert_eq!(table.rank(often, 3), 2);
        let mut keys = Vec::new();
        let collected = table.try_for_each(|key, postings| {
            keys.push((key, postings.len()));
            Ok::<_, ()>(())
        });
        assert_eq!(collected, Ok(()));
        assert!(keys.is_sorted());
        assert_eq!(keys.len() as u64, table.keys());
    }
}
