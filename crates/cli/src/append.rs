//! `factum append`: adds events to a stream.

use std::io::{BufRead, BufReader, Read, Seek};

use clap::Args;
use factum_core::{
    AppendError, Appended, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision, InvalidEvent,
    NewEvent, PRIVACY_STREAM, Revision, SchemaVersion, StreamName, Tag, Timestamp,
};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;
use factum_protocol::read_event;

const EXAMPLES: &str = r#"EXAMPLES:
  Append one event, and only if the stream does not exist yet:
    factum append order-1 OrderPlaced '{"total":120}' --expect none
  With metadata and a tag, when it happened, data from a file:
    factum append order-1 Shipped @parcel.json --meta actor=ada --tag customer:7 \
      --occurred-at 2026-11-17T15:00:00Z
  Copy a stream with its ids, metadata and tags:
    factum read order-1 -o ndjson | factum append order-1-copy --ndjson"#;

/// Append events to a stream
///
/// With --ndjson, reads one JSON event per line from stdin, as `factum read -o ndjson` writes them, and appends
/// them in batches of up to 1,000; each batch is atomic. --expect holds for the first; the next follow it exactly.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AppendArgs {
    /// The stream
    stream: StreamName,
    /// What happened, such as OrderPlaced
    #[arg(required_unless_present = "ndjson", conflicts_with = "ndjson")]
    event_type: Option<EventType>,
    /// The event's data: JSON text, '-' for stdin, '@FILE' for a file [default: {}]
    #[arg(value_name = "JSON", conflicts_with = "ndjson", allow_hyphen_values = true)]
    payload: Option<String>,
    /// What the stream must be like: any, none, exists, or the revision of its last event
    #[arg(long, value_name = "STATE", default_value = "any", value_parser = expected)]
    expect: ExpectedRevision,
    /// A metadata key and its text; several times for several
    #[arg(long, value_name = "K=V", value_parser = key_value, conflicts_with = "ndjson")]
    meta: Vec<(String, String)>,
    /// A tag; several times for several
    #[arg(long, conflicts_with = "ndjson")]
    tag: Vec<Tag>,
    /// The event's id: the same id at the same place is appended once [default: a new one]
    #[arg(long, value_name = "UUID", conflicts_with = "ndjson")]
    id: Option<EventId>,
    /// When it happened, where that is not now: RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "ndjson")]
    occurred_at: Option<Timestamp>,
    /// Version of the type's schema that the data follows
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "ndjson")]
    schema_version: u32,
    /// The data is bytes, not JSON
    #[arg(long, conflicts_with = "ndjson")]
    binary: bool,
    /// Read events from stdin, one JSON object per line
    #[arg(long)]
    ndjson: bool,
}

/// Most events in one batch of --ndjson.
const BATCH_EVENTS: usize = 1_000;
/// Most bytes of input in one batch of --ndjson; one longer line is a batch of its own.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Runs the command.
pub(crate) async fn run(args: AppendArgs, context: &Context) -> Result<(), Failure> {
    if args.stream.as_str() == PRIVACY_STREAM {
        return Err(Failure::usage(
            "nothing was appended",
            format!("only a vault writes '{PRIVACY_STREAM}'"),
            "see `factum privacy --help`",
        ));
    }
    if args.ndjson {
        return append_lines(&args, context).await;
    }
    let event = new_event(&args)?;
    match event.check(&args.stream) {
        // The vault seals it, where there is one; else the store refuses it.
        Ok(()) | Err(InvalidEvent::Unsealed) => {}
        Err(source) => {
            return Err(AppendError::InvalidEvent { stream: args.stream.clone(), index: 0, source }.into());
        }
    }
    let (mut sealing, events) = (context.sealing(context.open(Access::Create)?), vec![event]);
    let store = sealing.store_for(&args.stream, &events).await?;
    let appended = store.append_to(args.stream.clone(), args.expect, events).await?;
    report(context, &args.stream, &appended)
}

fn new_event(args: &AppendArgs) -> Result<NewEvent, Failure> {
    let Some(event_type) = args.event_type.clone() else {
        return Err(Failure::usage("no event type was given", "", "see `factum append --help`"));
    };
    let data = match args.payload.as_deref() {
        None => b"{}".to_vec(),
        Some("-") => {
            let mut data = Vec::new();
            std::io::stdin()
                .read_to_end(&mut data)
                .map_err(|e| Failure::io("reading the data from stdin failed", &e))?;
            data
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => {
                std::fs::read(file).map_err(|e| Failure::io(format!("'{file}' cannot be read"), &e))?
            }
            None => text.as_bytes().to_vec(),
        },
    };
    let mut event = if args.binary {
        NewEvent::binary(event_type, data)
    } else {
        NewEvent::json_text(event_type, data).map_err(|e| {
            let next = "mend it, or give --binary if it is not meant to be JSON";
            Failure::usage("nothing was appended", e.to_string(), next)
        })?
    };
    if !args.meta.is_empty() {
        let keys: Map<String, Value> =
            args.meta.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        event = event.with_metadata(Value::Object(keys).to_string());
    }
    for tag in &args.tag {
        event = event.with_tag(tag.clone());
    }
    event.id = args.id.unwrap_or(event.id);
    event.occurred_at = args.occurred_at;
    Ok(event.with_schema_version(SchemaVersion(args.schema_version)))
}

async fn append_lines(args: &AppendArgs, context: &Context) -> Result<(), Failure> {
    let mut input: Box<dyn BufRead> = Box::new(BufReader::new(std::io::stdin()));
    // Whoever sends the first byte has opened what it reads from: from here on a lock that is free stays free.
    input.fill_buf().map_err(|e| Failure::io("reading events from stdin failed", &e))?;
    let engine = match context.open_unless_locked(Access::Create)? {
        Some(engine) => engine,
        None => {
            input = spool(input)?;
            context.open_waiting(Access::Create).await?
        }
    };
    let mut sealing = context.sealing(engine);
    let mut lines = Lines { input, number: 0 };
    let mut expected = args.expect;
    let mut total: Option<Appended> = None;
    loop {
        let batch = lines.batch()?;
        if batch.is_empty() && total.is_some() {
            break;
        }
        let done = batch.is_empty();
        let store = sealing.store_for(&args.stream, &batch).await?;
        let appended = append_batch(store, args, expected, batch, lines.number).await?;
        if expected != ExpectedRevision::Any
            && let Some(last) = appended.streams.first().and_then(|stream| stream.last)
        {
            expected = ExpectedRevision::Exact(last);
        }
        total = Some(match total {
            Some(before) => joined(before, appended),
            None => appended,
        });
        if done {
            break;
        }
    }
    match total {
        Some(appended) => report(context, &args.stream, &appended),
        None => Ok(()),
    }
}

/// The input in a temporary file. `factum read A | factum append B --ndjson` has the store open at both ends: the reader
/// can only finish, and let go of the store, if its output is taken off it.
fn spool(mut input: impl Read) -> Result<Box<dyn BufRead>, Failure> {
    let failed = |e| Failure::io("keeping the input in a temporary file failed", &e);
    let mut file = tempfile::tempfile().map_err(failed)?;
    std::io::copy(&mut input, &mut file).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(Box::new(BufReader::new(file)))
}

async fn append_batch(
    store: &dyn EventStore,
    args: &AppendArgs,
    expected: ExpectedRevision,
    batch: Vec<NewEvent>,
    line: u64,
) -> Result<Appended, Failure> {
    store
        .append_to(args.stream.clone(), expected, batch)
        .await
        .map_err(|e| Failure::from(e).about(format!("the batch that ends with line {line} was not appended")))
}

/// Two consecutive appends as one.
fn joined(before: Appended, after: Appended) -> Appended {
    let mut streams = before.streams;
    if let (Some(first), Some(second)) = (streams.first_mut(), after.streams.first()) {
        first.first = first.first.or(second.first);
        first.last = second.last.or(first.last);
    }
    Appended {
        first: before.first.or(after.first),
        last: after.last.or(before.last),
        streams,
        deduplicated: before.deduplicated && after.deduplicated,
        token: after.token,
    }
}

/// Lines of JSON events.
struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next events; none at the end. Empty lines are passed over.
    fn batch(&mut self) -> Result<Vec<NewEvent>, Failure> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut line = Vec::new();
        while events.len() < BATCH_EVENTS && bytes < BATCH_BYTES {
            line.clear();
            let read = self.input.read_until(b'\n', &mut line);
            if read.map_err(|e| Failure::io("reading events from stdin failed", &e))? == 0 {
                break;
            }
            self.number += 1;
            bytes += line.len();
            if line.trim_ascii().is_empty() {
                continue;
            }
            let read = read_event(&line).map_err(|e| {
                Failure::usage(
                    format!("line {} is not an event; it and what follows was not appended", self.number),
                    e.to_string(),
                    r#"each line must be an object such as {"type":"OrderPlaced","data":{}}"#,
                )
            })?;
            events.push(read.event);
        }
        Ok(events)
    }
}

fn report(context: &Context, stream: &StreamName, appended: &Appended) -> Result<(), Failure> {
    let number = |revision: Option<Revision>| revision.map_or(Value::Null, |revision| revision.0.into());
    let of_stream = appended.streams.first();
    let mut fields = record([
        ("stream", stream.as_str().into()),
        ("firstRevision", number(of_stream.and_then(|stream| stream.first))),
        ("lastRevision", number(of_stream.and_then(|stream| stream.last))),
        ("position", appended.last.map_or(Value::Null, |position| position.to_string().into())),
        ("token", appended.token.to_string().into()),
    ]);
    if appended.deduplicated {
        fields.insert("deduplicated".to_owned(), true.into());
    }
    context.out.one(&fields)?;
    context.out.flush()
}

/// Reads `any`, `none`, `exists` or a revision.
pub(crate) fn expected(text: &str) -> Result<ExpectedRevision, String> {
    Ok(match text {
        "any" => ExpectedRevision::Any,
        "none" => ExpectedRevision::NoStream,
        "exists" => ExpectedRevision::StreamExists,
        number => ExpectedRevision::Exact(Revision(
            number
                .parse()
                .map_err(|_| format!("'{text}' is none of: any, none, exists, a revision such as 17"))?,
        )),
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_line() {
        let mut lines = Lines { input: &b"{\"type\":\"A\"}\n\n{\"type\":\n"[..], number: 0 };
        let failure = lines.batch().unwrap_err();
        assert!(failure.to_string().contains("line 3"), "{failure}");
        let mut lines = Lines { input: &b"\n{\"type\":\"A\"}"[..], number: 0 };
        assert_eq!(lines.batch().unwrap().len(), 1);
        assert!(lines.batch().unwrap().is_empty());
    }

    #[test]
    fn expectations_are_words_or_a_revision() {
        assert_eq!(expected("17"), Ok(ExpectedRevision::Exact(Revision(17))));
        assert!(expected("-1").is_err() && expected("some").is_err());
        assert!(key_value("=v").is_err() && key_value("k").is_err());
        assert_eq!(key_value("k=a=b"), Ok(("k".to_owned(), "a=b".to_owned())));
    }
}
