//! How does one instance of a process stand? Folded from its records alone: no code of the process is needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use factum_core::{EventId, Position, Revision, Timestamp};
use serde_json::value::RawValue;

use super::ProcessManager;
use super::record::{InputRecord, ProcessRecord};

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessStage {
    /// It takes inputs.
    Running,
    /// It stands still until it is retried; its inputs wait.
    Quarantined,
    /// It failed, and undoes what it did.
    Compensating,
    /// It cannot go on without a person.
    NeedsOperator,
    /// It is over, but commands are still out.
    Completing,
    /// It is over.
    Completed,
    /// It failed, and everything is undone that can be.
    Failed,
}

impl ProcessStage {
    /// Its name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            ProcessStage::Running => "running",
            ProcessStage::Quarantined => "quarantined",
            ProcessStage::Compensating => "compensating",
            ProcessStage::NeedsOperator => "needs-operator",
            ProcessStage::Completing => "completing",
            ProcessStage::Completed => "completed",
            ProcessStage::Failed => "failed",
        }
    }

    /// Whether nothing will happen any more.
    pub fn is_over(self) -> bool {
        matches!(self, ProcessStage::Completed | ProcessStage::Failed)
    }
}

impl std::fmt::Display for ProcessStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A command that went out and has no final answer yet.
#[derive(Clone, Debug)]
pub struct OutstandingStep {
    /// The step, or the step that is undone.
    pub step: String,
    /// The command's identity.
    pub command_id: String,
    /// The command.
    pub command: Box<RawValue>,
    /// The identity of the command that this one undoes.
    pub undoes: Option<String>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// When and why the last attempt failed.
    pub last_failure: Option<(Timestamp, String)>,
    /// Whether it is not tried any more until an operator says so.
    pub parked: bool,
    /// Since when the time budget runs.
    pub(crate) since: Timestamp,
    /// Failed attempts since then.
    pub(crate) tries: u32,
    /// The record that issued it.
    pub(crate) issued_by: EventId,
    undo: Option<Box<RawValue>>,
    pivot: bool,
}

/// A step that took effect.
#[derive(Clone, Debug)]
pub struct DoneStep {
    /// The step.
    pub step: String,
    /// The identity of its command.
    pub command_id: String,
    /// What undoes it.
    pub undo: Option<Box<RawValue>>,
    /// Whether it was undone.
    pub undone: bool,
}

/// Why an instance stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub cause: String,
    /// Since when.
    pub since: Timestamp,
    /// What the build lacked, if that is why.
    pub refused: Option<String>,
    needs_operator: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Completed,
    Failed,
}

/// One instance of a process, as its stream says.
#[derive(Clone, Debug)]
pub struct ProcessInstance {
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The version of the rules that it began under.
    pub version: u32,
    /// Revision of its last record.
    pub revision: Revision,
    /// Position of the event that it began with.
    pub born: Position,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Inputs taken so far.
    pub inputs: u64,
    /// Commands without a final answer, in the order in which they were issued.
    pub outstanding: Vec<OutstandingStep>,
    /// Steps that took effect, in the order in which they did.
    pub done: Vec<DoneStep>,
    /// Timers that run, with their due times.
    pub timers: BTreeMap<String, Timestamp>,
    /// Inputs that wait, oldest first.
    pub held: VecDeque<InputRecord>,
    /// Why it stands still, if it does.
    pub trouble: Option<Trouble>,
    /// Why it failed, if it did.
    pub failing: Option<String>,
    /// Whether the point of no return is behind it.
    pub past_pivot: bool,
    /// The last step that was issued.
    pub last_step: Option<String>,
    /// The last failed attempt or trouble, with its time: kept when it is over.
    pub last_error: Option<(Timestamp, String)>,
    /// Every step that was ever issued.
    pub(crate) steps: BTreeSet<String>,
    pub(crate) correlation: String,
    end: Option<End>,
}

/// Where and when a record was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) revision: Revision,
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
}

impl ProcessInstance {
    /// The instance that begins with this record; `None` where it is not the first record of one.
    pub(crate) fn begin(record: &ProcessRecord, made: Made) -> Option<Self> {
        let ProcessRecord::Started(started) = record else { return None };
        Some(Self {
            process: started.process.clone(),
            instance: started.instance.clone(),
            version: started.version,
            revision: made.revision,
            born: Position(started.position),
            started_at: made.at,
            updated_at: made.at,
            inputs: 0,
            outstanding: Vec::new(),
            done: Vec::new(),
            timers: BTreeMap::new(),
            held: VecDeque::new(),
            trouble: None,
            failing: None,
            past_pivot: false,
            last_step: None,
            last_error: None,
            steps: BTreeSet::new(),
            correlation: started.correlation.clone(),
            end: None,
        })
    }

    /// Where it stands.
    pub fn stage(&self) -> ProcessStage {
        match (&self.trouble, self.end) {
            (Some(trouble), _) if trouble.needs_operator => ProcessStage::NeedsOperator,
            (Some(_), _) => ProcessStage::Quarantined,
            (None, Some(End::Failed)) => ProcessStage::Failed,
            (None, Some(End::Completed)) if self.outstanding.is_empty() => ProcessStage::Completed,
            (None, Some(End::Completed)) => ProcessStage::Completing,
            (None, None) if self.failing.is_some() => ProcessStage::Compensating,
            (None, None) => ProcessStage::Running,
        }
    }

    /// Its stream.
    pub fn stream(&self) -> String {
        format!("{}-{}", self.process, self.instance)
    }

    /// The timer that goes off next.
    pub fn next_timer(&self) -> Option<(&str, Timestamp)> {
        self.timers.iter().map(|(name, due)| (name.as_str(), *due)).min_by_key(|(_, due)| *due)
    }

    /// What a build with these rules lacks to go on with this instance.
    pub(crate) fn refused_by<P: ProcessManager>(&self, process: &P) -> Option<String> {
        if !process.continues(self.version) {
            let version = process.version();
            return Some(format!(
                "version {version} does not go on with instances of version {}",
                self.version
            ));
        }
        let step = self.steps.iter().find(|step| !process.steps().contains(&step.as_str()))?;
        Some(format!("no step '{step}'"))
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    pub(crate) fn outstanding(&self, command_id: &str) -> Option<&OutstandingStep> {
        self.outstanding.iter().find(|step| step.command_id == command_id)
    }

    /// What the next record makes of it.
    pub(crate) fn apply(&mut self, record: &ProcessRecord, made: Made) {
        self.revision = made.revision;
        self.updated_at = made.at;
        match record {
            ProcessRecord::Input(taken) => {
                self.inputs += 1;
                if self.held.front() == Some(&taken.input) {
                    self.held.pop_front();
                } else {
                    self.learn(&taken.input);
                }
            }
            ProcessRecord::InputHeld(held) => {
                self.learn(&held.input);
                self.held.push_back(held.input.clone());
            }
            ProcessRecord::StepIssued(issued) => {
                self.steps.insert(issued.step.clone());
                self.last_step = Some(issued.step.clone());
                self.outstanding.push(OutstandingStep {
                    undo: issued.undo.clone(),
                    pivot: issued.pivot,
                    ..out(&issued.step, &issued.command_id, &issued.command, made)
                });
            }
            ProcessRecord::UndoSet(set) => {
                let mut done = self.done.iter_mut().rev();
                if let Some(done) = done.find(|done| done.step == set.step) {
                    done.undo = Some(set.command.clone());
                } else if let Some(out) = self.outstanding.iter_mut().rev().find(|out| out.step == set.step) {
                    out.undo = Some(set.command.clone());
                }
            }
            ProcessRecord::UndoIssued(issued) => self.outstanding.push(OutstandingStep {
                undoes: Some(issued.undoes.clone()),
                ..out(&issued.step, &issued.command_id, &issued.command, made)
            }),
            ProcessRecord::AttemptFailed(failed) => {
                self.last_error = Some((failed.at, failed.error.clone()));
                if let Some(out) = self.outstanding.iter_mut().find(|out| out.command_id == failed.command_id)
                {
                    out.attempts = failed.attempt;
                    out.tries += 1;
                    out.last_failure = Some((failed.at, failed.error.clone()));
                }
            }
            ProcessRecord::TimerStarted(timer) => {
                self.timers.insert(timer.name.clone(), timer.due);
            }
            ProcessRecord::TimerCancelled(timer) => {
                self.timers.remove(&timer.name);
            }
            _ => self.apply_turn(record, made),
        }
    }

    /// The records after which it stands elsewhere.
    fn apply_turn(&mut self, record: &ProcessRecord, made: Made) {
        match record {
            ProcessRecord::Quarantined(quarantined) => {
                self.stop(&quarantined.cause, quarantined.command_id.as_deref(), made.at);
                if let Some(trouble) = &mut self.trouble {
                    trouble.refused.clone_from(&quarantined.refused);
                }
            }
            ProcessRecord::NeedsOperator(needs) => {
                self.stop(&needs.cause, needs.command_id.as_deref(), made.at);
                if let Some(trouble) = &mut self.trouble {
                    trouble.needs_operator = true;
                }
            }
            ProcessRecord::Resumed(_) => {
                self.trouble = None;
                if self.past_pivot {
                    // Nothing is undone any more: going on is the only way.
                    self.failing = None;
                }
                for out in &mut self.outstanding {
                    (out.parked, out.tries, out.since) = (false, 0, made.at);
                }
            }
            ProcessRecord::Failing(failing) => {
                self.failing = Some(failing.reason.clone());
                self.timers.clear();
            }
            ProcessRecord::Failed(_) => self.end = Some(End::Failed),
            ProcessRecord::Completed(_) => {
                self.end = Some(End::Completed);
                self.timers.clear();
            }
            _ => {}
        }
    }

    fn stop(&mut self, cause: &str, command_id: Option<&str>, at: Timestamp) {
        for out in &mut self.outstanding {
            out.parked |= command_id == Some(out.command_id.as_str());
        }
        self.last_error = Some((at, cause.to_owned()));
        let cause = cause.to_owned();
        self.trouble = Some(Trouble { cause, since: at, refused: None, needs_operator: false });
    }

    /// What an input says of timers and commands, whether it is taken now or later.
    fn learn(&mut self, input: &InputRecord) {
        let (InputRecord::Done { command_id, .. } | InputRecord::Rejected { command_id, .. }) = input else {
            if let InputRecord::Timer { name, .. } = input {
                self.timers.remove(name);
            }
            return;
        };
        let Some(at) = self.outstanding.iter().position(|out| out.command_id == *command_id) else { return };
        let out = self.outstanding.remove(at);
        if !matches!(input, InputRecord::Done { .. }) {
            return;
        }
        match out.undoes {
            Some(undone) => {
                for done in self.done.iter_mut().filter(|done| done.command_id == undone) {
                    done.undone = true;
                }
            }
            None => {
                self.past_pivot |= out.pivot;
                self.done.push(DoneStep {
                    step: out.step,
                    command_id: out.command_id,
                    undo: out.undo,
                    undone: false,
                });
            }
        }
    }
}

fn out(step: &str, command_id: &str, command: &RawValue, made: Made) -> OutstandingStep {
    OutstandingStep {
        step: step.to_owned(),
        command_id: command_id.to_owned(),
        command: command.to_owned(),
        undoes: None,
        attempts: 0,
        last_failure: None,
        parked: false,
        since: made.at,
        tries: 0,
        issued_by: made.id,
        undo: None,
        pivot: false,
    }
}
