//! How long does an application wait between its submission and the decision?

use factum::{ApplyError, DefinitionError, Event, Model, TypedProjection};
use factum_core::RecordedEvent;

use super::{Noted, number};

/// A submission, or a decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
pub enum DecisionEvent {
    /// The customer has sent it.
    #[event(name = "A_SUBMITTED")]
    Submitted(Noted),
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

/// Times are in Unix milliseconds, the log's own precision; `took_ms` is what lies between them.
const TABLES: &str = "
create table decision_times (
    application text primary key,
    submitted_ms bigint not null,
    decision text,
    decided_ms bigint,
    took_ms bigint
)";

/// The time from submission to decision, a row per application. The first decision counts; the other two notes of a
/// grant say nothing new.
///
/// # Errors
/// Where the declaration cannot work.
pub fn decision_times() -> Result<TypedProjection<DecisionEvent>, DefinitionError> {
    let projection = TypedProjection::new("decision_times", TABLES, apply)?;
    Ok(projection.declared(|own| own.source(include_str!("decision_times.rs"))))
}

fn apply(event: &DecisionEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let application = ("application", number(recorded).into());
    let at = ("at", recorded.happened_at().unix_millis().into());
    let decision = match event {
        DecisionEvent::Submitted(_) => {
            let insert = "insert into decision_times (application, submitted_ms) values (:application, :at)";
            return Ok(model.execute(insert, &[application, at])?);
        }
        DecisionEvent::Approved(_) | DecisionEvent::Booked(_) | DecisionEvent::Activated(_) => "granted",
        DecisionEvent::Declined(_) => "declined",
        DecisionEvent::Cancelled(_) => "cancelled",
    };
    let decide = "update decision_times
         set decision = :decision, decided_ms = :at, took_ms = :at - submitted_ms
         where application = :application and decision is null";
    Ok(model.execute(decide, &[application, at, ("decision", decision.into())])?)
}
