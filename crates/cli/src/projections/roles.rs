//! `factum projections promote`, `rollback`, `discard`, `delete`: which version serves, and which goes.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum_core::read_model::{ProjectionName, Role, Version};

use super::By;
use super::applying::Applying;
use super::create::{note, report};
use super::known::known;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::duration;
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, in_role, numbered, serving, versions_of};
use crate::store::Access;

const PROMOTE_EXAMPLES: &str = "EXAMPLES:
  factum projections promote balances
  factum projections promote balances --reason 'refunds count now'";

const ROLLBACK_EXAMPLES: &str = "EXAMPLES:
  factum projections rollback balances
  factum projections rollback balances --reason 'wrong sums on Mondays'";

const DISCARD_EXAMPLES: &str = "EXAMPLES:
  factum projections discard balances
  factum projections discard balances --reason 'the sums were right before'";

const DELETE_EXAMPLES: &str = "EXAMPLES:
  factum projections delete balances
  factum projections delete balances --confirm balances";

/// Let the version in the making serve, in one step, once it has caught up
///
/// It is brought to the end of the log first. Readers see the old rows or the new ones. The version that served is
/// kept for `rollback`.
#[derive(Args, Debug)]
#[command(after_help = PROMOTE_EXAMPLES)]
pub(super) struct PromoteArgs {
    /// The projection
    name: ProjectionName,
    /// How long it may take to catch up
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    by: By,
}

/// Let the version serve again that served before
#[derive(Args, Debug)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(super) struct RollbackArgs {
    /// The projection
    name: ProjectionName,
    /// How long it may take to catch up
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    by: By,
}

/// Drop the version in the making; where there is none, the one that served before
#[derive(Args, Debug)]
#[command(after_help = DISCARD_EXAMPLES)]
pub(super) struct DiscardArgs {
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    by: By,
}

/// Drop a projection with all its versions; the log keeps every event
#[derive(Args, Debug)]
#[command(after_help = DELETE_EXAMPLES)]
pub(super) struct DeleteArgs {
    /// The projection
    name: ProjectionName,
    /// The projection's name again: its rows must be made anew if they are wanted back
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Which way the roles change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Swap {
    Promote,
    Rollback,
}

impl Swap {
    fn role(self) -> Role {
        match self {
            Swap::Promote => Role::Building,
            Swap::Rollback => Role::Previous,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Swap::Promote => "promoted",
            Swap::Rollback => "rolled back",
        }
    }

    fn missing(self, name: &ProjectionName) -> Failure {
        match self {
            Swap::Promote => Failure::not_found(
                format!("no version of '{name}' is in the making"),
                "there is nothing to promote",
                format!("`factum projections rebuild {name} FILE` builds one"),
            ),
            Swap::Rollback => Failure::not_found(
                format!("no version of '{name}' served before"),
                "there is nothing to go back to",
                format!(
                    "`factum projections rebuild {name} FILE` builds a version from an older declaration"
                ),
            ),
        }
    }
}

/// Runs `projections promote`.
pub(super) async fn promote(
    args: &PromoteArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    swap(Swap::Promote, (&args.name, args.wait, &args.by), place, context).await
}

/// Runs `projections rollback`.
pub(super) async fn rollback(
    args: &RollbackArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    swap(Swap::Rollback, (&args.name, args.wait, &args.by), place, context).await
}

async fn swap(
    swap: Swap,
    (name, wait, by): (&ProjectionName, Duration, &By),
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, name)?;
    let next = in_role(&versions, swap.role()).ok_or_else(|| swap.missing(name))?;
    let engine = match context.names_log() {
        true => context.open_unless_locked(Access::Existing)?,
        false => None,
    };
    let number = match engine {
        Some(engine) if known(next)?.is_some() => {
            let applying =
                Applying::over(context.with_vault(engine).await?, Arc::clone(&read_models)).await?;
            // What serves may have been made by code that this program does not have: it is not applied meanwhile then.
            let now = serving(&versions)?;
            applying.must_fit(now)?;
            if known(now)?.is_some() && !now.stopped {
                // That it stands still is a reason to replace it, and none to keep it.
                let _ = applying.start(now).await;
            }
            let handle = applying.start(next).await?;
            match swap {
                Swap::Promote => handle.promote(wait, &by.actor, &by.reason).await?,
                Swap::Rollback => handle.rollback(wait, &by.actor, &by.reason).await?,
            }
        }
        _ => {
            // The process that has the log open applies it; the database sees to it that nobody's rows go back.
            read_models.promote(name, next.number)?;
            note(&*read_models, next, swap.done(), by)?;
            next.number
        }
    };
    context.say(&format!(
        "{number} serves, {} is kept for `factum projections rollback {name}`",
        serving(&versions)?.number
    ));
    report(context, &Version { role: Role::Serving, ..next.clone() })
}

/// Runs `projections discard`.
pub(super) fn discard(args: &DiscardArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.name)?;
    let gone = in_role(&versions, Role::Building).or_else(|| in_role(&versions, Role::Previous));
    let gone = gone.ok_or_else(|| {
        Failure::new(
            (Exit::Precondition, "serves"),
            format!("nothing of '{}' was discarded", args.name),
            "it has one version only, and that serves",
            format!("`factum projections delete {}` drops the projection", args.name),
        )
    })?;
    read_models.discard(&args.name, gone.number)?;
    note(&*read_models, gone, "discarded", &args.by)?;
    context.out.one(&record([
        ("name", args.name.as_str().into()),
        ("version", numbered(gone.number)),
        ("discarded", true.into()),
    ]))?;
    context.out.flush()
}

/// Runs `projections delete`.
pub(super) fn delete(args: &DeleteArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.name)?;
    let what = format!("'{}': drops {} versions with their rows", args.name, versions.len());
    context.confirm_name(&what, args.name.as_str(), args.confirm.as_deref())?;
    read_models.delete(&args.name)?;
    context.out.one(&record([
        ("name", args.name.as_str().into()),
        ("versions", versions.len().into()),
        ("deleted", true.into()),
    ]))?;
    context.out.flush()
}
