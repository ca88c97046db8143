//! How much does each employee do, week by week?

use factum::{ApplyError, DefinitionError, Model, Personal, Revealed, TypedProjection};
use factum_core::RecordedEvent;
use factum_vault::KeysDestroyed;

use super::week;
use crate::{Lifecycle, LoanEvent, Step};

/// Stands for the employee where the log names none.
pub const NOBODY: &str = "nobody";

/// Stands for an employee who was forgotten.
pub const ERASED: &str = "erased";

/// `activities` counts all that the log has of an employee, `started` and `completed` the work items among it. `subject` is what
/// the vault calls the employee, empty for nobody: rows are counted by it, and stay apart when names are forgotten.
const TABLES: &str = "
create table workload (
    employee text not null,
    week text not null,
    activities bigint not null,
    started bigint not null,
    completed bigint not null,
    subject text not null,
    primary key (subject, week)
)";

const ADD: &str = "
insert into workload (employee, week, activities, started, completed, subject)
values (:employee, :week, 1, :started, :completed, :subject)
on conflict (subject, week) do update set
    activities = workload.activities + 1,
    started = workload.started + excluded.started,
    completed = workload.completed + excluded.completed";

/// The workload per employee and week. What the log says of no employee is under [`NOBODY`], the work of those who were
/// forgotten under [`ERASED`].
///
/// # Errors
/// Where the declaration cannot work.
pub fn workload() -> Result<TypedProjection<LoanEvent>, DefinitionError> {
    let projection = TypedProjection::new("workload", TABLES, apply)?;
    let projection = projection.declared(|own| own.source(include_str!("workload.rs")));
    Ok(projection.forgets(forget))
}

fn apply(event: &LoanEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    // A registration is nobody's work.
    let Some((step, activity)) = event.step() else { return Ok(()) };
    let work = |transition| i64::from(matches!(step, Step::Work(_)) && activity.transition == transition);
    let (employee, subject) = match &activity.resource {
        Some(employee) => named(employee)?,
        None => (NOBODY, String::new()),
    };
    let parameters = [
        ("employee", employee.into()),
        ("week", week(recorded.happened_at()).into()),
        ("started", work(Lifecycle::Start).into()),
        ("completed", work(Lifecycle::Complete).into()),
        ("subject", subject.into()),
    ];
    Ok(model.execute(ADD, &parameters)?)
}

/// What to call an employee, and whose the row is. A name that cannot be opened now is waited for.
fn named(employee: &Personal<String>) -> Result<(&str, String), ApplyError> {
    let name = match employee.read()? {
        Revealed::Value(name) => name.as_str(),
        Revealed::Erased(_) => ERASED,
    };
    Ok((name, employee.subject().map_or_else(|| ERASED.to_owned(), |subject| subject.to_string())))
}

fn forget(erased: &KeysDestroyed, model: &mut Model<'_>) -> Result<(), ApplyError> {
    if erased.purpose.is_some() {
        // Employees are kept for no purpose of their own.
        return Ok(());
    }
    let forget = "update workload set employee = :erased where subject = :subject";
    let subject = erased.subject.to_string();
    Ok(model.execute(forget, &[("erased", ERASED.into()), ("subject", subject.into())])?)
}
