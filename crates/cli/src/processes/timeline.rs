//! `factum processes timeline`: everything that happened to one instance, every failed attempt included.

use clap::Args;
use factum::{InputRecord, ProcessRecord, TimelineEntry, show_process};
use serde_json::Value;

use super::InstanceName;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Record, record};
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
    for entry in timeline.entries.iter().filter(|entry| !args.failures || is_trouble(&entry.record)) {
        sink.push(&fields(entry))?;
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

fn is_trouble(record: &ProcessRecord) -> bool {
    match record {
        ProcessRecord::AttemptFailed(_)
        | ProcessRecord::Quarantined(_)
        | ProcessRecord::NeedsOperator(_)
        | ProcessRecord::Resumed(_)
        | ProcessRecord::Failing(_)
        | ProcessRecord::Failed(_) => true,
        ProcessRecord::Input(taken) => {
            matches!(taken.input, InputRecord::Rejected { .. } | InputRecord::Operator { .. })
        }
        _ => false,
    }
}

fn fields(entry: &TimelineEntry) -> Record {
    let (what, detail) = said(&entry.record);
    record([
        ("revision", entry.revision.0.into()),
        ("position", entry.position.to_string().into()),
        ("time", entry.at.to_string().into()),
        ("what", what.into()),
        ("detail", detail.into()),
        ("type", entry.record.event_type().into()),
        ("data", serde_json::from_slice(&entry.data).unwrap_or(Value::Null)),
    ])
}

/// A record in words.
fn said(record: &ProcessRecord) -> (String, String) {
    let (what, detail) = match record {
        ProcessRecord::Started(started) => {
            ("began", format!("with the event at position {}", started.position))
        }
        ProcessRecord::Input(taken) => return of_input("", &taken.input),
        ProcessRecord::InputHeld(held) => return of_input("held: ", &held.input),
        ProcessRecord::StepIssued(issued) => {
            let pivot = if issued.pivot { " (point of no return)" } else { "" };
            return (format!("step '{}'{pivot}", issued.step), issued.command.get().to_owned());
        }
        ProcessRecord::UndoSet(set) => {
            return (format!("undo of '{}' set", set.step), set.command.get().to_owned());
        }
        ProcessRecord::UndoIssued(issued) => {
            return (format!("undo '{}'", issued.step), issued.command.get().to_owned());
        }
        ProcessRecord::AttemptFailed(failed) => {
            return (format!("attempt {} of '{}' failed", failed.attempt, failed.step), failed.error.clone());
        }
        ProcessRecord::TimerStarted(timer) => {
            return (format!("timer '{}'", timer.name), format!("due {}", timer.due));
        }
        ProcessRecord::TimerCancelled(timer) => (("timer cancelled"), timer.name.clone()),
        ProcessRecord::Quarantined(quarantined) => ("quarantined", quarantined.cause.clone()),
        ProcessRecord::NeedsOperator(needs) => ("needs an operator", needs.cause.clone()),
        ProcessRecord::Resumed(resumed) => ("resumed", format!("by {}: {}", resumed.actor, resumed.reason)),
        ProcessRecord::Failing(failing) => ("failing", failing.reason.clone()),
        ProcessRecord::Failed(failed) => ("failed", failed.reason.clone()),
        ProcessRecord::Completed(_) => ("completed", String::new()),
        ProcessRecord::Owner(owner) => ("owner", owner.owner.clone()),
        ProcessRecord::Looked(looked) => ("looked", format!("up to position {}", looked.next)),
        ProcessRecord::Requested(asked) => ("requested", asked.action.clone()),
    };
    (what.to_owned(), detail)
}

fn of_input(before: &str, input: &InputRecord) -> (String, String) {
    let (what, detail) = match input {
        InputRecord::Event { event_type, stream, revision, position, .. } => {
            (event_type.clone(), format!("revision {revision} of '{stream}' (position {position})"))
        }
        InputRecord::Timer { name, due } => (format!("timer '{name}' went off"), format!("due {due}")),
        InputRecord::Done { step, result, attempt, .. } => {
            let result = if result.is_null() { String::new() } else { format!(": {result}") };
            (format!("'{step}' done"), format!("attempt {attempt}{result}"))
        }
        InputRecord::Rejected { step, reason, .. } => (format!("'{step}' rejected"), reason.clone()),
        InputRecord::Operator { action, actor, reason, refused, .. } => {
            let not = refused.as_ref().map(|why| format!(", not done: {why}")).unwrap_or_default();
            (format!("operator: {action}"), format!("{actor}: {reason}{not}"))
        }
    };
    (format!("{before}{what}"), detail)
}
