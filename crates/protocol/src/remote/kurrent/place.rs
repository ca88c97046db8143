//! Where is the end of the log, what stood where at a time, and which log is it at all?
//!
//! KurrentDB gives a database no identity that clients see. Its first event is one: its id is random, and it stays.

use std::sync::Arc;

use factum_core::{
    Checkpoint, CheckpointError, Direction, Position, ReadError, RecordedEvent, StoreId, Timestamp,
};
use uuid::Uuid;

use super::wire_read::{Answers, From, Narrowing, Said, Source, Span, request};
use crate::remote::cluster::Cluster;
use crate::remote::failure::Fault;

/// Names the identities of logs.
const LOGS: Uuid = Uuid::from_u128(0x0b1c_5a3e_96d4_4c1f_8f27_3f0d_58c9_a2e6);

/// The first or last event of what is read.
async fn one(cluster: &Cluster, direction: Direction) -> Result<Option<RecordedEvent>, Fault> {
    let from = if direction == Direction::Forwards { From::Start } else { From::End };
    let asked = request(&Source::All(Narrowing::Nothing), direction, from, Span::Count(1));
    let mut answers = Answers::open(cluster, &asked).await?;
    while let Some(said) = answers.next().await? {
        if let Ok(Said::Event(event)) = said {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// The place after the last event; `None` where the caller may not read the log.
pub(super) async fn end(cluster: &Cluster) -> Result<Option<Position>, ReadError> {
    match one(cluster, Direction::Backwards).await {
        Ok(last) => Ok(Some(last.map_or(Position::START, |event| event.position().next()))),
        Err(Fault::Denied { .. }) => Ok(None),
        Err(fault) => Err(fault.into_read(None)),
    }
}

fn identity(of: &str) -> StoreId {
    StoreId(Uuid::new_v5(&LOGS, of.as_bytes()))
}

/// The identity of a log that has no event yet.
fn empty() -> StoreId {
    identity("empty")
}

/// The beginning of the log.
///
/// # Errors
/// Where it cannot be found out. A caller who may not read the log is given one that stands for the nodes it dials.
pub(super) async fn origin(cluster: &Cluster) -> Result<Checkpoint, ReadError> {
    if let Some(store) = cluster.identity() {
        return Ok(Checkpoint::before(store, 0, Position::START));
    }
    let store = match one(cluster, Direction::Forwards).await {
        Ok(Some(first)) => identity(&first.id().to_string()),
        // It becomes another one with its first event: not to be kept.
        Ok(None) => return Ok(Checkpoint::before(empty(), 0, Position::START)),
        Err(Fault::Denied { .. }) => identity(&cluster.seeds()),
        Err(fault) => return Err(fault.into_read(None)),
    };
    cluster.identify(store);
    Ok(Checkpoint::before(store, 0, Position::START))
}

/// The next position to read after a checkpoint of this log.
pub(super) fn resumed(origin: &Checkpoint, checkpoint: &Checkpoint) -> Result<Position, CheckpointError> {
    let next = checkpoint.next_position().unwrap_or_default();
    if checkpoint.store() == empty() && next == Position::START {
        return Ok(next);
    }
    checkpoint.check(origin.store(), origin.epoch())?;
    Ok(next)
}

/// The place after the last event that `before` holds for; it holds for none after one that it does not hold for.
pub(super) async fn after_last(
    cluster: &Arc<Cluster>,
    before: impl Fn(Timestamp) -> bool + Send,
) -> Result<Position, ReadError> {
    let source = Source::All(Narrowing::Nothing);
    let mut from = From::End;
    let mut asked = 1;
    loop {
        let asked_for = request(&source, Direction::Backwards, from, Span::Count(asked));
        let lost = |fault: Fault| fault.into_read(None);
        let mut answers = Answers::open(cluster, &asked_for).await.map_err(lost)?;
        let mut seen = 0;
        while let Some(said) = answers.next().await.map_err(lost)? {
            let Said::Event(event) = said? else { continue };
            if before(event.recorded_at()) {
                return Ok(event.position().next());
            }
            seen += 1;
            from = From::Position(event.position());
        }
        if seen < asked {
            return Ok(Position::START);
        }
        // Most moments that are asked for are recent.
        asked = (asked * 4).min(MOST_AT_ONCE);
    }
}

/// Most events that are asked for at once while a moment is looked for.
const MOST_AT_ONCE: u64 = 4_096;
