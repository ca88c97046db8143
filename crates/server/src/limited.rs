//! Of which streams may some events not be read any more?
//!
//! An index still has the events that `$tb`, `$maxCount`, `$maxAge` or a delete have hidden: whoever follows a link to one must
//! find nothing. Asking the store about each target's stream would cost more than reading the target. So the server knows
//! the names of all streams that ever had metadata or a tombstone, few as a rule, and only their events are looked up.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use factum_core::{
    EventReader, EventStore, EventType, METADATA_TYPE, METASTREAM_PREFIX, Position, Read, ReadError,
    ReadFrom, STREAM_DELETED_TYPE, Selector,
};

/// The most names that are known; with more, each target is looked up.
const MOST_NAMES: usize = 1_000_000;

/// The names, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// A lock, since it is read for each target and written when a page brought a name.
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    streams: HashSet<Box<str>>,
    /// Everything before has been looked at, for metadata and for tombstones.
    looked_to: [Position; 2],
    too_many: bool,
}

impl Limited {
    /// Whether events of `stream` may be hidden, as of the last [`look`](Self::look).
    pub(crate) fn has(&self, stream: &str) -> bool {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.too_many || names.streams.contains(stream)
    }

    /// Looks at what was written since the last time: as a rule, nothing.
    pub(crate) async fn look(&self, store: &dyn EventStore) -> Result<(), ReadError> {
        for (place, event_type) in [METADATA_TYPE, STREAM_DELETED_TYPE].into_iter().enumerate() {
            let Ok(event_type) = EventType::new(event_type) else { continue };
            let from = {
                let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
                if names.too_many {
                    return Ok(());
                }
                names.looked_to[place]
            };
            let read = Read::forwards(Selector::event_type(event_type)).from(ReadFrom::Position(from));
            let mut reader: Box<dyn EventReader> = store.read(read).await?;
            while let Some(page) = reader.next_page().await? {
                let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
                for event in &page.events {
                    let stream = event.stream();
                    names.add(stream.strip_prefix(METASTREAM_PREFIX).unwrap_or(stream));
                }
                names.looked_to[place] = names.looked_to[place].max(page.examined_to);
            }
        }
        Ok(())
    }
}

impl Names {
    fn add(&mut self, stream: &str) {
        if self.streams.len() < MOST_NAMES {
            self.streams.insert(stream.into());
        } else if !self.streams.contains(stream) {
            self.too_many = true;
            self.streams = HashSet::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_names_are_none_and_everything_is_looked_up() {
        let limited = Limited::default();
        for number in 0..MOST_NAMES {
            limited.names.write().expect("a lock").add(&number.to_string());
        }
        assert!(limited.has("7") && !limited.has("a"));
        limited.names.write().expect("a lock").add("7");
        assert!(!limited.has("a"));
        limited.names.write().expect("a lock").add("a");
        assert!(limited.has("b") && limited.names.read().expect("a lock").streams.is_empty());
    }
}
