//! What do the effects of one reaction become in the log?

use factum_core::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::Heart;
use crate::personal_data::scope;
use crate::process::instance::ProcessInstance;
use crate::process::record::{
    Completed, Failing, ProcessRecord, StepIssued, TimerCancelled, TimerStarted, UndoSet,
};
use crate::process::{Dispatch, Effect, ProcessManager};

impl<P> Heart<P>
where
    P: ProcessManager,
    P::Command: Serialize + DeserializeOwned,
{
    /// The records of the effects of the input that `instance` is about to take.
    ///
    /// Fails where the process breaks its own rules: then nothing of the reaction counts.
    pub(super) fn records_of(
        &self,
        instance: &ProcessInstance,
        effects: Vec<Effect<P::Command>>,
        now: Timestamp,
    ) -> Result<Vec<ProcessRecord>, String> {
        let mut records = Vec::with_capacity(effects.len());
        let mut over = false;
        // Positions are unique in the log, so that an instance that begins anew under the same name has other commands.
        let input = format!("{}/{}.{}", instance.stream(), instance.born, instance.inputs);
        let mut ordinal = 0;
        for effect in effects {
            if over {
                return Err("it reacted with effects after `Complete` or `Fail`: put the end last".to_owned());
            }
            records.push(match effect {
                Effect::Dispatch(Dispatch { step, command, undo, pivot }) => {
                    self.check_step(&step)?;
                    let command_id = format!("{input}.{ordinal}");
                    ordinal += 1;
                    let command = json::<P::Command>(&step, &command)?;
                    let undo = undo.map(|undo| json::<P::Command>(&step, &undo)).transpose()?;
                    StepIssued { step, command_id, command, undo, pivot }.into()
                }
                Effect::SetUndo { step, command } => {
                    self.check_step(&step)?;
                    let command = json::<P::Command>(&step, &command)?;
                    UndoSet { step, command }.into()
                }
                Effect::StartTimer { name, after } => {
                    TimerStarted { name, due: now.saturating_add(after) }.into()
                }
                Effect::StartTimerAt { name, at } => TimerStarted { name, due: at }.into(),
                Effect::CancelTimer { name } if instance.timers.contains_key(&name) => {
                    TimerCancelled { name }.into()
                }
                Effect::CancelTimer { name } => {
                    // Only what this reaction itself started can still be there.
                    records.retain(
                        |record| !matches!(record, ProcessRecord::TimerStarted(timer) if timer.name == name),
                    );
                    continue;
                }
                Effect::Complete => {
                    over = true;
                    Completed {}.into()
                }
                Effect::Fail { reason } => {
                    over = true;
                    Failing { reason }.into()
                }
            });
        }
        Ok(records)
    }

    fn check_step(&self, step: &str) -> Result<(), String> {
        if self.process.steps().contains(&step) {
            return Ok(());
        }
        Err(format!("it dispatched step '{step}', which is not among its steps(): declare it there"))
    }
}

/// The command as text that reads back: what is recorded must be dispatched after a restart too.
fn json<C: Serialize + DeserializeOwned>(step: &str, command: &C) -> Result<Box<RawValue>, String> {
    let text = scope::copy(|| to_raw_value(command))
        .map_err(|e| format!("the command of step '{step}' has no JSON form: {e}"))?;
    serde_json::from_str::<C>(text.get())
        .map_err(|e| format!("the command of step '{step}' does not read back from its own JSON: {e}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use factum_vault::Subject;

    use super::*;
    use crate::{Personal, PersonalFields};

    #[derive(Debug, PartialEq, PersonalFields)]
    struct SendLetter {
        #[personal]
        to: Personal<String>,
    }

    #[test]
    fn a_command_is_recorded_with_whom_its_personal_values_belong_to() {
        let command = SendLetter { to: Personal::of(Subject::new("c-1").unwrap(), "Ada".to_owned()) };
        let text = json("send", &command).unwrap();
        assert_eq!(text.get(), r#"{"to":{"$personal":{"s":"c-1","v":"Ada"}}}"#);
        assert_eq!(serde_json::from_str::<SendLetter>(text.get()).unwrap(), command);
        let error = json("send", &SendLetter { to: Personal::new("Ada".to_owned()) }).unwrap_err();
        assert!(error.contains("nobody knows whose") && !error.contains("Ada"), "{error}");
    }
}
