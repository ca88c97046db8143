//! The facts of a loan application, as the imported log holds them.

use factum::Event;

use crate::{Activity, OfferStep, Registration, Status, WorkItem};

/// Everything that happens to an application. The names are those of the log's activities.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
pub enum LoanEvent {
    /// The application came in: the trace's own attributes.
    #[event(name = "TraceStarted")]
    Registered(Registration),
    /// The customer has sent it.
    #[event(name = "A_SUBMITTED")]
    Submitted(Activity),
    /// The first automatic checks are through.
    #[event(name = "A_PARTLYSUBMITTED")]
    PartlySubmitted(Activity),
    /// It may be accepted once it is complete.
    #[event(name = "A_PREACCEPTED")]
    Preaccepted(Activity),
    /// It is complete and accepted for an offer.
    #[event(name = "A_ACCEPTED")]
    Accepted(Activity),
    /// Offers go out.
    #[event(name = "A_FINALIZED")]
    Finalized(Activity),
    /// The loan is approved.
    #[event(name = "A_APPROVED")]
    Approved(Activity),
    /// The loan is in the books.
    #[event(name = "A_REGISTERED")]
    Booked(Activity),
    /// The loan is paid out.
    #[event(name = "A_ACTIVATED")]
    Activated(Activity),
    /// The bank says no.
    #[event(name = "A_DECLINED")]
    Declined(Activity),
    /// The customer does not go on.
    #[event(name = "A_CANCELLED")]
    Cancelled(Activity),
    /// An offer was chosen.
    #[event(name = "O_SELECTED")]
    OfferSelected(Activity),
    /// The offer is written.
    #[event(name = "O_CREATED")]
    OfferCreated(Activity),
    /// The customer has the offer.
    #[event(name = "O_SENT")]
    OfferSent(Activity),
    /// The customer has answered.
    #[event(name = "O_SENT_BACK")]
    OfferSentBack(Activity),
    /// The offer holds.
    #[event(name = "O_ACCEPTED")]
    OfferAccepted(Activity),
    /// The offer was withdrawn.
    #[event(name = "O_CANCELLED")]
    OfferCancelled(Activity),
    /// The bank withdrew the offer for good.
    #[event(name = "O_DECLINED")]
    OfferDeclined(Activity),
    /// Follow up an incomplete first submission.
    #[event(name = "W_Afhandelen leads")]
    LeadWork(Activity),
    /// Complete a preaccepted application.
    #[event(name = "W_Completeren aanvraag")]
    CompletionWork(Activity),
    /// Call after an offer was sent.
    #[event(name = "W_Nabellen offertes")]
    OfferCallWork(Activity),
    /// Assess the application.
    #[event(name = "W_Valideren aanvraag")]
    AssessmentWork(Activity),
    /// Call for missing papers.
    #[event(name = "W_Nabellen incomplete dossiers")]
    PapersWork(Activity),
    /// Look into a suspicion of fraud.
    #[event(name = "W_Beoordelen fraude")]
    FraudWork(Activity),
    /// Change the contract.
    #[event(name = "W_Wijzigen contractgegevens")]
    ContractWork(Activity),
}

/// What an activity is a step of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The application takes this status.
    Application(Status),
    /// Its offer takes this step.
    Offer(OfferStep),
    /// Something is done about this work item.
    Work(WorkItem),
}

impl Step {
    /// The log's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Application(status) => status.name(),
            Step::Offer(step) => step.name(),
            Step::Work(item) => item.name(),
        }
    }

    /// The event of this step.
    pub fn event(self, activity: Activity) -> LoanEvent {
        let make = match self {
            Step::Application(Status::Submitted) => LoanEvent::Submitted,
            Step::Application(Status::PartlySubmitted) => LoanEvent::PartlySubmitted,
            Step::Application(Status::Preaccepted) => LoanEvent::Preaccepted,
            Step::Application(Status::Accepted) => LoanEvent::Accepted,
            Step::Application(Status::Finalized) => LoanEvent::Finalized,
            Step::Application(Status::Approved) => LoanEvent::Approved,
            Step::Application(Status::Registered) => LoanEvent::Booked,
            Step::Application(Status::Activated) => LoanEvent::Activated,
            Step::Application(Status::Declined) => LoanEvent::Declined,
            Step::Application(Status::Cancelled) => LoanEvent::Cancelled,
            Step::Offer(OfferStep::Select) => LoanEvent::OfferSelected,
            Step::Offer(OfferStep::Create) => LoanEvent::OfferCreated,
            Step::Offer(OfferStep::Send) => LoanEvent::OfferSent,
            Step::Offer(OfferStep::SendBack) => LoanEvent::OfferSentBack,
            Step::Offer(OfferStep::Accept) => LoanEvent::OfferAccepted,
            Step::Offer(OfferStep::Cancel) => LoanEvent::OfferCancelled,
            Step::Offer(OfferStep::Decline) => LoanEvent::OfferDeclined,
            Step::Work(WorkItem::FollowUpLead) => LoanEvent::LeadWork,
            Step::Work(WorkItem::CompleteApplication) => LoanEvent::CompletionWork,
            Step::Work(WorkItem::CallAfterOffer) => LoanEvent::OfferCallWork,
            Step::Work(WorkItem::AssessApplication) => LoanEvent::AssessmentWork,
            Step::Work(WorkItem::CallForPapers) => LoanEvent::PapersWork,
            Step::Work(WorkItem::JudgeFraud) => LoanEvent::FraudWork,
            Step::Work(WorkItem::ChangeContract) => LoanEvent::ContractWork,
        };
        make(activity)
    }
}

impl LoanEvent {
    /// The step and the activity; `None` for the registration.
    pub fn step(&self) -> Option<(Step, &Activity)> {
        let (step, activity) = match self {
            LoanEvent::Registered(_) => return None,
            LoanEvent::Submitted(activity) => (Step::Application(Status::Submitted), activity),
            LoanEvent::PartlySubmitted(activity) => (Step::Application(Status::PartlySubmitted), activity),
            LoanEvent::Preaccepted(activity) => (Step::Application(Status::Preaccepted), activity),
            LoanEvent::Accepted(activity) => (Step::Application(Status::Accepted), activity),
            LoanEvent::Finalized(activity) => (Step::Application(Status::Finalized), activity),
            LoanEvent::Approved(activity) => (Step::Application(Status::Approved), activity),
            LoanEvent::Booked(activity) => (Step::Application(Status::Registered), activity),
            LoanEvent::Activated(activity) => (Step::Application(Status::Activated), activity),
            LoanEvent::Declined(activity) => (Step::Application(Status::Declined), activity),
            LoanEvent::Cancelled(activity) => (Step::Application(Status::Cancelled), activity),
            LoanEvent::OfferSelected(activity) => (Step::Offer(OfferStep::Select), activity),
            LoanEvent::OfferCreated(activity) => (Step::Offer(OfferStep::Create), activity),
            LoanEvent::OfferSent(activity) => (Step::Offer(OfferStep::Send), activity),
            LoanEvent::OfferSentBack(activity) => (Step::Offer(OfferStep::SendBack), activity),
            LoanEvent::OfferAccepted(activity) => (Step::Offer(OfferStep::Accept), activity),
            LoanEvent::OfferCancelled(activity) => (Step::Offer(OfferStep::Cancel), activity),
            LoanEvent::OfferDeclined(activity) => (Step::Offer(OfferStep::Decline), activity),
            LoanEvent::LeadWork(activity) => (Step::Work(WorkItem::FollowUpLead), activity),
            LoanEvent::CompletionWork(activity) => (Step::Work(WorkItem::CompleteApplication), activity),
            LoanEvent::OfferCallWork(activity) => (Step::Work(WorkItem::CallAfterOffer), activity),
            LoanEvent::AssessmentWork(activity) => (Step::Work(WorkItem::AssessApplication), activity),
            LoanEvent::PapersWork(activity) => (Step::Work(WorkItem::CallForPapers), activity),
            LoanEvent::FraudWork(activity) => (Step::Work(WorkItem::JudgeFraud), activity),
            LoanEvent::ContractWork(activity) => (Step::Work(WorkItem::ChangeContract), activity),
        };
        Some((step, activity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lifecycle;

    #[test]
    fn step_and_event_are_two_names_of_one_thing() {
        let kinds = LoanEvent::kinds();
        assert_eq!(kinds.len(), 25);
        for kind in &kinds[1..] {
            let name = kind.event_type;
            let data = format!(
                r#"{{"lifecycle:transition":"COMPLETE","concept:name":"{name}","time:timestamp":"2011-10-01T00:38:44.546+02:00"}}"#
            );
            let event = LoanEvent::decode(name, data.as_bytes()).unwrap();
            let (step, activity) = event.step().unwrap();
            assert_eq!((step.name(), activity.transition), (name, Lifecycle::Complete));
            assert_eq!(step.event(activity.clone()), event);
            assert_eq!(event.encode().unwrap(), data.as_bytes());
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let data = br#"{"lifecycle:transition":"COMPLETE","concept:name":"A_SUBMITTED","time:timestamp":"x","extra":1}"#;
        assert!(LoanEvent::decode("A_SUBMITTED", data).is_err());
        assert!(LoanEvent::decode("A_UNHEARD_OF", b"{}").is_err());
    }
}
