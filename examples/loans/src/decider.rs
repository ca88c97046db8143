//! What may be asked of an application, and what is answered.

use factum::{Context, Decider, Personal};

use crate::rules::{has_part, may_schedule, may_start, offer_allows, status_allows, status_may_follow};
use crate::{
    Activity, Application, Lifecycle, LoanEvent, OfferState, OfferStep, Registration, Status, Step, WorkItem,
};

/// The rules of an application. The log of the BPI Challenge 2012 obeys every one of them in every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoanDecider;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoanCommand {
    /// An application comes in.
    Register(Registration),
    /// Something is done about it.
    Take {
        /// What.
        step: Step,
        /// Which part of it.
        transition: Lifecycle,
        /// Who does it, if it is not the system.
        resource: Option<Personal<String>>,
        /// When: RFC 3339.
        at: String,
    },
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing happens to an application that is not registered.
    #[error("the application is not registered")]
    NotRegistered,
    /// It is registered once.
    #[error("the application is registered already")]
    AlreadyRegistered,
    /// Something other than `A_SUBMITTED` comes first.
    #[error("{} comes before A_SUBMITTED", step.name())]
    NotSubmitted {
        /// What was asked.
        step: Step,
    },
    /// The status cannot follow, or was had before.
    #[error("{} may not follow {}", next.name(), from.name())]
    StatusOrder {
        /// The status.
        from: Status,
        /// What was asked.
        next: Status,
    },
    /// The offer is not where the status needs it.
    #[error("{} is not possible while the offer is {}", next.name(), offer.name())]
    OfferNotReady {
        /// Where the offer stands.
        offer: OfferState,
        /// What was asked.
        next: Status,
    },
    /// The offer's step cannot follow.
    #[error("{} may not follow while the offer is {}", step.name(), offer.name())]
    OfferOrder {
        /// Where the offer stands.
        offer: OfferState,
        /// What was asked.
        step: OfferStep,
    },
    /// What was asked is not for an application in this status.
    #[error("{} ({transition:?}) is not possible for an application in {}", step.name(), status.name())]
    NotInThisStatus {
        /// The status.
        status: Status,
        /// What was asked.
        step: Step,
        /// Which part of it.
        transition: Lifecycle,
    },
    /// Work is done that was never scheduled.
    #[error("{} was never scheduled", item.name())]
    NotScheduled {
        /// The work item.
        item: WorkItem,
    },
    /// A step does not have this part.
    #[error("{} is never {transition:?}", step.name())]
    NoSuchPart {
        /// What was asked.
        step: Step,
        /// Which part of it.
        transition: Lifecycle,
    },
}

impl Decider for LoanDecider {
    type State = Application;
    type Command = LoanCommand;
    type Event = LoanEvent;
    type Rejection = Rejection;

    fn initial_state(&self) -> Application {
        Application::default()
    }

    fn evolve(&self, state: &mut Application, event: &LoanEvent) {
        state.apply(event);
    }

    fn decide(
        &self,
        state: &Application,
        command: &LoanCommand,
        _: &Context,
    ) -> Result<Vec<LoanEvent>, Rejection> {
        match command {
            LoanCommand::Register(_) if state.number.is_some() => Err(Rejection::AlreadyRegistered),
            LoanCommand::Register(registration) => Ok(vec![LoanEvent::Registered(registration.clone())]),
            LoanCommand::Take { .. } if state.number.is_none() => Err(Rejection::NotRegistered),
            LoanCommand::Take { step, transition, resource, at } => {
                check(state, *step, *transition)?;
                Ok(vec![step.event(Activity {
                    resource: resource.clone(),
                    transition: *transition,
                    name: step.name().to_owned(),
                    at: at.clone(),
                })])
            }
        }
    }
}

fn check(state: &Application, step: Step, transition: Lifecycle) -> Result<(), Rejection> {
    if !has_part(step, transition) {
        return Err(Rejection::NoSuchPart { step, transition });
    }
    let Some(status) = state.status else {
        return match step {
            Step::Application(Status::Submitted) => Ok(()),
            step => Err(Rejection::NotSubmitted { step }),
        };
    };
    let not_now = || Rejection::NotInThisStatus { status, step, transition };
    let allowed = |allowed: bool| if allowed { Ok(()) } else { Err(not_now()) };
    match step {
        Step::Application(next) if !status_may_follow(state, next) => {
            Err(Rejection::StatusOrder { from: status, next })
        }
        Step::Application(next) if !offer_allows(state.offer, next) => {
            Err(Rejection::OfferNotReady { offer: state.offer, next })
        }
        Step::Application(_) => Ok(()),
        Step::Offer(step) if state.offer.after(step).is_none() => {
            Err(Rejection::OfferOrder { offer: state.offer, step })
        }
        Step::Offer(step) => allowed(status_allows(status, step)),
        Step::Work(item) => match transition {
            Lifecycle::Schedule => allowed(may_schedule(status, item)),
            _ if !state.work.contains_key(&item) => Err(Rejection::NotScheduled { item }),
            Lifecycle::Start => allowed(may_start(status, item)),
            // Work that was begun may end whatever became of the application.
            Lifecycle::Complete => Ok(()),
        },
    }
}

/// The command that an event must have come from.
pub fn command_behind(event: &LoanEvent) -> LoanCommand {
    match (event, event.step()) {
        (_, Some((step, activity))) => LoanCommand::Take {
            step,
            transition: activity.transition,
            resource: activity.resource.clone(),
            at: activity.at.clone(),
        },
        (LoanEvent::Registered(registration), None) => LoanCommand::Register(registration.clone()),
        // Every event but the registration is a step.
        (_, None) => unreachable!("an event without a step"),
    }
}
