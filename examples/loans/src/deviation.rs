//! Where the real history leaves the order that one would expect, and the decider therefore must not insist on it.

use crate::{Application, Lifecycle, LoanEvent, Status, Step};

/// Something that one would not expect, and that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deviation {
    /// Work ended that nobody was doing.
    CompletedWithoutStart,
    /// Work was started while somebody was doing it.
    StartedTwice,
    /// Work was scheduled while it waited or ran.
    ScheduledWhileOpen,
    /// Work was started on a cancelled application.
    StartedOnCancelled,
    /// The application was declined or cancelled while the customer had an offer: the offer is closed afterwards.
    OverWithOfferOut,
}

impl Deviation {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Deviation::CompletedWithoutStart => "completed_without_start",
            Deviation::StartedTwice => "started_twice",
            Deviation::ScheduledWhileOpen => "scheduled_while_open",
            Deviation::StartedOnCancelled => "started_on_cancelled",
            Deviation::OverWithOfferOut => "over_with_offer_out",
        }
    }
}

/// The deviations of `event`, given the application before it.
pub fn deviation(before: &Application, event: &LoanEvent) -> Vec<Deviation> {
    let Some((step, activity)) = event.step() else { return Vec::new() };
    let mut found = Vec::new();
    match step {
        Step::Work(item) => {
            let work = before.work.get(&item).copied().unwrap_or_default();
            match activity.transition {
                Lifecycle::Schedule if work.scheduled || work.running => {
                    found.push(Deviation::ScheduledWhileOpen);
                }
                Lifecycle::Start if work.running => found.push(Deviation::StartedTwice),
                Lifecycle::Complete if !work.running => found.push(Deviation::CompletedWithoutStart),
                _ => {}
            }
            if activity.transition == Lifecycle::Start && before.status == Some(Status::Cancelled) {
                found.push(Deviation::StartedOnCancelled);
            }
        }
        Step::Application(next) if next.is_over() && before.offer.is_out() => {
            found.push(Deviation::OverWithOfferOut);
        }
        Step::Application(_) | Step::Offer(_) => {}
    }
    found
}
