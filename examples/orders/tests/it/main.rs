//! The shop through its public API.
#![allow(clippy::unwrap_used)]

mod binary;
mod checkout;
mod order;
mod payment;
mod race;
mod saga;
mod shipment;
mod shop;
mod stock;
mod summary;
