//! What is due, and what next? Indexes over all instances, in memory, made from the log.

use std::sync::Arc;

use factum_core::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Heart, Slot, Taken};
use crate::CommandMetadata;
use crate::process::instance::{OutstandingStep, ProcessInstance, ProcessStage};
use crate::process::record::InputRecord;
use crate::process::{Delivery, Dispatched, ProcessInput, ProcessManager};

impl<P> Heart<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned,
{
    pub(super) fn index(&mut self, slot: &Slot<P::State>) {
        let instance = &slot.instance;
        if !instance.held.is_empty() {
            if instance.trouble.is_none() {
                self.backlog.insert(Arc::clone(&slot.key));
            }
        } else if instance.stage() == ProcessStage::Running {
            for (name, due) in &instance.timers {
                self.timers.insert((*due, Arc::clone(&slot.key), name.clone()));
            }
        }
        for out in instance.outstanding.iter().filter(|out| goes_out(instance, out)) {
            if !self.in_flight.contains(&out.command_id) {
                self.dispatches.insert((self.due(out), Arc::clone(&slot.key), out.command_id.clone()));
            }
        }
    }

    pub(super) fn unindex(&mut self, slot: &Slot<P::State>) {
        self.backlog.remove(&slot.key);
        for (name, due) in &slot.instance.timers {
            self.timers.remove(&(*due, Arc::clone(&slot.key), name.clone()));
        }
        for out in &slot.instance.outstanding {
            self.dispatches.remove(&(self.due(out), Arc::clone(&slot.key), out.command_id.clone()));
        }
    }

    /// When the next attempt is due.
    fn due(&self, out: &OutstandingStep) -> Timestamp {
        match &out.last_failure {
            Some((failed, _)) if out.tries > 0 => failed.saturating_add(self.budget.pause(out.tries)),
            _ => out.since,
        }
    }

    /// When a timer is due next.
    pub(in crate::process) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, ..)| *due)
    }

    /// When an attempt is due next.
    pub(in crate::process) fn next_attempt(&self) -> Option<Timestamp> {
        self.dispatches.first().map(|(due, ..)| *due)
    }

    /// Whether a timer is due.
    pub(in crate::process) fn has_due_timer(&self, now: Timestamp) -> bool {
        self.next_timer().is_some_and(|due| due <= now)
    }

    /// Lets the timer that has been due the longest go off; `None` where none is due.
    pub(in crate::process) fn take_timer(&mut self, now: Timestamp) -> Option<Taken> {
        let (due, key, name) = self.timers.first()?;
        if *due > now {
            return None;
        }
        let (due, key, name) = (*due, Arc::clone(key), name.clone());
        if let Some(key) = self.needs_state(&key) {
            return Some(Taken::NeedsState(key));
        }
        self.change(&key, now, |heart, slot| {
            let metadata = slot.because(String::new());
            let input = InputRecord::Timer { name: name.clone(), due };
            heart.stats.fired += 1;
            heart.take(slot, input, Some(ProcessInput::Timeout { name }), &metadata, now);
        });
        Some(Taken::Done)
    }

    /// The next command to carry out, with the key of its instance. Everything decided must have been appended before.
    pub(in crate::process) fn next_delivery(
        &mut self,
        now: Timestamp,
    ) -> Option<(Arc<str>, Delivery<P::Command>)> {
        loop {
            let (due, ..) = self.dispatches.first()?;
            if *due > now {
                return None;
            }
            let (_, key, command_id) = self.dispatches.pop_first()?;
            self.in_flight.insert(command_id.clone());
            let Some(slot) = self.slots.get(&key) else { continue };
            let Some(out) = slot.instance.outstanding(&command_id) else { continue };
            match serde_json::from_str(out.command.get()) {
                Ok(command) => {
                    self.stats.dispatched += 1;
                    return Some((key, delivery(&slot.instance, out, command)));
                }
                Err(error) => {
                    let why = format!("this build cannot read the recorded command: {error}");
                    self.settle(&key, &command_id, Dispatched::hopeless(why), now);
                }
            }
        }
    }
}

/// Whether a command is carried out where its instance stands.
fn goes_out(instance: &ProcessInstance, out: &OutstandingStep) -> bool {
    let refused = instance.trouble.as_ref().is_some_and(|trouble| trouble.refused.is_some());
    !out.parked && !refused
}

fn delivery<C>(instance: &ProcessInstance, out: &OutstandingStep, command: C) -> Delivery<C> {
    Delivery {
        process: instance.process.clone(),
        instance: instance.instance.clone(),
        step: out.step.clone(),
        undo: out.undoes.is_some(),
        command,
        metadata: CommandMetadata::new()
            .actor(instance.process.clone())
            .correlation(instance.correlation.clone())
            .causation(out.issued_by.to_string())
            .command_id(out.command_id.clone()),
        attempt: out.attempts + 1,
    }
}
