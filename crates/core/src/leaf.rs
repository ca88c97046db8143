//! How is the leaf computed that stands for an event in the proof of a log?
//!
//! Over the bytes that `docs/format.md` draws for a record of kind 1, from byte 8 on, whatever a store keeps: so every
//! store that holds the same event gives it the same leaf.

use sha2::{Digest, Sha256};

use crate::{ContentType, Leaf, RecordedEvent};

/// The kind of record that an event is.
const KIND: u8 = 1;
const HAS_OCCURRED: u8 = 1;
const HAS_APPEND_ID: u8 = 2;
const IS_BINARY: u8 = 4;

impl Leaf {
    /// The event's leaf; of a redacted event that of the event as it was.
    pub fn of(event: &RecordedEvent) -> Self {
        if let Some(redaction) = event.redaction() {
            return redaction.leaf;
        }
        let (header, layout) = (event.header(), event.layout());
        let mut flags = 0;
        flags |= if header.occurred_at.is_some() { HAS_OCCURRED } else { 0 };
        flags |= if header.append_id.is_some() { HAS_APPEND_ID } else { 0 };
        flags |= if header.content_type == ContentType::Binary { IS_BINARY } else { 0 };
        let mut hash = Sha256::new();
        hash.update([KIND, flags, 0, 0]);
        hash.update(header.schema_version.0.to_le_bytes());
        hash.update(header.position.0.to_le_bytes());
        hash.update(header.revision.0.to_le_bytes());
        hash.update(header.recorded_at.0.to_le_bytes());
        hash.update(header.id.0.as_bytes());
        // Names have at most 1,026 bytes.
        hash.update((layout.stream as u16).to_le_bytes());
        hash.update((layout.event_type as u16).to_le_bytes());
        hash.update(layout.tags.to_le_bytes());
        hash.update(layout.metadata.to_le_bytes());
        if let Some(at) = header.occurred_at {
            hash.update(at.0.to_le_bytes());
        }
        if let Some(id) = header.append_id {
            hash.update(id.0.as_bytes());
        }
        hash.update(event.body());
        Self(hash.finalize().into())
    }
}
