//! Does the test kit find what it should?

mod model;
mod openbao;
mod postgres;
