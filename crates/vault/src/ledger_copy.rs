//! How is a log's ledger of erasures kept outside the log, and applied to a log that was put back from a backup?
//!
//! A copy is text: a line that says whose it is, and a line for each event that the vault signed. It holds no key and no value, it
//! is as harmless as the log, and who has the vault's public key can check it. Applied to an older copy of the log, the missing
//! events are appended as they were, under their own ids; then the next opening of the vault carries out what they ask for.

use std::collections::HashSet;

use factum_core::{
    ErrorKind, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, Read, Selector,
    StoreId, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::VaultError;
use crate::ledger::{self, Ledger, VAULT_OPENED_TYPE, text};

/// The format of a copy. A reader refuses one that it does not know.
const COPY_FORMAT: u64 = 1;
/// Most events of a copy.
const MAX_COPIED_EVENTS: usize = 1_000_000;
/// Events that are appended at once.
const EVENTS_AT_ONCE: usize = 500;

/// A copy of a log's ledger of erasures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerCopy {
    /// The log that it was made of.
    pub log: StoreId,
    /// Its vault.
    pub vault: Uuid,
    key: String,
    events: Vec<Copied>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Copied {
    id: EventId,
    event_type: EventType,
    at: Timestamp,
    data: Value,
}

/// What applying a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerApplied {
    /// Events of the copy.
    pub events: usize,
    /// Those that the log did not have.
    pub added: usize,
    /// Erasures that the log knows now and did not before. The next opening of the vault carries them out.
    pub erasures: usize,
}

/// Why a copy of a ledger was not applied.
#[derive(Debug, thiserror::Error)]
pub enum LedgerCopyError {
    /// It is not a whole copy.
    #[error("this is no whole copy of a ledger: {why}; give what `factum privacy ledger` wrote")]
    Malformed {
        /// What is wrong, and where.
        why: String,
    },
    /// Somebody else wrote a part of it.
    #[error(
        "line {line} of the copy was not signed by the vault of this log, or was changed: nothing was applied"
    )]
    NotGenuine {
        /// Which, from 1.
        line: usize,
    },
    /// It is of another log.
    #[error("the copy is of log {found}, this is log {expected}")]
    OtherLog {
        /// This log.
        expected: StoreId,
        /// The copy's.
        found: StoreId,
    },
    /// The log does not hold what it was given.
    #[error(
        "the log took the copy's events and does not have {missing} of them: its ids are taken by other events"
    )]
    NotTaken {
        /// How many.
        missing: usize,
    },
    /// The log failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl LedgerCopyError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LedgerCopyError::Malformed { .. } | LedgerCopyError::OtherLog { .. } => ErrorKind::Invalid,
            LedgerCopyError::NotGenuine { .. } | LedgerCopyError::NotTaken { .. } => ErrorKind::Damaged,
            LedgerCopyError::Vault(error) => error.kind(),
        }
    }
}

impl LedgerCopy {
    /// Everything that the vault of this log signed in it; `None` where it has no vault. Needs no keys.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn of(store: &(impl EventStore + ?Sized)) -> Result<Option<Self>, VaultError> {
        let (mut ledger, mut events, mut of) = (Ledger::default(), Vec::new(), None);
        ledger::walk(store, |event, log| {
            if ledger.take(event, log) {
                of = Some(log);
                let data = serde_json::from_slice(event.data_slice()).unwrap_or_default();
                if let Ok(event_type) = EventType::new(event.event_type()) {
                    events.push(Copied { id: event.id(), event_type, at: event.happened_at(), data });
                }
            }
        })
        .await?;
        Ok(of.zip(ledger.vault).map(|(log, (vault, key))| Self { log, vault, key, events }))
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// The copy as lines of JSON.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let first = json!({
            "factumLedger": COPY_FORMAT,
            "log": self.log.to_string(),
            "vault": self.vault.to_string(),
            "key": self.key,
            "events": self.events.len(),
        });
        let line = |event: &Copied| {
            let (id, at) = (event.id.0.to_string(), event.at.to_string());
            json!({ "id": id, "type": event.event_type.as_str(), "at": at, "data": event.data })
        };
        std::iter::once(first).chain(self.events.iter().map(line)).map(|line| line.to_string())
    }

    /// Reads what [`lines`](Self::lines) gave, and checks each line's signature against the copy's own key.
    ///
    /// # Errors
    /// `Malformed` where it is cut off or something else, `NotGenuine`.
    pub fn parse(copy: &str) -> Result<Self, LedgerCopyError> {
        let malformed = |why: &str| LedgerCopyError::Malformed { why: why.to_owned() };
        let mut lines = copy.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let first = first.filter(|first| first["factumLedger"].as_u64() == Some(COPY_FORMAT));
        let first = first.ok_or_else(|| malformed("its first line does not say what it is"))?;
        let head = || {
            let log = text(&first, "log")?.parse().ok()?;
            let vault = text(&first, "vault")?.parse().ok()?;
            let events = usize::try_from(first["events"].as_u64()?).ok()?;
            Some((log, vault, text(&first, "key")?.to_owned(), events))
        };
        let (log, vault, key, expected) =
            head().ok_or_else(|| malformed("its first line lacks something"))?;
        if expected > MAX_COPIED_EVENTS {
            return Err(malformed(&format!("it has {expected} events, the limit is {MAX_COPIED_EVENTS}")));
        }
        let mut events = Vec::new();
        for (index, line) in lines.enumerate() {
            let event = copied(line).ok_or_else(|| malformed(&format!("line {} is no event", index + 2)))?;
            if !ledger::is_genuine(event.event_type.as_str(), &event.data, &key) {
                return Err(LedgerCopyError::NotGenuine { line: index + 2 });
            }
            events.push(event);
        }
        if events.len() != expected {
            let why = format!("it has {} of its {expected} events", events.len());
            return Err(LedgerCopyError::Malformed { why });
        }
        Ok(Self { log, vault, key, events })
    }

    /// Appends what this log does not have. `store` is the bare log; its vault is not asked. May be repeated.
    ///
    /// # Errors
    /// Where it is another log's, or the log does not take it.
    pub async fn apply(&self, store: &(impl EventStore + ?Sized)) -> Result<LedgerApplied, LedgerCopyError> {
        let head = store.read(Read::backwards(Selector::All).limit(1)).await.map_err(VaultError::Ledger)?;
        let log = head.head().snapshot.store();
        if self.log != log {
            return Err(LedgerCopyError::OtherLog { expected: log, found: self.log });
        }
        let (before, there) = known(store).await?;
        self.check_key(&before, log)?;
        let new: Vec<&Copied> = self.events.iter().filter(|event| !there.contains(&event.id)).collect();
        for some in new.chunks(EVENTS_AT_ONCE) {
            let events = some.iter().map(|event| event.to_new()).collect();
            let appended = store.append_to(ledger::stream(), ExpectedRevision::Any, events).await;
            appended.map_err(VaultError::Append)?;
        }
        let (after, there) = known(store).await?;
        let missing = self.events.iter().filter(|event| !there.contains(&event.id)).count();
        if missing > 0 {
            return Err(LedgerCopyError::NotTaken { missing });
        }
        let erasures = after.erasures.len() - before.erasures.len();
        Ok(LedgerApplied { events: self.events.len(), added: new.len(), erasures })
    }

    /// A log without a vault, from before it had one, takes the key of the event that says whose it is.
    fn check_key(&self, known: &Ledger, log: StoreId) -> Result<(), LedgerCopyError> {
        let key = match &known.vault {
            Some((_, key)) => Some(key.as_str()),
            None => self.events.iter().find_map(|event| {
                let of_log = text(&event.data, "log") == Some(log.to_string().as_str());
                let opened = event.event_type.as_str() == VAULT_OPENED_TYPE && of_log;
                if opened { text(&event.data, "key") } else { None }
            }),
        };
        if key == Some(self.key.as_str()) { Ok(()) } else { Err(LedgerCopyError::NotGenuine { line: 1 }) }
    }
}

impl Copied {
    fn to_new(&self) -> NewEvent {
        let event = NewEvent::json(self.event_type.clone(), self.data.to_string());
        event.with_id(self.id).with_occurred_at(self.at)
    }
}

/// The log's ledger, and the ids of the events that make it up.
async fn known(store: &(impl EventStore + ?Sized)) -> Result<(Ledger, HashSet<EventId>), VaultError> {
    let (mut ledger, mut ids) = (Ledger::default(), HashSet::new());
    ledger::walk(store, |event, log| {
        if ledger.take(event, log) {
            ids.insert(event.id());
        }
    })
    .await?;
    Ok((ledger, ids))
}

fn copied(line: &str) -> Option<Copied> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    Some(Copied {
        id: EventId(text(&line, "id")?.parse().ok()?),
        event_type: EventType::new(text(&line, "type")?).ok()?,
        at: Timestamp::parse(text(&line, "at")?).ok()?,
        data: line["data"].take(),
    })
}
