//! `factum privacy ledger` and `apply-ledger`: the record of erasures, kept outside the log for the day it is restored.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use factum_core::EventStore;
use factum_vault::{KeyVault, LedgerApplied, LedgerCopy, LedgerCopyError, OnRestore, VaultOptions};

use crate::context::{Context, argument_text};
use crate::failure::{Exit, Failure, of_kind};
use crate::output::record;
use crate::store::{self, Access};
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  After each erasure, to a place that is not backed up together with the store:
    factum privacy ledger > /mnt/elsewhere/bank.ledger
    factum privacy ledger --data bank | ssh archive 'cat > bank.ledger'";

const APPLY_EXAMPLES: &str = "EXAMPLES:
  A restored store, and the newest copy of its record of erasures:
    factum privacy apply-ledger /mnt/elsewhere/bank.ledger --data restored
  The same, from a newer copy of the store:
    factum privacy apply-ledger bank --data restored
  There is no copy, and nothing was erased since:
    factum privacy apply-ledger --accept-resurrection --reason 'disk lost on 2026-11-27, no erasures since the backup'";

/// Write the record of erasures, for a place of its own; needs no vault
///
/// It holds what the vault signed: references of subjects, reasons and receipts, no keys and no values. A store that is restored
/// from a backup needs the newest one: see `factum privacy apply-ledger`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct LedgerArgs {}

/// Complete the record of erasures of a restored store, and carry out what is missing; then its vault opens
///
/// A store that was put back from a backup, or that knows fewer erasures than its key store, gives out no personal data: whoever was
/// erased since the backup would be back. Each line of the copy is checked against the vault's signature.
#[derive(Args, Debug)]
#[command(after_help = APPLY_EXAMPLES)]
pub(super) struct ApplyLedgerArgs {
    /// What `factum privacy ledger` wrote (- for stdin), or the directory of a newer copy of the store
    #[arg(value_name = "FILE|DIR", required_unless_present = "accept_resurrection")]
    ledger: Option<String>,
    /// Take the store as it is, though nobody knows what was erased since; recorded in it for ever
    #[arg(long, requires = "reason")]
    accept_resurrection: bool,
    /// Why it is taken as it is. Everybody can read it for ever: no personal data
    #[arg(long, value_name = "TEXT", requires = "accept_resurrection")]
    reason: Option<String>,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
}

/// Runs `ledger`.
pub(super) async fn write(context: &Context) -> Result<(), Failure> {
    let log = context.open(Access::Existing)?;
    let copy = LedgerCopy::of(&log).await?.ok_or_else(|| no_vault("there is no record to write"))?;
    for line in copy.lines() {
        context.out.line(&line)?;
    }
    context.out.flush()
}

/// Runs `apply-ledger`.
pub(super) async fn apply(args: &ApplyLedgerArgs, context: &Context) -> Result<(), Failure> {
    let copy = match &args.ledger {
        Some(place) => Some(read_copy(place).await?),
        None => None,
    };
    let log: Arc<dyn EventStore> = Arc::new(context.open(Access::Existing)?);
    let applied = match &copy {
        Some(copy) => copy.apply(&*log).await?,
        None => LedgerApplied { events: 0, added: 0, erasures: 0 },
    };
    let actor = args.actor.clone();
    let restored = match &args.reason {
        Some(reason) => OnRestore::AcceptResurrection { reason: reason.clone(), actor },
        None => OnRestore::LedgerApplied { actor },
    };
    let reapplied = settle(&log, restored, context).await?;
    context.out.one(&record([
        ("events", applied.events.into()),
        ("added", applied.added.into()),
        ("erasuresLearned", applied.erasures.into()),
        ("erasuresCarriedOut", reapplied.into()),
    ]))?;
    context.out.flush()
}

/// A copy that was written to a file, or that of a newer store.
pub(crate) async fn read_copy(place: &str) -> Result<LedgerCopy, Failure> {
    if Path::new(place).is_dir() {
        let newer = store::open(Path::new(place), Access::Existing)?;
        let copy = LedgerCopy::of(&newer).await?;
        return copy.ok_or_else(|| no_vault("that store has no record of erasures"));
    }
    let text = match place {
        "-" => argument_text("the ledger", "-")?,
        file => argument_text("the ledger", &format!("@{file}"))?,
    };
    Ok(LedgerCopy::parse(&text)?)
}

/// Opens the vault of a restored log, so that every erasure is carried out and the log may be served. Says how many were.
pub(crate) async fn settle(
    log: &Arc<dyn EventStore>,
    restored: OnRestore,
    context: &Context,
) -> Result<u64, Failure> {
    let options = context.vault().options_for(context.data()?, &**log, Want::Existing).await?;
    let (_, opened) = KeyVault::open(VaultOptions { restored, ..options }, &**log).await?;
    Ok(opened.reapplied)
}

fn no_vault(what: &str) -> Failure {
    Failure::not_found(what, "this store has no vault", "`factum privacy init` makes one")
}

impl From<LedgerCopyError> for Failure {
    fn from(error: LedgerCopyError) -> Self {
        match error {
            LedgerCopyError::Vault(error) => error.into(),
            LedgerCopyError::NotGenuine { .. } | LedgerCopyError::NotTaken { .. } => {
                Self::new((Exit::Check, "ledger"), "the ledger was not applied", error.to_string(), "")
            }
            error => Self::new(of_kind(error.kind()), "the ledger was not applied", error.to_string(), ""),
        }
    }
}
