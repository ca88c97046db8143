//! What does the log say of its vault: whose it is, what was to be erased, what came of it?
//!
//! The stream `$privacy` outlives every key store. It names subjects by their references only.
//!
//! | event | data |
//! |---|---|
//! | `$vaultOpened` | `vault`, `tenant`, `key` (verifies receipts, hexadecimal) |
//! | `$erasureRequested` | `erasure`, `subject`, `purpose`, `through` (a generation, or `null` for everything), `reason`, `actor` |
//! | `$keysDestroyed` | `erasure`, `subject`, `purpose`, `keys` |
//! | `$subjectErased` | `receipt`, `key`, `signature` |
//! | `$newKeysAllowed` | `erasure`, `reason`, `actor` |
//! | `$kekRotated` | `epoch`, `keys` |

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Position, Read, ReadError,
    RecordedEvent, Selector, StreamName, StreamView, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::VaultError;
use crate::key_store::{Extent, Fence};
use crate::receipt::SignedReceipt;
use crate::subject::{ErasureId, KeyId, Purpose, SubjectRef};

/// The stream in which the log keeps what concerns its vault.
pub const PRIVACY_STREAM: &str = "$privacy";
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
}

/// All that the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The vault, and the key that verifies its receipts.
    pub vault: Option<(Uuid, String)>,
    /// Erasures, in the order in which they were asked for.
    pub erasures: Vec<Erasure>,
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

    pub(crate) fn to_event(&self) -> NewEvent {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let purpose = self.purpose.as_ref().map(Purpose::as_str);
        let (erasure, subject) = (self.erasure.to_string(), self.subject.to_string());
        let data = json!({ "erasure": erasure, "subject": subject, "purpose": purpose, "keys": keys });
        event(KEYS_DESTROYED_TYPE, &data)
    }
}

impl Ledger {
    /// What the log says now.
    ///
    /// # Errors
    /// Where it cannot be read, or says what no vault says.
    pub async fn read(store: &(impl EventStore + ?Sized)) -> Result<Self, VaultError> {
        let mut ledger = Self::default();
        let read = Read::forwards(Selector::Stream(stream())).view(StreamView::Recorded);
        let events = match store.read_all(read).await {
            Ok(events) => events,
            Err(ReadError::StreamNotFound { .. }) => return Ok(ledger),
            Err(error) => return Err(VaultError::Ledger(error)),
        };
        for event in &events {
            ledger.apply(event).ok_or_else(|| {
                VaultError::Ledger(ReadError::Damaged {
                    place: format!("position {}", event.position()),
                    what: format!("'{}' in {PRIVACY_STREAM} is not what a vault writes", event.event_type()),
                })
            })?;
        }
        Ok(ledger)
    }

    fn apply(&mut self, event: &RecordedEvent) -> Option<()> {
        let data: Value = serde_json::from_slice(event.data_slice()).ok()?;
        let id = |data: &Value| -> Option<ErasureId> { text(data, "erasure")?.parse().ok() };
        match event.event_type() {
            VAULT_OPENED_TYPE => {
                let vault = text(&data, "vault")?.parse().ok()?;
                self.vault = Some((vault, text(&data, "key")?.to_owned()));
            }
            ERASURE_REQUESTED_TYPE => {
                let fence = Fence {
                    erasure: id(&data)?,
                    subject: text(&data, "subject")?.parse().ok()?,
                    purpose: optional(&data, "purpose")?,
                    extent: match &data["through"] {
                        Value::Null => Extent::Everything,
                        through => Extent::UpTo(u32::try_from(through.as_u64()?).ok()?),
                    },
                    at: event.recorded_at(),
                };
                if self.find(fence.erasure).is_none() {
                    let (reason, actor) =
                        (text(&data, "reason")?.to_owned(), text(&data, "actor")?.to_owned());
                    let (destroyed, receipt) = (None, None);
                    self.erasures.push(Erasure { fence, reason, actor, destroyed, receipt, lifted: false });
                }
            }
            KEYS_DESTROYED_TYPE => {
                let erasure = self.find_mut(id(&data)?)?;
                erasure.destroyed = Some(erasure.destroyed.unwrap_or(event.position()));
            }
            SUBJECT_ERASED_TYPE => {
                let receipt = SignedReceipt::from_json(event.data_slice())?;
                let erasure = receipt.receipt.erasure;
                self.find_mut(erasure)?.receipt = Some(receipt);
            }
            NEW_KEYS_ALLOWED_TYPE => self.find_mut(id(&data)?)?.lifted = true,
            // What a later version adds does not change what these mean.
            _ => {}
        }
        Some(())
    }

    /// One erasure.
    pub fn find(&self, erasure: ErasureId) -> Option<&Erasure> {
        self.erasures.iter().find(|line| line.fence.erasure == erasure)
    }

    fn find_mut(&mut self, erasure: ErasureId) -> Option<&mut Erasure> {
        self.erasures.iter_mut().find(|line| line.fence.erasure == erasure)
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
pub(crate) fn requested(fence: &Fence, reason: &str, actor: &str) -> NewEvent {
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
    event(ERASURE_REQUESTED_TYPE, &data).with_id(factum_core::EventId(fence.erasure.0))
}

pub(crate) fn vault_opened(vault: Uuid, tenant: &str, key: &str) -> NewEvent {
    event(VAULT_OPENED_TYPE, &json!({ "vault": vault.to_string(), "tenant": tenant, "key": key }))
}

pub(crate) fn new_keys_allowed(erasure: ErasureId, reason: &str, actor: &str) -> NewEvent {
    event(NEW_KEYS_ALLOWED_TYPE, &json!({ "erasure": erasure.to_string(), "reason": reason, "actor": actor }))
}

pub(crate) fn kek_rotated(epoch: u32, keys: u64) -> NewEvent {
    event(KEK_ROTATED_TYPE, &json!({ "epoch": epoch, "keys": keys }))
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
