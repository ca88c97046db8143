//! `factum backup`: copies a store, checks a copy, puts one back.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use factum_core::EventStore;
use factum_engine::{BackupError, BackupInfo, OsVfs, restore, verify_backup};
use factum_vault::{LedgerCopy, OnRestore};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::privacy::ledger::{read_copy, settle};
use crate::progress::Progress;
use crate::store::{self, Access};

const EXAMPLES: &str = "EXAMPLES:
  factum backup create backups/2026-11-22 --data DIR
  factum backup verify backups/2026-11-22
  factum backup restore backups/2026-11-22 --data NEW";

const CREATE_EXAMPLES: &str = "EXAMPLES:
  factum backup create backups/2026-11-22 --data DIR
  factum backup create /mnt/backup/$(date +%F)";

const VERIFY_EXAMPLES: &str = "EXAMPLES:
  factum backup verify backups/2026-11-22
  factum backup verify backups/2026-11-22 --format '{end}'";

const RESTORE_EXAMPLES: &str = "EXAMPLES:
  factum backup restore backups/2026-11-22 --data NEW
  factum backup restore backups/2026-11-22 --data NEW && factum storage verify --data NEW
  A store with a vault, and the newest copy of its record of erasures:
    factum backup restore backups/2026-11-22 --data NEW --ledger bank.ledger";

/// Copy a store, check a copy, put one back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Create(CreateArgs),
    Verify(VerifyArgs),
    Restore(RestoreArgs),
}

/// Copy everything that is committed to a directory
#[derive(Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
struct CreateArgs {
    /// The backup's directory: empty, or not there yet
    to: PathBuf,
}

/// Check the files of a backup; exits with 8 if one is damaged
#[derive(Args, Debug)]
#[command(after_help = VERIFY_EXAMPLES)]
struct VerifyArgs {
    /// The backup's directory
    backup: PathBuf,
}

/// Make a store of a backup, in the directory that --data names
///
/// That directory must be empty or not there yet. The backup is checked first, and stays as it is. The store begins a
/// new epoch: tokens and checkpoints from after the backup are refused. An event that was redacted after the backup was
/// made is as it was before: redact it again. The vault of a restored store opens once it was told what was erased since:
/// by --ledger, or later by `factum privacy apply-ledger`.
#[derive(Args, Debug)]
#[command(after_help = RESTORE_EXAMPLES)]
struct RestoreArgs {
    /// The backup's directory
    backup: PathBuf,
    /// What `factum privacy ledger` wrote last (- for stdin), or the directory of a newer copy of the store
    #[arg(long, value_name = "FILE|DIR")]
    ledger: Option<String>,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
}

/// Runs the command.
pub(crate) async fn run(args: BackupArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(args) => {
            let bar = Progress::bytes(context, 1);
            bar.says("copying");
            let engine = context.open(Access::Existing)?;
            let made = engine.backup(&args.to, |done, all| bar.of(done, all));
            drop(bar);
            report(context, &made.map_err(failure)?)
        }
        Verb::Verify(args) => {
            let bar = Progress::bytes(context, 1);
            bar.says("checking");
            let checked = verify_backup(&OsVfs, &args.backup);
            drop(bar);
            report(context, &checked.map_err(failure)?)
        }
        Verb::Restore(args) => run_restore(&args, context).await,
    }
}

async fn run_restore(args: &RestoreArgs, context: &Context) -> Result<(), Failure> {
    // What cannot be read is said before anything is written.
    let ledger = match &args.ledger {
        Some(place) => Some(read_copy(place).await?),
        None => None,
    };
    let bar = Progress::bytes(context, 1);
    bar.says("restoring");
    let done = restore(&OsVfs, &args.backup, context.data()?, |done, all| bar.of(done, all));
    drop(bar);
    let info = done.map_err(failure)?;
    context.say(&format!(
        "this store ends at position {}: what was redacted after the backup was made is as it was, and must be redacted again",
        info.end
    ));
    match (&ledger, info.ledger) {
        (Some(ledger), _) => apply(ledger, &args.actor, context).await?,
        (None, Some(end)) => context.say(&format!(
            "its record of erasures has {} events, the last one at position {}: whoever was erased since would be back, so its \
             vault opens after factum privacy apply-ledger",
            end.events, end.last
        )),
        (None, None) => {}
    }
    report(context, &info)
}

/// Completes the record of erasures; carries them out too where the vault is there.
async fn apply(ledger: &LedgerCopy, actor: &str, context: &Context) -> Result<(), Failure> {
    let log: Arc<dyn EventStore> = Arc::new(context.open(Access::Existing)?);
    let applied = ledger.apply(&*log).await?;
    let learned = format!("{} erasures were learned from the ledger", applied.erasures);
    if !context.vault().is_there(context.data()?) {
        context.say(&format!(
            "{learned}; its vault is not there: give the same ledger to factum privacy apply-ledger when it is"
        ));
        return Ok(());
    }
    let carried_out = settle(&log, OnRestore::LedgerApplied { actor: actor.to_owned() }, context).await?;
    context.say(&format!("{learned}, and {carried_out} were carried out in the key store"));
    Ok(())
}

fn report(context: &Context, info: &BackupInfo) -> Result<(), Failure> {
    context.out.one(&record([
        ("store", info.store.to_string().into()),
        ("epoch", info.epoch.into()),
        ("end", info.end.to_string().into()),
        ("segments", info.segments.into()),
        ("bytes", info.bytes.into()),
        ("ledgerEvents", info.ledger.map(|ledger| ledger.events).into()),
        ("ledgerEnd", info.ledger.map(|ledger| ledger.last.to_string()).into()),
    ]))?;
    context.out.flush()
}

fn failure(error: BackupError) -> Failure {
    let why = error.to_string();
    match error {
        BackupError::NotEmpty { .. } => {
            Failure::new((Exit::Refused, "not-empty"), "nothing was copied", why, "choose another directory")
        }
        BackupError::NoBackup { path, .. } => Failure::not_found(
            format!("there is no backup in {}", path.display()),
            why,
            "a backup that was cut off is none: make it again with `factum backup create`",
        ),
        BackupError::Damaged { .. } => Failure::new(
            (Exit::Check, "damaged"),
            "the backup is damaged",
            why,
            "use an older backup; nothing was changed",
        ),
        BackupError::Read(error) => Failure::from(error),
        BackupError::Open(error) => store::failure(&error),
        BackupError::Io { source, .. } => Failure::io("copying stopped", &source).because(why),
    }
}
