//! Does the command line do what its help says, as the real `factum` binary and as a library?

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod append;
mod book;
mod demo;
#[cfg(unix)]
mod demo_folds;
mod demo_served;
mod export_import;
mod factum;
#[cfg(unix)]
mod guide;
mod help;
mod import_xes;
mod kill;
mod ndjson;
mod privacy;
mod processes;
mod projections;
mod read;
mod read_models;
mod redact;
mod refusals;
mod remote;
mod schema;
mod security;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod serve_parts;
#[cfg(unix)]
mod served;
mod state;
mod storage;
mod streams;
mod tail;
