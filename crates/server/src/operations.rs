//! What did operators do? Each thing that they ask for is an event of `$operations`, there before it is done.
//!
//! An operation that the log does not take is not done, so nothing happens unrecorded. What came of it is a second event,
//! where there is something to say: of a job its end, of anything else only that it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::{
    Append, AppendError, EventId, EventType, ExpectedRevision, METADATA_TYPE, NewEvent, Read, ReadError,
    RecordedEvent, Selector, StreamName, with_causes,
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::access::{ADMINS, Caller, OPS};
use crate::shared::Shared;

/// Where operations are told of.
pub(crate) const OPERATIONS_STREAM: &str = "$operations";
/// The type of each event there.
const OPERATION_TYPE: &str = "$operation";
/// Longest reason, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 1_024;
/// Longest text of what went wrong, in characters.
const MAX_ERROR_CHARS: usize = 500;
/// Events that are looked at for the newest of a kind.
const LOOKED_AT: u64 = 2_000;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    DeleteStream,
    TombstoneStream,
    SetMetadata,
    Scavenge,
    Verify,
    Backup,
    ReplayParked,
    SkipParked,
}

impl What {
    /// As events and the API call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            What::DeleteStream => "delete-stream",
            What::TombstoneStream => "tombstone-stream",
            What::SetMetadata => "set-metadata",
            What::Scavenge => "scavenge",
            What::Verify => "verify",
            What::Backup => "backup",
            What::ReplayParked => "replay-parked",
            What::SkipParked => "skip-parked",
        }
    }
}

/// Who does it, in answer to which request.
#[derive(Clone, Debug)]
pub(crate) struct By {
    /// Their login.
    pub(crate) actor: String,
    /// The request's id, where it has one.
    pub(crate) request: Option<Arc<str>>,
}

impl By {
    /// A caller without a request over HTTP.
    pub(crate) fn caller(caller: &Caller) -> Self {
        Self { actor: caller.name().to_owned(), request: None }
    }
}

/// What is about to be done.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// What.
    pub(crate) what: What,
    /// To what: a stream, a group; the store itself has no name.
    pub(crate) target: String,
    /// Why, in the operator's words.
    pub(crate) reason: String,
    /// Numbers and names that belong to it: a JSON object, or null.
    pub(crate) details: Value,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    Stopped,
    Failed,
}

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Stopped => "stopped",
            Ending::Failed => "failed",
        }
    }
}

/// An operation that the log knows of.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    id: EventId,
    by: By,
    what: What,
    target: String,
}

/// What the server remembers of the stream: whether it has the access list that it begins with.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    listed: AtomicBool,
    listing: Mutex<()>,
}

/// Tells the log what is about to be done, by whom and why. Whatever it was is only done once this came back.
///
/// # Errors
/// `AppendError` where the log does not take it: then it must not be done.
pub(crate) async fn record(shared: &Shared, by: By, operation: Operation) -> Result<Recorded, AppendError> {
    give_access(shared).await?;
    let Operation { what, target, reason, details } = operation;
    let recorded = Recorded { id: EventId::generate(), by, what, target };
    let mut data = recorded.data("asked");
    data.insert("reason".to_owned(), reason.into());
    extend(&mut data, details);
    append(shared, &recorded, recorded.id, data).await?;
    let Recorded { by, target, .. } = &recorded;
    tracing::info!(by = by.actor, what = what.word(), target, "an operator's action is recorded");
    Ok(recorded)
}

/// Tells the log what came of it. That it cannot be told is no reason to undo it: then it stays known as asked for.
pub(crate) async fn ended(shared: &Shared, recorded: &Recorded, ending: Ending, details: Value) {
    let mut data = recorded.data(ending.word());
    data.insert("of".to_owned(), recorded.id.to_string().into());
    extend(&mut data, details);
    if let Err(error) = append(shared, recorded, EventId::generate(), data).await {
        let what = recorded.what.word();
        tracing::warn!(error = %error, what, "the end of an operation is not in {OPERATIONS_STREAM}");
    }
}

/// The newest event that says how an operation of a kind ended, `done` or `failed`, among the last few thousand.
///
/// # Errors
/// `ReadError` where the stream cannot be read.
pub(crate) async fn last_ended(shared: &Shared, what: What) -> Result<Option<RecordedEvent>, ReadError> {
    let Ok(stream) = StreamName::new(OPERATIONS_STREAM) else { return Ok(None) };
    let read = Read::backwards(Selector::Stream(stream)).limit(LOOKED_AT);
    let mut reader = match shared.store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    while let Some(page) = reader.next_page().await? {
        for event in page.events {
            let data: Value = serde_json::from_slice(event.data_slice()).unwrap_or_default();
            if data["what"] == what.word() && matches!(data["outcome"].as_str(), Some("done" | "failed")) {
                return Ok(Some(event));
            }
        }
    }
    Ok(None)
}

/// What went wrong, as an event tells it.
pub(crate) fn failure(error: &str) -> Value {
    json!({ "error": error.chars().take(MAX_ERROR_CHARS).collect::<String>() })
}

impl Recorded {
    fn data(&self, outcome: &str) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("what".to_owned(), self.what.word().into());
        data.insert("target".to_owned(), self.target.as_str().into());
        data.insert("outcome".to_owned(), outcome.into());
        data
    }
}

fn extend(data: &mut Map<String, Value>, details: Value) {
    if let Value::Object(details) = details {
        data.extend(details);
    }
}

async fn append(
    shared: &Shared,
    recorded: &Recorded,
    id: EventId,
    data: Map<String, Value>,
) -> Result<(), AppendError> {
    let operation = recorded.id.to_string();
    let mut metadata = json!({ "actor": recorded.by.actor, "$correlationId": operation });
    if let Some(request) = &recorded.by.request {
        metadata["requestId"] = Value::from(&**request);
    }
    if id != recorded.id {
        metadata["$causationId"] = operation.into();
    }
    write(shared, OPERATIONS_STREAM, ExpectedRevision::Any, OPERATION_TYPE, Value::Object(data), |event| {
        event.with_id(id).with_metadata(metadata.to_string())
    })
    .await
}

/// Lets operators read it too: system streams are for administrators alone unless they say otherwise. Once written, it is the
/// administrators' to change.
async fn give_access(shared: &Shared) -> Result<(), AppendError> {
    let known = &shared.ops.operations;
    if known.listed.load(Ordering::Acquire) {
        return Ok(());
    }
    let _one = known.listing.lock().await;
    if known.listed.load(Ordering::Acquire) {
        return Ok(());
    }
    let stream = format!("$${OPERATIONS_STREAM}");
    let list = json!({ "$acl": { "$r": [ADMINS, OPS] } });
    let written =
        write(shared, &stream, ExpectedRevision::NoStream, METADATA_TYPE, list, |event| event).await;
    match written {
        Ok(()) | Err(AppendError::Conflict { .. } | AppendError::StreamDeleted { .. }) => {
            known.listed.store(true, Ordering::Release);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn write(
    shared: &Shared,
    stream: &str,
    expected: ExpectedRevision,
    event_type: &str,
    data: Value,
    complete: impl FnOnce(NewEvent) -> NewEvent,
) -> Result<(), AppendError> {
    let (Ok(stream), Ok(event_type)) = (StreamName::new(stream), EventType::new(event_type)) else {
        unreachable!("names of ours are names")
    };
    let event = complete(NewEvent::json(event_type, data.to_string()));
    let append = Append::to(stream, expected, vec![event]);
    shared.store.append(append).await.map(|_| ()).inspect_err(|error| {
        if !matches!(error, AppendError::Conflict { .. }) {
            tracing::warn!(error = with_causes(error), "an operation cannot be recorded");
        }
    })
}
