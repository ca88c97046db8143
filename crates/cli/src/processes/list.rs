//! `factum processes ls`: the instances of process managers, in order of their beginning.

use clap::{Args, ValueEnum};
use factum::{ProcessFilter, ProcessStage, list_processes};
use factum_core::{Clock, SystemClock};
use factum_server::process_summary;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum processes ls
  factum processes ls transfer --all -n 50
  factum processes ls --stage quarantined --stage needs-operator -o json";

/// List the instances that are not over, in order of their beginning
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Only those of this process
    process: Option<String>,
    /// Only those that stand here (several allowed)
    #[arg(long, value_name = "STAGE")]
    stage: Vec<Stage>,
    /// Also those that are over
    #[arg(short, long)]
    all: bool,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

/// Where an instance stands, as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stage {
    /// It takes inputs
    Running,
    /// It stands still until it is retried
    Quarantined,
    /// It undoes what it did
    Compensating,
    /// It cannot go on without a person
    NeedsOperator,
    /// It is over, but commands are still out
    Completing,
    /// It is over
    Completed,
    /// It failed, and is undone
    Failed,
}

impl From<Stage> for ProcessStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Running => ProcessStage::Running,
            Stage::Quarantined => ProcessStage::Quarantined,
            Stage::Compensating => ProcessStage::Compensating,
            Stage::NeedsOperator => ProcessStage::NeedsOperator,
            Stage::Completing => ProcessStage::Completing,
            Stage::Completed => ProcessStage::Completed,
            Stage::Failed => ProcessStage::Failed,
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let filter = ProcessFilter {
        process: args.process,
        stages: args.stage.into_iter().map(ProcessStage::from).collect(),
        with_ended: args.all,
    };
    let instances = list_processes(&store, &filter).await.map_err(|e| super::of_process(&e))?;
    let now = SystemClock.now();
    let columns = ["instance", "stage", "step", "age", "nextTimer", "lastError"];
    let mut sink = context.out.many(&columns);
    let raw = context.out.format() == Format::Raw;
    for instance in instances.iter().take(args.limit.unwrap_or(usize::MAX)) {
        if raw {
            context.out.line(&instance.stream())?;
        } else {
            sink.push(&process_summary(instance, now))?;
        }
    }
    if raw { context.out.flush() } else { sink.finish() }
}
