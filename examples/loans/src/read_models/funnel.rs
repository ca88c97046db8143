//! Of the applications that came in during a week, how many got how far?

use factum::{ApplyError, DefinitionError, Event, Model, TypedProjection};
use factum_core::RecordedEvent;

use super::{Noted, number, week};

/// What the funnel is about: the states of applications, and nothing else of the log.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
pub enum FunnelEvent {
    /// The customer has sent it.
    #[event(name = "A_SUBMITTED")]
    Submitted(Noted),
    /// It may be accepted once it is complete.
    #[event(name = "A_PREACCEPTED")]
    Preaccepted(Noted),
    /// It is complete and accepted for an offer.
    #[event(name = "A_ACCEPTED")]
    Accepted(Noted),
    /// Offers go out.
    #[event(name = "A_FINALIZED")]
    Finalized(Noted),
    /// The loan is granted: the first of three.
    #[event(name = "A_APPROVED")]
    Approved(Noted),
    /// The loan is granted: the first of three.
    #[event(name = "A_REGISTERED")]
    Booked(Noted),
    /// The loan is granted: the first of three.
    #[event(name = "A_ACTIVATED")]
    Activated(Noted),
    /// The bank says no.
    #[event(name = "A_DECLINED")]
    Declined(Noted),
    /// The customer does not go on.
    #[event(name = "A_CANCELLED")]
    Cancelled(Noted),
}

/// A row per week: of the applications that were submitted in it, how many came to which state by now.
const TABLES: &str = "
create table funnel (
    week text primary key,
    submitted bigint not null default 0,
    preaccepted bigint not null default 0,
    accepted bigint not null default 0,
    finalized bigint not null default 0,
    granted bigint not null default 0,
    declined bigint not null default 0,
    cancelled bigint not null default 0
);
create table application (
    number text primary key,
    week text not null,
    granted bigint not null default 0
)";

const SUBMITTED: [&str; 2] = [
    "insert into application (number, week) values (:number, :week)",
    "insert into funnel (week, submitted) values (:week, 1)
     on conflict (week) do update set submitted = funnel.submitted + 1",
];

/// Each of the three grants comes once, in any order: only the first one counts.
const GRANTED: [&str; 2] = [
    "update funnel set granted = granted + 1
     where week = (select week from application where number = :number and granted = 0)",
    "update application set granted = 1 where number = :number",
];

macro_rules! reached {
    ($state:literal) => {
        concat!(
            "update funnel set ",
            $state,
            " = ",
            $state,
            " + 1 where week = (select week from application where number = :number)"
        )
    };
}

/// The funnel by week. No state comes to an application twice: see the rules in README.md.
///
/// # Errors
/// Where the declaration cannot work.
pub fn funnel() -> Result<TypedProjection<FunnelEvent>, DefinitionError> {
    Ok(TypedProjection::new("funnel", TABLES, apply)?.declared(|own| own.source(include_str!("funnel.rs"))))
}

fn apply(event: &FunnelEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let application = ("number", number(recorded).into());
    let statement = match event {
        FunnelEvent::Submitted(_) => {
            let week = week(recorded.happened_at());
            model.execute(SUBMITTED[0], &[application, ("week", week.as_str().into())])?;
            model.execute(SUBMITTED[1], &[("week", week.into())])?;
            return Ok(());
        }
        FunnelEvent::Approved(_) | FunnelEvent::Booked(_) | FunnelEvent::Activated(_) => {
            model.execute(GRANTED[0], std::slice::from_ref(&application))?;
            model.execute(GRANTED[1], &[application])?;
            return Ok(());
        }
        FunnelEvent::Preaccepted(_) => reached!("preaccepted"),
        FunnelEvent::Accepted(_) => reached!("accepted"),
        FunnelEvent::Finalized(_) => reached!("finalized"),
        FunnelEvent::Declined(_) => reached!("declined"),
        FunnelEvent::Cancelled(_) => reached!("cancelled"),
    };
    Ok(model.execute(statement, &[application])?)
}
