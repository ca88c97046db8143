//! What can an operator see of processes, and ask of them? On any store, without the process's code.
//!
//! A request is an event in `{process}:requests`. The runner takes it like any other input and records what came of it
//! in the instance's stream: so a request works while no runner runs, and only the runner writes to instance streams.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use factum_core::{
    AppendError, ErrorKind, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision, NameError,
    Position, QueryItem, Read, ReadError, RecordedEvent, Revision, StreamName, Tag, Timestamp,
};

use super::ProcessError;
use super::instance::{ProcessInstance, ProcessStage};
use super::known::KnownProcesses;
use super::load::{fold, record_in};
use super::record::{ProcessRecord, Requested};
use crate::CommandMetadata;

pub(super) const REQUESTED_TYPE: &str = "$processRequested";

/// What an operator may ask of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorAction {
    /// Go on: what is out is tried again with a new time budget, what is held is taken in order.
    Retry,
    /// Give up: undo what was done. Not after the point of no return.
    Cancel,
    /// The command that was given up on took effect all the same, or was made good by hand: go on with that answer. Where
    /// several were given up on, the oldest.
    Done,
    /// The command that was given up on had no effect and will have none: go on with that answer. Not for an undo.
    Rejected,
}

impl OperatorAction {
    /// Its name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            OperatorAction::Retry => "retry",
            OperatorAction::Cancel => "cancel",
            OperatorAction::Done => "done",
            OperatorAction::Rejected => "rejected",
        }
    }
}

impl fmt::Display for OperatorAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OperatorAction {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "retry" => Ok(OperatorAction::Retry),
            "cancel" => Ok(OperatorAction::Cancel),
            "done" => Ok(OperatorAction::Done),
            "rejected" => Ok(OperatorAction::Rejected),
            _ => Err(format!("'{text}' is not an action: give retry, cancel, done or rejected")),
        }
    }
}

/// Why a request was not made. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no such instance.
    #[error("process '{process}' has no instance '{instance}'")]
    NotFound {
        /// The process.
        process: String,
        /// The instance.
        instance: String,
    },
    /// It makes no sense where the instance stands.
    #[error("{why}")]
    Refused {
        /// What, why, and what to do.
        why: String,
    },
    /// Who asks, and why, is part of every request.
    #[error("say {what}: it is recorded with the request")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// The names do not make a stream's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The instance's stream cannot be read.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The store failed or refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl RequestError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RequestError::NotFound { .. } => ErrorKind::NotFound,
            RequestError::Refused { .. } => ErrorKind::Conflict,
            RequestError::Missing { .. } | RequestError::Name(_) => ErrorKind::Invalid,
            RequestError::Process(error) => error.kind(),
            RequestError::Append(error) => error.kind(),
        }
    }
}

/// Which instances a list is about. Empty: all that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFilter {
    /// Only those of this process.
    pub process: Option<String>,
    /// Only those that stand here; none: all that are not over.
    pub stages: Vec<ProcessStage>,
    /// With those that are over.
    pub with_ended: bool,
}

impl ProcessFilter {
    /// Whether an instance that is over may pass.
    pub(super) fn wants_ended(&self) -> bool {
        if self.stages.is_empty() { self.with_ended } else { self.stages.iter().any(|stage| stage.is_over()) }
    }

    pub(super) fn passes(&self, instance: &ProcessInstance) -> bool {
        let stage = instance.stage();
        if self.stages.is_empty() {
            self.with_ended || !stage.is_over()
        } else {
            self.stages.contains(&stage)
        }
    }
}

/// Everything that is recorded of one instance.
#[derive(Clone, Debug)]
pub struct ProcessTimeline {
    /// How it stands.
    pub instance: ProcessInstance,
    /// Its records, oldest first: every input, command, attempt, timer and operator's action.
    pub entries: Vec<TimelineEntry>,
    /// Requests that no runner has taken yet, oldest first.
    pub pending: Vec<(Timestamp, Requested)>,
}

/// One record of an instance.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// Its place in the log.
    pub position: Position,
    /// Its number in the stream.
    pub revision: Revision,
    /// When it was recorded.
    pub at: Timestamp,
    /// What was recorded.
    pub record: ProcessRecord,
    /// The same as it is kept: JSON.
    pub data: Bytes,
}

/// The instances that pass `filter`, in order of their beginning.
///
/// # Errors
/// Where the store cannot be read, or an instance stream holds what no runner wrote.
pub async fn list_processes(
    store: &dyn EventStore,
    filter: &ProcessFilter,
) -> Result<Vec<ProcessInstance>, ProcessError> {
    let mut known = KnownProcesses::once(filter.process.clone());
    known.catch_up(store).await?;
    Ok(known.list(filter).unwrap_or_default())
}

fn read_record(event: &RecordedEvent) -> Result<Option<ProcessRecord>, ProcessError> {
    if event.event_type().starts_with("$process") { record_in(event).map(Some) } else { Ok(None) }
}

/// Everything about one instance; `None` where there is no such instance.
///
/// # Errors
/// Where the store cannot be read, or the instance stream holds what no runner wrote.
pub async fn show_process(
    store: &dyn EventStore,
    process: &str,
    instance: &str,
) -> Result<Option<ProcessTimeline>, ProcessError> {
    let stream = StreamName::new(format!("{process}-{instance}"))
        .map_err(|e| ProcessError::name(instance, "an instance", e))?;
    let events = match store.read_all(Read::stream(stream)).await {
        Err(ReadError::StreamNotFound { .. }) => return Ok(None),
        result => result?,
    };
    let mut entries = Vec::with_capacity(events.len());
    let mut folded = None;
    for event in &events {
        let Some(record) = read_record(event)? else { continue };
        folded = fold(folded, &record, event);
        let (position, revision, at) = (event.position(), event.revision(), event.recorded_at());
        entries.push(TimelineEntry { position, revision, at, record, data: event.data() });
    }
    let Some(folded) = folded else { return Ok(None) };
    let taken = entries.iter().filter_map(|entry| match &entry.record {
        ProcessRecord::Input(taken) => taken.input.position(),
        _ => None,
    });
    let taken: std::collections::HashSet<u64> = taken.collect();
    let mut pending = Vec::new();
    for event in requests_of(store, process).await? {
        if let Ok(Some(ProcessRecord::Requested(asked))) = ProcessRecord::read(&event)
            && asked.instance == instance
            && !taken.contains(&event.position().0)
        {
            pending.push((event.recorded_at(), asked));
        }
    }
    Ok(Some(ProcessTimeline { instance: folded, entries, pending }))
}

async fn requests_of(store: &dyn EventStore, process: &str) -> Result<Vec<RecordedEvent>, ProcessError> {
    let stream = requests_stream(process).map_err(|e| ProcessError::name(process, "a process", e))?;
    match store.read_all(Read::stream(stream)).await {
        Err(ReadError::StreamNotFound { .. }) => Ok(Vec::new()),
        result => Ok(result?),
    }
}

/// Asks something of an instance. Whatever runner runs next obeys; what came of it is recorded with the instance.
///
/// # Errors
/// Where the instance is not there, or the action makes no sense where it stands, or actor or reason are empty.
pub async fn request_process(
    store: &Arc<dyn EventStore>,
    process: &str,
    instance: &str,
    action: OperatorAction,
    actor: &str,
    reason: &str,
) -> Result<Position, RequestError> {
    for (what, text) in [("who asks", actor), ("why", reason)] {
        if text.trim().is_empty() {
            return Err(RequestError::Missing { what });
        }
    }
    let Some(timeline) = show_process(&**store, process, instance).await? else {
        return Err(RequestError::NotFound { process: process.to_owned(), instance: instance.to_owned() });
    };
    if let Some(why) = refusal(&timeline.instance, action.as_str()) {
        return Err(RequestError::Refused { why });
    }
    let record = ProcessRecord::Requested(Requested {
        process: process.to_owned(),
        instance: instance.to_owned(),
        action: action.as_str().to_owned(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    });
    let metadata = CommandMetadata::new().actor(actor).correlation(timeline.instance.correlation);
    let event = record.to_event(EventId::generate(), metadata.to_json())?.with_tag(process_tag(process)?);
    let appended = store.append_to(requests_stream(process)?, ExpectedRevision::Any, vec![event]).await?;
    Ok(appended.last.unwrap_or_default())
}

/// Where operators ask.
fn requests_stream(process: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("{process}:requests"))
}

fn process_tag(process: &str) -> Result<Tag, NameError> {
    Tag::new(format!("process:{process}"))
}

/// The requests of one process.
pub(super) fn requests_item(process: &str) -> Result<QueryItem, NameError> {
    Ok(QueryItem::types([EventType::new(REQUESTED_TYPE)?]).and_tags([process_tag(process)?]))
}

/// Why an action makes no sense where the instance stands.
pub(super) fn refusal(instance: &ProcessInstance, action: &str) -> Option<String> {
    let name = instance.stream();
    let stage = instance.stage();
    let parked = instance.outstanding.iter().find(|out| out.parked);
    let Ok(known) = action.parse() else {
        return Some(format!("'{action}' is not an action: ask for retry, cancel, done or rejected"));
    };
    let why = match known {
        _ if stage.is_over() => format!("'{name}' is {stage}: nothing is left to do"),
        OperatorAction::Retry if instance.trouble.is_none() => {
            format!("'{name}' is {stage}, not stopped: there is nothing to retry")
        }
        OperatorAction::Cancel if instance.past_pivot => format!(
            "'{name}' is past its point of no return: it can only go on, not be undone; retry it once the cause is mended"
        ),
        OperatorAction::Cancel if instance.is_ended() || instance.failing.is_some() => {
            format!("'{name}' is {stage} already")
        }
        OperatorAction::Done | OperatorAction::Rejected if parked.is_none() => {
            format!("'{name}' is {stage}, and no command of it was given up on: there is nothing to answer")
        }
        OperatorAction::Rejected if parked.is_some_and(|out| out.undoes.is_some()) => {
            format!(
                "'{name}' is undoing: what is done has to be undone; say done once it is, by hand if need be"
            )
        }
        _ => return None,
    };
    Some(why)
}
