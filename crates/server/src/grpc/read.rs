//! A read: what is there, and then the end.
//!
//! The first page is read before the call is answered, so that a stream that is gone fails the call itself; clients
//! tell that from a stream of answers that fails.

use std::sync::Arc;

use factum_core::{Direction, EventReader, EventStore, EventStoreExt, Page, Read, ReadError, ReadHead};
use factum_protocol::stream_to_wire;
use factum_protocol::wire::v1::streams::read_resp::{Content, StreamNotFound};
use futures_util::{StreamExt, TryStreamExt, stream};
use tonic::Status;

use super::Answers;
use super::read_answer::Answer;
use super::read_options::{Ends, Place, Reading};
use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::source::{Resolved, Source};
use crate::status;

/// Begins the read, and gives its answers.
pub(super) async fn answers(
    shared: Arc<Shared>,
    call: Call,
    reading: Reading,
    count: u64,
) -> Result<Answers<Answer>, Status> {
    shared.access.check(&call.caller, Action::Read(reading.source.name())).await?;
    if count == 0 {
        return Ok(Box::pin(stream::empty()));
    }
    // Only where every event that the store gives is also given to the client may the store do the counting.
    let counted = !matches!(reading.source, Source::All | Source::Index(_));
    let mut read = match reading.direction {
        Direction::Forwards => Read::forwards(reading.source.selector()),
        Direction::Backwards => Read::backwards(reading.source.selector()),
    };
    read = read.from(reading.read_from());
    read.filter =
        reading.filter.as_ref().map_or_else(|| reading.source.filter(), |filter| filter.store.clone());
    if counted {
        read = read.limit(count);
    }
    let mut reader = match shared.store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. }) => return Ok(not_found(&reading.source)),
        Err(error) => return Err(status::of_read(&error)),
    };
    check_place(&reading, reader.head())?;
    reading.links.prepare(&shared, &reading.source).await.map_err(|error| status::of_read(&error))?;
    let first = reader.next_page().await.map_err(|error| status::of_read(&error))?;
    if first.as_ref().is_none_or(|page| page.events.is_empty())
        && is_missing_index(&shared, &reading.source).await?
    {
        return Ok(not_found(&reading.source));
    }
    let state = State { shared, call, reading, reader, page: first, left: count, last: None, given: false };
    let pages = stream::try_unfold(Some(state), State::step);
    Ok(Box::pin(pages.map_ok(|page| stream::iter(page).map(Ok)).try_flatten()))
}

/// Whether the source is an index that has nothing at all.
async fn is_missing_index(shared: &Shared, source: &Source) -> Result<bool, Status> {
    if !matches!(source, Source::Index(_)) {
        return Ok(false);
    }
    let mut read = Read::backwards(source.selector()).limit(1);
    read.filter = source.filter();
    let store: &dyn EventStore = shared.store.as_ref();
    Ok(store.read_all(read).await.map_err(|error| status::of_read(&error))?.is_empty())
}

fn not_found(source: &Source) -> Answers<Answer> {
    let content = StreamNotFound { stream_identifier: Some(stream_to_wire(source.name())) };
    Box::pin(stream::once(async move { Ok(Answer::of(Content::StreamNotFound(content))) }))
}

/// A position beyond the end is an error of the caller's, other than for the store.
fn check_place(reading: &Reading, head: &ReadHead) -> Result<(), Status> {
    let (Place::Position(asked), Source::All) = (reading.place, &reading.source) else { return Ok(()) };
    match head.snapshot.next_position() {
        Some(end) if asked > end => Err(status::of_read(&ReadError::BeyondEnd { asked, end })),
        _ => Ok(()),
    }
}

struct State {
    shared: Arc<Shared>,
    call: Call,
    reading: Reading,
    reader: Box<dyn EventReader>,
    /// The page that is to be given next; `None` once there is none.
    page: Option<Page>,
    /// How many events may still be given.
    left: u64,
    /// The last revision that was given.
    last: Option<u64>,
    /// Whether anything was given or said yet.
    given: bool,
}

impl State {
    /// The answers of one page. `None` in the place of the state: there are no more.
    async fn step(state: Option<State>) -> Result<Option<(Vec<Answer>, Option<State>)>, Status> {
        let Some(mut state) = state else { return Ok(None) };
        let Some(page) = state.page.take() else {
            let ends = state.ends();
            return Ok((!ends.is_empty()).then_some((ends, None)));
        };
        let mut answers = Vec::with_capacity(page.events.len() + 1);
        for event in page.events {
            if state.left == 0 {
                break;
            }
            if state.reading.filter.as_ref().is_some_and(|filter| !filter.passes(&event)) {
                continue;
            }
            let Some(placed) = state.reading.source.place(event) else { continue };
            let resolved = state
                .reading
                .links
                .apply(&state.shared, &state.call, placed)
                .await
                .map_err(|error| status::of_read(&error))?;
            if !state.given {
                state.given = true;
                answers.extend(state.first_position(&resolved));
            }
            state.last = resolved.original().map(|event| event.revision().0);
            answers.extend(Answer::event(state.reading.form, resolved));
            state.left -= 1;
        }
        if state.left == 0 {
            answers.extend(state.ends());
            return Ok(Some((answers, None)));
        }
        state.page = state.reader.next_page().await.map_err(|error| status::of_read(&error))?;
        Ok(Some((answers, Some(state))))
    }

    /// Where the stream begins, if that is not where the client asked for.
    fn first_position(&self, first: &Resolved) -> Option<Answer> {
        let asked = match (self.reading.ends, self.reading.direction, self.reading.place) {
            (Ends::Tell, Direction::Forwards, Place::Start) => 0,
            (Ends::Tell, Direction::Forwards, Place::Revision(revision)) => revision.0,
            _ => return None,
        };
        let Source::Stream(_) = self.reading.source else { return None };
        let first = first.original()?.revision().0;
        (first > asked).then(|| Answer::of(Content::FirstStreamPosition(first)))
    }

    /// What is said at the end of the stream: of an empty page, where the stream begins; and where it ends.
    fn ends(&self) -> Vec<Answer> {
        let (Ends::Tell, Source::Stream(_)) = (self.reading.ends, &self.reading.source) else {
            return Vec::new();
        };
        let head = self.reader.head();
        let last = head.stream.and_then(factum_core::StreamState::last_revision).map(|last| last.0);
        let mut answers = Vec::new();
        if !self.given && self.reading.direction == Direction::Forwards {
            answers.extend(head.first_visible.map(|first| Answer::of(Content::FirstStreamPosition(first.0))));
        }
        // A read that its count cut short does not know that the stream ends there.
        let at_end = self.left > 0 || self.last == last;
        if at_end {
            answers.extend(last.map(|last| Answer::of(Content::LastStreamPosition(last))));
        }
        answers
    }
}
