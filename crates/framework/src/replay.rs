//! What past events come to: the state of a stream now or as of any moment, and what a command would have come to then.

use factum_core::{
    AsOf, ErrorKind, EventReader, EventStore, Page, Position, Read, ReadError, RecordedEvent, Revision,
    StreamName, Timestamp,
};

use crate::codec::{DecodeError, DecodeFault, decode};
use crate::{CommandMetadata, Context, Decider, OnRedacted};

/// The state that some events came to, and which events those were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed<S> {
    /// What the events came to; the decider's initial state where there were none.
    pub state: S,
    /// Revision of the last event seen.
    pub revision: Option<Revision>,
    /// Position of the last event seen.
    pub position: Option<Position>,
    /// How many events were folded. Those behind a snapshot are not counted.
    pub events: u64,
    /// How many of them were redacted: the state rests on what the decider makes of such events.
    pub redacted: u64,
}

/// Why past events could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An event is not one of the decider's.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store could not read.
    #[error(transparent)]
    Store(#[from] ReadError),
}

impl ReplayError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ReplayError::Decode(_) => ErrorKind::SchemaViolation,
            ReplayError::Store(error) => error.kind(),
        }
    }
}

impl<S> Replayed<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { state, revision: None, position: None, events: 0, redacted: 0 }
    }

    pub(crate) fn apply<D: Decider<State = S>>(
        &mut self,
        decider: &D,
        event: &RecordedEvent,
    ) -> Result<(), DecodeError> {
        match decode::<D::Event>(event) {
            Ok(typed) => decider.evolve(&mut self.state, &typed),
            Err(error) => {
                let is_redacted = matches!(error.fault, DecodeFault::Redacted { .. });
                if !is_redacted || decider.evolve_redacted(&mut self.state, event) == OnRedacted::Refused {
                    return Err(error);
                }
                self.redacted += 1;
            }
        }
        self.revision = Some(event.revision());
        self.position = Some(event.position());
        self.events += 1;
        Ok(())
    }

    pub(crate) async fn apply_all<D: Decider<State = S>>(
        &mut self,
        decider: &D,
        reader: &mut dyn EventReader,
    ) -> Result<(), ReplayError> {
        while let Some(Page { events, .. }) = reader.next_page().await? {
            for event in &events {
                self.apply(decider, event)?;
            }
        }
        Ok(())
    }
}

/// The state of a stream as of `at`. A stream that does not exist, or has no events by then, is in the initial state.
///
/// As of an occurred time, events are folded in the order in which they were recorded, those that happened later are
/// left out.
///
/// # Errors
/// `Decode` where an event is not one of the decider's, or was redacted and the decider cannot do without it; `Store` where
/// reading fails or the stream is tombstoned.
///
/// ```
/// # use std::sync::Arc;
/// # use factum::{CommandMetadata, Context, Decider, Event, Executor, RetryPolicy};
/// # use factum_core::{MemoryStore, StreamName};
/// use factum::load_at;
/// use factum_core::{AsOf, Revision};
/// # #[derive(Event)]
/// # enum Click { Counted }
/// # struct Counter;
/// # impl Decider for Counter {
/// #     type State = u64;
/// #     type Command = ();
/// #     type Event = Click;
/// #     type Rejection = ();
/// #     fn initial_state(&self) -> u64 { 0 }
/// #     fn evolve(&self, state: &mut u64, _: &Click) { *state += 1; }
/// #     fn decide(&self, _: &u64, _: &(), _: &Context) -> Result<Vec<Click>, ()> { Ok(vec![Click::Counted]) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let store = MemoryStore::new();
/// # let counter = Executor::new(Arc::new(store.clone()), Counter, RetryPolicy::NEVER);
/// # let stream = StreamName::new("counter-1").unwrap();
/// # for _ in 0..3 {
/// #     counter.execute(&stream, &(), &CommandMetadata::new()).await.unwrap();
/// # }
///
/// // After three clicks:
/// let then = load_at(&store, &Counter, &stream, AsOf::Revision(Revision(1))).await?;
/// assert_eq!((then.state, then.events), (2, 2));
/// # Ok::<(), factum::ReplayError>(())
/// # }).unwrap();
/// ```
pub async fn load_at<D: Decider>(
    store: &dyn EventStore,
    decider: &D,
    stream: &StreamName,
    at: AsOf,
) -> Result<Replayed<D::State>, ReplayError> {
    let mut replayed = Replayed::new(decider.initial_state());
    match store.read(Read::stream(stream.clone()).at(at)).await {
        Ok(mut reader) => replayed.apply_all(decider, &mut *reader).await?,
        Err(ReadError::StreamNotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(replayed)
}

/// One command asked again, of a past state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a, C> {
    /// The command.
    pub command: &'a C,
    /// Who asked, why and as part of what.
    pub metadata: CommandMetadata,
    /// The time of the decision.
    pub now: Timestamp,
}

/// What the decider says to a command in the light of what was recorded by `at`. Nothing is written.
///
/// # Errors
/// As [`load_at`]. A rejection is an answer: it is in the `Ok`.
pub async fn decide_at<D: Decider>(
    store: &dyn EventStore,
    decider: &D,
    stream: &StreamName,
    at: AsOf,
    asked: Asked<'_, D::Command>,
) -> Result<Result<Vec<D::Event>, D::Rejection>, ReplayError> {
    let replayed = load_at(store, decider, stream, at).await?;
    let context = Context {
        stream: Some(stream.clone()),
        revision: replayed.revision,
        position: replayed.position,
        now: asked.now,
        metadata: asked.metadata,
    };
    Ok(decider.decide(&replayed.state, asked.command, &context))
}
