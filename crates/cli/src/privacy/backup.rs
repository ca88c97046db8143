//! `factum privacy backup`: a copy of the key store.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy backup /mnt/keys/bank-2026-11-27.sqlite
  factum privacy backup keys.sqlite --vault /srv/keys/bank";

/// Copy the key store to a file, for its own backup; never together with the store's
///
/// The keys in it are wrapped, so it opens with the key-encryption key of its time only: keep it no longer than that lives. A key
/// store put back from it carries out every later erasure of the log before it gives out a key.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// The file: it must not be there yet
    to: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &BackupArgs, context: &Context) -> Result<(), Failure> {
    let mut keys = context.vault().sqlite(context.data()?)?;
    if args.to.exists() {
        let why = format!("'{}' is there, and a backup is never written over", args.to.display());
        return Err(Failure::new(
            (Exit::Refused, "not-empty"),
            "nothing was copied",
            why,
            "name another file",
        ));
    }
    keys.backup_to(&args.to).map_err(|error| Failure::from(error).about("the key store was not copied"))?;
    context.out.one(&record([("file", args.to.display().to_string().into())]))?;
    context.out.flush()
}
