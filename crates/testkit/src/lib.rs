//! What Factum's own tests share: the conformance suite that every store passes, fixtures, and how a test is skipped.

mod case;
pub mod conformance;
pub mod kek;
pub mod key_store;
pub mod model;
mod mortal;
mod openbao;
mod postgres;
pub mod read_model;
mod skip;
mod softhsm;

pub use case::{Case, Fresh, check};
pub use factum_testserver::OpenBaoKind;
pub use kek::{FreshKek, Keks, OpenKek, check_kek};
pub use key_store::{FreshKeyStores, KeyStores, check_key_stores};
pub use mortal::Mortal;
pub use openbao::{OPENBAO_VARIABLE, PrivateOpenBao, TransitMount};
pub use postgres::{POSTGRES_VARIABLE, PostgresDatabase, PrivatePostgres};
pub use read_model::{FreshReadModels, Models, check_read_models};
pub use skip::skip;
pub use softhsm::{SOFTHSM_VARIABLE, SoftHsmToken};
