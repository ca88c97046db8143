//! An event as the log gives it back.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::names::StreamName;
use crate::text::Text;
use crate::{
    AppendId, CAUSATION_KEY, CORRELATION_KEY, ContentType, EventId, NewEvent, Position, Redaction, Revision,
    SchemaVersion, Timestamp,
};

/// The fixed part of a recorded event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedHeader {
    /// Place in the whole log.
    pub position: Position,
    /// Number in the stream.
    pub revision: Revision,
    /// Identity.
    pub id: EventId,
    /// The append that wrote it, if the append had an identity.
    pub append_id: Option<AppendId>,
    /// When the log took it: never earlier than the event before it.
    pub recorded_at: Timestamp,
    /// When it happened, if the writer said so.
    pub occurred_at: Option<Timestamp>,
    /// Version of the type's schema.
    pub schema_version: SchemaVersion,
    /// How the data is to be read.
    pub content_type: ContentType,
}

/// Where the parts of a body end. The body is `stream | type | tags | metadata | data`;
/// each tag is a little-endian `u16` length and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLayout {
    /// Bytes of the stream name.
    pub stream: u32,
    /// Bytes of the event type.
    pub event_type: u32,
    /// Bytes of all tags with their lengths.
    pub tags: u32,
    /// Bytes of the metadata.
    pub metadata: u32,
}

/// A body whose parts do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event's body is malformed: {0}")]
pub struct MalformedBody(&'static str);

/// A fact that the log keeps. A clone copies nothing; it shares the buffer that the read filled.
///
/// An event that is to outlive its page by long should be [`detach`](Self::detach)ed.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    header: RecordedHeader,
    body: Bytes,
    type_at: u32,
    tags_at: u32,
    metadata_at: u32,
    data_at: u32,
    redaction: Option<Arc<Redaction>>,
}

impl RecordedEvent {
    /// The event that `new` becomes at this place.
    pub fn record(header: RecordedHeader, stream: &StreamName, new: &NewEvent) -> Self {
        let (body, layout) = encode_body(stream, new);
        Self::at(header, body, layout)
    }

    /// The event in a body that was read back.
    ///
    /// # Errors
    /// `MalformedBody` where lengths overrun, or names are not UTF-8: nothing is read past the body.
    pub fn from_body(header: RecordedHeader, body: Bytes, layout: BodyLayout) -> Result<Self, MalformedBody> {
        let names = u64::from(layout.stream) + u64::from(layout.event_type);
        let data_at = names + u64::from(layout.tags) + u64::from(layout.metadata);
        if data_at > body.len() as u64 || body.len() > u32::MAX as usize {
            return Err(MalformedBody("its parts are longer than the whole"));
        }
        let event = Self::at(header, body, layout);
        // Both names in one look; each is whole if the border between them is that of a character.
        let names = std::str::from_utf8(&event.body[..event.tags_at as usize]);
        if !names.is_ok_and(|names| names.is_char_boundary(event.type_at as usize)) {
            return Err(MalformedBody("the stream name or the event type is not UTF-8"));
        }
        let mut rest = &event.body[event.tags_at as usize..event.metadata_at as usize];
        while !rest.is_empty() {
            let (_, after) =
                split_tag(rest).ok_or(MalformedBody("a tag overruns its part or is not UTF-8"))?;
            rest = after;
        }
        Ok(event)
    }

    /// The event in a body that `encode_body` made. A body from anywhere else must go through `from_body`.
    ///
    /// # Panics
    /// Later, in the accessors, where the layout is not the body's.
    pub fn from_encoded(header: RecordedHeader, body: Bytes, layout: BodyLayout) -> Self {
        Self::at(header, body, layout)
    }

    fn at(header: RecordedHeader, body: Bytes, layout: BodyLayout) -> Self {
        let type_at = layout.stream;
        let tags_at = type_at + layout.event_type;
        let metadata_at = tags_at + layout.tags;
        let data_at = metadata_at + layout.metadata;
        Self { header, body, type_at, tags_at, metadata_at, data_at, redaction: None }
    }

    /// What is left of this event when it is redacted: header, stream and type, in a buffer of their own.
    #[must_use]
    pub fn redacted(&self, redaction: Redaction) -> Self {
        let names = self.tags_at;
        Self {
            header: self.header,
            body: Bytes::copy_from_slice(&self.body[..names as usize]),
            type_at: self.type_at,
            tags_at: names,
            metadata_at: names,
            data_at: names,
            redaction: Some(Arc::new(redaction)),
        }
    }

    /// Why and when data, metadata and tags were taken out of this event; `None` for an event that is whole.
    ///
    /// Empty data says nothing by itself: an event may have been appended without data.
    pub fn redaction(&self) -> Option<&Redaction> {
        self.redaction.as_deref()
    }

    /// Whether data, metadata and tags were taken out of this event.
    pub fn is_redacted(&self) -> bool {
        self.redaction.is_some()
    }

    /// The fixed part.
    pub fn header(&self) -> &RecordedHeader {
        &self.header
    }
    /// Place in the whole log.
    pub fn position(&self) -> Position {
        self.header.position
    }
    /// Number in the stream.
    pub fn revision(&self) -> Revision {
        self.header.revision
    }
    /// Identity.
    pub fn id(&self) -> EventId {
        self.header.id
    }
    /// The append that wrote it, if it had an identity.
    pub fn append_id(&self) -> Option<AppendId> {
        self.header.append_id
    }
    /// When the log took it.
    pub fn recorded_at(&self) -> Timestamp {
        self.header.recorded_at
    }
    /// When it happened, if the writer said so.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.header.occurred_at
    }
    /// When it happened: what the writer said, else when the log took it.
    pub fn happened_at(&self) -> Timestamp {
        self.header.occurred_at.unwrap_or(self.header.recorded_at)
    }
    /// Version of the type's schema.
    pub fn schema_version(&self) -> SchemaVersion {
        self.header.schema_version
    }
    /// How the data is to be read.
    pub fn content_type(&self) -> ContentType {
        self.header.content_type
    }
    /// The stream's name.
    pub fn stream(&self) -> &str {
        self.text(0, self.type_at)
    }
    /// The stream's name, sharing this event's buffer.
    pub fn stream_text(&self) -> Text {
        Text::from_utf8(self.body.slice(..self.type_at as usize)).unwrap_or_default()
    }
    /// The type's name.
    pub fn event_type(&self) -> &str {
        self.text(self.type_at, self.tags_at)
    }
    /// The tags, in the order in which they were given.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let mut rest = &self.body[self.tags_at as usize..self.metadata_at as usize];
        std::iter::from_fn(move || {
            let (tag, after) = split_tag(rest)?;
            rest = after;
            Some(tag)
        })
    }
    /// Who, why, in which context: as it was written.
    pub fn metadata(&self) -> Bytes {
        self.body.slice(self.metadata_at as usize..self.data_at as usize)
    }
    /// The metadata without a new handle on the buffer.
    pub fn metadata_slice(&self) -> &[u8] {
        &self.body[self.metadata_at as usize..self.data_at as usize]
    }
    /// What happened: as it was written.
    pub fn data(&self) -> Bytes {
        self.body.slice(self.data_at as usize..)
    }
    /// The data without a new handle on the buffer.
    pub fn data_slice(&self) -> &[u8] {
        &self.body[self.data_at as usize..]
    }
    /// The whole body: `stream | type | tags | metadata | data`.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
    /// Where the parts of the body end.
    pub fn layout(&self) -> BodyLayout {
        BodyLayout {
            stream: self.type_at,
            event_type: self.tags_at - self.type_at,
            tags: self.metadata_at - self.tags_at,
            metadata: self.data_at - self.metadata_at,
        }
    }
    /// The correlation id in the metadata, if there is one.
    pub fn correlation(&self) -> Option<String> {
        metadata_text(self.metadata_slice(), CORRELATION_KEY)
    }
    /// The causation id in the metadata, if there is one.
    pub fn causation(&self) -> Option<String> {
        metadata_text(self.metadata_slice(), CAUSATION_KEY)
    }
    /// This event with other data: what a reader makes of the bytes that the log keeps. A body has at most 4 GiB; what is
    /// longer is cut off.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Self {
        let before = &self.body[..self.data_at as usize];
        let data = &data[..data.len().min(u32::MAX as usize - before.len())];
        let mut body = BytesMut::with_capacity(before.len() + data.len());
        body.extend_from_slice(before);
        body.extend_from_slice(data);
        Self { body: body.freeze(), ..self.clone() }
    }

    /// This event in a buffer of its own, so that the page it came from can be freed.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self.clone() }
    }

    fn text(&self, from: u32, to: u32) -> &str {
        std::str::from_utf8(&self.body[from as usize..to as usize]).unwrap_or_default()
    }
}

/// A top-level text value in JSON metadata; `None` where the metadata is not a JSON object or lacks it.
///
/// Looks for the key's bytes first: most metadata has no such key and is not parsed at all.
pub fn metadata_text(metadata: &[u8], key: &str) -> Option<String> {
    memchr::memmem::find(metadata, key.as_bytes())?;
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(metadata).ok()?;
    object.get(key)?.as_str().map(str::to_owned)
}

/// The body of `new` in `stream`, and where its parts end.
pub fn encode_body(stream: &StreamName, new: &NewEvent) -> (Bytes, BodyLayout) {
    let mut body = BytesMut::with_capacity(new.size_in(stream));
    let layout = encode_body_into(&mut body, stream, new);
    (body.freeze(), layout)
}

/// Appends the body of `new` in `stream` to `out`.
pub fn encode_body_into(out: &mut impl BufMut, stream: &StreamName, new: &NewEvent) -> BodyLayout {
    out.put_slice(stream.as_bytes());
    out.put_slice(new.event_type.as_bytes());
    let mut tags = 0;
    for tag in &new.tags {
        // A tag is at most 1,024 bytes by construction.
        out.put_u16_le(tag.len() as u16);
        out.put_slice(tag.as_bytes());
        tags += 2 + tag.len() as u32;
    }
    out.put_slice(&new.metadata);
    out.put_slice(&new.data);
    BodyLayout {
        stream: stream.len() as u32,
        event_type: new.event_type.len() as u32,
        tags,
        metadata: new.metadata.len() as u32,
    }
}

fn split_tag(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (tag, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((std::str::from_utf8(tag).ok()?, after))
}

impl fmt::Debug for RecordedEvent {
    /// Names and numbers, never data or metadata: those may hold what must not reach a log file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("position", &self.header.position.0)
            .field("stream", &self.stream())
            .field("revision", &self.header.revision.0)
            .field("event_type", &self.event_type())
            .field("id", &self.header.id.0)
            .field("data_bytes", &self.data_slice().len())
            .field("redacted", &self.is_redacted())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, Tag};

    fn header() -> RecordedHeader {
        RecordedHeader {
            position: Position(4),
            revision: Revision(2),
            id: EventId::generate(),
            append_id: None,
            recorded_at: Timestamp(7),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
        }
    }

    #[test]
    fn every_part_comes_back_verbatim() {
        let stream = StreamName::new("account-7").unwrap();
        let new = NewEvent::json(EventType::new("FundsDeposited").unwrap(), "{\"n\": 1.10}")
            .with_metadata("{\"$correlationId\":\"c1\"}")
            .with_tag(Tag::new("account:7").unwrap())
            .with_tag(Tag::new("é").unwrap());
        let event = RecordedEvent::record(header(), &stream, &new);
        assert_eq!(event.stream(), "account-7");
        assert_eq!(event.event_type(), "FundsDeposited");
        assert_eq!(event.tags().collect::<Vec<_>>(), ["account:7", "é"]);
        assert_eq!(event.data(), "{\"n\": 1.10}");
        assert_eq!(event.correlation().as_deref(), Some("c1"));
        assert_eq!(event.causation(), None);
        let again = RecordedEvent::from_body(header(), event.body().clone(), event.layout()).unwrap();
        assert_eq!(again.detach().data(), event.data());
        let other = event.with_data(b"{\"n\":2}");
        assert_eq!((other.data(), other.metadata()), ("{\"n\":2}".into(), event.metadata()));
        assert_eq!((other.stream(), other.header()), (event.stream(), event.header()));
    }

    #[test]
    fn a_redacted_event_keeps_its_header_and_its_names() {
        let stream = StreamName::new("account-7").unwrap();
        let new = NewEvent::json(EventType::new("FundsDeposited").unwrap(), "{\"n\": 1.10}")
            .with_metadata("{\"$correlationId\":\"c1\"}")
            .with_tag(Tag::new("account:7").unwrap());
        let event = RecordedEvent::record(header(), &stream, &new);
        let redaction = Redaction {
            leaf: crate::Leaf::of(&event),
            reason: "r".to_owned(),
            at: Timestamp(9),
            recorded: Position(11),
        };
        let redacted = event.redacted(redaction.clone());
        assert_eq!((redacted.header(), redacted.stream()), (event.header(), "account-7"));
        assert_eq!((redacted.event_type(), redacted.body().len()), ("FundsDeposited", 23));
        assert_eq!((redacted.tags().count(), redacted.correlation()), (0, None));
        assert_eq!((redacted.data().len(), redacted.metadata().len()), (0, 0));
        assert_eq!((redacted.redaction(), redacted.detach().is_redacted()), (Some(&redaction), true));
        assert_eq!(crate::Leaf::of(&redacted), crate::Leaf::of(&event));
        assert!(!event.is_redacted() && event != redacted);
    }

    #[test]
    fn a_body_with_wrong_lengths_is_refused() {
        let layout = BodyLayout { stream: 3, event_type: u32::MAX, tags: 0, metadata: 0 };
        assert!(RecordedEvent::from_body(header(), Bytes::from_static(b"abc"), layout).is_err());
        let tags = BodyLayout { stream: 1, event_type: 1, tags: 3, metadata: 0 };
        assert!(RecordedEvent::from_body(header(), Bytes::from_static(b"st\x09\x00x"), tags).is_err());
        let utf8 = BodyLayout { stream: 2, event_type: 1, tags: 0, metadata: 0 };
        assert!(RecordedEvent::from_body(header(), Bytes::from_static(b"\xff\xfft"), utf8).is_err());
    }
}
