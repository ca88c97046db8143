//! Does the vault keep its promises against real services?
#![allow(clippy::unwrap_used, reason = "tests may panic, and their helpers too")]

mod kek;
