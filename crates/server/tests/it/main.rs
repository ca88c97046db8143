//! The server through its port: every test has a server of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod batch;
mod first_events;
mod group_client;
mod groups;
mod groups_lasting;
mod groups_parking;
mod groups_unreliable;
mod hostile;
mod house;
mod indexes;
mod metrics;
mod operations;
mod projections;
mod security;
mod several_streams;
mod streams;
mod telemetry;
mod v1;
