//! How are events applied, so that each takes effect once and a bad one stops its own partition only?

use std::collections::BTreeMap;
use std::sync::Arc;

use factum_core::read_model::{Attempt, Fault, Progress, ReadModelError, ReadModelWriter, Skip};
use factum_core::{Checkpoint, Clock, Position, RecordedEvent, Redaction, Timestamp, with_causes};
use factum_vault::{KeysDestroyed, Unavailable};

use super::{ApplyError, ChangedTags, Model, Projection};

/// Who passes over an event that was redacted.
const REDACTION_ACTOR: &str = "factum";

/// An event as the reader hands it over.
pub(crate) struct Item<E> {
    pub(crate) recorded: RecordedEvent,
    /// `None` where it does not concern the projection.
    pub(crate) event: Result<Option<Applied<E>>, ApplyError>,
}

/// What changes rows.
pub(crate) enum Applied<E> {
    /// An event of the projection.
    Event(E),
    /// Someone is to be forgotten.
    Erasure(KeysDestroyed),
}

/// Events in log order, and the place up to which the log has been looked at.
pub(crate) struct Batch<E> {
    pub(crate) items: Vec<Item<E>>,
    pub(crate) next: Checkpoint,
}

/// Why nothing more is applied.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// An event cannot be applied. It is kept in the progress.
    Fault,
    /// The database cannot work.
    ReadModel(ReadModelError),
    /// Personal data cannot be opened now. Nothing stands for it meanwhile.
    Vault(Unavailable),
}

impl From<ReadModelError> for Stopped {
    fn from(error: ReadModelError) -> Self {
        Self::ReadModel(error)
    }
}

/// Applies batches to one partition. It has no threads and waits for nothing: tests call it directly.
pub(crate) struct Applier<P> {
    projection: Arc<P>,
    writer: Box<dyn ReadModelWriter>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    skips: BTreeMap<Position, Skip>,
    changed: ChangedTags,
}

impl<P: Projection> Applier<P> {
    pub(crate) fn new(
        projection: Arc<P>,
        writer: Box<dyn ReadModelWriter>,
        skips: Vec<Skip>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let skips = skips.into_iter().map(|skip| (skip.position, skip)).collect();
        let progress = writer.progress().clone();
        Self { projection, writer, clock, progress, skips, changed: ChangedTags::default() }
    }

    /// What has been committed, and what it stands still at.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What the commits since the last call changed.
    pub(crate) fn take_changed(&mut self) -> ChangedTags {
        std::mem::take(&mut self.changed)
    }

    /// Applies a batch in as few transactions as it takes.
    ///
    /// Where an event of it cannot be applied, the batch is halved until that event stands alone: what was before it is
    /// committed, it is kept as the fault, and what comes after it is left for another time.
    pub(crate) fn apply(&mut self, batch: &Batch<P::Event>) -> Result<(), Stopped> {
        // After the database was opened again, the log may give once more what is in the rows already.
        let done = self.progress.applied.next_position().unwrap_or_default();
        let first = batch.items.partition_point(|item| item.recorded.position() < done);
        if batch.next.next_position().unwrap_or_default() < done {
            return Ok(());
        }
        self.apply_range(&batch.items[first..], &batch.next)
    }

    fn apply_range(&mut self, items: &[Item<P::Event>], next: &Checkpoint) -> Result<(), Stopped> {
        let error = match self.attempt(items, next) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Nothing of the attempt is kept. That giving up fails too adds nothing to know.
        let _ = self.writer.rollback();
        if !error.is_about_the_event() {
            return Err(match error {
                ApplyError::ReadModel(error) => Stopped::ReadModel(error),
                ApplyError::Unavailable(reason) => Stopped::Vault(reason),
                _ => Stopped::Fault,
            });
        }
        match items {
            [] => Err(Stopped::ReadModel(ReadModelError::Failed {
                database: "the read model".to_owned(),
                why: format!("keeping the progress failed: {error}"),
            })),
            [item] => match item.recorded.redaction() {
                Some(redaction) => {
                    self.pass_over(item.recorded.position(), redaction)?;
                    self.apply_range(items, next)
                }
                None => self.stand_still_at(item, &error),
            },
            _ => {
                let (before, after) = items.split_at(items.len() / 2);
                let between =
                    before.last().map_or(next.clone(), |item| next.at(item.recorded.position().next()));
                self.apply_range(before, &between)?;
                self.apply_range(after, next)
            }
        }
    }

    /// One transaction: all of these events and the place after them.
    fn attempt(&mut self, items: &[Item<P::Event>], next: &Checkpoint) -> Result<(), ApplyError> {
        let mut changed = ChangedTags::default();
        let mut applied = 0;
        self.writer.begin()?;
        for Item { recorded, event } in items {
            if !self.skips.is_empty() && self.skips.contains_key(&recorded.position()) {
                continue;
            }
            match event {
                Ok(Some(Applied::Event(event))) => {
                    let mut model = Model::new(&mut *self.writer, &mut changed);
                    self.projection.apply(event, recorded, &mut model)?;
                    applied += 1;
                }
                Ok(Some(Applied::Erasure(erased))) => {
                    let mut model = Model::new(&mut *self.writer, &mut changed);
                    self.projection.forget(erased, recorded, &mut model)?;
                    // No cache may keep what was erased because a tag was not thought of.
                    changed.merge(ChangedTags::Everything);
                }
                Ok(None) => {}
                Err(ApplyError::Unavailable(reason)) => return Err(ApplyError::Unavailable(*reason)),
                Err(error) => return Err(ApplyError::Refused(with_causes(error))),
            }
        }
        let recorded_at = items.last().map(|item| item.recorded.recorded_at());
        let progress = Progress {
            applied: next.clone(),
            recorded_at: recorded_at.or(self.progress.recorded_at),
            events: self.progress.events + applied,
            fault: None,
        };
        self.writer.commit(&progress)?;
        self.progress = progress;
        self.changed.merge(changed);
        Ok(())
    }

    fn stand_still_at(&mut self, item: &Item<P::Event>, error: &ApplyError) -> Result<(), Stopped> {
        let event = &item.recorded;
        let earlier = self.progress.fault.take().filter(|fault| fault.position == event.position());
        let mut fault = earlier.unwrap_or_else(|| Fault {
            position: event.position(),
            event: event.id(),
            stream: event.stream().to_owned(),
            event_type: event.event_type().to_owned(),
            attempts: Vec::new(),
        });
        fault.failed_again(Attempt { at: self.clock.now(), error: with_causes(error) });
        let kept = self.writer.set_fault(Some(&fault));
        self.progress.fault = Some(fault);
        kept?;
        Err(Stopped::Fault)
    }

    /// Passes over an event whose data was redacted: no attempt and no operator can bring it back. Kept as a skip, with the
    /// reason of the redaction.
    fn pass_over(&mut self, position: Position, redaction: &Redaction) -> Result<(), ReadModelError> {
        let reason = format!("redacted: {}", redaction.reason);
        let skip = Skip { position, actor: REDACTION_ACTOR.to_owned(), reason, at: self.clock.now() };
        self.writer.skip(&skip)?;
        self.skips.insert(position, skip);
        Ok(())
    }

    /// Passes the event over that it stands still at; `None` where it stands still at another one, or none.
    pub(crate) fn skip(
        &mut self,
        position: Position,
        actor: &str,
        reason: &str,
    ) -> Result<Option<Fault>, ReadModelError> {
        if self.progress.fault.as_ref().is_none_or(|fault| fault.position != position) {
            return Ok(None);
        }
        let at: Timestamp = self.clock.now();
        let skip = Skip { position, actor: actor.to_owned(), reason: reason.to_owned(), at };
        self.writer.skip(&skip)?;
        self.writer.set_fault(None)?;
        self.skips.insert(position, skip);
        Ok(self.progress.fault.take())
    }
}
