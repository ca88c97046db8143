//! States that are remembered, so that no fold begins far from where it is to come.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factum_core::{PERSONAL_MEMBER, Revision, StreamName};

use super::state::Fold;

/// Bytes of states that are remembered, by the length of their text.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// How much more a state takes than its text.
const BYTES_PER_TEXT_BYTE: usize = 4;

/// States that are remembered.
#[derive(Default)]
pub(crate) struct Folds {
    /// A lock, since it is held for a look-up only.
    known: Mutex<Known>,
    /// Folds into rows that are under way: each has tables of its own.
    pub(super) rows: super::rows::Room,
}

impl std::fmt::Debug for Folds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folds").field("states", &self.known().states.len()).finish_non_exhaustive()
    }
}

/// By stream and fold, and by the number of events before.
type Key = (StreamName, String, u64);

#[derive(Default)]
struct Known {
    /// What the past rests on; with another one, everything is forgotten.
    past: Past,
    states: BTreeMap<Key, Remembered>,
    bytes: usize,
    uses: u64,
}

struct Remembered {
    fold: Fold,
    first_visible: Option<Revision>,
    bytes: usize,
    used: u64,
}

/// The last word about what was taken out of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) redactions: Option<Revision>,
    pub(super) privacy: Option<Revision>,
}

/// What a state is remembered under.
pub(super) struct Under<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) fold: &'a str,
    pub(super) past: Past,
    pub(super) first_visible: Option<Revision>,
}

impl Under<'_> {
    fn key(&self, place: u64) -> Key {
        (self.stream.clone(), self.fold.to_owned(), place)
    }
}

impl Folds {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest remembered state of the stream that has no event at `before` or after it.
    pub(super) fn find(&self, under: &Under<'_>, before: u64) -> Option<(u64, Fold)> {
        let mut known = self.known();
        if known.past != under.past {
            *known = Known { past: under.past, ..Known::default() };
            return None;
        }
        known.uses += 1;
        let uses = known.uses;
        // Only what is remembered is looked at, however far a reader asks.
        let mut nearest = known.states.range_mut(under.key(0)..=under.key(before)).rev();
        let ((_, _, place), found) = nearest.find(|(_, found)| found.first_visible == under.first_visible)?;
        let fold = found.fold.copy()?;
        found.used = uses;
        Some((*place, fold))
    }

    /// Remembers a state, if it is one that may be and fits.
    pub(super) async fn remember(&self, under: &Under<'_>, place: u64, fold: &mut Fold) {
        let Ok(Ok(text)) = fold.json().await else { return };
        let bytes = text.get().len() * BYTES_PER_TEXT_BYTE;
        if text.get().contains(PERSONAL_MEMBER) || bytes > MAX_BYTES / 4 {
            return;
        }
        let Some(fold) = fold.copy() else { return };
        let mut known = self.known();
        if known.past != under.past {
            return;
        }
        known.uses += 1;
        let remembered = Remembered { fold, first_visible: under.first_visible, bytes, used: known.uses };
        if let Some(old) = known.states.insert(under.key(place), remembered) {
            known.bytes -= old.bytes;
        }
        known.bytes += bytes;
        while known.bytes > MAX_BYTES {
            let oldest = known.states.iter().min_by_key(|(_, of)| of.used).map(|(key, _)| key.clone());
            let Some(removed) = oldest.and_then(|key| known.states.remove(&key)) else { break };
            known.bytes -= removed.bytes;
        }
    }
}
