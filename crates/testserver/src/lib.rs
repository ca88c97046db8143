//! PostgreSQL servers for tests: found, started on a free port with data of their own, and gone with their owner.
//!
//! `cargo xtask test` starts one for all tests; `factum_testkit` starts private ones for tests that stop and start a
//! server. Nothing here is shared with the crate that talks to PostgreSQL, so that the two cannot agree on a mistake.

mod binaries;
mod keeper;
mod server;

pub use binaries::Binaries;
pub use server::Server;
