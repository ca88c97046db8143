//! `factum privacy check`: is the vault well, and is personal data where it may not be?

use std::sync::Arc;

use clap::Args;
use factum_core::{EventStore, Page, Read, Selector};
use factum_vault::{Holdings, KeyVault, Ledger, Retention, SEALED_MEMBER};
use serde_json::Value;

use super::lint::suspects;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::store::Access;
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy check
  factum privacy check --all";

/// Findings that are shown, unless all are asked for.
const SHOWN: usize = 50;

/// Check the vault, open erasures, every sealed value, and names, tags and metadata; exits with 8 if something is wrong
///
/// Stream names, event types, tags and metadata are never sealed. What looks like an e-mail address or a telephone number there is
/// reported by its place, without repeating it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Show every finding, not only the first 50
    #[arg(long)]
    all: bool,
}

struct Finding {
    place: String,
    what: String,
}

/// Runs the command.
pub(super) async fn run(args: &CheckArgs, context: &Context) -> Result<(), Failure> {
    let log: Arc<dyn EventStore> = context.open(Access::Existing)?.shared();
    let mut findings = Vec::new();
    let vault = match context.open_vault(&log, Want::Existing).await {
        Ok(vault) => Some(vault),
        Err(failure) => {
            // The log can be looked at all the same.
            let what = failure.to_string().replace('\n', " ");
            findings.push(Finding { place: "vault".to_owned(), what });
            None
        }
    };
    if let Some(vault) = &vault {
        describe(vault, context).await?;
    }
    let ledger = Ledger::read(&*log).await?;
    if ledger.foreign > 0 {
        let what = format!("{} events are not signed by this log's vault, and mean nothing", ledger.foreign);
        findings.push(Finding { place: "stream $privacy".to_owned(), what });
    }
    for line in &ledger.erasures {
        if line.receipt.is_none() {
            let erasure = line.fence.erasure;
            let what =
                format!("incomplete: factum privacy erase ref:{} --erasure {erasure}", line.fence.subject);
            findings.push(Finding { place: format!("erasure {erasure}"), what });
        }
    }
    let mut found = findings.len();
    let mut sink = context.out.many(&["place", "what"]);
    let mut push = |finding: Finding| {
        sink.push(&record([("place", finding.place.into()), ("what", finding.what.into())]))
    };
    findings.into_iter().try_for_each(&mut push)?;
    let mut reader = log.read(Read::forwards(Selector::All)).await?;
    while let Some(Page { events, .. }) = reader.next_page().await? {
        let opened = match &vault {
            Some(vault) => vault.open_events(events.clone()).await,
            None => Vec::new(),
        };
        for (index, event) in events.iter().enumerate() {
            let mut here: Vec<(String, String)> = suspects(event)
                .into_iter()
                .map(|suspect| {
                    (suspect.place, format!("looks like {}: it is not sealed", suspect.looks_like))
                })
                .collect();
            if let Some(opened) = opened.get(index).filter(|_| mentions(event.data_slice())) {
                here.extend(unavailable(opened.data_slice()).map(|why| ("data".to_owned(), why)));
            }
            for (place, what) in here {
                found += 1;
                if args.all || found <= SHOWN {
                    push(Finding { place: format!("position {}, {place}", event.position()), what })?;
                }
            }
        }
    }
    sink.finish()?;
    if found == 0 {
        context.say("nothing is wrong");
        return Ok(());
    }
    let next = if found > SHOWN && !args.all { "--all shows the rest" } else { "" };
    Err(Failure::new(
        (Exit::Check, "privacy"),
        format!("{found} things are wrong"),
        "they are listed on stdout",
        next,
    ))
}

/// Says what the vault is and has, on stderr: it is no finding.
async fn describe(vault: &KeyVault, context: &Context) -> Result<(), Failure> {
    let (keys, kek) = vault.description().await?;
    let Holdings { subjects, live, fenced, destroyed, values } = vault.holdings().await?;
    let epochs: Vec<String> = vault
        .epochs()
        .await?
        .iter()
        .map(|info| match info.created {
            Some(created) => format!("{} of {created}", info.epoch),
            None => info.epoch.to_string(),
        })
        .collect();
    let retention = if *vault.retention() == Retention::none() { "" } else { ", with retention" };
    context.say(&format!(
        "vault {} in {keys}, wrapped by {kek} (epoch {}){retention}\n\
         {subjects} subjects, {live} keys that open, {fenced} fenced, {destroyed} destroyed, {values} values outside the log\n\
         receipts are verified by key {}",
        vault.id(),
        epochs.join(", "),
        vault.receipt_key()
    ));
    Ok(())
}

fn mentions(data: &[u8]) -> bool {
    data.windows(SEALED_MEMBER.len()).any(|window| window == SEALED_MEMBER.as_bytes())
}

/// Why values of an opened event cannot be read, each reason once.
fn unavailable(data: &[u8]) -> Option<String> {
    let mut reasons: Vec<String> = Vec::new();
    collect(&serde_json::from_slice(data).ok()?, &mut reasons);
    (!reasons.is_empty()).then(|| format!("sealed values cannot be opened: {}", reasons.join(", ")))
}

fn collect(value: &Value, reasons: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let reason = members.get("$personal").and_then(|marker| marker["u"].as_str());
            match reason {
                Some(reason) if !reasons.iter().any(|known| known == reason) => {
                    reasons.push(reason.to_owned());
                }
                Some(_) => {}
                None => members.values().for_each(|value| collect(value, reasons)),
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, reasons)),
        _ => {}
    }
}
