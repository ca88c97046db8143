//! `factum state`: what a stream of JSON events comes to, at any moment, and how it came to that.

use std::str::FromStr;

use clap::Args;
use factum::{JsonChange, JsonState, Origin, Skipped, diff_json};
use factum_core::{AsOf, EventStore, Read, RecordedEvent, StreamName};
use factum_server::{Moment, MomentError, TimeKind};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Record, clean, indent, record};
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  The state now, after revision 17, and at a time:
    factum state order-1
    factum state order-1 --at 17
    factum state order-1 --at 2026-11-17T15:00:00Z
  What changed between two moments, and which event set each part of the total:
    factum state order-1 --diff 16..17
    factum state order-1 --blame /total
  Every value that one field has had:
    factum state order-1 --history /status"#;

/// Fold a stream into its state, at any moment
///
/// Merges the events' data with RFC 7396 (JSON merge patch): no configuration, no code. Objects merge, null removes,
/// everything else replaces. Events that are not JSON or were redacted are passed over, and named on stderr.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StateArgs {
    /// The stream
    stream: StreamName,
    /// As it was then: a revision, @POSITION or a time
    #[arg(long, value_name = "MOMENT", conflicts_with = "diff")]
    at: Option<Moment>,
    /// A time means when events were recorded, not when they happened
    #[arg(long)]
    recorded: bool,
    /// What changed after one moment, up to another
    #[arg(long, value_name = "A..B", conflicts_with_all = ["blame", "history"])]
    diff: Option<Span>,
    /// Which event set each value, at or below a JSON pointer such as /total
    #[arg(long, value_name = "POINTER", num_args = 0..=1, default_missing_value = "", conflicts_with = "history")]
    blame: Option<String>,
    /// Every value that a JSON pointer such as /status has had
    #[arg(long, value_name = "POINTER")]
    history: Option<String>,
}

/// Two moments.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Moment,
    to: Moment,
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once("..")
            .ok_or_else(|| format!("'{text}' is not A..B: give two moments such as 16..17"))?;
        let moment = |text: &str| text.parse().map_err(|error: MomentError| error.to_string());
        Ok(Self { from: moment(from)?, to: moment(to)? })
    }
}

/// Runs the command.
pub(crate) async fn run(args: StateArgs, context: &Context) -> Result<(), Failure> {
    let kind = if args.recorded { TimeKind::Recorded } else { TimeKind::Occurred };
    for pointer in args.blame.iter().chain(&args.history) {
        check_pointer(pointer)?;
    }
    let store = context.open(Access::Existing)?;
    let at = args.at.map_or(AsOf::Now, |moment| moment.as_of(kind));
    if let Some(span) = args.diff {
        let before = fold(&store, &args.stream, span.from.as_of(kind), context).await?;
        let after = fold(&store, &args.stream, span.to.as_of(kind), context).await?;
        return show_diff(context, &before, &after);
    }
    if let Some(pointer) = &args.history {
        return show_history(&store, &args.stream, at, pointer, context).await;
    }
    let state = fold(&store, &args.stream, at, context).await?;
    match &args.blame {
        Some(pointer) => show_blame(context, &state, pointer),
        None => show_state(context, &state),
    }
}

fn check_pointer(pointer: &str) -> Result<(), Failure> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(Failure::usage(
        format!("'{pointer}' is not a JSON pointer"),
        "a JSON pointer starts with '/'",
        format!("did you mean /{}", pointer.replace('.', "/")),
    ))
}

async fn fold(
    store: &dyn EventStore,
    stream: &StreamName,
    at: AsOf,
    context: &Context,
) -> Result<JsonState, Failure> {
    let mut state = JsonState::default();
    each(store, stream, at, |event| {
        note(state.apply(event), event, context);
        Ok(())
    })
    .await?;
    Ok(state)
}

async fn each(
    store: &dyn EventStore,
    stream: &StreamName,
    at: AsOf,
    mut step: impl FnMut(&RecordedEvent) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut reader = store.read(Read::stream(stream.clone()).at(at)).await?;
    while let Some(page) = reader.next_page().await? {
        for event in &page.events {
            step(event)?;
        }
    }
    Ok(())
}

fn note(outcome: Result<(), Skipped>, event: &RecordedEvent, context: &Context) {
    let why = match outcome {
        Ok(()) | Err(Skipped::System) => return,
        Err(Skipped::Binary) => "its data is binary",
        Err(Skipped::NotJson) => "its data is not JSON",
        Err(Skipped::TooDeep) => "its data nests too deep",
        Err(Skipped::Redacted) => "its data was redacted: what it set is not in the state",
    };
    context.say(&format!("passed over revision {} ({}): {why}", event.revision(), event.event_type()));
}

fn show_state(context: &Context, state: &JsonState) -> Result<(), Failure> {
    let json = state.to_json();
    let text = match context.out.format() {
        Format::Table | Format::Json => indent(&json),
        Format::Ndjson | Format::Raw => json,
    };
    if context.out.format() == Format::Table
        && let Some(last) = state.last()
    {
        context.say(&format!("at revision {}, {}", last.revision, last.happened_at));
    }
    context.out.line(&text)?;
    context.out.flush()
}

/// A change as a record: values are JSON, or `null` where there was nothing (`added` and `removed` tell).
fn change_fields(change: &JsonChange) -> Record {
    let kind = match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    record([
        ("pointer", change.pointer.as_str().into()),
        ("change", kind.into()),
        ("before", value(change.before.as_deref())),
        ("after", value(change.after.as_deref())),
    ])
}

fn value(raw: Option<&RawValue>) -> Value {
    raw.map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap_or_default())
}

fn text(raw: Option<&RawValue>) -> String {
    raw.map_or_else(|| "-".to_owned(), |raw| raw.get().to_owned())
}

fn show_diff(context: &Context, before: &JsonState, after: &JsonState) -> Result<(), Failure> {
    let raw = |state: &JsonState| RawValue::from_string(state.to_json()).unwrap_or_default();
    let changes = diff_json(&raw(before), &raw(after));
    if context.out.format() == Format::Table {
        for change in &changes {
            let (old, new) = (text(change.before.as_deref()), text(change.after.as_deref()));
            let pointer = if change.pointer.is_empty() { "(all)" } else { &change.pointer };
            context.out.line(&clean(&format!("{pointer}  {old} -> {new}")))?;
        }
        if changes.is_empty() {
            context.say("nothing changed");
        }
        return context.out.flush();
    }
    let mut sink = context.out.many(&["pointer", "change", "before", "after"]);
    for change in &changes {
        sink.push(&change_fields(change))?;
    }
    sink.finish()
}

fn show_blame(context: &Context, state: &JsonState, pointer: &str) -> Result<(), Failure> {
    let leaves = state.blame(pointer);
    if leaves.is_empty() && !pointer.is_empty() {
        return Err(Failure::not_found(
            format!("the state has nothing at {pointer}"),
            "no event has set it, or a later one removed it",
            format!("`factum state STREAM --history {pointer}` shows every value that it has had"),
        ));
    }
    let mut sink = context.out.many(&["pointer", "value", "revision", "type", "time", "actor"]);
    for leaf in &leaves {
        let mut fields =
            record([("pointer", leaf.pointer.as_str().into()), ("value", value(Some(&leaf.value)))]);
        add_origin(&mut fields, leaf.set_by.as_deref());
        sink.push(&fields)?;
    }
    sink.finish()
}

fn add_origin(fields: &mut Record, origin: Option<&Origin>) {
    let Some(origin) = origin else { return };
    fields.extend(record([
        ("revision", origin.revision.0.into()),
        ("type", origin.event_type.as_str().into()),
        ("time", origin.happened_at.to_string().into()),
    ]));
    if let Some(actor) = &origin.actor {
        fields.insert("actor".to_owned(), actor.as_str().into());
    }
    fields.insert("eventId".to_owned(), origin.id.to_string().into());
}

async fn show_history(
    store: &dyn EventStore,
    stream: &StreamName,
    at: AsOf,
    pointer: &str,
    context: &Context,
) -> Result<(), Failure> {
    let mut state = JsonState::default();
    let mut before: Option<Box<RawValue>> = None;
    let mut sink = context.out.many(&["revision", "type", "time", "actor", "before", "after"]);
    each(store, stream, at, |event| {
        note(state.apply(event), event, context);
        let after = state.get(pointer);
        if before.as_ref().map(|raw| raw.get()) != after.as_ref().map(|raw| raw.get()) {
            let mut fields = Record::new();
            add_origin(&mut fields, Some(&Origin::of(event)));
            fields.insert("before".to_owned(), value(before.as_deref()));
            fields.insert("after".to_owned(), value(after.as_deref()));
            sink.push(&fields)?;
            before = after;
        }
        Ok(())
    })
    .await?;
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_two_moments() {
        let span: Span = "16..2026-11-17".parse().unwrap();
        assert!(matches!((span.from, span.to), (Moment::Revision(_), Moment::Time(_))));
        for bad in ["16", "..", "16..", "a..b"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pointer_starts_with_a_slash() {
        assert!(check_pointer("").is_ok() && check_pointer("/a").is_ok());
        assert!(check_pointer("a.b").unwrap_err().to_string().contains("/a/b"));
    }
}
