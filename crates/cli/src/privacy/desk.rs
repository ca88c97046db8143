//! What a server asks of the vault, answered with what the commands do.

use std::sync::Arc;
use std::time::Duration;

use factum::ForgettingReadModels;
use factum_core::read_model::ReadModels;
use factum_core::{BoxFuture, Clock, RecordedEvent, SystemClock};
use factum_server::{Answer, By, DeskError, Erased, PrivacyDesk};
use factum_vault::{
    EraseError, Erasure, ErasureId, ErasureRequest, Ledger, Preview, Reach, SealingStore, SubjectRef,
};
use serde_json::{Map, Value, json};

use super::erase::{NotErased, begun, erase_until, holding, is_rebuilt};
use super::receipts::{line_of, receipt_of};
use super::show::state;
use super::verify::check;
use super::{Opened, subject_ref};
use crate::failure::{Exit, Failure};
use crate::output::record;

/// How long an erasure waits for read models before the caller is told that it is not complete yet.
const PATIENCE: Duration = Duration::from_secs(15);

/// The vault of a served log, and the read models that forget with it. A clone is the same.
#[derive(Clone)]
pub(crate) struct Desk {
    opened: Opened,
    read_models: Option<Arc<dyn ReadModels>>,
}

impl Desk {
    /// Of this store.
    pub(crate) fn new(store: &SealingStore, read_models: Option<Arc<dyn ReadModels>>) -> Self {
        let opened = Opened { log: Arc::clone(store.sealed()), vault: store.vault().clone() };
        Self { opened, read_models }
    }

    fn subject(&self, text: &str) -> Result<SubjectRef, Failure> {
        subject_ref(text, &self.opened.vault)
    }

    async fn holding(&self) -> Result<Vec<Value>, Failure> {
        let Some(read_models) = self.read_models.clone() else { return Ok(Vec::new()) };
        let versions = on_a_thread(move || holding(&*read_models)).await?;
        let of_version = versions.iter().map(|version| {
            json!({
                "name": version.name.as_str(),
                "version": version.number.to_string(),
                "role": version.role.as_str(),
                "personal": version.personal.as_str(),
                "toRebuild": is_rebuilt(version),
            })
        });
        Ok(of_version.collect())
    }

    async fn shown(&self, text: &str) -> Result<Map<String, Value>, Failure> {
        let Opened { log, vault } = &self.opened;
        let subject = self.subject(text)?;
        let Preview { events, streams, .. } = vault.preview(&**log, subject, None).await?;
        let ledger = Ledger::read(&**log).await?;
        let keys = vault.keys_of(subject).await?.into_iter().map(|key| {
            json!({
                "id": key.id.to_string(),
                "purpose": key.owner.purpose.as_ref().map(ToString::to_string),
                "state": state(&key),
                "created": key.created.to_string(),
            })
        });
        let streams = streams.into_iter().map(|(stream, events)| json!({"stream": stream, "events": events}));
        let theirs = ledger.sinks.iter().filter(|sink| sink.subject.is_none_or(|of| of == subject));
        let sinks = theirs.map(
            |sink| json!({"name": sink.name.to_string(), "since": sink.since.to_string(), "note": sink.note}),
        );
        let hold = ledger
            .hold_of(subject)
            .map(|hold| json!({"since": hold.since.to_string(), "actor": hold.actor, "reason": hold.reason}));
        let erasures = ledger.erasures.iter().filter(|line| line.fence.subject == subject);
        let erasures = erasures.map(|line| Value::from(line_of(&ledger, line)));
        Ok(record([
            ("subject", subject.to_string().into()),
            ("keys", keys.collect::<Vec<_>>().into()),
            ("events", events.into()),
            ("streams", streams.collect::<Vec<_>>().into()),
            ("readModels", self.holding().await?.into()),
            ("sinks", sinks.collect::<Vec<_>>().into()),
            ("holds", hold.into_iter().collect::<Vec<_>>().into()),
            ("erasures", erasures.collect::<Vec<_>>().into()),
        ]))
    }

    async fn previewed(&self, text: &str) -> Result<Map<String, Value>, Failure> {
        let Opened { log, vault } = &self.opened;
        let subject = self.subject(text)?;
        begun(&Ledger::read(&**log).await?, subject, None)?;
        let preview = vault.preview(&**log, subject, None).await?;
        let holding = self.holding().await?;
        let to_rebuild: Vec<Value> = holding
            .iter()
            .filter(|version| version["toRebuild"] == true)
            .map(|version| version["name"].clone())
            .collect();
        Ok(record([
            ("subject", subject.to_string().into()),
            ("keys", preview.keys.len().into()),
            ("events", preview.events.into()),
            ("streams", preview.streams.len().into()),
            ("readModels", holding.len().into()),
            ("toRebuild", to_rebuild.into()),
        ]))
    }

    /// Waits for read models as databases wait: on a thread of its own.
    async fn erased(&self, text: &str, by: By<'_>) -> Result<Erased, Failure> {
        let (desk, subject) = (self.clone(), self.subject(text)?);
        let (reason, actor) = (by.reason.to_owned(), by.actor.to_owned());
        let runtime = tokio::runtime::Handle::current();
        on_a_thread(move || runtime.block_on(desk.erase_now(subject, &reason, &actor))).await
    }

    async fn erase_now(&self, subject: SubjectRef, reason: &str, actor: &str) -> Result<Erased, Failure> {
        let ledger = Ledger::read(&*self.opened.log).await?;
        let going_on = begun(&ledger, subject, None)?;
        if going_on.is_none()
            && let Some(Erasure { receipt: Some(receipt), .. }) = ledger.standing(subject, None)
        {
            return Ok(Erased::Complete(receipt.to_json()));
        }
        let request = going_on.unwrap_or_else(|| ErasureRequest::everything(subject, reason, actor));
        let until = SystemClock.now().saturating_add(PATIENCE);
        let handlers = || {
            let read_models = self.read_models.clone();
            let log = Arc::clone(&self.opened.log);
            Ok(read_models.map(|read_models| ForgettingReadModels::new(log, read_models, PATIENCE)))
        };
        match erase_until(&self.opened, &request, until, &handlers, &mut |_| {}).await {
            Ok(receipt) => Ok(Erased::Complete(receipt.to_json())),
            Err(NotErased::Erase(EraseError::Incomplete { erasure, missing, .. })) => {
                Ok(Erased::Incomplete {
                    erasure: erasure.to_string(),
                    missing: missing.iter().map(Reach::to_string).collect(),
                })
            }
            Err(error) => Err(error.failure(&request)),
        }
    }

    async fn listed(&self) -> Result<Vec<Map<String, Value>>, Failure> {
        let ledger = Ledger::read(&*self.opened.log).await?;
        Ok(ledger.erasures.iter().map(|line| line_of(&ledger, line)).collect())
    }

    async fn found(&self, erasure: &str) -> Result<Value, Failure> {
        let ledger = Ledger::read(&*self.opened.log).await?;
        Ok(receipt_of(&ledger, id(erasure)?)?.to_json())
    }

    async fn verified(&self, erasure: &str) -> Result<Map<String, Value>, Failure> {
        let Opened { log, vault } = &self.opened;
        let ledger = Ledger::read(&**log).await?;
        let receipt = receipt_of(&ledger, id(erasure)?)?.clone();
        let (valid, why, more) = match check(log, vault, &ledger, &receipt).await {
            Ok(verdict) => (true, verdict.verdict.to_owned(), verdict.fields(&receipt)),
            Err(failure) if failure.exit == Exit::Check => (false, failure.why().to_owned(), Map::new()),
            Err(failure) => return Err(failure),
        };
        let mut all = record([("valid", valid.into()), ("why", why.into())]);
        all.extend(more);
        Ok(all)
    }
}

/// Does what blocks where nobody waits for it.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Failure::new((Exit::Error, "internal"), "the work was not done", error.to_string(), ""))
    })
}

fn id(erasure: &str) -> Result<ErasureId, Failure> {
    erasure.parse().map_err(|_| {
        let next = "`factum privacy receipts` lists the erasures";
        Failure::not_found(format!("there is no erasure '{erasure}'"), "that is no erasure's id", next)
    })
}

impl PrivacyDesk for Desk {
    fn show<'a>(&'a self, subject: &'a str) -> Answer<'a, Map<String, Value>> {
        Box::pin(async move { self.shown(subject).await.map_err(DeskError::from) })
    }
    fn preview<'a>(&'a self, subject: &'a str) -> Answer<'a, Map<String, Value>> {
        Box::pin(async move { self.previewed(subject).await.map_err(DeskError::from) })
    }
    fn erase<'a>(&'a self, subject: &'a str, by: By<'a>) -> Answer<'a, Erased> {
        Box::pin(async move { self.erased(subject, by).await.map_err(DeskError::from) })
    }
    fn receipts(&self) -> Answer<'_, Vec<Map<String, Value>>> {
        Box::pin(async move { self.listed().await.map_err(DeskError::from) })
    }
    fn receipt<'a>(&'a self, erasure: &'a str) -> Answer<'a, Value> {
        Box::pin(async move { self.found(erasure).await.map_err(DeskError::from) })
    }
    fn verify<'a>(&'a self, erasure: &'a str) -> Answer<'a, Map<String, Value>> {
        Box::pin(async move { self.verified(erasure).await.map_err(DeskError::from) })
    }
    fn reveal(&self, events: Vec<RecordedEvent>) -> BoxFuture<'_, Vec<RecordedEvent>> {
        Box::pin(self.opened.vault.open_events(events))
    }
}
