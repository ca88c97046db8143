//! Who asks for a command, why and as part of what: what is kept beside the events that it causes.

use bytes::Bytes;
use factum_core::{
    AppendId, CAUSATION_KEY, CORRELATION_KEY, EventId, RecordedEvent, Timestamp, metadata_text,
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The metadata key of the one who asked.
pub const ACTOR_KEY: &str = "actor";
/// The metadata key of the command's identity.
pub const COMMAND_KEY: &str = "commandId";
/// The metadata key of the W3C trace context.
pub const TRACEPARENT_KEY: &str = "traceparent";

/// The namespace of append ids that are made from command ids which are not UUIDs.
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x6c0d_2f5e_91b4_4c3a_8e57_0f6a_27d3_b918);

/// The identity of a command: executed twice, it has one effect. At most a few hundred bytes: it is kept with each event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(String);

impl CommandId {
    /// The command's identity as its sender gave it: a UUID, or any other text.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity of the append that this command leads to: the command's own UUID, or a UUID made from its text.
    pub fn append_id(&self) -> AppendId {
        AppendId(
            Uuid::parse_str(&self.0).unwrap_or_else(|_| Uuid::new_v5(&COMMAND_NAMESPACE, self.0.as_bytes())),
        )
    }

    /// The identity of the event with this index, from 0, among those that the command leads to.
    ///
    /// The same each time, so that even a store which forgets append ids knows a repeated event.
    pub fn event_id(&self, index: usize) -> EventId {
        EventId(Uuid::new_v5(&self.append_id().0, format!("event {index}").as_bytes()))
    }
}

/// Who asks for a command, why and as part of what. Everything may be left out.
///
/// ```
/// use factum::CommandMetadata;
///
/// let asked = CommandMetadata::new().actor("ada").command_id("order-17/pay").correlation("order-17");
/// assert_eq!(asked.to_json(), r#"{"$correlationId":"order-17","actor":"ada","commandId":"order-17/pay"}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandMetadata {
    /// Who asks.
    pub actor: Option<String>,
    /// The whole that this command is a part of.
    pub correlation: Option<String>,
    /// What led to it: the id of an event or of a command.
    pub causation: Option<String>,
    /// The command's identity: executed twice, it has one effect.
    pub command_id: Option<CommandId>,
    /// The W3C trace context that the command came with.
    pub traceparent: Option<String>,
    /// When it happened, where that differs from when it is recorded.
    pub occurred_at: Option<Timestamp>,
}

impl CommandMetadata {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a recorded event says of the command that led to it.
    pub fn of(event: &RecordedEvent) -> Self {
        let text = |key| metadata_text(event.metadata_slice(), key);
        Self {
            actor: text(ACTOR_KEY),
            correlation: text(CORRELATION_KEY),
            causation: text(CAUSATION_KEY),
            command_id: text(COMMAND_KEY).map(CommandId),
            traceparent: text(TRACEPARENT_KEY),
            occurred_at: event.header().occurred_at,
        }
    }

    /// Asked by this person, service or process.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// As part of this whole.
    #[must_use]
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.correlation = Some(id.into());
        self
    }

    /// Because of this event or command.
    #[must_use]
    pub fn causation(mut self, id: impl Into<String>) -> Self {
        self.causation = Some(id.into());
        self
    }

    /// Because of this event, and as part of the same whole.
    #[must_use]
    pub fn caused_by(mut self, event: &RecordedEvent) -> Self {
        self.correlation = event.correlation().or(self.correlation);
        self.causation = Some(event.id().to_string());
        self
    }

    /// With this identity.
    #[must_use]
    pub fn command_id(mut self, id: impl Into<String>) -> Self {
        self.command_id = Some(CommandId::new(id));
        self
    }

    /// With this W3C trace context.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Of something that happened at this time.
    #[must_use]
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// The metadata of an event that the command leads to: a JSON object, or empty where nothing was said.
    pub fn to_json(&self) -> Bytes {
        let mut keys = Map::new();
        let mut put = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                keys.insert(key.to_owned(), Value::from(value));
            }
        };
        put(CORRELATION_KEY, self.correlation.as_deref());
        put(CAUSATION_KEY, self.causation.as_deref());
        put(ACTOR_KEY, self.actor.as_deref());
        put(COMMAND_KEY, self.command_id.as_ref().map(CommandId::as_str));
        put(TRACEPARENT_KEY, self.traceparent.as_deref());
        if keys.is_empty() { Bytes::new() } else { Bytes::from(Value::Object(keys).to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_the_append_id_itself_and_other_text_is_hashed() {
        let uuid = "018f4e2a-0000-7000-8000-000000000001";
        assert_eq!(CommandId::new(uuid).append_id().to_string(), uuid);
        let text = CommandId::new("order-17/pay");
        assert_eq!(text.append_id(), CommandId::new("order-17/pay").append_id());
        assert_ne!(text.append_id(), CommandId::new("order-17/ship").append_id());
        assert_eq!(text.append_id().0.get_version_num(), 5);
    }

    #[test]
    fn event_ids_differ_by_command_and_by_index() {
        let (one, other) = (CommandId::new("a"), CommandId::new("b"));
        assert_eq!(one.event_id(0), CommandId::new("a").event_id(0));
        assert_ne!(one.event_id(0), one.event_id(1));
        assert_ne!(one.event_id(0), other.event_id(0));
    }

    #[test]
    fn nothing_said_is_no_metadata() {
        assert!(CommandMetadata::new().to_json().is_empty());
    }
}
