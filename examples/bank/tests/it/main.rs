//! The bank through its public API.
#![allow(clippy::unwrap_used)]

mod demo;
mod engine;
mod order;
mod rules;
mod saga;
mod schemas;
mod service;
mod stored;
mod transfers;
