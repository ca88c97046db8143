//! A bank account, event-sourced: the example that `factum demo` runs.
//!
//! [`AccountEvent`] says what may happen, [`Accounts`] decides what does, [`Transfers`] decides over two accounts at
//! once, [`TransferSaga`] takes its time for that, [`Bank`] is what a program would call, [`demo`] is a month of its
//! business; [`balances`], [`statements`], [`daily_totals`] and [`customers`] are what can be looked up.
//!
//! What the bank knows about people is in [`CustomerEvent`] alone, sealed; everything else names them by [`CustomerId`].
//!
//! **Invariant:** no account is ever below zero, whoever writes at the same time.

mod account;
mod bank;
mod customer;
pub mod demo;
mod desk;
mod domain;
mod event;
mod money;
mod order;
mod read_models;
mod saga;
mod transfer;

pub use account::{Account, AccountCommand, Accounts, Refusal, Status};
pub use bank::{Bank, BankError};
pub use customer::{
    Address, Customer, CustomerCommand, CustomerEvent, CustomerId, CustomerRefusal, Customers,
    FORMER_CUSTOMER,
};
pub use domain::domain;
pub use event::{AccountEvent, AccountId};
pub use money::{Currency, Money};
pub use order::{
    MAX_TRANSFER_ID_BYTES, TransferCommand, TransferEvent, TransferId, TransferOrder, TransferOrders,
    TransferRecord, TransferRefusal, TransferStatus,
};
pub use read_models::{balances, customers, daily_totals, statements};
pub use saga::{TransferSaga, TransferStep};
pub use transfer::{Transfer, TransferState, Transfers};
