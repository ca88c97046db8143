//! `factum privacy hold`, `release` and `holds`: whose data must be kept.

use std::sync::Arc;

use clap::Args;
use factum_core::EventStore;
use factum_vault::Ledger;

use super::{Accounted, PersonArgs, open};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const HOLD_EXAMPLES: &str = "EXAMPLES:
  factum privacy hold customer-17 --reason 'case 2026-7'
  factum privacy hold ref:1f0c9a7be2d4566f8a3b1c2d3e4f5061 --reason 'case 2026-7' --actor legal";

const RELEASE_EXAMPLES: &str = "EXAMPLES:
  factum privacy release customer-17 --reason 'case 2026-7 is closed'
  factum privacy holds --format '{subject} {reason}'";

const HOLDS_EXAMPLES: &str = "EXAMPLES:
  factum privacy holds
  factum privacy holds -o json";

/// Keep a person from being erased, as for a lawsuit; nothing of it expires either
///
/// A person whose erasure is under way cannot be held any more.
#[derive(Args, Debug)]
#[command(after_help = HOLD_EXAMPLES)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    accounted: Accounted,
}

/// Let a person be erased again that was held
#[derive(Args, Debug)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    accounted: Accounted,
}

/// List who is held; needs no vault
#[derive(Args, Debug)]
#[command(after_help = HOLDS_EXAMPLES)]
pub(super) struct HoldsArgs {}

/// Runs `hold`.
pub(super) async fn hold(args: &HoldArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let subject = args.person.subject_ref(&opened.vault)?;
    let Accounted { reason, actor } = &args.accounted;
    let new = opened.vault.hold(&*opened.log, subject, reason, actor).await?;
    report(context, &subject.to_string(), if new { "held" } else { "was held" })
}

/// Runs `release`.
pub(super) async fn release(args: &ReleaseArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let subject = args.person.subject_ref(&opened.vault)?;
    let Accounted { reason, actor } = &args.accounted;
    if !opened.vault.release_hold(&*opened.log, subject, reason, actor).await? {
        let next = "`factum privacy holds` lists who is";
        return Err(Failure::not_found(format!("subject ref:{subject} is not held"), "", next));
    }
    report(context, &subject.to_string(), "released")
}

fn report(context: &Context, subject: &str, state: &str) -> Result<(), Failure> {
    context.out.one(&record([("subject", subject.into()), ("state", state.into())]))?;
    context.out.flush()
}

/// Runs `holds`.
pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let log: Arc<dyn EventStore> = Arc::new(context.open(Access::Existing)?);
    let mut out = context.out.many(&["subject", "since", "actor", "reason"]);
    for hold in &Ledger::read(&*log).await?.holds {
        out.push(&record([
            ("subject", format!("ref:{}", hold.subject).into()),
            ("since", hold.since.to_string().into()),
            ("actor", hold.actor.as_str().into()),
            ("reason", hold.reason.as_str().into()),
        ]))?;
    }
    out.finish()
}
