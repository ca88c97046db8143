//! `factum export`: writes a store, or a part of it, to a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use factum_core::{EventStoreExt, Read, Selector};

use crate::context::Context;
use crate::export::{ExportError, ExportProgress, export_ndjson};
use crate::failure::Failure;
use crate::output::record;
use crate::progress::Progress;
use crate::selector::SelectorArgs;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum export ndjson --data DIR > events.ndjson
  factum export ndjson --category order --to orders.ndjson";

/// Write a store, or a part of it, to a file
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    to: To,
}

#[derive(Subcommand, Debug)]
enum To {
    Ndjson(NdjsonArgs),
}

/// Export events, one JSON object per line
///
/// Without a selection, everything: `factum import ndjson` makes the same log of it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct NdjsonArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// The file; it appears under its name when it is complete [default: stdout]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: ExportArgs, context: &Context) -> Result<(), Failure> {
    let To::Ndjson(args) = args.to;
    let selector = args.selector.selector()?.unwrap_or(Selector::All);
    let store = context.open(Access::Existing)?;
    let end = store.head().await?.map_or(0, |event| event.position().0 + 1);
    let bar = Progress::count(context, end);
    bar.says("exporting");
    let read = Read::forwards(selector);
    let Some(path) = &args.to else {
        let mut stdout = context.out.clone();
        let mut shown = |progress: ExportProgress| bar.at(progress.examined_to.0);
        let done = export_ndjson(&store, read, &mut stdout, &mut shown).await;
        return done.map(|_| ()).map_err(|e| failure(&e));
    };
    let partial = partial_name(path);
    let cannot = |e: std::io::Error| Failure::io(format!("{} cannot be written", path.display()), &e);
    let mut file = BufWriter::new(File::create(&partial).map_err(cannot)?);
    let done = export_ndjson(&store, read, &mut file, &mut |progress| bar.at(progress.examined_to.0)).await;
    let finished = match done {
        Ok(done) => file
            .flush()
            .and_then(|()| file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&partial, path))
            .map(|()| done)
            .map_err(cannot),
        Err(error) => Err(failure(&error)),
    };
    drop(bar);
    match finished {
        Ok(done) => {
            context.out.one(&record([("events", done.events.into()), ("bytes", done.bytes.into())]))?;
            context.out.flush()
        }
        Err(error) => {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn failure(error: &ExportError) -> Failure {
    match error {
        ExportError::Output { source, .. } => Failure::io("writing the export failed", source),
        ExportError::Read(source) => Failure::from(source.clone()),
    }
}
