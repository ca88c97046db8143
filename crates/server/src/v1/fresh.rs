//! Has the log come to where a reader wants it? `?after=POSITION&wait=2s`.

use std::time::Duration;

use factum_core::{EventStore, EventStoreExt, Position, ReadError, Selector, Subscribe, SubscribeFrom};

use super::ask::{Ask, digits};
use super::problem::{Problem, Slug};

/// How long a reader waits that names no time.
const DEFAULT_WAIT: Duration = Duration::from_secs(2);

/// Where the request is to be at least, and how long it may wait for that.
pub(crate) fn wanted(ask: &Ask) -> Result<Option<(Position, Duration)>, Problem> {
    let wait = ask.wait()?.unwrap_or(DEFAULT_WAIT);
    let after = ask.read("after", "a position", digits)?;
    Ok(after.map(|after| (Position(after), wait)))
}

/// Waits until the log has the position that the request names; one that names none does not wait.
///
/// # Errors
/// `stale` where it does not come in time.
pub(super) async fn wait(ask: &Ask) -> Result<(), Problem> {
    let Some((after, within)) = wanted(ask)? else { return Ok(()) };
    tokio::time::timeout(within, reach(ask.shared.store.as_ref(), after)).await.unwrap_or_else(|_| {
        let detail = format!("the log did not come to position {after} within {} ms", within.as_millis());
        Err(Problem::new(Slug::Stale, detail))
    })
}

async fn reach(store: &dyn EventStore, after: Position) -> Result<(), Problem> {
    let reached = |head: Option<Position>| head.is_some_and(|head| head >= after);
    if reached(store.head().await?.map(|event| event.position())) {
        return Ok(());
    }
    // Followed before it is looked at again, so that nothing comes in between.
    let mut following = store.subscribe(Subscribe::to(Selector::All).from(SubscribeFrom::End)).await?;
    loop {
        if reached(store.head().await?.map(|event| event.position())) {
            return Ok(());
        }
        following.next().await.map_err(|error: ReadError| Problem::from(error))?;
    }
}
