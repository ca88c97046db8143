//! How does a cache before a read model forget in time?

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::{Checkpoint, Clock, Position, RecordedEvent, SystemClock, Timestamp};

use crate::{Changed, ChangedTags};

/// Most tags that one value may depend on.
pub const MAX_CACHE_TAGS: usize = 256;

/// Values by key, in memory, forgotten by time, by event or by tag.
///
/// *By time*: after the given age. *By tag*: a value is kept with the tags that it was made from; [`Changes`](crate::Changes)
/// of a projection, passed to [`changed`](Self::changed), drop what carries a changed tag. *By event*: for values that are
/// folded from events, [`observed`](Self::observed) drops the keys that an event concerns.
///
/// A value is never served to a reader whose token it may be older than: either it was read from rows that had come so
/// far, or the cache has heard of every change up to the token and none concerned the value. A value that was read before a
/// change and comes in after it is not kept.
///
/// ```
/// use factum::{Cache, Lookup};
/// # use factum_core::{Checkpoint, Position, StoreId};
/// # let progress = Checkpoint::before(StoreId::generate(), 0, Position(7));
///
/// let cache = Cache::<String, i64>::new(1_000);
/// let balance = match cache.get(&"7".to_owned(), None) {
///     Lookup::Hit(cents) => cents,
///     Lookup::Miss(load) => {
///         let cents = 1250; // read it from the rows, with how far they had come
///         load.keep(cents, ["account:7"], &progress)
///     }
/// };
/// # assert_eq!(balance, 1250);
/// ```
pub struct Cache<K, V> {
    inner: Mutex<Inner<K, V>>,
    capacity: usize,
    keep_for: Option<Duration>,
    clock: Arc<dyn Clock>,
}

struct Kept<V> {
    value: V,
    tags: Vec<String>,
    /// How far the rows had come that it was read from.
    as_of: Checkpoint,
    forget_at: Option<Timestamp>,
    /// When it was last asked for, in lookups.
    used: u64,
}

struct Inner<K, V> {
    kept: HashMap<K, Kept<V>>,
    /// Every change before this place has been heard of.
    heard: Option<Checkpoint>,
    /// Counts what has been heard of, so that a value which is being read meanwhile can be found out.
    now: u64,
    /// When tags and keys changed last, while anything is being read.
    changed_tags: HashMap<String, u64>,
    changed_keys: HashMap<K, u64>,
    everything_changed: u64,
    loads: usize,
    lookups: u64,
}

/// What a cache has for a key.
pub enum Lookup<'a, K: Hash + Eq + Clone, V: Clone> {
    /// A value that may be served.
    Hit(V),
    /// None: read it, and let the cache keep it.
    Miss(Load<'a, K, V>),
}

/// A value that is being read. Made before the reading begins.
pub struct Load<'a, K: Hash + Eq + Clone, V: Clone> {
    cache: &'a Cache<K, V>,
    key: K,
    begun: u64,
}

fn place(checkpoint: &Checkpoint) -> Position {
    checkpoint.next_position().unwrap_or_default()
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// An empty cache for at most so many values; at least one. The one that was not asked for longest makes room.
    pub fn new(capacity: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                kept: HashMap::new(),
                heard: None,
                now: 0,
                changed_tags: HashMap::new(),
                changed_keys: HashMap::new(),
                everything_changed: 0,
                loads: 0,
                lookups: 0,
            }),
            capacity: capacity.max(1),
            keep_for: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Forgets a value at this age, whatever happened.
    #[must_use]
    pub fn keep_for(mut self, age: Duration) -> Self {
        self.keep_for = Some(age);
        self
    }

    /// On this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value for `key`; with a token, only one that holds everything up to it.
    pub fn get(&self, key: &K, after: Option<&Checkpoint>) -> Lookup<'_, K, V> {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.lookups += 1;
        let lookups = inner.lookups;
        let inner = &mut *inner;
        let heard = &inner.heard;
        let hit = inner.kept.get_mut(key).filter(|kept| {
            let young = kept.forget_at.is_none_or(|end| now < end);
            let holds = |token: &Checkpoint| {
                kept.as_of.reaches(token).unwrap_or(false)
                    || heard.as_ref().is_some_and(|heard| heard.reaches(token).unwrap_or(false))
            };
            young && after.is_none_or(holds)
        });
        if let Some(kept) = hit {
            kept.used = lookups;
            return Lookup::Hit(kept.value.clone());
        }
        inner.loads += 1;
        Lookup::Miss(Load { cache: self, key: key.clone(), begun: inner.now })
    }

    /// Takes a projection's change: drops what carries its tags.
    pub fn changed(&self, change: &Changed) {
        let mut inner = self.lock();
        inner.now += 1;
        let now = inner.now;
        match &change.tags {
            ChangedTags::Everything => {
                inner.everything_changed = now;
                inner.kept.clear();
            }
            ChangedTags::Tags(tags) => {
                if !tags.is_empty() {
                    inner.kept.retain(|_, kept| !kept.tags.iter().any(|tag| tags.binary_search(tag).is_ok()));
                }
                if inner.loads > 0 {
                    inner.changed_tags.extend(tags.iter().map(|tag| (tag.clone(), now)));
                }
            }
        }
        inner.hear(&change.applied);
    }

    /// Takes events of the log, in its order: drops the keys that `concerns` names for each. `checkpoint` is the place
    /// after them.
    pub fn observed<I: IntoIterator<Item = K>>(
        &self,
        events: &[RecordedEvent],
        checkpoint: &Checkpoint,
        concerns: impl Fn(&RecordedEvent) -> I,
    ) {
        let mut inner = self.lock();
        inner.now += 1;
        let now = inner.now;
        for key in events.iter().flat_map(concerns) {
            inner.kept.remove(&key);
            if inner.loads > 0 {
                inner.changed_keys.insert(key, now);
            }
        }
        inner.hear(checkpoint);
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.lock().kept.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn hear(&mut self, applied: &Checkpoint) {
        match &self.heard {
            // After a rebuild the place may be an earlier one: what was heard of stays heard of.
            Some(heard) if heard.store() == applied.store() && heard.epoch() == applied.epoch() => {
                if place(applied) > place(heard) {
                    self.heard = Some(applied.clone());
                }
            }
            _ => self.heard = Some(applied.clone()),
        }
    }

    fn end_load(&mut self) {
        self.loads -= 1;
        if self.loads == 0 {
            self.changed_tags.clear();
            self.changed_keys.clear();
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Load<'_, K, V> {
    /// Keeps the value, unless it has changed since the reading began, and gives it back. `as_of` is how far the rows had
    /// come that it was read from, `tags` what it depends on; with more than [`MAX_CACHE_TAGS`] it is not kept.
    pub fn keep<T: Into<String>>(self, value: V, tags: impl IntoIterator<Item = T>, as_of: &Checkpoint) -> V {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        let forget_at = self.cache.keep_for.map(|age| self.cache.clock.now().saturating_add(age));
        let mut inner = self.cache.lock();
        let since = |at: Option<&u64>| at.is_some_and(|&at| at > self.begun);
        let changed = inner.everything_changed > self.begun
            || since(inner.changed_keys.get(&self.key))
            || tags.iter().any(|tag| since(inner.changed_tags.get(tag)));
        if !changed && tags.len() <= MAX_CACHE_TAGS {
            if inner.kept.len() >= self.cache.capacity && !inner.kept.contains_key(&self.key) {
                let oldest = inner.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
                oldest.and_then(|key| inner.kept.remove(&key));
            }
            let used = inner.lookups;
            let kept = Kept { value: value.clone(), tags, as_of: as_of.clone(), forget_at, used };
            inner.kept.insert(self.key.clone(), kept);
        }
        drop(inner);
        value
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Drop for Load<'_, K, V> {
    fn drop(&mut self) {
        self.cache.lock().end_load();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::read_model::ProjectionName;
    use factum_core::{ManualClock, StoreId};

    struct Fixture {
        cache: Cache<u32, &'static str>,
        clock: Arc<ManualClock>,
        start: Checkpoint,
    }

    fn fixture() -> Fixture {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let cache = Cache::new(2).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Fixture { cache, clock, start: Checkpoint::before(StoreId::generate(), 0, Position(0)) }
    }

    impl Fixture {
        fn at(&self, position: u64) -> Checkpoint {
            self.start.at(Position(position))
        }

        fn put(&self, key: u32, value: &'static str, tag: &str, as_of: u64) {
            match self.cache.get(&key, Some(&self.at(u64::MAX))) {
                Lookup::Miss(load) => load.keep(value, [tag], &self.at(as_of)),
                Lookup::Hit(_) => unreachable!("nothing reaches that place"),
            };
        }

        fn hit(&self, key: u32, after: Option<u64>) -> Option<&'static str> {
            match self.cache.get(&key, after.map(|position| self.at(position)).as_ref()) {
                Lookup::Hit(value) => Some(value),
                Lookup::Miss(_) => None,
            }
        }

        fn change(&self, applied: u64, tags: &[&str]) {
            let tags = ChangedTags::Tags(tags.iter().map(|&tag| tag.to_owned()).collect());
            let name = ProjectionName::new("a").unwrap();
            self.cache.changed(&Changed { name, applied: self.at(applied), tags });
        }
    }

    #[test]
    fn a_changed_tag_drops_its_values_and_no_others() {
        let f = fixture();
        f.put(1, "one", "a", 5);
        f.put(2, "two", "b", 5);
        f.change(6, &["a"]);
        assert_eq!((f.hit(1, None), f.hit(2, None)), (None, Some("two")));
    }

    #[test]
    fn a_token_is_served_only_by_what_is_known_to_hold_it() {
        let f = fixture();
        f.put(1, "one", "a", 5);
        assert_eq!(f.hit(1, Some(5)), Some("one"));
        assert_eq!(f.hit(1, Some(6)), None, "nothing is known of the event before 6");
        f.change(6, &["b"]);
        assert_eq!(f.hit(1, Some(6)), Some("one"), "it changed something else");
        assert_eq!(f.hit(1, Some(7)), None);
    }

    #[test]
    fn a_value_read_before_a_change_is_not_kept_after_it() {
        let f = fixture();
        let Lookup::Miss(load) = f.cache.get(&1, None) else { unreachable!() };
        f.change(6, &["a"]);
        // The rows may have been read before or after that commit: nobody knows.
        load.keep("old", ["a"], &f.at(5));
        assert_eq!(f.hit(1, None), None);
        let Lookup::Miss(load) = f.cache.get(&1, None) else { unreachable!() };
        f.change(7, &["b"]);
        load.keep("new", ["a"], &f.at(6));
        assert_eq!(f.hit(1, Some(7)), Some("new"));
    }

    #[test]
    fn everything_changed_drops_all_and_what_is_being_read() {
        let f = fixture();
        f.put(1, "one", "a", 5);
        let Lookup::Miss(load) = f.cache.get(&2, None) else { unreachable!() };
        let name = ProjectionName::new("a").unwrap();
        f.cache.changed(&Changed { name, applied: f.at(6), tags: ChangedTags::Everything });
        load.keep("two", ["b"], &f.at(5));
        assert!(f.cache.is_empty());
    }

    #[test]
    fn values_are_forgotten_with_age() {
        let mut f = fixture();
        f.cache = f.cache.keep_for(Duration::from_secs(60));
        f.put(1, "one", "a", 5);
        f.clock.advance(Duration::from_secs(59));
        assert_eq!(f.hit(1, None), Some("one"));
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(f.hit(1, None), None);
    }

    #[test]
    fn the_value_not_asked_for_longest_makes_room() {
        let f = fixture();
        f.put(1, "one", "a", 5);
        f.put(2, "two", "a", 5);
        assert_eq!(f.hit(1, None), Some("one"));
        f.put(3, "three", "a", 5);
        assert_eq!((f.hit(1, None), f.hit(2, None), f.hit(3, None)), (Some("one"), None, Some("three")));
    }

    #[test]
    fn a_value_with_too_many_tags_is_not_kept() {
        let f = fixture();
        let Lookup::Miss(load) = f.cache.get(&1, None) else { unreachable!() };
        load.keep("one", (0..=MAX_CACHE_TAGS).map(|n| n.to_string()), &f.at(5));
        assert_eq!(f.hit(1, None), None);
    }
}
