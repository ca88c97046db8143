//! May this log be served, or was it put back from a backup that knows less than what is known elsewhere?
//!
//! Two signs: the log is in another epoch than the one in which it was compared last (`restore` begins a new one), and the key
//! store knows erasures that the log does not. An erasure is asked for in the log before it is fenced in the key store, so a log
//! that was never put back always knows all of them.

use std::sync::mpsc::Sender;

use factum_core::{EventStore, ExpectedRevision};

use crate::error::VaultError;
use crate::keeper::{Job, Keeper};
use crate::key_store::{LedgerEntry, MAX_KEY_BATCH, Watermark};
use crate::ledger::{self, Ledger};
use crate::roots::Roots;
use crate::subject::ErasureId;
use crate::vault::ask;

/// What opening a vault does about a log that was put back from a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnRestore {
    /// It does not open: what was erased since the backup may be in it again.
    #[default]
    Refuse,
    /// It opens, since a newer copy of the ledger was applied to the log. Erasures that only the key store knows are refused all
    /// the same: that copy was too old.
    LedgerApplied {
        /// Who says so.
        actor: String,
    },
    /// It opens as it is. What was destroyed in the key store stays so; what the log and its rows hold is there again.
    AcceptResurrection {
        /// Why. It stays in the log for ever.
        reason: String,
        /// Who says so, likewise.
        actor: String,
    },
}

/// The log as it is now, and in which epoch.
pub(crate) struct Restored<'a, S: ?Sized> {
    pub(crate) store: &'a S,
    pub(crate) epoch: u32,
    pub(crate) policy: &'a OnRestore,
    pub(crate) roots: &'a Roots,
}

impl<S: EventStore + ?Sized> Restored<'_, S> {
    /// The ledger of a log that may be served.
    pub(crate) async fn admitted(&self, jobs: &Sender<Job>, known: Ledger) -> Result<Ledger, VaultError> {
        let (keys, there) = ask(jobs, |keeper| Ok((keeper.store.description(), keeper.ledger()?))).await?;
        let mut known = known;
        let mut missing = missing_in(&known, &there);
        if !missing.is_empty() {
            // Asked for and fenced after the log was read, perhaps.
            known = Ledger::read(self.store).await?;
            missing = missing_in(&known, &there);
        }
        let put_back = known.settled.is_some_and(|settled| settled < self.epoch);
        if !put_back && missing.is_empty() {
            return Ok(known);
        }
        let behind = missing.last().map(|newest| VaultError::LogBehind {
            store: keys,
            missing: missing.len(),
            newest: newest.fence.erasure,
            at: newest.fence.at,
        });
        let (how, reason, actor) = match (self.policy, behind) {
            (OnRestore::AcceptResurrection { reason, actor }, _) => {
                ledger::check_account(reason, actor)?;
                ("accepted", reason.as_str(), actor)
            }
            (OnRestore::LedgerApplied { .. } | OnRestore::Refuse, Some(behind)) => return Err(behind),
            (OnRestore::LedgerApplied { actor }, None) => ("ledger", "", actor),
            (OnRestore::Refuse, None) => {
                let erasures = known.erasures.len();
                return Err(VaultError::LogRestored { epoch: self.epoch, erasures });
            }
        };
        let missing: Vec<ErasureId> = missing.iter().map(|entry| entry.fence.erasure).collect();
        let event = ledger::log_restored(self.epoch, how, &missing, (reason, actor), self.roots);
        ledger::append(self.store, ExpectedRevision::Any, event).await.map_err(VaultError::Append)?;
        Ok(known)
    }
}

impl Keeper {
    /// Every line of the key store's ledger.
    pub(crate) fn ledger(&mut self) -> Result<Vec<LedgerEntry>, VaultError> {
        let (mut all, mut after) = (Vec::new(), Watermark::default());
        loop {
            let page = self.store.ledger(after, MAX_KEY_BATCH)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.number;
            all.extend(page);
        }
    }
}

/// Lines of the key store's ledger that the log does not know, in order.
fn missing_in<'a>(known: &Ledger, there: &'a [LedgerEntry]) -> Vec<&'a LedgerEntry> {
    let mut ids: Vec<ErasureId> = known.erasures.iter().map(|line| line.fence.erasure).collect();
    ids.extend(&known.accepted);
    ids.sort_unstable();
    there.iter().filter(|entry| ids.binary_search(&entry.fence.erasure).is_err()).collect()
}
