//! Does the store in memory keep the contract?

mod memory;
