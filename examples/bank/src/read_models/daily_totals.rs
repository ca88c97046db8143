//! How much came in and went out on each day, by currency?

use factum::{ApplyError, DefinitionError, Model, TypedProjection};
use factum_core::RecordedEvent;

use super::movement;
use crate::AccountEvent;

/// `day` is the day in UTC on which it happened, as `2026-01-05`. A transfer counts at both ends.
const TABLES: &str = "
create table daily_totals (
    day text not null,
    currency text not null,
    deposits bigint not null,
    deposited_minor bigint not null,
    withdrawals bigint not null,
    withdrawn_minor bigint not null,
    primary key (day, currency)
)";

const ADD: &str = "
insert into daily_totals (day, currency, deposits, deposited_minor, withdrawals, withdrawn_minor)
values (:day, :currency, :deposits, :deposited, :withdrawals, :withdrawn)
on conflict (day, currency) do update set
    deposits = daily_totals.deposits + excluded.deposits,
    deposited_minor = daily_totals.deposited_minor + excluded.deposited_minor,
    withdrawals = daily_totals.withdrawals + excluded.withdrawals,
    withdrawn_minor = daily_totals.withdrawn_minor + excluded.withdrawn_minor";

/// A row per day and currency on which money moved.
///
/// # Errors
/// Where the declaration cannot work.
pub fn daily_totals() -> Result<TypedProjection<AccountEvent>, DefinitionError> {
    let projection = TypedProjection::new("daily_totals", TABLES, apply)?;
    Ok(projection.declared(|own| own.source(include_str!("daily_totals.rs"))))
}

fn apply(event: &AccountEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let Some(moved) = movement(event) else { return Ok(()) };
    let mut day = recorded.happened_at().to_string();
    day.truncate("2026-01-05".len());
    let (came_in, minor) = (moved.signed > 0, moved.amount.minor);
    let parameters = [
        ("day", day.into()),
        ("currency", moved.amount.currency.to_string().into()),
        ("deposits", i64::from(came_in).into()),
        ("deposited", if came_in { minor } else { 0 }.into()),
        ("withdrawals", i64::from(!came_in).into()),
        ("withdrawn", if came_in { 0 } else { minor }.into()),
    ];
    Ok(model.execute(ADD, &parameters)?)
}
