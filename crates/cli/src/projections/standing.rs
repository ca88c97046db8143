//! How is a version, seen from a process that does not apply it?

use factum_core::read_model::{Progress, ReadModels, Role, Version};
use factum_core::{Checkpoint, CheckpointError, Position};
use factum_server::{StandingFields, version_fields};

use super::applying::end_of;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Record;
use crate::read_models::{least, next};
use crate::store::Access;

/// What can be seen of the log.
pub(super) enum Log {
    /// It is open here, so nobody else applies anything; this is its end.
    Free(Checkpoint),
    /// Another process has it open, or no log was named.
    OutOfSight,
}

impl Log {
    /// Looks at the log, if no other process has it open.
    pub(super) async fn look(context: &Context) -> Result<Self, Failure> {
        // Whoever else follows a server's log is not seen from here.
        if context.data_if_given().is_none() || context.needs_data().is_err() {
            return Ok(Self::OutOfSight);
        }
        match context.open_unless_locked(Access::Existing)? {
            Some(engine) => Ok(Self::Free(end_of(&engine).await?)),
            None => Ok(Self::OutOfSight),
        }
    }
}

/// A version, and how far it has come.
pub(super) struct Standing {
    pub(super) version: Version,
    pub(super) progress: Vec<Progress>,
    pub(super) applied: Position,
    /// Positions that are missing; `None` where the log is out of sight.
    pub(super) lag: Option<u64>,
    pub(super) status: &'static str,
    pub(super) why: Option<String>,
}

impl Standing {
    /// Looks at a version.
    pub(super) fn of(read_models: &dyn ReadModels, version: Version, log: &Log) -> Result<Self, Failure> {
        let progress = read_models.progress(&version.name, version.number)?;
        let place = least(&progress);
        let applied = place.map(next).unwrap_or_default();
        let end = match log {
            Log::Free(end) => Some(end),
            Log::OutOfSight => None,
        };
        let lag = end.map(|end| next(end).0.saturating_sub(applied.0));
        let (status, why) = status(&version, &progress, place, end);
        Ok(Self { version, progress, applied, lag, status, why })
    }

    /// How many events have been applied.
    pub(super) fn events(&self) -> u64 {
        self.progress.iter().map(|progress| progress.events).sum()
    }

    /// As a line of a list.
    pub(super) fn line(&self) -> Record {
        let standing = StandingFields {
            status: self.status,
            applied: self.applied,
            lag: self.lag,
            events: self.events(),
            why: self.why.as_deref(),
        };
        version_fields(&self.version, &standing)
    }
}

fn status(
    version: &Version,
    progress: &[Progress],
    applied: Option<&Checkpoint>,
    end: Option<&Checkpoint>,
) -> (&'static str, Option<String>) {
    if let Some(fault) = progress.iter().find_map(|progress| progress.fault.as_ref()) {
        let error = fault.attempts.last().map_or("", |attempt| attempt.error.as_str());
        return ("faulted", Some(format!("{} at position {}: {error}", fault.event_type, fault.position)));
    }
    let stopped = |why: &str| ("stopped", Some(why.to_owned()));
    if version.stopped {
        return stopped("an operator stopped it");
    }
    if version.role == Role::Previous {
        return stopped("another version took its place");
    }
    let (Some(applied), Some(end)) = (applied, end) else {
        // Whoever has the log open applies it.
        return (if version.role == Role::Building { "rebuilding" } else { "running" }, None);
    };
    match applied.reaches(end) {
        Ok(_) if next(applied) > next(end) => stopped(
            "it is ahead of the log, which was put back to an earlier state; delete it and create it again",
        ),
        Ok(true) => ("caught up", None),
        Ok(false) if version.role == Role::Building => ("rebuilding", None),
        Ok(false) => stopped("no process applies it: `factum projections run`"),
        Err(error) => stopped(&other_history(&error)),
    }
}

fn other_history(error: &CheckpointError) -> String {
    format!("it is of another history: {error}; delete it and create it again")
}
