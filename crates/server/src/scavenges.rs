//! Which scavenge runs, and which ones have ended?

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::{EventType, ExpectedRevision, NewEvent, StreamName};
use serde_json::json;
use uuid::Uuid;

use crate::maintenance::{Maintenance, Reclaimed};
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
    running: Option<Running>,
    ended: VecDeque<Uuid>,
}

#[derive(Debug)]
struct Running {
    id: Uuid,
    stop: Arc<AtomicBool>,
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
        if known.ended.contains(&id) { Ok(()) } else { Err(UnknownScavenge) }
    }

    fn begin(&self) -> Result<(Uuid, Arc<AtomicBool>), Uuid> {
        let mut known = self.known();
        if let Some(running) = &known.running {
            return Err(running.id);
        }
        let (id, stop) = (Uuid::new_v4(), Arc::new(AtomicBool::new(false)));
        known.running = Some(Running { id, stop: stop.clone() });
        Ok((id, stop))
    }

    fn end(&self) {
        let mut known = self.known();
        if let Some(running) = known.running.take() {
            known.ended.push_back(running.id);
            if known.ended.len() > REMEMBERED {
                known.ended.pop_front();
            }
        }
    }
}

/// Begins a scavenge, unless one runs. It goes on after the call that asked for it.
pub(crate) fn start(shared: &Arc<Shared>, maintenance: Arc<dyn Maintenance>) -> Begun {
    let (id, stop) = match shared.ops.scavenges.begin() {
        Ok(begun) => begun,
        Err(running) => return Begun::InProgress(running),
    };
    tokio::spawn(carry_out(shared.clone(), maintenance, id, stop));
    Begun::Started(id)
}

async fn carry_out(shared: Arc<Shared>, maintenance: Arc<dyn Maintenance>, id: Uuid, stop: Arc<AtomicBool>) {
    tracing::info!(scavenge = %id, "a scavenge began");
    record(&shared, "$scavengeStarted", json!({ "scavengeId": id.to_string() })).await;
    let began = shared.options.clock.now();
    let (stopping, asked) = (shared.stopping.clone(), stop.clone());
    let work = tokio::task::spawn_blocking(move || {
        maintenance.scavenge(&mut |_| {
            if asked.load(Ordering::Relaxed) || stopping.is_due() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let outcome = work.await;
    shared.ops.scavenges.end();
    let millis = shared.options.clock.now().unix_millis().saturating_sub(began.unix_millis());
    let (result, reclaimed) = match outcome {
        Ok(Ok(reclaimed)) if stop.load(Ordering::Relaxed) => ("Stopped", reclaimed),
        Ok(Ok(reclaimed)) => ("Success", reclaimed),
        Ok(Err(error)) => {
            tracing::error!(scavenge = %id, error = %error, "a scavenge failed");
            ("Errored", Reclaimed::default())
        }
        Err(_) => {
            tracing::error!(scavenge = %id, "a scavenge was cut off");
            ("Errored", Reclaimed::default())
        }
    };
    shared.ops.metrics.scavenged_events.add(reclaimed.events);
    shared.ops.metrics.scavenged_bytes.add(reclaimed.bytes);
    let Reclaimed { events, bytes } = reclaimed;
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
