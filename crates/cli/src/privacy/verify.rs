//! `factum privacy verify`: is a receipt genuine, and is what it says still true?

use std::sync::Arc;

use clap::Args;
use factum_core::{Clock, EventStore, Page, Query, QueryItem, Read, Selector, SystemClock};
use factum_vault::{
    Envelope, ErasureId, KeyVault, Ledger, Receipt, ReceiptError, SEALED_MEMBER, SealingStore, SignedReceipt,
    find_objects, subject_tag,
};

use super::receipts::{receipt_of, unacknowledged};
use crate::context::{Context, argument_text};
use crate::failure::{Exit, Failure};
use crate::output::{Record, record};
use crate::store::Access;
use crate::vault::Want;

const EXAMPLES: &str = "EXAMPLES:
  With the store and its vault:
    factum privacy verify 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90
  Offline, with the vault's public key alone (`factum privacy check` shows it):
    factum privacy verify @receipt.json --key 5f0a... ";

/// Most events that are tried to be opened.
const MAX_TRIED: u64 = 10_000;

/// Check a receipt; exits with 8 if it is not genuine, or no longer true
///
/// Offline only its signature is checked. With the store, also that the log has it, that the keys are gone from the key store, and
/// that no value of the subject opens any more. A receipt attests what was done here; it cannot prove that nobody kept a copy.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    /// An erasure of the store, or a receipt: @FILE, - for stdin
    receipt: String,
    /// Check the signature alone, with this public key (64 hexadecimal digits)
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    if let Some(key) = &args.key {
        let receipt = given(&args.receipt)?;
        receipt.verify(key).map_err(|error| not_genuine(&error))?;
        let verdict = "genuine: signed by this key, and not changed since";
        return report(
            context,
            &receipt,
            &Verdict { verdict, old_key: None, tried: 0, opened: 0, silent: Vec::new() },
        );
    }
    let log: Arc<dyn EventStore> = context.open(Access::Existing)?.shared();
    let ledger = Ledger::read(&*log).await?;
    let receipt = match args.receipt.parse::<ErasureId>() {
        Ok(erasure) => receipt_of(&ledger, erasure)?.clone(),
        Err(_) => given(&args.receipt)?,
    };
    let vault = context.open_vault(&log, Want::Existing).await?;
    let verdict = check(&log, &vault, &ledger, &receipt).await?;
    report(context, &receipt, &verdict)
}

/// Checks a receipt with everything that there is. One that is not genuine, or not true any more, is a failure with
/// [`Exit::Check`].
pub(super) async fn check(
    log: &Arc<dyn EventStore>,
    vault: &KeyVault,
    ledger: &Ledger,
    receipt: &SignedReceipt,
) -> Result<Verdict, Failure> {
    receipt.verify(&vault.receipt_key()).map_err(|error| not_genuine(&error))?;
    let recorded = ledger.find(receipt.receipt.erasure).and_then(|line| line.receipt.as_ref());
    if recorded != Some(receipt) {
        return Err(failed(
            "the log does not have this receipt",
            "it was signed, and the log has another one or none",
        ));
    }
    let open = vault.still_open(&receipt.receipt).await?;
    if !open.is_empty() {
        let why = format!("{} keys that it says were destroyed are in the key store", open.len());
        return Err(failed("the receipt is not true any more", why));
    }
    let (values, opened) = try_to_open(log, vault, receipt).await?;
    if opened > 0 {
        let why = format!("{opened} of {values} values that it covers could be opened");
        return Err(failed("the receipt is not true any more", why));
    }
    let old_key = old_key(vault, receipt).await?;
    let silent = unacknowledged(ledger, receipt.receipt.erasure);
    let verdict = match values {
        0 => "true: signed, in the log, and its keys destroyed; there is no value to try",
        _ => "true: signed, in the log, its keys destroyed, and nothing that was tried opens",
    };
    Ok(Verdict { verdict, old_key: Some(old_key), tried: values, opened, silent })
}

/// Asks the provider whether the key that older copies of the key store need is gone. One that was to be gone by now is a failure.
async fn old_key(vault: &KeyVault, receipt: &SignedReceipt) -> Result<String, Failure> {
    let Receipt { kek_epoch, horizon, .. } = &receipt.receipt;
    let (epochs, kek) = (vault.epochs().await?, vault.description().await?.1);
    let Some(there) = epochs.iter().find(|info| info.epoch <= *kek_epoch) else {
        return Ok(format!(
            "epoch {kek_epoch} is gone from {kek}: older copies of the key store open nothing, unless the key was copied"
        ));
    };
    let still = format!("epoch {} is still in {kek}", there.epoch);
    match horizon {
        Some(horizon) if *horizon < SystemClock.now() => Err(Failure::new(
            (Exit::Check, "receipt"),
            "the receipt is not true any more",
            format!(
                "{still}, and was to be rotated away by {horizon}: older copies of the key store open with it"
            ),
            "factum privacy rotate",
        )),
        _ => Ok(format!("{still}: older copies of the key store open with it until factum privacy rotate")),
    }
}

fn given(argument: &str) -> Result<SignedReceipt, Failure> {
    let text = match argument {
        "-" => argument_text("the receipt", "-")?,
        file if file.starts_with('@') => argument_text("the receipt", file)?,
        other => {
            return Err(Failure::usage(
                "that is no receipt",
                format!("'{other}' is no erasure id, no @FILE and no -"),
                "see `factum privacy verify --help`",
            ));
        }
    };
    SignedReceipt::from_json(text.as_bytes()).ok_or_else(|| not_genuine(&ReceiptError::Malformed))
}

fn not_genuine(error: &ReceiptError) -> Failure {
    failed("the receipt is not genuine", error.to_string())
}

fn failed(what: &str, why: impl Into<String>) -> Failure {
    Failure::new((Exit::Check, "receipt"), what, why, "")
}

/// How many values that the receipt covers there are, and how many of them open.
async fn try_to_open(
    log: &Arc<dyn EventStore>,
    vault: &KeyVault,
    receipt: &SignedReceipt,
) -> Result<(u64, u64), Failure> {
    let covered = &receipt.receipt.keys;
    let tag = subject_tag(receipt.receipt.subject);
    let query = Query::item(QueryItem { types: Vec::new(), tags: vec![tag] });
    let mut reader = log.read(Read::forwards(Selector::Query(query)).limit(MAX_TRIED)).await?;
    let store = SealingStore::new(Arc::clone(log), vault.clone());
    let (mut values, mut opened) = (0, 0);
    while let Some(Page { events, .. }) = reader.next_page().await? {
        let opened_events = store.vault().open_events(events.clone()).await;
        for (sealed, tried) in events.iter().zip(&opened_events) {
            let data = sealed.data_slice();
            for object in find_objects(data, SEALED_MEMBER).unwrap_or_default() {
                let Ok(envelope) = Envelope::parse(&data[object.value]) else { continue };
                if !covered.contains(&envelope.key) {
                    continue;
                }
                values += 1;
                let json: serde_json::Value = serde_json::from_slice(tried.data_slice()).unwrap_or_default();
                let marker = json.pointer(&object.pointer).map(|value| &value["$personal"]);
                if marker.is_some_and(|marker| marker.get("v").is_some()) {
                    opened += 1;
                }
            }
        }
    }
    Ok((values, opened))
}

/// What became of the check.
pub(super) struct Verdict {
    /// In words.
    pub(super) verdict: &'static str,
    /// What the provider says of the key that older copies of the key store open with.
    old_key: Option<String>,
    tried: u64,
    opened: u64,
    /// Sinks that have not acknowledged until now.
    silent: Vec<String>,
}

impl Verdict {
    /// With what the receipt says.
    pub(super) fn fields(&self, receipt: &SignedReceipt) -> Record {
        let r = &receipt.receipt;
        record([
            ("verdict", self.verdict.into()),
            ("erasure", r.erasure.to_string().into()),
            ("subject", r.subject.to_string().into()),
            ("completed", r.completed_at.to_string().into()),
            ("keys", r.keys.len().into()),
            ("valuesTried", self.tried.into()),
            ("valuesOpened", self.opened.into()),
            ("unacknowledged", self.silent.clone().into()),
            ("horizon", r.horizon.map(|horizon| horizon.to_string()).into()),
            ("keyEncryptionKey", self.old_key.clone().into()),
            ("notReached", r.not_reached.iter().map(ToString::to_string).collect::<Vec<_>>().into()),
        ])
    }
}

fn report(context: &Context, receipt: &SignedReceipt, found: &Verdict) -> Result<(), Failure> {
    context.out.one(&found.fields(receipt))?;
    context.out.flush()
}
