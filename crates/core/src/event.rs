//! An event before the log has it.

use bytes::Bytes;

use crate::limits::{MAX_EVENT_BYTES, MAX_TAGS_PER_EVENT};
use crate::names::StreamName;
use crate::{EventId, EventType, InvalidEvent, SchemaVersion, Tag, Timestamp};

/// How an event's data is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// JSON text.
    Json,
    /// Bytes that only their writer understands.
    Binary,
}

/// The type of the event that carries a stream's metadata.
pub const METADATA_TYPE: &str = "$metadata";
/// The type of the event that tombstones a stream.
pub const STREAM_DELETED_TYPE: &str = "$streamDeleted";
/// The metadata key of the correlation id.
pub const CORRELATION_KEY: &str = "$correlationId";
/// The metadata key of the causation id.
pub const CAUSATION_KEY: &str = "$causationId";

/// The member of an object that stands for personal data before it is sealed and after it was opened (`factum-vault`). It
/// is in memory only: no store takes a JSON event that has this text as a member or as a value.
pub const PERSONAL_MEMBER: &str = "$personal";
/// The stream in which a vault keeps what it did: whose it is, erasures, receipts. It is never deleted, truncated or scavenged.
pub const PRIVACY_STREAM: &str = "$privacy";
/// [`PERSONAL_MEMBER`] as it stands in JSON. Inside a longer text its quotes would be escaped.
const PERSONAL_IN_JSON: &[u8] = b"\"$personal\"";

/// A fact that somebody asks the log to keep.
///
/// Data and metadata are kept verbatim, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's identity; the same id at the same place is the same event.
    pub id: EventId,
    /// The stable name of what happened.
    pub event_type: EventType,
    /// The version of the type's schema that `data` follows.
    pub schema_version: SchemaVersion,
    /// How `data` is to be read.
    pub content_type: ContentType,
    /// Labels for queries and append conditions.
    pub tags: Vec<Tag>,
    /// What happened.
    pub data: Bytes,
    /// Who, why, in which context: a JSON object or empty.
    pub metadata: Bytes,
    /// When it happened, where that differs from when it is recorded.
    pub occurred_at: Option<Timestamp>,
}

impl NewEvent {
    /// A JSON event whose text is known to be JSON, such as the output of a serializer.
    pub fn json(event_type: EventType, data: impl Into<Bytes>) -> Self {
        Self {
            id: EventId::generate(),
            event_type,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
            tags: Vec::new(),
            data: data.into(),
            metadata: Bytes::new(),
            occurred_at: None,
        }
    }

    /// A JSON event from text that may not be JSON.
    ///
    /// # Errors
    /// `InvalidEvent::NotJson` with the line and column of the first fault.
    pub fn json_text(event_type: EventType, data: impl Into<Bytes>) -> Result<Self, InvalidEvent> {
        let event = Self::json(event_type, data);
        check_json("data", &event.data)?;
        Ok(event)
    }

    /// An event of bytes that only their writer understands.
    pub fn binary(event_type: EventType, data: impl Into<Bytes>) -> Self {
        Self { content_type: ContentType::Binary, ..Self::json(event_type, data) }
    }

    /// With this identity instead of a generated one.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// With this metadata: a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// With one more tag. A tag that the event already has is not added twice.
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        if !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
        self
    }

    /// With the time at which it happened.
    #[must_use]
    pub fn with_occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// With this version of the type's schema.
    #[must_use]
    pub fn with_schema_version(mut self, version: SchemaVersion) -> Self {
        self.schema_version = version;
        self
    }

    /// Bytes that count against the limit of an event appended to `stream`.
    pub fn size_in(&self, stream: &StreamName) -> usize {
        stream.len()
            + self.event_type.len()
            + self.tags.iter().map(|tag| tag.len() + 2).sum::<usize>()
            + self.metadata.len()
            + self.data.len()
    }

    /// Checks the event against the limits that hold in any store.
    ///
    /// # Errors
    /// `InvalidEvent` with the limit and the value that breaks it.
    pub fn check(&self, stream: &StreamName) -> Result<(), InvalidEvent> {
        if self.tags.len() > MAX_TAGS_PER_EVENT {
            return Err(InvalidEvent::TooManyTags { limit: MAX_TAGS_PER_EVENT, actual: self.tags.len() });
        }
        let size = self.size_in(stream);
        if size > MAX_EVENT_BYTES {
            return Err(InvalidEvent::TooLarge { limit: MAX_EVENT_BYTES, actual: size });
        }
        if self.schema_version.0 == 0 {
            return Err(InvalidEvent::SchemaVersionZero);
        }
        if self.content_type == ContentType::Json
            && memchr::memmem::find(&self.data, PERSONAL_IN_JSON).is_some()
        {
            return Err(InvalidEvent::Unsealed);
        }
        Ok(())
    }
}

/// Checks that `text` is one JSON value; `part` names it in the error.
///
/// # Errors
/// `InvalidEvent::NotJson` with the line and column of the first fault.
pub fn check_json(part: &'static str, text: &[u8]) -> Result<(), InvalidEvent> {
    serde_json::from_slice::<&serde_json::value::RawValue>(text)
        .map(|_| ())
        .map_err(|e| InvalidEvent::NotJson { part, line: e.line(), column: e.column() })
}
