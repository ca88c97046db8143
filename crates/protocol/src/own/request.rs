//! What is asked for, to the wire and back.

use factum_core::{
    Append, AppendCondition, AppendId, AsOf, Delete, DeleteMode, Direction, Position, Read, ReadFrom,
    Revision, StreamCheck, StreamView, StreamWrite, Subscribe, SubscribeFrom, Timestamp,
};

use super::Unreadable;
use super::parts::{
    expected_from_wire, expected_to_wire, filter_from_wire, filter_to_wire, new_event_from_wire,
    new_event_to_wire, query_from_wire, query_to_wire, selector_from_wire, selector_to_wire, stream,
    uuid_from_wire, uuid_to_wire,
};
use crate::wire::own as wire;

/// Writes an append.
pub fn append_to_wire(append: &Append) -> wire::AppendRequest {
    use wire::append_request::{Check, Condition, FailIfEventsMatch, Write, condition::Test};
    let writes = append.writes.iter().map(|write| Write {
        stream: write.stream.to_string(),
        expected: Some(expected_to_wire(write.expected)),
        events: write.events.iter().map(new_event_to_wire).collect(),
    });
    let conditions = append.conditions.iter().map(|condition| match condition {
        AppendCondition::FailIfEventsMatch { query, after } => Condition {
            query: Some(query_to_wire(query)),
            test: Some(Test::FailIfEventsMatch(FailIfEventsMatch { after: after.map(|after| after.0) })),
        },
        AppendCondition::CountBelow { query, below } => {
            Condition { query: Some(query_to_wire(query)), test: Some(Test::CountBelow(*below)) }
        }
    });
    let checks = append.checks.iter().map(|check| Check {
        stream: check.stream.to_string(),
        expected: Some(expected_to_wire(check.expected)),
    });
    wire::AppendRequest {
        append_id: append.append_id.map(|id| uuid_to_wire(id.0)).unwrap_or_default(),
        writes: writes.collect(),
        conditions: conditions.collect(),
        checks: checks.collect(),
    }
}

/// Reads an append.
///
/// # Errors
/// `Unreadable` with the part.
pub fn append_from_wire(request: wire::AppendRequest) -> Result<Append, Unreadable> {
    use wire::append_request::{Check, Condition, Write, condition::Test};
    let write = |write: Write| {
        Ok(StreamWrite {
            stream: stream(write.stream)?,
            expected: expected_from_wire(write.expected)?,
            events: write.events.into_iter().map(new_event_from_wire).collect::<Result<_, Unreadable>>()?,
        })
    };
    let condition = |condition: Condition| {
        let query = query_from_wire(condition.query)?;
        match condition.test {
            Some(Test::FailIfEventsMatch(test)) => {
                Ok(AppendCondition::FailIfEventsMatch { query, after: test.after.map(Position) })
            }
            Some(Test::CountBelow(below)) => Ok(AppendCondition::CountBelow { query, below }),
            None => Err(Unreadable::missing("the condition's test")),
        }
    };
    let check = |check: Check| {
        Ok(StreamCheck { stream: stream(check.stream)?, expected: expected_from_wire(check.expected)? })
    };
    let append_id = match &request.append_id {
        id if id.is_empty() => None,
        id => Some(AppendId(uuid_from_wire("append id", id)?)),
    };
    Ok(Append {
        append_id,
        writes: request.writes.into_iter().map(write).collect::<Result<_, Unreadable>>()?,
        conditions: request.conditions.into_iter().map(condition).collect::<Result<_, Unreadable>>()?,
        checks: request.checks.into_iter().map(check).collect::<Result<_, Unreadable>>()?,
    })
}

/// Writes a delete.
pub fn delete_to_wire(delete: &Delete) -> wire::DeleteRequest {
    use wire::delete_request::Mode;
    wire::DeleteRequest {
        stream: delete.stream.to_string(),
        expected: Some(expected_to_wire(delete.expected)),
        mode: i32::from(match delete.mode {
            DeleteMode::Soft => Mode::Soft,
            DeleteMode::Tombstone => Mode::Tombstone,
        }),
    }
}

/// Reads a delete.
///
/// # Errors
/// `Unreadable` with the part.
pub fn delete_from_wire(request: wire::DeleteRequest) -> Result<Delete, Unreadable> {
    use wire::delete_request::Mode;
    let mode = match request.mode() {
        Mode::Soft => DeleteMode::Soft,
        Mode::Tombstone => DeleteMode::Tombstone,
        Mode::Unspecified => return Err(Unreadable::missing("mode")),
    };
    Ok(Delete { stream: stream(request.stream)?, expected: expected_from_wire(request.expected)?, mode })
}

/// Writes a read.
pub fn read_to_wire(read: &Read) -> wire::ReadRequest {
    use wire::read_request::{AsOf as At, Direction as Way, From, View};
    wire::ReadRequest {
        selector: Some(selector_to_wire(&read.selector)),
        direction: i32::from(match read.direction {
            Direction::Forwards => Way::Forwards,
            Direction::Backwards => Way::Backwards,
        }),
        from: Some(match read.from {
            ReadFrom::Start => From::Start(()),
            ReadFrom::End => From::End(()),
            ReadFrom::Revision(revision) => From::FromRevision(revision.0),
            ReadFrom::Position(position) => From::FromPosition(position.0),
            ReadFrom::Time(at) => From::FromTime(at.0),
        }),
        limit: read.limit,
        filter: filter_to_wire(&read.filter),
        as_of: match read.at {
            AsOf::Now => None,
            AsOf::Revision(revision) => Some(At::AsOfRevision(revision.0)),
            AsOf::Position(position) => Some(At::AsOfPosition(position.0)),
            AsOf::Recorded(at) => Some(At::AsOfRecorded(at.0)),
            AsOf::Occurred(at) => Some(At::AsOfOccurred(at.0)),
        },
        view: i32::from(match read.view {
            StreamView::Visible => View::Visible,
            StreamView::Recorded => View::Recorded,
        }),
    }
}

/// Reads a read.
///
/// # Errors
/// `Unreadable` with the part.
pub fn read_from_wire(request: wire::ReadRequest) -> Result<Read, Unreadable> {
    use wire::read_request::{AsOf as At, Direction as Way, From, View};
    let direction = match Way::try_from(request.direction) {
        Ok(Way::Forwards) => Direction::Forwards,
        Ok(Way::Backwards) => Direction::Backwards,
        Err(_) => return Err(Unreadable::new("direction", "there is no such direction")),
    };
    let view = match View::try_from(request.view) {
        Ok(View::Visible) => StreamView::Visible,
        Ok(View::Recorded) => StreamView::Recorded,
        Err(_) => return Err(Unreadable::new("view", "there is no such view")),
    };
    Ok(Read {
        selector: selector_from_wire(request.selector)?,
        direction,
        from: match request.from.ok_or_else(|| Unreadable::missing("from"))? {
            From::Start(()) => ReadFrom::Start,
            From::End(()) => ReadFrom::End,
            From::FromRevision(revision) => ReadFrom::Revision(Revision(revision)),
            From::FromPosition(position) => ReadFrom::Position(Position(position)),
            From::FromTime(at) => ReadFrom::Time(Timestamp(at)),
        },
        limit: request.limit,
        filter: filter_from_wire(request.filter),
        at: match request.as_of {
            None => AsOf::Now,
            Some(At::AsOfRevision(revision)) => AsOf::Revision(Revision(revision)),
            Some(At::AsOfPosition(position)) => AsOf::Position(Position(position)),
            Some(At::AsOfRecorded(at)) => AsOf::Recorded(Timestamp(at)),
            Some(At::AsOfOccurred(at)) => AsOf::Occurred(Timestamp(at)),
        },
        view,
    })
}

/// Writes a subscription.
pub fn subscribe_to_wire(subscribe: &Subscribe) -> wire::SubscribeRequest {
    use wire::subscribe_request::From;
    wire::SubscribeRequest {
        selector: Some(selector_to_wire(&subscribe.selector)),
        from: Some(match &subscribe.from {
            SubscribeFrom::Start => From::Start(()),
            SubscribeFrom::End => From::End(()),
            SubscribeFrom::AfterRevision(revision) => From::AfterRevision(revision.0),
            SubscribeFrom::AfterPosition(position) => From::AfterPosition(position.0),
            SubscribeFrom::Checkpoint(checkpoint) => From::Checkpoint(checkpoint.to_string()),
        }),
        filter: filter_to_wire(&subscribe.filter),
    }
}

/// Reads a subscription.
///
/// # Errors
/// `Unreadable` with the part.
pub fn subscribe_from_wire(request: wire::SubscribeRequest) -> Result<Subscribe, Unreadable> {
    use wire::subscribe_request::From;
    Ok(Subscribe {
        selector: selector_from_wire(request.selector)?,
        from: match request.from.ok_or_else(|| Unreadable::missing("from"))? {
            From::Start(()) => SubscribeFrom::Start,
            From::End(()) => SubscribeFrom::End,
            From::AfterRevision(revision) => SubscribeFrom::AfterRevision(Revision(revision)),
            From::AfterPosition(position) => SubscribeFrom::AfterPosition(Position(position)),
            From::Checkpoint(text) => {
                SubscribeFrom::Checkpoint(text.parse().map_err(|error| Unreadable::new("checkpoint", error))?)
            }
        },
        filter: filter_from_wire(request.filter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{
        Category, Checkpoint, EventFilter, EventId, EventType, ExpectedRevision, NewEvent, Query, QueryItem,
        SchemaVersion, Selector, StoreId, StreamName, SystemEvents, Tag,
    };

    fn stream(name: &str) -> StreamName {
        StreamName::new(name).expect("a name")
    }

    fn query() -> Query {
        let types = QueryItem::types([EventType::new("A").expect("a type")]);
        Query::item(types).or(QueryItem::tags([Tag::new("t:1").expect("a tag")]))
    }

    #[test]
    fn an_append_with_everything_comes_back() {
        let event = NewEvent::binary(EventType::new("A").expect("a type"), vec![0, 255])
            .with_metadata("{}")
            .with_tag(Tag::new("ä").expect("a tag"))
            .with_schema_version(SchemaVersion(7))
            .with_occurred_at(Timestamp(-5));
        let append = Append::to(stream("a"), ExpectedRevision::Exact(Revision(3)), vec![event])
            .and(stream("b"), ExpectedRevision::NoStream, vec![])
            .with_id(AppendId::generate())
            .on_condition(AppendCondition::FailIfEventsMatch { query: query(), after: Some(Position(0)) })
            .on_condition(AppendCondition::FailIfEventsMatch { query: Query::all(), after: None })
            .on_condition(AppendCondition::CountBelow { query: query(), below: 2 })
            .check(stream("c"), ExpectedRevision::StreamExists)
            .check(stream("d"), ExpectedRevision::Any);
        assert_eq!(append_from_wire(append_to_wire(&append)), Ok(append));
    }

    #[test]
    fn reads_deletes_and_subscriptions_come_back() {
        let filter = EventFilter {
            stream_prefixes: vec!["a".to_owned()],
            type_prefixes: vec![String::new()],
            system_events: SystemEvents::Exclude,
        };
        let selectors = [
            Selector::All,
            Selector::Stream(stream("s")),
            Selector::Category(Category::new("c").expect("a category")),
            Selector::Query(query()),
            Selector::Correlation("x".to_owned()),
            Selector::Causation("y".to_owned()),
            Selector::Append(AppendId::generate()),
            Selector::Event(EventId::generate()),
            Selector::StreamStarts,
        ];
        let froms = [
            ReadFrom::Start,
            ReadFrom::End,
            ReadFrom::Revision(Revision(0)),
            ReadFrom::Position(Position(u64::MAX)),
            ReadFrom::Time(Timestamp::MIN),
        ];
        let moments = [
            AsOf::Now,
            AsOf::Revision(Revision(0)),
            AsOf::Position(Position(0)),
            AsOf::Recorded(Timestamp(0)),
            AsOf::Occurred(Timestamp::MAX),
        ];
        for selector in selectors {
            for from in froms {
                for at in moments {
                    let read = Read::backwards(selector.clone()).from(from).at(at).limit(0);
                    let read = read.filter(filter.clone()).view(StreamView::Recorded);
                    assert_eq!(read_from_wire(read_to_wire(&read)), Ok(read));
                }
            }
            for from in [
                SubscribeFrom::Start,
                SubscribeFrom::End,
                SubscribeFrom::AfterRevision(Revision(1)),
                SubscribeFrom::AfterPosition(Position(2)),
                SubscribeFrom::Checkpoint(Checkpoint::before(StoreId::generate(), 3, Position(4))),
            ] {
                let subscribe = Subscribe::to(selector.clone()).from(from).filter(filter.clone());
                assert_eq!(subscribe_from_wire(subscribe_to_wire(&subscribe)), Ok(subscribe));
            }
        }
        for mode in [DeleteMode::Soft, DeleteMode::Tombstone] {
            let delete = Delete { stream: stream("s"), expected: ExpectedRevision::Any, mode };
            assert_eq!(delete_from_wire(delete_to_wire(&delete)), Ok(delete));
        }
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        assert!(
            append_from_wire(wire::AppendRequest { append_id: vec![1].into(), ..Default::default() })
                .is_err()
        );
        assert_eq!(read_from_wire(wire::ReadRequest::default()), Err(Unreadable::missing("selector")));
        let odd = wire::ReadRequest { direction: 9, ..read_to_wire(&Read::forwards(Selector::All)) };
        assert!(read_from_wire(odd).is_err());
        assert!(subscribe_from_wire(wire::SubscribeRequest::default()).is_err());
        assert!(delete_from_wire(wire::DeleteRequest::default()).is_err());
    }
}
