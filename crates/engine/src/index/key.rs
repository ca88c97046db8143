//! Under which keys is an event found?

use std::fmt;

use factum_core::{AppendId, CAUSATION_KEY, CORRELATION_KEY, EventId, RecordedEvent, Revision, category_of};
use memchr::memmem;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use twox_hash::XxHash3_64;

/// What a key speaks of. The numbers go into the hashes that runs store: they are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum KeyKind {
    /// The stream's name.
    Stream = 1,
    /// The part of the stream's name before its first `-`.
    Category = 2,
    /// The event type.
    Type = 3,
    /// One tag.
    Tag = 4,
    /// The event type and one tag.
    TypeTag = 5,
    /// The metadata's `$correlationId`.
    Correlation = 6,
    /// The metadata's `$causationId`.
    Causation = 7,
    /// The event id.
    EventId = 8,
    /// The append id.
    AppendId = 9,
    /// The first event of a stream.
    StreamStart = 10,
}

/// Spreads the numbers of the kinds over the seeds.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// A key as the index knows it. Two keys may share a hash: whoever uses the index checks the event itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyHash(pub(crate) u64);

impl KeyHash {
    fn of(kind: KeyKind, part: &[u8]) -> Self {
        // XXH3 combines short inputs and seeds by XOR: seeds that differ in a few low bits would make the tag `4` meet the stream `1`.
        let seed = u64::from(kind as u8).wrapping_mul(SEED);
        Self(XxHash3_64::oneshot_with_seed(seed, part))
    }

    /// The events of a stream.
    pub(crate) fn stream(name: &str) -> Self {
        Self::of(KeyKind::Stream, name.as_bytes())
    }

    /// The events of a category.
    pub(crate) fn category(name: &str) -> Self {
        Self::of(KeyKind::Category, name.as_bytes())
    }

    /// The events of a type.
    pub(crate) fn event_type(name: &str) -> Self {
        Self::of(KeyKind::Type, name.as_bytes())
    }

    /// The events that carry a tag.
    pub(crate) fn tag(tag: &str) -> Self {
        Self::of(KeyKind::Tag, tag.as_bytes())
    }

    /// The events of a type that carry a tag.
    pub(crate) fn type_tag(event_type: &str, tag: &str) -> Self {
        TypeTags::new(event_type).with(tag)
    }

    /// The events with this `$correlationId`.
    pub(crate) fn correlation(id: &str) -> Self {
        Self::of(KeyKind::Correlation, id.as_bytes())
    }

    /// The events with this `$causationId`.
    pub(crate) fn causation(id: &str) -> Self {
        Self::of(KeyKind::Causation, id.as_bytes())
    }

    /// The events with this id.
    pub(crate) fn event_id(id: EventId) -> Self {
        Self::of(KeyKind::EventId, id.0.as_bytes())
    }

    /// The events of one append.
    pub(crate) fn append_id(id: AppendId) -> Self {
        Self::of(KeyKind::AppendId, id.0.as_bytes())
    }

    /// The first event of every stream.
    pub(crate) fn stream_start() -> Self {
        Self::of(KeyKind::StreamStart, b"")
    }
}

/// Makes the keys of one type with many tags: the type is hashed once, and its hash seeds that of the tag.
struct TypeTags {
    seed: u64,
}

impl TypeTags {
    fn new(event_type: &str) -> Self {
        Self { seed: KeyHash::of(KeyKind::TypeTag, event_type.as_bytes()).0 }
    }

    fn with(&self, tag: &str) -> KeyHash {
        KeyHash(XxHash3_64::oneshot_with_seed(self.seed, tag.as_bytes()))
    }
}

/// Appends all keys of `event` to `out`. A key may come twice, where the event carries a tag twice.
pub(crate) fn event_keys(event: &RecordedEvent, out: &mut Vec<KeyHash>) {
    let stream = event.stream();
    let event_type = event.event_type();
    out.push(KeyHash::stream(stream));
    if let Some(category) = category_of(stream) {
        out.push(KeyHash::category(category));
    }
    out.push(KeyHash::event_type(event_type));
    let mut type_tags = None;
    for tag in event.tags() {
        out.push(KeyHash::tag(tag));
        out.push(type_tags.get_or_insert_with(|| TypeTags::new(event_type)).with(tag));
    }
    out.push(KeyHash::event_id(event.id()));
    if let Some(id) = event.append_id() {
        out.push(KeyHash::append_id(id));
    }
    if event.revision() == Revision::START {
        out.push(KeyHash::stream_start());
    }
    metadata_keys(event.metadata_slice(), out);
}

/// The metadata is parsed at most once, and only where it has the bytes of a key that is indexed.
fn metadata_keys(metadata: &[u8], out: &mut Vec<KeyHash>) {
    let has = |key: &str| memmem::find(metadata, key.as_bytes()).is_some();
    if metadata.is_empty() || !(has(CORRELATION_KEY) || has(CAUSATION_KEY)) {
        return;
    }
    if let Ok(ids) = serde_json::from_slice::<Ids>(metadata) {
        out.extend(ids.correlation.as_deref().map(KeyHash::correlation));
        out.extend(ids.causation.as_deref().map(KeyHash::causation));
    }
}

/// The two indexed texts of a metadata object. A key that comes twice counts as it stands last, as in `metadata_text`.
#[derive(Default)]
struct Ids {
    correlation: Option<String>,
    causation: Option<String>,
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IdsVisitor)
    }
}

struct IdsVisitor;

impl<'de> Visitor<'de> for IdsVisitor {
    type Value = Ids;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
        let mut ids = Ids::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Correlation => ids.correlation = text(map.next_value()?),
                Key::Causation => ids.causation = text(map.next_value()?),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(ids)
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

enum Key {
    Correlation,
    Causation,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    CORRELATION_KEY => Key::Correlation,
                    CAUSATION_KEY => Key::Causation,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::metadata_text;

    #[test]
    fn hashes_never_change() {
        // Runs on disk hold these: a change here makes every run of an older build miss its keys.
        assert_eq!(KeyHash::stream("account-7"), KeyHash(828052374138769817));
        assert_eq!(KeyHash::type_tag("Deposited", "account:7"), KeyHash(2725253807046433572));
        assert_eq!(KeyHash::stream_start(), KeyHash(12203810793356291251));
    }

    #[test]
    fn kinds_do_not_meet() {
        assert_ne!(KeyHash::stream("a"), KeyHash::category("a"));
        assert_ne!(KeyHash::tag("a"), KeyHash::event_type("a"));
        assert_ne!(KeyHash::type_tag("ab", "c"), KeyHash::type_tag("a", "bc"));
        let mut keys = Vec::new();
        for n in 0..2_000 {
            let text = n.to_string();
            keys.extend([KeyHash::stream(&text), KeyHash::category(&text), KeyHash::event_type(&text)]);
            keys.extend([KeyHash::tag(&text), KeyHash::correlation(&text), KeyHash::causation(&text)]);
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6 * 2_000, "short texts under different kinds");
    }

    #[test]
    fn every_id_that_a_reader_finds_has_its_key() {
        for metadata in [
            r#"{"$correlationId":"c1","$causationId":"k1"}"#,
            r#"{"$causationId":"k1","x":{"$correlationId":"inner"}}"#,
            r#"{"$correlationId":"old","$correlationId":"new"}"#,
            r#"{"$correlationId":"old","$correlationId":7}"#,
            r#"{"$correlationId":"with \" quote \u00e9"}"#,
            r#"["$correlationId"]"#,
            r#"{"$correlationId":"cut"#,
            r#"{"x":1}"#,
            "",
        ] {
            let mut keys = Vec::new();
            metadata_keys(metadata.as_bytes(), &mut keys);
            let mut wanted = Vec::new();
            wanted.extend(
                metadata_text(metadata.as_bytes(), CORRELATION_KEY).map(|id| KeyHash::correlation(&id)),
            );
            wanted
                .extend(metadata_text(metadata.as_bytes(), CAUSATION_KEY).map(|id| KeyHash::causation(&id)));
            assert_eq!(keys, wanted, "{metadata}");
        }
    }
}
