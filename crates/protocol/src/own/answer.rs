//! What is answered, to the wire and back.

use factum_core::{
    AppendId, Appended, Capabilities, Capability, Checkpoint, Deleted, Durability, Leaf, NewEvent, Position,
    ReadHead, RecordedEvent, RecordedHeader, Redaction, Revision, StreamAppended, Timestamp,
};

use super::Unreadable;
use super::parts::{
    content_to_wire, new_event_from_wire, state_from_wire, state_to_wire, stream, uuid_from_wire,
    uuid_to_wire,
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
    let header = event.header();
    wire::RecordedEvent {
        position: header.position.0,
        revision: header.revision.0,
        stream: event.stream().to_owned(),
        event: Some(wire::NewEvent {
            id: uuid_to_wire(header.id.0),
            r#type: event.event_type().to_owned(),
            schema_version: header.schema_version.0,
            content_type: content_to_wire(header.content_type),
            tags: event.tags().map(str::to_owned).collect(),
            data: event.data(),
            metadata: event.metadata(),
            occurred_at: header.occurred_at.map(|at| at.0),
        }),
        recorded_at: header.recorded_at.0,
        append_id: header.append_id.map(|id| uuid_to_wire(id.0)).unwrap_or_default(),
        redaction: event.redaction().map(|redaction| wire::Redaction {
            leaf: redaction.leaf.0.to_vec().into(),
            reason: redaction.reason.clone(),
            at: redaction.at.0,
            recorded: redaction.recorded.0,
        }),
    }
}

/// Reads an event.
///
/// # Errors
/// `Unreadable` with the part.
pub fn event_from_wire(event: wire::RecordedEvent) -> Result<RecordedEvent, Unreadable> {
    let stream = stream(event.stream)?;
    let new: NewEvent = new_event_from_wire(event.event.ok_or_else(|| Unreadable::missing("event"))?)?;
    let append_id = match &event.append_id {
        id if id.is_empty() => None,
        id => Some(AppendId(uuid_from_wire("append id", id)?)),
    };
    let header = RecordedHeader {
        position: Position(event.position),
        revision: Revision(event.revision),
        id: new.id,
        append_id,
        recorded_at: Timestamp(event.recorded_at),
        occurred_at: new.occurred_at,
        schema_version: new.schema_version,
        content_type: new.content_type,
    };
    let recorded = RecordedEvent::record(header, &stream, &new);
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
    use factum_core::{EventType, SchemaVersion, StoreId, StreamName, StreamState, Tag};

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
