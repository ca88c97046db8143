//! The shop through its public API.
#![allow(clippy::unwrap_used)]

mod binary;
mod order;
mod payment;
mod race;
mod shipment;
mod shop;
mod stock;
