//! How is a subject forgotten, step by step, and never half?
//!
//! Ask (in the log), fence, destroy, wait for whoever holds keys, tell (in the log), let each read model forget, attest (in the
//! log). Each step may be repeated; an erasure that was interrupted goes on where it was. It is done when the receipt is
//! written, and not before.

use factum_core::{
    BoxFuture, ErrorKind, EventStore, ExpectedRevision, Page, Position, Query, QueryItem, Read, Selector,
    Tag, Timestamp,
};
use std::collections::{BTreeMap, HashMap};

use crate::cache::LEASE;
use crate::error::VaultError;
use crate::keeper::{Keeper, no_answer};
use crate::kek::{EpochInfo, KekEpoch};
use crate::key_store::{Extent, Fence, KeySummary, LedgerEntry};
use crate::ledger::{self, Erasure, KeysDestroyed, Ledger};
use crate::receipt::{Reach, Receipt, SignedReceipt};
use crate::subject::{ErasureId, KeyId, Purpose, SubjectRef};
use crate::vault::KeyVault;

/// What the tag of an event with a subject's data begins with.
pub const SUBJECT_TAG: &str = "$subject:";

/// Who is to be forgotten, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRequest {
    /// The erasure's identity: asked for again, it goes on where it was.
    pub erasure: ErasureId,
    /// The subject.
    pub subject: SubjectRef,
    /// Only what is kept for this purpose; `None` for everything.
    pub purpose: Option<Purpose>,
    /// Which keys.
    pub extent: Extent,
    /// Why: a code or a reference, at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES). It stays in the log for ever.
    pub reason: String,
    /// Who asks for it, likewise.
    pub actor: String,
}

impl ErasureRequest {
    /// Everything of a subject.
    pub fn everything(subject: SubjectRef, reason: impl Into<String>, actor: impl Into<String>) -> Self {
        Self {
            erasure: ErasureId::generate(),
            subject,
            purpose: None,
            extent: Extent::Everything,
            reason: reason.into(),
            actor: actor.into(),
        }
    }

    /// Only what is kept for `purpose`.
    #[must_use]
    pub fn for_purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// As this erasure, which may have been asked for before.
    #[must_use]
    pub fn as_erasure(mut self, erasure: ErasureId) -> Self {
        self.erasure = erasure;
        self
    }

    fn check(&self) -> Result<(), VaultError> {
        ledger::check_account(&self.reason, &self.actor)
    }
}

/// What was reached, or what was not: then the erasure is incomplete.
pub type Reached = Result<Vec<Reach>, Vec<Reach>>;

/// Places outside the vault that may hold a subject's data in clear: read models, exports, caches.
pub trait ErasureHandler: Send + Sync {
    /// Sees to it that nothing of what was erased is left there, and says for each place how. `told` is the position of the
    /// event that says so in the log. May be called again.
    ///
    /// `Err` says what is missing: then the erasure is incomplete.
    fn forget<'a>(&'a self, erased: &'a KeysDestroyed, told: Position) -> BoxFuture<'a, Reached>;
}

/// Why an erasure is not done.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A step failed. What was done stays done.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Not everything was reached yet. The keys are destroyed.
    #[error(
        "erasure {erasure} is incomplete: {}; the keys are destroyed, ask for it again to go on",
        missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Incomplete {
        /// The erasure.
        erasure: ErasureId,
        /// What is missing.
        missing: Vec<Reach>,
        /// When asking again can help, where that is known.
        again_at: Option<Timestamp>,
    },
}

impl EraseError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            EraseError::Vault(error) => error.kind(),
            EraseError::Incomplete { .. } => ErrorKind::Unavailable,
        }
    }
}

/// What an erasure would destroy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Keys that open now, by owner.
    pub keys: Vec<KeySummary>,
    /// Events with data of the subject, of whatever purpose.
    pub events: u64,
    /// Streams with such events, and how many each.
    pub streams: BTreeMap<String, u64>,
}

/// The tag of an event with a subject's data.
pub fn subject_tag(subject: SubjectRef) -> Tag {
    Tag::new(format!("{SUBJECT_TAG}{subject}")).unwrap_or_else(|_| unreachable!("a short text"))
}

impl KeyVault {
    /// What an erasure of the subject (or of one purpose of it) would destroy. Changes nothing.
    ///
    /// # Errors
    /// Where log or key store cannot be read.
    pub async fn preview(
        &self,
        store: &(impl EventStore + ?Sized),
        subject: SubjectRef,
        purpose: Option<&Purpose>,
    ) -> Result<Preview, VaultError> {
        let mut keys = self.keys_of(subject).await?;
        keys.retain(|key| {
            key.erased.is_none() && (purpose.is_none() || key.owner.purpose.as_ref() == purpose)
        });
        let mut preview = Preview { keys, events: 0, streams: BTreeMap::new() };
        let query = Query::item(QueryItem { types: Vec::new(), tags: vec![subject_tag(subject)] });
        let read = Read::forwards(Selector::Query(query));
        let mut reader = store.read(read).await.map_err(VaultError::Ledger)?;
        while let Some(Page { events, .. }) = reader.next_page().await.map_err(VaultError::Ledger)? {
            for event in events {
                preview.events += 1;
                match preview.streams.get_mut(event.stream()) {
                    Some(count) => *count += 1,
                    None => drop(preview.streams.insert(event.stream().to_owned(), 1)),
                }
            }
        }
        Ok(preview)
    }

    /// Forgets a subject: its keys are destroyed, each handler is told, and the receipt is written into the log. An erasure
    /// that is complete gives its receipt again. `store` is the bare log.
    ///
    /// # Errors
    /// `Incomplete` where something was not reached; `Held` where the subject's data must be kept; what failed otherwise. Asking again with the same erasure goes on.
    pub async fn erase(
        &self,
        store: &(impl EventStore + ?Sized),
        request: &ErasureRequest,
        handlers: &[&dyn ErasureHandler],
    ) -> Result<SignedReceipt, EraseError> {
        request.check()?;
        let known = Ledger::read(store).await?;
        let at = self.clock().now();
        let ErasureRequest { erasure, subject, purpose, extent, reason, actor } = request.clone();
        let asked = Fence { erasure, subject, purpose, extent, at };
        let (fence, told, reason, actor) = match known.find(erasure) {
            Some(line)
                if (line.fence.subject, &line.fence.purpose, line.fence.extent)
                    != (subject, &asked.purpose, extent) =>
            {
                let why = format!("erasure {erasure} is of another subject or purpose: take another id");
                return Err(VaultError::Invalid { why }.into());
            }
            Some(Erasure { receipt: Some(receipt), .. }) => return Ok(receipt.clone()),
            Some(line) => (line.fence.clone(), line.destroyed, line.reason.clone(), line.actor.clone()),
            None => {
                self.decide(store, |known| {
                    known.must_not_be_held(subject)?;
                    // Somebody else asked for the same meanwhile.
                    let there = known.find(erasure).is_some();
                    Ok((!there).then(|| ledger::requested(&asked, &reason, &actor, self.roots())))
                })
                .await?;
                (asked, None, reason, actor)
            }
        };
        let (entry, epoch) = self.destroy(&fence).await?;
        let erased =
            KeysDestroyed { erasure, subject, purpose: fence.purpose.clone(), keys: entry.keys.clone() };
        let told = match told {
            Some(told) => told,
            None => append(store, erased.to_event(self.roots())).await?,
        };
        let mut reached = vec![
            Reach {
                kind: "keys".into(),
                name: format!("in {}", self.description().await?.0),
                how: format!(
                    "{} keys destroyed, and what was kept outside the log under them",
                    entry.keys.len()
                ),
            },
            Reach {
                kind: "caches".into(),
                name: "of every process that uses the key store".into(),
                how: format!("keys were forgotten, or not usable for longer than {} s", LEASE.as_secs()),
            },
        ];
        reached.extend(self.forget_elsewhere(handlers, &erased, told).await?);
        // As they are now: one may have acknowledged while this went on.
        let (sinks, silent) = Ledger::read(store).await?.sinks_reached(subject, erasure);
        reached.extend(sinks);
        let horizon = self.rotation().over(&epoch, self.clock().now());
        let receipt = Receipt {
            erasure,
            vault: self.id(),
            tenant: self.tenant().to_owned(),
            log: self.log(),
            subject,
            purpose: fence.purpose,
            extent: fence.extent,
            reason,
            actor,
            requested_at: entry.fence.at,
            completed_at: self.clock().now(),
            keys: entry.keys,
            reached,
            not_reached: silent.into_iter().chain(not_reached(epoch.epoch, horizon)).collect(),
            kek_epoch: epoch.epoch,
            horizon,
        };
        let roots = self.roots();
        let receipt = receipt.sign(&roots.verifying_key(), |message| roots.sign(message));
        append(store, ledger::event(ledger::SUBJECT_ERASED_TYPE, &receipt.to_json())).await?;
        Ok(receipt)
    }

    /// Fence, then destroy, then forget what is in memory here and wait for the others.
    async fn destroy(&self, fence: &Fence) -> Result<(LedgerEntry, EpochInfo), EraseError> {
        let (erasure, wanted) = (fence.erasure, fence.clone());
        let (entry, behind, epoch) = self
            .ask(move |keeper| {
                let entry = keeper.store.fence(&wanted)?;
                keeper.cache.evict(&entry);
                keeper.store.destroy(wanted.erasure)?;
                let behind = keeper.behind(entry.number)?;
                let epochs = keeper.kek.epochs()?;
                let epoch = *epochs.last().ok_or_else(|| no_answer(&*keeper.kek))?;
                Ok((entry, behind, epoch))
            })
            .await?;
        if behind.is_empty() {
            return Ok((entry, epoch));
        }
        let again_at = behind.iter().map(|lease| lease.until).max();
        let holder = |lease: crate::key_store::Lease| Reach {
            kind: "process".into(),
            name: lease.node.to_string(),
            how: format!("may hold a destroyed key in memory until {}", lease.until),
        };
        Err(EraseError::Incomplete { erasure, missing: behind.into_iter().map(holder).collect(), again_at })
    }

    async fn forget_elsewhere(
        &self,
        handlers: &[&dyn ErasureHandler],
        erased: &KeysDestroyed,
        told: Position,
    ) -> Result<Vec<Reach>, EraseError> {
        let (mut reached, mut missing) = (Vec::new(), Vec::new());
        for handler in handlers {
            match handler.forget(erased, told).await {
                Ok(places) => reached.extend(places),
                Err(places) => missing.extend(places),
            }
        }
        if missing.is_empty() {
            return Ok(reached);
        }
        Err(EraseError::Incomplete { erasure: erased.erasure, missing, again_at: None })
    }

    /// Allows new keys for a subject that was erased: a new lawful relation. What was destroyed stays so. Says whether a fence
    /// stood.
    ///
    /// # Errors
    /// `Invalid` where the erasure is not complete; what failed.
    pub async fn allow_new_keys(
        &self,
        store: &(impl EventStore + ?Sized),
        erasure: ErasureId,
        reason: &str,
        actor: &str,
    ) -> Result<bool, VaultError> {
        ledger::check_account(reason, actor)?;
        let known = Ledger::read(store).await?;
        match known.find(erasure) {
            None => {
                let why = format!("the log knows no erasure {erasure}: see `factum privacy receipts`");
                return Err(VaultError::Invalid { why });
            }
            Some(line) if line.receipt.is_none() => {
                let why = format!("erasure {erasure} is not complete: complete it first");
                return Err(VaultError::Invalid { why });
            }
            Some(line) if line.lifted => return Ok(false),
            Some(_) => {}
        }
        let event = ledger::new_keys_allowed(erasure, reason, actor, self.roots());
        ledger::append(store, ExpectedRevision::Any, event).await.map_err(VaultError::Append)?;
        self.ask(move |keeper| Ok(keeper.store.lift(erasure)?)).await
    }

    /// The erasures that are due because a purpose's retention is over: ask for each. Keys that have sealed for long enough get
    /// successors, so ask for this once a day or so.
    ///
    /// # Errors
    /// Where the key store cannot be read.
    pub async fn expired(&self, actor: &str) -> Result<Vec<ErasureRequest>, VaultError> {
        let (now, retention) = (self.clock().now(), self.retention().clone());
        let over = self.ask(move |keeper| keeper.expired(&retention, now)).await?;
        let request = |(owner, generation): (crate::subject::KeyOwner, u32)| ErasureRequest {
            erasure: ErasureId::generate(),
            subject: owner.subject,
            purpose: owner.purpose,
            extent: Extent::UpTo(generation),
            reason: "retention is over".to_owned(),
            actor: actor.to_owned(),
        };
        Ok(over.into_iter().map(request).collect())
    }

    /// Whether all that a receipt says was destroyed is gone from the key store. Gives the keys that are not.
    ///
    /// # Errors
    /// Where the key store cannot be read.
    pub async fn still_open(&self, receipt: &Receipt) -> Result<Vec<KeyId>, VaultError> {
        let keys = self.keys_of(receipt.subject).await?;
        let open = keys.into_iter().filter(|key| !key.destroyed && receipt.keys.contains(&key.id));
        Ok(open.map(|key| key.id).collect())
    }
}

/// What no program can reach from here.
fn not_reached(epoch: KekEpoch, horizon: Option<Timestamp>) -> Vec<Reach> {
    let due = horizon.map(|horizon| format!(", by {horizon},")).unwrap_or_default();
    vec![
        Reach {
            kind: "copies".into(),
            name: "of the key store, made before".into(),
            how: format!(
                "open with key-encryption key {epoch} until that is rotated away{due} and its own copies are gone"
            ),
        },
        Reach {
            kind: "copies".into(),
            name: "that databases and disks make: write-ahead logs, archives, replicas, snapshots".into(),
            how: "hold what rows in clear held until they are written over or removed".into(),
        },
        Reach {
            kind: "read models".into(),
            name: "in databases that were not named".into(),
            how: "they hold what they held: name them when you erase".into(),
        },
        Reach {
            kind: "copies".into(),
            name: "made in clear outside by who is no sink of this log: exports, subscribers, screens".into(),
            how: "whoever received them has to be told".into(),
        },
    ]
}

async fn append(
    store: &(impl EventStore + ?Sized),
    event: factum_core::NewEvent,
) -> Result<Position, VaultError> {
    ledger::append(store, ExpectedRevision::Any, event).await.map_err(VaultError::Append)
}

/// Carries out in the key store what the log knows and the key store does not. Says how many erasures that were.
pub(crate) fn reconcile(keeper: &mut Keeper, erasures: &[Erasure]) -> Result<u64, VaultError> {
    if erasures.is_empty() {
        return Ok(0);
    }
    let there: HashMap<ErasureId, LedgerEntry> =
        keeper.ledger()?.into_iter().map(|entry| (entry.fence.erasure, entry)).collect();
    let mut reapplied = 0;
    for line in erasures {
        let erasure = line.fence.erasure;
        let entry = there.get(&erasure);
        if !entry.is_some_and(|entry| entry.destroyed) {
            keeper.store.fence(&line.fence)?;
            keeper.store.destroy(erasure)?;
            reapplied += 1;
        }
        if line.lifted && !entry.is_some_and(|entry| entry.lifted) {
            keeper.store.lift(erasure)?;
        }
    }
    Ok(reapplied)
}
