//! Does PostgreSQL keep read models as the contract says, against a real server?
#![allow(clippy::unwrap_used)]

mod basics;
mod fixture;
mod refusals;
mod values;
mod versions;
