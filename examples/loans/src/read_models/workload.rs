//! How much does each employee do, week by week?

use factum::{ApplyError, DefinitionError, Model, TypedProjection};
use factum_core::RecordedEvent;

use super::week;
use crate::{Lifecycle, LoanEvent, Step};

/// `activities` counts all that the log has of an employee, `started` and `completed` the work items among it.
const TABLES: &str = "
create table workload (
    employee text not null,
    week text not null,
    activities bigint not null,
    started bigint not null,
    completed bigint not null,
    primary key (employee, week)
)";

const ADD: &str = "
insert into workload (employee, week, activities, started, completed)
values (:employee, :week, 1, :started, :completed)
on conflict (employee, week) do update set
    activities = workload.activities + 1,
    started = workload.started + excluded.started,
    completed = workload.completed + excluded.completed";

/// The workload per employee and week. What the log says of no employee is under `nobody`.
///
/// # Errors
/// Where the declaration cannot work.
pub fn workload() -> Result<TypedProjection<LoanEvent>, DefinitionError> {
    let projection = TypedProjection::new("workload", TABLES, apply)?;
    Ok(projection.declared(|own| own.source(include_str!("workload.rs"))))
}

fn apply(event: &LoanEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    // A registration is nobody's work.
    let Some((step, activity)) = event.step() else { return Ok(()) };
    let work = |transition| i64::from(matches!(step, Step::Work(_)) && activity.transition == transition);
    let parameters = [
        ("employee", activity.resource.as_deref().unwrap_or("nobody").into()),
        ("week", week(recorded.happened_at()).into()),
        ("started", work(Lifecycle::Start).into()),
        ("completed", work(Lifecycle::Complete).into()),
    ];
    Ok(model.execute(ADD, &parameters)?)
}
