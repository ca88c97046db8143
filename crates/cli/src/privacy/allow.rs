//! `factum privacy allow`: new keys for a person that was erased.

use clap::Args;
use factum_vault::ErasureId;

use super::{Accounted, open};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy allow 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 --reason 'new contract 17'
  factum privacy allow 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 --reason 'new contract 17' --actor dpo";

/// Allow new keys for a person that was erased: a new lawful relation
///
/// What was destroyed stays so: only what is appended from now on can be read.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct AllowArgs {
    /// The erasure
    erasure: ErasureId,
    #[command(flatten)]
    accounted: Accounted,
}

/// Runs the command.
pub(super) async fn run(args: &AllowArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let Accounted { reason, actor } = &args.accounted;
    let stood = opened.vault.allow_new_keys(&*opened.log, args.erasure, reason, actor).await?;
    if !stood {
        context.say("new keys were allowed before: nothing was changed");
    }
    context
        .out
        .one(&record([("erasure", args.erasure.to_string().into()), ("newKeys", "allowed".into())]))?;
    context.out.flush()
}
