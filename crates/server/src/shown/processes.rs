//! An instance of a process manager: in one line, with all that is known of it, and what happened to it.

use factum::{InputRecord, ProcessInstance, ProcessRecord, ProcessTimeline, TimelineEntry};
use factum_core::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::fields;

/// An instance in one line.
pub fn process_summary(instance: &ProcessInstance, now: Timestamp) -> Map<String, Value> {
    let next_timer = instance.next_timer().map(|(name, due)| format!("{name} {due}"));
    let last_error = instance.last_error.as_ref().map(|(_, error)| error.clone());
    fields([
        ("instance", instance.stream().into()),
        ("process", instance.process.as_str().into()),
        ("id", instance.instance.as_str().into()),
        ("stage", instance.stage().as_str().into()),
        ("step", instance.last_step.as_deref().into()),
        ("age", age(instance.started_at, now).into()),
        ("startedTime", instance.started_at.to_string().into()),
        ("updatedTime", instance.updated_at.to_string().into()),
        ("inputs", instance.inputs.into()),
        ("outstanding", instance.outstanding.len().into()),
        ("held", instance.held.len().into()),
        ("nextTimer", next_timer.into()),
        ("lastError", last_error.into()),
    ])
}

/// Everything about where an instance stands. What there is none of is left out.
pub fn process_details(timeline: &ProcessTimeline, now: Timestamp) -> Map<String, Value> {
    let instance = &timeline.instance;
    let mut all = process_summary(instance, now);
    let mut put = |name: &str, value: Value| {
        if !matches!(&value, Value::Null) && value != json!([]) {
            all.insert(name.to_owned(), value);
        }
    };
    put("failing", instance.failing.as_deref().into());
    put("cause", instance.trouble.as_ref().map(|trouble| trouble.cause.as_str()).into());
    put("since", instance.trouble.as_ref().map(|trouble| trouble.since.to_string()).into());
    put("pastPivot", if instance.past_pivot { true.into() } else { Value::Null });
    let timers = instance.timers.iter().map(|(name, due)| json!({ "name": name, "due": due.to_string() }));
    put("timers", timers.collect());
    put("outstandingSteps", outstanding(instance));
    put("doneSteps", done(instance));
    put("heldInputs", serde_json::to_value(&instance.held).unwrap_or_default());
    put("pendingRequests", pending(timeline));
    all
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

/// What happened to an instance, in words and as it is kept.
pub fn process_record(entry: &TimelineEntry) -> Map<String, Value> {
    let (what, detail) = said(&entry.record);
    fields([
        ("revision", entry.revision.0.into()),
        ("position", entry.position.to_string().into()),
        ("time", entry.at.to_string().into()),
        ("what", what.into()),
        ("detail", detail.into()),
        ("type", entry.record.event_type().into()),
        ("data", serde_json::from_slice(&entry.data).unwrap_or(Value::Null)),
    ])
}

/// Whether it is a failed attempt, a stop or what an operator asked.
pub fn process_trouble(record: &ProcessRecord) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let of = |seconds: i64| age(Timestamp(0), Timestamp::from_unix_millis(seconds * 1_000));
        assert_eq!([of(-5), of(119), of(120), of(7_200), of(172_800)], ["0s", "119s", "2m", "2h", "2d"]);
    }
}
