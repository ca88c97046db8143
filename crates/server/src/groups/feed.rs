//! What comes from the source of a group, in its order, as its consumers will see it?

use std::collections::VecDeque;
use std::sync::Arc;

use factum_core::{
    EventFilter, Position, ReadError, RecordedEvent, Revision, Subscribe, SubscribeFrom, Subscription,
    SubscriptionMessage,
};

use super::group::{Entry, Spot};
use super::pinning;
use super::settings::Strategy;
use super::storage::{ParkedEvent, place_of};
use crate::call::Call;
use crate::filter::Filter;
use crate::links::Links;
use crate::shared::Shared;
use crate::source::{Resolved, Source};

/// An event of a group, shared by its buffers and its consumers.
pub(super) type Item = Entry<Arc<Resolved>>;

/// What a group reads.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// From where.
    pub(super) source: Source,
    /// What of it.
    pub(super) filter: Option<Filter>,
    /// What is shown of links.
    pub(super) links: Links,
    /// What events are pinned by.
    pub(super) strategy: Strategy,
    /// The first place that belongs to the group.
    pub(super) first: u64,
}

/// A part of a source.
#[derive(Debug)]
pub(super) struct Batch {
    /// The events.
    pub(super) items: VecDeque<Item>,
    /// Up to here, with this place, the source was looked at.
    pub(super) looked: Option<u64>,
    /// Whether that is all there is.
    pub(super) reached: Reached,
}

/// How far a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// There may be more.
    More,
    /// To the end of the source.
    End,
}

/// A source that is being read.
pub(super) struct Feed {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    subscription: Box<dyn Subscription>,
}

impl Feed {
    /// Begins with the place after `after`, or with the first one.
    ///
    /// # Errors
    /// `ReadError` where the store refuses.
    pub(super) async fn open(
        shared: Arc<Shared>,
        plan: Arc<Plan>,
        after: Option<u64>,
    ) -> Result<Self, ReadError> {
        let filter = plan.filter.as_ref().map_or_else(|| plan.source.filter(), |filter| filter.store.clone());
        let before = after.or_else(|| plan.first.checked_sub(1));
        let from = before.map_or(SubscribeFrom::Start, |place| plan.from(place));
        let subscription = match subscribe(&shared, &plan, from, filter.clone()).await {
            // A group may begin at a place that is still to come.
            Err(ReadError::BeyondEnd { .. }) if after.is_none() => {
                subscribe(&shared, &plan, SubscribeFrom::End, filter).await?
            }
            outcome => outcome?,
        };
        Ok(Self { shared, plan, subscription })
    }

    /// The next part; waits for one.
    pub(super) async fn next(mut self) -> (Self, Result<Batch, ReadError>) {
        let batch = self.batch().await;
        (self, batch)
    }

    async fn batch(&mut self) -> Result<Batch, ReadError> {
        let (events, checkpoint, reached) = match self.subscription.next().await? {
            SubscriptionMessage::Events { events, checkpoint } => (events, checkpoint, Reached::More),
            SubscriptionMessage::Checkpoint(checkpoint) => (Vec::new(), checkpoint, Reached::More),
            SubscriptionMessage::CaughtUp(checkpoint) => (Vec::new(), checkpoint, Reached::End),
        };
        let looked = match self.plan.source {
            Source::Stream(_) => events.last().map(|event| event.revision().0),
            Source::All | Source::Index(_) => {
                checkpoint.next_position().and_then(|next| next.0.checked_sub(1))
            }
        };
        let mut items = VecDeque::with_capacity(events.len());
        for event in events {
            items.extend(self.plan.item(&self.shared, event).await?);
        }
        Ok(Batch { items, looked, reached })
    }
}

/// A parked event, to be delivered again.
pub(super) fn parked_item(strategy: Strategy, parked: ParkedEvent) -> Option<Item> {
    item(strategy, Spot::Parked(parked.revision), parked.resolved)
}

fn item(strategy: Strategy, spot: Spot, resolved: Resolved) -> Option<Item> {
    let id = resolved.original()?.id();
    let bytes = [&resolved.event, &resolved.link].into_iter().flatten().map(|event| event.body().len()).sum();
    let key = pinning::key(strategy, &resolved);
    Some(Entry { id, spot, key, bytes, retries: 0, event: Arc::new(resolved) })
}

impl Plan {
    async fn item(&self, shared: &Shared, event: RecordedEvent) -> Result<Option<Item>, ReadError> {
        let place = place_of(&self.source, &event);
        let passes = self.filter.as_ref().is_none_or(|filter| filter.passes(&event));
        if !passes || place < self.first {
            return Ok(None);
        }
        // It may be held for long: not with the whole page that it came in.
        let Some(placed) = self.source.place(event.detach()) else { return Ok(None) };
        // The group has the rights of the server: who reads it was asked for theirs.
        let resolved = self.links.apply(shared, &Call::default(), placed).await?;
        Ok(item(self.strategy, Spot::Source(place), resolved))
    }

    fn from(&self, after: u64) -> SubscribeFrom {
        match self.source {
            Source::Stream(_) => SubscribeFrom::AfterRevision(Revision(after)),
            Source::All | Source::Index(_) => SubscribeFrom::AfterPosition(Position(after)),
        }
    }
}

async fn subscribe(
    shared: &Shared,
    plan: &Plan,
    from: SubscribeFrom,
    filter: EventFilter,
) -> Result<Box<dyn Subscription>, ReadError> {
    shared.store.subscribe(Subscribe::to(plan.source.selector()).from(from).filter(filter)).await
}
