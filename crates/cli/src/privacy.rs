//! `factum privacy`: what is kept of a person, and how it is forgotten.

mod allow;
mod backup;
mod check;
pub(crate) mod desk;
mod erase;
mod expire;
mod export;
mod hold;
mod init;
pub(crate) mod ledger;
mod lint;
mod receipts;
mod rotate;
mod show;
mod sinks;
mod verify;

use std::sync::Arc;

use clap::{Args, Subcommand};
use factum_core::EventStore;
use factum_vault::{KeyVault, Purpose, Subject, SubjectRef};

use crate::context::Context;
use crate::failure::Failure;
use crate::store::Access;
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy show customer-17
  factum privacy erase customer-17 --reason 'request 2026-118' --dry-run
  factum privacy receipts
  factum privacy check

Secrets of key providers (a token, a PIN) are read from the environment: FACTUM_KEK_SECRET_FILE names
a file, FACTUM_KEK_SECRET holds the secret itself, FACTUM_KEK_CA_FILE names the certificate to trust.";

/// Show, export and erase what is kept of a person; look after the keys
///
/// Personal fields are sealed with a key per person before they are appended. The keys are in a vault beside the store; erasing
/// a person destroys the keys and leaves a signed receipt. The log itself is never changed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PrivacyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Init(init::InitArgs),
    Show(show::ShowArgs),
    Export(export::ExportArgs),
    Erase(erase::EraseArgs),
    Receipts(receipts::ReceiptsArgs),
    Verify(verify::VerifyArgs),
    Allow(allow::AllowArgs),
    Expire(expire::ExpireArgs),
    Rotate(rotate::RotateArgs),
    Check(check::CheckArgs),
    Backup(backup::BackupArgs),
    Hold(hold::HoldArgs),
    Release(hold::ReleaseArgs),
    Holds(hold::HoldsArgs),
    Sinks(sinks::SinksArgs),
    Ack(sinks::AckArgs),
    Ledger(ledger::LedgerArgs),
    ApplyLedger(ledger::ApplyLedgerArgs),
}

/// Runs the command.
pub(crate) async fn run(args: PrivacyArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Init(_) => init::run(context).await,
        Verb::Show(args) => show::run(&args, context).await,
        Verb::Export(args) => export::run(&args, context).await,
        Verb::Erase(args) => erase::run(&args, context).await,
        Verb::Receipts(args) => receipts::run(&args, context).await,
        Verb::Verify(args) => verify::run(&args, context).await,
        Verb::Allow(args) => allow::run(&args, context).await,
        Verb::Expire(args) => expire::run(&args, context).await,
        Verb::Rotate(args) => rotate::run(&args, context).await,
        Verb::Check(args) => check::run(&args, context).await,
        Verb::Backup(args) => backup::run(&args, context),
        Verb::Hold(args) => hold::hold(&args, context).await,
        Verb::Release(args) => hold::release(&args, context).await,
        Verb::Holds(_) => hold::list(context).await,
        Verb::Sinks(args) => sinks::run(&args, context).await,
        Verb::Ack(args) => sinks::acknowledge(&args, context).await,
        Verb::Ledger(_) => ledger::write(context).await,
        Verb::ApplyLedger(args) => ledger::apply(&args, context).await,
    }
}

/// The log and its vault.
#[derive(Clone)]
struct Opened {
    log: Arc<dyn EventStore>,
    vault: KeyVault,
}

async fn open(context: &Context) -> Result<Opened, Failure> {
    let log: Arc<dyn EventStore> = context.open(Access::Existing)?.shared();
    let vault = context.open_vault(&log, Want::Existing).await?;
    Ok(Opened { log, vault })
}

/// A person, as people name it.
#[derive(Args, Debug)]
struct PersonArgs {
    /// The subject's id as the application knows it, or ref:HEX as receipts name it
    #[arg(value_name = "SUBJECT")]
    subject: String,
}

/// A person, or what is kept of it for one purpose.
#[derive(Args, Debug)]
struct SubjectArgs {
    #[command(flatten)]
    person: PersonArgs,
    /// Only what is kept for this purpose
    #[arg(long, value_name = "NAME")]
    purpose: Option<String>,
}

impl PersonArgs {
    fn subject_ref(&self, vault: &KeyVault) -> Result<SubjectRef, Failure> {
        subject_ref(&self.subject, vault)
    }
}

/// The subject that people name so.
fn subject_ref(text: &str, vault: &KeyVault) -> Result<SubjectRef, Failure> {
    let wrong = |why: String| Failure::usage("that names no subject", why, "");
    match text.strip_prefix("ref:") {
        Some(hex) => hex.parse().map_err(|error: factum_vault::InvalidName| wrong(error.to_string())),
        None => {
            let subject = Subject::new(text).map_err(|error| wrong(error.to_string()))?;
            Ok(vault.subject_ref(&subject))
        }
    }
}

impl SubjectArgs {
    fn subject_ref(&self, vault: &KeyVault) -> Result<SubjectRef, Failure> {
        self.person.subject_ref(vault)
    }

    fn purpose(&self) -> Result<Option<Purpose>, Failure> {
        let purpose = self.purpose.as_deref().map(Purpose::new).transpose();
        purpose.map_err(|error| Failure::usage("that names no purpose", error.to_string(), ""))
    }
}

/// Who does it and why: both stay in the log for ever.
#[derive(Args, Debug)]
struct Accounted {
    /// Why: a code or a reference. Everybody can read it for ever: no personal data
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
}
