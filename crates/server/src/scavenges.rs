//! How is a scavenge begun, and how do clients of KurrentDB hear of it? They look at `$scavenges`.

use std::sync::Arc;

use factum_core::{Append, AppendError, EventType, ExpectedRevision, NewEvent, StreamName, with_causes};
use serde_json::json;
use uuid::Uuid;

use crate::jobs::{self, Asked, Begun, Found, Kind, Outcome};
use crate::maintenance::{Maintenance, Reclaimed};
use crate::operations::By;
use crate::shared::Shared;

/// Where scavenges are told of.
pub(crate) const SCAVENGES_STREAM: &str = "$scavenges";

/// Begins a scavenge, unless one runs.
///
/// # Errors
/// `AppendError` where the log does not take that it was asked for.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    maintenance: Arc<dyn Maintenance>,
    by: By,
    reason: &str,
) -> Result<Begun, AppendError> {
    let asked = Asked { kind: Kind::Scavenge, target: "", by, reason };
    jobs::start(shared, asked, move |watch| {
        maintenance.scavenge(watch).map(Found::Reclaimed).map_err(|error| with_causes(&error))
    })
    .await
}

/// Tells that one began.
pub(crate) async fn tell_began(shared: &Shared, id: Uuid) {
    record(shared, "$scavengeStarted", json!({ "scavengeId": id.to_string() })).await;
}

/// Counts what it gave back, and tells that it ended.
pub(crate) async fn tell_ended(shared: &Shared, id: Uuid, outcome: Outcome, found: &Found, millis: i64) {
    let Reclaimed { events, bytes } = match found {
        Found::Reclaimed(reclaimed) => *reclaimed,
        _ => Reclaimed::default(),
    };
    shared.ops.metrics.scavenged_events.add(events);
    shared.ops.metrics.scavenged_bytes.add(bytes);
    let result = match outcome {
        Outcome::Completed => "Success",
        Outcome::Stopped => "Stopped",
        Outcome::Failed => "Errored",
    };
    let data = json!({
        "scavengeId": id.to_string(), "result": result, "events": events, "spaceSaved": bytes, "timeTakenMs": millis,
    });
    record(shared, "$scavengeCompleted", data).await;
}

/// Tells the log. That it cannot be told is no reason to leave a scavenge.
async fn record(shared: &Shared, event_type: &str, data: serde_json::Value) {
    let (Ok(stream), Ok(event_type)) = (StreamName::new(SCAVENGES_STREAM), EventType::new(event_type)) else {
        return;
    };
    let event = NewEvent::json(event_type, data.to_string());
    let append = Append::to(stream, ExpectedRevision::Any, vec![event]);
    if let Err(error) = shared.store.append(append).await {
        tracing::warn!(error = %error, "a scavenge is not in {SCAVENGES_STREAM}");
    }
}
