//! `factum privacy backup`: a copy of the key store.

use std::path::PathBuf;

use clap::Args;
use factum_core::{Clock, SystemClock};
use factum_vault::{KeyStore, Watermark};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy backup /mnt/keys/bank-2026-11-27.sqlite
  factum privacy backup keys.sqlite --vault /srv/keys/bank";

/// Version of the manifest beside a copy.
const MANIFEST_VERSION: u64 = 1;

/// Copy the key store to a file, for its own backup; never together with the store's
///
/// Beside it, in FILE.json, is whose it is, how many erasures it knows and which key-encryption key opens it.
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
    let mut manifest = args.to.clone().into_os_string();
    manifest.push(".json");
    if let Some(there) = [&args.to, &PathBuf::from(&manifest)].into_iter().find(|path| path.exists()) {
        let why = format!("'{}' is there, and a backup is never written over", there.display());
        return Err(Failure::new(
            (Exit::Refused, "not-empty"),
            "nothing was copied",
            why,
            "name another file",
        ));
    }
    // First how far it knows, then the copy, which may know more.
    let told = describe(&mut keys)?;
    keys.backup_to(&args.to).map_err(|error| Failure::from(error).about("the key store was not copied"))?;
    // Last: a copy without it was not finished.
    std::fs::write(&manifest, format!("{told:#}\n"))
        .map_err(|error| Failure::io("the copy's manifest was not written", &error))?;
    context.out.one(&record([
        ("file", args.to.display().to_string().into()),
        ("erasures", told["ledger"]["erasures"].clone()),
        ("kekEpoch", told["kekEpoch"].clone()),
    ]))?;
    context.out.flush()
}

fn describe(keys: &mut impl KeyStore) -> Result<Value, Failure> {
    let identity = keys.identity()?;
    let end = keys.watermark()?;
    let last = keys.ledger(Watermark(end.0.saturating_sub(1)), 1)?;
    Ok(json!({
        "factumKeyStoreBackup": MANIFEST_VERSION,
        "vault": identity.as_ref().map(|identity| identity.vault.to_string()),
        "log": identity.as_ref().map(|identity| identity.log.to_string()),
        "tenant": identity.as_ref().map(|identity| identity.tenant.as_str()),
        "kekEpoch": identity.as_ref().map(|identity| identity.epoch.0),
        "made": SystemClock.now().to_string(),
        "ledger": { "erasures": end.0, "last": last.first().map(|entry| entry.fence.erasure.to_string()) },
    }))
}
