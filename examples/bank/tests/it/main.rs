//! The bank through its public API.
#![allow(clippy::unwrap_used)]

mod customer;
mod demo;
mod engine;
mod forgetting;
mod order;
mod read_models;
mod rules;
mod saga;
mod schemas;
mod service;
mod stored;
mod transfers;
mod vault;
