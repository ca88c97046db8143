//! The vault through its public API.
#![allow(clippy::unwrap_used)]

mod erasure;
mod faults;
mod house;
mod interrupted;
mod opening;
mod rotation;
mod sealing;
