//! `factum projections rebuild`: new rows beside the old ones.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum::Projection;
use factum_core::read_model::{ProjectionName, ReadModels, Role, Version};
use factum_core::{Clock, SystemClock};

use super::By;
use super::applying::Applying;
use super::create::{Declared, make};
use super::known::{Known, known, unknown};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::elapsed_since;
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, in_role, next, numbered, serving, versions_of};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  From the declaration that it has, such as after its rows were damaged:
    factum projections rebuild balances
  From a changed one; then look, and let it serve:
    factum projections rebuild balances balances.toml
    factum projections compare balances && factum projections promote balances";

/// Build a new version beside the one that serves, from the beginning of the log
///
/// The serving version stays as it is and goes on to be asked. A rebuild that was interrupted goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RebuildArgs {
    /// The projection
    name: ProjectionName,
    /// The declaration [default: the one that it has]
    file: Option<PathBuf>,
    /// Take event types that have never happened
    #[arg(long)]
    allow_unknown_types: bool,
    #[command(flatten)]
    by: By,
}

/// What is to be built.
enum New {
    Declared(Box<Declared>),
    Same(Known),
}

/// Runs the command.
pub(super) async fn run(
    args: &RebuildArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.name)?;
    let new = match &args.file {
        Some(file) => {
            let declared = Declared::read(file, args.allow_unknown_types, context).await?;
            let name = declared.projection.definition().name();
            if *name != args.name {
                return Err(Failure::usage(
                    "nothing was built",
                    format!("the declaration is of '{name}', not of '{}'", args.name),
                    "give the file of that projection; another name is another projection",
                ));
            }
            declared.check(&*read_models)?;
            New::Declared(Box::new(declared))
        }
        None => {
            let now = serving(&versions)?;
            New::Same(known(now)?.ok_or_else(|| unknown(now))?)
        }
    };
    match context.open_unless_locked(Access::Existing)? {
        Some(engine) => {
            let applying =
                Applying::over(context.with_vault(engine).await?, Arc::clone(&read_models)).await?;
            applying.must_fit(serving(&versions)?)?;
            let version = building(args, &*read_models, &versions, &new, context)?;
            build(context, applying, &version).await
        }
        None => {
            let version = building(args, &*read_models, &versions, &new, context)?;
            context.say("another process has the log open: if it runs projections, it builds the version");
            super::create::report(context, &version)
        }
    }
}

/// The version in the making: the one that is there, if it is from the same declaration, or a new one.
fn building(
    args: &RebuildArgs,
    read_models: &dyn ReadModels,
    versions: &[Version],
    new: &New,
    context: &Context,
) -> Result<Version, Failure> {
    let fingerprint = match new {
        New::Declared(declared) => declared.projection.definition().fingerprint(),
        New::Same(known) => known.definition().fingerprint(),
    };
    match in_role(versions, Role::Building) {
        Some(there) if there.fingerprint == fingerprint => {
            context.say(&format!("goes on with {}", there.number));
            Ok(there.clone())
        }
        _ => match new {
            New::Declared(declared) => make(read_models, &declared.projection, &declared.origin, &args.by),
            New::Same(known) => make(read_models, known, &context.origin()?, &args.by),
        },
    }
}

async fn build(context: &Context, applying: Applying, version: &Version) -> Result<(), Failure> {
    let began = SystemClock.now();
    let handle = applying.start(version).await?;
    let before = applying.report(&handle, version.number).await?;
    let report = applying.reach_end(context, &handle, version).await.map_err(|failure| {
        let name = &version.name;
        if failure.exit == Exit::Unavailable {
            failure.advise(format!(
                "`factum projections show {name}` has every attempt. Mend the declaration, then \
                 `factum projections discard {name}` and rebuild; or `factum projections skip {name}`. \
                 What serves is not touched"
            ))
        } else {
            failure
        }
    })?;
    let seconds = elapsed_since(began).max(Duration::from_micros(1)).as_secs_f64();
    let positions = next(&report.applied).0.saturating_sub(next(&before.applied).0);
    context.say(&format!(
        "`factum projections compare {0}` shows the difference, `factum projections promote {0}` lets it serve",
        version.name
    ));
    context.out.one(&record([
        ("name", version.name.as_str().into()),
        ("version", numbered(version.number)),
        ("role", version.role.as_str().into()),
        ("applied", next(&report.applied).to_string().into()),
        ("events", report.events.into()),
        ("seconds", seconds.into()),
        ("positionsPerSecond", (positions as f64 / seconds).round().into()),
    ]))?;
    context.out.flush()
}
