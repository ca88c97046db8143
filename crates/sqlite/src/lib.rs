//! Read models on SQLite: Factum's database of read models where no other is named. And the vault's data keys, in a file of
//! their own: [`SqliteKeyStore`]; and which person has which unique value: [`SqliteReservations`].
//!
//! [`SqliteReadModels`] is a directory. `catalog.sqlite` says which versions there are, and each version of a projection
//! is a file of its own, with its rows and its progress: one transaction holds both, projections do not wait for each
//! other, and a version is dropped by removing its file. Why it is so is in `docs/adr/0009-read-models-in-versions.md`.

mod catalog;
mod compare;
mod connection;
mod database;
mod directory;
mod error;
mod guard;
mod key_store;
mod own_rate;
mod reader;
mod reservations;
mod roles;
mod statements;
mod value;
mod version_file;
mod watch;
mod writer;

pub use database::SqliteReadModels;
pub use key_store::SqliteKeyStore;
pub use own_rate::execute_bare;
pub use reservations::{Reserved, SqliteReservations};
