//! Does the server do what KurrentDB's clients expect, over a real connection?

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod group_client;
mod groups;
mod groups_lasting;
mod groups_parking;
mod groups_unreliable;
