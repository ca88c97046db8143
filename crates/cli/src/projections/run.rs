//! `factum projections run`: this process applies the log to read models.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum_core::EventStore;
use factum_core::read_model::{PersonalData, ProjectionName, ReadModels, Role, Version};

use super::applying::{Applying, not_ready};
use super::known::known;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, next, numbered, versions_of};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum projections run --until-caught-up
  factum projections run balances statements --until-caught-up
  factum projections run";

/// How often a running process looks whether projections were made, swapped, stopped or mended by another one.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Apply the log to read models
///
/// Without --until-caught-up it follows the log until Ctrl-C, takes up projections that are made meanwhile, and obeys
/// `start`, `stop`, `retry`, `skip` and `promote` from other processes within a second. It has the log open, so that no
/// other process can append.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    /// Only these
    names: Vec<ProjectionName>,
    /// End once all events that there are have been applied
    #[arg(long)]
    until_caught_up: bool,
}

/// Runs the command.
pub(super) async fn run(args: &RunArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    for name in &args.names {
        versions_of(&*read_models, name)?;
    }
    let log = context.open_waiting(Access::Existing).await?;
    let (store, rows, closed) = match context.with_vault(log.clone()).await {
        Ok(store) => (store, Rows::All, None),
        // What is not personal goes on.
        Err(failure) => (Arc::new(log) as Arc<dyn EventStore>, Rows::NotPersonal, Some(failure)),
    };
    if args.until_caught_up {
        let applying = Applying::over(store, Arc::clone(&read_models)).await?;
        catch_up(args, context, (&applying, rows), &*read_models).await?;
        return closed.map_or(Ok(()), Err);
    }
    if let Some(failure) = closed {
        context.say(&failure.to_string());
    }
    follow(args, context, (&store, rows), &read_models).await
}

/// Which projections can be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// Whichever this program knows.
    All,
    /// The vault does not open: those without personal data.
    NotPersonal,
}

impl Rows {
    /// Whether this version can be applied; says so where it cannot.
    fn have(self, version: &Version, context: &Context) -> bool {
        let can = self == Rows::All || version.personal == PersonalData::None;
        if !can {
            let Version { name, number, .. } = version;
            context.say(&format!(
                "{name} {number}: left alone, it holds personal data and the vault does not open"
            ));
        }
        can
    }
}

/// The versions that are to be applied. One of another program is left to it.
fn wanted(args: &RunArgs, read_models: &dyn ReadModels) -> Result<Vec<Version>, Failure> {
    let mut versions = read_models.versions()?;
    versions.retain(|version| {
        (args.names.is_empty() || args.names.contains(&version.name)) && version.role != Role::Previous
    });
    Ok(versions)
}

async fn catch_up(
    args: &RunArgs,
    context: &Context,
    (applying, rows): (&Applying, Rows),
    read_models: &dyn ReadModels,
) -> Result<(), Failure> {
    let mut started = Vec::new();
    let mut failed = None;
    for version in wanted(args, read_models)? {
        let named = args.names.contains(&version.name);
        if version.stopped && !named {
            context.say(&format!("'{}' is left alone: an operator stopped it", version.name));
            continue;
        }
        if known(&version)?.is_none() && !named {
            context.say(&format!("'{}' is left to the program that it is compiled into", version.name));
            continue;
        }
        if !rows.have(&version, context) {
            continue;
        }
        match applying.start(&version).await {
            Ok(handle) => started.push((version, handle)),
            // The others are applied all the same.
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    let mut sink = context.out.many(&["name", "version", "applied", "events", "status"]);
    for (version, handle) in &started {
        match applying.reach_end(context, handle, version).await {
            Ok(report) => sink.push(&record([
                ("name", version.name.as_str().into()),
                ("version", numbered(version.number)),
                ("applied", next(&report.applied).to_string().into()),
                ("events", report.events.into()),
                ("status", "caught up".into()),
            ]))?,
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    sink.finish()?;
    failed.map_or(Ok(()), Err)
}

/// What another process may change: once this is another one, everything is opened anew.
fn state(args: &RunArgs, read_models: &dyn ReadModels) -> Result<String, Failure> {
    let mut state = String::new();
    let mut names = BTreeSet::new();
    for version in wanted(args, read_models)? {
        state.push_str(&format!(
            "{} {} {} {} {}\n",
            version.name,
            version.number,
            version.role.as_str(),
            version.stopped,
            version.fingerprint
        ));
        names.insert(version.name);
    }
    for name in names {
        state.push_str(&format!("{}\n", read_models.history(&name)?.len()));
    }
    Ok(state)
}

async fn follow(
    args: &RunArgs,
    context: &Context,
    (store, rows): (&Arc<dyn EventStore>, Rows),
    read_models: &Arc<dyn ReadModels>,
) -> Result<(), Failure> {
    loop {
        let before = state(args, &**read_models)?;
        let applying = Applying::over(Arc::clone(store), Arc::clone(read_models)).await?;
        for version in wanted(args, &**read_models)? {
            let name = &version.name;
            if version.stopped {
                context.say(&format!("{name} {}: stopped", version.number));
            } else if known(&version)?.is_none() {
                context
                    .say(&format!("{name} {}: left to the program that it is compiled into", version.number));
            } else if rows.have(&version, context) {
                match applying.start(&version).await {
                    Ok(_) => context.say(&format!("{name} {}: applied here", version.number)),
                    Err(failure) => context.say(&format!("{name} {}: {failure}", version.number)),
                }
            }
        }
        let mut told = BTreeSet::new();
        while state(args, &**read_models)? == before {
            tokio::time::sleep(LOOK_AROUND).await;
            for handle in applying.projections.handles() {
                let waited = handle.wait(&applying.end, Duration::ZERO).await?;
                if let Err(failure) = not_ready(handle.name().as_str(), &waited)
                    && matches!(waited, factum::Waited::Faulted { .. })
                    && told.insert(handle.name().clone())
                {
                    context.say(&failure.to_string());
                }
            }
        }
    }
}
