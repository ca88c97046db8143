//! What a store may be able to do for its upkeep, beside being a store.

use std::ops::ControlFlow;

use factum_core::ReadError;

/// The upkeep of a store that keeps files. A store without any has none, and the server says so to whoever asks for it.
pub trait Maintenance: Send + Sync + 'static {
    /// Gives back the bytes of events that nobody can read any more, while the store is in use. Blocks: the server calls it on
    /// a thread of its own, and one at a time. `watch` is told how far it is, and may break it off.
    ///
    /// # Errors
    /// `ReadError` where the store's files cannot be read or written; what was reclaimed before stays so.
    fn scavenge(
        &self,
        watch: &mut dyn FnMut(ScavengeProgress) -> ControlFlow<()>,
    ) -> Result<Reclaimed, ReadError>;

    /// What a scavenge would do now, without doing it; `None` where the store cannot say. Blocks, and reads as much as a scavenge.
    ///
    /// # Errors
    /// `ReadError` where the store's files cannot be read.
    fn estimate(&self) -> Result<Option<ScavengeEstimate>, ReadError> {
        Ok(None)
    }

    /// Figures about the store as it is now. Cheap: it is asked for at each look at the metrics.
    fn figures(&self) -> StorageFigures;
}

/// How far a scavenge is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScavengeProgress {
    /// Segments looked at.
    pub done: u64,
    /// Segments to look at.
    pub all: u64,
}

/// What a scavenge would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScavengeEstimate {
    /// Segments looked at.
    pub segments: u64,
    /// Segments that would be written anew.
    pub rewritten: u64,
    /// Events that would be removed.
    pub events: u64,
    /// Bytes that would be given back.
    pub bytes: u64,
}

/// What a scavenge gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Events removed.
    pub events: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// Figures about a store that keeps files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageFigures {
    /// Position after the last event.
    pub end: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log's files.
    pub log_bytes: u64,
    /// Index files and tables that a lookup may have to ask.
    pub index_layers: u64,
    /// Bytes of memory that the indexes take.
    pub index_memory_bytes: u64,
}

/// Figures about the process that the server runs in. Whoever starts a server knows how to ask its system.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// Processor time used since the process began, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of memory that it holds.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
}
