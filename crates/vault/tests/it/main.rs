//! The vault through its public API, in memory and against real services.
#![allow(clippy::unwrap_used, reason = "tests may panic, and their helpers too")]

mod ahead;
mod erasure;
mod faults;
mod holds;
mod hostile;
mod house;
mod interrupted;
mod kek;
mod opening;
mod restored;
mod rotation;
mod sealing;
mod sinks;
