//! `factum bench`: what this build does on this machine's disk, each figure beside its limit in the same run.

mod account;
mod appends;
mod limits;
mod opening;
mod privacy;
mod projecting;
mod reads;
mod remote;
mod report;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use report::{Report, Row};

const EXAMPLES: &str = "EXAMPLES:
  factum bench                                 # everything, with a million events stored, in the current directory
  factum bench append --data /var/lib/factum   # only appends, on the disk that counts
  factum bench read --events 10000000          # reads, decisions and opening over ten million events
  factum bench project                         # read models: rebuilding, how soon a write is seen, waiting
  factum bench privacy                         # sealing, opening, folding, erasing, rotating
  factum bench remote                          # the server over loopback: appends, reads, subscriptions
  factum bench -o ndjson > figures.ndjson

Each figure stands beside its limit, measured in the same run on the same disk: a loop that writes and syncs the same
bytes, or a copy in memory. Events are 256 bytes of JSON; every append is synced. Scratch files are removed afterwards.";

/// Measure appends, reads, read models and opening, each beside its limit
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(value_enum, default_value_t = Part::All)]
    part: Part,
    /// Events in the store that is read and opened
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..))]
    events: u64,
    /// Streams that they are spread over [default: a tenth of the events]
    #[arg(long)]
    streams: Option<u64>,
    /// Keep the store that was filled, in this directory, and use what an earlier run left there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[arg(long, hide = true)]
    child_open: Option<PathBuf>,
    #[arg(long, hide = true)]
    child_append: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = 1)]
    writers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything
    All,
    /// Appends to a small store
    Append,
    /// Reads, conditional appends, loading and opening of a large store
    Read,
    /// Read models: rebuilding, how soon a write is seen, waiting
    Project,
    /// Personal data: sealing, opening, folding, erasing, rotating
    Privacy,
    /// The server over loopback, in a process of its own
    Remote,
}

type BenchResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs the command.
pub(crate) fn run(args: &BenchArgs, context: &Context) -> Result<(), Failure> {
    let done = match (&args.child_open, &args.child_append) {
        (Some(dir), _) => opening::child_open(dir),
        (_, Some(dir)) => opening::child_append(dir, args.writers),
        _ => measure(args, context),
    };
    done.map_err(|error| {
        Failure::new(
            (Exit::Error, "bench-failed"),
            "the measurement did not come to its end",
            error.to_string(),
            "check that the directory of --data can be written and has room for the events",
        )
    })
}

fn measure(args: &BenchArgs, context: &Context) -> BenchResult<()> {
    let place = context.data().map_or_else(|_| PathBuf::from("."), Path::to_owned);
    std::fs::create_dir_all(&place)?;
    let scratch = tempfile::Builder::new().prefix("factum-bench-").tempdir_in(&place)?;
    let mut report = Report::new(&context.out, scratch.path());
    report.header(|line| context.say(line))?;
    if matches!(args.part, Part::All | Part::Append) {
        context.say("measuring appends ...");
        appends::run(scratch.path(), &mut report)?;
    }
    if matches!(args.part, Part::All | Part::Project) {
        context.say("measuring read models ...");
        projecting::run(scratch.path(), &mut report)?;
    }
    if matches!(args.part, Part::All | Part::Privacy) {
        context.say("measuring personal data ...");
        privacy::run(scratch.path(), &mut report)?;
    }
    if matches!(args.part, Part::All | Part::Remote) {
        context.say("measuring the server ...");
        remote::run(scratch.path(), &mut report)?;
    }
    if matches!(args.part, Part::All | Part::Read) {
        let streams = args.streams.unwrap_or(args.events / 10).clamp(1, args.events);
        let large = args.keep.clone().unwrap_or_else(|| scratch.path().join("large"));
        context.say(&format!("filling a store with {} events in {streams} streams ...", args.events));
        reads::run(&large, (args.events, streams), &mut report)?;
        context.say("killing and opening ...");
        opening::run(&large, &mut report)?;
    }
    report.finish()
}
