//! What is answered, to the wire and back.

use factum_core::{
    AppendId, Appended, BodyLayout, Capabilities, Capability, Checkpoint, Deleted, Durability, EventId, Leaf,
    Position, ReadHead, RecordedEvent, RecordedHeader, Redaction, Revision, SchemaVersion, StreamAppended,
    Timestamp,
};
use uuid::Uuid;

use super::Unreadable;
use super::parts::{
    content_from_wire, content_to_wire, state_from_wire, state_to_wire, stream, uuid_from_wire, uuid_to_wire,
};
use crate::wire::own as wire;

pub(super) fn checkpoint(text: &str) -> Result<Checkpoint, Unreadable> {
    text.parse().map_err(|error| Unreadable::new("checkpoint", error))
}

/// Writes what an append came to.
pub fn appended_to_wire(appended: &Appended) -> wire::append_response::Appended {
    let streams = appended.streams.iter().map(|stream| wire::append_response::Stream {
        stream: stream.stream.to_string(),
        first: stream.first.map(|first| first.0),
        last: stream.last.map(|last| last.0),
    });
    wire::append_response::Appended {
        first: appended.first.map(|first| first.0),
        last: appended.last.map(|last| last.0),
        streams: streams.collect(),
        deduplicated: appended.deduplicated,
        token: appended.token.to_string(),
    }
}

/// Reads what an append came to.
///
/// # Errors
/// `Unreadable` with the part.
pub fn appended_from_wire(appended: wire::append_response::Appended) -> Result<Appended, Unreadable> {
    let streams = appended.streams.into_iter().map(|told| {
        Ok(StreamAppended {
            stream: stream(told.stream)?,
            first: told.first.map(Revision),
            last: told.last.map(Revision),
        })
    });
    Ok(Appended {
        first: appended.first.map(Position),
        last: appended.last.map(Position),
        streams: streams.collect::<Result<_, Unreadable>>()?,
        deduplicated: appended.deduplicated,
        token: checkpoint(&appended.token)?,
    })
}

/// Writes what a delete came to.
pub fn deleted_to_wire(deleted: &Deleted) -> wire::delete_response::Deleted {
    wire::delete_response::Deleted {
        position: deleted.position.map(|position| position.0),
        token: deleted.token.to_string(),
    }
}

/// Reads what a delete came to.
///
/// # Errors
/// `Unreadable` with the part.
pub fn deleted_from_wire(deleted: &wire::delete_response::Deleted) -> Result<Deleted, Unreadable> {
    Ok(Deleted { position: deleted.position.map(Position), token: checkpoint(&deleted.token)? })
}

/// Writes what was true when a read started.
pub fn head_to_wire(head: &ReadHead) -> wire::read_response::Head {
    wire::read_response::Head {
        snapshot: head.snapshot.to_string(),
        stream: head.stream.map(state_to_wire),
        first_visible: head.first_visible.map(|first| first.0),
    }
}

/// Reads what was true when a read started.
///
/// # Errors
/// `Unreadable` with the part.
pub fn head_from_wire(head: &wire::read_response::Head) -> Result<ReadHead, Unreadable> {
    let state = head.stream.as_ref().map(|state| state_from_wire(Some(*state))).transpose()?;
    let snapshot = checkpoint(&head.snapshot)?;
    Ok(ReadHead { snapshot, stream: state, first_visible: head.first_visible.map(Revision) })
}

/// Writes an event.
pub fn event_to_wire(event: &RecordedEvent) -> wire::RecordedEvent {
    let (header, layout) = (event.header(), event.layout());
    let (id_high, id_low) = header.id.0.as_u64_pair();
    wire::RecordedEvent {
        position: header.position.0,
        revision: header.revision.0,
        recorded_at: header.recorded_at.0,
        occurred_at: header.occurred_at.map(|at| at.0),
        id_high,
        id_low,
        append_id: header.append_id.map(|id| uuid_to_wire(id.0)).unwrap_or_default(),
        schema_version: header.schema_version.0,
        content_type: content_to_wire(header.content_type),
        body: event.body().clone(),
        stream_bytes: layout.stream,
        type_bytes: layout.event_type,
        tags_bytes: layout.tags,
        metadata_bytes: layout.metadata,
        redaction: event.redaction().map(|redaction| wire::Redaction {
            leaf: redaction.leaf.0.to_vec().into(),
            reason: redaction.reason.clone(),
            at: redaction.at.0,
            recorded: redaction.recorded.0,
        }),
    }
}

/// Reads an event. Its body is not copied: the event shares the buffer that the message came in.
///
/// # Errors
/// `Unreadable` with the part.
pub fn event_from_wire(event: wire::RecordedEvent) -> Result<RecordedEvent, Unreadable> {
    if event.stream_bytes == 0 || event.type_bytes == 0 {
        return Err(Unreadable::missing("stream or type"));
    }
    let append_id = match &event.append_id {
        id if id.is_empty() => None,
        id => Some(AppendId(uuid_from_wire("append id", id)?)),
    };
    let header = RecordedHeader {
        position: Position(event.position),
        revision: Revision(event.revision),
        id: EventId(Uuid::from_u64_pair(event.id_high, event.id_low)),
        append_id,
        recorded_at: Timestamp(event.recorded_at),
        occurred_at: event.occurred_at.map(Timestamp),
        schema_version: SchemaVersion(event.schema_version),
        content_type: content_from_wire(event.content_type)?,
    };
    let layout = BodyLayout {
        stream: event.stream_bytes,
        event_type: event.type_bytes,
        tags: event.tags_bytes,
        metadata: event.metadata_bytes,
    };
    let recorded = RecordedEvent::from_body(header, event.body, layout)
        .map_err(|error| Unreadable::new("body", error))?;
    let Some(redaction) = event.redaction else { return Ok(recorded) };
    let leaf = <[u8; 32]>::try_from(&redaction.leaf[..])
        .map_err(|_| Unreadable::new("leaf", "a leaf has 32 bytes"))?;
    Ok(recorded.redacted(Redaction {
        leaf: Leaf(leaf),
        reason: redaction.reason,
        at: Timestamp(redaction.at),
        recorded: Position(redaction.recorded),
    }))
}

const CAPABILITIES: [(Capability, wire::Capability); 9] = [
    (Capability::MultiStreamAppend, wire::Capability::MultiStreamAppend),
    (Capability::QueryConditions, wire::Capability::QueryConditions),
    (Capability::StreamChecks, wire::Capability::StreamChecks),
    (Capability::GlobalOrder, wire::Capability::GlobalOrder),
    (Capability::ServerSideFilter, wire::Capability::ServerSideFilter),
    (Capability::AppendIds, wire::Capability::AppendIds),
    (Capability::PhysicalDelete, wire::Capability::PhysicalDelete),
    (Capability::SchemaEnforcement, wire::Capability::SchemaEnforcement),
    (Capability::Redaction, wire::Capability::Redaction),
];

pub(super) fn capability_to_wire(capability: Capability) -> i32 {
    let known = CAPABILITIES.iter().find(|(ours, _)| *ours == capability);
    i32::from(known.map_or(wire::Capability::Unspecified, |(_, wire)| *wire))
}

pub(super) fn capability_from_wire(number: i32) -> Option<Capability> {
    let named = wire::Capability::try_from(number).ok()?;
    CAPABILITIES.iter().find(|(_, wire)| *wire == named).map(|(ours, _)| *ours)
}

/// Writes what a store can do.
pub fn capabilities_to_wire(capabilities: &Capabilities) -> wire::Description {
    wire::Description {
        capabilities: capabilities.supported.iter().copied().map(capability_to_wire).collect(),
        durability: i32::from(match capabilities.durability {
            Durability::Process => wire::Durability::Process,
            Durability::Disk => wire::Durability::Disk,
            Durability::Replicated => wire::Durability::Replicated,
        }),
    }
}

/// Reads what a store can do; what this build does not know, it does not use.
pub fn capabilities_from_wire(description: &wire::Description) -> Capabilities {
    Capabilities {
        supported: description.capabilities.iter().copied().filter_map(capability_from_wire).collect(),
        durability: match description.durability() {
            wire::Durability::Disk => Durability::Disk,
            wire::Durability::Replicated => Durability::Replicated,
            // The least that can be meant.
            wire::Durability::Process | wire::Durability::Unspecified => Durability::Process,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{EventType, NewEvent, StoreId, StreamName, StreamState, Tag};

    #[test]
    fn events_come_back_whole_and_redacted() {
        let new = NewEvent::binary(EventType::new("A").expect("a type"), vec![0, 255])
            .with_metadata("{\"a\":1}")
            .with_tag(Tag::new("t").expect("a tag"))
            .with_schema_version(SchemaVersion(4))
            .with_occurred_at(Timestamp(-1));
        let header = RecordedHeader {
            position: Position(9),
            revision: Revision::TOMBSTONE,
            id: new.id,
            append_id: Some(AppendId::generate()),
            recorded_at: Timestamp(5),
            occurred_at: new.occurred_at,
            schema_version: new.schema_version,
            content_type: new.content_type,
        };
        let event = RecordedEvent::record(header, &StreamName::new("s").expect("a name"), &new);
        assert_eq!(event_from_wire(event_to_wire(&event)), Ok(event.clone()));
        let redaction = Redaction {
            leaf: Leaf([7; 32]),
            reason: "r".to_owned(),
            at: Timestamp(1),
            recorded: Position(2),
        };
        let redacted = event.redacted(redaction);
        assert_eq!(event_from_wire(event_to_wire(&redacted)), Ok(redacted));
        assert!(event_from_wire(wire::RecordedEvent::default()).is_err());
    }

    #[test]
    fn an_event_whose_parts_do_not_fit_is_refused() {
        let whole = wire::RecordedEvent {
            body: "saTtag".into(),
            stream_bytes: 1,
            type_bytes: 1,
            ..wire::RecordedEvent::default()
        };
        assert!(event_from_wire(whole.clone()).is_ok());
        let broken: [fn(&mut wire::RecordedEvent); 7] = [
            |event| event.stream_bytes = 0,
            |event| event.stream_bytes = u32::MAX,
            |event| (event.stream_bytes, event.type_bytes) = (u32::MAX, u32::MAX),
            |event| event.tags_bytes = 3,
            |event| event.body = vec![0xff, b'a'].into(),
            |event| event.content_type = 99,
            |event| event.append_id = "short".into(),
        ];
        for (which, breaks) in broken.iter().enumerate() {
            let mut event = whole.clone();
            breaks(&mut event);
            assert!(event_from_wire(event).is_err(), "{which}");
        }
    }

    #[test]
    fn answers_come_back() {
        let token = Checkpoint::before(StoreId::generate(), 2, Position(7));
        let name = StreamName::new("s").expect("a name");
        let appended = Appended {
            first: Some(Position(0)),
            last: None,
            streams: vec![StreamAppended { stream: name, first: None, last: Some(Revision(3)) }],
            deduplicated: true,
            token: token.clone(),
        };
        assert_eq!(appended_from_wire(appended_to_wire(&appended)), Ok(appended));
        let deleted = Deleted { position: Some(Position(0)), token: token.clone() };
        assert_eq!(deleted_from_wire(&deleted_to_wire(&deleted)), Ok(deleted));
        for stream in [
            None,
            Some(StreamState::Missing),
            Some(StreamState::MetadataOnly),
            Some(StreamState::Live { last: Revision(0) }),
            Some(StreamState::SoftDeleted { last: None }),
            Some(StreamState::SoftDeleted { last: Some(Revision(0)) }),
            Some(StreamState::Tombstoned),
        ] {
            let head = ReadHead { snapshot: token.clone(), stream, first_visible: Some(Revision(0)) };
            assert_eq!(head_from_wire(&head_to_wire(&head)), Ok(head));
        }
        for durability in [Durability::Process, Durability::Disk, Durability::Replicated] {
            let supported = CAPABILITIES.iter().map(|(ours, _)| *ours).collect();
            let capabilities = Capabilities { supported, durability };
            assert_eq!(capabilities_from_wire(&capabilities_to_wire(&capabilities)), capabilities);
        }
    }
}
