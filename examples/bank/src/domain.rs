//! What the bank tells a server of its types: so that people see accounts, transfers and customers, and not only merged events.

use factum::{Domain, DomainError};

use crate::{Accounts, Customers, TransferOrders};

/// The bank's aggregates and their events.
///
/// # Errors
/// Where the declaration of the events cannot work.
pub fn domain() -> Result<Domain, DomainError> {
    Domain::new()
        .aggregate("Account", "account", Accounts)?
        .aggregate("Transfer", "transfer", TransferOrders)?
        .aggregate("Customer", "customer", Customers)
}
