//! When a state is kept beside its stream, under which name, and when a kept state may be used.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use factum_core::{
    AppendError, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, ReadError,
    ReadHead, RecordedEvent, Revision, StreamMetadata, StreamName, StreamState,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::__private::write_json;
use crate::Event;
use crate::personal_data::scope;

/// The type of the event that keeps a state.
pub const SNAPSHOT_TYPE: &str = "$snapshot";

/// A snapshot every so many events, unless the caller says otherwise.
pub const DEFAULT_SNAPSHOT_EVERY: u64 = 100;

const SOURCE_REVISION: &str = "sourceRevision";
const SOURCE_EVENT: &str = "sourceEventId";
const FIRST_VISIBLE: &str = "firstVisible";
const FINGERPRINT: &str = "stateFingerprint";
const VERSION: &str = "factum";

/// The namespace of snapshot event ids: the same snapshot written twice is one event.
const SNAPSHOT_NAMESPACE: Uuid = Uuid::from_u128(0xb1d3_0c52_7e4f_4f0a_9d61_55a8_3c1e_72f4);

type Predicate<S> = Arc<dyn Fn(&S) -> bool + Send + Sync>;

/// When states are kept, and how they become bytes.
///
/// A snapshot may be thrown away at any time: it is used only where it says the same as the events behind it.
/// Its fingerprint is made from the shape of the state type and the decider's event kinds, so that changing either
/// leaves old snapshots unused. A change of `evolve` alone changes neither: name it with [`fold_changed`](Self::fold_changed).
///
/// ```
/// use factum::Snapshots;
///
/// #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// struct Account {
///     cents: i64,
///     closed: bool,
/// }
///
/// // Every 100 events, and once more when the books are closed.
/// let snapshots = Snapshots::<Account>::every(100).or_when(|account| account.closed);
/// # use factum::{Decider, Executor};
/// # fn with<D: Decider<State = Account>>(executor: Executor<D>, snapshots: Snapshots<Account>) -> Executor<D> {
/// executor.with_snapshots(snapshots)
/// # }
/// ```
pub struct Snapshots<S> {
    every: u64,
    when: Option<Predicate<S>>,
    shape: Value,
    fold: u32,
    encode: fn(&S) -> Result<Vec<u8>, serde_json::Error>,
    decode: fn(&[u8]) -> Result<S, serde_json::Error>,
}

impl<S> Clone for Snapshots<S> {
    fn clone(&self) -> Self {
        Self {
            every: self.every,
            when: self.when.clone(),
            shape: self.shape.clone(),
            fold: self.fold,
            encode: self.encode,
            decode: self.decode,
        }
    }
}

impl<S> fmt::Debug for Snapshots<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("every", &self.every).finish_non_exhaustive()
    }
}

impl<S: Serialize + DeserializeOwned + JsonSchema> Snapshots<S> {
    /// A snapshot each time the stream passes a multiple of `events`; 0 counts as 1.
    pub fn every(events: u64) -> Self {
        Self {
            every: events.max(1),
            when: None,
            shape: without_prose(schemars::schema_for!(S).to_value()),
            fold: 0,
            encode: |state| scope::copy(|| write_json(state)),
            decode: |data| serde_json::from_slice(data),
        }
    }
}

impl<S: Serialize + DeserializeOwned + JsonSchema> Default for Snapshots<S> {
    /// Every [`DEFAULT_SNAPSHOT_EVERY`] events.
    fn default() -> Self {
        Self::every(DEFAULT_SNAPSHOT_EVERY)
    }
}

impl<S> Snapshots<S> {
    /// And after each commit that leaves the state like this, such as a period that was closed.
    #[must_use]
    pub fn or_when(mut self, state: impl Fn(&S) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(state));
        self
    }

    /// Leaves the snapshots of all other values of `change` unused: for a new meaning of the same events and the same
    /// state type.
    #[must_use]
    pub fn fold_changed(mut self, change: u32) -> Self {
        self.fold = change;
        self
    }

    /// What a snapshot must carry to be used with events `E`: 64 hexadecimal digits.
    pub fn fingerprint<E: Event>(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.shape.to_string());
        hash.update(self.fold.to_le_bytes());
        for kind in E::kinds() {
            hash.update((kind.event_type.len() as u64).to_le_bytes());
            hash.update(kind.event_type);
            hash.update(kind.version.to_le_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a commit that took the stream from `before` to `after` events is followed by a snapshot.
    /// `replayed` is how many events had to be folded for it: a snapshot that was lost is soon made again.
    pub(crate) fn due(&self, before: u64, after: u64, replayed: u64, state: &S) -> bool {
        let base = before - before % self.every;
        after - base >= self.every
            || replayed >= self.every
            || self.when.as_ref().is_some_and(|when| when(state))
    }

    pub(crate) fn encode(&self, state: &S) -> Result<Vec<u8>, serde_json::Error> {
        (self.encode)(state)
    }

    pub(crate) fn decode(&self, data: &[u8]) -> Result<S, serde_json::Error> {
        (self.decode)(data)
    }
}

/// A schema without its descriptions: rewording a comment does not change a type's shape.
fn without_prose(schema: Value) -> Value {
    match schema {
        Value::Object(keys) => Value::Object(
            keys.into_iter()
                .filter(|(key, value)| !(value.is_string() && (key == "description" || key == "title")))
                .map(|(key, value)| match key.as_str() {
                    "default" | "const" | "enum" | "examples" => (key, value),
                    _ => (key, without_prose(value)),
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(without_prose).collect()),
        other => other,
    }
}

/// The stream that keeps the snapshots of `stream`: a category of its own, so that readers of the category never see
/// them. `None` for system streams, and where the name would be too long.
///
/// ```
/// use factum::snapshot_stream;
/// use factum_core::StreamName;
///
/// let stream = StreamName::new("account-7-b").unwrap();
/// assert_eq!(snapshot_stream(&stream).unwrap().as_str(), "account:snapshot-7-b");
/// ```
pub fn snapshot_stream(stream: &StreamName) -> Option<StreamName> {
    if stream.is_system() {
        return None;
    }
    let name = match stream.category() {
        Some(category) => format!("{category}:snapshot{}", &stream[category.len()..]),
        None => format!("{stream}:snapshot"),
    };
    StreamName::new(name).ok()
}

/// Where in its stream a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotPlace {
    /// The last event that the state includes.
    pub(crate) revision: Revision,
    /// That event's id: a restored store may have another event there.
    pub(crate) event: EventId,
    /// The first event that the state includes.
    pub(crate) first_visible: Revision,
}

impl SnapshotPlace {
    /// Whether the stream, as a read of it found it, can still have led to this snapshot.
    pub(crate) fn fits(&self, head: &ReadHead) -> Result<(), Unusable> {
        let last = match head.stream {
            Some(StreamState::Live { last }) => last,
            _ => return Err(Unusable::Ahead),
        };
        if self.revision > last {
            return Err(Unusable::Ahead);
        }
        if self.first_visible != head.first_visible.unwrap_or_default() {
            return Err(Unusable::OtherHistory);
        }
        Ok(())
    }
}

/// Why a snapshot is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Missing,
    Unreadable,
    OtherFingerprint,
    Undecodable,
    Ahead,
    OtherHistory,
}

/// The place and the state of the stream's last snapshot.
pub(crate) async fn last_snapshot<S>(
    store: &dyn EventStore,
    stream: &StreamName,
    snapshots: &Snapshots<S>,
    fingerprint: &str,
) -> Result<(SnapshotPlace, S), Unusable> {
    let name = snapshot_stream(stream).ok_or(Unusable::Missing)?;
    let event = match store.last_event(name).await {
        Ok(event) => event.ok_or(Unusable::Missing)?,
        Err(ReadError::StreamNotFound { .. }) => return Err(Unusable::Missing),
        Err(_) => return Err(Unusable::Unreadable),
    };
    let place = place_of(&event, fingerprint)?;
    let state = snapshots.decode(event.data_slice()).map_err(|_| Unusable::Undecodable)?;
    Ok((place, state))
}

fn place_of(event: &RecordedEvent, fingerprint: &str) -> Result<SnapshotPlace, Unusable> {
    let metadata: Map<String, Value> =
        serde_json::from_slice(event.metadata_slice()).map_err(|_| Unusable::Undecodable)?;
    let text = |key| metadata.get(key).and_then(Value::as_str).ok_or(Unusable::Undecodable);
    let number = |key| metadata.get(key).and_then(Value::as_u64).ok_or(Unusable::Undecodable);
    if text(FINGERPRINT)? != fingerprint {
        return Err(Unusable::OtherFingerprint);
    }
    Ok(SnapshotPlace {
        revision: Revision(number(SOURCE_REVISION)?),
        event: text(SOURCE_EVENT)?.parse().map_err(|_| Unusable::Undecodable)?,
        first_visible: Revision(number(FIRST_VISIBLE)?),
    })
}

/// Writes a snapshot; the first one of a stream also tells the store to keep only the last.
pub(crate) async fn write_snapshot(
    store: &dyn EventStore,
    stream: &StreamName,
    place: &SnapshotPlace,
    fingerprint: &str,
    state: Vec<u8>,
) -> Result<(), SnapshotError> {
    let name = snapshot_stream(stream).ok_or_else(|| SnapshotError::NoName { stream: stream.clone() })?;
    let mut metadata = Map::new();
    metadata.insert(SOURCE_REVISION.to_owned(), place.revision.0.into());
    metadata.insert(SOURCE_EVENT.to_owned(), place.event.to_string().into());
    metadata.insert(FIRST_VISIBLE.to_owned(), place.first_visible.0.into());
    metadata.insert(FINGERPRINT.to_owned(), fingerprint.into());
    metadata.insert(VERSION.to_owned(), env!("CARGO_PKG_VERSION").into());
    let identity = format!("{name} {} {} {fingerprint}", place.revision, place.event);
    let event_type =
        EventType::new(SNAPSHOT_TYPE).map_err(|e| AppendError::Invalid { why: e.to_string() })?;
    let event = NewEvent::json(event_type, state)
        .with_id(EventId(Uuid::new_v5(&SNAPSHOT_NAMESPACE, identity.as_bytes())))
        .with_metadata(Bytes::from(Value::Object(metadata).to_string()));
    let appended = store.append_to(name.clone(), ExpectedRevision::Any, vec![event]).await?;
    let first = appended.streams.first().and_then(|written| written.first);
    if first == Some(Revision::START) && !appended.deduplicated {
        let keep_last = StreamMetadata { max_count: Some(1), ..StreamMetadata::default() };
        store.set_stream_metadata(name, &keep_last).await?;
    }
    Ok(())
}

/// Why a snapshot was not written. The command that it followed took effect all the same.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The stream's name leaves no room for its snapshots' name, or it is a system stream.
    #[error("stream '{stream}' can have no snapshots: it is a system stream, or its name is too long")]
    NoName {
        /// The stream.
        stream: StreamName,
    },
    /// The state has no JSON form.
    #[error("the state has no JSON form: {0}")]
    State(#[from] serde_json::Error),
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] AppendError),
}

/// What followed a commit.
#[derive(Debug)]
pub enum SnapshotWrite {
    /// No snapshot was due.
    NotDue,
    /// A snapshot was written, of the state after this revision.
    Written(Revision),
    /// A snapshot was due and could not be written: the next load folds more events.
    Failed(SnapshotError),
}

/// How often snapshots were of use, since the executor was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStats {
    /// Loads that started from a snapshot.
    pub used: u64,
    /// Loads that found none.
    pub missing: u64,
    /// Loads that could not read the snapshot stream.
    pub unreadable: u64,
    /// Loads that found one of another state type or other event kinds.
    pub other_fingerprint: u64,
    /// Loads that found one which cannot be decoded.
    pub undecodable: u64,
    /// Loads that found one of a revision which the stream does not have.
    pub ahead: u64,
    /// Loads that found one of a history which the stream no longer has: restored, truncated or deleted since.
    pub other_history: u64,
    /// Snapshots written.
    pub written: u64,
    /// Snapshots that were due and could not be written.
    pub failed: u64,
}

/// [`SnapshotStats`] while they are counted.
#[derive(Debug, Default)]
pub(crate) struct SnapshotCounters {
    used: AtomicU64,
    missing: AtomicU64,
    unreadable: AtomicU64,
    other_fingerprint: AtomicU64,
    undecodable: AtomicU64,
    ahead: AtomicU64,
    other_history: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
}

impl SnapshotCounters {
    pub(crate) fn used(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unusable(&self, why: Unusable) {
        let counter = match why {
            Unusable::Missing => &self.missing,
            Unusable::Unreadable => &self.unreadable,
            Unusable::OtherFingerprint => &self.other_fingerprint,
            Unusable::Undecodable => &self.undecodable,
            Unusable::Ahead => &self.ahead,
            Unusable::OtherHistory => &self.other_history,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write(&self, write: &SnapshotWrite) {
        match write {
            SnapshotWrite::NotDue => {}
            SnapshotWrite::Written(_) => drop(self.written.fetch_add(1, Ordering::Relaxed)),
            SnapshotWrite::Failed(_) => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn stats(&self) -> SnapshotStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SnapshotStats {
            used: read(&self.used),
            missing: read(&self.missing),
            unreadable: read(&self.unreadable),
            other_fingerprint: read(&self.other_fingerprint),
            undecodable: read(&self.undecodable),
            ahead: read(&self.ahead),
            other_history: read(&self.other_history),
            written: read(&self.written),
            failed: read(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StreamName {
        StreamName::new(text).unwrap()
    }

    #[test]
    fn snapshots_have_a_category_of_their_own() {
        let check = |stream: &str, expected: Option<&str>| {
            assert_eq!(snapshot_stream(&name(stream)).as_deref(), expected, "{stream}");
        };
        check("account-7", Some("account:snapshot-7"));
        check("ledger", Some("ledger:snapshot"));
        check("ledger-", Some("ledger:snapshot-"));
        check("$$account-7", None);
        check(&"x".repeat(1_020), None);
        assert_eq!(snapshot_stream(&name("account-7")).unwrap().category(), Some("account:snapshot"));
    }

    #[test]
    fn a_snapshot_is_due_where_a_multiple_is_passed() {
        let snapshots = Snapshots::<u64>::every(100).or_when(|state| *state == 7);
        for (before, after, replayed, state, due) in [
            (0, 99, 0, 0, false),
            (0, 100, 0, 0, true),
            (99, 100, 0, 0, true),
            (100, 199, 0, 0, false),
            (150, 205, 50, 0, true),
            (205, 206, 5, 0, false),
            (205, 206, 205, 0, true),
            (1, 2, 0, 7, true),
        ] {
            assert_eq!(snapshots.due(before, after, replayed, &state), due, "{before} to {after}");
        }
    }

    #[test]
    fn comments_are_no_part_of_a_shape() {
        /// One comment.
        #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
        #[schemars(rename = "State")]
        #[allow(dead_code)]
        struct First {
            /// A field called like a keyword.
            description: String,
        }
        /// Another comment.
        #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
        #[schemars(rename = "State")]
        #[allow(dead_code)]
        struct Second {
            description: String,
        }
        let shape = Snapshots::<First>::default().shape;
        assert_eq!(shape, Snapshots::<Second>::default().shape);
        assert!(shape.pointer("/properties/description").is_some(), "{shape}");
    }
}
