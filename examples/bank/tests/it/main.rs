//! The bank through its public API.
#![allow(clippy::unwrap_used)]

mod demo;
mod engine;
mod order;
mod read_models;
mod rules;
mod saga;
mod schemas;
mod service;
mod stored;
mod transfers;
