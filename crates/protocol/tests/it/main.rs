//! What the crate promises: a remote store keeps the contract, on a Factum server and by KurrentDB's calls alone.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod breaks;
mod conformance;
mod served;
mod shared_call;
