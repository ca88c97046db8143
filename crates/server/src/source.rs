//! What does a client read when it names a stream?
//!
//! Most names are streams of the log. Some are indexes that KurrentDB's system projections would write as streams of
//! links; here they are answered from the store's own indexes, and nothing is copied. A link's revision is the position of
//! the event that it points to: it grows, stays what it is when other events are scavenged, and is found without counting.

use factum_core::{
    Category, ContentType, EventFilter, EventId, EventType, Position, ReadFrom, RecordedEvent,
    RecordedHeader, Revision, SchemaVersion, Selector, StreamName, SubscribeFrom,
};
use factum_protocol::{LINK_TYPE, LinkTarget, STREAM_REFERENCE_TYPE};
use uuid::Uuid;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The whole log.
    All,
    /// A stream of the log.
    Stream(StreamName),
    /// Links that an index stands for.
    Index(IndexStream),
}

/// A stream of links that is an index of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexStream {
    name: StreamName,
    of: Index,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Index {
    /// `$ce-c`: every event of the streams of a category.
    Category(Category),
    /// `$category-c`: the streams of a category.
    StreamsOfCategory(Category),
    /// `$et-t`: every event of a type.
    Type(EventType),
    /// `$bc-i`: every event with a correlation id.
    Correlation(String),
    /// `$streams`: the first event of every stream.
    Streams,
}

/// An event as a client sees it: by itself, or with the link that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The event; of a link whose target is gone, nothing.
    pub(crate) event: Option<RecordedEvent>,
    /// The link.
    pub(crate) link: Option<RecordedEvent>,
}

impl Resolved {
    /// An event that no link led to.
    pub(crate) fn plain(event: RecordedEvent) -> Self {
        Self { event: Some(event), link: None }
    }

    /// The event that stands in the stream that was read: acks, checkpoints and positions are its.
    pub(crate) fn original(&self) -> Option<&RecordedEvent> {
        self.link.as_ref().or(self.event.as_ref())
    }
}

/// Names the identities of links: the same link is always the same event.
const LINKS: Uuid = Uuid::from_u128(0x6f5d_9c1e_52b7_4f0a_9d1c_8f9a_3b61_77e4);

impl IndexStream {
    /// The index that `name` stands for, if it is one.
    pub(crate) fn parse(name: &StreamName) -> Option<Self> {
        let text = name.as_str();
        if !text.starts_with('$') {
            return None;
        }
        // What stands before a `-` has none in it, and system streams have no category: no index has such a name.
        let category = |text: &str| {
            let category = Category::new(text.to_owned()).ok()?;
            (!text.contains('-') && !text.starts_with('$')).then_some(category)
        };
        let of = if text == "$streams" {
            Index::Streams
        } else if let Some(rest) = text.strip_prefix("$ce-") {
            Index::Category(category(rest)?)
        } else if let Some(rest) = text.strip_prefix("$category-") {
            Index::StreamsOfCategory(category(rest)?)
        } else if let Some(rest) = text.strip_prefix("$et-") {
            // Links are in no index.
            Index::Type(EventType::new(rest.to_owned()).ok().filter(|of| of.as_str() != LINK_TYPE)?)
        } else {
            Index::Correlation(text.strip_prefix("$bc-").filter(|rest| !rest.is_empty())?.to_owned())
        };
        Some(Self { name: name.clone(), of })
    }

    fn selector(&self) -> Selector {
        match &self.of {
            Index::Category(category) => Selector::Category(category.clone()),
            Index::StreamsOfCategory(_) | Index::Streams => Selector::StreamStarts,
            Index::Type(event_type) => Selector::event_type(event_type.clone()),
            Index::Correlation(id) => Selector::Correlation(id.clone()),
        }
    }

    fn filter(&self) -> EventFilter {
        match &self.of {
            Index::StreamsOfCategory(category) => {
                EventFilter { stream_prefixes: vec![format!("{category}-")], ..EventFilter::default() }
            }
            _ => EventFilter::default(),
        }
    }

    /// The link to `event`; `None` where it is not in this stream, because it is a link itself.
    fn link_to(&self, event: &RecordedEvent) -> Option<RecordedEvent> {
        if event.event_type() == LINK_TYPE {
            return None;
        }
        let (link_type, data) = match &self.of {
            Index::StreamsOfCategory(_) => (STREAM_REFERENCE_TYPE, event.stream().to_owned()),
            _ => (LINK_TYPE, LinkTarget::write(event.stream(), event.revision())),
        };
        let identity = format!("{}@{}", event.position().0, self.name);
        let new = factum_core::NewEvent::binary(EventType::new(link_type).ok()?, data);
        let header = RecordedHeader {
            position: event.position(),
            revision: Revision(event.position().0),
            id: EventId(Uuid::new_v5(&LINKS, identity.as_bytes())),
            append_id: None,
            recorded_at: event.recorded_at(),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Binary,
        };
        Some(RecordedEvent::record(header, &self.name, &new))
    }
}

impl Source {
    /// What `name` stands for.
    pub(crate) fn named(name: StreamName) -> Self {
        match IndexStream::parse(&name) {
            Some(index) => Source::Index(index),
            None => Source::Stream(name),
        }
    }

    /// Its name, as rights and messages use it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Source::All => "$all",
            Source::Stream(name) => name.as_str(),
            Source::Index(index) => index.name.as_str(),
        }
    }

    /// What the store is asked for.
    pub(crate) fn selector(&self) -> Selector {
        match self {
            Source::All => Selector::All,
            Source::Stream(name) => Selector::Stream(name.clone()),
            Source::Index(index) => index.selector(),
        }
    }

    /// What the store is to leave out, of its own nature.
    pub(crate) fn filter(&self) -> EventFilter {
        match self {
            Source::All | Source::Stream(_) => EventFilter::default(),
            Source::Index(index) => index.filter(),
        }
    }

    /// Where a read forwards begins that is to begin with `revision`.
    pub(crate) fn place_of(&self, revision: Revision) -> ReadFrom {
        match self {
            Source::Index(_) => ReadFrom::Position(Position(revision.0)),
            Source::All | Source::Stream(_) => ReadFrom::Revision(revision),
        }
    }

    /// Where a read backwards begins that is to begin with `revision`.
    pub(crate) fn place_of_backwards(&self, revision: Revision) -> ReadFrom {
        match self {
            Source::Index(_) => ReadFrom::Position(Position(revision.0.saturating_add(1))),
            Source::All | Source::Stream(_) => ReadFrom::Revision(revision),
        }
    }

    /// Where a subscription begins that has seen `revision`.
    pub(crate) fn after_revision(&self, revision: Revision) -> SubscribeFrom {
        match self {
            Source::Index(_) => SubscribeFrom::AfterPosition(Position(revision.0)),
            Source::All | Source::Stream(_) => SubscribeFrom::AfterRevision(revision),
        }
    }

    /// An event that the store gave, as it stands in this source: of an index, the link and what it points to.
    pub(crate) fn place(&self, event: RecordedEvent) -> Option<Resolved> {
        match self {
            Source::All => crate::filter::shown_in_all(&event).then(|| Resolved::plain(event)),
            Source::Stream(_) => Some(Resolved::plain(event)),
            Source::Index(index) => {
                let link = index.link_to(&event)?;
                // A reference to a stream points to no event.
                if matches!(index.of, Index::StreamsOfCategory(_)) {
                    return Some(Resolved::plain(link));
                }
                Some(Resolved { event: Some(event), link: Some(link) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Source {
        Source::named(StreamName::new(name.to_owned()).expect("a name"))
    }

    #[test]
    fn names_of_indexes_are_known_and_others_are_streams() {
        for name in ["$ce-account", "$category-account", "$et-Opened", "$et-$metadata", "$bc-1", "$streams"] {
            assert!(matches!(named(name), Source::Index(_)), "{name}");
            assert_eq!(named(name).name(), name);
        }
        let streams = [
            "account-1",
            "$ce-",
            "$et-",
            "$bc-",
            "$ce",
            "$settings",
            "$$ce-account",
            "$ce-a-b",
            "$category-a-b",
            "$ce-$a",
            "$et-$>",
        ];
        for name in streams {
            assert!(matches!(named(name), Source::Stream(_)), "{name}");
        }
    }

    #[test]
    fn a_link_is_the_same_whenever_it_is_made() {
        let new = factum_core::NewEvent::json(EventType::new("A").expect("a type"), "1");
        let header = RecordedHeader {
            position: Position(40),
            revision: Revision(3),
            id: new.id,
            append_id: None,
            recorded_at: factum_core::Timestamp(5),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
        };
        let stream = StreamName::new("account-1").expect("a name");
        let event = RecordedEvent::record(header, &stream, &new);
        let place = || named("$ce-account").place(event.clone()).expect("it is in the category");
        assert_eq!(place(), place());
        let link = place().link.expect("a link");
        assert_eq!((link.revision(), link.stream()), (Revision(40), "$ce-account"));
        assert_eq!(link.data_slice(), b"3@account-1");
    }
}
