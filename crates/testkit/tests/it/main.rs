//! Does the test kit find what it should?

mod key_store;
mod model;
mod openbao;
mod postgres;
