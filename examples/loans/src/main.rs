//! Imports the real loan log into a store on disk, and shows what it comes to at any moment.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use factum::load_at;
use factum_cli::{ImportPhase, ImportProgress, XesImport, import_xes};
use factum_core::{AsOf, ErrorKind, StreamName, Timestamp};
use factum_engine::{Create, Engine, Options};
use loans::{CATEGORY, LoanDecider, audit, summarize};
use serde::Serialize;

/// A real loan book, event-sourced
#[derive(Parser)]
#[command(name = "loans", after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
EXAMPLES:
  loans import ../shared/data/bpic2012.xes.gz --data ./loan-book
  loans summary --data ./loan-book --at 2011-12-31T23:59:59+01:00
  loans show 173688 --data ./loan-book --at 2011-10-10T12:00:00+02:00
  loans audit --data ./loan-book";

#[derive(Subcommand)]
enum Verb {
    /// Import the log; run again, it adds nothing
    Import {
        /// The event log: XES, gzip or plain
        file: PathBuf,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print the loan book in numbers: one JSON object
    Summary {
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// As of this moment (RFC 3339); without it, everything that is recorded
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Print one application's state: one JSON object
    Show {
        /// The application's number, such as 173688
        number: String,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// As of this moment (RFC 3339); without it, now
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Decide every event again and print what the rules say: one JSON object
    Audit {
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// What went wrong, in words, and of which kind.
struct Failure {
    kind: ErrorKind,
    what: String,
}

impl Failure {
    fn new(kind: ErrorKind, what: &impl ToString) -> Self {
        Self { kind, what: what.to_string() }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new(ErrorKind::Unavailable, &error)),
    };
    match runtime.block_on(run(args.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// The exit codes are those of `factum`.
fn report(failure: &Failure) -> ExitCode {
    eprintln!("loans: {}", failure.what);
    ExitCode::from(match failure.kind {
        ErrorKind::Invalid => 2,
        ErrorKind::NotFound | ErrorKind::Deleted => 5,
        ErrorKind::Conflict => 6,
        ErrorKind::Unavailable => 7,
        _ => 1,
    })
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Import { file, data } => import(&file, &data).await,
        Verb::Summary { data, at } => {
            let at = at.map(moment).transpose()?;
            let summary = summarize(&open(&data, Create::Never)?, at).await;
            print(&summary.map_err(|error| Failure::new(error.kind(), &error))?)
        }
        Verb::Show { number, data, at } => show(&number, &data, at).await,
        Verb::Audit { data } => {
            let found = audit(&open(&data, Create::Never)?).await;
            print(&found.map_err(|error| Failure::new(error.kind(), &error))?)
        }
    }
}

fn open(data: &Path, create: Create) -> Result<Engine, Failure> {
    let options = Options { create, ..Options::default() };
    Engine::open(data, options).map_err(|error| Failure::new(error.kind(), &error))
}

fn moment(text: String) -> Result<(String, Timestamp), Failure> {
    let time = Timestamp::parse(&text).map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    Ok((text, time))
}

fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    // A reader that has gone away wants no more: that is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

async fn import(file: &Path, data: &Path) -> Result<(), Failure> {
    let failed =
        |error| Failure::new(ErrorKind::NotFound, &format!("cannot read {}: {error}", file.display()));
    let input = File::open(file).map_err(failed)?;
    let size = input.metadata().map_err(failed)?.len();
    let store = open(data, Create::IfMissing)?;
    let started = Instant::now();
    let mut shown = started;
    let summary = import_xes(&store, input, &XesImport::new(CATEGORY, data), &mut |progress| {
        if std::io::stderr().is_terminal() && shown.elapsed().as_millis() > 200 {
            shown = Instant::now();
            show_progress(progress, size);
        }
    })
    .await
    .map_err(|error| Failure::new(error.kind(), &format!("{}: {error}", file.display())))?;
    if shown != started {
        eprint!("\r\x1b[K");
    }
    eprintln!(
        "{} applications, {} events: {} new, {} there already, in {:.1} s",
        summary.traces,
        summary.events,
        summary.new,
        summary.known,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn show_progress(progress: ImportProgress, size: u64) {
    let (doing, done, of) = match progress.phase {
        ImportPhase::Reading => ("reading", progress.bytes, size),
        ImportPhase::Writing => ("writing", progress.events, progress.of_events.unwrap_or(progress.events)),
    };
    eprint!("\r\x1b[K{doing} {} %, {} events", done * 100 / of.max(1), progress.events);
}

/// An application's state, and the moment that it is shown at.
#[derive(Serialize)]
struct Shown<'a> {
    at: Option<String>,
    #[serde(flatten)]
    application: loans::ApplicationView<'a>,
}

async fn show(number: &str, data: &Path, at: Option<String>) -> Result<(), Failure> {
    let (text, time) = at.map(moment).transpose()?.unzip();
    let stream = StreamName::new(format!("{CATEGORY}-{number}"))
        .map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    let store = open(data, Create::Never)?;
    let replayed = load_at(&store, &LoanDecider, &stream, time.map_or(AsOf::Now, AsOf::Occurred))
        .await
        .map_err(|error| Failure::new(error.kind(), &error))?;
    if replayed.state.number.is_none() {
        let when = text.map(|at| format!(" at {at}")).unwrap_or_default();
        let what = format!("application {number} is not registered{when}: check the number and --at");
        return Err(Failure::new(ErrorKind::NotFound, &what));
    }
    print(&Shown { at: text, application: replayed.state.view() })
}
