//! Who was handed personal data in clear, and has it said that it forgot who was erased?
//!
//! Nothing calls back what was handed out. So each consumer outside has a name in the log, for everybody's data or for one
//! subject's, and an erasure's receipt says of each whether it has acknowledged.

use std::fmt;
use std::str::FromStr;

use factum_core::{EventStore, ExpectedRevision, Timestamp};
use serde_json::{Value, json};

use crate::error::VaultError;
use crate::ledger::{self, Ledger, MAX_REASON_BYTES, text};
use crate::receipt::Reach;
use crate::subject::{ErasureId, InvalidName, SubjectRef, check_characters, check_length};
use crate::vault::KeyVault;

/// A consumer is handed personal data.
pub const SINK_ADDED_TYPE: &str = "$sinkAdded";
/// It is handed none any more, and has none left.
pub const SINK_REMOVED_TYPE: &str = "$sinkRemoved";
/// It has forgotten who was erased.
pub const ERASURE_ACKNOWLEDGED_TYPE: &str = "$erasureAcknowledged";

/// Longest name of a sink, in bytes.
pub const MAX_SINK_BYTES: usize = 64;
/// Most sinks that one subject's receipt names.
pub const MAX_SINKS: usize = 100;

/// A consumer outside that is handed personal data in clear: a mailing list, a search index, a person who was given an export.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkName(String);

/// One consumer, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name.
    pub name: SinkName,
    /// Whose data it was handed; `None` where it may have everybody's.
    pub subject: Option<SubjectRef>,
    /// What it is, and who tells it. Never personal data.
    pub note: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a sink has said of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Which.
    pub sink: SinkName,
    /// Who said so for it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl SinkName {
    /// # Errors
    /// Where it is empty, over [`MAX_SINK_BYTES`], or has other characters than letters, digits, `-`, `_` and `.`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let what = "sink";
        check_length(what, &name, MAX_SINK_BYTES)?;
        let rule = "has letters, digits, '-', '_' and '.'";
        check_characters(what, rule, &name, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))?;
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SinkName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl Ledger {
    /// The sinks that may have data of this subject.
    pub fn sinks_of(&self, subject: SubjectRef) -> impl Iterator<Item = &Sink> {
        self.sinks.iter().filter(move |sink| sink.subject.is_none_or(|only| only == subject))
    }

    /// The sinks that may have data of an erased subject and have not said that they forgot it.
    pub fn unacknowledged(&self, erasure: ErasureId) -> Vec<&SinkName> {
        let Some(line) = self.find(erasure) else { return Vec::new() };
        let said = |sink: &&Sink| line.acknowledged.iter().any(|said| said.sink == sink.name);
        let mut names: Vec<&SinkName> =
            self.sinks_of(line.fence.subject).filter(|sink| !said(sink)).map(|sink| &sink.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What a receipt says of them: who has acknowledged, and who has not.
    pub(crate) fn sinks_reached(&self, subject: SubjectRef, erasure: ErasureId) -> (Vec<Reach>, Vec<Reach>) {
        let reach = |name: &SinkName, how| Reach { kind: "sink".to_owned(), name: name.to_string(), how };
        let said = self.find(erasure).map(|line| line.acknowledged.as_slice()).unwrap_or_default();
        let reached = said
            .iter()
            .map(|said| reach(&said.sink, format!("acknowledged at {} by {}", said.at, said.actor)));
        let mut not: Vec<&Sink> = self.sinks_of(subject).collect();
        not.retain(|sink| !said.iter().any(|said| said.sink == sink.name));
        not.sort_by(|a, b| a.name.cmp(&b.name));
        not.dedup_by(|a, b| a.name == b.name);
        let not = not.into_iter().map(|sink| {
            let how = format!(
                "was handed its data and has not acknowledged: factum privacy ack {erasure} {}",
                sink.name
            );
            reach(&sink.name, how)
        });
        (reached.collect(), not.collect())
    }

    /// `None` for an event that is not well-formed. Events of another kind are left to others.
    pub(crate) fn apply_sink(&mut self, event_type: &str, data: &Value, at: Timestamp) -> Option<()> {
        let name = SinkName::new(text(data, "sink")?).ok()?;
        let subject = match &data["subject"] {
            Value::Null => None,
            subject => Some(subject.as_str()?.parse().ok()?),
        };
        match event_type {
            SINK_ADDED_TYPE => {
                let note = text(data, "note")?.to_owned();
                self.sinks.retain(|sink| sink.name != name || sink.subject != subject);
                self.sinks.push(Sink { name, subject, note, since: at });
            }
            SINK_REMOVED_TYPE => self.sinks.retain(|sink| sink.name != name),
            _ => {
                let actor = text(data, "actor")?.to_owned();
                let line = self.find_mut(text(data, "erasure")?.parse().ok()?)?;
                if !line.acknowledged.iter().any(|said| said.sink == name) {
                    line.acknowledged.push(Acknowledged { sink: name, actor, at });
                }
            }
        }
        Some(())
    }
}

impl KeyVault {
    /// Says that a consumer is handed personal data in clear: everybody's, or one subject's. Say it before you hand it out. Says
    /// whether that is new.
    ///
    /// # Errors
    /// `Invalid` beyond [`MAX_SINKS`] or with a note over [`MAX_REASON_BYTES`]; what the log says.
    pub async fn add_sink(
        &self,
        store: &(impl EventStore + ?Sized),
        name: &SinkName,
        subject: Option<SubjectRef>,
        note: &str,
    ) -> Result<bool, VaultError> {
        if note.len() > MAX_REASON_BYTES {
            let why =
                format!("a sink's note has at most {MAX_REASON_BYTES} bytes, this one has {}", note.len());
            return Err(VaultError::Invalid { why });
        }
        let known = Ledger::read(store).await?;
        let beside = |sink: &&Sink| sink.subject.is_none() || sink.subject == subject;
        if known.sinks.iter().any(|sink| sink.name == *name && sink.subject == subject && sink.note == note) {
            return Ok(false);
        }
        if known.sinks.iter().filter(beside).count() >= MAX_SINKS {
            let why = format!("there are {MAX_SINKS} sinks already: remove those that have nothing any more");
            return Err(VaultError::Invalid { why });
        }
        let data = json!({ "sink": name.as_str(), "subject": subject.map(|s| s.to_string()), "note": note });
        self.tell(store, SINK_ADDED_TYPE, data).await?;
        Ok(true)
    }

    /// Says that a consumer has nothing any more and is handed nothing. Says whether it was known.
    ///
    /// # Errors
    /// What the log says.
    pub async fn remove_sink(
        &self,
        store: &(impl EventStore + ?Sized),
        name: &SinkName,
        actor: &str,
    ) -> Result<bool, VaultError> {
        let known = Ledger::read(store).await?;
        if !known.sinks.iter().any(|sink| sink.name == *name) {
            return Ok(false);
        }
        let data = json!({ "sink": name.as_str(), "actor": actor });
        self.tell(store, SINK_REMOVED_TYPE, data).await?;
        Ok(true)
    }

    /// Says that a sink has forgotten what an erasure erased. Says whether that is new. A receipt that was written before stays as it
    /// is; [`Ledger::unacknowledged`] has what is open.
    ///
    /// # Errors
    /// `Invalid` where log or sink do not know each other; what the log says.
    pub async fn acknowledge(
        &self,
        store: &(impl EventStore + ?Sized),
        erasure: ErasureId,
        sink: &SinkName,
        actor: &str,
    ) -> Result<bool, VaultError> {
        ledger::check_account("acknowledged", actor)?;
        let known = Ledger::read(store).await?;
        let Some(line) = known.find(erasure) else {
            let why = format!("the log knows no erasure {erasure}: see `factum privacy receipts`");
            return Err(VaultError::Invalid { why });
        };
        if line.acknowledged.iter().any(|said| said.sink == *sink) {
            return Ok(false);
        }
        if !known.sinks_of(line.fence.subject).any(|known| known.name == *sink) {
            let why =
                format!("no sink '{sink}' was handed data of this subject: see `factum privacy sinks ls`");
            return Err(VaultError::Invalid { why });
        }
        let data = json!({ "erasure": erasure.to_string(), "sink": sink.as_str(), "actor": actor });
        self.tell(store, ERASURE_ACKNOWLEDGED_TYPE, data).await?;
        Ok(true)
    }

    async fn tell(
        &self,
        store: &(impl EventStore + ?Sized),
        event_type: &'static str,
        data: Value,
    ) -> Result<(), VaultError> {
        let event = ledger::signed(event_type, data, self.roots());
        let told = ledger::append(store, ExpectedRevision::Any, event).await;
        told.map(drop).map_err(VaultError::Append)
    }
}
