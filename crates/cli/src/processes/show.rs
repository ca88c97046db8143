//! `factum processes show`: everything about where one instance stands.

use clap::Args;
use factum::{ProcessInstance, ProcessTimeline, show_process};
use factum_core::{Clock, SystemClock};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::InstanceName;
use super::list::{summary, text};
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
    let instance = &timeline.instance;
    let mut fields = summary(instance, SystemClock.now());
    let mut put = |name: &str, value: Value| {
        if !matches!(&value, Value::Null) && value != json!([]) {
            fields.insert(name.to_owned(), value);
        }
    };
    put("failing", text(instance.failing.as_deref()));
    put("cause", text(instance.trouble.as_ref().map(|trouble| trouble.cause.as_str())));
    put("since", text(instance.trouble.as_ref().map(|trouble| trouble.since.to_string()).as_deref()));
    put("pastPivot", if instance.past_pivot { true.into() } else { Value::Null });
    let timers = instance.timers.iter().map(|(name, due)| json!({ "name": name, "due": due.to_string() }));
    put("timers", timers.collect());
    put("outstandingSteps", outstanding(instance));
    put("doneSteps", done(instance));
    put("heldInputs", serde_json::to_value(&instance.held).unwrap_or_default());
    put("pendingRequests", pending(&timeline));
    context.out.one(&fields)?;
    context.out.flush()
}

fn outstanding(instance: &ProcessInstance) -> Value {
    let steps = instance.outstanding.iter().map(|step| {
        json!({
            "step": step.step,
            "undo": step.undoes.is_some(),
            "commandId": step.command_id,
            "command": value(&step.command),
            "attempts": step.attempts,
            "lastError": step.last_failure.as_ref().map(|(_, error)| error),
            "parked": step.parked,
        })
    });
    steps.collect()
}

fn done(instance: &ProcessInstance) -> Value {
    let steps = instance.done.iter().map(|step| {
        json!({ "step": step.step, "commandId": step.command_id, "undo": step.undo.as_deref().map(value), "undone": step.undone })
    });
    steps.collect()
}

fn pending(timeline: &ProcessTimeline) -> Value {
    let requests = timeline.pending.iter().map(|(at, asked)| {
        json!({ "time": at.to_string(), "action": asked.action, "actor": asked.actor, "reason": asked.reason })
    });
    requests.collect()
}

/// For people; `timeline -o json` has the commands as they are kept.
fn value(json: &RawValue) -> Value {
    serde_json::from_str(json.get()).unwrap_or_default()
}
