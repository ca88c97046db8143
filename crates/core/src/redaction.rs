//! What is asked of a redaction, what it is told, and what stays of the event.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::admission::{LogView, SystemEvent};
use crate::limits::{MAX_REDACTION_ACTOR_BYTES, MAX_REDACTION_REASON_BYTES};
use crate::{
    Checkpoint, EventId, Position, ReadError, RecordedEvent, RedactError, Revision, SCHEMAS_STREAM,
    StreamName, Timestamp,
};

/// The stream in which redactions are recorded. Only a store itself writes it, and it is not deleted.
pub const REDACTIONS_STREAM: &str = "$redactions";
/// The type of the event that records a redaction.
pub const EVENT_REDACTED_TYPE: &str = "$eventRedacted";

/// One redaction: the data, the metadata and the tags of one event go for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redact {
    /// The event's place in the log.
    pub position: Position,
    /// Why. It stays for ever and everybody can read it: it must not say what is taken out.
    pub reason: String,
    /// Who, if somebody is named. It stays too.
    pub actor: Option<String>,
}

impl Redact {
    /// The event at `position`, for this reason.
    pub fn at(position: Position, reason: impl Into<String>) -> Self {
        Self { position, reason: reason.into(), actor: None }
    }

    /// Done by this person or program.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Checks what can be checked without a log.
    ///
    /// # Errors
    /// `NoReason` or `TooLong`.
    pub fn check(&self) -> Result<(), RedactError> {
        if self.reason.trim().is_empty() {
            return Err(RedactError::NoReason);
        }
        let within = |what, limit, actual| {
            if actual > limit { Err(RedactError::TooLong { what, limit, actual }) } else { Ok(()) }
        };
        within("reason", MAX_REDACTION_REASON_BYTES, self.reason.len())?;
        within("actor", MAX_REDACTION_ACTOR_BYTES, self.actor.as_ref().map_or(0, String::len))
    }

    /// Checks that `event`, which is at the position and is not redacted, is one that may be.
    ///
    /// # Errors
    /// `Reserved` for the store's own events, and for those of a metadata stream.
    pub fn check_event(&self, event: &RecordedEvent) -> Result<(), RedactError> {
        let stream = event.stream();
        let why = if event.event_type().starts_with('$') {
            "it is one of the store's own events"
        } else if stream.starts_with(crate::METASTREAM_PREFIX) {
            "it says how long another stream's events are seen"
        } else if stream == REDACTIONS_STREAM || stream == SCHEMAS_STREAM {
            "the store itself reads this stream"
        } else {
            return Ok(());
        };
        let (stream, event_type) = (stream.to_owned(), event.event_type().to_owned());
        Err(RedactError::Reserved { position: self.position, stream, event_type, why })
    }

    /// The event that records the redaction of `event`.
    ///
    /// # Errors
    /// The view's own.
    pub fn request(&self, view: &impl LogView, event: &RecordedEvent) -> Result<SystemEvent, ReadError> {
        let stream = redactions_stream();
        let revision = view.facts(&stream)?.last.map_or(Revision::START, Revision::next);
        Ok(SystemEvent::new(stream, revision, EVENT_REDACTED_TYPE, self.request_data(event)))
    }

    fn request_data(&self, event: &RecordedEvent) -> Bytes {
        let mut data = Map::new();
        data.insert("position".to_owned(), Value::from(event.position().0));
        data.insert("stream".to_owned(), Value::from(event.stream()));
        data.insert("revision".to_owned(), Value::from(event.revision().0));
        data.insert("eventId".to_owned(), Value::from(event.id().to_string()));
        data.insert("type".to_owned(), Value::from(event.event_type()));
        data.insert("leaf".to_owned(), Value::from(Leaf::of(event).to_string()));
        data.insert("reason".to_owned(), Value::from(self.reason.as_str()));
        if let Some(actor) = &self.actor {
            data.insert("actor".to_owned(), Value::from(actor.as_str()));
        }
        Bytes::from(Value::Object(data).to_string())
    }
}

/// What stands for an event in the proof of a log: SHA-256 over its record, as `docs/format.md` draws it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf(pub [u8; 32]);

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Leaf {
    /// The leaf that `text` shows: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut leaf = [0; 32];
        if text.len() != 2 * leaf.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in leaf.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(leaf))
    }
}

/// What an event carries in the place of what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The leaf of the event as it was.
    pub leaf: Leaf,
    /// Why it was redacted.
    pub reason: String,
    /// When the redaction was recorded.
    pub at: Timestamp,
    /// Where it was recorded: the event in [`REDACTIONS_STREAM`], which says who did it.
    pub recorded: Position,
}

/// A recorded request: which event, and what it is to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactionRequest {
    /// The event's place.
    pub position: Position,
    /// The event's identity.
    pub event: EventId,
    /// What it carries from then on.
    pub redaction: Redaction,
}

impl RedactionRequest {
    /// What `event`, of [`REDACTIONS_STREAM`], asks for; `None` where it does not ask for anything.
    pub fn parse(event: &RecordedEvent) -> Option<Self> {
        if event.stream() != REDACTIONS_STREAM || event.event_type() != EVENT_REDACTED_TYPE {
            return None;
        }
        let data: Map<String, Value> = serde_json::from_slice(event.data_slice()).ok()?;
        let text = |key: &str| data.get(key)?.as_str();
        let redaction = Redaction {
            leaf: Leaf::parse(text("leaf")?)?,
            reason: text("reason")?.to_owned(),
            at: event.recorded_at(),
            recorded: event.position(),
        };
        let position = Position(data.get("position")?.as_u64()?);
        Some(Self { position, event: text("eventId")?.parse().ok()?, redaction })
    }
}

/// Whether a redaction was done now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedactOutcome {
    /// It was done now.
    Done,
    /// It was done before. The answer is that of the first time, its reason included.
    DoneBefore,
}

/// What a redaction came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The event as it is now.
    pub event: RecordedEvent,
    /// What it carries.
    pub redaction: Redaction,
    /// Whether it was done now.
    pub outcome: RedactOutcome,
    /// A token that a reader can wait for: the place after the event that records the redaction.
    pub token: Checkpoint,
}

pub(crate) fn redactions_stream() -> StreamName {
    StreamName::new(REDACTIONS_STREAM).unwrap_or_else(|_| unreachable!("a constant name"))
}

/// Whether only a store itself may write this stream.
pub(crate) fn is_kept_by_store(stream: &StreamName) -> bool {
    stream.described().unwrap_or(stream.as_str()) == REDACTIONS_STREAM
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, NewEvent, RecordedHeader, SchemaVersion};

    fn recorded(stream: &str, new: &NewEvent) -> RecordedEvent {
        let header = RecordedHeader {
            position: Position(4),
            revision: Revision(2),
            id: new.id,
            append_id: None,
            recorded_at: Timestamp(7),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: new.content_type,
        };
        RecordedEvent::record(header, &StreamName::new(stream).unwrap(), new)
    }

    fn event(event_type: &str, data: impl Into<Bytes>) -> NewEvent {
        NewEvent::json(EventType::new(event_type).unwrap(), data)
    }

    #[test]
    fn a_request_says_which_event_and_what_it_is_to_carry() {
        let secret = recorded("s-1", &event("Opened", r#"{"name":"Ada"}"#));
        let redact = Redact::at(Position(4), "wrong person").by("ops");
        let data = redact.request_data(&secret);
        assert!(memchr::memmem::find(&data, b"Ada").is_none());
        let request = recorded(REDACTIONS_STREAM, &event(EVENT_REDACTED_TYPE, data));
        let parsed = RedactionRequest::parse(&request).unwrap();
        assert_eq!((parsed.position, parsed.event), (Position(4), secret.id()));
        let Redaction { leaf, reason, at, recorded } = parsed.redaction;
        assert_eq!((leaf, reason.as_str()), (Leaf::of(&secret), "wrong person"));
        assert_eq!((at, recorded), (Timestamp(7), Position(4)));
    }

    #[test]
    fn what_is_no_request_asks_for_nothing() {
        let data = r#"{"position":4,"eventId":"x","leaf":"00","reason":"r"}"#;
        for (stream, event_type, data) in [
            ("other", EVENT_REDACTED_TYPE, "{}"),
            (REDACTIONS_STREAM, "Other", "{}"),
            (REDACTIONS_STREAM, EVENT_REDACTED_TYPE, "{}"),
            (REDACTIONS_STREAM, EVENT_REDACTED_TYPE, data),
            (REDACTIONS_STREAM, EVENT_REDACTED_TYPE, "not JSON"),
        ] {
            assert_eq!(RedactionRequest::parse(&recorded(stream, &event(event_type, data))), None, "{data}");
        }
    }

    #[test]
    fn a_leaf_is_64_hexadecimal_digits() {
        let leaf = Leaf(std::array::from_fn(|at| at as u8 * 8));
        assert_eq!(Leaf::parse(&leaf.to_string()), Some(leaf));
        for bad in ["", "00", &"g".repeat(64), &"+".repeat(64), &"é".repeat(32)] {
            assert_eq!(Leaf::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_reason_is_needed_and_has_a_limit() {
        let check = |reason: &str, actor: &str| Redact::at(Position(0), reason).by(actor).check();
        assert!(check("r", "").is_ok());
        assert!(
            check(&"r".repeat(MAX_REDACTION_REASON_BYTES), &"a".repeat(MAX_REDACTION_ACTOR_BYTES)).is_ok()
        );
        assert!(matches!(check(" \n", "a"), Err(RedactError::NoReason)));
        let long = check(&"r".repeat(MAX_REDACTION_REASON_BYTES + 1), "a");
        assert!(matches!(long, Err(RedactError::TooLong { what: "reason", limit: 1_024, actual: 1_025 })));
        let long = check("r", &"a".repeat(MAX_REDACTION_ACTOR_BYTES + 1));
        assert!(matches!(long, Err(RedactError::TooLong { what: "actor", limit: 256, actual: 257 })));
    }
}
