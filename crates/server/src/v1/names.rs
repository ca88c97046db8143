//! Which streams, categories and types are there? Kept in memory, in the order of names, from the first question on.
//!
//! The first question starts a task that reads the log once, from its beginning, and follows it from then on. Until it has
//! come to the end, answers say how far it is. A server that is never asked reads nothing.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use factum_core::{
    METADATA_TYPE, METASTREAM_PREFIX, Position, ReadError, RecordedEvent, STREAM_DELETED_TYPE, Selector,
    StreamMetadata, Subscribe, SubscribeFrom, SubscriptionMessage, Timestamp, category_of,
};
use tokio::sync::watch;

use super::live::Heads;
use crate::shared::Shared;

/// The most streams that are known; later ones are left out, and answers say so.
const MAX_STREAMS: usize = 2_000_000;
/// The most types that are known.
const MAX_TYPES: usize = 10_000;
/// The most versions of a type whose events are counted.
const MAX_VERSIONS: usize = 32;
/// How long to wait before the log is followed again after it could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// What a stream is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Deleted,
    Tombstoned,
}

/// What is known of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) name: Arc<str>,
    pub(crate) last_revision: u64,
    pub(crate) last_type: Arc<str>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) state: State,
    /// Its place among the streams, by when they were first seen.
    pub(crate) number: usize,
    /// Its last event's place.
    pub(crate) position: u64,
}

/// What is known of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) name: Arc<str>,
    pub(crate) count: u64,
    pub(crate) schema_version: u32,
    /// Its schema versions, those that were seen first.
    pub(crate) versions: Vec<TypeVersion>,
}

/// What is known of a schema version of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeVersion {
    pub(crate) version: u32,
    pub(crate) events: u64,
    /// The place of the last of them.
    pub(crate) last: Position,
}

#[derive(Debug)]
struct Entry {
    last_revision: u64,
    last_type: u32,
    created: Timestamp,
    updated: Timestamp,
    state: State,
    number: usize,
    position: u64,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    streams: BTreeMap<Arc<str>, Entry>,
    /// In the order in which they were first seen.
    in_order: Vec<Arc<str>>,
    by_update: BTreeMap<u64, Arc<str>>,
    types: Vec<Type>,
    type_numbers: HashMap<Arc<str>, u32>,
    /// Streams that are not deleted, by category.
    categories: BTreeMap<Arc<str>, u64>,
    /// Streams or types that had no place.
    left_out: bool,
}

/// How far the log was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything before has been seen.
    pub(crate) to: Position,
    /// Whether that was, at some moment, all there was.
    pub(crate) caught_up: bool,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Name,
    Created,
    NewestFirst,
    UpdatedFirst,
}

/// One per server.
#[derive(Debug)]
pub(crate) struct Names {
    /// A lock, since it is read for a page and written for a batch of events.
    known: RwLock<Known>,
    begun: AtomicBool,
    progress: watch::Sender<Progress>,
    /// The last events, for whoever watches.
    pub(crate) heads: Heads,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            begun: AtomicBool::new(false),
            progress: watch::Sender::new(Progress::default()),
            heads: Heads::default(),
        }
    }
}

impl Names {
    /// What is known now.
    pub(crate) fn look(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is, and word of each step.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    fn take(&self, events: &[RecordedEvent]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            known.take(event);
        }
    }
}

/// Starts to read the log, unless that was done before.
pub(crate) fn begin(shared: &Arc<Shared>) {
    if !shared.v1.names.begun.swap(true, Ordering::Relaxed) {
        tokio::spawn(follow(shared.clone()));
    }
}

async fn follow(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        () = stopping.wait() => {}
        () = follow_for_ever(&shared) => {}
    }
}

async fn follow_for_ever(shared: &Shared) {
    loop {
        match follow_once(shared).await {
            Ok(()) | Err(ReadError::Closed) => return,
            Err(error) => tracing::warn!(error = %error, "the names of streams cannot be followed"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_once(shared: &Shared) -> Result<(), ReadError> {
    let names = &shared.v1.names;
    let seen = names.progress.borrow().to;
    let from = match seen.0.checked_sub(1) {
        Some(last) => SubscribeFrom::AfterPosition(Position(last)),
        None => SubscribeFrom::Start,
    };
    let mut following = shared.store.subscribe(Subscribe::to(Selector::All).from(from)).await?;
    loop {
        let (checkpoint, caught_up) = match following.next().await? {
            SubscriptionMessage::Events { events, checkpoint } => {
                names.take(&events);
                if names.progress.borrow().caught_up {
                    names.heads.push(&events);
                }
                (checkpoint, false)
            }
            SubscriptionMessage::Checkpoint(checkpoint) => (checkpoint, false),
            SubscriptionMessage::CaughtUp(checkpoint) => (checkpoint, true),
        };
        names.progress.send_modify(|progress| {
            progress.to = checkpoint.next_position().unwrap_or_default().max(progress.to);
            progress.caught_up |= caught_up;
        });
        tokio::task::yield_now().await;
    }
}

impl Known {
    fn take(&mut self, event: &RecordedEvent) {
        let stream = event.stream();
        let event_type = self.take_type(event);
        if event.event_type() == METADATA_TYPE
            && let Some(described) = stream.strip_prefix(METASTREAM_PREFIX)
        {
            let gone = StreamMetadata::parse(event.data_slice()).is_deleted();
            self.set_state(described, if gone { State::Deleted } else { State::Active });
        }
        if event.event_type() == STREAM_DELETED_TYPE {
            return self.set_state(stream, State::Tombstoned);
        }
        let position = event.position().0;
        if let Some(entry) = self.streams.get_mut(stream) {
            if let Some(name) = self.by_update.remove(&entry.position) {
                self.by_update.insert(position, name);
            }
            entry.last_revision = event.revision().0;
            entry.last_type = event_type;
            entry.updated = event.recorded_at();
            entry.position = position;
            return self.set_state(stream, State::Active);
        }
        if self.streams.len() >= MAX_STREAMS {
            self.left_out = true;
            return;
        }
        let name: Arc<str> = stream.into();
        let entry = Entry {
            last_revision: event.revision().0,
            last_type: event_type,
            created: event.recorded_at(),
            updated: event.recorded_at(),
            state: State::Active,
            number: self.in_order.len(),
            position,
        };
        self.in_order.push(name.clone());
        self.by_update.insert(position, name.clone());
        self.streams.insert(name, entry);
        self.count_category(stream, true);
    }

    fn take_type(&mut self, event: &RecordedEvent) -> u32 {
        let name = event.event_type();
        let version = event.schema_version().0;
        if let Some(number) = self.type_numbers.get(name).copied() {
            if let Some(of) = usize::try_from(number).ok().and_then(|number| self.types.get_mut(number)) {
                of.count += 1;
                of.schema_version = of.schema_version.max(version);
                if let Some(known) = of.versions.iter_mut().find(|known| known.version == version) {
                    known.events += 1;
                    known.last = event.position();
                } else if of.versions.len() < MAX_VERSIONS {
                    of.versions.push(TypeVersion { version, events: 1, last: event.position() });
                }
            }
            return number;
        }
        if self.types.len() >= MAX_TYPES {
            self.left_out = true;
            return u32::MAX;
        }
        let number = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.types.push(Type {
            name: name.clone(),
            count: 1,
            schema_version: version,
            versions: vec![TypeVersion { version, events: 1, last: event.position() }],
        });
        self.type_numbers.insert(name, number);
        number
    }

    /// A tombstone stays; whatever else a stream was, it may be again.
    fn set_state(&mut self, stream: &str, state: State) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if entry.state == state || entry.state == State::Tombstoned {
            return;
        }
        let (was, is) = (entry.state == State::Active, state == State::Active);
        entry.state = state;
        if was != is {
            self.count_category(stream, is);
        }
    }

    fn count_category(&mut self, stream: &str, more: bool) {
        let Some(category) = category_of(stream) else { return };
        match self.categories.get_mut(category) {
            Some(count) => *count = if more { *count + 1 } else { count.saturating_sub(1) },
            None => drop(self.categories.insert(category.into(), u64::from(more))),
        }
    }

    fn stream(&self, name: &Arc<str>) -> Option<Stream> {
        let entry = self.streams.get(name)?;
        let of = usize::try_from(entry.last_type).ok().and_then(|number| self.types.get(number));
        Some(Stream {
            name: name.clone(),
            last_revision: entry.last_revision,
            last_type: of.map_or_else(|| "".into(), |of| of.name.clone()),
            created: entry.created,
            updated: entry.updated,
            state: entry.state,
            number: entry.number,
            position: entry.position,
        })
    }

    /// Streams in an order, from `after` on (a name, or a number as text), that `wanted` lets pass: at most `limit`, of at
    /// most `examined` that are looked at. The last one that was looked at comes with them, if there may be more.
    pub(crate) fn page(
        &self,
        order: Order,
        prefix: &str,
        after: Option<&str>,
        (limit, examined): (usize, usize),
        wanted: impl Fn(&str) -> bool,
    ) -> (Vec<Stream>, Option<Stream>) {
        let number = |text: &str| text.parse::<u64>().ok();
        let place = |text: &str| number(text).and_then(|number| usize::try_from(number).ok());
        let all: Box<dyn Iterator<Item = &Arc<str>>> = match order {
            Order::Name => {
                let from = match after {
                    Some(after) if after >= prefix => Bound::Excluded(after),
                    _ => Bound::Included(prefix),
                };
                let names = self.streams.range::<str, _>((from, Bound::Unbounded)).map(|(name, _)| name);
                Box::new(names.take_while(move |name| name.starts_with(prefix)))
            }
            Order::Created => {
                let from = after.and_then(place).map_or(0, |place| place.saturating_add(1));
                Box::new(self.in_order.get(from..).unwrap_or_default().iter())
            }
            Order::NewestFirst => {
                let to = after.and_then(place).unwrap_or(self.in_order.len());
                Box::new(self.in_order.get(..to).unwrap_or_default().iter().rev())
            }
            Order::UpdatedFirst => {
                let to = after.and_then(number).unwrap_or(u64::MAX);
                Box::new(self.by_update.range(..to).rev().map(|(_, name)| name))
            }
        };
        let mut page = Vec::new();
        for (count, name) in all.enumerate() {
            if page.len() == limit {
                let last = page.last().cloned();
                return (page, last);
            }
            if name.starts_with(prefix) && wanted(name) {
                page.extend(self.stream(name));
            }
            if count + 1 == examined {
                return (page, self.stream(name));
            }
        }
        (page, None)
    }

    /// Categories from a name on, with their streams.
    pub(crate) fn categories<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, u64)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let all = self.categories.range::<str, _>((from, Bound::Unbounded));
        let all = all.take_while(move |(name, _)| name.starts_with(prefix));
        all.filter(|(_, streams)| **streams > 0).map(|(name, streams)| (name.as_ref(), *streams))
    }

    /// Every type, in no order.
    pub(crate) fn types(&self) -> &[Type] {
        &self.types
    }

    /// Whether there is a stream of this name.
    pub(crate) fn has(&self, stream: &str) -> bool {
        self.streams.contains_key(stream)
    }

    /// How many streams there are, deleted ones and the store's own among them.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether some had no place.
    pub(crate) fn left_out(&self) -> bool {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use factum_core::{EventType, NewEvent, RecordedHeader, Revision, SchemaVersion, StreamName};

    use super::*;

    fn known(events: &[(&str, &str, &str)]) -> Known {
        let mut known = Known::default();
        let mut revisions: HashMap<String, u64> = HashMap::new();
        for (position, (stream, event_type, data)) in (0..).zip(events) {
            let revision = revisions.entry((*stream).to_owned()).or_default();
            let new = NewEvent::json(EventType::new(*event_type).expect("a type"), (*data).to_owned());
            let header = RecordedHeader {
                position: Position(position),
                revision: Revision(*revision),
                id: new.id,
                append_id: None,
                recorded_at: Timestamp(i64::try_from(position).expect("small")),
                occurred_at: None,
                schema_version: SchemaVersion::FIRST,
                content_type: new.content_type,
            };
            *revision += 1;
            known.take(&RecordedEvent::record(header, &StreamName::new(*stream).expect("a name"), &new));
        }
        known
    }

    fn names(known: &Known, order: Order, prefix: &str, after: Option<&str>, limit: usize) -> String {
        let (page, _) = known.page(order, prefix, after, (limit, 1_000), |_| true);
        page.iter().map(|stream| stream.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn streams_come_in_each_order_from_any_place() {
        let known = known(&[("b-1", "A", "1"), ("a-1", "A", "1"), ("c", "A", "1"), ("b-1", "B", "1")]);
        assert_eq!(names(&known, Order::Name, "", None, 9), "a-1 b-1 c");
        assert_eq!(names(&known, Order::Name, "", Some("a-1"), 1), "b-1");
        assert_eq!(names(&known, Order::Name, "b", None, 9), "b-1");
        assert_eq!(names(&known, Order::Name, "b", Some("a"), 9), "b-1");
        assert_eq!(names(&known, Order::Created, "", None, 9), "b-1 a-1 c");
        assert_eq!(names(&known, Order::Created, "", Some("0"), 1), "a-1");
        assert_eq!(names(&known, Order::NewestFirst, "", Some("2"), 9), "a-1 b-1");
        assert_eq!(names(&known, Order::UpdatedFirst, "", None, 9), "b-1 c a-1");
        assert_eq!(names(&known, Order::UpdatedFirst, "", Some("3"), 1), "c");
        let (page, last) = known.page(Order::Name, "", None, (9, 2), |name| name == "b-1");
        assert_eq!((page.len(), last.map(|stream| stream.name)), (1, Some("b-1".into())));
        assert_eq!(page[0].last_revision, 1);
        assert_eq!(&*page[0].last_type, "B");
        assert_eq!(known.types().iter().map(|of| of.count).sum::<u64>(), 4);
    }

    #[test]
    fn deletes_and_revivals_are_counted() {
        let gone = r#"{"$tb":9223372036854775807}"#;
        let of = |known: &Known| known.categories("", None).map(|(_, count)| count).sum::<u64>();
        let mut events = vec![("b-1", "A", "1"), ("b-2", "A", "1"), ("$$b-1", METADATA_TYPE, gone)];
        assert_eq!(of(&known(&events)), 1);
        events.push(("$$b-1", METADATA_TYPE, r#"{"$tb":1}"#));
        events.push(("b-1", "A", "1"));
        assert_eq!(of(&known(&events)), 2);
        events.push(("b-1", STREAM_DELETED_TYPE, "{}"));
        events.push(("$$b-1", METADATA_TYPE, "{}"));
        assert_eq!(of(&known(&events)), 1);
    }
}
