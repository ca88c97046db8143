//! The server through its port: every test has a server of its own.

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
mod several_streams;
mod streams;
mod telemetry;
