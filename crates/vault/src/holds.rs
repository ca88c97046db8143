//! May a subject be erased now, or must its data be kept, as for a lawsuit?
//!
//! A hold names a subject by its reference. While one stands, no erasure of the subject is begun, of whatever purpose, and nothing
//! of it expires. One that is under way goes on: its keys may be gone already.

use factum_core::{AppendError, EventStore, ExpectedRevision, NewEvent, Timestamp};
use serde_json::{Value, json};

use crate::error::VaultError;
use crate::ledger::{self, Ledger, text};
use crate::subject::SubjectRef;
use crate::vault::KeyVault;

/// A subject's data must be kept.
pub const HOLD_PLACED_TYPE: &str = "$holdPlaced";
/// It need not be kept any more.
pub const HOLD_RELEASED_TYPE: &str = "$holdReleased";

/// How often something is decided anew because the ledger changed meanwhile.
const MAX_ATTEMPTS: u32 = 16;

/// A hold that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whose data is kept.
    pub subject: SubjectRef,
    /// Why: a code or a reference, never personal data.
    pub reason: String,
    /// Who says so.
    pub actor: String,
    /// Since when.
    pub since: Timestamp,
}

impl Ledger {
    /// The hold that stands for this subject.
    pub fn hold_of(&self, subject: SubjectRef) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.subject == subject)
    }

    pub(crate) fn must_not_be_held(&self, subject: SubjectRef) -> Result<(), VaultError> {
        match self.hold_of(subject) {
            None => Ok(()),
            Some(Hold { reason, actor, since, .. }) => {
                let (reason, actor, since) = (reason.clone(), actor.clone(), *since);
                Err(VaultError::Held { subject, reason, actor, since })
            }
        }
    }

    pub(crate) fn apply_hold(&mut self, event_type: &str, data: &Value, at: Timestamp) -> Option<()> {
        let subject = text(data, "subject")?.parse().ok()?;
        let (reason, actor) = (text(data, "reason")?.to_owned(), text(data, "actor")?.to_owned());
        self.holds.retain(|hold| hold.subject != subject);
        if event_type == HOLD_PLACED_TYPE {
            self.holds.push(Hold { subject, reason, actor, since: at });
        }
        Some(())
    }
}

impl KeyVault {
    /// Keeps a subject from being erased until the hold is released. Says whether that is new.
    ///
    /// # Errors
    /// `Invalid` where an erasure of the subject is under way; what the log says.
    pub async fn hold(
        &self,
        store: &(impl EventStore + ?Sized),
        subject: SubjectRef,
        reason: &str,
        actor: &str,
    ) -> Result<bool, VaultError> {
        ledger::check_account(reason, actor)?;
        self.decide(store, |known| {
            let open = |line: &&ledger::Erasure| line.fence.subject == subject && line.receipt.is_none();
            if let Some(line) = known.erasures.iter().find(open) {
                let why = format!(
                    "erasure {} of this subject is under way: it cannot be held any more",
                    line.fence.erasure
                );
                return Err(VaultError::Invalid { why });
            }
            if known.hold_of(subject).is_some() {
                return Ok(None);
            }
            let data = json!({ "subject": subject.to_string(), "reason": reason, "actor": actor });
            Ok(Some(ledger::signed(HOLD_PLACED_TYPE, data, self.roots())))
        })
        .await
    }

    /// Lets a subject be erased again. Says whether a hold stood.
    ///
    /// # Errors
    /// What the log says.
    pub async fn release_hold(
        &self,
        store: &(impl EventStore + ?Sized),
        subject: SubjectRef,
        reason: &str,
        actor: &str,
    ) -> Result<bool, VaultError> {
        ledger::check_account(reason, actor)?;
        self.decide(store, |known| {
            let data = json!({ "subject": subject.to_string(), "reason": reason, "actor": actor });
            let event =
                known.hold_of(subject).map(|_| ledger::signed(HOLD_RELEASED_TYPE, data, self.roots()));
            Ok(event)
        })
        .await
    }

    /// Appends what is decided of the ledger, unless it changed meanwhile: then it is decided anew. So of a hold and an erasure at
    /// once, the later one sees the earlier. Says whether something was appended.
    pub(crate) async fn decide(
        &self,
        store: &(impl EventStore + ?Sized),
        decide: impl Fn(&Ledger) -> Result<Option<NewEvent>, VaultError>,
    ) -> Result<bool, VaultError> {
        let mut attempts = 1;
        loop {
            let known = Ledger::read(store).await?;
            let Some(event) = decide(&known)? else { return Ok(false) };
            let expected = known.end.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
            match ledger::append(store, expected, event).await {
                Ok(_) => return Ok(true),
                Err(AppendError::Conflict { .. }) if attempts < MAX_ATTEMPTS => attempts += 1,
                Err(error) => return Err(VaultError::Append(error)),
            }
        }
    }
}
