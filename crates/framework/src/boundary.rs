//! Decisions over a query instead of one stream: which events a decision rests on, and where its own go.

use std::fmt;
use std::sync::Arc;

use factum_core::{
    Append, AppendCondition, AppendError, Capability, EventType, ExpectedRevision, NameError, Position,
    Query, QueryItem, Read, ReadError, ReadFrom, Selector, StreamName, StreamWrite, Tag,
};

use crate::codec::EncodeError;
use crate::execute::{applied, new_events};
use crate::outcome::{ExecuteError, MAX_CHANGES_NAMED, Outcome};
use crate::repeated::refused;
use crate::replay::Replayed;
use crate::{CommandMetadata, Context, Decider, Event, Executor, ReplayError};

type Route<E> = Arc<dyn Fn(&E) -> StreamName + Send + Sync>;

/// What one decision rests on, and to which streams its events go.
///
/// The decision holds if no event that matches the query was appended since it was read: other events in the same
/// streams do not matter. Boundaries have no snapshots: each decision folds every event that matches.
///
/// ```
/// use std::sync::Arc;
/// use factum::{Boundary, CommandMetadata, Context, Decider, Event, Executor, RetryPolicy};
/// use factum_core::{MemoryStore, StreamName, Tag};
///
/// #[derive(Debug, Event)]
/// enum Enrolment {
///     SeatTaken {
///         #[event(tag = "course")]
///         course: String,
///         #[event(tag = "student")]
///         student: String,
///     },
/// }
///
/// /// A course has two seats, whichever student's stream they are recorded in.
/// struct Seats;
/// struct TakeSeat { course: String, student: String }
///
/// impl Decider for Seats {
///     type State = usize;
///     type Command = TakeSeat;
///     type Event = Enrolment;
///     type Rejection = &'static str;
///     fn initial_state(&self) -> usize { 0 }
///     fn evolve(&self, taken: &mut usize, _: &Enrolment) { *taken += 1; }
///     fn decide(&self, taken: &usize, command: &TakeSeat, _: &Context) -> Result<Vec<Enrolment>, &'static str> {
///         let TakeSeat { course, student } = command;
///         let seat = Enrolment::SeatTaken { course: course.clone(), student: student.clone() };
///         if *taken < 2 { Ok(vec![seat]) } else { Err("the course is full") }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let seats = Executor::new(Arc::new(MemoryStore::new()), Seats, RetryPolicy::attempts(5));
/// for (student, seated) in [("ada", true), ("grace", true), ("tony", false)] {
///     let command = TakeSeat { course: "c1".to_owned(), student: student.to_owned() };
///     let stream = StreamName::new(format!("student-{student}"))?;
///     let boundary = Boundary::tags([Tag::new("course:c1")?], stream)?;
///     let outcome = seats.execute_within(&boundary, &command, &CommandMetadata::new()).await;
///     assert_eq!(outcome.is_ok(), seated);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Boundary<E> {
    query: Query,
    route: Route<E>,
}

impl<E> Clone for Boundary<E> {
    fn clone(&self) -> Self {
        Self { query: self.query.clone(), route: Arc::clone(&self.route) }
    }
}

impl<E> fmt::Debug for Boundary<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boundary").field("query", &self.query).finish_non_exhaustive()
    }
}

impl<E: Event> Boundary<E> {
    /// A decision over the events that match `query`; its own events go to `stream`.
    ///
    /// The query may only match events of `E`: another one is refused when it is read.
    pub fn new(query: Query, stream: StreamName) -> Self {
        Self { query, route: Arc::new(move |_| stream.clone()) }
    }

    /// A decision over all events of `E` that carry all of these tags; its own events go to `stream`.
    ///
    /// # Errors
    /// Where one of `E`'s kinds has a name that no store takes.
    pub fn tags(tags: impl IntoIterator<Item = Tag>, stream: StreamName) -> Result<Self, NameError> {
        Ok(Self::new(Query::item(every_kind::<E>()?.and_tags(tags)), stream))
    }

    /// And over all events of `E` that carry all of these other tags.
    ///
    /// # Errors
    /// Where one of `E`'s kinds has a name that no store takes.
    pub fn or_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Result<Self, NameError> {
        self.query = self.query.or(every_kind::<E>()?.and_tags(tags));
        Ok(self)
    }

    /// With each event going to the stream that `route` names.
    #[must_use]
    pub fn routed(mut self, route: impl Fn(&E) -> StreamName + Send + Sync + 'static) -> Self {
        self.route = Arc::new(route);
        self
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The events, each with its stream, neighbours of the same stream together.
    fn writes(&self, events: &[E], metadata: &CommandMetadata) -> Result<Vec<StreamWrite>, EncodeError> {
        let mut writes: Vec<StreamWrite> = Vec::new();
        let (new, _) = new_events(events, metadata)?;
        for (index, new) in new.into_iter().enumerate() {
            let stream = (self.route)(&events[index]);
            match writes.last_mut() {
                Some(write) if write.stream == stream => write.events.push(new),
                _ => writes.push(StreamWrite { stream, expected: ExpectedRevision::Any, events: vec![new] }),
            }
        }
        Ok(writes)
    }
}

/// Every event of `E`, under its current and its historical names: another type could not be folded.
fn every_kind<E: Event>() -> Result<QueryItem, NameError> {
    let names = E::kinds().iter().flat_map(crate::EventKind::names);
    Ok(QueryItem::types(names.map(EventType::new).collect::<Result<Vec<_>, _>>()?))
}

/// The state that a query's events came to, and how far the log had been read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundaryState<S> {
    /// The state, and the events that it rests on.
    pub replayed: Replayed<S>,
    /// The last position that the read could see, whether it matched or not; `None` where the log was empty.
    pub after: Option<Position>,
}

impl<D: Decider> Executor<D> {
    /// The state of a boundary now. `after` is of the same snapshot as the events.
    ///
    /// # Errors
    /// `Decode` where a matching event is not one of the decider's; `Store` where reading fails, or the store's logs
    /// have no one order.
    pub async fn load_boundary(
        &self,
        boundary: &Boundary<D::Event>,
    ) -> Result<BoundaryState<D::State>, ReplayError> {
        let mut reader = self.store.read(Read::forwards(Selector::Query(boundary.query.clone()))).await?;
        // Taken from the reader itself, before any event is read: what is appended from here on comes after it.
        let next = reader
            .head()
            .snapshot
            .next_position()
            .ok_or(ReadError::Unsupported { capability: Capability::QueryConditions })?;
        let mut replayed = Replayed::new(self.decider.initial_state());
        replayed.apply_all(&self.decider, &mut *reader).await?;
        Ok(BoundaryState { replayed, after: next.0.checked_sub(1).map(Position) })
    }

    /// Executes one command over a boundary. Nothing to do is an answer only while no further event matches: it is
    /// checked like any other decision, and writes nothing.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_within(
        &self,
        boundary: &Boundary<D::Event>,
        command: &D::Command,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<D::Event>, ExecuteError<D::Rejection>> {
        let now = self.clock.now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some(applied) = self.seen_without_append_ids(metadata, None, attempts).await? {
                return Ok(Outcome::AlreadyApplied(applied));
            }
            let BoundaryState { replayed, after } = self.load_boundary(boundary).await?;
            let position = replayed.position;
            let context = Context { position, now, metadata: metadata.clone(), ..Context::default() };
            let decided = self.decider.decide(&replayed.state, command, &context);
            if !decided.as_ref().is_ok_and(|events| !events.is_empty())
                && let Some(applied) = self.seen(metadata, None, attempts).await?
            {
                return Ok(Outcome::AlreadyApplied(applied));
            }
            let events = decided.map_err(ExecuteError::Rejected)?;
            let condition = AppendCondition::FailIfEventsMatch { query: boundary.query.clone(), after };
            let append = Append {
                append_id: if events.is_empty() { None } else { self.append_id(metadata) },
                writes: boundary.writes(&events, metadata)?,
                conditions: vec![condition],
                checks: Vec::new(),
            };
            match self.store.append(append).await {
                Ok(_) if events.is_empty() => return Ok(Outcome::Nothing { attempts }),
                Ok(appended) if appended.deduplicated => {
                    return self.repeated(metadata, None, attempts).await;
                }
                Ok(appended) => return Ok(Outcome::Applied(applied(events, appended, attempts))),
                Err(AppendError::Conflict { failed }) => {
                    if self.retries.is_over(attempts) {
                        let from = after.map_or(Position::START, Position::next);
                        let read = Read::forwards(Selector::Query(boundary.query.clone()))
                            .from(ReadFrom::Position(from))
                            .limit(MAX_CHANGES_NAMED as u64);
                        let changed = self.changes(read).await;
                        return Err(ExecuteError::Conflict { attempts, failed, changed });
                    }
                }
                Err(error) => return Err(refused(error, metadata)),
            }
        }
    }
}
