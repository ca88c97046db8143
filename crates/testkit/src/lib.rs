//! What Factum's own tests share: the conformance suite that every store passes, fixtures, and how a test is skipped.

mod case;
pub mod conformance;
pub mod key_store;
pub mod model;
mod mortal;
mod postgres;
pub mod read_model;
mod skip;

pub use case::{Case, Fresh, check};
pub use key_store::{FreshKeyStores, KeyStores, check_key_stores};
pub use mortal::Mortal;
pub use postgres::{POSTGRES_VARIABLE, PostgresDatabase, PrivatePostgres};
pub use read_model::{FreshReadModels, Models, check_read_models};
pub use skip::skip;
