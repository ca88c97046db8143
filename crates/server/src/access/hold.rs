//! A right that is used for longer than a moment: is it still there?

use tokio::sync::watch;
use tonic::Status;

use super::{Access, Action, Caller};

/// Somebody who goes on doing something. Rights may be taken away in the meantime.
#[derive(Debug)]
pub(crate) struct Hold {
    access: Access,
    caller: Caller,
    /// Tells of each change of rights; `None` where there are none.
    changes: Option<watch::Receiver<u64>>,
    /// Whether something changed since the last check. Kept here, since a wait may be given up half-way through a check.
    doubtful: bool,
}

impl Hold {
    pub(super) fn new(access: Access, caller: Caller) -> Self {
        let changes = access.guard().map(|guard| guard.changes());
        Self { access, caller, changes, doubtful: false }
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
            self.doubtful = false;
        }
        Ok(())
    }

    /// Waits until the right is gone. May be dropped and called again.
    pub(crate) async fn lost(&mut self, action: Action<'_>) -> Status {
        loop {
            if let Err(status) = self.still(action).await {
                return status;
            }
            let Some(changes) = &mut self.changes else { return std::future::pending().await };
            // The server keeps the other end as long as it lives.
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            self.doubtful = true;
        }
    }
}
