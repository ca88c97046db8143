//! What moved on an account, line by line, and what was in it afterwards?

use factum::{ApplyError, DefinitionError, Model, TypedProjection};
use factum_core::RecordedEvent;

use super::movement;
use crate::AccountEvent;

/// `entry` is the event's revision in the account's stream; `minor` is below zero for what went out; `happened_at` is when
/// it happened, which may be before it was recorded.
const TABLES: &str = "
create table statements (
    account text not null,
    entry bigint not null,
    happened_at timestamptz not null,
    minor bigint not null,
    currency text not null,
    other_account text,
    balance_minor bigint not null,
    primary key (account, entry)
)";

/// The balance before is that of the line before.
const ADD: &str = "
insert into statements (account, entry, happened_at, minor, currency, other_account, balance_minor)
values (:account, :entry, :happened_at, :minor, :currency, :other_account,
    :minor + coalesce((select balance_minor from statements where account = :account order by entry desc limit 1), 0))";

/// A row per movement.
///
/// # Errors
/// Where the declaration cannot work.
pub fn statements() -> Result<TypedProjection<AccountEvent>, DefinitionError> {
    let projection = TypedProjection::new("statements", TABLES, apply)?;
    Ok(projection.declared(|own| own.source(include_str!("statements.rs"))))
}

fn apply(event: &AccountEvent, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let Some(moved) = movement(event) else { return Ok(()) };
    let entry = i64::try_from(recorded.revision().0)
        .map_err(|_| ApplyError::Refused(format!("revision {} cannot be counted", recorded.revision())))?;
    let parameters = [
        ("account", moved.account.to_string().into()),
        ("entry", entry.into()),
        ("happened_at", recorded.happened_at().into()),
        ("minor", moved.signed.into()),
        ("currency", moved.amount.currency.to_string().into()),
        ("other_account", moved.other.map(ToString::to_string).into()),
    ];
    model.changed(format!("account:{}", moved.account));
    Ok(model.execute(ADD, &parameters)?)
}
