//! An event's bytes on the wire, written straight from the store's: the hottest path of a server.
//!
//! The same bytes as `EventForm::to_wire` and its encoding, but for the order of the properties, without a map and
//! without a copy of data and metadata in between. A test compares the two.

use bytes::BufMut;
use factum_core::{ContentType, RecordedEvent, SchemaVersion};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::event::{
    CONTENT_TYPE, CREATED, EventForm, JSON, OCCURRED_AT, OCTETS, SCHEMA_VERSION, TAGS, TYPE, tags_text, ticks,
};
use crate::ids::UuidForm;

/// Numbers of the fields of `RecordedEvent`.
mod field {
    pub(super) const ID: u32 = 1;
    pub(super) const STREAM: u32 = 2;
    pub(super) const REVISION: u32 = 3;
    pub(super) const PREPARE: u32 = 4;
    pub(super) const COMMIT: u32 = 5;
    pub(super) const PROPERTIES: u32 = 6;
    pub(super) const METADATA: u32 = 7;
    pub(super) const DATA: u32 = 8;
    /// In an id: its halves, or its text.
    pub(super) const STRUCTURED: u32 = 1;
    pub(super) const TEXT: u32 = 2;
    /// In a stream identifier.
    pub(super) const NAME: u32 = 3;
    /// In an entry of a map.
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// Characters of an id as text.
const UUID_TEXT_BYTES: usize = 36;
/// Most digits of a signed 64-bit number, with its sign.
const MAX_DIGITS: usize = 20;

/// An event measured, ready to be written.
#[derive(Debug)]
pub struct EventBytes<'a> {
    event: &'a RecordedEvent,
    ids: UuidForm,
    created: Digits,
    /// Properties of Factum's own: few events have any.
    own: Vec<(&'static str, String)>,
    len: usize,
}

impl<'a> EventBytes<'a> {
    /// Measures the event.
    pub fn of(form: EventForm, event: &'a RecordedEvent) -> Self {
        let mut own = Vec::new();
        if event.tags().next().is_some() {
            own.push((TAGS, tags_text(event.tags())));
        }
        if event.schema_version() != SchemaVersion::FIRST {
            own.push((SCHEMA_VERSION, event.schema_version().0.to_string()));
        }
        if let Some(at) = event.occurred_at() {
            own.push((OCCURRED_AT, ticks(at).to_string()));
        }
        let created = Digits::of(ticks(event.recorded_at()));
        let mut bytes = Self { event, ids: form.ids, created, own, len: 0 };
        bytes.len = bytes.measure();
        bytes
    }

    /// How many bytes it has.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes it.
    pub fn write(&self, out: &mut impl BufMut) {
        self.write_id(out);
        let stream = self.event.stream().as_bytes();
        begin(field::STREAM, text_len(field::NAME, stream), out);
        text(field::NAME, stream, out);
        number(field::REVISION, self.event.revision().0, out);
        number(field::PREPARE, self.event.position().0, out);
        number(field::COMMIT, self.event.position().0, out);
        for (key, value) in self.properties() {
            begin(field::PROPERTIES, property_len(key, value), out);
            text(field::KEY, key.as_bytes(), out);
            text(field::VALUE, value, out);
        }
        text_unless_empty(field::METADATA, self.event.metadata_slice(), out);
        text_unless_empty(field::DATA, self.event.data_slice(), out);
    }

    fn properties(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let content = match self.event.content_type() {
            ContentType::Json => JSON,
            ContentType::Binary => OCTETS,
        };
        [
            (TYPE, self.event.event_type().as_bytes()),
            (CONTENT_TYPE, content.as_bytes()),
            (CREATED, self.created.as_bytes()),
        ]
        .into_iter()
        .chain(self.own.iter().map(|(key, value)| (*key, value.as_bytes())))
    }

    fn measure(&self) -> usize {
        let stream = text_len(field::NAME, self.event.stream().as_bytes());
        let properties: usize = self
            .properties()
            .map(|(key, value)| nested_len(field::PROPERTIES, property_len(key, value)))
            .sum();
        nested_len(field::ID, self.id_len())
            + nested_len(field::STREAM, stream)
            + number_len(field::REVISION, self.event.revision().0)
            + number_len(field::PREPARE, self.event.position().0)
            + number_len(field::COMMIT, self.event.position().0)
            + properties
            + text_len_unless_empty(field::METADATA, self.event.metadata_slice())
            + text_len_unless_empty(field::DATA, self.event.data_slice())
    }

    fn id_len(&self) -> usize {
        match self.ids {
            UuidForm::Text => nested_len(field::TEXT, UUID_TEXT_BYTES),
            UuidForm::Structured => nested_len(field::STRUCTURED, self.halves_len()),
        }
    }

    fn halves_len(&self) -> usize {
        let (high, low) = self.event.id().0.as_u64_pair();
        number_len(1, high) + number_len(2, low)
    }

    fn write_id(&self, out: &mut impl BufMut) {
        begin(field::ID, self.id_len(), out);
        match self.ids {
            UuidForm::Text => {
                let mut buffer = [0; UUID_TEXT_BYTES];
                let id = self.event.id().0.hyphenated().encode_lower(&mut buffer);
                text(field::TEXT, id.as_bytes(), out);
            }
            UuidForm::Structured => {
                let (high, low) = self.event.id().0.as_u64_pair();
                begin(field::STRUCTURED, self.halves_len(), out);
                number(1, high, out);
                number(2, low, out);
            }
        }
    }
}

/// A number as text, without an allocation.
#[derive(Debug)]
struct Digits {
    buffer: [u8; MAX_DIGITS],
    from: usize,
}

impl Digits {
    fn of(number: i64) -> Self {
        let mut digits = Self { buffer: [0; MAX_DIGITS], from: MAX_DIGITS };
        let mut rest = number.unsigned_abs();
        loop {
            digits.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            digits.push(b'-');
        }
        digits
    }

    fn push(&mut self, byte: u8) {
        self.from -= 1;
        self.buffer[self.from] = byte;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.from..]
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes of a nested message of `len` bytes with its key and length.
fn nested_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(length(len)) + len
}

fn begin(tag: u32, len: usize, out: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length(len), out);
}

fn text_len(tag: u32, text: &[u8]) -> usize {
    nested_len(tag, text.len())
}

fn text(tag: u32, text: &[u8], out: &mut impl BufMut) {
    begin(tag, text.len(), out);
    out.put_slice(text);
}

/// What is empty is the default, and not written.
fn text_len_unless_empty(tag: u32, text: &[u8]) -> usize {
    if text.is_empty() { 0 } else { text_len(tag, text) }
}

fn text_unless_empty(tag: u32, bytes: &[u8], out: &mut impl BufMut) {
    if !bytes.is_empty() {
        text(tag, bytes, out);
    }
}

/// Zero is the default, and not written.
fn number_len(tag: u32, number: u64) -> usize {
    if number == 0 { 0 } else { key_len(tag) + encoded_len_varint(number) }
}

fn number(tag: u32, number: u64, out: &mut impl BufMut) {
    if number != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(number, out);
    }
}

/// A property's value may be empty: map entries leave defaults out as any message does.
fn property_len(key: &str, value: &[u8]) -> usize {
    text_len(field::KEY, key.as_bytes()) + text_len(field::VALUE, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1;
    use factum_core::{
        EventId, EventType, NewEvent, Position, RecordedHeader, Revision, StreamName, Tag, Timestamp,
    };
    use prost::Message;
    use uuid::Uuid;

    /// The bytes that are written say the same as the message that is built.
    fn check(form: EventForm, event: &RecordedEvent) {
        let bytes = EventBytes::of(form, event);
        let mut written = Vec::new();
        bytes.write(&mut written);
        assert_eq!(written.len(), bytes.len());
        let model = form.to_wire(event);
        assert_eq!(written.len(), model.encoded_len());
        assert_eq!(v1::RecordedEvent::decode(written.as_slice()), Ok(model));
    }

    #[test]
    fn the_bytes_are_those_of_the_message() {
        let plain = NewEvent::json(EventType::new("A").expect("a type"), "");
        let full = NewEvent::json(EventType::new("Opened").expect("a type"), "x".repeat(300))
            .with_metadata("{}")
            .with_tag(Tag::new("a:1").expect("a tag"))
            .with_schema_version(SchemaVersion(2))
            .with_occurred_at(Timestamp(-5));
        let binary = NewEvent::binary(EventType::new("b").expect("a type"), vec![0, 255, 1]);
        for new in [plain, full, binary] {
            for (position, revision, at) in
                [(0, 0, 0), (1, 300, -1), (u64::MAX - 1, 1 << 40, i64::MAX), (7, 7, i64::MIN)]
            {
                for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(1 << 64)] {
                    let header = RecordedHeader {
                        position: Position(position),
                        revision: Revision(revision),
                        id: EventId(id),
                        append_id: None,
                        recorded_at: Timestamp(at),
                        occurred_at: new.occurred_at,
                        schema_version: new.schema_version,
                        content_type: new.content_type,
                    };
                    let stream = StreamName::new("käse-1").expect("a name");
                    let event = RecordedEvent::record(header, &stream, &new);
                    for ids in [UuidForm::Text, UuidForm::Structured] {
                        check(EventForm { ids }, &event);
                    }
                }
            }
        }
    }
}
