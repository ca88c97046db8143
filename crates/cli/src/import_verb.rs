//! `factum import`: fills a store from a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use factum_core::{Category, EventStore};

use crate::context::Context;
use crate::failure::Failure;
use crate::import::{
    ImportError, ImportPhase, ImportProgress, ImportSummary, NdjsonImport, XesImport, import_ndjson,
    import_xes,
};
use crate::output::record;
use crate::progress::Progress;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum import xes loans.xes.gz --category loan --data DIR
  factum import ndjson backup.ndjson.gz --data DIR
  factum export ndjson --data OLD | factum import ndjson - --data NEW";

const XES_EXAMPLES: &str = "EXAMPLES:
  factum import xes loans.xes.gz --category loan --data DIR
  factum import xes orders.xes --category order --trace-date ORDERED_AT --data DIR
  factum privacy init --data DIR && factum import xes loans.xes.gz --category loan --personal org:resource --data DIR";

const NDJSON_EXAMPLES: &str = "EXAMPLES:
  factum import ndjson backup.ndjson.gz --data DIR
  factum export ndjson --data OLD | factum import ndjson - --data NEW
  factum export ndjson --store URL | factum import ndjson - --keep-times --data NEW";

/// Fill a store from a file; run again, an import adds nothing
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand, Debug)]
enum From {
    Xes(XesArgs),
    Ndjson(NdjsonArgs),
}

/// Import an XES event log (IEEE 1849), one stream per trace, in the order of time
///
/// Each trace becomes the stream CATEGORY-NAME. Its first event holds the trace's attributes; each event of the log
/// follows, with its own time as the occurred time. The whole log is read and checked before anything is written.
/// Run again, the import adds nothing; one that was cut goes on where it stopped.
#[derive(Args, Debug)]
#[command(after_help = XES_EXAMPLES)]
struct XesArgs {
    /// The log, plain or gzip; '-' for stdin
    file: PathBuf,
    /// Category of the streams
    #[arg(long, value_name = "C")]
    category: Category,
    /// Trace attribute that says when a trace began
    #[arg(long, value_name = "KEY", default_value = "REG_DATE")]
    trace_date: String,
    /// Attribute that names a person: its values are sealed, each for the subject that it names; several times for several
    #[arg(long, value_name = "KEY")]
    personal: Vec<String>,
    /// Where temporary files go if the log does not fit in memory [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
}

/// Import events, one JSON object per line, as `factum export ndjson` writes them
///
/// Ids, streams, order, types, versions, tags, data, metadata and occurred times are kept. Run again, the import adds
/// nothing; one that was cut goes on where it stopped. Recorded times are the new log's own: a store that is moved from
/// elsewhere wants --keep-times, so that the past can be asked by time.
#[derive(Args, Debug)]
#[command(after_help = NDJSON_EXAMPLES)]
struct NdjsonArgs {
    /// The events, plain or gzip; '-' for stdin
    file: PathBuf,
    /// Keep when the other log recorded an event, as the time when it happened, where the event says no other
    #[arg(long)]
    keep_times: bool,
}

/// Runs the command.
pub(crate) async fn run(args: ImportArgs, context: &Context) -> Result<(), Failure> {
    match args.from {
        From::Xes(args) => xes(args, context).await,
        From::Ndjson(args) => ndjson(args, context).await,
    }
}

async fn xes(args: XesArgs, context: &Context) -> Result<(), Failure> {
    let (input, bytes) = open(&args.file)?;
    if !args.personal.is_empty()
        && !context.data_if_given().is_some_and(|data| context.vault().is_there(data))
    {
        return Err(Failure::usage(
            "there is nothing that could seal personal data",
            "this store has no vault",
            "`factum privacy init` makes one",
        ));
    }
    let engine = context.open(Access::Create)?;
    let store: Arc<dyn EventStore> = match args.personal.is_empty() {
        true => engine.shared(),
        false => context.with_vault(engine).await?,
    };
    let sort_dir = args.temp_dir.unwrap_or_else(std::env::temp_dir);
    let (trace_date, personal) = (args.trace_date, args.personal);
    let options = XesImport { trace_date, personal, ..XesImport::new(args.category.as_str(), sort_dir) };
    let mut shown = Shown::new(context, bytes);
    let summary = import_xes(&*store, input, &options, &mut |progress| shown.update(progress)).await;
    drop(shown);
    report(context, summary.map_err(|e| failure(&args.file, &e))?)
}

async fn ndjson(args: NdjsonArgs, context: &Context) -> Result<(), Failure> {
    let (input, bytes) = open(&args.file)?;
    let store = context.open(Access::Create)?;
    let mut shown = Shown::new(context, bytes);
    let options = NdjsonImport { keep_times: args.keep_times };
    let summary = import_ndjson(&store, input, options, &mut |progress| shown.update(progress)).await;
    drop(shown);
    report(context, summary.map_err(|e| failure(&args.file, &e))?)
}

/// The input and its length in bytes, 0 where that is not known.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, u64), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), 0));
    }
    let cannot = |e: std::io::Error| Failure::io(format!("{} cannot be read", path.display()), &e);
    let file = File::open(path).map_err(cannot)?;
    let facts = file.metadata().map_err(cannot)?;
    if facts.is_dir() {
        let what = format!("{} cannot be read", path.display());
        return Err(Failure::usage(what, "it is a directory", "give a file, or '-' for stdin"));
    }
    Ok((Box::new(file), facts.len()))
}

/// A bar over the input's bytes, and over events once they are counted.
struct Shown {
    bar: Progress,
    phase: Option<ImportPhase>,
}

impl Shown {
    fn new(context: &Context, bytes: u64) -> Self {
        Self { bar: Progress::bytes(context, bytes), phase: None }
    }

    fn update(&mut self, progress: ImportProgress) {
        let ImportProgress { phase, bytes, events, of_events } = progress;
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.bar.says(match phase {
                ImportPhase::Reading => "reading",
                ImportPhase::Writing => "appending",
            });
            if let (ImportPhase::Writing, Some(all)) = (phase, of_events) {
                self.bar.restart(all);
            }
        }
        self.bar.at(if of_events.is_some() { events } else { bytes });
    }
}

fn failure(path: &Path, error: &ImportError) -> Failure {
    let what = format!("the import of {} stopped", path.display());
    let next = match error {
        ImportError::Malformed { .. } => {
            "mend the file and run the same import again: it goes on where it stopped"
        }
        ImportError::Input { .. } => "run the same import again: it goes on where it stopped",
        ImportError::Invalid { .. }
        | ImportError::Sort { .. }
        | ImportError::StreamDiffers { .. }
        | ImportError::Append { .. }
        | ImportError::Read(_) => "",
    };
    let failure = Failure::of_store(error.kind(), what, error.to_string());
    if next.is_empty() { failure } else { failure.advise(next) }
}

fn report(context: &Context, summary: ImportSummary) -> Result<(), Failure> {
    context.out.one(&record([
        ("traces", summary.traces.into()),
        ("events", summary.events.into()),
        ("new", summary.new.into()),
        ("known", summary.known.into()),
        ("bytes", summary.bytes.into()),
    ]))?;
    context.out.flush()
}
