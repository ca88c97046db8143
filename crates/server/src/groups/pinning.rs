//! What is an event pinned by?

use std::hash::{DefaultHasher, Hash, Hasher};

use factum_core::RecordedEvent;
use factum_protocol::{LINK_TYPE, LinkTarget};

use super::consumers::PinKey;
use super::settings::Strategy;
use crate::source::Resolved;

/// The key of an event: its stream, or its correlation id where that is asked for and there is one. Of a link, those of
/// what it points to.
pub(super) fn key(strategy: Strategy, resolved: &Resolved) -> PinKey {
    let Some(event) = resolved.event.as_ref().or(resolved.link.as_ref()).filter(|_| strategy.pins()) else {
        return PinKey::default();
    };
    let correlation = match strategy {
        Strategy::PinnedByCorrelation => event.correlation(),
        _ => None,
    };
    match correlation {
        Some(id) => hash(&id),
        None => hash(&stream(event)),
    }
}

fn stream(event: &RecordedEvent) -> String {
    let target = if event.event_type() == LINK_TYPE { LinkTarget::parse(event.data_slice()) } else { None };
    target.map_or_else(|| event.stream().to_owned(), |target| target.stream.to_string())
}

fn hash(text: &str) -> PinKey {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    PinKey(hasher.finish())
}

#[cfg(test)]
mod tests {
    use factum_core::{
        ContentType, EventType, NewEvent, Position, RecordedHeader, Revision, SchemaVersion, StreamName,
        Timestamp,
    };

    use super::*;

    fn recorded(stream: &str, event_type: &str, data: &str, metadata: &str) -> RecordedEvent {
        let new = NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned())
            .with_metadata(metadata.to_owned());
        let header = RecordedHeader {
            position: Position(1),
            revision: Revision(1),
            id: new.id,
            append_id: None,
            recorded_at: Timestamp(0),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
        };
        RecordedEvent::record(header, &StreamName::new(stream).unwrap(), &new)
    }

    #[test]
    fn an_event_is_pinned_by_its_stream_or_its_correlation_and_a_link_by_its_target() {
        let plain = |event| Resolved::plain(event);
        let by_stream = |event| key(Strategy::Pinned, &plain(event));
        assert_eq!(by_stream(recorded("a-1", "A", "1", "")), by_stream(recorded("a-1", "B", "2", "")));
        assert_ne!(by_stream(recorded("a-1", "A", "1", "")), by_stream(recorded("a-2", "A", "1", "")));
        assert_eq!(by_stream(recorded("links", "$>", "4@a-1", "")), by_stream(recorded("a-1", "A", "1", "")));
        let by_correlation = |event| key(Strategy::PinnedByCorrelation, &plain(event));
        let correlated = r#"{"$correlationId":"c"}"#;
        assert_eq!(
            by_correlation(recorded("a-1", "A", "1", correlated)),
            by_correlation(recorded("a-2", "A", "1", correlated))
        );
        assert_eq!(by_correlation(recorded("a-1", "A", "1", "{")), by_stream(recorded("a-1", "A", "1", "")));
        assert_eq!(key(Strategy::RoundRobin, &plain(recorded("a-1", "A", "1", ""))), PinKey::default());
    }
}
