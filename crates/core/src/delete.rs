//! What a delete asks for, and what it is told.

use crate::{Checkpoint, ExpectedRevision, Position, StreamName};

/// How final a delete is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteMode {
    /// The stream is no longer found; an append revives it, with its numbering continued.
    Soft,
    /// The stream is gone for ever, and so is its name.
    Tombstone,
}

/// One delete. Bytes are reclaimed by a scavenge, not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The stream.
    pub stream: StreamName,
    /// What must be true of it.
    pub expected: ExpectedRevision,
    /// How final.
    pub mode: DeleteMode,
}

/// What a delete came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Position of the event that records the delete, also where the stream was soft-deleted before; `None` only in a
    /// store that cannot say.
    pub position: Option<Position>,
    /// A token that a reader can wait for.
    pub token: Checkpoint,
}
