//! How a command takes effect: load, decide, append; on a conflict load and decide again.

use std::num::NonZeroU32;
use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, Capability, Clock, EventId, EventStore, ExpectedRevision, NewEvent, Read,
    ReadError, ReadFrom, ReadHead, Revision, StreamName, StreamState, SystemClock, Timestamp,
};

use crate::codec::{EncodeError, Encoded, encode};
use crate::outcome::{Applied, Change, ExecuteError, MAX_CHANGES_NAMED, Outcome};
use crate::repeated::refused;
use crate::replay::Replayed;
use crate::snapshot::{SnapshotCounters, SnapshotPlace, Unusable, last_snapshot, write_snapshot};
use crate::{CommandMetadata, Context, Decider, Event, ReplayError, SnapshotStats, SnapshotWrite, Snapshots};

/// How often a command is decided before a conflict is reported. Attempts follow each other at once: whoever wrote in
/// between has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: NonZeroU32,
}

impl RetryPolicy {
    /// The first conflict is reported.
    pub const NEVER: RetryPolicy = RetryPolicy { attempts: NonZeroU32::MIN };

    /// At most so many attempts, the first one included; 0 counts as 1.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN) }
    }

    pub(crate) fn is_over(self, attempt: u32) -> bool {
        attempt >= self.attempts.get()
    }
}

/// Executes the commands of one decider against one store. Cheap to share behind a reference.
///
/// ```
/// # use factum::{Context, Decider, Event, Executor, RetryPolicy, CommandMetadata, Outcome};
/// #[derive(Debug, PartialEq, Event)]
/// enum Click {
///     Counted,
/// }
///
/// struct Counter;
/// struct Count;
///
/// impl Decider for Counter {
///     type State = u64;
///     type Command = Count;
///     type Event = Click;
///     type Rejection = &'static str;
///     fn initial_state(&self) -> u64 { 0 }
///     fn evolve(&self, state: &mut u64, _: &Click) { *state += 1; }
///     fn decide(&self, state: &u64, _: &Count, _: &Context) -> Result<Vec<Click>, &'static str> {
///         if *state < 2 { Ok(vec![Click::Counted]) } else { Err("two are enough") }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use factum_core::{MemoryStore, StreamName};
///
/// let counter = Executor::new(Arc::new(MemoryStore::new()), Counter, RetryPolicy::attempts(5));
/// let stream = StreamName::new("counter-1")?;
///
/// let once = CommandMetadata::new().actor("ada").command_id("click 1");
/// let outcome = counter.execute(&stream, &Count, &once).await?;
/// assert_eq!(outcome.events(), [Click::Counted]);
///
/// // The same command again changes nothing and answers the same.
/// let outcome = counter.execute(&stream, &Count, &once).await?;
/// assert!(outcome.already_applied());
/// assert_eq!(counter.load(&stream).await?.state, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Executor<D: Decider> {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) decider: D,
    pub(crate) retries: RetryPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the store itself answers a repeated append.
    pub(crate) append_ids: bool,
    snapshots: Option<(Snapshots<D::State>, String)>,
    counters: SnapshotCounters,
}

/// A stream's state, and what its next append must expect.
struct Loaded<S> {
    replayed: Replayed<S>,
    /// The stream's true last revision, whatever of it is visible.
    last: Option<Revision>,
    /// The first visible revision; `None` where the stream was not found.
    first_visible: Option<Revision>,
}

impl<S> Loaded<S> {
    fn found(replayed: Replayed<S>, head: &ReadHead) -> Self {
        Self {
            replayed,
            last: head.stream.and_then(StreamState::last_revision),
            first_visible: Some(head.first_visible.unwrap_or_default()),
        }
    }

    fn expected(&self) -> ExpectedRevision {
        self.last.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact)
    }
}

impl<D: Decider> Executor<D> {
    /// An executor without snapshots, on the machine's clock.
    pub fn new(store: Arc<dyn EventStore>, decider: D, retries: RetryPolicy) -> Self {
        Self {
            append_ids: store.capabilities().has(Capability::AppendIds),
            store,
            decider,
            retries,
            clock: Arc::new(SystemClock),
            snapshots: None,
            counters: SnapshotCounters::default(),
        }
    }

    /// With this clock: the time of each decision comes from it.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With snapshots.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Snapshots<D::State>) -> Self {
        let fingerprint = snapshots.fingerprint::<D::Event>();
        self.snapshots = Some((snapshots, fingerprint));
        self
    }

    /// The decider.
    pub fn decider(&self) -> &D {
        &self.decider
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// How often snapshots were of use so far.
    pub fn snapshot_stats(&self) -> SnapshotStats {
        self.counters.stats()
    }

    /// A stream's state now: from its last snapshot, where there is one that may be used.
    ///
    /// # Errors
    /// `Decode` where an event is not one of the decider's; `Store` where reading fails or the stream is tombstoned.
    pub async fn load(&self, stream: &StreamName) -> Result<Replayed<D::State>, ReplayError> {
        Ok(self.load_for_append(stream).await?.replayed)
    }

    /// Executes one command on one stream.
    ///
    /// With a command id, the command has one effect however often it is executed: a repetition answers
    /// [`Outcome::AlreadyApplied`], even where it would now be rejected.
    ///
    /// # Errors
    /// `Rejected` with the domain's reason, `Conflict` after the last attempt, or what failed.
    pub async fn execute(
        &self,
        stream: &StreamName,
        command: &D::Command,
        metadata: &CommandMetadata,
    ) -> Result<Outcome<D::Event>, ExecuteError<D::Rejection>> {
        let now = self.clock.now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some(applied) = self.seen_without_append_ids(metadata, Some(stream), attempts).await? {
                return Ok(Outcome::AlreadyApplied(applied));
            }
            let loaded = self.load_for_append(stream).await?;
            let context = context(stream, &loaded, now, metadata);
            let decided = self.decider.decide(&loaded.replayed.state, command, &context);
            if !decided.as_ref().is_ok_and(|events| !events.is_empty())
                && let Some(applied) = self.seen(metadata, Some(stream), attempts).await?
            {
                return Ok(Outcome::AlreadyApplied(applied));
            }
            let events = decided.map_err(ExecuteError::Rejected)?;
            if events.is_empty() {
                return Ok(Outcome::Nothing { attempts });
            }
            let (new, read_back) = new_events(&events, metadata)?;
            let last_id = new.last().map(|event| event.id);
            let mut append = Append::to(stream.clone(), loaded.expected(), new);
            append.append_id = self.append_id(metadata);
            match self.store.append(append).await {
                Ok(appended) if appended.deduplicated => {
                    return self.repeated(metadata, Some(stream), attempts).await;
                }
                Ok(appended) => {
                    let mut applied = applied(events, appended, attempts);
                    if let (Some(event), Some(revision)) = (last_id, applied.revision()) {
                        let last = (revision, event);
                        applied.snapshot = self.snapshot_after(stream, loaded, &read_back, last).await;
                    }
                    return Ok(Outcome::Applied(applied));
                }
                Err(AppendError::Conflict { failed }) => {
                    if self.retries.is_over(attempts) {
                        let changed = self.changes_since(stream, loaded.last).await;
                        return Err(ExecuteError::Conflict { attempts, failed, changed });
                    }
                }
                Err(error) => return Err(refused(error, metadata)),
            }
        }
    }

    async fn load_for_append(&self, stream: &StreamName) -> Result<Loaded<D::State>, ReplayError> {
        if let Some((snapshots, fingerprint)) = &self.snapshots {
            match last_snapshot(&*self.store, stream, snapshots, fingerprint).await {
                Ok((place, state)) => match self.load_after(stream, &place, state).await? {
                    Ok(loaded) => {
                        self.counters.used();
                        return Ok(loaded);
                    }
                    Err(why) => self.counters.unusable(why),
                },
                Err(why) => self.counters.unusable(why),
            }
        }
        let mut replayed = Replayed::new(self.decider.initial_state());
        match self.store.read(Read::stream(stream.clone())).await {
            Ok(mut reader) => {
                replayed.apply_all(&self.decider, &mut *reader).await?;
                Ok(Loaded::found(replayed, reader.head()))
            }
            Err(ReadError::StreamNotFound { .. }) => Ok(Loaded { replayed, last: None, first_visible: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// The state from a snapshot and the events after it. The read begins with the snapshot's own last event, to see
    /// that it is still the one that the snapshot was taken after.
    async fn load_after(
        &self,
        stream: &StreamName,
        place: &SnapshotPlace,
        state: D::State,
    ) -> Result<Result<Loaded<D::State>, Unusable>, ReplayError> {
        let read = Read::stream(stream.clone()).from(ReadFrom::Revision(place.revision));
        let mut reader = match self.store.read(read).await {
            Ok(reader) => reader,
            Err(ReadError::StreamNotFound { .. }) => return Ok(Err(Unusable::Ahead)),
            Err(error) => return Err(error.into()),
        };
        if let Err(why) = place.fits(reader.head()) {
            return Ok(Err(why));
        }
        let mut replayed = Replayed::new(state);
        let mut checked = false;
        while let Some(page) = reader.next_page().await? {
            let mut events = page.events.iter();
            if !checked && let Some(first) = events.next() {
                if first.revision() != place.revision || first.id() != place.event {
                    return Ok(Err(Unusable::OtherHistory));
                }
                checked = true;
                replayed.revision = Some(first.revision());
                replayed.position = Some(first.position());
            }
            for event in events {
                replayed.apply(&self.decider, event)?;
            }
        }
        if !checked {
            return Ok(Err(Unusable::OtherHistory));
        }
        Ok(Ok(Loaded::found(replayed, reader.head())))
    }

    /// Writes a snapshot where one is due. It follows the commit and never fails the command. `events` are those that were
    /// appended, as they read back.
    async fn snapshot_after(
        &self,
        stream: &StreamName,
        loaded: Loaded<D::State>,
        events: &[D::Event],
        (revision, event): (Revision, EventId),
    ) -> SnapshotWrite {
        let Some((snapshots, fingerprint)) = &self.snapshots else { return SnapshotWrite::NotDue };
        let Loaded { replayed: Replayed { mut state, events: folded, .. }, last, first_visible } = loaded;
        for event in events {
            self.decider.evolve(&mut state, event);
        }
        let after = revision.0 + 1;
        let before = last.map_or(0, |last| last.0 + 1);
        if !snapshots.due(before, after, folded, &state) {
            return SnapshotWrite::NotDue;
        }
        // A stream that was not found begins with this append, even where it goes on after a deletion.
        let first_visible = first_visible.unwrap_or(Revision(after - events.len() as u64));
        let place = SnapshotPlace { revision, event, first_visible };
        let write = match snapshots.encode(&state) {
            Ok(data) => match write_snapshot(&*self.store, stream, &place, fingerprint, data).await {
                Ok(()) => SnapshotWrite::Written(revision),
                Err(error) => SnapshotWrite::Failed(error),
            },
            Err(error) => SnapshotWrite::Failed(error.into()),
        };
        self.counters.write(&write);
        write
    }

    async fn changes_since(&self, stream: &StreamName, last: Option<Revision>) -> Vec<Change> {
        let from = last.map_or(Revision::START, Revision::next);
        let read =
            Read::stream(stream.clone()).from(ReadFrom::Revision(from)).limit(MAX_CHANGES_NAMED as u64);
        self.changes(read).await
    }
}

/// The events in the form that a store takes, and as they read back.
pub(crate) fn new_events<E: Event>(
    events: &[E],
    metadata: &CommandMetadata,
) -> Result<(Vec<NewEvent>, Vec<E>), EncodeError> {
    let json = metadata.to_json();
    let mut new = Vec::with_capacity(events.len());
    let mut as_read = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let Encoded { new: event, read_back } = encode(event)?;
        let mut event = event.with_metadata(json.clone());
        as_read.push(read_back);
        if let Some(command) = &metadata.command_id {
            event.id = command.event_id(index);
        }
        event.occurred_at = metadata.occurred_at;
        new.push(event);
    }
    Ok((new, as_read))
}

pub(crate) fn applied<E>(events: Vec<E>, appended: Appended, attempts: u32) -> Applied<E> {
    Applied {
        events,
        // An append of events says where they are; a store that does not is read as if it were empty.
        first: appended.first.unwrap_or_default(),
        last: appended.last.unwrap_or_default(),
        streams: appended.streams,
        token: appended.token,
        attempts,
        snapshot: SnapshotWrite::NotDue,
    }
}

fn context<S>(
    stream: &StreamName,
    loaded: &Loaded<S>,
    now: Timestamp,
    metadata: &CommandMetadata,
) -> Context {
    Context {
        stream: Some(stream.clone()),
        revision: loaded.last,
        position: loaded.replayed.position,
        now,
        metadata: metadata.clone(),
    }
}
