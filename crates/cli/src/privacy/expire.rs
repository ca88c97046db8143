//! `factum privacy expire`: what was kept for a purpose for long enough.

use std::time::Duration;

use clap::Args;
use factum_vault::{Purpose, Retention};

use super::Opened;
use super::erase::{Rows, erase};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::duration;
use crate::output::record;
use crate::read_models::ReadModelsArgs;
use crate::store::Access;
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  Once a day, by a timer:
    factum privacy expire --keep marketing=730d --keep billing=3650d
    factum privacy expire --keep marketing=730d --dry-run";

/// Erase what was kept for a purpose for longer than it may be
///
/// Keys expire: each seals for a twelfth of the time (a day at least) where the application knows the retention too. Newer
/// keys stay, nobody is fenced, and new data is taken.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExpireArgs {
    /// How long data is kept for a purpose; may be repeated
    #[arg(long, value_name = "PURPOSE=TIME", value_parser = kept, required = true)]
    keep: Vec<(Purpose, Duration)>,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
    /// Show how much would expire and exit with 8 if anything would
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for read models and other processes
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    wait: Duration,
    #[command(flatten)]
    read_models: ReadModelsArgs,
}

fn kept(text: &str) -> Result<(Purpose, Duration), String> {
    let (purpose, time) =
        text.split_once('=').ok_or_else(|| format!("'{text}' is no PURPOSE=TIME such as billing=3650d"))?;
    Ok((Purpose::new(purpose).map_err(|error| error.to_string())?, duration(time)?))
}

/// Runs the command.
pub(super) async fn run(args: &ExpireArgs, context: &Context) -> Result<(), Failure> {
    let log: std::sync::Arc<dyn factum_core::EventStore> =
        std::sync::Arc::new(context.open(Access::Existing)?);
    let keep = args.keep.iter().cloned();
    let retention = keep.fold(Retention::none(), |retention, (purpose, time)| retention.keep(purpose, time));
    let vault = context.open_vault_keeping(&log, Want::Existing, retention).await?;
    let due = vault.expired(&args.actor).await?;
    if args.dry_run {
        context.out.one(&record([("due", due.len().into())]))?;
        context.out.flush()?;
        let what = format!("{} subjects have data that was kept for long enough", due.len());
        return if due.is_empty() { Ok(()) } else { Err(context.dry_run(&what)) };
    }
    let opened = Opened { log, vault };
    let (mut incomplete, mut held) = (0_u64, 0_u64);
    for request in &due {
        let read_models = args.read_models.open_if_there(context)?;
        if let Err(failure) = erase(&opened, request, read_models, (args.wait, Rows::Left), context).await {
            if failure.slug == "legal-hold" {
                held += 1;
                continue;
            }
            if failure.slug != "erasure-incomplete" {
                return Err(failure);
            }
            context.say(&failure.to_string());
            incomplete += 1;
        }
    }
    let expired = due.len() as u64 - held;
    context.out.one(&record([
        ("expired", expired.into()),
        ("incomplete", incomplete.into()),
        ("held", held.into()),
    ]))?;
    context.out.flush()?;
    if incomplete == 0 {
        return Ok(());
    }
    Err(Failure::new(
        (Exit::Unavailable, "erasure-incomplete"),
        format!("{incomplete} of {} erasures are incomplete", due.len()),
        "their keys are destroyed, and something was not reached",
        "`factum privacy receipts` lists them; go on with each by --erasure",
    ))
}
