//! A subscription: a confirmation, then what is there, then the word that it is caught up, then what comes.

use std::sync::Arc;

use crate::stopping::Stopping;
use factum_core::{
    Checkpoint as Place, Direction, Position, ReadError, RecordedEvent, Subscribe, Subscription,
    SubscriptionMessage, Timestamp,
};
use factum_protocol::wire::v1::AllStreamPosition;
use factum_protocol::wire::v1::streams::read_resp::{
    CaughtUp, Checkpoint, Content, SubscriptionConfirmation,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tonic::Status;
use uuid::Uuid;

use super::Answers;
use super::read_answer::Answer;
use super::read_options::Reading;
use crate::access::{Action, Hold};
use crate::call::Call;
use crate::filter::Filter;
use crate::shared::Shared;
use crate::source::Source;
use crate::status;

/// Ticks of 100 ns in a second.
const TICKS: i64 = 10_000_000;
/// Nanoseconds in a tick.
const TICK_NANOS: i64 = 100;

/// Begins the subscription, and gives its answers.
pub(super) async fn answers(
    shared: Arc<Shared>,
    call: Call,
    reading: Reading,
) -> Result<Answers<Answer>, Status> {
    debug_assert_eq!(reading.direction, Direction::Forwards, "options refuse the other");
    let hold = shared.access.hold(&call);
    shared.access.check(&call.caller, Action::Read(reading.source.name())).await?;
    let filter =
        reading.filter.as_ref().map_or_else(|| reading.source.filter(), |filter| filter.store.clone());
    let request = Subscribe::to(reading.source.selector()).from(reading.subscribe_from()).filter(filter);
    let subscription = shared.store.subscribe(request).await.map_err(|error| status::of_read(&error))?;
    let confirmation = SubscriptionConfirmation { subscription_id: Uuid::new_v4().to_string() };
    let stopping = shared.stopping.clone();
    let following = Following {
        shared,
        call,
        reading,
        subscription,
        stopping,
        hold,
        told: None,
        looked_at: None,
        last_revision: None,
    };
    let rest = stream::try_unfold(following, Following::step)
        .map_ok(|answers| stream::iter(answers).map(Ok))
        .try_flatten();
    Ok(Box::pin(stream::iter([Ok(Answer::of(Content::Confirmation(confirmation)))]).chain(rest)))
}

struct Following {
    shared: Arc<Shared>,
    call: Call,
    reading: Reading,
    subscription: Box<dyn Subscription>,
    stopping: Stopping,
    /// The right to read on.
    hold: Hold,
    /// The last position that a checkpoint named.
    told: Option<Position>,
    /// The last position that was looked at.
    looked_at: Option<Position>,
    /// The last revision that was given.
    last_revision: Option<u64>,
}

impl Following {
    async fn step(mut self) -> Result<Option<(Vec<Answer>, Self)>, Status> {
        let message = tokio::select! {
            biased;
            () = self.stopping.wait() => return Err(status::stopping()),
            status = self.hold.lost(Action::Read(self.reading.source.name())) => return Err(status),
            message = self.subscription.next() => message.map_err(|error| status::of_read(&error))?,
        };
        self.hold.still(Action::Read(self.reading.source.name())).await?;
        let answers = match message {
            SubscriptionMessage::Events { events, checkpoint } => {
                let mut answers = self.events(events).await.map_err(|error| status::of_read(&error))?;
                answers.extend(self.looked(&checkpoint));
                answers
            }
            SubscriptionMessage::Checkpoint(checkpoint) => self.looked(&checkpoint).into_iter().collect(),
            SubscriptionMessage::CaughtUp(checkpoint) => self.caught_up(&checkpoint),
        };
        Ok(Some((answers, self)))
    }

    async fn events(&mut self, events: Vec<RecordedEvent>) -> Result<Vec<Answer>, ReadError> {
        self.reading.links.prepare(&self.shared, &self.reading.source).await?;
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            let position = event.position();
            if self.reading.filter.as_ref().is_none_or(|filter| filter.passes(&event))
                && let Some(placed) = self.reading.source.place(event)
            {
                let resolved = self.reading.links.apply(&self.shared, &self.call, placed).await?;
                self.last_revision = resolved.original().map(|event| event.revision().0);
                answers.extend(Answer::event(self.reading.form, resolved));
            }
            answers.extend(self.passed(position));
        }
        Ok(answers)
    }

    /// Everything up to the checkpoint was looked at.
    fn looked(&mut self, checkpoint: &Place) -> Option<Answer> {
        self.passed(last_before(checkpoint)?)
    }

    /// `position` was looked at: a checkpoint, if enough was looked at since the last one.
    fn passed(&mut self, position: Position) -> Option<Answer> {
        self.looked_at = Some(position);
        let Filter { interval, .. } = self.reading.filter.as_ref()?;
        let since = match self.told {
            Some(told) => position.0.saturating_sub(told.0),
            None => position.0.saturating_add(1),
        };
        if since < *interval { None } else { self.checkpoint(position) }
    }

    fn checkpoint(&mut self, position: Position) -> Option<Answer> {
        if self.told == Some(position) {
            return None;
        }
        self.told = Some(position);
        Some(Answer::of(Content::Checkpoint(Checkpoint {
            commit_position: position.0,
            prepare_position: position.0,
            timestamp: Some(timestamp(self.shared.options.clock.now())),
        })))
    }

    fn caught_up(&mut self, checkpoint: &Place) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(2);
        let last = last_before(checkpoint);
        if self.reading.filter.is_some() {
            answers.extend(last.and_then(|last| self.checkpoint(last)));
        }
        let of_log = matches!(self.reading.source, Source::All);
        answers.push(Answer::of(Content::CaughtUp(CaughtUp {
            timestamp: Some(timestamp(self.shared.options.clock.now())),
            stream_revision: if of_log {
                None
            } else {
                self.last_revision.and_then(|revision| i64::try_from(revision).ok())
            },
            position: last
                .filter(|_| of_log)
                .map(|last| AllStreamPosition { commit_position: last.0, prepare_position: last.0 }),
        })));
        answers
    }
}

/// The last position before the place.
fn last_before(checkpoint: &Place) -> Option<Position> {
    checkpoint.next_position()?.0.checked_sub(1).map(Position)
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.0.div_euclid(TICKS),
        nanos: i32::try_from(at.0.rem_euclid(TICKS) * TICK_NANOS).unwrap_or_default(),
    }
}
