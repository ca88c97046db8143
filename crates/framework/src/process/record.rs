//! What does a process keep in the log? Its instance streams' records: JSON that says what it is without the code.
//!
//! An instance stream `{process}-{instance}` is inbox and outbox in one. What one input leads to is one append:
//! `$processInput`, then the commands, timers and ends that follow. Types start with `$`, so that readers who leave
//! system events out do not see them.

use bytes::Bytes;
use factum_core::{EventId, EventType, NameError, NewEvent, RecordedEvent, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The type of the first event of every instance stream: what lists of processes are made from.
pub const PROCESS_STARTED_TYPE: &str = "$processStarted";
/// The type of the record of a takeover.
pub(super) const OWNER_TYPE: &str = "$processOwner";
/// The type of the record of how far a runner has looked.
pub(super) const CHECKPOINT_TYPE: &str = "$processCheckpoint";

macro_rules! records {
    ($($(#[$doc:meta])* $variant:ident = $name:expr;)*) => {
        /// One event of an instance stream, or of a stream beside them.
        #[derive(Clone, Debug)]
        pub enum ProcessRecord {
            $($(#[$doc])* $variant($variant),)*
        }

        impl ProcessRecord {
            /// The type under which it is recorded.
            pub fn event_type(&self) -> &'static str {
                match self { $(ProcessRecord::$variant(_) => $name,)* }
            }

            fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $(ProcessRecord::$variant(body) => serde_json::to_vec(body),)* }
            }

            /// What is recorded in this event; `None` for an event of another type.
            ///
            /// # Errors
            /// Where the type is a record's and the data is not.
            pub fn read(event: &RecordedEvent) -> Result<Option<Self>, serde_json::Error> {
                $(if event.event_type() == $name {
                    return serde_json::from_slice(event.data_slice()).map(ProcessRecord::$variant).map(Some);
                })*
                Ok(None)
            }
        }

        /// The types of all of them.
        pub(super) const RECORD_TYPES: &[&str] = &[$($name),*];

        $(impl From<$variant> for ProcessRecord {
            fn from(body: $variant) -> Self {
                ProcessRecord::$variant(body)
            }
        })*
    };
}

records! {
    /// The instance began.
    Started = PROCESS_STARTED_TYPE;
    /// An input was taken; what follows from it follows in the same append.
    Input = "$processInput";
    /// An input came while the instance could not take it; it waits for its turn.
    InputHeld = "$processInputHeld";
    /// A command goes out.
    StepIssued = "$processStepIssued";
    /// What will undo a step was decided after it was done.
    UndoSet = "$processUndoSet";
    /// A command that undoes a step goes out.
    UndoIssued = "$processUndoIssued";
    /// An attempt to carry a command out failed.
    AttemptFailed = "$processAttemptFailed";
    /// A timer runs.
    TimerStarted = "$processTimerStarted";
    /// A timer does not run any more.
    TimerCancelled = "$processTimerCancelled";
    /// The instance stands still until it is resumed.
    Quarantined = "$processQuarantined";
    /// Going on needs a person.
    NeedsOperator = "$processNeedsOperator";
    /// The instance goes on.
    Resumed = "$processResumed";
    /// The process gave up: what was done will be undone.
    Failing = "$processFailing";
    /// Everything is undone that can be: the end.
    Failed = "$processFailed";
    /// The process is over.
    Completed = "$processCompleted";
    /// A runner took the process over. In `{process}:owner`.
    Owner = OWNER_TYPE;
    /// How far a runner has looked, where nothing was for it. In `{process}:checkpoint`.
    Looked = CHECKPOINT_TYPE;
    /// An operator asked for something. In `{process}:requests`.
    Requested = "$processRequested";
}

/// Timestamps as RFC 3339 text, so that people can read the records.
mod moment {
    use factum_core::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(moment)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(D::Error::custom)
    }
}

/// What an instance took, or holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum InputRecord {
    /// An event of the log: where it is, not what it says.
    Event {
        /// Its position.
        position: u64,
        /// Its id.
        id: String,
        /// Its type.
        event_type: String,
        /// Its stream.
        stream: String,
        /// Its number in the stream.
        revision: u64,
    },
    /// A timer went off.
    Timer {
        /// Its name.
        name: String,
        /// When it was due.
        #[serde(with = "moment")]
        due: Timestamp,
    },
    /// A command took effect.
    Done {
        /// The step, or the step that was undone.
        step: String,
        /// The command.
        command_id: String,
        /// What the dispatcher said.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        /// Which attempt it was, from 1.
        attempt: u32,
    },
    /// A command was refused.
    Rejected {
        /// The step.
        step: String,
        /// The command.
        command_id: String,
        /// Why.
        reason: String,
        /// Which attempt it was, from 1.
        attempt: u32,
    },
    /// An operator asked for something.
    Operator {
        /// Where the request is.
        position: u64,
        /// What: `retry`, `cancel`, `done` or `rejected`.
        action: String,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
        /// Why it was not done, if it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
}

impl InputRecord {
    /// The input that an event is.
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        InputRecord::Event {
            position: event.position().0,
            id: event.id().to_string(),
            event_type: event.event_type().to_owned(),
            stream: event.stream().to_owned(),
            revision: event.revision().0,
        }
    }

    /// Where it is in the log, if it came from there.
    pub fn position(&self) -> Option<u64> {
        match self {
            InputRecord::Event { position, .. } | InputRecord::Operator { position, .. } => Some(*position),
            _ => None,
        }
    }
}

/// The first record of an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The version of the rules that it began under.
    pub version: u32,
    /// Position of the event that it began with.
    pub position: u64,
    /// The correlation that its commands carry.
    pub correlation: String,
}

/// An input was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Input {
    /// Which.
    pub input: InputRecord,
}

/// An input waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputHeld {
    /// Which.
    pub input: InputRecord,
}

/// A command goes out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepIssued {
    /// The step.
    pub step: String,
    /// The command's identity.
    pub command_id: String,
    /// The command.
    pub command: Box<RawValue>,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<RawValue>>,
    /// Whether it is the point of no return.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pivot: bool,
}

/// What undoes a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UndoSet {
    /// The step.
    pub step: String,
    /// The command that undoes it.
    pub command: Box<RawValue>,
}

/// A step is undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoIssued {
    /// The step.
    pub step: String,
    /// The identity of the command that is undone.
    pub undoes: String,
    /// The identity of the command that undoes it.
    pub command_id: String,
    /// The command that undoes it.
    pub command: Box<RawValue>,
}

/// An attempt failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailed {
    /// The step.
    pub step: String,
    /// The command.
    pub command_id: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When it ended.
    #[serde(with = "moment")]
    pub at: Timestamp,
    /// Why it failed.
    pub error: String,
}

/// A timer runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimerStarted {
    /// Its name.
    pub name: String,
    /// When it goes off.
    #[serde(with = "moment")]
    pub due: Timestamp,
}

/// A timer does not run any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimerCancelled {
    /// Its name.
    pub name: String,
}

/// The instance stands still.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// Why.
    pub cause: String,
    /// The command that could not be carried out, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// What the build lacks, if that is why: a build that has it goes on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Going on needs a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeedsOperator {
    /// Why.
    pub cause: String,
    /// The command that could not be carried out, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
}

/// The instance goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resumed {
    /// Who wanted it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// The process gave up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failing {
    /// Why.
    pub reason: String,
}

/// Everything is undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// Why.
    pub reason: String,
}

/// The process is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Completed {}

/// A runner took over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// Who, for people.
    pub owner: String,
}

/// How far a runner has looked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Looked {
    /// The next position to read.
    pub next: u64,
}

/// An operator asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requested {
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// What: `retry`, `cancel`, `done` or `rejected`.
    pub action: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl ProcessRecord {
    /// The event that keeps it.
    pub(crate) fn to_event(&self, id: EventId, metadata: Bytes) -> Result<NewEvent, NameError> {
        // Plain structs of text and numbers: they always have a JSON form.
        let data = self.to_json().unwrap_or_else(|_| unreachable!("a record is plain JSON"));
        Ok(NewEvent::json(EventType::new(self.event_type())?, data).with_id(id).with_metadata(metadata))
    }
}
