//! Which jobs run, and which ones have ended? Scavenges, verifications and backups: one of each kind at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::{AppendError, Timestamp};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::backups::Backup;
use crate::maintenance::{Progress, Reclaimed, Verification};
use crate::operations::{self, By, Ending, Operation, Recorded, What};
use crate::scavenges;
use crate::shared::Shared;

/// How many jobs of a kind that have ended are known by their id.
const REMEMBERED: usize = 64;
/// Damaged places that an event of `$operations` names.
const PLACES_TOLD: usize = 10;

/// The kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scavenge,
    Verify,
    Backup,
}

impl Kind {
    const COUNT: usize = 3;

    fn what(self) -> What {
        match self {
            Kind::Scavenge => What::Scavenge,
            Kind::Verify => What::Verify,
            Kind::Backup => What::Backup,
        }
    }

    /// As people call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Scavenge => "scavenge",
            Kind::Verify => "verification",
            Kind::Backup => "backup",
        }
    }
}

/// The jobs of a server.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// A lock, since it is held for a look and a change only.
    known: Mutex<[Known; Kind::COUNT]>,
}

#[derive(Debug, Default)]
struct Known {
    running: Option<Job>,
    ended: VecDeque<Job>,
}

/// One job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Which.
    pub(crate) id: Uuid,
    /// Of which kind.
    pub(crate) kind: Kind,
    /// The name of what it makes; empty where that has none.
    pub(crate) target: String,
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

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Over {
    /// When.
    pub(crate) at: Timestamp,
    /// In what way.
    pub(crate) outcome: Outcome,
    /// What came of it.
    pub(crate) found: Found,
}

/// In what way a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It came to its end.
    Completed,
    /// It was told to stop.
    Stopped,
    /// It could not go on.
    Failed,
}

impl Outcome {
    /// As the HTTP API calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Stopped => "stopped",
            Outcome::Failed => "failed",
        }
    }

    fn ending(self) -> Ending {
        match self {
            Outcome::Completed => Ending::Done,
            Outcome::Stopped => Ending::Stopped,
            Outcome::Failed => Ending::Failed,
        }
    }
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Bytes that a scavenge gave back.
    Reclaimed(Reclaimed),
    /// What a walk over the log found.
    Verified(Verification),
    /// A backup.
    BackedUp(Backup),
    /// Nothing: it was broken off.
    Nothing,
    /// Nothing, since this went wrong.
    Error(String),
}

impl Found {
    /// As an event of `$operations` tells it.
    fn details(&self) -> Value {
        match self {
            Found::Reclaimed(Reclaimed { events, bytes }) => json!({ "events": events, "bytes": bytes }),
            Found::Verified(found) => {
                let places = found.damage.iter().take(PLACES_TOLD);
                let places: Vec<Value> =
                    places.map(|fault| json!({ "place": fault.place, "what": fault.what })).collect();
                json!({
                    "end": found.end.to_string(), "events": found.events, "bytes": found.bytes, "root": found.root,
                    "damage": found.damaged, "places": places,
                })
            }
            Found::BackedUp(made) => json!({
                "end": made.end.to_string(), "bytes": made.bytes,
                "root": made.verified.as_ref().map(|verified| verified.root.as_str()),
            }),
            Found::Nothing => json!({}),
            Found::Error(why) => operations::failure(why),
        }
    }
}

impl Job {
    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Progress { done: of(&self.done), all: of(&self.all) }
    }
}

/// What asking for a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It runs.
    Started(Uuid),
    /// Another one runs.
    InProgress(Uuid),
}

/// There never was such a job, or it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownJob;

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) kind: Kind,
    /// The name of what it makes, or nothing.
    pub(crate) target: &'a str,
    pub(crate) by: By,
    pub(crate) reason: &'a str,
}

/// Told how far a job is; says whether it is to go on.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

impl Jobs {
    fn known(&self) -> MutexGuard<'_, [Known; Kind::COUNT]> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one runs.
    pub(crate) fn runs(&self, kind: Kind) -> bool {
        self.known()[kind as usize].running.is_some()
    }

    /// Stops the job with this id where it next looks up; one that has ended stays so.
    pub(crate) fn stop(&self, kind: Kind, id: Uuid) -> Result<(), UnknownJob> {
        let known = &self.known()[kind as usize];
        if let Some(running) = known.running.as_ref().filter(|running| running.id == id) {
            running.stop.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if known.ended.iter().any(|of| of.id == id) { Ok(()) } else { Err(UnknownJob) }
    }

    /// Those that are known, the oldest first.
    pub(crate) fn list(&self, kind: Kind) -> Vec<Job> {
        let known = &self.known()[kind as usize];
        known.ended.iter().chain(&known.running).cloned().collect()
    }

    fn begin(&self, asked: &Asked<'_>, started: Timestamp) -> Result<Job, Uuid> {
        let known = &mut self.known()[asked.kind as usize];
        if let Some(running) = &known.running {
            return Err(running.id);
        }
        let job = Job {
            id: Uuid::new_v4(),
            kind: asked.kind,
            target: asked.target.to_owned(),
            by: asked.by.actor.clone(),
            reason: asked.reason.to_owned(),
            started,
            over: None,
            stop: Arc::default(),
            done: Arc::default(),
            all: Arc::default(),
        };
        known.running = Some(job.clone());
        Ok(job)
    }

    /// It could not be recorded, and is not done.
    fn forget(&self, kind: Kind) {
        self.known()[kind as usize].running = None;
    }

    fn end(&self, kind: Kind, over: Over) {
        let known = &mut self.known()[kind as usize];
        if let Some(mut running) = known.running.take() {
            running.over = Some(over);
            known.ended.push_back(running);
            if known.ended.len() > REMEMBERED {
                known.ended.pop_front();
            }
        }
    }
}

/// Begins a job, unless one of its kind runs. It is recorded first, and goes on after the call that asked for it. `work` blocks; it
/// gives back an error's text where it could not go on.
///
/// # Errors
/// `AppendError` where the log does not take that it was asked for.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    work: impl FnOnce(Watch<'_>) -> Result<Found, String> + Send + 'static,
) -> Result<Begun, AppendError> {
    let job = match shared.ops.jobs.begin(&asked, shared.options.clock.now()) {
        Ok(begun) => begun,
        Err(running) => return Ok(Begun::InProgress(running)),
    };
    let id = job.id;
    let operation = Operation {
        what: asked.kind.what(),
        target: asked.target.to_owned(),
        reason: asked.reason.to_owned(),
        details: json!({ "job": id.to_string() }),
    };
    let (shared, by) = (shared.clone(), asked.by);
    let (tell, told) = oneshot::channel();
    // A task of its own, so that a caller who goes away leaves no job that neither runs nor ends.
    tokio::spawn(async move {
        let recorded = operations::record(&shared, by, operation).await;
        // Whoever asked may be gone; the job is there all the same.
        match recorded {
            Ok(recorded) => {
                drop(tell.send(Ok(Begun::Started(id))));
                carry_out(&shared, job, recorded, work).await;
            }
            Err(error) => {
                shared.ops.jobs.forget(job.kind);
                drop(tell.send(Err(error)));
            }
        }
    });
    told.await.unwrap_or(Err(AppendError::Closed))
}

async fn carry_out(
    shared: &Arc<Shared>,
    job: Job,
    recorded: Recorded,
    work: impl FnOnce(Watch<'_>) -> Result<Found, String> + Send + 'static,
) {
    let Job { id, kind, stop, done, all, .. } = job;
    let name = kind.word();
    tracing::info!(job = %id, "a {name} began");
    if kind == Kind::Scavenge {
        scavenges::tell_began(shared, id).await;
    }
    let began = shared.options.clock.now();
    let stopping = shared.stopping.clone();
    let work = tokio::task::spawn_blocking(move || {
        let mut broken_off = false;
        let found = work(&mut |progress: Progress| {
            done.store(progress.done, Ordering::Relaxed);
            all.store(progress.all, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) || stopping.is_due() {
                broken_off = true;
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        (found, broken_off)
    });
    let (outcome, found) = match work.await {
        Ok((Ok(found), true)) => (Outcome::Stopped, found),
        Ok((Ok(found), false)) => (Outcome::Completed, found),
        Ok((Err(why), _)) => (Outcome::Failed, Found::Error(why)),
        Err(_) => (Outcome::Failed, Found::Error("it was cut off".to_owned())),
    };
    let at = shared.options.clock.now();
    let millis = at.unix_millis().saturating_sub(began.unix_millis());
    if let Found::Error(error) = &found {
        tracing::error!(job = %id, error, "a {name} failed");
    }
    let mut details = found.details();
    details["job"] = id.to_string().into();
    details["millis"] = millis.into();
    tracing::info!(job = %id, result = outcome.word(), millis, "a {name} ended");
    // Whoever sees that it is over finds that in the log.
    operations::ended(shared, &recorded, outcome.ending(), details).await;
    shared.ops.jobs.end(kind, Over { at, outcome, found: found.clone() });
    if kind == Kind::Scavenge {
        scavenges::tell_ended(shared, id, outcome, &found, millis).await;
    }
}
