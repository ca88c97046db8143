//! Which read models does the bank have?

mod balances;
mod customers;
mod daily_totals;
mod statements;

pub use balances::balances;
pub use customers::customers;
pub use daily_totals::daily_totals;
pub use statements::statements;

use crate::{AccountEvent, AccountId, Money};

/// Money that came into an account, or went out of it.
struct Movement<'a> {
    account: &'a AccountId,
    /// Above zero for what came in.
    signed: i64,
    amount: Money,
    /// The account at the other end of a transfer.
    other: Option<&'a AccountId>,
}

/// What `event` moved, if it did.
fn movement(event: &AccountEvent) -> Option<Movement<'_>> {
    let (account, amount, other, sign) = match event {
        AccountEvent::FundsDeposited { account, amount, from } => (account, *amount, from.as_ref(), 1),
        AccountEvent::FundsWithdrawn { account, amount, to } => (account, *amount, to.as_ref(), -1),
        AccountEvent::AccountOpened { .. }
        | AccountEvent::AccountFrozen { .. }
        | AccountEvent::AccountUnfrozen { .. }
        | AccountEvent::AccountClosed { .. } => return None,
    };
    Some(Movement { account, signed: amount.minor * sign, amount, other })
}
