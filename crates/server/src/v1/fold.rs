//! What a stream comes to at a moment, without folding all of it each time.
//!
//! Every thousand events the state is remembered, within a limit of bytes. What can change the past makes it be forgotten: a
//! redaction, an erasure, a truncation. States with personal data are never remembered, nor are rows.

mod origins;
mod remembered;
mod rows;
mod state;
mod which;

use factum_core::{
    AsOf, EventReader, EventStore, EventStoreExt, PRIVACY_STREAM, REDACTIONS_STREAM, Read, ReadError,
    ReadFrom, RecordedEvent, Revision, Selector, StreamName, StreamState,
};

use super::problem::Problem;
use crate::shared::Shared;

pub(crate) use origins::Origins;
pub(crate) use remembered::Folds;
use remembered::{Past, Under};
pub(crate) use state::{Failure, Fold, Outcome, Reached};
pub(crate) use which::{NO_DOMAIN, Which, names_of, which};

/// Events between two states that are remembered.
const EVERY: u64 = 1_000;

/// How a stream is folded.
pub(crate) struct How<'a> {
    /// By what.
    pub(crate) which: &'a Which,
    /// The events that are left out, as if they had not happened; in order.
    pub(crate) without: &'a [Revision],
}

/// A fold that is under way: the events after the state that it began with.
pub(crate) struct Folding<'a> {
    shared: &'a Shared,
    stream: StreamName,
    how: How<'a>,
    reader: Box<dyn EventReader>,
    past: Past,
    first_visible: Option<Revision>,
    /// States before this place are remembered: none beyond an event that is left out.
    remembers_before: u64,
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
    /// What the store says, and what refuses the fold.
    pub(crate) async fn begin(
        shared: &'a Shared,
        stream: &StreamName,
        how: How<'a>,
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
        let remembers = in_order
            && how.which.is_remembered()
            && store.stream_metadata(stream.clone()).await?.max_age.is_none();
        let remembers_before = match (remembers, how.without.first()) {
            (false, _) => 0,
            (true, Some(first)) => first.0.saturating_add(1),
            (true, None) => u64::MAX,
        };
        let head =
            store.read(Read::backwards(Selector::Stream(stream.clone())).limit(1)).await?.head().clone();
        let first_visible = head.first_visible;
        let before = before.0.min(remembers_before.saturating_sub(1));
        let under = Under { stream, fold: how.which.name(), past, first_visible };
        let known = if remembers { shared.v1.folds.find(&under, before) } else { None };
        let (place, fold) = match known {
            Some(known) => known,
            None => (0, Fold::begin(shared, how.which).await?),
        };
        let read = Read::stream(stream.clone()).from(ReadFrom::Revision(Revision(place))).at(at);
        let reader = store.read(read).await?;
        Ok(Self {
            shared,
            stream: stream.clone(),
            how,
            reader,
            past,
            first_visible,
            remembers_before,
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
    ///
    /// # Errors
    /// What refuses the fold: that an event cannot be folded is an outcome.
    pub(crate) async fn apply(&mut self, event: &RecordedEvent) -> Result<Outcome, Problem> {
        let revision = event.revision();
        if revision.0 >= self.next_place {
            let place = revision.0 / EVERY * EVERY;
            if place < self.remembers_before {
                let under = Under {
                    stream: &self.stream,
                    fold: self.how.which.name(),
                    past: self.past,
                    first_visible: self.first_visible,
                };
                self.shared.v1.folds.remember(&under, place, &mut self.fold).await;
            }
            self.next_place = place + EVERY;
        }
        if self.how.without.binary_search(&revision).is_ok() {
            self.fold.at = Some(Reached::of(event));
            return Ok(Outcome::LeftOut);
        }
        self.fold.apply(event).await
    }

    /// Folds everything before `before`. The first event at it or after it, if there is one, comes back.
    ///
    /// # Errors
    /// What the store says, and what refuses the fold.
    pub(crate) async fn up_to(&mut self, before: Revision) -> Result<Option<RecordedEvent>, Problem> {
        while let Some(event) = self.next().await? {
            if event.revision() >= before {
                return Ok(Some(event));
            }
            // What is not folded is counted by the state.
            self.apply(&event).await?;
        }
        Ok(None)
    }
}

/// Before which revision everything had happened at a moment, where moments and revisions go together; `None`: nothing had.
///
/// # Errors
/// What the store says.
pub(crate) async fn revision_before(
    shared: &Shared,
    stream: &StreamName,
    at: AsOf,
) -> Result<Option<Revision>, Problem> {
    Ok(match at {
        AsOf::Revision(revision) => Some(revision.next()),
        AsOf::Occurred(_) => Some(Revision::START),
        AsOf::Now | AsOf::Position(_) | AsOf::Recorded(_) => {
            let read = Read::backwards(Selector::Stream(stream.clone())).limit(1).at(at);
            let store: &dyn EventStore = shared.store.as_ref();
            store.read_all(read).await?.first().map(|event| event.revision().next())
        }
    })
}

/// The stream's state as of a moment.
///
/// # Errors
/// What the store says, and what refuses the fold.
pub(crate) async fn state_at(
    shared: &Shared,
    stream: &StreamName,
    how: How<'_>,
    at: AsOf,
) -> Result<Fold, Problem> {
    // The revision says how much is remembered.
    let Some(before) = revision_before(shared, stream, at).await? else {
        return Fold::begin(shared, how.which).await;
    };
    let mut folding = Folding::begin(shared, stream, how, before, at).await?;
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
