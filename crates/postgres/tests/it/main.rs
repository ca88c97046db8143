//! Does PostgreSQL keep read models as the contract says, against a real server?
#![allow(clippy::unwrap_used)]

mod basics;
mod conformance;
mod declared;
mod fixture;
mod flow;
mod key_conformance;
mod key_fixture;
mod key_refusals;
mod key_sessions;
mod kill;
mod limits;
mod partitions;
mod refusals;
mod restart;
mod values;
mod versions;
mod waiters;
