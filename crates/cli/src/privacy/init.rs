//! `factum privacy init`: a vault for a store that has none.

use std::sync::Arc;

use clap::Args;
use factum_core::EventStore;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy init --data bank
  factum privacy init --data bank --vault /srv/keys/bank --kek file:/etc/factum/bank.kek
  factum privacy init --data bank --kek openbao:http://127.0.0.1:8200/bank";

/// Make the vault of a store: a key store, and what wraps its keys
///
/// Repeating it changes nothing. Keep the store, the key store and the key that wraps it apart, also in their backups: who has
/// all three can read everything, who has lost one of the last two can read no personal data ever again.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct InitArgs {}

/// Runs the command.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    if !context.data()?.exists() {
        // A store is not made for a vault that cannot be.
        drop(context.vault().options(context.data()?, Want::Create)?);
    }
    let log: Arc<dyn EventStore> = context.open(Access::Create)?.shared();
    let vault = context.open_vault(&log, Want::Create).await?;
    let (keys, kek) = vault.description().await?;
    context.out.one(&record([
        ("vault", vault.id().to_string().into()),
        ("log", vault.log().to_string().into()),
        ("tenant", vault.tenant().into()),
        ("keyStore", keys.into()),
        ("wrappedBy", kek.into()),
        ("receiptKey", vault.receipt_key().into()),
    ]))?;
    context.out.flush()
}
