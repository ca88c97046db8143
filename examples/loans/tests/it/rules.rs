//! The rules of an application, by example.

use factum::given;
use loans::{
    Activity, Lifecycle, LoanCommand, LoanDecider, LoanEvent, OfferState, OfferStep, Registration, Rejection,
    Status, Step, WorkItem,
};

const AT: &str = "2011-10-01T00:38:44.546+02:00";

fn registration() -> Registration {
    Registration { at: AT.to_owned(), number: "173688".to_owned(), requested_eur: 20_000 }
}

fn happened(step: Step, transition: Lifecycle) -> LoanEvent {
    let (name, at) = (step.name().to_owned(), AT.to_owned());
    step.event(Activity { resource: None, transition, name, at })
}

fn take(step: Step, transition: Lifecycle) -> LoanCommand {
    LoanCommand::Take { step, transition, resource: None, at: AT.to_owned() }
}

fn status(status: Status) -> Step {
    Step::Application(status)
}

/// What happened to an application that took these steps, all complete but the work that is scheduled.
fn past(steps: &[Step]) -> Vec<LoanEvent> {
    let event = |step: &Step| match step {
        Step::Work(_) => happened(*step, Lifecycle::Schedule),
        _ => happened(*step, Lifecycle::Complete),
    };
    std::iter::once(LoanEvent::Registered(registration())).chain(steps.iter().map(event)).collect()
}

const SUBMITTED: [Step; 2] =
    [Step::Application(Status::Submitted), Step::Application(Status::PartlySubmitted)];

fn with_offer_sent() -> Vec<Step> {
    let mut steps = SUBMITTED.to_vec();
    steps.extend([Status::Preaccepted, Status::Accepted, Status::Finalized].map(Step::Application));
    steps.extend([OfferStep::Select, OfferStep::Create, OfferStep::Send].map(Step::Offer));
    steps
}

fn accepted(past_steps: &[Step], step: Step, transition: Lifecycle) {
    given(LoanDecider, past(past_steps)).when(take(step, transition)).then([happened(step, transition)]);
}

fn rejected(past_steps: &[Step], step: Step, transition: Lifecycle, rejection: Rejection) {
    given(LoanDecider, past(past_steps)).when(take(step, transition)).then_rejected(rejection);
}

#[test]
fn an_application_is_registered_once_and_first() {
    let register = || LoanCommand::Register(registration());
    given(LoanDecider, []).when(register()).then([LoanEvent::Registered(registration())]);
    given(LoanDecider, past(&[])).when(register()).then_rejected(Rejection::AlreadyRegistered);
    let submit = take(status(Status::Submitted), Lifecycle::Complete);
    given(LoanDecider, []).when(submit).then_rejected(Rejection::NotRegistered);
    let step = status(Status::PartlySubmitted);
    rejected(&[], step, Lifecycle::Complete, Rejection::NotSubmitted { step });
}

#[test]
fn statuses_follow_their_order() {
    use Lifecycle::Complete;
    let order = |from, next| Rejection::StatusOrder { from, next };
    accepted(&SUBMITTED, status(Status::Declined), Complete);
    rejected(
        &SUBMITTED,
        status(Status::Accepted),
        Complete,
        order(Status::PartlySubmitted, Status::Accepted),
    );
    let again = order(Status::PartlySubmitted, Status::PartlySubmitted);
    rejected(&SUBMITTED, status(Status::PartlySubmitted), Complete, again);
    let declined = [SUBMITTED.as_slice(), &[status(Status::Declined)]].concat();
    rejected(&declined, status(Status::Cancelled), Complete, order(Status::Declined, Status::Cancelled));
    let no_part = Rejection::NoSuchPart { step: status(Status::Declined), transition: Lifecycle::Start };
    rejected(&SUBMITTED, status(Status::Declined), Lifecycle::Start, no_part);
}

#[test]
fn a_granted_loan_is_noted_in_any_order_but_once() {
    use Lifecycle::Complete;
    let mut steps = with_offer_sent();
    for next in [Status::Activated, Status::Registered, Status::Approved] {
        accepted(&steps, status(next), Complete);
        steps.push(status(next));
        let again = Rejection::StatusOrder { from: next, next };
        rejected(&steps, status(next), Complete, again);
    }
    let late = Rejection::StatusOrder { from: Status::Approved, next: Status::Declined };
    rejected(&steps, status(Status::Declined), Complete, late);
    accepted(&steps, Step::Offer(OfferStep::Accept), Complete);
}

#[test]
fn a_loan_needs_an_offer_that_is_out() {
    let steps = &with_offer_sent()[..5];
    let rejection = Rejection::OfferNotReady { offer: OfferState::None, next: Status::Approved };
    rejected(steps, status(Status::Approved), Lifecycle::Complete, rejection);
}

#[test]
fn a_new_offer_replaces_the_one_that_is_out() {
    use Lifecycle::Complete;
    let mut steps = with_offer_sent();
    steps.push(Step::Offer(OfferStep::Select));
    let step = OfferStep::Create;
    let rejection = Rejection::OfferOrder { offer: OfferState::Replacing, step };
    rejected(&steps, Step::Offer(step), Complete, rejection);
    accepted(&steps, Step::Offer(OfferStep::Cancel), Complete);
    steps.push(Step::Offer(OfferStep::Cancel));
    accepted(&steps, Step::Offer(step), Complete);
    given(LoanDecider, past(&steps)).when(take(Step::Offer(step), Complete)).then_state(|application| {
        assert_eq!((application.offer, application.offers), (OfferState::Created, 2));
    });
}

#[test]
fn an_offer_may_be_closed_after_the_application_is_over() {
    use Lifecycle::Complete;
    let over = |with| [with_offer_sent(), vec![status(with)]].concat();
    accepted(&over(Status::Declined), Step::Offer(OfferStep::Decline), Complete);
    accepted(&over(Status::Cancelled), Step::Offer(OfferStep::Cancel), Complete);
    let step = Step::Offer(OfferStep::Decline);
    let not_now = Rejection::NotInThisStatus { status: Status::Cancelled, step, transition: Complete };
    rejected(&over(Status::Cancelled), step, Complete, not_now);
}

#[test]
fn work_is_scheduled_first_and_in_its_time() {
    let lead = Step::Work(WorkItem::FollowUpLead);
    let never = Rejection::NotScheduled { item: WorkItem::FollowUpLead };
    rejected(&SUBMITTED, lead, Lifecycle::Start, never);
    accepted(&SUBMITTED, lead, Lifecycle::Schedule);
    let scheduled = [SUBMITTED.as_slice(), &[lead]].concat();
    accepted(&scheduled, lead, Lifecycle::Start);
    let declined = [scheduled.as_slice(), &[status(Status::Declined)]].concat();
    let transition = Lifecycle::Start;
    let over = Rejection::NotInThisStatus { status: Status::Declined, step: lead, transition };
    rejected(&declined, lead, transition, over);
    accepted(&declined, lead, Lifecycle::Complete);
    let offers = Step::Work(WorkItem::CallAfterOffer);
    let transition = Lifecycle::Schedule;
    let early = Rejection::NotInThisStatus { status: Status::PartlySubmitted, step: offers, transition };
    rejected(&SUBMITTED, offers, transition, early);
}
