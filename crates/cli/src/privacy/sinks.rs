//! `factum privacy sinks` and `ack`: who was handed personal data in clear, and who has forgotten it.

use std::sync::Arc;

use clap::{Args, Subcommand};
use factum_core::EventStore;
use factum_vault::{ErasureId, Ledger, SinkName};

use super::open;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy sinks add newsletter --note 'mail house, told by dpo@ every Monday'
  factum privacy sinks ls
  factum privacy sinks rm newsletter";

const LS_EXAMPLES: &str = "EXAMPLES:
  factum privacy sinks ls
  factum privacy sinks ls -o json";

const ADD_EXAMPLES: &str = "EXAMPLES:
  factum privacy sinks add newsletter --note 'mail house, told by dpo@ every Monday'
  factum privacy sinks add warehouse";

const RM_EXAMPLES: &str = "EXAMPLES:
  factum privacy sinks rm newsletter
  factum privacy sinks rm warehouse --actor dpo";

const ACK_EXAMPLES: &str = "EXAMPLES:
  factum privacy ack 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 newsletter
  factum privacy receipts --format '{erasure} {unacknowledged}'";

/// Name the consumers outside that are handed personal data in clear; receipts list them
///
/// A sink is whatever gets opened events or values: a mailing list, a search index, a warehouse. Nothing calls back what it was
/// handed, so each receipt says whether it has acknowledged the erasure. `factum privacy export` enters whoever got one.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct SinksArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List them; needs no vault
    #[command(after_help = LS_EXAMPLES)]
    Ls,
    /// Say that a consumer may have everybody's data
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// Its name: letters, digits, '-', '_' and '.'
        name: SinkName,
        /// What it is, and who tells it. Everybody can read it for ever: no personal data
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Say that it has nothing any more, and is handed nothing
    #[command(after_help = RM_EXAMPLES)]
    Rm {
        /// Its name
        name: SinkName,
        /// Who does it
        #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
        actor: String,
    },
}

/// Say that a sink has forgotten what an erasure erased
///
/// It stays in the log, signed. A receipt that was written before is not changed: `factum privacy receipts` and `verify` show who has
/// acknowledged since.
#[derive(Args, Debug)]
#[command(after_help = ACK_EXAMPLES)]
pub(super) struct AckArgs {
    /// The erasure
    erasure: ErasureId,
    /// The sink
    sink: SinkName,
    /// Who says so for it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
}

/// Runs `sinks`.
pub(super) async fn run(args: &SinksArgs, context: &Context) -> Result<(), Failure> {
    match &args.verb {
        Verb::Ls => list(context).await,
        Verb::Add { name, note } => {
            let opened = open(context).await?;
            let new = opened.vault.add_sink(&*opened.log, name, None, note).await?;
            report(context, name, if new { "added" } else { "was there" })
        }
        Verb::Rm { name, actor } => {
            let opened = open(context).await?;
            if !opened.vault.remove_sink(&*opened.log, name, actor).await? {
                let next = "`factum privacy sinks ls` lists them";
                return Err(Failure::not_found(
                    format!("there is no sink '{name}'"),
                    "the log names none",
                    next,
                ));
            }
            report(context, name, "removed")
        }
    }
}

/// Runs `ack`.
pub(super) async fn acknowledge(args: &AckArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let AckArgs { erasure, sink, actor } = args;
    let new = opened.vault.acknowledge(&*opened.log, *erasure, sink, actor).await?;
    report(context, sink, if new { "acknowledged" } else { "had acknowledged" })
}

fn report(context: &Context, name: &SinkName, state: &str) -> Result<(), Failure> {
    context.out.one(&record([("sink", name.as_str().into()), ("state", state.into())]))?;
    context.out.flush()
}

async fn list(context: &Context) -> Result<(), Failure> {
    let log: Arc<dyn EventStore> = Arc::new(context.open(Access::Existing)?);
    let ledger = Ledger::read(&*log).await?;
    let mut out = context.out.many(&["sink", "subject", "since", "note"]);
    for sink in &ledger.sinks {
        out.push(&record([
            ("sink", sink.name.as_str().into()),
            ("subject", sink.subject.map(|subject| format!("ref:{subject}")).into()),
            ("since", sink.since.to_string().into()),
            ("note", sink.note.as_str().into()),
        ]))?;
    }
    out.finish()
}
