//! How do events become what a store keeps, and what a store keeps become events again?
//!
//! Write: encode, check that it reads back. Read: find the kind by its stored name, upcast what is of an earlier
//! version, decode strictly. Stored bytes are never rewritten.

mod error;
mod place;

pub use error::{CodecError, DecodeError, DecodeFault, EncodeError, EncodeFault};
pub(crate) use error::{describe, without_value};
pub(crate) use place::end_of;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use factum_core::{
    ContentType, EventType, NameError, NewEvent, QueryItem, RecordedEvent, SchemaVersion, limits,
};
use serde_json::Value;

use crate::{Event, EventKind, Upcaster, schema};

/// Most unknown fields that a tolerant codec drops from one event before it gives up.
pub const MAX_DROPPED_FIELDS: usize = 64;

/// What to do with an event whose type is not in the enum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownEvents {
    /// It is an error: right for a decision, which may not overlook a fact.
    #[default]
    Refuse,
    /// [`Codec::decode_known`] gives `None`: for a projection that follows more than its own events.
    Skip,
}

/// What to do with a field that the event's type does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// It is an error: right for a decision.
    #[default]
    Refuse,
    /// It is dropped and counted: for a projection that may be older than the events' writer.
    Drop,
}

/// Between the events of `E` and what a store keeps. Strict, unless told otherwise. A clone is cheap.
///
/// ```
/// use factum::{Codec, Event};
///
/// #[derive(Debug, PartialEq, Event)]
/// enum AccountEvent {
///     // Version 1 had `cents`, and was called "Deposited".
///     #[event(name = "FundsDeposited", version = 2, alias = "Deposited")]
///     #[event(upcast(from = 1, rename("cents", "minor"), default("currency", "EUR")))]
///     FundsDeposited { minor: i64, currency: String },
///     AccountFrozen,
/// }
///
/// let codec = Codec::<AccountEvent>::new()?;
/// let event = AccountEvent::FundsDeposited { minor: 1250, currency: "EUR".to_owned() };
/// let new = codec.encode(&event)?;
/// assert_eq!(new.event_type, "FundsDeposited");
/// assert_eq!(new.schema_version.0, 2);
/// assert_eq!(new.data, r#"{"minor":1250,"currency":"EUR"}"#);
///
/// // What a store would give back, decoded; here an old event:
/// let decoded = codec.decode_data("Deposited", 1, br#"{"cents":1250}"#)?;
/// assert_eq!(decoded, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Codec<E> {
    inner: Arc<Inner>,
    unknown_events: UnknownEvents,
    unknown_fields: UnknownFields,
    events: PhantomData<fn() -> E>,
}

struct Inner {
    /// The current name of each kind, checked.
    types: Vec<EventType>,
    /// Fields dropped so far by this codec and its clones.
    dropped: AtomicU64,
}

impl<E> Clone for Codec<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), events: PhantomData, ..*self }
    }
}

impl<E: Event> fmt::Debug for Codec<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("events", &E::name())
            .field("unknown_events", &self.unknown_events)
            .field("unknown_fields", &self.unknown_fields)
            .finish()
    }
}

impl<E: Event> Codec<E> {
    /// The codec of `E`, once its declaration has been checked. Make it at start and keep it.
    ///
    /// # Errors
    /// Two kinds with one name, an upcaster that is missing, superfluous or twice there, or a struct inside an event
    /// that would ignore unknown fields.
    pub fn new() -> Result<Self, CodecError> {
        let kinds = E::kinds();
        let types = kinds.iter().map(check_kind).collect::<Result<Vec<_>, _>>()?;
        let mut names = HashMap::new();
        for kind in kinds {
            for name in kind.names() {
                if let Some(other) = names.insert(name, kind.event_type) {
                    let kinds = [other, kind.event_type];
                    return Err(CodecError::DuplicateName { name: name.to_owned(), kinds });
                }
            }
        }
        schema::check_closed::<E>()?;
        Ok(Self {
            inner: Arc::new(Inner { types, dropped: AtomicU64::new(0) }),
            unknown_events: UnknownEvents::Refuse,
            unknown_fields: UnknownFields::Refuse,
            events: PhantomData,
        })
    }

    /// With this answer to events of other types.
    #[must_use]
    pub fn unknown_events(mut self, unknown_events: UnknownEvents) -> Self {
        self.unknown_events = unknown_events;
        self
    }

    /// With this answer to fields that the event does not have.
    #[must_use]
    pub fn unknown_fields(mut self, unknown_fields: UnknownFields) -> Self {
        self.unknown_fields = unknown_fields;
        self
    }

    /// How many unknown fields this codec and its clones have dropped.
    pub fn dropped_fields(&self) -> u64 {
        self.inner.dropped.load(Ordering::Relaxed)
    }

    /// The event as a store takes it: type, version, tags and data; with a fresh id and no metadata.
    ///
    /// # Errors
    /// Where a tag is empty or too long, or where the data would not read back: then it must not be written.
    pub fn encode(&self, event: &E) -> Result<NewEvent, EncodeError> {
        Ok(encode_as(event, |kind| Ok(self.inner.types[kind].clone()))?.new)
    }

    /// The event that a store gave back. A type that is not in the enum is an error, in every mode.
    ///
    /// # Errors
    /// `DecodeError` with the event's type, version, stream and position, and why.
    pub fn decode(&self, event: &RecordedEvent) -> Result<E, DecodeError> {
        decode_with(event, |kind, data| self.decode_current(kind, data))
    }

    /// As `decode`; with [`UnknownEvents::Skip`], `None` for an event whose type is not in the enum.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_known(&self, event: &RecordedEvent) -> Result<Option<E>, DecodeError> {
        if self.unknown_events == UnknownEvents::Skip && find::<E>(event.event_type()).is_none() {
            return Ok(None);
        }
        self.decode(event).map(Some)
    }

    /// An event from its parts, for what does not come from a store: files, tests.
    ///
    /// # Errors
    /// Why it cannot be decoded.
    pub fn decode_data(&self, event_type: &str, version: u32, data: &[u8]) -> Result<E, DecodeFault> {
        let kind = find::<E>(event_type).ok_or(DecodeFault::UnknownType { events: E::name() })?;
        upcast_and_decode::<E>(kind, version, data, |kind, data| self.decode_current(kind, data))
    }

    /// Every name under which an event of `E` may be stored, current and historical.
    pub fn stored_types(&self) -> Vec<EventType> {
        self.stored_types_of(E::kinds().iter().map(|kind| kind.event_type))
    }

    /// The names under which events of these kinds may be stored. A name that is no kind's gives nothing.
    ///
    /// Queries and conditions name current types; this adds the historical ones, so that old events match too.
    pub fn stored_types_of<'a>(&self, event_types: impl IntoIterator<Item = &'a str>) -> Vec<EventType> {
        let kinds = event_types.into_iter().filter_map(find::<E>);
        let names = kinds.flat_map(|kind| E::kinds()[kind].names());
        names.filter_map(|name| EventType::new(name).ok()).collect()
    }

    /// A query item for every event of `E`, old names included: add tags with `and_tags`.
    ///
    /// Has at most `MAX_QUERY_TERMS` names; an enum with more kinds than that needs several items.
    pub fn query_item(&self) -> QueryItem {
        QueryItem::types(self.stored_types().into_iter().take(limits::MAX_QUERY_TERMS))
    }

    fn decode_current(&self, kind: usize, data: &[u8]) -> Result<E, DecodeFault> {
        match E::decode_kind(kind, data) {
            Ok(event) => Ok(event),
            Err(error) if self.unknown_fields == UnknownFields::Drop => {
                self.decode_dropping(kind, data, error)
            }
            Err(error) => Err(DecodeFault::data(&error, data)),
        }
    }

    /// Drops the fields that the type refuses, one after the other: exactly those and no others.
    fn decode_dropping(
        &self,
        kind: usize,
        data: &[u8],
        mut error: serde_json::Error,
    ) -> Result<E, DecodeFault> {
        let mut rest = data.to_vec();
        for dropped in 1..=MAX_DROPPED_FIELDS {
            let Some(less) = place::without_unknown_field(&rest, &error) else { break };
            rest = less;
            match E::decode_kind(kind, &rest) {
                Ok(event) => {
                    self.inner.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
                    return Ok(event);
                }
                Err(next) => error = next,
            }
        }
        Err(DecodeFault::data(&error, &rest))
    }
}

/// An event as a store takes it, and as it reads back: there, personal values know whose they are.
pub(crate) struct Encoded<E> {
    pub(crate) new: NewEvent,
    pub(crate) read_back: E,
}

/// As [`Codec::encode`], for those who have no codec at hand.
pub(crate) fn encode<E: Event>(event: &E) -> Result<Encoded<E>, EncodeError> {
    encode_as(event, |kind| EventType::new(E::kinds()[kind].event_type))
}

/// As the strict [`Codec::decode`], for those who have no codec at hand.
pub(crate) fn decode<E: Event>(event: &RecordedEvent) -> Result<E, DecodeError> {
    decode_with(event, decode_strictly)
}

fn encode_as<E: Event>(
    event: &E,
    name: impl FnOnce(usize) -> Result<EventType, NameError>,
) -> Result<Encoded<E>, EncodeError> {
    let event_type = event.event_type();
    let refuse = |fault| EncodeError { event_type, fault };
    let kind = E::kinds().iter().position(|kind| kind.event_type == event_type);
    let kind = kind.ok_or_else(|| refuse(EncodeFault::Undeclared))?;
    let data = event.encode().map_err(|e| refuse(EncodeFault::Json { why: error::describe(&e) }))?;
    // JSON has no NaN, and serde attributes may differ for the two directions: find out before it is a fact.
    let read_back = E::decode_kind(kind, &data)
        .map_err(|e| refuse(EncodeFault::DoesNotReadBack { why: error::describe(&e) }))?;
    let tags = event.tags().map_err(|e| refuse(EncodeFault::Tag(e)))?;
    let event_type = name(kind).map_err(|e| refuse(EncodeFault::Name(e)))?;
    let new = NewEvent { tags, ..NewEvent::json(event_type, data) }
        .with_schema_version(SchemaVersion(event.schema_version()));
    Ok(Encoded { new, read_back })
}

fn decode_with<E: Event>(
    event: &RecordedEvent,
    current: impl FnOnce(usize, &[u8]) -> Result<E, DecodeFault>,
) -> Result<E, DecodeError> {
    let result = match (find::<E>(event.event_type()), event.redaction()) {
        (Some(_), Some(redaction)) => Err(DecodeFault::Redacted { reason: redaction.reason.as_str().into() }),
        (Some(kind), None) if event.content_type() == ContentType::Json => {
            upcast_and_decode(kind, event.schema_version().0, event.data_slice(), current)
        }
        (Some(_), None) => Err(DecodeFault::Binary),
        (None, _) => Err(DecodeFault::UnknownType { events: E::name() }),
    };
    result.map_err(|fault| DecodeError::at(event, fault))
}

/// The kind that is stored under this name, current or historical. Allocates nothing.
fn find<E: Event>(name: &str) -> Option<usize> {
    let kinds = E::kinds();
    let current = kinds.iter().position(|kind| kind.event_type == name);
    current.or_else(|| kinds.iter().position(|kind| kind.aliases.contains(&name)))
}

fn upcast_and_decode<E: Event>(
    kind: usize,
    version: u32,
    data: &[u8],
    current: impl FnOnce(usize, &[u8]) -> Result<E, DecodeFault>,
) -> Result<E, DecodeFault> {
    match upcast(&E::kinds()[kind], version, data, |_, _| {})? {
        None => current(kind, data),
        Some(upcast) => current(kind, &upcast),
    }
}

/// The data as the kind's current version has it; `None` where it is of that version. `step` hears of each upcaster, with what
/// it made of the data.
pub(crate) fn upcast(
    declared: &EventKind,
    version: u32,
    data: &[u8],
    mut step: impl FnMut(&'static Upcaster, &Value),
) -> Result<Option<Vec<u8>>, DecodeFault> {
    if version == declared.version {
        return Ok(None);
    }
    if version == 0 || version > declared.version {
        return Err(DecodeFault::UnknownVersion { newest: declared.version });
    }
    let mut value: Value = serde_json::from_slice(data).map_err(|e| DecodeFault::data(&e, data))?;
    for from in version..declared.version {
        let upcaster = declared.upcasters.iter().find(|upcaster| upcaster.from == from);
        let upcaster = upcaster.ok_or(DecodeFault::NoUpcaster { from })?;
        value = upcaster.apply(value).map_err(|why| DecodeFault::Upcast { from, why: why.into() })?;
        step(upcaster, &value);
    }
    serde_json::to_vec(&value).map(Some).map_err(|e| DecodeFault::data(&e, data))
}

/// Whether data of the current version reads as the kind.
pub(crate) fn reads_as<E: Event>(kind: usize, data: &[u8]) -> Result<(), DecodeFault> {
    decode_strictly::<E>(kind, data).map(drop)
}

fn decode_strictly<E: Event>(kind: usize, data: &[u8]) -> Result<E, DecodeFault> {
    E::decode_kind(kind, data).map_err(|error| DecodeFault::data(&error, data))
}

impl EventKind {
    /// The names under which it may be stored: the current one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.event_type).chain(self.aliases.iter().copied())
    }
}

fn check_kind(kind: &EventKind) -> Result<EventType, CodecError> {
    let event_type = kind.event_type;
    let bad_name = |source| CodecError::Name { event_type, source };
    for name in kind.names() {
        EventType::new(name).map_err(bad_name)?;
        if name.starts_with('$') {
            return Err(CodecError::Reserved { name: name.to_owned() });
        }
    }
    if kind.version == 0 {
        return Err(CodecError::VersionZero { event_type });
    }
    for (found, expected) in kind.upcasters.iter().map(|upcaster| upcaster.from).zip(1..) {
        if found != expected || found >= kind.version {
            return Err(CodecError::UpcasterOutOfPlace {
                event_type,
                found,
                expected,
                version: kind.version,
            });
        }
    }
    if kind.upcasters.len() as u64 + 1 != u64::from(kind.version) {
        let from = kind.upcasters.len() as u32 + 1;
        return Err(CodecError::UpcasterMissing { event_type, version: kind.version, from });
    }
    for upcaster in kind.upcasters {
        upcaster.check().map_err(|why| CodecError::UpcasterStep { event_type, from: upcaster.from, why })?;
    }
    EventType::new(event_type).map_err(bad_name)
}
