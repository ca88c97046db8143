//! `factum storage`: the state of a store on disk, whether it is whole, and how bytes are given back.

use clap::{Args, Subcommand};
use factum_engine::{OsVfs, ScavengeMode, Scavenged, verify};
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Record, record};
use crate::progress::Progress;
use crate::store::{self, Access};

const EXAMPLES: &str = "EXAMPLES:
  factum storage info --data DIR
  factum storage verify --data DIR
  factum storage scavenge --dry-run";

const INFO_EXAMPLES: &str = "EXAMPLES:
  factum storage info
  factum storage info --format '{end} {logBytes}'";

const VERIFY_EXAMPLES: &str = "EXAMPLES:
  factum storage verify
  factum storage verify --format '{root}'";

const SCAVENGE_EXAMPLES: &str = "EXAMPLES:
  factum storage scavenge --dry-run
  factum storage scavenge --yes";

/// Look after a store on disk
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StorageArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Info(InfoArgs),
    Verify(VerifyArgs),
    Scavenge(ScavengeArgs),
}

/// Show numbers about a store
#[derive(Args, Debug)]
#[command(after_help = INFO_EXAMPLES)]
struct InfoArgs {}

/// Walk everything that a store holds; exits with 8 and names each place if something is damaged
///
/// Nothing is changed. The root stands for the whole history: equal roots, equal histories.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_EXAMPLES)]
struct VerifyArgs {}

/// Give back the bytes of events that deletes and truncation have hidden
///
/// Positions and revisions stay as they are. What was given back cannot be brought back.
#[derive(Args, Debug)]
#[command(after_help = SCAVENGE_EXAMPLES)]
struct ScavengeArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would happen; exits with 8 if there is something
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(args: StorageArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Info(_) => info(context),
        Verb::Verify(_) => verify_store(context),
        Verb::Scavenge(args) => scavenge(&args, context),
    }
}

fn info(context: &Context) -> Result<(), Failure> {
    let info = context.engine(Access::Existing)?.info();
    let text = |text: Option<String>| text.map_or(Value::Null, Value::from);
    let mut fields = record([
        ("data", context.data()?.display().to_string().into()),
        ("store", info.store.to_string().into()),
        ("epoch", info.epoch.into()),
        ("format", info.format.into()),
        ("created", info.created_at.to_string().into()),
        ("end", info.end.to_string().into()),
        ("segments", info.segments.into()),
        ("logBytes", info.log_bytes.into()),
        ("indexLayers", info.index_layers.into()),
        ("indexMemoryBytes", info.index_memory_bytes.into()),
        ("recovered", text(info.recovered)),
        ("upkeepFailure", text(info.upkeep_failure)),
        ("redactionFailure", text(info.redaction_failure)),
    ]);
    fields.retain(|_, value| !value.is_null());
    context.out.one(&fields)?;
    context.out.flush()
}

fn verify_store(context: &Context) -> Result<(), Failure> {
    let bar = Progress::bytes(context, 1);
    bar.says("verifying");
    let verified = verify(context.data()?, &OsVfs, |done, all| bar.of(done, all));
    drop(bar);
    let verified = verified.map_err(|e| store::failure(&e))?;
    let damage: Vec<Record> = verified
        .damage
        .iter()
        .map(|damage| {
            record([
                ("place", damage.place.as_str().into()),
                ("what", damage.what.as_str().into()),
                ("rebuiltOnOpen", damage.rebuilt_on_open.into()),
            ])
        })
        .collect();
    let mut fields = record([
        ("store", verified.store.to_string().into()),
        ("end", verified.end.to_string().into()),
        ("events", verified.events.into()),
        ("removed", verified.removed.into()),
        ("redacted", verified.redacted.into()),
        ("segments", verified.segments.into()),
        ("bytes", verified.bytes.into()),
        ("root", verified.root_hex().into()),
        ("tornTail", verified.torn_tail.clone().map_or(Value::Null, Value::from)),
    ]);
    fields.retain(|_, value| !value.is_null());
    let count = damage.len();
    if context.out.format() == Format::Table {
        for place in &verified.damage {
            context.say(&format!("damaged: {}: {}", place.place, place.what));
        }
        fields.insert("damaged".to_owned(), count.into());
    } else {
        fields.insert("damage".to_owned(), damage.into_iter().map(Value::Object).collect());
    }
    context.out.one(&fields)?;
    context.out.flush()?;
    let Some(first) = verified.damage.first() else { return Ok(()) };
    let lost = verified.damage.iter().any(|damage| !damage.rebuilt_on_open);
    Err(Failure::new(
        (Exit::Check, "damaged"),
        format!("{count} damaged places"),
        format!("first {}: {}", first.place, first.what),
        if lost {
            "keep the directory as it is, and `factum backup restore` the last good backup to another one"
        } else {
            "open the store once, for example with `factum storage info`: these files are rebuilt"
        },
    ))
}

fn scavenge(args: &ScavengeArgs, context: &Context) -> Result<(), Failure> {
    let engine = context.engine(Access::Existing)?;
    let run = |mode, what| {
        let bar = Progress::count(context, 1);
        bar.says(what);
        let done = engine.scavenge(mode, |done, all| bar.of(done, all));
        done.map_err(|e| Failure::from(e).about("the scavenge stopped"))
    };
    let estimate = run(ScavengeMode::Estimate, "estimating")?;
    let what = format!(
        "removes {} events and gives back {} bytes in {} of {} sealed segments",
        estimate.events, estimate.bytes, estimate.rewritten, estimate.segments
    );
    if estimate.events == 0 {
        return report(context, estimate);
    }
    if args.dry_run {
        report(context, estimate)?;
        return Err(context.dry_run(&what));
    }
    context.confirm(&what, args.yes)?;
    report(context, run(ScavengeMode::Reclaim, "scavenging")?)
}

fn report(context: &Context, scavenged: Scavenged) -> Result<(), Failure> {
    context.out.one(&record([
        ("segments", scavenged.segments.into()),
        ("rewritten", scavenged.rewritten.into()),
        ("events", scavenged.events.into()),
        ("bytes", scavenged.bytes.into()),
    ]))?;
    context.out.flush()
}
