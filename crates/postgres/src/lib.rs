//! Read models in PostgreSQL: one schema per version of a projection, one (`factum`) for what Factum has to remember. And the
//! vault's data keys, in a schema of their own: [`PostgresKeyStore`].
//!
//! | schema | what lies in it |
//! |---|---|
//! | `balances__v2` | the tables of version 2 of the projection `balances`, as it made them |
//! | `balances` | views of the serving version's tables, for those who read without Factum |
//! | `factum` | versions, progress of each partition, skipped events, history |
//!
//! The tables are ordinary ones: index them, join them, give rights on the views. Writing to them is the projection's
//! alone.
//!
//! # Limits
//! PostgreSQL 13 or later, UTF-8, without TLS (a loopback address, a Unix socket or a tunnel that encrypts), and not through a
//! pooler that shares a session between transactions: prepared statements and `LISTEN` need a session of their own.
//!
//! # Values
//! A parameter becomes what the server infers for it: `WHERE id = :id` with a column of type `uuid` takes a text that is one.
//! Text goes everywhere where the server reads the type from text; whole numbers and booleans stand for each other. In
//! answers, a `numeric` without a fraction is a whole number; one with a fraction is a text, exact. Types without a value of
//! ours (arrays, intervals) come as text.
//!
//! ```no_run
//! use factum_core::read_model::ReadModels;
//! use factum_postgres::PostgresReadModels;
//!
//! let read_models = PostgresReadModels::open("postgres://me:secret@localhost/shop")?;
//! for version in read_models.versions()? {
//!     assert!(!version.fingerprint.is_empty());
//! }
//! # Ok::<(), factum_core::read_model::ReadModelError>(())
//! ```

mod address;
mod catalog;
mod column;
mod compare;
mod database;
mod error;
mod guard;
mod key_store;
mod link;
mod parameter;
mod qualify;
mod reader;
mod scratch;
mod versions;
mod watch;
mod words;
mod writer;

pub use database::PostgresReadModels;
pub use key_store::PostgresKeyStore;
