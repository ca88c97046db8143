//! What is in each account?

use factum::{ApplyError, DefinitionError, Model, TypedProjection};

use super::movement;
use crate::AccountEvent;

/// `holder` is the customer's number, who `customers` knows. `minor` counts minor units: cents of euros, whole yen. `movements` counts deposits and withdrawals.
const TABLES: &str = "
create table balances (
    account text primary key,
    holder text not null,
    currency text not null,
    status text not null,
    minor bigint not null,
    movements bigint not null
)";

/// A row per account. What changes is tagged `account:<number>`, for caches.
///
/// # Errors
/// Where the declaration cannot work.
pub fn balances() -> Result<TypedProjection<AccountEvent>, DefinitionError> {
    let projection = TypedProjection::new("balances", TABLES, |event, _, model| apply(event, model))?;
    Ok(projection.declared(|own| own.source(include_str!("balances.rs"))))
}

fn apply(event: &AccountEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let number = event.account().to_string();
    model.changed(format!("account:{number}"));
    let account = ("account", number.into());
    if let Some(moved) = movement(event) {
        let change =
            "update balances set minor = minor + :minor, movements = movements + 1 where account = :account";
        return Ok(model.execute(change, &[account, ("minor", moved.signed.into())])?);
    }
    let status = match event {
        AccountEvent::AccountOpened { holder, currency, .. } => {
            let open = "insert into balances (account, holder, currency, status, minor, movements)
                        values (:account, :holder, :currency, 'active', 0, 0)";
            let currency = ("currency", currency.to_string().into());
            return Ok(model.execute(open, &[account, ("holder", holder.to_string().into()), currency])?);
        }
        AccountEvent::AccountFrozen { .. } => "frozen",
        AccountEvent::AccountClosed { .. } => "closed",
        _ => "active",
    };
    let change = "update balances set status = :status where account = :account";
    Ok(model.execute(change, &[account, ("status", status.into())])?)
}
