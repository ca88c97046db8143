//! How are projections applied by this process, which has the log open?

use std::sync::Arc;
use std::time::Duration;

use factum::{Handle, ProjectionError, Projections, StatusReport, Waited};
use factum_core::read_model::{Progress, ReadModelError, ReadModels, Role, Version, VersionNumber};
use factum_core::{Checkpoint, EventStore, EventStoreExt, Position, Read, Selector};

use super::known::{known, unknown};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress as Bar;
use crate::read_models::next;

/// How often a bar is moved. Nothing waits for it.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Longer than anyone waits.
const FOR_EVER: Duration = Duration::from_secs(3_600 * 24 * 365);

/// The log, open in this process, and the projections that it applies.
pub(crate) struct Applying {
    pub(crate) projections: Arc<Projections>,
    /// The end of the log when it was opened, as a token.
    pub(crate) end: Checkpoint,
}

impl Applying {
    /// Over this log.
    pub(crate) async fn over(
        store: Arc<dyn EventStore>,
        read_models: Arc<dyn ReadModels>,
    ) -> Result<Self, Failure> {
        let end = end_of(&*store).await?;
        let projections = Arc::new(Projections::open(store, read_models).await?);
        Ok(Self { projections, end })
    }

    /// Refuses a version that has what the log does not have: nothing may take its place without a word.
    pub(crate) fn must_fit(&self, version: &Version) -> Result<(), Failure> {
        let read_models = self.projections.read_models();
        for Progress { applied, .. } in read_models.progress(&version.name, version.number)? {
            applied.check(self.end.store(), self.end.epoch()).map_err(|source| {
                ReadModelError::OtherHistory { database: read_models.describe(), source }
            })?;
            if next(&applied) > next(&self.end) {
                let (applied, end) = (Box::new(applied), Box::new(self.end.clone()));
                return Err(ProjectionError::AheadOfLog { name: version.name.clone(), applied, end }.into());
            }
        }
        Ok(())
    }

    /// Lets this process apply a version. A version of another program is an error.
    pub(crate) async fn start(&self, version: &Version) -> Result<Handle, Failure> {
        let projection = known(version)?.ok_or_else(|| unknown(version))?;
        Ok(self.projections.start_version(version.number, projection).await?)
    }

    /// Waits until a version has come to the end of the log, and shows how it moves.
    pub(crate) async fn reach_end(
        &self,
        context: &Context,
        handle: &Handle,
        version: &Version,
    ) -> Result<StatusReport, Failure> {
        let bar = Bar::count(context, next(&self.end).0);
        bar.says("applying");
        let wait = async {
            match version.role {
                Role::Building => Ok(handle.wait_building(&self.end, FOR_EVER).await?),
                Role::Serving | Role::Previous => Ok::<_, Failure>(handle.wait(&self.end, FOR_EVER).await?),
            }
        };
        tokio::pin!(wait);
        let waited = loop {
            tokio::select! {
                waited = &mut wait => break waited?,
                () = tokio::time::sleep(BAR_EVERY) => {
                    let report = self.report(handle, version.number).await?;
                    bar.of(next(&report.applied).0, report.end.0);
                }
            }
        };
        drop(bar);
        not_ready(version.name.as_str(), &waited)?;
        self.report(handle, version.number).await
    }

    /// How a version is.
    pub(crate) async fn report(
        &self,
        handle: &Handle,
        number: VersionNumber,
    ) -> Result<StatusReport, Failure> {
        let found = handle.status().await?.into_iter().find(|report| report.version == number);
        found.ok_or_else(|| Failure::not_found("the version is gone", "another process dropped it", ""))
    }
}

/// The end of the log, as a token.
pub(super) async fn end_of(store: &dyn EventStore) -> Result<Checkpoint, Failure> {
    let origin = store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone();
    let newest = store.head().await?;
    Ok(origin.at(newest.map_or(Position::START, |event| event.position().next())))
}

/// What it means that a wait did not come to its token.
pub(crate) fn not_ready(name: &str, waited: &Waited) -> Result<(), Failure> {
    let failed = |slug, what: String, why: String, next: &str| {
        Err(Failure::new((Exit::Unavailable, slug), what, why, next))
    };
    match waited {
        Waited::Ready { .. } => Ok(()),
        Waited::Behind { applied, lag, eta } => {
            let eta = eta.map(|eta| format!(", about {} s more", eta.as_secs_f64().ceil()));
            failed(
                "behind",
                format!("'{name}' has not come to the token in time"),
                format!(
                    "it has applied everything before position {}: {lag} positions are missing{}",
                    next(applied),
                    eta.unwrap_or_default()
                ),
                "wait longer with --wait, or see `factum projections show NAME`",
            )
        }
        Waited::Faulted { position, error } => failed(
            "projection-faulted",
            format!("'{name}' stands still at the event at position {position}"),
            error.clone(),
            "`factum projections show NAME` has every attempt; mend the declaration and rebuild, or \
             `factum projections retry NAME`, or `factum projections skip NAME --position P --reason TEXT`",
        ),
        Waited::Stopped { applied, why } => failed(
            "projection-stopped",
            format!("'{name}' is not applied"),
            format!("{why}; it has applied everything before position {}", next(applied)),
            "`factum projections start NAME` lets it run again",
        ),
        Waited::Rebuilding { version, serves } => failed(
            "projection-rebuilding",
            format!("'{name}' is being rebuilt"),
            format!(
                "what serves stands at position {}, and {version} is built from a changed declaration",
                next(serves)
            ),
            "`factum projections promote NAME` lets the new version serve",
        ),
    }
}
