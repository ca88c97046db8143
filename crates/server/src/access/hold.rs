//! A right that is used for longer than a moment: is it still there?

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::Status;

use super::{Access, Action, Caller};
use crate::call::Call;
use crate::sessions::SessionKey;
use crate::status;

/// How often a session is used by what goes on in its name, and looked at for its end.
const SESSION_EVERY: Duration = Duration::from_secs(30);

/// Somebody who goes on doing something. Rights may be taken away in the meantime.
#[derive(Debug)]
pub(crate) struct Hold {
    access: Access,
    caller: Caller,
    /// Tells of each change of rights; `None` where there are none.
    changes: Option<watch::Receiver<u64>>,
    /// Whether something changed since the last check. Kept here, since a wait may be given up half-way through a check.
    doubtful: bool,
    /// The session by which the caller is known.
    session: Option<(SessionKey, Interval)>,
}

impl Hold {
    pub(super) fn new(access: Access, call: &Call) -> Self {
        let changes = access.guard().map(|guard| guard.changes());
        let session = call.session.map(|key| {
            let mut every = interval(SESSION_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (key, every)
        });
        Self { access, caller: call.caller.clone(), changes, doubtful: false, session }
    }

    /// Checks again, if anything has changed.
    ///
    /// # Errors
    /// The status that says no.
    pub(crate) async fn still(&mut self, action: Action<'_>) -> Result<(), Status> {
        let Some(changes) = &mut self.changes else { return Ok(()) };
        if changes.has_changed().unwrap_or(false) {
            changes.mark_unchanged();
            self.doubtful = true;
        }
        if self.doubtful {
            self.access.check(&self.caller, action).await?;
            self.still_signed_in().await?;
            self.doubtful = false;
        }
        Ok(())
    }

    async fn still_signed_in(&self) -> Result<(), Status> {
        let (Some((key, _)), Some(guard)) = (&self.session, self.access.guard()) else { return Ok(()) };
        match guard.session(*key).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Status::unauthenticated("the session has ended: sign in again")),
            Err(error) => Err(status::of_read(&error)),
        }
    }

    /// Waits until the right is gone. May be dropped and called again.
    pub(crate) async fn lost(&mut self, action: Action<'_>) -> Status {
        loop {
            if let Err(status) = self.still(action).await {
                return status;
            }
            let Some(changes) = &mut self.changes else { return std::future::pending().await };
            let next_look = async {
                match &mut self.session {
                    Some((_, every)) => drop(every.tick().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The server keeps the other end as long as it lives.
                changed = changes.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
                () = next_look => {}
            }
            self.doubtful = true;
        }
    }
}
