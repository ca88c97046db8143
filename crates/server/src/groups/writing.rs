//! What does a group have to write, and what came of it?
//!
//! One write is under way at a time. Events are put aside before the checkpoint that counts them as handled.

use factum_core::{AppendError, EventId, with_causes};

use super::config::place_text;
use super::group::Effect;
use super::key::GroupStreams;
use super::ranges::Ranges;
use super::storage::{self, ToPark, WhichCheckpoint};
use crate::shared::Shared;
use crate::source::{Resolved, Source};

/// What is to be written.
#[derive(Debug)]
pub(super) struct Job {
    park: Vec<(EventId, ToPark)>,
    checkpoint: Option<String>,
    which: WhichCheckpoint,
    /// Parked events that are not needed any more.
    forget: Ranges,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Put aside.
    pub(super) parked: Vec<EventId>,
    /// Not put aside.
    pub(super) not_parked: Vec<EventId>,
    /// Whether the checkpoint was written, if there was one to write.
    pub(super) checkpoint: Option<Result<(), ()>>,
    /// Parked events that were to be forgotten, and are not.
    pub(super) not_forgotten: Ranges,
    /// What went wrong.
    pub(super) trouble: Option<String>,
}

impl Job {
    /// Nothing, for a group that begins to run.
    pub(super) fn new() -> Self {
        Self { park: Vec::new(), checkpoint: None, which: WhichCheckpoint::First, forget: Ranges::default() }
    }

    /// The group has written a checkpoint.
    pub(super) fn has_checkpoint(&mut self) {
        self.which = WhichCheckpoint::Later;
    }

    /// Adds what is to be written; what is delivered is not.
    pub(super) fn add(&mut self, effect: Effect<std::sync::Arc<Resolved>>, source: &Source) {
        match effect {
            Effect::Park { id, reason, event, .. } => {
                self.park.push((id, ToPark { resolved: event, reason }));
            }
            Effect::Checkpoint(place) => self.checkpoint = Some(place_text(source, place)),
            Effect::ForgetParked(events) => self.forget(&events),
            Effect::Deliver { .. } | Effect::Replayed { .. } => {}
        }
    }

    /// These parked events are not needed any more.
    pub(super) fn forget(&mut self, events: &Ranges) {
        self.forget.extend(events);
    }

    /// What there is to do, if there is anything.
    pub(super) fn take(&mut self) -> Option<Self> {
        let idle = self.park.is_empty() && self.checkpoint.is_none() && self.forget.is_empty();
        let empty = Self { park: Vec::new(), checkpoint: None, which: self.which, forget: Ranges::default() };
        if idle { None } else { Some(std::mem::replace(self, empty)) }
    }

    /// Does it.
    pub(super) async fn carry_out(self, shared: &Shared, streams: &GroupStreams) -> Written {
        let store = shared.store.as_ref();
        let mut written = Written::default();
        if !self.park.is_empty() {
            let (ids, events): (Vec<_>, Vec<_>) = self.park.into_iter().unzip();
            match storage::park(store, streams, &events, shared.options.clock.now()).await {
                Ok(()) => written.parked = ids,
                Err(error) => {
                    written.not_parked = ids;
                    written.fails("events cannot be parked", &error);
                }
            }
        }
        if let Some(place) = self.checkpoint {
            let outcome = storage::write_checkpoint(store, streams, place, self.which).await;
            written.checkpoint =
                Some(outcome.map_err(|error| written.fails("no checkpoint can be written", &error)));
        }
        if !self.forget.is_empty() {
            match storage::forget_parked(store, &streams.parked, &self.forget).await {
                Ok(left) => written.not_forgotten = left,
                Err(error) => {
                    written.not_forgotten = self.forget;
                    written.fails("handled events stay parked", &error);
                }
            }
        }
        written
    }
}

impl Written {
    fn fails(&mut self, what: &str, error: &AppendError) {
        self.trouble = Some(format!("{what}: {}", with_causes(error)));
    }
}
