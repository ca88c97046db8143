//! What follows from the answer to a command, and what is undone when a process failed?

use std::sync::Arc;

use bytes::Bytes;
use factum_core::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Heart, Slot, Taken};
use crate::process::instance::{OutstandingStep, ProcessStage};
use crate::process::record::{AttemptFailed, Failed, InputRecord, NeedsOperator, Quarantined, UndoIssued};
use crate::process::{Dispatched, ProcessInput, ProcessManager};

impl<P> Heart<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned,
{
    /// Takes the answer to a command.
    pub(in crate::process) fn settle(
        &mut self,
        key: &Arc<str>,
        command_id: &str,
        answer: Dispatched,
        now: Timestamp,
    ) -> Taken {
        let out = self.slots.get(key).and_then(|slot| slot.instance.outstanding(command_id)).cloned();
        let Some(out) = out else {
            self.in_flight.remove(command_id);
            return Taken::Done;
        };
        if !matches!(answer, Dispatched::Failed { .. })
            && let Some(key) = self.needs_state(key)
        {
            return Taken::NeedsState(key);
        }
        self.in_flight.remove(command_id);
        self.change(key, now, |heart, slot| {
            let metadata = slot.because(out.issued_by.to_string());
            match answer {
                Dispatched::Failed { error, retry } => {
                    heart.failed_attempt(slot, &out, &error, retry, &metadata, now);
                }
                Dispatched::Rejected { reason } if out.undoes.is_some() => {
                    let error = format!("rejected: {reason}");
                    heart.failed_attempt(slot, &out, &error, false, &metadata, now);
                }
                Dispatched::Done { result } => {
                    let typed = ProcessInput::StepDone { step: out.step.clone(), result: result.clone() };
                    let (step, command_id) = (out.step, out.command_id);
                    let input = InputRecord::Done { step, command_id, result, attempt: out.attempts + 1 };
                    heart.take(slot, input, Some(typed), &metadata, now);
                }
                Dispatched::Rejected { reason } => {
                    let typed = ProcessInput::StepRejected { step: out.step.clone(), reason: reason.clone() };
                    let (step, command_id) = (out.step, out.command_id);
                    let input = InputRecord::Rejected { step, command_id, reason, attempt: out.attempts + 1 };
                    heart.take(slot, input, Some(typed), &metadata, now);
                }
            }
        });
        Taken::Done
    }

    fn failed_attempt(
        &mut self,
        slot: &mut Slot<P::State>,
        out: &OutstandingStep,
        error: &str,
        retry: bool,
        metadata: &Bytes,
        now: Timestamp,
    ) {
        self.stats.failed_attempts += 1;
        let attempt = out.attempts + 1;
        let record = AttemptFailed {
            step: out.step.clone(),
            command_id: out.command_id.clone(),
            attempt,
            at: now,
            error: error.to_owned(),
        };
        self.write(slot, record, metadata, now);
        let next = now.saturating_add(self.budget.pause(out.tries + 1));
        if retry && next <= out.since.saturating_add(self.budget.total) {
            return;
        }
        let what = if out.undoes.is_some() { "undoing step" } else { "step" };
        let times = if attempt == 1 { String::new() } else { format!(" after {attempt} attempts") };
        let cause = format!("{what} '{}' failed{times}: {error}", out.step);
        let command_id = Some(out.command_id.clone());
        self.stats.quarantined += 1;
        if slot.instance.failing.is_some() {
            self.write(slot, NeedsOperator { cause, command_id }, metadata, now);
        } else {
            self.write(slot, Quarantined { cause, command_id, refused: None }, metadata, now);
        }
    }

    /// Goes on undoing what a failed process did: the last done step first, one at a time.
    pub(super) fn compensate(&mut self, slot: &mut Slot<P::State>, now: Timestamp) {
        let instance = &slot.instance;
        // While a command is out, nobody knows whether it has to be undone.
        if instance.stage() != ProcessStage::Compensating || !instance.outstanding.is_empty() {
            return;
        }
        let reason = instance.failing.clone().unwrap_or_default();
        let metadata = slot.because(String::new());
        if instance.past_pivot {
            let cause = format!("it failed after the point of no return, so nothing is undone: {reason}");
            self.stats.quarantined += 1;
            self.write(slot, NeedsOperator { cause, command_id: None }, &metadata, now);
            return;
        }
        let to_undo = instance.done.iter().rev().find(|done| !done.undone && done.undo.is_some());
        let undo =
            to_undo.and_then(|done| Some((done.step.clone(), done.command_id.clone(), done.undo.clone()?)));
        match undo {
            Some((step, undoes, command)) => {
                let command_id = format!("{undoes}.undo");
                self.write(slot, UndoIssued { step, undoes, command_id, command }, &metadata, now);
            }
            None => self.write(slot, Failed { reason }, &metadata, now),
        }
    }
}
