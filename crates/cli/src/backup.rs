//! `factum backup`: copies a store, checks a copy, puts one back.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use factum_engine::{BackupError, BackupInfo, OsVfs, restore, verify_backup};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
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
  factum backup restore backups/2026-11-22 --data NEW && factum storage verify --data NEW";

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
/// made is as it was before: redact it again.
#[derive(Args, Debug)]
#[command(after_help = RESTORE_EXAMPLES)]
struct RestoreArgs {
    /// The backup's directory
    backup: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: BackupArgs, context: &Context) -> Result<(), Failure> {
    let bar = Progress::bytes(context, 1);
    let restores = matches!(args.verb, Verb::Restore(_));
    let done = match args.verb {
        Verb::Create(args) => {
            bar.says("copying");
            let engine = context.engine(Access::Existing)?;
            engine.backup(&args.to, |done, all| bar.of(done, all))
        }
        Verb::Verify(args) => {
            bar.says("checking");
            verify_backup(&OsVfs, &args.backup)
        }
        Verb::Restore(args) => {
            bar.says("restoring");
            restore(&OsVfs, &args.backup, context.data()?, |done, all| bar.of(done, all))
        }
    };
    drop(bar);
    let info = done.map_err(failure)?;
    if restores {
        context.say(&format!(
            "this store ends at position {}: what was redacted after the backup was made is as it was, and must be redacted \
             again",
            info.end
        ));
    }
    report(context, &info)
}

fn report(context: &Context, info: &BackupInfo) -> Result<(), Failure> {
    context.out.one(&record([
        ("store", info.store.to_string().into()),
        ("epoch", info.epoch.into()),
        ("end", info.end.to_string().into()),
        ("segments", info.segments.into()),
        ("bytes", info.bytes.into()),
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
