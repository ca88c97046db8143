//! Does the crate keep the contract of a read-model database, and what is SQLite's own?

mod conformance;
mod smoke;
