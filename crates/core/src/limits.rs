//! Every limit of the vocabulary, with its unit: checked before anything is allocated or written.

/// Longest stream name, in bytes of UTF-8.
pub const MAX_STREAM_NAME_BYTES: usize = 1_024;
/// Longest event type, in bytes of UTF-8.
pub const MAX_EVENT_TYPE_BYTES: usize = 1_024;
/// Longest tag, in bytes of UTF-8.
pub const MAX_TAG_BYTES: usize = 1_024;
/// Most tags on one event.
pub const MAX_TAGS_PER_EVENT: usize = 64;
/// Largest event: type, tags, metadata and data together, in bytes.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;
/// Largest append: all its events together, in bytes.
pub const MAX_APPEND_BYTES: usize = 64 * 1024 * 1024;
/// Most events in one append.
pub const MAX_EVENTS_PER_APPEND: usize = 1_000_000;
/// Most append conditions and stream checks in one append.
pub const MAX_CHECKS_PER_APPEND: usize = 1_024;
/// Most items in one query.
pub const MAX_QUERY_ITEMS: usize = 256;
/// Most types, or tags, in one query item.
pub const MAX_QUERY_TERMS: usize = 256;
/// Longest reason of a redaction, in bytes of UTF-8.
pub const MAX_REDACTION_REASON_BYTES: usize = 1_024;
/// Longest actor of a redaction, in bytes of UTF-8.
pub const MAX_REDACTION_ACTOR_BYTES: usize = 256;
/// Largest event that registers a JSON Schema, in bytes of data.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;
/// Most faults that one schema violation names.
pub const MAX_SCHEMA_FAULTS: usize = 16;
