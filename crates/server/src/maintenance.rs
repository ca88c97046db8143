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
    fn scavenge(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Reclaimed, ReadError>;

    /// What a scavenge would do now, without doing it; `None` where the store cannot say. Blocks, and reads as much as a scavenge.
    ///
    /// # Errors
    /// `ReadError` where the store's files cannot be read.
    fn estimate(&self) -> Result<Option<ScavengeEstimate>, ReadError> {
        Ok(None)
    }

    /// Whether it can be verified while it is in use.
    fn verifies(&self) -> bool {
        false
    }

    /// Walks everything that is committed, and names what is not as it was written, while the store is in use. `None`: `watch` broke it
    /// off, or the store cannot. Blocks.
    ///
    /// # Errors
    /// `ReadError` where the store cannot be walked at all; damage is no error.
    fn verify(
        &self,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Verification>, ReadError> {
        let _ = watch;
        Ok(None)
    }

    /// What is wrong with the store as it is now, if anything is. Cheap.
    fn condition(&self) -> Condition {
        Condition::default()
    }

    /// Figures about the store as it is now. Cheap: it is asked for at each look at the metrics.
    fn figures(&self) -> StorageFigures;
}

/// How far something is that takes its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done: segments of a scavenge, bytes of a verification or a backup.
    pub done: u64,
    /// What there is to do, in the same unit.
    pub all: u64,
}

/// What a walk over the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Position after the last event that was walked.
    pub end: u64,
    /// Events that are there, also those that were redacted.
    pub events: u64,
    /// Events of which only the place, the proof and the reason are there.
    pub redacted: u64,
    /// Events that a scavenge removed, whose proof is there.
    pub removed: u64,
    /// Segments walked.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The root of the proof over all events, in hexadecimal digits.
    pub root: String,
    /// Damaged places.
    pub damaged: u64,
    /// The first of them.
    pub damage: Vec<Fault>,
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// File and byte.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// Whether the store makes it again by itself: indexes, and not the log.
    pub mends: bool,
}

/// What is wrong with a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// What the last start cut off: an append that was never acknowledged.
    pub recovered: Option<String>,
    /// Why nothing is written any more.
    pub stopped: Option<String>,
    /// What went wrong last in the background.
    pub background: Option<String>,
    /// The disk that its files are on; `None` where that is not known.
    pub disk: Option<Disk>,
}

/// A disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// What fits on it.
    pub size: u64,
    /// What may still be written by this process.
    pub free: u64,
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
