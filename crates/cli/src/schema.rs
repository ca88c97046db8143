//! `factum schema`: the schemas that a store enforces.

mod export;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use factum_core::{
    EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Query, QueryItem, Read, RecordedEvent,
    SCHEMAS_STREAM, SchemaRegistry, SchemaVersion, Selector, StreamName,
};
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::progress::Progress;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum schema ls
  factum schema register placed.schema.json --type OrderPlaced
  factum schema check";

const LS_EXAMPLES: &str = "EXAMPLES:
  factum schema ls
  factum schema ls -o json";

const REGISTER_EXAMPLES: &str = r#"EXAMPLES:
  A JSON Schema for version 1, and another for version 2:
    factum schema register placed.schema.json --type OrderPlaced
    factum schema register placed-v2.schema.json --type OrderPlaced --version 2
  Several in one file: [{"type":"OrderPlaced","version":1,"schema":{...}}, ...]
    factum schema register schemas.json"#;

const CHECK_EXAMPLES: &str = "EXAMPLES:
  factum schema check
  factum schema check -o ndjson | wc -l";

/// Schemas that the store enforces, whoever appends
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(ListArgs),
    Register(RegisterArgs),
    Check(CheckArgs),
    Export(export::ExportArgs),
}

/// List the registered schemas
#[derive(Args, Debug)]
#[command(after_help = LS_EXAMPLES)]
struct ListArgs {}

/// Register schemas; from then on the store refuses events that do not fit
///
/// A registered schema never changes: another shape is another version.
#[derive(Args, Debug)]
#[command(after_help = REGISTER_EXAMPLES)]
struct RegisterArgs {
    /// A JSON Schema (with --type), or a list of {"type","version","schema"}
    file: PathBuf,
    /// The event type that the file is the schema of
    #[arg(long = "type", value_name = "T")]
    event_type: Option<EventType>,
    /// The version that the file is the schema of
    #[arg(long, value_name = "N", requires = "event_type", default_value_t = 1)]
    version: u32,
}

/// Check that the stored events fit the registered schemas; exits with 8 if one does not
///
/// Events that were there before their schema was registered may not fit.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
struct CheckArgs {}

/// Runs the command.
pub(crate) async fn run(args: SchemaArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls(_) => list(context).await,
        Verb::Register(args) => register(&args, context).await,
        Verb::Check(_) => check(context).await,
        Verb::Export(args) => export::run(&args, context),
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let registry = SchemaRegistry::load(&store).await?;
    let mut registered: Vec<_> = registry.registered().collect();
    registered.sort_by_key(|(event_type, version, _)| ((*event_type).clone(), *version));
    let mut sink = context.out.many(&["type", "version", "schema"]);
    for (event_type, version, schema) in registered {
        sink.push(&record([
            ("type", event_type.as_str().into()),
            ("version", version.0.into()),
            ("schema", schema.clone()),
        ]))?;
    }
    sink.finish()
}

async fn register(args: &RegisterArgs, context: &Context) -> Result<(), Failure> {
    let wanted = read_file(args)?;
    let mut events = Vec::new();
    for (event_type, version, schema) in &wanted {
        events.push(SchemaRegistry::registration(event_type, *version, schema).map_err(|e| {
            Failure::usage(
                "nothing was registered",
                e.to_string(),
                "give a JSON Schema, draft 2020-12 or earlier",
            )
        })?);
    }
    let store = context.open(Access::Create)?;
    let before = SchemaRegistry::load(&store).await?;
    let known = wanted.iter().filter(|(t, v, schema)| before.schema(t, *v) == Some(schema)).count();
    if known < wanted.len() {
        let stream = StreamName::new(SCHEMAS_STREAM)?;
        let appended = store.append_to(stream, ExpectedRevision::Any, events).await;
        appended.map_err(|e| Failure::from(e).about("nothing was registered"))?;
    }
    context.out.one(&record([("registered", (wanted.len() - known).into()), ("known", known.into())]))?;
    context.out.flush()
}

type Wanted = Vec<(EventType, SchemaVersion, Value)>;

fn read_file(args: &RegisterArgs) -> Result<Wanted, Failure> {
    let what = format!("{} is not a schema file", args.file.display());
    let value = read_json(&args.file)?;
    if let Some(event_type) = &args.event_type {
        return Ok(vec![(event_type.clone(), SchemaVersion(args.version), value)]);
    }
    let wrong = |why: &str| {
        let next = r#"give --type with a JSON Schema, or a list of {"type":"T","version":1,"schema":{}}"#;
        Failure::usage(what.clone(), why, next)
    };
    let entries = match value {
        Value::Array(entries) => entries,
        one => vec![one],
    };
    let mut wanted = Vec::new();
    for mut entry in entries {
        let event_type = entry["type"].as_str().ok_or_else(|| wrong("an entry has no \"type\""))?.to_owned();
        let version = entry["version"].as_u64().and_then(|version| u32::try_from(version).ok());
        let version = version.ok_or_else(|| wrong("an entry has no \"version\""))?;
        let schema = entry.get_mut("schema").map(Value::take);
        let schema = schema.ok_or_else(|| wrong("an entry has no \"schema\""))?;
        wanted.push((EventType::new(event_type)?, SchemaVersion(version), schema));
    }
    Ok(wanted)
}

fn read_json(path: &Path) -> Result<Value, Failure> {
    let cannot = format!("{} cannot be read", path.display());
    let text = std::fs::read(path).map_err(|e| Failure::io(cannot.clone(), &e))?;
    serde_json::from_slice(&text).map_err(|e| Failure::usage(cannot, format!("it is not JSON: {e}"), ""))
}

async fn check(context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let registry = SchemaRegistry::load(&store).await?;
    let mut types: Vec<_> = registry.registered().map(|(event_type, ..)| event_type.clone()).collect();
    types.sort();
    types.dedup();
    let bar = Progress::count(context, 0);
    bar.says("checking");
    let mut sink = context.out.many(&["stream", "revision", "position", "type", "version", "faults"]);
    let (mut checked, mut misfits) = (0_u64, 0_u64);
    for event_type in types {
        let selector = Selector::Query(Query::item(QueryItem::types([event_type])));
        let mut reader = store.read(Read::forwards(selector)).await?;
        while let Some(page) = reader.next_page().await? {
            for event in &page.events {
                checked += 1;
                let Err(violation) = registry.check(&as_new(event)?) else { continue };
                misfits += 1;
                sink.push(&record([
                    ("stream", event.stream().into()),
                    ("revision", event.revision().0.into()),
                    ("position", event.position().to_string().into()),
                    ("type", event.event_type().into()),
                    ("version", event.schema_version().0.into()),
                    ("faults", violation.faults.into()),
                ]))?;
            }
            bar.at(checked);
        }
    }
    drop(bar);
    sink.finish()?;
    if misfits == 0 {
        context.say(&format!("{checked} events checked, all fit"));
        return Ok(());
    }
    Err(Failure::new(
        (Exit::Check, "schema-violation"),
        format!("{misfits} of {checked} events do not fit their schema"),
        "they were appended before it was registered",
        "upcast them when they are read, or register the shape that they have as their version",
    ))
}

fn as_new(event: &RecordedEvent) -> Result<NewEvent, Failure> {
    Ok(NewEvent {
        content_type: event.content_type(),
        schema_version: event.schema_version(),
        ..NewEvent::json(EventType::new(event.event_type())?, event.data())
    })
}
