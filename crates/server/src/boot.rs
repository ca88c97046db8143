//! What a log holds before any client writes: clients expect it to begin with events of the server's own.
//!
//! They are written once, with the first start over a log; their ids and what they hold do not change, so that a start that
//! was cut off is made good by the next one. Each is what KurrentDB would write there: the list of projections, and the
//! lives of the streams that the server writes itself.

use factum_core::{
    Append, AppendError, Capability, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision,
    METADATA_TYPE, NewEvent, ReadError, StreamName, StreamWrite,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::projections::SystemProjection;
use crate::scavenges::SCAVENGES_STREAM;
use crate::shared::Shared;
use crate::stats::{Stats, UsedBefore};

/// Names the identities of what is written at the first start.
const EVENTS: Uuid = Uuid::from_u128(0x1d0c_2f6a_7b1e_4c52_8f6e_0b83_5a94_c7d1);
/// The list of projections. It is written last of all, so that where it is, everything is.
const PROJECTIONS_STREAM: &str = "$projections-$all";
/// How long the server's own figures are kept, in seconds: a day.
const STATS_SECONDS: u64 = 24 * 60 * 60;
/// How long scavenges are told of, in seconds: 30 days.
const SCAVENGES_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Why a log could not be made ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the log cannot be written: {0}")]
    Append(#[from] AppendError),
    #[error("the name of a system stream or type is none: {0}")]
    Name(String),
}

/// Writes what is missing. Almost always nothing is: one look tells.
pub(crate) async fn write(shared: &Shared) -> Result<(), BootError> {
    let store: &dyn EventStore = shared.store.as_ref();
    let written = match store.last_event(name(PROJECTIONS_STREAM)?).await {
        Ok(event) => event.is_some(),
        // Somebody has deleted it, and so it was written.
        Err(ReadError::StreamDeleted { .. }) => true,
        Err(ReadError::StreamNotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    if written {
        return Ok(());
    }
    let writes = writes(shared)?;
    if store.capabilities().has(Capability::MultiStreamAppend) {
        return appended(store, writes).await;
    }
    for write in writes {
        appended(store, vec![write]).await?;
    }
    Ok(())
}

/// That another writer was first is as good.
async fn appended(store: &dyn EventStore, writes: Vec<StreamWrite>) -> Result<(), BootError> {
    match store.append(Append { writes, ..Append::default() }).await {
        Ok(_) | Err(AppendError::Conflict { .. } | AppendError::StreamDeleted { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn writes(shared: &Shared) -> Result<Vec<StreamWrite>, BootError> {
    let stats = stats_stream(shared);
    let lives =
        [(stats.as_str(), STATS_SECONDS), (SCAVENGES_STREAM, SCAVENGES_SECONDS)].map(|(stream, seconds)| {
            write_to(&format!("$${stream}"), [(METADATA_TYPE, json!({ "$maxAge": seconds }))])
        });
    let mut writes = lives.into_iter().collect::<Result<Vec<_>, _>>()?;
    writes.push(write_to(&stats, [(STATS_TYPE, figures(shared))])?);
    let created = SystemProjection::ALL
        .iter()
        .map(|projection| ("$ProjectionCreated", Value::String(projection.name().to_owned())));
    let of_projections = std::iter::once(("$ProjectionsInitialized", json!({}))).chain(created);
    writes.push(write_to(PROJECTIONS_STREAM, of_projections)?);
    // The state of each is what KurrentDB keeps in a stream of its own.
    for projection in SystemProjection::ALL {
        let state = json!({ "mode": "Continuous", "enabled": true, "query": projection.query() });
        let stream = format!("$projections-{}", projection.name());
        writes.insert(writes.len() - 1, write_to(&stream, [("$ProjectionUpdated", state)])?);
    }
    Ok(writes)
}

fn write_to<'a>(
    stream: &str,
    events: impl IntoIterator<Item = (&'a str, Value)>,
) -> Result<StreamWrite, BootError> {
    let events = events.into_iter().enumerate().map(|(place, (event_type, data))| {
        let event_type = EventType::new(event_type).map_err(|error| BootError::Name(error.to_string()))?;
        let mut event = NewEvent::json(event_type, data.to_string());
        event.id = EventId(Uuid::new_v5(&EVENTS, format!("{place}@{stream}").as_bytes()));
        Ok(event)
    });
    let events = events.collect::<Result<Vec<_>, BootError>>()?;
    Ok(StreamWrite { stream: name(stream)?, expected: ExpectedRevision::NoStream, events })
}

fn name(stream: &str) -> Result<StreamName, BootError> {
    StreamName::new(stream.to_owned()).map_err(|error| BootError::Name(error.to_string()))
}

const STATS_TYPE: &str = "$statsCollected";

/// Where the server's figures go.
fn stats_stream(shared: &Shared) -> String {
    let endpoint = shared.endpoint(&crate::call::Call::default());
    format!("$stats-{}:{}", endpoint.host, endpoint.port)
}

fn figures(shared: &Shared) -> Value {
    let stats = Stats::of(shared, UsedBefore::START);
    stats.flat.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

/// Writes the figures into the log, again and again, where that was asked for.
pub(crate) async fn keep_figures(shared: std::sync::Arc<Shared>) {
    let Some(every) = shared.options.stats_every else { return };
    let Ok(stream) = name(&stats_stream(&shared)) else { return };
    let Ok(event_type) = EventType::new(STATS_TYPE) else { return };
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(every.max(SHORTEST_STATS)) => {}
        }
        let event = NewEvent::json(event_type.clone(), figures(&shared).to_string());
        let append = Append::to(stream.clone(), ExpectedRevision::Any, vec![event]);
        if let Err(error) = shared.store.append(append).await {
            tracing::warn!(error = %error, "figures are not in the log");
        }
    }
}

/// The shortest time between two events with figures: they must not fill the log.
const SHORTEST_STATS: std::time::Duration = std::time::Duration::from_secs(10);
