//! Imports the real loan log into a store on disk, and shows what it comes to at any moment and in read models.

mod bench;
mod employee;
mod serving;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use factum::{DefinitionError, ProjectionError, Projections, Waited, load_at};
use factum_cli::{Files, ImportPhase, ImportProgress, NotDone, VaultArgs, XesImport, import_xes};
use factum_core::read_model::{ReadModelError, ReadModels, Value};
use factum_core::{AsOf, ErrorKind, EventStore, Read, Selector, StreamName, Timestamp};
use factum_engine::{Create, Engine, Options};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use factum_vault::Ledger;
use loans::{CATEGORY, LoanDecider, RESOURCE, audit, decision_times, funnel, summarize, workload};
use serde::Serialize;

/// A real loan book, event-sourced
#[derive(Parser)]
#[command(name = "loans", after_help = EXAMPLES)]
struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
EXAMPLES:
  loans import ../shared/data/bpic2012.xes.gz --data ./loan-book
  loans summary --data ./loan-book --at 2011-12-31T23:59:59+01:00
  loans show 173688 --data ./loan-book --at 2011-10-10T12:00:00+02:00
  loans audit --data ./loan-book
  loans rows funnel --data ./loan-book
  loans rows workload --data ./loan-book --read-models postgres://me:secret@localhost/loans
  loans activities 173688 --data ./loan-book
  loans forget 112 --reason 'request 2026-118' --confirm 112 --data ./loan-book
  loans serve --data ./loan-book
  loans bench --data ./loan-book --times 20

Who did something is personal: it is sealed with a key per employee. The keys are in a vault beside the store; only
`import`, `activities`, `rows workload` and `forget` open it. See also `factum privacy`, which works on the same store.";

#[derive(Subcommand)]
enum Verb {
    /// Import the log, each employee sealed; run again, it adds nothing
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
    /// Bring a read model up to the end of the log and print its rows: one JSON object each
    Rows {
        /// Which read model
        #[arg(value_enum)]
        name: ReadModelName,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where the read models are: a directory (SQLite), or postgres://... [default: read-models in the store's directory]
        #[arg(long, value_name = "DIR|URL")]
        read_models: Option<String>,
    },
    /// Print what was done about one application, and by whom: one JSON object each
    Activities {
        /// The application's number, such as 173688
        number: String,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Forget an employee: destroy the keys, let the read model `workload` forget, print the receipt
    Forget {
        /// The employee's number, such as 112
        employee: String,
        /// Why: a code or a reference. Everybody can read it for ever: no personal data
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The number once more: this cannot be undone
        #[arg(long, value_name = "EMPLOYEE")]
        confirm: String,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where the read models are: a directory (SQLite), or postgres://... [default: read-models in the store's directory]
        #[arg(long, value_name = "DIR|URL")]
        read_models: Option<String>,
    },
    /// Decide every event again and print what the rules say: one JSON object
    Audit {
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Serve the store and its read models to everybody on this machine: KurrentDB's clients, HTTP, the console
    ///
    /// With the vault, `workload` follows too, and employees can be forgotten there. Readers get names sealed.
    Serve {
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where the read models are: a directory (SQLite), or postgres://... [default: read-models in the store's directory]
        #[arg(long, value_name = "DIR|URL")]
        read_models: Option<String>,
        /// Address and port to listen on, of this machine [default: 127.0.0.1:2113, or a free port where that is taken]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Rebuild the funnel over the log many times over, beside what log and SQLite do alone: one JSON object
    Bench {
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// How many times over
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        times: u32,
    },
}

/// The read models of the loan book.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReadModelName {
    /// Of the applications of each week, how many got how far
    Funnel,
    /// How long each application waited between submission and decision
    DecisionTimes,
    /// What each employee did, week by week
    Workload,
}

/// How long `rows` waits until the read model holds the whole log.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What went wrong, in words, and how the program ends. The exit codes are those of `factum`.
struct Failure {
    exit: u8,
    what: String,
}

impl Failure {
    fn new(kind: ErrorKind, what: &impl ToString) -> Self {
        let exit = match kind {
            ErrorKind::Invalid => 2,
            ErrorKind::NotFound | ErrorKind::Deleted => 5,
            ErrorKind::Conflict => 6,
            ErrorKind::Unavailable => 7,
            _ => 1,
        };
        Self { exit, what: what.to_string() }
    }
}

impl From<NotDone> for Failure {
    fn from(error: NotDone) -> Self {
        Self { exit: error.exit_code(), what: error.to_string() }
    }
}

/// A failure of a measurement: whatever it is, it is the run that failed.
fn failed_run(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::Unavailable, &error.to_string())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut runtime = match args.verb {
        // A server has callers.
        Verb::Serve { .. } => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new(ErrorKind::Unavailable, &error)),
    };
    match runtime.block_on(run(args.verb, &args.vault)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    eprintln!("loans: {}", failure.what);
    ExitCode::from(failure.exit)
}

async fn run(verb: Verb, vault: &VaultArgs) -> Result<(), Failure> {
    match verb {
        Verb::Import { file, data } => import(&file, &data, vault).await,
        Verb::Summary { data, at } => {
            let at = at.map(moment).transpose()?;
            let summary = summarize(&open(&data, Create::Never)?, at).await;
            print(&summary.map_err(|error| Failure::new(error.kind(), &error))?)
        }
        Verb::Rows { name, data, read_models } => {
            let place = read_models.unwrap_or_else(|| data.join("read-models").display().to_string());
            let log: Arc<dyn EventStore> = Arc::new(open(&data, Create::Never)?);
            // The other two ask nobody's name: they read the log as it is, sealed.
            let store = match name {
                ReadModelName::Workload => Arc::new(vault.open(&data, log).await?),
                ReadModelName::Funnel | ReadModelName::DecisionTimes => log,
            };
            rows(name, store, &place).await
        }
        Verb::Activities { number, data } => {
            let store = vault.open(&data, Arc::new(open(&data, Create::Never)?)).await?;
            employee::activities(&store, &number).await
        }
        Verb::Forget { employee, reason, confirm, data, read_models } => {
            if confirm != employee {
                let what = "--confirm does not repeat the employee's number: nothing was done";
                return Err(Failure::new(ErrorKind::Invalid, &what));
            }
            let store = vault.open(&data, Arc::new(open(&data, Create::Never)?)).await?;
            let place = read_models.unwrap_or_else(|| data.join("read-models").display().to_string());
            employee::forget(store, &employee, &reason, open_read_models(&place)?).await
        }
        Verb::Serve { data, read_models, listen } => {
            let place = read_models.unwrap_or_else(|| data.join("read-models").display().to_string());
            let engine = open(&data, Create::Never)?;
            let log: Arc<dyn EventStore> = Arc::new(engine.clone());
            let sealing = match Ledger::read(&*log).await {
                Ok(ledger) if ledger.vault.is_none() => None,
                Ok(_) => Some(vault.open(&data, Arc::clone(&log)).await?),
                Err(error) => return Err(Failure::new(error.kind(), &error)),
            };
            let files = Files { engine, dir: data };
            serving::serve(log, files, sealing, open_read_models(&place)?, listen).await
        }
        Verb::Show { number, data, at } => show(&number, &data, at).await,
        Verb::Bench { data, times } => {
            let figures = bench::bench(&data, times).await;
            print(&figures.map_err(|error| failed_run(&error))?)
        }
        Verb::Audit { data } => {
            let found = audit(&open(&data, Create::Never)?).await;
            print(&found.map_err(|error| Failure::new(error.kind(), &error))?)
        }
    }
}

/// Applies the read model to what it has not seen yet, and prints it.
async fn rows(name: ReadModelName, store: Arc<dyn EventStore>, place: &str) -> Result<(), Failure> {
    let read_models = open_read_models(place)?;
    let declared = |error: DefinitionError| Failure::new(ErrorKind::SchemaViolation, &error);
    let read = store.read(Read::forwards(Selector::All).limit(1)).await;
    let end = read.map_err(|error| Failure::new(error.kind(), &error))?.head().snapshot.clone();
    let projections = Projections::open(store, read_models).await;
    let projections = projections.map_err(|error| Failure::new(error.kind(), &error))?;
    let started = match name {
        ReadModelName::Funnel => projections.start(funnel().map_err(declared)?).await,
        ReadModelName::DecisionTimes => projections.start(decision_times().map_err(declared)?).await,
        ReadModelName::Workload => projections.start(workload().map_err(declared)?).await,
    };
    let failed = |error: ProjectionError| Failure::new(error.kind(), &error);
    let handle = started.map_err(failed)?;
    let waited = handle.wait(&end, PATIENCE).await;
    let waited = waited.map_err(|error| Failure::new(ErrorKind::Conflict, &error))?;
    if !matches!(waited, Waited::Ready { .. }) {
        let what = format!("'{}' does not hold the whole log: {waited:?}", handle.name());
        return Err(Failure::new(ErrorKind::Unavailable, &what));
    }
    let query = format!("select * from {} order by 1, 2", handle.name());
    let (rows, _) = handle.query(&query, &[]).map_err(failed)?;
    for row in rows.rows {
        let cells = rows.columns.iter().zip(&row).map(|(column, cell)| (column.clone(), json(cell)));
        print(&cells.collect::<serde_json::Map<_, _>>())?;
    }
    Ok(())
}

fn open_read_models(place: &str) -> Result<Arc<dyn ReadModels>, Failure> {
    let failed = |error: ReadModelError| Failure::new(error.kind(), &error);
    Ok(match place.starts_with("postgres") && place.contains("://") {
        true => Arc::new(PostgresReadModels::open(place).map_err(failed)?),
        false => Arc::new(SqliteReadModels::open(place).map_err(failed)?),
    })
}

fn json(cell: &Value<'_>) -> serde_json::Value {
    match cell {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        other => other.to_string().into(),
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

async fn import(file: &Path, data: &Path, vault: &VaultArgs) -> Result<(), Failure> {
    let failed =
        |error| Failure::new(ErrorKind::NotFound, &format!("cannot read {}: {error}", file.display()));
    let input = File::open(file).map_err(failed)?;
    let size = input.metadata().map_err(failed)?.len();
    let log: Arc<dyn EventStore> = Arc::new(open(data, Create::IfMissing)?);
    let store = vault.open_or_create(data, log).await?;
    let options = XesImport { personal: vec![RESOURCE.to_owned()], ..XesImport::new(CATEGORY, data) };
    let started = Instant::now();
    let mut shown = started;
    let summary = import_xes(&store, input, &options, &mut |progress| {
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
