//! The work items of an application: the log's `W_*` activities, under their Dutch names.

use crate::Lifecycle;

/// A kind of work on an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkItem {
    /// `W_Afhandelen leads`: follow up an incomplete first submission.
    FollowUpLead,
    /// `W_Completeren aanvraag`: complete a preaccepted application.
    CompleteApplication,
    /// `W_Nabellen offertes`: call after an offer was sent.
    CallAfterOffer,
    /// `W_Valideren aanvraag`: assess the application.
    AssessApplication,
    /// `W_Nabellen incomplete dossiers`: call for missing papers.
    CallForPapers,
    /// `W_Beoordelen fraude`: look into a suspicion of fraud.
    JudgeFraud,
    /// `W_Wijzigen contractgegevens`: change the contract. The log only ever schedules it.
    ChangeContract,
}

impl WorkItem {
    /// The log's name for it.
    pub fn name(self) -> &'static str {
        match self {
            WorkItem::FollowUpLead => "W_Afhandelen leads",
            WorkItem::CompleteApplication => "W_Completeren aanvraag",
            WorkItem::CallAfterOffer => "W_Nabellen offertes",
            WorkItem::AssessApplication => "W_Valideren aanvraag",
            WorkItem::CallForPapers => "W_Nabellen incomplete dossiers",
            WorkItem::JudgeFraud => "W_Beoordelen fraude",
            WorkItem::ChangeContract => "W_Wijzigen contractgegevens",
        }
    }
}

/// Where a work item of an application stands, once it was scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkState {
    /// It waits to be started.
    pub scheduled: bool,
    /// Somebody works on it.
    pub running: bool,
}

impl WorkState {
    /// What a part of the activity's life makes of it. Any may follow any: see the deviations.
    pub fn apply(&mut self, transition: Lifecycle) {
        match transition {
            Lifecycle::Schedule => self.scheduled = true,
            Lifecycle::Start => *self = Self { scheduled: false, running: true },
            Lifecycle::Complete => self.running = false,
        }
    }

    /// A word for it.
    pub fn name(self) -> &'static str {
        match (self.running, self.scheduled) {
            (true, true) => "running, scheduled again",
            (true, false) => "running",
            (false, true) => "scheduled",
            (false, false) => "completed",
        }
    }
}
