//! `factum processes ls`: the instances of process managers, in order of their beginning.

use clap::{Args, ValueEnum};
use factum::{ProcessFilter, ProcessInstance, ProcessStage, list_processes};
use factum_core::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Record, record};
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
            sink.push(&summary(instance, now))?;
        }
    }
    if raw { context.out.flush() } else { sink.finish() }
}

/// What a list says of an instance.
pub(super) fn summary(instance: &ProcessInstance, now: Timestamp) -> Record {
    let next_timer = instance.next_timer().map(|(name, due)| format!("{name} {due}"));
    let last_error = instance.last_error.as_ref().map(|(_, error)| error.clone());
    record([
        ("instance", instance.stream().into()),
        ("process", instance.process.as_str().into()),
        ("id", instance.instance.as_str().into()),
        ("stage", instance.stage().as_str().into()),
        ("step", text(instance.last_step.as_deref())),
        ("age", age(instance.started_at, now).into()),
        ("startedTime", instance.started_at.to_string().into()),
        ("updatedTime", instance.updated_at.to_string().into()),
        ("inputs", instance.inputs.into()),
        ("outstanding", instance.outstanding.len().into()),
        ("held", instance.held.len().into()),
        ("nextTimer", text(next_timer.as_deref())),
        ("lastError", text(last_error.as_deref())),
    ])
}

pub(super) fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// How long ago, in its largest unit.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now.unix_millis() - since.unix_millis()).max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let of = |seconds: i64| age(Timestamp(0), Timestamp::from_unix_millis(seconds * 1_000));
        assert_eq!([of(-5), of(119), of(120), of(7_200), of(172_800)], ["0s", "119s", "2m", "2h", "2d"]);
    }
}
