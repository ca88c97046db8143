//! `factum demo`: a bank in a store, with a month of business behind it. It is served and goes on, or shown once.

mod living;
mod once;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bank::demo::{Forgotten, ReadSide, ReadSideError, Summary};
use clap::Args;
use factum_core::read_model::ReadModels;
use factum_core::{EventFilter, EventStore, Read, Selector, SystemEvents};
use factum_vault::{KeyVault, SealingStore, VaultError};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::log::OpenLog;
use crate::read_models::ReadModelsArgs;
use crate::serve::ConsoleArgs;
use crate::store::{self, Access};
use crate::vault::{VaultArgs, Want};

const EXAMPLES: &str = "EXAMPLES:
  factum demo
  factum demo --data /tmp/bank --listen 127.0.0.1:2114
  factum demo --once --data /tmp/bank
  factum demo --once --data /tmp/bank --read-models postgres://me:secret@localhost/bank";

/// Serve a bank with a month of business behind it, on this machine, and let it go on
///
/// Four read models follow the bank (balances, statements, daily_totals, customers), and one that fails (lost_cards). What is
/// known of customers is sealed, and one of them was forgotten. Letters about transfers that failed are parked. A command is
/// made every second, until Ctrl-C.
///
/// Without --data everything is in memory and in a temporary directory, and gone at the end. With it, it is kept; the
/// directory must hold no events yet, so that nobody fills a real store with a bank. Nobody is asked who they are.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Show what happened and what to look at next, and end
    #[arg(long)]
    once: bool,
    /// How many commands the month has, at least 100
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    commands: u64,
    /// Address and port to listen on, of this machine [default: 127.0.0.1:2113, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    listen: Option<String>,
    /// Make no more business while it is served
    #[arg(long, conflicts_with = "once")]
    still: bool,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    read_models: ReadModelsArgs,
}

impl DemoArgs {
    /// Whether it is served.
    pub(crate) fn serves(&self) -> bool {
        !self.once
    }
}

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    if args.serves() {
        return living::run(args, context).await;
    }
    if let Some(data) = context.data_if_given() {
        let log = context.open(Access::Create)?;
        let shown = business(args, log.shared(), data, context.vault()).await?.shown;
        return once::show(context, &shown, Some(data));
    }
    let dir = temporary()?;
    // A store that will be gone takes no vault that stays.
    let data = dir.path().join("bank");
    let log: OpenLog = match context.names_log() {
        true => context.open(Access::Create)?,
        false => store::open(&data, Access::Create)?.into(),
    };
    let shown = business(args, log.shared(), &data, &VaultArgs::default()).await?.shown;
    once::show(context, &shown, None)
}

fn temporary() -> Result<tempfile::TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("factum-demo-").tempdir();
    made.map_err(|error| Failure::io("a temporary directory could not be made", &error))
}

/// What there is to show.
struct Shown {
    summary: Summary,
    seconds: f64,
    read_side: ReadSide,
    forgotten: Forgotten,
}

/// A bank after its month.
struct Filled {
    shown: Shown,
    sealing: SealingStore,
    read_models: Arc<dyn ReadModels>,
}

/// Fills an empty log with the month. `data` is where its vault and its read models are, unless they are elsewhere.
async fn business(
    args: &DemoArgs,
    log: Arc<dyn EventStore>,
    data: &Path,
    vault: &VaultArgs,
) -> Result<Filled, Failure> {
    must_be_empty(&*log).await?;
    let sealing = SealingStore::new(Arc::clone(&log), open_vault(&log, data, vault).await?);
    let store: Arc<dyn EventStore> = Arc::new(sealing.clone());
    let read_models = args.read_models.open_for(data)?;
    let following =
        bank::demo::follow(Arc::clone(&store), Arc::clone(&read_models)).await.map_err(|e| match e {
            ReadSideError::Projection(error) => error.into(),
            error => stopped(&error),
        })?;
    if args.serves() {
        // Whoever looks at it shall find events of versions that nothing writes any more.
        bank::demo::heritage(&*store).await.map_err(|e| stopped(&e))?;
    }
    bank::demo::register(Arc::clone(&store)).await.map_err(|e| stopped(&e))?;
    let began = Instant::now();
    let summary = bank::demo::run(Arc::clone(&store), args.commands).await.map_err(|e| stopped(&e))?;
    let seconds = began.elapsed().as_secs_f64();
    let read_side = bank::demo::show(store, &following).await.map_err(|e| stopped(&e))?;
    let forgotten = bank::demo::forget(&sealing, &read_models, &following).await;
    let forgotten = forgotten.map_err(|e| stopped(&e))?;
    Ok(Filled { shown: Shown { summary, seconds, read_side, forgotten }, sealing, read_models })
}

fn stopped(error: &dyn std::fmt::Display) -> Failure {
    Failure::new((Exit::Error, "demo-failed"), "the demo stopped", error.to_string(), "")
}

async fn must_be_empty(log: &dyn EventStore) -> Result<(), Failure> {
    // A vault that was made for it beforehand has left its own event.
    let own = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
    let mut reader = log.read(Read::forwards(Selector::All).filter(own).limit(1)).await?;
    while let Some(page) = reader.next_page().await? {
        if !page.events.is_empty() {
            return Err(Failure::new(
                (Exit::Refused, "not-empty"),
                "nothing was done",
                "the store has events already",
                "name a directory that is empty or not there yet; `factum serve --data DIR --insecure` serves the one that is",
            ));
        }
    }
    Ok(())
}

async fn open_vault(log: &Arc<dyn EventStore>, data: &Path, vault: &VaultArgs) -> Result<KeyVault, Failure> {
    match KeyVault::open(vault.options_for(data, &**log, Want::Create).await?, &**log).await {
        Ok((vault, _)) => Ok(vault),
        Err(error @ VaultError::OtherLog { .. }) => {
            let next = "remove the vault if it is left over from an earlier demo, or name another with --vault and --kek";
            Err(Failure::from(error).advise(next))
        }
        Err(error) => Err(error.into()),
    }
}
