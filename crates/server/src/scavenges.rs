//! Which scavenge runs, and which ones have ended?

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::{AppendError, EventType, ExpectedRevision, NewEvent, StreamName, Timestamp, with_causes};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::maintenance::{Maintenance, Reclaimed, ScavengeProgress};
use crate::operations::{self, By, Ending, Operation, Recorded, What};
use crate::shared::Shared;

/// How many scavenges that have ended are known by their id.
const REMEMBERED: usize = 64;
/// Where scavenges are told of.
pub(crate) const SCAVENGES_STREAM: &str = "$scavenges";

/// The scavenges of a server: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Scavenges {
    /// A lock, since it is held for a look and a change only.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    running: Option<Scavenge>,
    ended: VecDeque<Scavenge>,
}

/// One scavenge.
#[derive(Clone, Debug)]
pub(crate) struct Scavenge {
    /// Which.
    pub(crate) id: Uuid,
    /// Who asked for it.
    pub(crate) by: String,
    /// Why, in their words.
    pub(crate) reason: String,
    /// When it began.
    pub(crate) started: Timestamp,
    /// How it ended; `None` while it runs.
    pub(crate) over: Option<Over>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
}

/// How a scavenge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// When.
    pub(crate) at: Timestamp,
    /// In what way.
    pub(crate) result: Outcome,
    /// What it gave back.
    pub(crate) reclaimed: Reclaimed,
}

/// In what way a scavenge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has looked at everything.
    Success,
    /// It was told to stop.
    Stopped,
    /// It could not go on.
    Errored,
}

impl Outcome {
    /// As clients of KurrentDB know it.
    fn name(self) -> &'static str {
        match self {
            Outcome::Success => "Success",
            Outcome::Stopped => "Stopped",
            Outcome::Errored => "Errored",
        }
    }

    /// As the HTTP API calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Success => "completed",
            Outcome::Stopped => "stopped",
            Outcome::Errored => "failed",
        }
    }
}

impl Scavenge {
    /// How far it is.
    pub(crate) fn progress(&self) -> ScavengeProgress {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ScavengeProgress { done: of(&self.done), all: of(&self.all) }
    }
}

/// What asking for a scavenge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It runs.
    Started(Uuid),
    /// Another one runs.
    InProgress(Uuid),
}

/// There never was such a scavenge, or it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownScavenge;

impl Scavenges {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one runs.
    pub(crate) fn runs(&self) -> bool {
        self.known().running.is_some()
    }

    /// Stops the scavenge with this id after the segment that it is at; one that has ended stays so.
    pub(crate) fn stop(&self, id: Uuid) -> Result<(), UnknownScavenge> {
        let known = self.known();
        if let Some(running) = known.running.as_ref().filter(|running| running.id == id) {
            running.stop.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if known.ended.iter().any(|of| of.id == id) { Ok(()) } else { Err(UnknownScavenge) }
    }

    /// Those that are known, the oldest first.
    pub(crate) fn list(&self) -> Vec<Scavenge> {
        let known = self.known();
        known.ended.iter().chain(&known.running).cloned().collect()
    }

    fn begin(&self, by: &str, reason: &str, started: Timestamp) -> Result<Scavenge, Uuid> {
        let mut known = self.known();
        if let Some(running) = &known.running {
            return Err(running.id);
        }
        let scavenge = Scavenge {
            id: Uuid::new_v4(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            started,
            over: None,
            stop: Arc::default(),
            done: Arc::default(),
            all: Arc::default(),
        };
        known.running = Some(scavenge.clone());
        Ok(scavenge)
    }

    /// It could not be recorded, and is not done.
    fn drop_running(&self) {
        self.known().running = None;
    }

    fn end(&self, over: Over) {
        let mut known = self.known();
        if let Some(mut running) = known.running.take() {
            running.over = Some(over);
            known.ended.push_back(running);
            if known.ended.len() > REMEMBERED {
                known.ended.pop_front();
            }
        }
    }
}

/// Begins a scavenge, unless one runs. It goes on after the call that asked for it.
///
/// # Errors
/// `AppendError` where the log does not take that it was asked for.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    maintenance: Arc<dyn Maintenance>,
    by: By,
    reason: &str,
) -> Result<Begun, AppendError> {
    let scavenge = match shared.ops.scavenges.begin(&by.actor, reason, shared.options.clock.now()) {
        Ok(begun) => begun,
        Err(running) => return Ok(Begun::InProgress(running)),
    };
    let id = scavenge.id;
    let operation = Operation {
        what: What::Scavenge,
        target: String::new(),
        reason: reason.to_owned(),
        details: json!({ "job": id.to_string() }),
    };
    let (shared, began) = (shared.clone(), tokio::sync::oneshot::channel());
    let (tell, told) = began;
    // A task of its own, so that a caller who goes away leaves no scavenge that neither runs nor ends.
    tokio::spawn(async move {
        match operations::record(&shared, by, operation).await {
            Ok(recorded) => {
                let _ = tell.send(Ok(Begun::Started(id)));
                carry_out(shared, maintenance, scavenge, recorded).await;
            }
            Err(error) => {
                shared.ops.scavenges.drop_running();
                let _ = tell.send(Err(error));
            }
        }
    });
    told.await.unwrap_or(Err(AppendError::Closed))
}

async fn carry_out(
    shared: Arc<Shared>,
    maintenance: Arc<dyn Maintenance>,
    scavenge: Scavenge,
    recorded: Recorded,
) {
    let Scavenge { id, stop, done, all, .. } = scavenge;
    tracing::info!(scavenge = %id, "a scavenge began");
    record(&shared, "$scavengeStarted", json!({ "scavengeId": id.to_string() })).await;
    let began = shared.options.clock.now();
    let (stopping, asked) = (shared.stopping.clone(), stop.clone());
    let work = tokio::task::spawn_blocking(move || {
        maintenance.scavenge(&mut |progress| {
            done.store(progress.done, Ordering::Relaxed);
            all.store(progress.all, Ordering::Relaxed);
            if asked.load(Ordering::Relaxed) || stopping.is_due() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let outcome = work.await;
    let now = shared.options.clock.now();
    let millis = now.unix_millis().saturating_sub(began.unix_millis());
    let mut failure = Value::Null;
    let (result, reclaimed) = match outcome {
        Ok(Ok(reclaimed)) if stop.load(Ordering::Relaxed) => (Outcome::Stopped, reclaimed),
        Ok(Ok(reclaimed)) => (Outcome::Success, reclaimed),
        Ok(Err(error)) => {
            tracing::error!(scavenge = %id, error = %error, "a scavenge failed");
            failure = operations::failure(&with_causes(&error));
            (Outcome::Errored, Reclaimed::default())
        }
        Err(_) => {
            tracing::error!(scavenge = %id, "a scavenge was cut off");
            failure = operations::failure("it was cut off");
            (Outcome::Errored, Reclaimed::default())
        }
    };
    let Reclaimed { events, bytes } = reclaimed;
    let mut details = json!({ "job": id.to_string(), "events": events, "bytes": bytes, "millis": millis });
    if let (Some(details), Value::Object(failure)) = (details.as_object_mut(), failure) {
        details.extend(failure);
    }
    let ending = match result {
        Outcome::Success => Ending::Done,
        Outcome::Stopped => Ending::Stopped,
        Outcome::Errored => Ending::Failed,
    };
    shared.ops.scavenges.end(Over { at: now, result, reclaimed });
    operations::ended(&shared, &recorded, ending, details).await;
    let result = result.name();
    shared.ops.metrics.scavenged_events.add(reclaimed.events);
    shared.ops.metrics.scavenged_bytes.add(reclaimed.bytes);
    tracing::info!(scavenge = %id, result, events, bytes, millis, "a scavenge ended");
    let data = json!({
        "scavengeId": id.to_string(), "result": result, "events": events, "spaceSaved": bytes, "timeTakenMs": millis,
    });
    record(&shared, "$scavengeCompleted", data).await;
}

/// Tells the log. That it cannot be told is no reason to leave a scavenge.
async fn record(shared: &Shared, event_type: &str, data: serde_json::Value) {
    let (Ok(stream), Ok(event_type)) = (StreamName::new(SCAVENGES_STREAM), EventType::new(event_type)) else {
        return;
    };
    let event = NewEvent::json(event_type, data.to_string());
    let append = factum_core::Append::to(stream, ExpectedRevision::Any, vec![event]);
    if let Err(error) = shared.store.append(append).await {
        tracing::warn!(error = %error, "a scavenge is not in {SCAVENGES_STREAM}");
    }
}
