//! `factum privacy receipts`: every erasure, and the receipt of one.

use clap::Args;
use factum_core::EventStore;
use factum_vault::{Erasure, ErasureId, Ledger};
use std::sync::Arc;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Record, pretty, record};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy receipts
  factum privacy receipts 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 > receipt.json";

/// List the erasures, or print the receipt of one; needs no vault
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReceiptsArgs {
    /// The erasure whose signed receipt is printed
    erasure: Option<ErasureId>,
}

/// Runs the command.
pub(super) async fn run(args: &ReceiptsArgs, context: &Context) -> Result<(), Failure> {
    let log: Arc<dyn EventStore> = context.open(Access::Existing)?.shared();
    let ledger = Ledger::read(&*log).await?;
    if let Some(erasure) = args.erasure {
        let receipt = receipt_of(&ledger, erasure)?.to_json();
        let text =
            if context.out.format() == Format::Ndjson { receipt.to_string() } else { pretty(&receipt) };
        context.out.line(&text)?;
        return context.out.flush();
    }
    let columns =
        ["erasure", "subject", "purpose", "requested", "state", "keys", "unacknowledged", "actor", "reason"];
    let mut sink = context.out.many(&columns);
    for line in &ledger.erasures {
        sink.push(&line_of(&ledger, line))?;
    }
    sink.finish()
}

/// An erasure in one line.
pub(super) fn line_of(ledger: &Ledger, line: &Erasure) -> Record {
    record([
        ("erasure", line.fence.erasure.to_string().into()),
        ("subject", line.fence.subject.to_string().into()),
        ("purpose", line.fence.purpose.as_ref().map(ToString::to_string).into()),
        ("requested", line.fence.at.to_string().into()),
        ("state", state(line).into()),
        ("keys", line.receipt.as_ref().map(|receipt| receipt.receipt.keys.len()).into()),
        ("unacknowledged", unacknowledged(ledger, line.fence.erasure).into()),
        ("actor", line.actor.as_str().into()),
        ("reason", line.reason.as_str().into()),
    ])
}

/// The receipt of a complete erasure.
pub(super) fn receipt_of(
    ledger: &Ledger,
    erasure: ErasureId,
) -> Result<&factum_vault::SignedReceipt, Failure> {
    let next = "`factum privacy receipts` lists the erasures";
    let line = ledger.find(erasure).ok_or_else(|| {
        Failure::not_found(format!("there is no erasure {erasure}"), "the log does not know it", next)
    })?;
    line.receipt.as_ref().ok_or_else(|| {
        Failure::not_found(
            format!("erasure {erasure} has no receipt"),
            "it is incomplete: a receipt is written when everything is reached",
            format!("go on with it: factum privacy erase ref:{} --erasure {erasure}", line.fence.subject),
        )
    })
}

/// The sinks that have not said that they forgot it.
pub(super) fn unacknowledged(ledger: &Ledger, erasure: ErasureId) -> Vec<String> {
    ledger.unacknowledged(erasure).into_iter().map(ToString::to_string).collect()
}

fn state(line: &Erasure) -> &'static str {
    match line {
        Erasure { receipt: Some(_), lifted: true, .. } => "complete, new keys allowed",
        Erasure { receipt: Some(_), .. } => "complete",
        Erasure { destroyed: Some(_), .. } => "incomplete: keys destroyed, not everything reached",
        _ => "incomplete",
    }
}
