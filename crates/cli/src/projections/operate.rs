//! `factum projections retry`, `skip`, `start`, `stop`: what an operator does with a projection that stands still.

use std::sync::Arc;

use clap::Args;
use factum::ProjectionError;
use factum_core::read_model::{ProjectionName, ReadModels, Role, Skip, Version};
use factum_core::{Clock, Position, SystemClock};

use super::By;
use super::applying::Applying;
use super::create::note;
use super::known::known;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, next, numbered, partitions, versions_of};
use crate::store::Access;

const RETRY_EXAMPLES: &str = "EXAMPLES:
  factum projections retry balances
  factum projections retry balances --reason 'the constraint is gone'";

const SKIP_EXAMPLES: &str = "EXAMPLES:
  factum projections skip balances --position 4711 --reason 'a test event of 2019'
  factum projections history balances";

const START_EXAMPLES: &str = "EXAMPLES:
  factum projections start balances
  factum projections start balances --reason 'the disk is back'";

const STOP_EXAMPLES: &str = "EXAMPLES:
  factum projections stop balances
  factum projections stop balances --reason 'the disk is nearly full'";

/// Try the event again that a projection stands still at, and go on after it
#[derive(Args, Debug)]
#[command(after_help = RETRY_EXAMPLES)]
pub(super) struct RetryArgs {
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    by: By,
}

/// Pass an event over that a projection stands still at; kept with who and why
#[derive(Args, Debug)]
#[command(after_help = SKIP_EXAMPLES)]
pub(super) struct SkipArgs {
    /// The projection
    name: ProjectionName,
    /// The event's position, as `show` names it
    #[arg(long, value_name = "P")]
    position: u64,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it, for the history
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
}

/// Let a stopped projection run again
#[derive(Args, Debug)]
#[command(after_help = START_EXAMPLES)]
pub(super) struct StartArgs {
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    by: By,
}

/// Stop a projection, whoever applies it, until it is started again
#[derive(Args, Debug)]
#[command(after_help = STOP_EXAMPLES)]
pub(super) struct StopArgs {
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    by: By,
}

/// The versions that are applied.
fn applied(read_models: &dyn ReadModels, name: &ProjectionName) -> Result<Vec<Version>, Failure> {
    let mut versions = versions_of(read_models, name)?;
    versions.retain(|version| version.role != Role::Previous);
    Ok(versions)
}

/// Runs `projections retry`.
pub(super) async fn retry(
    args: &RetryArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = applied(&*read_models, &args.name)?;
    let mut faulted = Vec::new();
    for version in versions {
        let progress = read_models.progress(&args.name, version.number)?;
        if progress.iter().any(|progress| progress.fault.is_some()) {
            faulted.push(version);
        }
    }
    if faulted.is_empty() {
        context.say(&format!("'{}' stands still at no event: nothing was done", args.name));
    }
    for version in &faulted {
        // A process that applies the projection sees this, and begins anew.
        note(&*read_models, version, "retried", &args.by)?;
    }
    let applying = match context.open_unless_locked(Access::Existing)? {
        Some(engine) => Applying::over(context.with_vault(engine).await?, Arc::clone(&read_models)).await?,
        None => {
            context.say("another process has the log open: if it runs projections, it tries again now");
            return Ok(());
        }
    };
    let mut sink = context.out.many(&["name", "version", "applied", "events"]);
    for version in faulted {
        if known(&version)?.is_none() {
            return Err(super::known::unknown(&version));
        }
        let handle = applying.start(&version).await?;
        let report = applying.reach_end(context, &handle, &version).await?;
        sink.push(&record([
            ("name", args.name.as_str().into()),
            ("version", numbered(version.number)),
            ("applied", next(&report.applied).to_string().into()),
            ("events", report.events.into()),
        ]))?;
    }
    sink.finish()
}

/// Runs `projections skip`.
pub(super) fn skip(args: &SkipArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(
            "nothing was skipped",
            "the reason is empty",
            "say why the event may be passed over: it is kept with the projection",
        ));
    }
    let read_models = place.open(context, Want::Existing)?;
    let position = Position(args.position);
    let by = By { actor: args.actor.clone(), reason: format!("position {position}: {}", args.reason) };
    let mut skipped = None;
    for version in applied(&*read_models, &args.name)? {
        let progress = read_models.progress(&args.name, version.number)?;
        for (partition, progress) in partitions(&version).zip(progress) {
            let Some(fault) = progress.fault.filter(|fault| fault.position == position) else { continue };
            // Whoever applies the partition is fenced, and takes it back once it sees what was done.
            let mut writer = read_models.writer(&partition)?;
            let (actor, reason) = (args.actor.clone(), args.reason.clone());
            writer.skip(&Skip { position, actor, reason, at: SystemClock.now() })?;
            writer.set_fault(None)?;
            note(&*read_models, &version, "skipped", &by)?;
            skipped = Some((version.clone(), fault));
        }
    }
    let Some((version, fault)) = skipped else {
        return Err(ProjectionError::NotFaulted { name: args.name.clone(), position }.into());
    };
    context.say("`factum projections run --until-caught-up` goes on after it");
    context.out.one(&record([
        ("name", args.name.as_str().into()),
        ("version", numbered(version.number)),
        ("skipped", position.to_string().into()),
        ("event", fault.event.to_string().into()),
        ("stream", fault.stream.into()),
        ("type", fault.event_type.into()),
    ]))?;
    context.out.flush()
}

/// Runs `projections start`.
pub(super) fn start(args: &StartArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    set_stopped(&args.name, false, &args.by, place, context)
}

/// Runs `projections stop`.
pub(super) fn stop(args: &StopArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    set_stopped(&args.name, true, &args.by, place, context)
}

fn set_stopped(
    name: &ProjectionName,
    stopped: bool,
    by: &By,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let mut sink = context.out.many(&["name", "version", "stopped"]);
    for version in applied(&*read_models, name)? {
        if version.stopped != stopped {
            read_models.set_stopped(name, version.number, stopped)?;
            note(&*read_models, &version, if stopped { "stopped" } else { "started" }, by)?;
        }
        sink.push(&record([
            ("name", name.as_str().into()),
            ("version", numbered(version.number)),
            ("stopped", stopped.into()),
        ]))?;
    }
    sink.finish()
}
