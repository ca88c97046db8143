//! What a store can say of itself without reading its log.

use std::sync::atomic::Ordering;

use factum_core::{Position, StoreId, Timestamp};

use crate::engine::{Engine, locked};

/// Numbers about an open store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The store.
    pub store: StoreId,
    /// Its epoch: raised by each restore.
    pub epoch: u32,
    /// Its format.
    pub format: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// Position after the last event.
    pub end: Position,
    /// Segment files.
    pub segments: u64,
    /// Bytes of segment files, with the zeros ahead of use.
    pub log_bytes: u64,
    /// Index files and tables in memory that a lookup may have to ask.
    pub index_layers: u64,
    /// Bytes of memory that the indexes take.
    pub index_memory_bytes: u64,
    /// What recovery cut off at opening.
    pub recovered: Option<String>,
    /// Why the writer has stopped, if it has.
    pub stopped: Option<String>,
    /// What went wrong last in the background, if anything did.
    pub upkeep_failure: Option<String>,
    /// Why a redaction that is recorded is not finished, if one is not.
    pub redaction_failure: Option<String>,
}

impl Engine {
    /// Numbers about this store, as of now.
    pub fn info(&self) -> StoreInfo {
        let shared = self.shared();
        let segments = shared.log.segments();
        StoreInfo {
            store: shared.identity.id,
            epoch: shared.identity.epoch,
            format: shared.format.load(Ordering::Acquire),
            created_at: shared.identity.created_at,
            end: shared.log.committed(),
            segments: segments.len() as u64,
            log_bytes: segments.iter().filter_map(|segment| segment.file.len().ok()).sum(),
            index_layers: shared.index.layers() as u64,
            index_memory_bytes: shared.index.bytes() as u64,
            recovered: shared.recovered.clone(),
            stopped: self.stopped().map(|error| error.to_string()),
            upkeep_failure: shared.upkeep.failure(),
            redaction_failure: locked(&shared.redaction_failure).clone(),
        }
    }
}
