//! What all applications come to, now or as of any moment that they lived through.

use std::collections::{BTreeMap, HashMap};

use factum::Event;
use factum_core::{
    AsOf, Category, ErrorKind, EventStore, NameError, Page, Position, Read, ReadError, Selector, Timestamp,
};
use serde::Serialize;

use crate::{Application, CATEGORY, LoanEvent, Status};

/// The loan book in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The moment, as it was given; `None`: everything that is recorded.
    pub at: Option<String>,
    /// Applications registered by then.
    pub applications: u64,
    /// Activities by then.
    pub events: u64,
    /// What those applications asked for, in whole euros.
    pub requested_eur: u64,
    /// Those applications by their last `A_*` activity by then. One without any yet is in no group.
    pub status: BTreeMap<&'static str, u64>,
}

/// Why the loan book cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoanError {
    /// An event is not one of a loan application.
    #[error(
        "'{event_type}' of stream '{stream}' at position {position} is not an event of a loan application: {source}"
    )]
    NotALoanEvent {
        /// Its type.
        event_type: String,
        /// Its stream.
        stream: String,
        /// Its place.
        position: Position,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A name may not be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl LoanError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LoanError::NotALoanEvent { .. } => ErrorKind::SchemaViolation,
            LoanError::Read(source) => source.kind(),
            LoanError::Name(_) => ErrorKind::Invalid,
        }
    }
}

/// Calls `each` with every event of the loan book that had happened by `at`, in the order of the log.
pub(crate) async fn for_each_event(
    store: &dyn EventStore,
    at: Option<Timestamp>,
    each: &mut dyn FnMut(&str, LoanEvent),
) -> Result<(), LoanError> {
    let at = at.map_or(AsOf::Now, AsOf::Occurred);
    let mut reader = store.read(Read::forwards(Selector::Category(Category::new(CATEGORY)?)).at(at)).await?;
    while let Some(Page { events, .. }) = reader.next_page().await? {
        for event in &events {
            let typed = LoanEvent::decode(event.event_type(), event.data_slice()).map_err(|source| {
                LoanError::NotALoanEvent {
                    event_type: event.event_type().to_owned(),
                    stream: event.stream().to_owned(),
                    position: event.position(),
                    source,
                }
            })?;
            each(event.stream(), typed);
        }
    }
    Ok(())
}

/// Replays the loan book as of `at`, and counts.
///
/// # Errors
/// `NotALoanEvent` where a stream of the category holds something else; `Read` where the store fails.
pub async fn summarize(
    store: &dyn EventStore,
    at: Option<(String, Timestamp)>,
) -> Result<Summary, LoanError> {
    let (text, at) = at.unzip();
    let mut applications: HashMap<String, Application> = HashMap::new();
    for_each_event(store, at, &mut |stream, event| match applications.get_mut(stream) {
        Some(application) => application.apply(&event),
        None => {
            let mut application = Application::default();
            application.apply(&event);
            applications.insert(stream.to_owned(), application);
        }
    })
    .await?;
    let mut summary = Summary { at: text, ..Summary::default() };
    for application in applications.values() {
        summary.events += application.activities;
        if application.number.is_none() {
            continue;
        }
        summary.applications += 1;
        summary.requested_eur += application.requested_eur;
        if let Some(status) = application.status.map(Status::name) {
            *summary.status.entry(status).or_default() += 1;
        }
    }
    Ok(summary)
}
