//! How are the projections? Derived from their progress, at this moment.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use factum::{Status, StatusReport};
use factum_core::read_model::{Progress, ProjectionName, ReadModelError, Role, Version, VersionNumber};
use factum_core::{EventStoreExt, Position, Timestamp};
use serde_json::{Map, Value};

use super::{ReadSide, ReadSideError};
use crate::shown::{StandingFields, fields, version_details, version_fields};

/// Events that have been there for so long, without progress of a version that another process applies, mean that it has
/// stalled.
const STALLED_AFTER: Duration = Duration::from_secs(30);

type Reports = BTreeMap<(ProjectionName, VersionNumber), StatusReport>;

/// The end of the log.
#[derive(Clone, Copy)]
struct End {
    position: Position,
    recorded_at: Option<Timestamp>,
}

impl ReadSide {
    /// Every version of every projection, in a line each.
    ///
    /// # Errors
    /// What log or database say.
    pub(crate) async fn lines(&self) -> Result<Vec<Map<String, Value>>, ReadSideError> {
        let all = self
            .blocking(|read_models| {
                let with_progress = |version: Version| {
                    let progress = read_models.progress(&version.name, version.number)?;
                    Ok((version, progress))
                };
                read_models
                    .versions()?
                    .into_iter()
                    .map(with_progress)
                    .collect::<Result<Vec<_>, ReadModelError>>()
            })
            .await?;
        let (end, reports) = (self.end().await?, self.reports().await?);
        Ok(all.iter().map(|(version, progress)| self.line(version, progress, end, &reports)).collect())
    }

    /// All that is known of one projection.
    ///
    /// # Errors
    /// `Unknown`, or what log or database say.
    pub(crate) async fn details(&self, name: &ProjectionName) -> Result<Map<String, Value>, ReadSideError> {
        let versions = self.versions_of(name).await?;
        let (end, reports) = (self.end().await?, self.reports().await?);
        let asked = name.clone();
        let (found, history) = self
            .blocking(move |read_models| {
                let mut found = Vec::new();
                for version in versions {
                    let progress = read_models.progress(&version.name, version.number)?;
                    let details = version_details(read_models, &version, &progress)?;
                    found.push((version, progress, details));
                }
                Ok::<_, ReadModelError>((found, read_models.history(&asked)?))
            })
            .await?;
        let of_version = |(version, progress, details): (Version, Vec<Progress>, Map<String, Value>)| {
            let mut shown = self.line(&version, &progress, end, &reports);
            shown.extend(details);
            let definition = (!version.definition.is_empty()).then_some(version.definition);
            shown.insert("definition".to_owned(), definition.into());
            shown.insert("personal".to_owned(), version.personal.as_str().into());
            Value::from(shown)
        };
        let history = history.into_iter().map(|action| {
            Value::from(fields([
                ("at", action.at.to_string().into()),
                ("version", action.version.to_string().into()),
                ("what", action.what.into()),
                ("actor", action.actor.into()),
                ("reason", action.reason.into()),
            ]))
        });
        Ok(fields([
            ("name", name.as_str().into()),
            ("versions", found.into_iter().map(of_version).collect::<Vec<_>>().into()),
            ("history", history.collect::<Vec<_>>().into()),
        ]))
    }

    async fn end(&self) -> Result<End, ReadSideError> {
        let newest = self.store.head().await?;
        Ok(End {
            position: newest.as_ref().map_or(Position::START, |event| event.position().next()),
            recorded_at: newest.map(|event| event.recorded_at()),
        })
    }

    /// What those say that run here.
    async fn reports(&self) -> Result<Reports, ReadSideError> {
        let mut reports = Reports::new();
        for handle in self.running().handles() {
            for report in handle.status().await? {
                reports.insert((report.name.clone(), report.version), report);
            }
        }
        Ok(reports)
    }

    fn line(
        &self,
        version: &Version,
        progress: &[Progress],
        end: End,
        reports: &Reports,
    ) -> Map<String, Value> {
        let applied = progress.iter().map(|one| one.applied.next_position().unwrap_or_default()).min();
        let applied = applied.unwrap_or_default();
        let lag = end.position.0.saturating_sub(applied.0);
        let report = reports.get(&(version.name.clone(), version.number));
        let (status, why) = match report {
            Some(report) => (of_report(report, lag), report.why.clone()),
            None => self.of_other_process(version, applied, lag),
        };
        let why = fault(progress).or(why);
        let standing = StandingFields {
            status,
            applied,
            lag: Some(lag),
            events: progress.iter().map(|progress| progress.events).sum(),
            why: why.as_deref(),
        };
        let mut line = version_fields(version, &standing);
        line.insert("lagMillis".to_owned(), lag_millis(progress, lag, end).into());
        let fault = progress.iter().find_map(|progress| progress.fault.as_ref());
        let since = fault.and_then(|fault| fault.attempts.first()).map(|first| first.at.to_string());
        line.insert("since".to_owned(), since.into());
        line
    }

    /// How a version is that this process does not apply.
    fn of_other_process(
        &self,
        version: &Version,
        applied: Position,
        lag: u64,
    ) -> (&'static str, Option<String>) {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (version.name.as_str().to_owned(), version.number.0);
        let (place, since) = *seen.entry(key.clone()).or_insert((applied, now));
        let since = if place == applied && lag > 0 { since } else { now };
        seen.insert(key, (applied, since));
        if version.stopped {
            return ("stopped", Some("an operator stopped it".to_owned()));
        }
        let elsewhere = Some("this process does not apply it".to_owned());
        match version.role {
            Role::Previous => ("stopped", Some("another version took its place".to_owned())),
            Role::Building => ("rebuilding", elsewhere),
            Role::Serving if lag == 0 => ("caught up", None),
            Role::Serving if since.saturating_add(STALLED_AFTER) <= now => ("stalled", elsewhere),
            Role::Serving => ("running", elsewhere),
        }
    }
}

fn of_report(report: &StatusReport, lag: u64) -> &'static str {
    match report.status {
        Status::Running if lag == 0 => "caught up",
        Status::Running | Status::CatchingUp => "running",
        Status::Stalled => "stalled",
        Status::Faulted => "faulted",
        Status::Stopped => "stopped",
        Status::Rebuilding => "rebuilding",
    }
}

/// What it stands still at, in a sentence.
fn fault(progress: &[Progress]) -> Option<String> {
    let fault = progress.iter().find_map(|progress| progress.fault.as_ref())?;
    let error = fault.attempts.last().map_or("", |attempt| attempt.error.as_str());
    Some(format!("{} at position {}: {error}", fault.event_type, fault.position))
}

/// How much younger the log's last event is than the last one that was looked at; `None` where that is not known.
fn lag_millis(progress: &[Progress], lag: u64, end: End) -> Option<i64> {
    if lag == 0 {
        return Some(0);
    }
    let seen = progress.iter().filter_map(|progress| progress.recorded_at).min()?;
    Some((end.recorded_at?.unix_millis() - seen.unix_millis()).max(0))
}
