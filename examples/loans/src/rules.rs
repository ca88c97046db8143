//! The rules that the real history obeys, each in one place. README.md says how often history had the chance not to.

use crate::{Application, Lifecycle, OfferState, OfferStep, Status, Step, WorkItem};

/// Whether the application may take `next`.
pub(crate) fn status_may_follow(application: &Application, next: Status) -> bool {
    let Some(now) = application.status else { return next == Status::Submitted };
    let granted = application.passed.iter().any(|status| status.is_granted());
    let fresh = !application.passed.contains(&next);
    fresh
        && match next {
            Status::Submitted => false,
            Status::PartlySubmitted => now == Status::Submitted,
            Status::Preaccepted => now == Status::PartlySubmitted,
            Status::Accepted => now == Status::Preaccepted,
            Status::Finalized => now == Status::Accepted,
            // The three come in any order, but each once.
            Status::Approved | Status::Registered | Status::Activated => now == Status::Finalized || granted,
            Status::Declined | Status::Cancelled => now != Status::Submitted && !granted && !now.is_over(),
        }
}

/// Whether the offer is where the application's next status needs it.
pub(crate) fn offer_allows(offer: OfferState, next: Status) -> bool {
    use OfferState::{Accepted, Cancelled, Declined, None, Selected};
    match next {
        Status::Submitted | Status::PartlySubmitted | Status::Preaccepted | Status::Accepted => offer == None,
        Status::Finalized => matches!(offer, None | Selected),
        Status::Approved | Status::Registered | Status::Activated => offer.is_out() || offer == Accepted,
        Status::Declined => offer.is_out() || matches!(offer, None | Declined),
        Status::Cancelled => offer.is_out() || matches!(offer, None | Cancelled),
    }
}

/// Whether the application is where the offer's next step needs it.
pub(crate) fn status_allows(status: Status, step: OfferStep) -> bool {
    match step {
        OfferStep::Select => matches!(status, Status::Accepted | Status::Finalized),
        OfferStep::Create | OfferStep::Send | OfferStep::SendBack => status == Status::Finalized,
        OfferStep::Accept => status == Status::Finalized || status.is_granted(),
        OfferStep::Cancel => matches!(status, Status::Finalized | Status::Cancelled),
        OfferStep::Decline => matches!(status, Status::Finalized | Status::Declined),
    }
}

/// Whether work of this kind may be scheduled now.
pub(crate) fn may_schedule(status: Status, item: WorkItem) -> bool {
    use Status::{Finalized, PartlySubmitted, Preaccepted};
    match item {
        WorkItem::FollowUpLead => status == PartlySubmitted,
        WorkItem::CompleteApplication => matches!(status, PartlySubmitted | Preaccepted),
        WorkItem::CallAfterOffer | WorkItem::AssessApplication | WorkItem::CallForPapers => {
            status == Finalized
        }
        WorkItem::JudgeFraud => matches!(status, PartlySubmitted | Preaccepted | Finalized),
        WorkItem::ChangeContract => status == Finalized || status.is_granted(),
    }
}

/// Whether work of this kind may be started now. Ending it is always allowed.
pub(crate) fn may_start(status: Status, item: WorkItem) -> bool {
    match item {
        WorkItem::FollowUpLead => status == Status::PartlySubmitted,
        WorkItem::ChangeContract => false,
        _ => status != Status::Declined,
    }
}

/// Whether a step has these parts of a life at all.
pub(crate) fn has_part(step: Step, transition: Lifecycle) -> bool {
    match step {
        Step::Application(_) | Step::Offer(_) => transition == Lifecycle::Complete,
        Step::Work(WorkItem::ChangeContract) => transition == Lifecycle::Schedule,
        Step::Work(_) => true,
    }
}
