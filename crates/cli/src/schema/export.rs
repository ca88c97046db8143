//! `factum schema export`: the shapes of the built-in example's events, for programs in other languages.

use std::path::PathBuf;

use clap::Args;
use factum::SchemaSet;
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{pretty, record};

const EXAMPLES: &str = "EXAMPLES:
  factum schema export --typescript > events.ts
  factum schema export --zod --to events.zod.ts
  factum schema export --json-schema --to schemas/
  factum schema export --json-schema > bank.json && factum schema register bank.json";

/// Export the shapes of the built-in example's events (bank): JSON Schema, TypeScript, Zod
///
/// They come from the Rust declaration of the events. Your own crate does the same with `factum::SchemaSet`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    form: Form,
    /// A file; with --json-schema a directory that gets one file per type and version [default: stdout]
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Form {
    /// JSON Schema (draft 2020-12), as `factum schema register` reads it
    #[arg(long)]
    json_schema: bool,
    /// A TypeScript module: an interface per event, and their union by `type` and `schemaVersion`
    #[arg(long)]
    typescript: bool,
    /// A module of Zod validators
    #[arg(long)]
    zod: bool,
}

/// Runs the command.
pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    let schemas =
        SchemaSet::of::<bank::AccountEvent>().and::<bank::TransferEvent>().and::<bank::CustomerEvent>();
    if args.form.json_schema && args.to.is_some() {
        return write_files(args, &schemas, context);
    }
    let text = if args.form.typescript {
        schemas.typescript()
    } else if args.form.zod {
        schemas.zod()
    } else {
        list(&schemas)
    };
    match &args.to {
        Some(path) => std::fs::write(path, text)
            .map_err(|e| Failure::io(format!("{} cannot be written", path.display()), &e)),
        None => {
            context.out.write(text.as_bytes())?;
            context.out.flush()
        }
    }
}

fn list(schemas: &SchemaSet) -> String {
    let entries: Vec<Value> = schemas
        .schemas()
        .iter()
        .map(|known| {
            Value::Object(record([
                ("type", known.event_type.as_str().into()),
                ("version", known.version.into()),
                ("schema", known.schema.clone()),
            ]))
        })
        .collect();
    pretty(&Value::Array(entries)) + "\n"
}

fn write_files(args: &ExportArgs, schemas: &SchemaSet, context: &Context) -> Result<(), Failure> {
    let Some(dir) = &args.to else { return Ok(()) };
    let cannot = |e: std::io::Error| Failure::io(format!("{} cannot be written", dir.display()), &e);
    std::fs::create_dir_all(dir).map_err(cannot)?;
    let mut sink = context.out.many(&["file", "type", "version"]);
    for known in schemas.schemas() {
        let path = dir.join(known.file_name());
        std::fs::write(&path, known.to_json()).map_err(cannot)?;
        sink.push(&record([
            ("file", path.display().to_string().into()),
            ("type", known.event_type.as_str().into()),
            ("version", known.version.into()),
        ]))?;
    }
    sink.finish()
}
