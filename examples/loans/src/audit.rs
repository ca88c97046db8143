//! Whether history obeys the rules: every event is decided again, in the light of what came before it.

use std::collections::{BTreeMap, HashMap};

use factum::{Context, Decider};
use factum_core::EventStore;
use serde::Serialize;

use crate::summary::for_each_event;
use crate::{Application, LoanDecider, LoanError, OfferState, command_behind, deviation};

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Events decided again, the registrations included.
    pub decided: u64,
    /// Those that the decider would not have decided.
    pub refused: Vec<Refusal>,
    /// What one would not expect and the rules allow, by name.
    pub deviations: BTreeMap<&'static str, u64>,
    /// Granted loans without an accepted offer: the numbers of their applications.
    pub granted_without_offer: Vec<String>,
    /// Work items that were still scheduled or running at the end, by name.
    pub open_work: BTreeMap<&'static str, u64>,
}

/// An event that the decider would not have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its stream.
    pub stream: String,
    /// Why not.
    pub why: String,
}

/// Decides every event of the loan book again.
///
/// # Errors
/// As [`crate::summarize`].
pub async fn audit(store: &dyn EventStore) -> Result<Audit, LoanError> {
    let mut audit = Audit::default();
    let mut applications: HashMap<String, Application> = HashMap::new();
    for_each_event(store, None, &mut |stream, event| {
        let application = applications.entry(stream.to_owned()).or_default();
        audit.decided += 1;
        let why = match LoanDecider.decide(application, &command_behind(&event), &Context::default()) {
            Ok(decided) if decided == [event.clone()] => None,
            Ok(decided) => Some(format!("decided {decided:?}")),
            Err(rejection) => Some(rejection.to_string()),
        };
        audit.refused.extend(why.map(|why| Refusal { stream: stream.to_owned(), why }));
        for found in deviation(application, &event) {
            *audit.deviations.entry(found.name()).or_default() += 1;
        }
        application.apply(&event);
    })
    .await?;
    for application in applications.into_values() {
        let granted = application.passed.iter().any(|status| status.is_granted());
        if granted && application.offer != OfferState::Accepted {
            audit.granted_without_offer.extend(application.number);
        }
        for (item, _) in application.work.iter().filter(|(_, work)| work.scheduled || work.running) {
            *audit.open_work.entry(item.name()).or_default() += 1;
        }
    }
    audit.granted_without_offer.sort();
    Ok(audit)
}
