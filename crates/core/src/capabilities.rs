//! What a store can do, as data: differences are declared, never hidden.

use std::fmt;

/// What a store may or may not be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Append to several streams in one instant.
    MultiStreamAppend,
    /// Append conditions over queries.
    QueryConditions,
    /// Checks on streams that are not written.
    StreamChecks,
    /// One total order over all streams.
    GlobalOrder,
    /// Selecting and filtering inside the store.
    ServerSideFilter,
    /// Answering a repeated append id without a time limit.
    AppendIds,
    /// Reclaiming the bytes of deleted events.
    PhysicalDelete,
    /// Refusing events that do not fit a registered schema.
    SchemaEnforcement,
    /// Taking the data out of one event for good.
    Redaction,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::MultiStreamAppend => "an append to several streams",
            Capability::QueryConditions => "append conditions over queries",
            Capability::StreamChecks => "checks on streams that are not written",
            Capability::GlobalOrder => "one order over all streams",
            Capability::ServerSideFilter => "filters inside the store",
            Capability::AppendIds => "append ids",
            Capability::PhysicalDelete => "reclaiming deleted events",
            Capability::SchemaEnforcement => "registered schemas",
            Capability::Redaction => "redaction of single events",
        })
    }
}

/// When an acknowledged append is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As long as the process lives.
    Process,
    /// Synced to this machine's disk.
    Disk,
    /// On several machines.
    Replicated,
}

/// What one store can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Everything that it can do.
    pub supported: Vec<Capability>,
    /// When an acknowledged append is safe.
    pub durability: Durability,
}

impl Capabilities {
    /// Whether the store can do this.
    pub fn has(&self, capability: Capability) -> bool {
        self.supported.contains(&capability)
    }
}
