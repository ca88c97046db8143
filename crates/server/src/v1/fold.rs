//! What a stream comes to at a moment, without folding all of it each time.
//!
//! Every thousand events the state is remembered, within a limit of bytes. What can change the past makes it be forgotten: a
//! redaction, an erasure, a truncation. States with personal data are never remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factum::{JsonState, Skipped};
use factum_core::{
    AsOf, EventReader, EventStore, EventStoreExt, PERSONAL_MEMBER, PRIVACY_STREAM, REDACTIONS_STREAM, Read,
    ReadError, ReadFrom, RecordedEvent, Revision, Selector, StreamName, StreamState, Timestamp,
};

use super::problem::Problem;
use crate::shared::Shared;

/// Events between two states that are remembered.
const EVERY: u64 = 1_000;
/// Bytes of states that are remembered, by the length of their text.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// How much more a state takes than its text.
const BYTES_PER_TEXT_BYTE: usize = 4;

/// The event that a fold has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) revision: Revision,
    pub(crate) time: Timestamp,
    pub(crate) event_type: String,
}

impl Reached {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        let event_type = event.event_type().to_owned();
        Self { revision: event.revision(), time: event.recorded_at(), event_type }
    }
}

/// A state, and how far it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    pub(crate) state: JsonState,
    /// The last event in it; `None` before the first one.
    pub(crate) at: Option<Reached>,
}

/// States that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    /// A lock, since it is held for a look-up only.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the past rests on; with another one, everything is forgotten.
    past: Past,
    /// By stream and by the number of events before.
    states: BTreeMap<(StreamName, u64), Remembered>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Remembered {
    fold: Fold,
    first_visible: Option<Revision>,
    bytes: usize,
    used: u64,
}

/// The last word about what was taken out of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Past {
    redactions: Option<Revision>,
    privacy: Option<Revision>,
}

impl Folds {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest remembered state of the stream that has no event at `before` or after it.
    fn find(
        &self,
        stream: &StreamName,
        past: Past,
        first: Option<Revision>,
        before: u64,
    ) -> Option<(u64, Fold)> {
        let mut known = self.known();
        if known.past != past {
            *known = Known { past, ..Known::default() };
            return None;
        }
        known.uses += 1;
        let uses = known.uses;
        let (from, to) = ((stream.clone(), 0), (stream.clone(), before));
        // Only what is remembered is looked at, however far a reader asks.
        let mut nearest = known.states.range_mut(from..=to).rev();
        let ((_, place), found) = nearest.find(|(_, found)| found.first_visible == first)?;
        found.used = uses;
        Some((*place, found.fold.clone()))
    }

    fn remember(&self, stream: &StreamName, past: Past, first: Option<Revision>, place: u64, fold: &Fold) {
        let text = fold.state.to_json();
        let bytes = text.len() * BYTES_PER_TEXT_BYTE;
        if text.contains(PERSONAL_MEMBER) || bytes > MAX_BYTES / 4 {
            return;
        }
        let mut known = self.known();
        if known.past != past {
            return;
        }
        known.uses += 1;
        let remembered = Remembered { fold: fold.clone(), first_visible: first, bytes, used: known.uses };
        if let Some(old) = known.states.insert((stream.clone(), place), remembered) {
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

/// A fold that is under way: the events after the state that it began with.
pub(crate) struct Folding<'a> {
    shared: &'a Shared,
    stream: StreamName,
    reader: Box<dyn EventReader>,
    past: Past,
    first_visible: Option<Revision>,
    /// Whether states on the way are remembered.
    remembers: bool,
    /// The place of the next state that is to be remembered.
    next_place: u64,
    /// The stream's last revision.
    pub(crate) head: Option<Revision>,
    /// How far it is.
    pub(crate) fold: Fold,
    page: std::vec::IntoIter<RecordedEvent>,
}

impl<'a> Folding<'a> {
    /// Begins as near before the event `before` as a remembered state allows, and sees the stream as of `at`.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn begin(
        shared: &'a Shared,
        stream: &StreamName,
        before: Revision,
        at: AsOf,
    ) -> Result<Self, Problem> {
        let store: &dyn EventStore = shared.store.as_ref();
        let past = Past {
            redactions: last_revision(store, REDACTIONS_STREAM).await?,
            privacy: last_revision(store, PRIVACY_STREAM).await?,
        };
        // What happened when it was not recorded yet may stand anywhere; what grows old goes without a word.
        let in_order = !matches!(at, AsOf::Occurred(_));
        let remembers = in_order && store.stream_metadata(stream.clone()).await?.max_age.is_none();
        let head =
            store.read(Read::backwards(Selector::Stream(stream.clone())).limit(1)).await?.head().clone();
        let first_visible = head.first_visible;
        let known =
            if remembers { shared.v1.folds.find(stream, past, first_visible, before.0) } else { None };
        let (place, fold) = known.unwrap_or_default();
        let read = Read::stream(stream.clone()).from(ReadFrom::Revision(Revision(place))).at(at);
        let reader = store.read(read).await?;
        Ok(Self {
            shared,
            stream: stream.clone(),
            reader,
            past,
            first_visible,
            remembers,
            next_place: place + EVERY,
            head: head.stream.and_then(StreamState::last_revision),
            fold,
            page: Vec::new().into_iter(),
        })
    }

    /// The next event, before it is folded; `None` after the last one.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordedEvent>, Problem> {
        loop {
            if let Some(event) = self.page.next() {
                return Ok(Some(event));
            }
            match self.reader.next_page().await? {
                Some(page) => self.page = page.events.into_iter(),
                None => return Ok(None),
            }
            // A long fold lets others have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Folds it.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) -> Result<(), Skipped> {
        let revision = event.revision().0;
        if revision >= self.next_place {
            let place = revision / EVERY * EVERY;
            if self.remembers {
                self.shared.v1.folds.remember(&self.stream, self.past, self.first_visible, place, &self.fold);
            }
            self.next_place = place + EVERY;
        }
        let outcome = self.fold.state.apply(event);
        self.fold.at = Some(Reached::of(event));
        outcome
    }

    /// Folds everything before `before`. The first event at it or after it, if there is one, comes back.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn up_to(&mut self, before: Revision) -> Result<Option<RecordedEvent>, Problem> {
        while let Some(event) = self.next().await? {
            if event.revision() >= before {
                return Ok(Some(event));
            }
            // What is skipped is counted by the state.
            let _ = self.apply(&event);
        }
        Ok(None)
    }
}

/// The stream's state as of a moment, and its last revision today.
///
/// # Errors
/// What the store says.
pub(crate) async fn state_at(shared: &Shared, stream: &StreamName, at: AsOf) -> Result<Fold, Problem> {
    // Where moments and revisions go together, the revision says how much is remembered.
    let before = match at {
        AsOf::Revision(revision) => Some(revision.next()),
        AsOf::Occurred(_) => Some(Revision::START),
        AsOf::Now | AsOf::Position(_) | AsOf::Recorded(_) => {
            let read = Read::backwards(Selector::Stream(stream.clone())).limit(1).at(at);
            let store: &dyn EventStore = shared.store.as_ref();
            store.read_all(read).await?.first().map(|event| event.revision().next())
        }
    };
    let Some(before) = before else { return Ok(Fold::default()) };
    let mut folding = Folding::begin(shared, stream, before, at).await?;
    folding.up_to(Revision(u64::MAX)).await?;
    Ok(folding.fold)
}

/// The last revision of one of the store's own streams.
async fn last_revision(store: &dyn EventStore, name: &str) -> Result<Option<Revision>, Problem> {
    let Ok(stream) = StreamName::new(name) else { return Ok(None) };
    match store.last_event(stream).await {
        Ok(event) => Ok(event.map(|event| event.revision())),
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
