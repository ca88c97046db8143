//! The framework through its public API, over the store in memory.
#![allow(clippy::unwrap_used)]

mod boundary;
mod canary;
mod codec;
mod copied;
mod declared;
mod derived;
mod domain;
mod execute;
mod faulty;
mod given;
mod kill;
mod personal;
mod process;
mod projection;
mod redaction;
mod replay;
mod schema;
mod sealing;
mod snapshot;
mod subscriber;
mod trip;
mod wallet;
