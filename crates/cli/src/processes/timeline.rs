//! `factum processes timeline`: everything that happened to one instance, every failed attempt included.

use clap::Args;
use factum::show_process;
use factum_server::{process_record, process_trouble};

use super::InstanceName;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum processes timeline transfer-17
  factum processes timeline transfer-17 --failures
  factum processes timeline transfer-17 -o ndjson | jq .data";

/// Show what happened to an instance: inputs, commands, attempts, timers, operators
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TimelineArgs {
    /// The instance, by the name of its stream
    instance: InstanceName,
    /// Only failed attempts, stops and what operators asked
    #[arg(long)]
    failures: bool,
}

/// Runs the command.
pub(super) async fn run(args: TimelineArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let name = args.instance;
    let shown = show_process(&store, &name.process, &name.instance).await;
    let timeline = shown.map_err(|e| super::of_process(&e))?.ok_or_else(|| name.unknown())?;
    let mut sink = context.out.many(&["revision", "time", "what", "detail"]);
    for entry in timeline.entries.iter().filter(|entry| !args.failures || process_trouble(&entry.record)) {
        sink.push(&process_record(entry))?;
    }
    for (at, asked) in &timeline.pending {
        let detail = format!("{} by {}: {}", asked.action, asked.actor, asked.reason);
        sink.push(&record([
            ("time", at.to_string().into()),
            ("what", "request waits for a runner".into()),
            ("detail", detail.into()),
        ]))?;
    }
    sink.finish()
}
