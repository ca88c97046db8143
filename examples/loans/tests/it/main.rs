//! Does the loan book say what the log says? Its rules by example, its binary on a small log, and the whole real log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod binary;
mod direct;
mod read_models;
mod real_log;
mod rules;
mod vault;
