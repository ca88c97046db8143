//! What one application's events come to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::{LoanEvent, OfferState, OfferStep, Status, Step, WorkItem, WorkState};

/// An application: nothing before it is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// Its number; `None` before it is registered.
    pub number: Option<String>,
    /// When it was registered, as it was written.
    pub registered_at: String,
    /// The amount asked for, in whole euros.
    pub requested_eur: u64,
    /// Its last `A_*` activity; `None` in the milliseconds between registration and submission.
    pub status: Option<Status>,
    /// Every status that it has had: none comes twice.
    pub passed: BTreeSet<Status>,
    /// Where its offer stands.
    pub offer: OfferState,
    /// How many offers were chosen.
    pub offers: u32,
    /// The work items that were ever scheduled.
    pub work: BTreeMap<WorkItem, WorkState>,
    /// Activities so far.
    pub activities: u64,
    /// When the last of them was, as it was written.
    pub last_at: Option<String>,
}

impl Application {
    /// What `event` makes of it.
    pub fn apply(&mut self, event: &LoanEvent) {
        if let LoanEvent::Registered(registration) = event {
            self.number = Some(registration.number.clone());
            self.registered_at = registration.at.clone();
            self.requested_eur = registration.requested_eur;
        }
        let Some((step, activity)) = event.step() else { return };
        self.activities += 1;
        self.last_at = Some(activity.at.clone());
        match step {
            Step::Application(status) => {
                self.status = Some(status);
                self.passed.insert(status);
            }
            Step::Offer(step) => {
                // It has happened: a step that no rule allows leaves the offer where it was.
                self.offer = self.offer.after(step).unwrap_or(self.offer);
                self.offers += u32::from(step == OfferStep::Select);
            }
            Step::Work(item) => self.work.entry(item).or_default().apply(activity.transition),
        }
    }

    /// Its state in words, for JSON.
    pub fn view(&self) -> ApplicationView<'_> {
        ApplicationView {
            application: self.number.as_deref(),
            registered: &self.registered_at,
            requested_eur: self.requested_eur,
            status: self.status.map(Status::name),
            granted: self.passed.iter().any(|status| status.is_granted()),
            offer: self.offer.name(),
            offers: self.offers,
            work: self.work.iter().map(|(item, state)| (item.name(), state.name())).collect(),
            activities: self.activities,
            last_activity: self.last_at.as_deref(),
        }
    }
}

/// As people see it: in words.
impl Serialize for Application {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view().serialize(serializer)
    }
}

/// An application in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplicationView<'a> {
    /// Its number.
    pub application: Option<&'a str>,
    /// When it was registered.
    pub registered: &'a str,
    /// The amount asked for, in whole euros.
    pub requested_eur: u64,
    /// Its last `A_*` activity.
    pub status: Option<&'static str>,
    /// Whether the loan is granted.
    pub granted: bool,
    /// Where its offer stands.
    pub offer: &'static str,
    /// How many offers were chosen.
    pub offers: u32,
    /// Work item by name, and where it stands.
    pub work: BTreeMap<&'static str, &'static str>,
    /// Activities so far.
    pub activities: u64,
    /// When the last of them was.
    pub last_activity: Option<&'a str>,
}
