//! Servers for tests: found, started on a free port with data of their own, and gone with their owner.
//!
//! `cargo xtask test` starts one of each for all tests; `factum_testkit` starts private ones for tests that stop and start a
//! server. Nothing here is shared with the crates that talk to PostgreSQL or OpenBao, so that the two cannot agree on a
//! mistake.

mod binaries;
mod keeper;
mod openbao;
mod port;
mod server;
mod softhsm;

pub use binaries::Binaries;
pub use openbao::{OpenBao, OpenBaoKind, OpenBaoProgram, ask};
pub use server::Server;
pub use softhsm::find_softhsm;
