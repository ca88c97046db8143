//! What has a commit changed, and who is told?

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use factum_core::read_model::{ProjectionName, VersionNumber};
use factum_core::{Checkpoint, Position};
use tokio::sync::mpsc;

/// Most tags that are named for one commit; beyond them everything counts as changed.
pub const MAX_CHANGED_TAGS: usize = 4_096;

/// Most changes that wait for a subscriber; one that is slower is told that everything has changed.
const MAX_WAITING: usize = 1_024;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedTags {
    /// What carries any of these tags; sorted, each once.
    Tags(Vec<String>),
    /// So much, or one does not know what: everything.
    Everything,
}

impl Default for ChangedTags {
    fn default() -> Self {
        Self::Tags(Vec::new())
    }
}

impl ChangedTags {
    pub(crate) fn add(&mut self, tag: String) {
        if let Self::Tags(tags) = self
            && let Err(place) = tags.binary_search(&tag)
        {
            if tags.len() >= MAX_CHANGED_TAGS {
                *self = Self::Everything;
            } else {
                tags.insert(place, tag);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        match other {
            Self::Tags(tags) => tags.into_iter().for_each(|tag| self.add(tag)),
            Self::Everything => *self = Self::Everything,
        }
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Tags(tags) if tags.is_empty())
    }
}

/// What a commit to a serving read model changed. Sent after the commit, so whoever reads then reads the new rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The projection.
    pub name: ProjectionName,
    /// Every event before this place is in the rows (of all partitions).
    pub applied: Checkpoint,
    /// What has changed since the message before.
    pub tags: ChangedTags,
}

impl Changed {
    /// The position that the rows have come to.
    pub fn position(&self) -> Position {
        self.applied.next_position().unwrap_or_default()
    }
}

/// What a subscriber gets, in the order of the commits.
pub struct Changes {
    messages: mpsc::Receiver<Changed>,
    lost: Arc<Mutex<Option<Changed>>>,
}

impl Changes {
    /// The next change; `None` once the projection is gone.
    pub async fn next(&mut self) -> Option<Changed> {
        let next = self.messages.recv().await;
        // Once the queue is empty, what did not fit into it is told in one.
        next.or_else(|| lock(&self.lost).take())
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Changed> {
        self.messages.try_recv().ok().or_else(|| lock(&self.lost).take())
    }
}

struct Subscriber {
    messages: mpsc::Sender<Changed>,
    lost: Weak<Mutex<Option<Changed>>>,
}

/// Those who are told what changes in the version that serves. A slow one never holds the projection up.
pub(crate) struct Subscribers {
    subscribers: Mutex<Vec<Subscriber>>,
    /// The version whose changes count: nobody hears of one that is built aside.
    serving: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subscribers {
    pub(crate) fn new(serving: VersionNumber) -> Self {
        Self { subscribers: Mutex::default(), serving: AtomicU32::new(serving.0) }
    }

    /// From now on another version serves: everything may have changed.
    pub(crate) fn serve(&self, version: VersionNumber, name: &ProjectionName, applied: Checkpoint) {
        self.serving.store(version.0, Ordering::SeqCst);
        self.publish(version, || Changed { name: name.clone(), applied, tags: ChangedTags::Everything });
    }

    pub(crate) fn subscribe(&self) -> Changes {
        let (sender, messages) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(Mutex::new(None));
        lock(&self.subscribers).push(Subscriber { messages: sender, lost: Arc::downgrade(&lost) });
        Changes { messages, lost }
    }

    /// Takes what has changed from `change`, one at a time, and tells it if this version serves.
    pub(crate) fn publish(&self, version: VersionNumber, change: impl FnOnce() -> Changed) {
        let mut subscribers = lock(&self.subscribers);
        let change = change();
        if self.serving.load(Ordering::SeqCst) != version.0 {
            return;
        }
        subscribers.retain(|subscriber| {
            let Some(lost) = subscriber.lost.upgrade() else { return false };
            let mut lost = lock(&lost);
            let mut next = change.clone();
            if lost.take().is_some() {
                next.tags = ChangedTags::Everything;
            }
            match subscriber.messages.try_send(next) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(change)) => {
                    *lost = Some(Changed { tags: ChangedTags::Everything, ..change });
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::StoreId;

    fn change(position: u64, tag: &str) -> Changed {
        let applied = Checkpoint::before(StoreId::generate(), 0, Position(position));
        let tags = ChangedTags::Tags(vec![tag.to_owned()]);
        Changed { name: ProjectionName::new("a").unwrap(), applied, tags }
    }

    #[test]
    fn tags_are_kept_once_and_too_many_are_everything() {
        let mut tags = ChangedTags::default();
        assert!(tags.is_empty());
        for tag in ["b", "a", "b"] {
            tags.add(tag.to_owned());
        }
        assert_eq!(tags, ChangedTags::Tags(vec!["a".to_owned(), "b".to_owned()]));
        for n in 0..MAX_CHANGED_TAGS {
            tags.add(format!("tag {n}"));
        }
        assert_eq!(tags, ChangedTags::Everything);
    }

    #[test]
    fn a_slow_subscriber_learns_that_everything_has_changed() {
        let subscribers = Subscribers::new(VersionNumber(1));
        let v1 = VersionNumber(1);
        let mut changes = subscribers.subscribe();
        for n in 0..MAX_WAITING as u64 + 2 {
            subscribers.publish(v1, || change(n, "a"));
        }
        for n in 0..MAX_WAITING as u64 {
            assert_eq!(changes.try_next().unwrap().position(), Position(n));
        }
        let last = changes.try_next().unwrap();
        assert_eq!((last.position(), last.tags), (Position(MAX_WAITING as u64 + 1), ChangedTags::Everything));
        assert_eq!(changes.try_next(), None);
        subscribers.publish(v1, || change(9_999, "b"));
        assert_eq!(changes.try_next().unwrap().tags, ChangedTags::Tags(vec!["b".to_owned()]));
        subscribers.publish(VersionNumber(2), || change(9_999, "built aside"));
        assert_eq!(changes.try_next(), None);
        drop(changes);
        subscribers.publish(v1, || change(10_000, "b"));
        assert!(lock(&subscribers.subscribers).is_empty());
    }
}
