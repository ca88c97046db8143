//! What did which employee do, and how is one forgotten?

use std::sync::Arc;
use std::time::Duration;

use factum::{Event, ForgettingReadModels, Personal, Projections, Revealed};
use factum_core::read_model::ReadModels;
use factum_core::{ErrorKind, EventStore, Page, Read, ReadError, StreamName};
use factum_vault::{ErasureRequest, KeyVault, Ledger, Reach, SealingStore, Subject, VaultError};
use loans::{CATEGORY, ERASED, Lifecycle, LoanEvent, workload};
use serde::Serialize;

use crate::{Failure, print};

/// How long the read model may take to come to the erasure.
const PATIENCE: Duration = Duration::from_secs(600);

/// One activity, and who did it.
#[derive(Serialize)]
struct Done<'a> {
    at: &'a str,
    activity: &'static str,
    transition: Lifecycle,
    /// `null` where the log names nobody, `erased` where it did.
    employee: Option<&'a str>,
    /// The erasure, where the employee was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure: Option<String>,
}

/// Prints what was done about an application. A name that cannot be opened is an error, never nobody.
pub(crate) async fn activities(store: &SealingStore, number: &str) -> Result<(), Failure> {
    let failed = |error: ReadError| Failure::new(error.kind(), &error);
    let stream = StreamName::new(format!("{CATEGORY}-{number}"))
        .map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    let mut reader = store.read(Read::stream(stream)).await.map_err(failed)?;
    while let Some(Page { events, .. }) = reader.next_page().await.map_err(failed)? {
        for event in &events {
            let decoded = LoanEvent::decode(event.event_type(), event.data_slice());
            let decoded = decoded.map_err(|error| Failure::new(ErrorKind::SchemaViolation, &error))?;
            let Some((step, activity)) = decoded.step() else { continue };
            let (employee, erasure) = match activity.resource.as_ref().map(Personal::read).transpose() {
                Ok(Some(Revealed::Value(employee))) => (Some(employee.as_str()), None),
                Ok(Some(Revealed::Erased(erased))) => (Some(ERASED), Some(erased.erasure.to_string())),
                Ok(None) => (None, None),
                Err(why) => {
                    let what = format!("who did {} at {} cannot be read: {why}", step.name(), activity.at);
                    return Err(Failure::new(ErrorKind::Unavailable, &what));
                }
            };
            let (at, transition) = (activity.at.as_str(), activity.transition);
            print(&Done { at, activity: step.name(), transition, employee, erasure })?;
        }
    }
    Ok(())
}

/// What a receipt says.
#[derive(Serialize)]
struct Forgotten {
    erasure: String,
    keys_destroyed: usize,
    reached: Vec<String>,
    not_reached: Vec<String>,
}

/// Destroys an employee's keys, and waits until `workload` has forgotten, which is applied meanwhile. Other read models of the
/// store have to be applied by their own programs.
pub(crate) async fn forget(
    store: SealingStore,
    employee: &str,
    reason: &str,
    read_models: Arc<dyn ReadModels>,
) -> Result<(), Failure> {
    let subject = Subject::new(employee).map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    let (vault, log) = (store.vault().clone(), Arc::clone(store.sealed()));
    let request = request(&vault, &*log, &subject, reason).await?;
    let projections = Projections::open(Arc::new(store), Arc::clone(&read_models)).await;
    let projections = projections.map_err(|error| Failure::new(error.kind(), &error))?;
    let workload = workload().map_err(|error| Failure::new(ErrorKind::SchemaViolation, &error))?;
    let handle = projections.start(workload).await.map_err(|error| Failure::new(error.kind(), &error))?;
    let forgetting = ForgettingReadModels::new(Arc::clone(&log), read_models, PATIENCE);
    let receipt = vault.erase(&*log, &request, &[&forgetting]).await;
    let receipt = receipt.map_err(|error| Failure::new(error.kind(), &error))?.receipt;
    drop(handle);
    let places = |reached: &[Reach]| reached.iter().map(Reach::to_string).collect();
    print(&Forgotten {
        erasure: receipt.erasure.to_string(),
        keys_destroyed: receipt.keys.len(),
        reached: places(&receipt.reached),
        not_reached: places(&receipt.not_reached),
    })
}

/// The erasure that was asked for before, to go on with it; else a new one, of somebody whom the log knows.
async fn request(
    vault: &KeyVault,
    log: &dyn EventStore,
    subject: &Subject,
    reason: &str,
) -> Result<ErasureRequest, Failure> {
    let failed = |error: VaultError| Failure::new(error.kind(), &error);
    let subject = vault.subject_ref(subject);
    let request = ErasureRequest::everything(subject, reason, "loans");
    if let Some(asked) = Ledger::read(log).await.map_err(failed)?.standing(subject, None) {
        return Ok(request.as_erasure(asked.fence.erasure));
    }
    if vault.keys_of(subject).await.map_err(failed)?.is_empty() {
        let what = "no event names that employee: check the number; nothing was done";
        return Err(Failure::new(ErrorKind::NotFound, &what));
    }
    Ok(request)
}
