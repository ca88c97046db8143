//! What does the log say of its vault: whose it is, what was to be erased, what came of it?
//!
//! The stream `$privacy` outlives every key store. It names subjects by their references only. Each event is signed with the
//! vault's key over its type and its data: what anybody else appends there is counted and means nothing, so that no forged
//! request destroys a key and no stray event locks a vault.
//!
//! | event | data |
//! |---|---|
//! | `$vaultOpened` | `vault`, `log`, `epoch`, `tenant`, `key` (verifies signatures, hexadecimal) |
//! | `$erasureRequested` | `erasure`, `subject`, `purpose`, `through` (a generation, or `null` for everything), `reason`, `actor` |
//! | `$keysDestroyed` | `erasure`, `subject`, `purpose`, `keys` |
//! | `$subjectErased` | `receipt`, `key`, `signature` |
//! | `$newKeysAllowed` | `erasure`, `reason`, `actor` |
//! | `$kekRotated` | `epoch`, `keys` |
//! | `$holdPlaced` | `subject`, `reason`, `actor` |
//! | `$holdReleased` | `subject`, `reason`, `actor` |
//! | `$sinkAdded` | `sink`, `subject`, `note` |
//! | `$sinkRemoved` | `sink`, `actor` |
//! | `$erasureAcknowledged` | `erasure`, `sink`, `actor` |
//! | `$logRestored` | `epoch`, `how`, `missing`, `reason`, `actor` |
//!
//! All but the receipt, which is signed itself, have a member `signature` beside these (64 bytes, hexadecimal).

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Position, Read, ReadError,
    RecordedEvent, Revision, Selector, StoreId, StreamName, StreamView, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::VaultError;
use crate::holds::{HOLD_PLACED_TYPE, HOLD_RELEASED_TYPE, Hold};
use crate::key_store::{Extent, Fence};
use crate::receipt::{SignedReceipt, canonical, hex, is_signed};
use crate::roots::Roots;
use crate::sinks::{Acknowledged, ERASURE_ACKNOWLEDGED_TYPE, SINK_ADDED_TYPE, SINK_REMOVED_TYPE, Sink};
use crate::subject::{ErasureId, KeyId, Purpose, SubjectRef};

pub use factum_core::PRIVACY_STREAM;

/// The first event of that stream.
pub const VAULT_OPENED_TYPE: &str = "$vaultOpened";
/// An erasure was asked for.
pub const ERASURE_REQUESTED_TYPE: &str = "$erasureRequested";
/// The keys of an erasure are gone everywhere: projections forget what they hold when they come to it.
pub const KEYS_DESTROYED_TYPE: &str = "$keysDestroyed";
/// An erasure is complete; carries its receipt.
pub const SUBJECT_ERASED_TYPE: &str = "$subjectErased";
/// New keys are allowed for a subject that was erased.
pub const NEW_KEYS_ALLOWED_TYPE: &str = "$newKeysAllowed";
/// Another key-encryption key took over.
pub const KEK_ROTATED_TYPE: &str = "$kekRotated";
/// A log that was put back from a backup may be served: its ledger was completed, or somebody takes it as it is.
pub const LOG_RESTORED_TYPE: &str = "$logRestored";

/// Before what is signed of an event, so that no signature of something else fits.
const SIGNED_LABEL: &str = "factum/ledger/v1\n";

/// Longest reason or actor of an erasure, in bytes.
pub const MAX_REASON_BYTES: usize = 1_024;

/// One erasure, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// What is to be erased.
    pub fence: Fence,
    /// Why: a code or a reference, never personal data.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// Where the log says that the keys are gone.
    pub destroyed: Option<Position>,
    /// Its receipt, where it is complete.
    pub receipt: Option<SignedReceipt>,
    /// Whether new keys were allowed since.
    pub lifted: bool,
    /// Consumers outside that have said that they forgot what was erased.
    pub acknowledged: Vec<Acknowledged>,
}

/// All that the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The vault, and the key that verifies its receipts.
    pub vault: Option<(Uuid, String)>,
    /// Erasures, in the order in which they were asked for.
    pub erasures: Vec<Erasure>,
    /// Events of the stream that this vault did not sign, and that mean nothing.
    pub foreign: u64,
    /// Subjects whose data must be kept.
    pub holds: Vec<Hold>,
    /// Consumers outside that are handed personal data.
    pub sinks: Vec<Sink>,
    /// Erasures that the key store knows and this log will never know: somebody took it as it is.
    pub accepted: Vec<ErasureId>,
    /// The newest epoch of the log in which it was compared with what is known elsewhere.
    pub(crate) settled: Option<u32>,
    /// The last event of the stream, whoever wrote it.
    pub(crate) end: Option<Revision>,
}

/// An event in which a vault tells what was erased, for projections that forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysDestroyed {
    /// The erasure.
    pub erasure: ErasureId,
    /// Who is forgotten.
    pub subject: SubjectRef,
    /// For which purpose; `None` for everything.
    pub purpose: Option<Purpose>,
    /// The keys that are gone.
    pub keys: Vec<KeyId>,
}

impl KeysDestroyed {
    /// Reads the event; `None` where it is another one.
    pub fn from_event(event: &RecordedEvent) -> Option<Self> {
        if event.event_type() != KEYS_DESTROYED_TYPE || event.stream() != PRIVACY_STREAM {
            return None;
        }
        let data: Value = serde_json::from_slice(event.data_slice()).ok()?;
        let keys = data["keys"].as_array()?.iter().map(|key| key.as_str()?.parse().ok());
        Some(Self {
            erasure: text(&data, "erasure")?.parse().ok()?,
            subject: text(&data, "subject")?.parse().ok()?,
            purpose: optional(&data, "purpose")?,
            keys: keys.collect::<Option<_>>()?,
        })
    }

    pub(crate) fn to_event(&self, roots: &Roots) -> NewEvent {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let purpose = self.purpose.as_ref().map(Purpose::as_str);
        let (erasure, subject) = (self.erasure.to_string(), self.subject.to_string());
        let data = json!({ "erasure": erasure, "subject": subject, "purpose": purpose, "keys": keys });
        signed(KEYS_DESTROYED_TYPE, data, roots)
    }
}

impl Ledger {
    /// What the log says now.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn read(store: &(impl EventStore + ?Sized)) -> Result<Self, VaultError> {
        let mut ledger = Self::default();
        walk(store, |event, log| {
            ledger.take(event, log);
        })
        .await?;
        Ok(ledger)
    }

    /// Whether this log's vault wrote the event.
    pub(crate) fn take(&mut self, event: &RecordedEvent, log: StoreId) -> bool {
        self.end = Some(event.revision());
        let ours = self.apply(event, log).is_some();
        if !ours {
            self.foreign += 1;
        }
        ours
    }

    /// `None` for what this log's vault did not write.
    fn apply(&mut self, event: &RecordedEvent, log: StoreId) -> Option<()> {
        let data: Value = serde_json::from_slice(event.data_slice()).ok()?;
        let event_type = event.event_type();
        if event_type == VAULT_OPENED_TYPE {
            let (vault, key) = (text(&data, "vault")?.parse().ok()?, text(&data, "key")?);
            if self.vault.is_some() || text(&data, "log")? != log.to_string() {
                return None;
            }
            verify(event_type, &data, key)?;
            self.vault = Some((vault, key.to_owned()));
            self.settled = epoch(&data);
            return Some(());
        }
        let (_, key) = self.vault.as_ref()?;
        if event_type == SUBJECT_ERASED_TYPE {
            let receipt = SignedReceipt::from_json(event.data_slice())?;
            receipt.verify(key).ok()?;
            let erasure = receipt.receipt.erasure;
            self.find_mut(erasure)?.receipt = Some(receipt);
            return Some(());
        }
        verify(event_type, &data, key)?;
        self.apply_signed(event, &data)
    }

    fn apply_signed(&mut self, event: &RecordedEvent, data: &Value) -> Option<()> {
        let id = || -> Option<ErasureId> { text(data, "erasure")?.parse().ok() };
        match event.event_type() {
            ERASURE_REQUESTED_TYPE => {
                let fence = Fence {
                    erasure: id()?,
                    subject: text(data, "subject")?.parse().ok()?,
                    purpose: optional(data, "purpose")?,
                    extent: match &data["through"] {
                        Value::Null => Extent::Everything,
                        through => Extent::UpTo(u32::try_from(through.as_u64()?).ok()?),
                    },
                    // One that was carried over from another copy of the log happened when it was asked for there.
                    at: event.happened_at(),
                };
                if self.find(fence.erasure).is_none() {
                    let (reason, actor) = (text(data, "reason")?.to_owned(), text(data, "actor")?.to_owned());
                    self.erasures.push(Erasure {
                        fence,
                        reason,
                        actor,
                        destroyed: None,
                        receipt: None,
                        lifted: false,
                        acknowledged: Vec::new(),
                    });
                }
            }
            KEYS_DESTROYED_TYPE => {
                let erasure = self.find_mut(id()?)?;
                erasure.destroyed = Some(erasure.destroyed.unwrap_or(event.position()));
            }
            NEW_KEYS_ALLOWED_TYPE => self.find_mut(id()?)?.lifted = true,
            HOLD_PLACED_TYPE | HOLD_RELEASED_TYPE => {
                self.apply_hold(event.event_type(), data, event.happened_at())?;
            }
            SINK_ADDED_TYPE | SINK_REMOVED_TYPE | ERASURE_ACKNOWLEDGED_TYPE => {
                self.apply_sink(event.event_type(), data, event.happened_at())?;
            }
            LOG_RESTORED_TYPE => {
                let missing =
                    data["missing"].as_array()?.iter().map(|id| id.as_str()?.parse::<ErasureId>().ok());
                self.accepted.extend(missing.collect::<Option<Vec<_>>>()?);
                self.settled = self.settled.max(epoch(data));
            }
            // What a later version adds does not change what these mean.
            _ => {}
        }
        Some(())
    }

    /// One erasure.
    pub fn find(&self, erasure: ErasureId) -> Option<&Erasure> {
        self.erasures.iter().find(|line| line.fence.erasure == erasure)
    }

    pub(crate) fn find_mut(&mut self, erasure: ErasureId) -> Option<&mut Erasure> {
        self.erasures.iter_mut().find(|line| line.fence.erasure == erasure)
    }

    /// The erasure of everything of a subject (or of one purpose of it) that was asked for and is not complete.
    pub fn pending(&self, subject: SubjectRef, purpose: Option<&Purpose>) -> Option<&Erasure> {
        self.erasures.iter().find(|line| {
            let fence = &line.fence;
            line.receipt.is_none()
                && fence.extent == Extent::Everything
                && fence.subject == subject
                && fence.purpose.as_ref() == purpose
        })
    }

    /// The newest erasure of a subject (or of one purpose of it) that no new keys were allowed after.
    pub fn standing(&self, subject: SubjectRef, purpose: Option<&Purpose>) -> Option<&Erasure> {
        self.erasures.iter().rev().find(|line| {
            let fence = &line.fence;
            !line.lifted
                && fence.extent == Extent::Everything
                && fence.subject == subject
                && fence.purpose.as_ref() == purpose
        })
    }
}

/// The event that asks for an erasure.
pub(crate) fn requested(fence: &Fence, reason: &str, actor: &str, roots: &Roots) -> NewEvent {
    let through = match fence.extent {
        Extent::Everything => None,
        Extent::UpTo(generation) => Some(generation),
    };
    let data = json!({
        "erasure": fence.erasure.to_string(),
        "subject": fence.subject.to_string(),
        "purpose": fence.purpose.as_ref().map(Purpose::as_str),
        "through": through,
        "reason": reason,
        "actor": actor,
    });
    // The same erasure asked for again is the same event.
    signed(ERASURE_REQUESTED_TYPE, data, roots).with_id(factum_core::EventId(fence.erasure.0))
}

/// Each event of the stream, in order, with the log's identity.
pub(crate) async fn walk(
    store: &(impl EventStore + ?Sized),
    mut each: impl FnMut(&RecordedEvent, StoreId),
) -> Result<(), VaultError> {
    let read = Read::forwards(Selector::Stream(stream())).view(StreamView::Recorded);
    let mut reader = match store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. }) => return Ok(()),
        Err(error) => return Err(VaultError::Ledger(error)),
    };
    let log = reader.head().snapshot.store();
    while let Some(page) = reader.next_page().await.map_err(VaultError::Ledger)? {
        page.events.iter().for_each(|event| each(event, log));
    }
    Ok(())
}

fn epoch(data: &Value) -> Option<u32> {
    u32::try_from(data["epoch"].as_u64()?).ok()
}

pub(crate) fn vault_opened(
    vault: Uuid,
    (log, epoch): (StoreId, u32),
    tenant: &str,
    roots: &Roots,
) -> NewEvent {
    let key = hex(roots.verifying_key().as_bytes());
    let (vault, log) = (vault.to_string(), log.to_string());
    let data = json!({ "vault": vault, "log": log, "epoch": epoch, "tenant": tenant, "key": key });
    signed(VAULT_OPENED_TYPE, data, roots)
}

pub(crate) fn new_keys_allowed(erasure: ErasureId, reason: &str, actor: &str, roots: &Roots) -> NewEvent {
    let data = json!({ "erasure": erasure.to_string(), "reason": reason, "actor": actor });
    signed(NEW_KEYS_ALLOWED_TYPE, data, roots)
}

pub(crate) fn kek_rotated(epoch: u32, keys: u64, roots: &Roots) -> NewEvent {
    signed(KEK_ROTATED_TYPE, json!({ "epoch": epoch, "keys": keys }), roots)
}

/// The log of this epoch is served as it is, though `missing` are known elsewhere.
pub(crate) fn log_restored(
    epoch: u32,
    how: &str,
    missing: &[ErasureId],
    (reason, actor): (&str, &str),
    roots: &Roots,
) -> NewEvent {
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let data = json!({ "epoch": epoch, "how": how, "missing": missing, "reason": reason, "actor": actor });
    signed(LOG_RESTORED_TYPE, data, roots)
}

/// Whether an event of this type and data was written by the vault with this key, and its receipts by the same.
pub(crate) fn is_genuine(event_type: &str, data: &Value, key: &str) -> bool {
    if event_type == SUBJECT_ERASED_TYPE {
        return SignedReceipt::from_value(data).is_some_and(|receipt| receipt.verify(key).is_ok());
    }
    verify(event_type, data, key).is_some()
}

pub(crate) fn signed(event_type: &'static str, mut data: Value, roots: &Roots) -> NewEvent {
    let signature = hex(&roots.sign(&message(event_type, &data)));
    data["signature"] = signature.into();
    event(event_type, &data)
}

/// What is signed: the type, and the data without its signature.
fn message(event_type: &str, data: &Value) -> Vec<u8> {
    let mut message = format!("{SIGNED_LABEL}{event_type}\n").into_bytes();
    message.extend_from_slice(canonical(data).as_bytes());
    message
}

fn verify(event_type: &str, data: &Value, key: &str) -> Option<()> {
    let mut unsigned = data.clone();
    let signature = unsigned.as_object_mut()?.shift_remove("signature")?;
    is_signed(&message(event_type, &unsigned), key, signature.as_str()?).then_some(())
}

pub(crate) fn event(event_type: &'static str, data: &Value) -> NewEvent {
    // A constant name, well within every limit.
    let event_type = EventType::new(event_type).unwrap_or_else(|_| unreachable!("a constant name"));
    NewEvent::json(event_type, data.to_string())
}

pub(crate) fn stream() -> StreamName {
    StreamName::new(PRIVACY_STREAM).unwrap_or_else(|_| unreachable!("a constant name"))
}

/// Appends one of these events. Gives its position and the time that the log gave it, where the log tells.
pub(crate) async fn append(
    store: &(impl EventStore + ?Sized),
    expected: ExpectedRevision,
    event: NewEvent,
) -> Result<Position, AppendError> {
    let appended = store.append_to(stream(), expected, vec![event]).await?;
    Ok(appended.first.unwrap_or_default())
}

/// Why something is done and who does it are said, and are no longer than they may be.
pub(crate) fn check_account(reason: &str, actor: &str) -> Result<(), VaultError> {
    for (what, text) in [("reason", reason), ("actor", actor)] {
        if text.trim().is_empty() {
            return Err(VaultError::Invalid { why: format!("this needs its {what}: say one") });
        }
        if text.len() > MAX_REASON_BYTES {
            let actual = text.len();
            let why = format!("the {what} has at most {MAX_REASON_BYTES} bytes, this one has {actual}");
            return Err(VaultError::Invalid { why });
        }
    }
    Ok(())
}

pub(crate) fn text<'a>(data: &'a Value, member: &str) -> Option<&'a str> {
    data[member].as_str()
}

/// `Some(None)` for what is not there, `None` for what is wrong.
pub(crate) fn optional(data: &Value, member: &str) -> Option<Option<Purpose>> {
    match &data[member] {
        Value::Null => Some(None),
        purpose => Purpose::new(purpose.as_str()?).ok().map(Some),
    }
}

/// When a moment was, in a receipt.
pub(crate) fn moment(data: &Value, member: &str) -> Option<Timestamp> {
    Timestamp::parse(text(data, member)?).ok()
}
