//! Persistent subscriptions: groups of consumers that share a source, and whose progress the server keeps.
//!
//! `group.rs` decides, without I/O; `running.rs` is the task that owns a group and carries out what it decides;
//! `registry.rs` owns the set of groups. [`Groups`] is what the rest of the server asks.

mod config;
mod consumers;
mod feed;
mod group;
mod key;
mod pinning;
mod progress;
mod ranges;
mod registry;
mod replays;
mod running;
mod settings;
mod statistics;
mod status;
mod storage;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use factum_core::{EventId, ReadError, with_causes};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub(crate) use config::{FilterOn, FilterTest, FilterText, GroupConfig, Start, place_text};
pub(crate) use consumers::{ConsumerId, ConsumerNumbers};
pub(crate) use group::{NackAction, Numbers};
pub(crate) use key::GroupKey;
pub(crate) use ranges::Ranges;
pub(crate) use registry::{Change, RegistryHandle, channel};
pub(crate) use replays::{Chosen, Replay, ReplayState, Wish};
pub(crate) use running::{Connection, ConsumerInfo, Delivery, Ended};
pub(crate) use settings::{ExtraStatistics, Settings, Strategy};
pub(crate) use storage::{Parked, ParkedEvent};

use crate::shared::Shared;
use registry::Request;
use running::{Command, Handle, Snapshot};

/// Most parked events that are shown at once.
const MAX_PARKED_PAGE: u64 = 1_000;

/// Why something about a group was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupError {
    /// There is no such group.
    Missing(GroupKey),
    /// There is such a group already.
    Exists(GroupKey),
    /// It has as many consumers as it may have.
    Full(GroupKey),
    /// It cannot be done.
    Failed {
        /// With which group.
        key: GroupKey,
        /// Why.
        why: String,
    },
    /// The server stops.
    Stopping,
}

/// What is known of a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupInfo {
    /// What was chosen.
    pub(crate) config: Arc<GroupConfig>,
    /// Its numbers.
    pub(crate) numbers: Numbers,
    /// Who its consumers are.
    pub(crate) members: BTreeMap<ConsumerId, ConsumerInfo>,
    /// In a word, whether it is at the end of its source; and why it does not move, if it does not.
    pub(crate) status: String,
    /// The last place of the source.
    pub(crate) last_known: Option<u64>,
    /// How many events are parked, without those that are being replayed.
    pub(crate) parked: u64,
    /// What was replayed since the group runs, the oldest first.
    pub(crate) replays: Vec<Replay>,
}

/// A consumer of a group. Dropping it is not enough to leave: [`leave`](Self::leave) says so at once.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    id: ConsumerId,
    commands: mpsc::Sender<Command>,
}

impl Consumer {
    /// It has handled these events.
    pub(crate) async fn ack(&self, events: Vec<EventId>) {
        self.tell(Command::Ack { consumer: self.id, events }).await;
    }

    /// It could not handle these events.
    pub(crate) async fn nack(&self, events: Vec<EventId>, action: NackAction, reason: String) {
        self.tell(Command::Nack { consumer: self.id, events, action, reason }).await;
    }

    /// It goes.
    pub(crate) async fn leave(&self, why: Ended) {
        self.tell(Command::Disconnect { consumer: self.id, why }).await;
    }

    /// Waits until the group has ended.
    pub(crate) async fn over(&self) {
        self.commands.closed().await;
    }

    /// A group that has ended has told its consumers so.
    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// The groups of a server, for whoever has its parts.
#[derive(Clone)]
pub(crate) struct Groups {
    shared: Arc<Shared>,
}

impl Groups {
    /// Those of this server.
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone() }
    }

    /// Makes a group, in the name of `by`.
    ///
    /// # Errors
    /// `Exists`, or `Failed` with what is wrong about it.
    pub(crate) async fn create(&self, config: GroupConfig, by: &str) -> Result<(), GroupError> {
        let by = by.to_owned();
        self.registry().ask(|reply| Request::Create { config, by, reply }).await?
    }

    /// Changes a group. Its consumers are dropped, and it goes on from its checkpoint.
    ///
    /// # Errors
    /// `Missing`, or `Failed` with what is wrong about it.
    pub(crate) async fn update(&self, change: Change, by: &str) -> Result<(), GroupError> {
        let by = by.to_owned();
        self.registry().ask(|reply| Request::Update { change, by, reply }).await?
    }

    /// Deletes a group with its checkpoint and its parked events. Its consumers are dropped.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where that could not be written.
    pub(crate) async fn delete(&self, key: GroupKey, by: &str) -> Result<(), GroupError> {
        let by = by.to_owned();
        self.registry().ask(|reply| Request::Delete { key, by, reply }).await?
    }

    /// Stops every group, reads again which there are, and starts those. Consumers are dropped.
    ///
    /// # Errors
    /// `Stopping`.
    pub(crate) async fn restart(&self) -> Result<(), GroupError> {
        self.registry().ask(|reply| Request::Restart { reply }).await
    }

    /// Connects a consumer that may hold `slots` events without an answer.
    ///
    /// # Errors
    /// `Missing`, or `Full` where it has as many consumers as it may have.
    pub(crate) async fn connect(
        &self,
        key: &GroupKey,
        who: ConsumerInfo,
        slots: usize,
    ) -> Result<(Consumer, Connection), GroupError> {
        match self.connect_once(key, who.clone(), slots).await {
            // It may have been changed just now, and runs again.
            Err(GroupError::Missing(_)) => self.connect_once(key, who, slots).await,
            outcome => outcome,
        }
    }

    async fn connect_once(
        &self,
        key: &GroupKey,
        who: ConsumerInfo,
        slots: usize,
    ) -> Result<(Consumer, Connection), GroupError> {
        let handle = self.find(key).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(&handle, Command::Connect { who, slots, reply }).await?;
        let connection = answer.await.map_err(|_| gone(key, &self.shared))?;
        let connection = connection.ok_or_else(|| GroupError::Full(key.clone()))?;
        Ok((Consumer { id: connection.id, commands: handle.commands }, connection))
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where the store cannot be read.
    pub(crate) async fn info(&self, key: &GroupKey) -> Result<GroupInfo, GroupError> {
        match self.show(&self.find(key).await?).await {
            // It may have been changed just now, and runs again.
            Err(GroupError::Missing(_)) => self.show(&self.find(key).await?).await,
            outcome => outcome,
        }
    }

    /// What is known of every group, in the order of their names.
    ///
    /// # Errors
    /// `Failed` where the store cannot be read.
    pub(crate) async fn list(&self) -> Result<Vec<GroupInfo>, GroupError> {
        let mut list = Vec::new();
        for handle in self.registry().ask(|reply| Request::All { reply }).await? {
            match self.show(&handle).await {
                Ok(info) => list.push(info),
                // Deleted in the meantime.
                Err(GroupError::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(list)
    }

    /// Delivers parked events again, the oldest first; `None` where there is none to deliver.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where the store cannot be read, or one of them is not parked.
    pub(crate) async fn replay_parked(
        &self,
        key: &GroupKey,
        chosen: Chosen,
        wish: Wish,
    ) -> Result<Option<Replay>, GroupError> {
        let handle = self.find(key).await?;
        let parked = self.stored(&handle).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(&handle, Command::Replay { parked, chosen, wish, reply }).await?;
        self.outcome(key, answer).await
    }

    /// How many parked events are meant.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where the store cannot be read, or one of them is not parked.
    pub(crate) async fn count_parked(&self, key: &GroupKey, chosen: &Chosen) -> Result<u64, GroupError> {
        let handle = self.find(key).await?;
        let there = self.there(&handle, &self.snapshot(&handle).await?).await?;
        let meant = chosen.among(&there);
        meant
            .map(|meant| meant.count())
            .map_err(|error| GroupError::Failed { key: key.clone(), why: error.to_string() })
    }

    /// Stops a replay: what no consumer has got yet stays parked. Says whether it ran.
    ///
    /// # Errors
    /// `Missing`.
    pub(crate) async fn stop_replay(&self, key: &GroupKey, id: Uuid) -> Result<bool, GroupError> {
        let handle = self.find(key).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(&handle, Command::StopReplay { id, reply }).await?;
        answer.await.map_err(|_| gone(key, &self.shared))
    }

    /// Forgets parked events: nobody gets them any more. Says how many.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where the store cannot be read or written, or one of them is not parked.
    pub(crate) async fn forget_parked(&self, key: &GroupKey, chosen: Chosen) -> Result<u64, GroupError> {
        let handle = self.find(key).await?;
        let parked = self.stored(&handle).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(&handle, Command::Forget { parked, chosen, reply }).await?;
        self.outcome(key, answer).await
    }

    async fn outcome<T>(
        &self,
        key: &GroupKey,
        answer: oneshot::Receiver<Result<T, String>>,
    ) -> Result<T, GroupError> {
        let outcome = answer.await.map_err(|_| gone(key, &self.shared))?;
        outcome.map_err(|why| GroupError::Failed { key: key.clone(), why })
    }

    /// Parked events from a number on, the oldest first; at most `count`, and at most a thousand. Beside them the numbers of
    /// all that are parked. Those that are being replayed are not.
    ///
    /// # Errors
    /// `Missing`, or `Failed` where the store cannot be read.
    pub(crate) async fn parked(
        &self,
        key: &GroupKey,
        from: u64,
        count: u64,
    ) -> Result<(Ranges, Vec<ParkedEvent>), GroupError> {
        let handle = self.find(key).await?;
        let there = self.there(&handle, &self.snapshot(&handle).await?).await?;
        let (mut wanted, mut page) = (there.clone(), Vec::new());
        wanted.remove(0..from);
        for range in wanted.first(count.min(MAX_PARKED_PAGE)).iter() {
            let (parked, count) = (&handle.streams.parked, range.end - range.start);
            let events = storage::parked_page(&self.shared, parked, range.start, count).await;
            page.extend(events.map_err(|error| failed(key, &error))?);
        }
        Ok((there, page))
    }

    async fn find(&self, key: &GroupKey) -> Result<Handle, GroupError> {
        let asked = key.clone();
        let found = self.registry().ask(|reply| Request::Find { key: asked, reply }).await?;
        found.ok_or_else(|| GroupError::Missing(key.clone()))
    }

    async fn stored(&self, handle: &Handle) -> Result<Parked, GroupError> {
        let parked = storage::parked(self.shared.store.as_ref(), &handle.streams.parked).await;
        parked.map_err(|error| failed(&handle.config.key, &error))
    }

    /// The parked events, without those that are being replayed.
    async fn there(&self, handle: &Handle, snapshot: &Snapshot) -> Result<Ranges, GroupError> {
        let mut there = self.stored(handle).await?.there;
        there.subtract(&snapshot.away);
        Ok(there)
    }

    async fn snapshot(&self, handle: &Handle) -> Result<Snapshot, GroupError> {
        let (reply, answer) = oneshot::channel();
        self.tell(handle, Command::Show(reply)).await?;
        answer.await.map_err(|_| gone(&handle.config.key, &self.shared))
    }

    async fn show(&self, handle: &Handle) -> Result<GroupInfo, GroupError> {
        let key = &handle.config.key;
        let snapshot = self.snapshot(handle).await?;
        let last_known = storage::last_place(self.shared.store.as_ref(), &key.source()).await;
        let last_known = last_known.map_err(|error| failed(key, &error))?;
        let parked = self.there(handle, &snapshot).await?.count();
        let status = status::text(&handle.config, &snapshot, last_known, self.shared.options.clock.now());
        Ok(GroupInfo {
            config: handle.config.clone(),
            status,
            last_known,
            parked,
            replays: snapshot.replays,
            numbers: snapshot.numbers,
            members: snapshot.members,
        })
    }

    async fn tell(&self, handle: &Handle, command: Command) -> Result<(), GroupError> {
        handle.commands.send(command).await.map_err(|_| gone(&handle.config.key, &self.shared))
    }

    fn registry(&self) -> &RegistryHandle {
        &self.shared.groups
    }
}

/// A group that ended while it was asked was deleted, or the server stops.
fn gone(key: &GroupKey, shared: &Shared) -> GroupError {
    if shared.stopping.is_due() { GroupError::Stopping } else { GroupError::Missing(key.clone()) }
}

fn failed(key: &GroupKey, error: &ReadError) -> GroupError {
    GroupError::Failed { key: key.clone(), why: with_causes(error) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use factum_core::{EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, StreamName};

    use super::*;
    use crate::source::Source;
    use crate::stopping::Stopping;

    /// What a server's parts have of its groups.
    fn groups(store: MemoryStore, stopping: Stopping) -> Groups {
        let (handle, unstarted) = channel();
        let shared = Arc::new(Shared::of_test(Arc::new(store), handle, stopping));
        unstarted.start(shared.clone());
        Groups::of(&shared)
    }

    #[tokio::test]
    async fn what_is_parked_is_shown_in_pages_with_its_reason() {
        let (store, (_stop, stopping)) = (MemoryStore::new(), Stopping::channel());
        let stream = StreamName::new("s").unwrap();
        let event = || NewEvent::json(EventType::new("A").unwrap(), "1");
        store
            .append_to(stream.clone(), ExpectedRevision::Any, vec![event(), event(), event()])
            .await
            .unwrap();
        let groups = groups(store, stopping);
        let key = GroupKey::new(&Source::named(stream), "g");
        let config = GroupConfig {
            key: key.clone(),
            settings: Settings::default(),
            start: Start::At(0),
            began: None,
            filter: None,
        };
        groups.create(config, "me").await.unwrap();
        let (consumer, mut connection) = groups.connect(&key, ConsumerInfo::default(), 3).await.unwrap();
        for reason in ["first", "second", "third"] {
            let delivery = connection.deliveries.recv().await.unwrap();
            let id = delivery.event.original().unwrap().id();
            consumer.nack(vec![id], NackAction::Park, reason.to_owned()).await;
        }
        while groups.info(&key).await.unwrap().parked < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (there, page) = groups.parked(&key, 1, 1).await.unwrap();
        assert_eq!(there, Ranges::from(0..3));
        assert_eq!(page.len(), 1);
        assert_eq!((page[0].revision, page[0].reason.as_str()), (1, "second"));
        assert_eq!(page[0].resolved.event.as_ref().unwrap().revision().0, 1);
        assert_eq!(groups.list().await.unwrap().len(), 1);
        let replay = groups.replay_parked(&key, Chosen::Oldest(None), Wish::default()).await.unwrap();
        assert_eq!(replay.unwrap().total, 3);
        assert!(connection.deliveries.recv().await.unwrap().event.link.is_some());
        consumer.leave(Ended::Left).await;
        assert_eq!(connection.ended.await, Ok(Ended::Left));
    }
}
