//! The parts that requests and answers have in common.

use bytes::Bytes;
use factum_core::{
    Category, ContentType, EventFilter, EventId, EventType, ExpectedRevision, NewEvent, Query, QueryItem,
    Revision, SchemaVersion, Selector, StreamName, StreamState, SystemEvents, Tag, Timestamp,
};
use uuid::Uuid;

use super::Unreadable;
use crate::wire::own as wire;

pub(super) fn uuid_to_wire(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

pub(super) fn uuid_from_wire(part: &'static str, bytes: &Bytes) -> Result<Uuid, Unreadable> {
    Uuid::from_slice(bytes).map_err(|_| Unreadable::new(part, "an id has 16 bytes"))
}

pub(super) fn stream(name: String) -> Result<StreamName, Unreadable> {
    StreamName::new(name).map_err(|error| Unreadable::new("stream", error))
}

pub(super) fn expected_to_wire(expected: ExpectedRevision) -> wire::Expected {
    use wire::expected::What;
    wire::Expected {
        what: Some(match expected {
            ExpectedRevision::Any => What::Any(()),
            ExpectedRevision::NoStream => What::NoStream(()),
            ExpectedRevision::StreamExists => What::StreamExists(()),
            ExpectedRevision::Exact(revision) => What::Revision(revision.0),
        }),
    }
}

pub(super) fn expected_from_wire(expected: Option<wire::Expected>) -> Result<ExpectedRevision, Unreadable> {
    use wire::expected::What;
    match expected.and_then(|expected| expected.what) {
        Some(What::Any(())) => Ok(ExpectedRevision::Any),
        Some(What::NoStream(())) => Ok(ExpectedRevision::NoStream),
        Some(What::StreamExists(())) => Ok(ExpectedRevision::StreamExists),
        Some(What::Revision(revision)) => Ok(ExpectedRevision::Exact(Revision(revision))),
        None => Err(Unreadable::missing("expected")),
    }
}

pub(super) fn state_to_wire(state: StreamState) -> wire::StreamState {
    use wire::stream_state::{SoftDeleted, State};
    wire::StreamState {
        state: Some(match state {
            StreamState::Missing => State::Missing(()),
            StreamState::MetadataOnly => State::MetadataOnly(()),
            StreamState::Live { last } => State::Live(last.0),
            StreamState::SoftDeleted { last } => {
                State::SoftDeleted(SoftDeleted { last: last.map(|last| last.0) })
            }
            StreamState::Tombstoned => State::Tombstoned(()),
        }),
    }
}

pub(super) fn state_from_wire(state: Option<wire::StreamState>) -> Result<StreamState, Unreadable> {
    use wire::stream_state::State;
    match state.and_then(|state| state.state) {
        Some(State::Missing(())) => Ok(StreamState::Missing),
        Some(State::MetadataOnly(())) => Ok(StreamState::MetadataOnly),
        Some(State::Live(last)) => Ok(StreamState::Live { last: Revision(last) }),
        Some(State::SoftDeleted(deleted)) => {
            Ok(StreamState::SoftDeleted { last: deleted.last.map(Revision) })
        }
        Some(State::Tombstoned(())) => Ok(StreamState::Tombstoned),
        None => Err(Unreadable::missing("the stream's state")),
    }
}

pub(super) fn new_event_to_wire(event: &NewEvent) -> wire::NewEvent {
    wire::NewEvent {
        id: uuid_to_wire(event.id.0),
        r#type: event.event_type.to_string(),
        schema_version: event.schema_version.0,
        content_type: content_to_wire(event.content_type),
        tags: event.tags.iter().map(ToString::to_string).collect(),
        data: event.data.clone(),
        metadata: event.metadata.clone(),
        occurred_at: event.occurred_at.map(|at| at.0),
    }
}

pub(super) fn content_to_wire(content: ContentType) -> i32 {
    i32::from(match content {
        ContentType::Json => wire::ContentType::Json,
        ContentType::Binary => wire::ContentType::Binary,
    })
}

pub(super) fn content_from_wire(number: i32) -> Result<ContentType, Unreadable> {
    match wire::ContentType::try_from(number) {
        Ok(wire::ContentType::Json) => Ok(ContentType::Json),
        Ok(wire::ContentType::Binary) => Ok(ContentType::Binary),
        Err(_) => Err(Unreadable::new("content_type", "there is no such content type")),
    }
}

pub(super) fn new_event_from_wire(event: wire::NewEvent) -> Result<NewEvent, Unreadable> {
    let content_type = content_from_wire(event.content_type)?;
    Ok(NewEvent {
        id: EventId(uuid_from_wire("event id", &event.id)?),
        event_type: event_type(event.r#type)?,
        schema_version: SchemaVersion(event.schema_version),
        content_type,
        tags: event.tags.into_iter().map(tag).collect::<Result<_, _>>()?,
        data: event.data,
        metadata: event.metadata,
        occurred_at: event.occurred_at.map(Timestamp),
    })
}

fn event_type(name: String) -> Result<EventType, Unreadable> {
    EventType::new(name).map_err(|error| Unreadable::new("type", error))
}

fn tag(name: String) -> Result<Tag, Unreadable> {
    Tag::new(name).map_err(|error| Unreadable::new("tag", error))
}

pub(super) fn query_to_wire(query: &Query) -> wire::Query {
    let items = query.items.iter().map(|item| wire::query::Item {
        types: item.types.iter().map(ToString::to_string).collect(),
        tags: item.tags.iter().map(ToString::to_string).collect(),
    });
    wire::Query { items: items.collect() }
}

pub(super) fn query_from_wire(query: Option<wire::Query>) -> Result<Query, Unreadable> {
    let item = |item: wire::query::Item| {
        Ok(QueryItem {
            types: item.types.into_iter().map(event_type).collect::<Result<_, Unreadable>>()?,
            tags: item.tags.into_iter().map(tag).collect::<Result<_, Unreadable>>()?,
        })
    };
    let query = query.ok_or_else(|| Unreadable::missing("query"))?;
    Ok(Query { items: query.items.into_iter().map(item).collect::<Result<_, Unreadable>>()? })
}

pub(super) fn selector_to_wire(selector: &Selector) -> wire::Selector {
    use wire::selector::What;
    wire::Selector {
        what: Some(match selector {
            Selector::All => What::All(()),
            Selector::Stream(stream) => What::Stream(stream.to_string()),
            Selector::Category(category) => What::Category(category.to_string()),
            Selector::Query(query) => What::Query(query_to_wire(query)),
            Selector::Correlation(id) => What::Correlation(id.clone()),
            Selector::Causation(id) => What::Causation(id.clone()),
            Selector::Append(id) => What::Append(uuid_to_wire(id.0)),
            Selector::Event(id) => What::Event(uuid_to_wire(id.0)),
            Selector::StreamStarts => What::StreamStarts(()),
        }),
    }
}

pub(super) fn selector_from_wire(selector: Option<wire::Selector>) -> Result<Selector, Unreadable> {
    use wire::selector::What;
    let what = selector.and_then(|selector| selector.what).ok_or_else(|| Unreadable::missing("selector"))?;
    Ok(match what {
        What::All(()) => Selector::All,
        What::Stream(name) => Selector::Stream(stream(name)?),
        What::Category(name) => {
            Selector::Category(Category::new(name).map_err(|error| Unreadable::new("category", error))?)
        }
        What::Query(query) => Selector::Query(query_from_wire(Some(query))?),
        What::Correlation(id) => Selector::Correlation(id),
        What::Causation(id) => Selector::Causation(id),
        What::Append(id) => Selector::Append(factum_core::AppendId(uuid_from_wire("append id", &id)?)),
        What::Event(id) => Selector::Event(EventId(uuid_from_wire("event id", &id)?)),
        What::StreamStarts(()) => Selector::StreamStarts,
    })
}

pub(super) fn filter_to_wire(filter: &EventFilter) -> Option<wire::Filter> {
    (!filter.is_empty()).then(|| wire::Filter {
        stream_prefixes: filter.stream_prefixes.clone(),
        type_prefixes: filter.type_prefixes.clone(),
        without_system_events: filter.system_events == SystemEvents::Exclude,
    })
}

pub(super) fn filter_from_wire(filter: Option<wire::Filter>) -> EventFilter {
    let Some(filter) = filter else { return EventFilter::default() };
    EventFilter {
        stream_prefixes: filter.stream_prefixes,
        type_prefixes: filter.type_prefixes,
        system_events: if filter.without_system_events {
            SystemEvents::Exclude
        } else {
            SystemEvents::Include
        },
    }
}
