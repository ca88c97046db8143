//! How does someone outside learn of every event at least once, also after a crash?

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use factum_core::read_model::{Attempt, Fault, Progress, ProjectionName, Role, VersionNumber};
use factum_core::{
    AppendError, Checkpoint, Clock, ErrorKind, EventFilter, EventStore, EventStoreExt, EventType,
    ExpectedRevision, NewEvent, Position, Read, ReadError, RecordedEvent, Revision, Selector, StreamMetadata,
    StreamName, Subscribe, SubscribeFrom, SubscriptionMessage, SystemClock, SystemEvents,
};
use serde_json::{Value, json};

use crate::projection::{Board, Condition, LogEnd, StatusReport, report};

/// The type of the event that keeps how far a subscriber has come.
pub const SUBSCRIBER_CHECKPOINT_TYPE: &str = "$subscriberCheckpoint";
/// The type of the event that keeps an attempt which failed.
pub const SUBSCRIBER_ATTEMPT_TYPE: &str = "$subscriberAttempt";

/// Handled events after which the place is kept, unless nothing more comes: then it is kept at once.
const EVENTS_PER_CHECKPOINT: u64 = 500;
/// Positions that may be looked at without any event before the place is kept.
const POSITIONS_PER_CHECKPOINT: u64 = 10_000;
/// The wait after the first failed attempt; doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long an event is tried, unless told otherwise.
const DEFAULT_BUDGET: Duration = Duration::from_secs(300);

/// Handles events, one after the other: sends a mail, fills a search index, calls another service.
pub trait Handler: Send {
    /// Handles one event. It may get the same event again after a crash or a failed attempt: the event's id tells.
    ///
    /// # Errors
    /// Why it could not: it is tried again, with growing waits.
    fn handle(&mut self, event: &RecordedEvent) -> impl Future<Output = Result<(), String>> + Send;
}

/// Why a subscriber stopped.
#[derive(Debug, thiserror::Error)]
pub enum SubscriberError {
    /// An event could not be handled within the time given. Every attempt is kept in the store.
    #[error(
        "subscriber '{name}' stands still at position {} ({} in '{}') after {} attempts: {}; mend the cause and run it again",
        fault.position, fault.event_type, fault.stream, fault.attempts.len(),
        fault.attempts.last().map_or("", |attempt| attempt.error.as_str())
    )]
    Faulted {
        /// The subscriber.
        name: ProjectionName,
        /// The event and every attempt.
        fault: Box<Fault>,
    },
    /// Another process runs the same subscriber, and has come further: this one kept nothing more.
    #[error("subscriber '{name}' runs somewhere else too: this one stops")]
    TakenOver {
        /// The subscriber.
        name: ProjectionName,
    },
    /// What is kept of the subscriber's place cannot be read.
    #[error("the place of subscriber '{name}' cannot be read: {why}")]
    Malformed {
        /// The subscriber.
        name: ProjectionName,
        /// What is wrong.
        why: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The place could not be kept.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl SubscriberError {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Faulted { .. } => ErrorKind::Unavailable,
            Self::TakenOver { .. } => ErrorKind::Conflict,
            Self::Malformed { .. } => ErrorKind::Damaged,
            Self::Read(error) => error.kind(),
            Self::Append(error) => error.kind(),
        }
    }
}

/// A catch-up subscription with a name, whose place is kept in the store itself: **at least once**.
///
/// For targets that cannot commit together with a place; those that can are better served by a projection, which is
/// exactly once. History first, then live, without gap or duplicate between. A slow handler holds nobody up: what it has
/// not got to is read from disk.
///
/// The place is kept in the stream `subscriber:NAME`, the failed attempts, all of them, in `subscriber:NAME:attempts`.
pub struct Subscriber {
    name: ProjectionName,
    store: Arc<dyn EventStore>,
    selector: Selector,
    clock: Arc<dyn Clock>,
    budget: Duration,
    board: Arc<Board>,
    place: Place,
    origin: Checkpoint,
}

/// Where the place is kept, and the revision that the next one must follow.
struct Place {
    stream: StreamName,
    attempts: StreamName,
    last: Option<Revision>,
    kept: Checkpoint,
}

impl Subscriber {
    /// The subscriber of this name: where it left off, or at the beginning of the log.
    ///
    /// # Errors
    /// Where the log or the place cannot be read.
    pub async fn open(
        store: Arc<dyn EventStore>,
        name: ProjectionName,
        selector: Selector,
    ) -> Result<Self, SubscriberError> {
        Self::open_with(store, name, selector, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), on this clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        store: Arc<dyn EventStore>,
        name: ProjectionName,
        selector: Selector,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SubscriberError> {
        let origin =
            store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.at(Position::START);
        let malformed = |why: String| SubscriberError::Malformed { name: name.clone(), why };
        let stream = |text: String| StreamName::new(text).map_err(|error| malformed(error.to_string()));
        let places = stream(format!("subscriber:{name}"))?;
        let attempts = stream(format!("subscriber:{name}:attempts"))?;
        let (last, kept) = match store.last_event(places.clone()).await {
            Ok(Some(event)) => (Some(event.revision()), read_place(&event).map_err(malformed)?),
            Ok(None) | Err(ReadError::StreamNotFound { .. }) => (None, origin.clone()),
            Err(error) => return Err(error.into()),
        };
        kept.check(origin.store(), origin.epoch()).map_err(ReadError::from)?;
        let board =
            Board::new(vec![Progress::start(kept.clone())], &Condition::CatchingUp, Arc::clone(&clock));
        let place = Place { stream: places, attempts, last, kept };
        Ok(Self { name, store, selector, clock, budget: DEFAULT_BUDGET, board, place, origin })
    }

    /// Tries an event for so long before it stands still at it. By time and not by count: an outage of a minute should not
    /// use up what is meant for a poisonous event.
    #[must_use]
    pub fn try_for(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// How it is: status, lag in events and in time, and the event that it stands still at.
    ///
    /// # Errors
    /// Where the end of the log cannot be read.
    pub async fn status(&self) -> Result<StatusReport, ReadError> {
        let end = LogEnd::of(&*self.store).await?;
        Ok(report((&self.name, VersionNumber(1), Role::Serving), &self.board, end, self.clock.now()))
    }

    /// A look at the subscriber from elsewhere, while it runs.
    pub fn monitor(&self) -> SubscriberMonitor {
        SubscriberMonitor {
            name: self.name.clone(),
            store: Arc::clone(&self.store),
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Every attempt that failed, the oldest first: position of the event, when, and why.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn failed_attempts(&self) -> Result<Vec<(Position, Attempt)>, ReadError> {
        let events = match self.store.read_all(Read::stream(self.place.attempts.clone())).await {
            Ok(events) => events,
            Err(ReadError::StreamNotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let attempt = |event: &RecordedEvent| {
            let data: Value = serde_json::from_slice(event.data_slice()).ok()?;
            let at = data["at"].as_str()?.parse().ok()?;
            let error = data["error"].as_str()?.to_owned();
            Some((Position(data["position"].as_u64()?), Attempt { at, error }))
        };
        Ok(events.iter().filter_map(attempt).collect())
    }

    /// Hands events to `handler` until `until` is ready, or an event cannot be handled. Needs a tokio runtime with a timer.
    ///
    /// # Errors
    /// `Faulted` where an event could not be handled in time, `TakenOver` where the same subscriber runs elsewhere, or
    /// what failed of the log.
    pub async fn run<H: Handler>(
        &mut self,
        handler: &mut H,
        until: impl Future<Output = ()>,
    ) -> Result<(), SubscriberError> {
        let mut until = pin!(until);
        let mut applied = self.board.progress();
        applied.applied = self.place.kept.clone();
        applied.fault = None;
        self.board.advance(0, &applied, &Condition::CatchingUp);
        let filter = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
        let subscribe = Subscribe::to(self.selector.clone())
            .from(SubscribeFrom::Checkpoint(self.place.kept.clone()))
            .filter(filter);
        let mut subscription = self.store.subscribe(subscribe).await?;
        let mut condition = Condition::CatchingUp;
        let mut since_kept = 0;
        let ended = loop {
            let message = tokio::select! {
                biased;
                () = &mut until => break Ok(()),
                message = subscription.next() => message?,
            };
            let checkpoint = match message {
                SubscriptionMessage::Events { events, checkpoint } => {
                    let mut stopped = None;
                    for event in &events {
                        let handled = tokio::select! {
                            biased;
                            () = &mut until => { stopped = Some(Ok(())); break }
                            handled = self.handle(handler, event) => handled,
                        };
                        if let Err(fault) = handled {
                            stopped = Some(Err(fault));
                            break;
                        }
                        since_kept += 1;
                        applied.events += 1;
                        applied.recorded_at = Some(event.recorded_at());
                        applied.applied = checkpoint.at(event.position().next());
                        self.board.advance(0, &applied, &condition);
                        if since_kept >= EVENTS_PER_CHECKPOINT {
                            self.keep(&applied.applied).await?;
                            since_kept = 0;
                        }
                    }
                    if let Some(stopped) = stopped {
                        break stopped;
                    }
                    checkpoint
                }
                SubscriptionMessage::Checkpoint(checkpoint) => checkpoint,
                SubscriptionMessage::CaughtUp(checkpoint) => {
                    condition = Condition::Live;
                    checkpoint
                }
            };
            applied.applied = checkpoint;
            self.board.advance(0, &applied, &condition);
            if since_kept > 0 && condition == Condition::Live || self.looked_far(&applied.applied) {
                self.keep(&applied.applied).await?;
                since_kept = 0;
            }
        };
        // What has been handled need not be handled again, also where it ends at a fault.
        let kept = self.keep(&applied.applied).await;
        match ended {
            Ok(()) => {
                self.board.condition(0, Condition::Stopped("it was told to stop".to_owned()));
                kept
            }
            Err(fault) => {
                applied.fault = Some(fault.clone());
                self.board.advance(0, &applied, &Condition::Faulted(fault.clone()));
                kept?;
                Err(SubscriberError::Faulted { name: self.name.clone(), fault: Box::new(fault) })
            }
        }
    }

    fn looked_far(&self, at: &Checkpoint) -> bool {
        let next = |checkpoint: &Checkpoint| checkpoint.next_position().unwrap_or_default().0;
        next(at) >= next(&self.place.kept) + POSITIONS_PER_CHECKPOINT
    }

    async fn handle<H: Handler>(&self, handler: &mut H, event: &RecordedEvent) -> Result<(), Fault> {
        let mut fault = Fault {
            position: event.position(),
            event: event.id(),
            stream: event.stream().to_owned(),
            event_type: event.event_type().to_owned(),
            attempts: Vec::new(),
        };
        let give_up_at = self.clock.now().saturating_add(self.budget);
        let mut wait = FIRST_WAIT;
        loop {
            let Err(error) = handler.handle(event).await else { return Ok(()) };
            let attempt = Attempt { at: self.clock.now(), error };
            self.keep_attempt(&fault, &attempt).await;
            fault.failed_again(attempt);
            if self.clock.now() >= give_up_at {
                return Err(fault);
            }
            self.board
                .condition(0, Condition::Unavailable(format!("position {} is tried again", fault.position)));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Best effort: that an attempt cannot be noted must not stop what it was an attempt of. It is in the fault too.
    async fn keep_attempt(&self, fault: &Fault, attempt: &Attempt) {
        let data = json!({
            "position": fault.position.0,
            "eventId": fault.event.to_string(),
            "stream": fault.stream,
            "eventType": fault.event_type,
            "attempt": fault.attempts.len() + 1,
            "at": attempt.at.to_string(),
            "error": attempt.error,
        });
        if let Ok(event_type) = EventType::new(SUBSCRIBER_ATTEMPT_TYPE) {
            let event = NewEvent::json(event_type, data.to_string());
            let _ =
                self.store.append_to(self.place.attempts.clone(), ExpectedRevision::Any, vec![event]).await;
        }
    }

    async fn keep(&mut self, at: &Checkpoint) -> Result<(), SubscriberError> {
        if *at == self.place.kept {
            return Ok(());
        }
        let event_type = EventType::new(SUBSCRIBER_CHECKPOINT_TYPE)
            .map_err(|error| AppendError::Invalid { why: error.to_string() })?;
        let event = NewEvent::json(event_type, json!({ "checkpoint": at.to_string() }).to_string());
        // The exact revision is the fence: of two that run, the one that kept last goes on.
        let expected = self.place.last.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        match self.store.append_to(self.place.stream.clone(), expected, vec![event]).await {
            Ok(appended) => {
                if self.place.last.is_none() {
                    let newest_only = StreamMetadata { max_count: Some(1), ..StreamMetadata::default() };
                    self.store.set_stream_metadata(self.place.stream.clone(), &newest_only).await?;
                }
                self.place.last = appended.streams.first().and_then(|stream| stream.last);
                self.place.kept = self.origin.at(at.next_position().unwrap_or_default());
                Ok(())
            }
            Err(AppendError::Conflict { .. }) => Err(SubscriberError::TakenOver { name: self.name.clone() }),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_place(event: &RecordedEvent) -> Result<Checkpoint, String> {
    let data: Value = serde_json::from_slice(event.data_slice()).map_err(|error| error.to_string())?;
    let text = data["checkpoint"].as_str().ok_or("its event has no 'checkpoint'")?;
    text.parse().map_err(|error: factum_core::CheckpointError| error.to_string())
}

/// A look at a running [`Subscriber`]. A clone is cheap.
#[derive(Clone)]
pub struct SubscriberMonitor {
    name: ProjectionName,
    store: Arc<dyn EventStore>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
}

impl SubscriberMonitor {
    /// As [`Subscriber::status`].
    ///
    /// # Errors
    /// Where the end of the log cannot be read.
    pub async fn status(&self) -> Result<StatusReport, ReadError> {
        let end = LogEnd::of(&*self.store).await?;
        Ok(report((&self.name, VersionNumber(1), Role::Serving), &self.board, end, self.clock.now()))
    }

    /// Waits until everything up to `token` has been handled, at most so long.
    ///
    /// # Errors
    /// Where the token is of another store, or of another epoch of it.
    pub async fn wait(
        &self,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<crate::Waited, factum_core::CheckpointError> {
        self.board.wait(None, token, at_most).await
    }
}
