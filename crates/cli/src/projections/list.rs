//! `factum projections ls`, `lag` and `history`: what there is, how far it is, and what was done.

use clap::Args;
use factum_core::read_model::{ProjectionName, Role};
use serde_json::Value;

use super::standing::{Log, Standing};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, numbered, versions_of};

const LS_EXAMPLES: &str = "EXAMPLES:
  factum projections ls
  factum projections ls -o json --read-models postgres://localhost/shop";

const LAG_EXAMPLES: &str = "EXAMPLES:
  factum projections lag
  factum projections lag balances --format '{lag}'";

const HISTORY_EXAMPLES: &str = "EXAMPLES:
  factum projections history balances
  factum projections history balances -o ndjson";

/// List the versions of all projections, and how they are
///
/// Works while another process has the log open; how far they lag is then not known.
#[derive(Args, Debug)]
#[command(after_help = LS_EXAMPLES)]
pub(super) struct ListArgs {}

/// How far projections are behind the log, in events and in time
#[derive(Args, Debug)]
#[command(after_help = LAG_EXAMPLES)]
pub(super) struct LagArgs {
    /// Only these
    names: Vec<ProjectionName>,
}

/// What was done with a projection, by whom and why; kept for ever
#[derive(Args, Debug)]
#[command(after_help = HISTORY_EXAMPLES)]
pub(super) struct HistoryArgs {
    /// The projection; also one that is gone
    name: ProjectionName,
}

/// Runs `projections ls`.
pub(super) async fn ls(_: &ListArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let log = Log::look(context).await?;
    let mut sink =
        context.out.many(&["name", "version", "role", "status", "applied", "lag", "events", "why"]);
    for version in read_models.versions()? {
        sink.push(&Standing::of(&*read_models, version, &log)?.line())?;
    }
    sink.finish()
}

/// Runs `projections lag`.
pub(super) async fn lag(args: &LagArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    for name in &args.names {
        versions_of(&*read_models, name)?;
    }
    let log = Log::look(context).await?;
    let mut sink = context.out.many(&["name", "version", "applied", "end", "lag", "seenUntil", "status"]);
    for version in read_models.versions()? {
        let wanted = args.names.is_empty() || args.names.contains(&version.name);
        if !wanted || version.role == Role::Previous {
            continue;
        }
        let standing = Standing::of(&*read_models, version, &log)?;
        let end = standing.lag.map(|lag| (standing.applied.0 + lag).to_string());
        let seen = standing.progress.iter().filter_map(|progress| progress.recorded_at).min();
        sink.push(&record([
            ("name", standing.version.name.as_str().into()),
            ("version", numbered(standing.version.number)),
            ("applied", standing.applied.to_string().into()),
            ("end", end.map_or(Value::Null, Value::from)),
            ("lag", standing.lag.map_or(Value::Null, Value::from)),
            ("seenUntil", seen.map_or(Value::Null, |seen| seen.to_string().into())),
            ("status", standing.status.into()),
        ]))?;
    }
    sink.finish()
}

/// Runs `projections history`.
pub(super) fn history(args: &HistoryArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let history = read_models.history(&args.name)?;
    if history.is_empty() {
        versions_of(&*read_models, &args.name)?;
    }
    let mut sink = context.out.many(&["at", "version", "what", "actor", "reason"]);
    for action in history {
        sink.push(&record([
            ("at", action.at.to_string().into()),
            ("version", numbered(action.version)),
            ("what", action.what.into()),
            ("actor", action.actor.into()),
            ("reason", action.reason.into()),
        ]))?;
    }
    sink.finish()
}
