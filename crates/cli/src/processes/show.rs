//! `factum processes show`: everything about where one instance stands.

use clap::Args;
use factum::show_process;
use factum_core::{Clock, SystemClock};
use factum_server::process_details;

use super::InstanceName;
use crate::context::Context;
use crate::failure::Failure;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum processes show transfer-17
  factum processes show transfer-17 --format '{stage} {cause}'";

/// Show where an instance stands: what is out, what is done, what it waits for, why it stopped
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// The instance, by the name of its stream
    instance: InstanceName,
}

/// Runs the command.
pub(super) async fn run(args: ShowArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let name = args.instance;
    let shown = show_process(&store, &name.process, &name.instance).await;
    let timeline = shown.map_err(|e| super::of_process(&e))?.ok_or_else(|| name.unknown())?;
    context.out.one(&process_details(&timeline, SystemClock.now()))?;
    context.out.flush()
}
