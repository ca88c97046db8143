//! Which groups run? One task that owns the set of them and the stream that names them.
//!
//! A change is written first and takes effect then, so that what a client was told survives the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, ReadError, Revision,
    StreamMetadata, StreamName, with_causes,
};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::config::{self, GroupConfig, Start};
use super::feed::Plan;
use super::key::GroupKey;
use super::running::{Command, Ended, Handle, Running};
use super::{GroupError, storage};
use crate::filter::Filter;
use crate::shared::Shared;

/// The stream that names the groups.
const CONFIG_STREAM: &str = "$persistentSubscriptionConfig";
/// The type of its events.
const CONFIG_TYPE: &str = "$PersistentConfig";
/// Versions of it that stay visible; the others can be scavenged.
const CONFIGS_KEPT: u64 = 10;
/// Most groups of one server.
pub(super) const MAX_GROUPS: usize = 1_000;
/// Most requests that wait for the task.
const REQUESTS: usize = 1_024;
/// How long to wait before the store is asked again for what it could not give.
const PAUSE: Duration = Duration::from_secs(1);

/// What the registry is asked.
pub(super) enum Request {
    Create { config: GroupConfig, by: String, reply: oneshot::Sender<Result<(), GroupError>> },
    Update { change: Change, by: String, reply: oneshot::Sender<Result<(), GroupError>> },
    Delete { key: GroupKey, by: String, reply: oneshot::Sender<Result<(), GroupError>> },
    Find { key: GroupKey, reply: oneshot::Sender<Option<Handle>> },
    All { reply: oneshot::Sender<Vec<Handle>> },
    Restart { reply: oneshot::Sender<()> },
}

/// What is to change about a group. Its filter cannot.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Which group.
    pub(crate) key: GroupKey,
    /// What is chosen from now on.
    pub(crate) settings: super::settings::Settings,
    /// Where it begins while it has no checkpoint.
    pub(crate) start: Start,
}

/// Asks the registry. A clone is a handle on the same one.
#[derive(Clone, Debug)]
pub(crate) struct RegistryHandle {
    requests: mpsc::Sender<Request>,
}

/// A registry that has not started.
#[derive(Debug)]
pub(crate) struct Unstarted {
    requests: mpsc::Receiver<Request>,
}

/// A handle, and what is to be started with what all share.
pub(crate) fn channel() -> (RegistryHandle, Unstarted) {
    let (sender, requests) = mpsc::channel(REQUESTS);
    (RegistryHandle { requests: sender }, Unstarted { requests })
}

impl RegistryHandle {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `GroupError::Stopping` where nobody answers any more.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, GroupError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| GroupError::Stopping)?;
        answer.await.map_err(|_| GroupError::Stopping)
    }
}

impl Unstarted {
    /// Starts it; it ends when the server stops, after all its groups.
    pub(crate) fn start(self, shared: Arc<Shared>) -> JoinHandle<()> {
        let registry = Registry { shared, groups: BTreeMap::new(), idle: Vec::new(), revision: None };
        tokio::spawn(registry.run(self.requests))
    }
}

struct Member {
    handle: Handle,
    task: JoinHandle<()>,
}

struct Registry {
    shared: Arc<Shared>,
    groups: BTreeMap<GroupKey, Member>,
    /// Groups that cannot run here; they were made elsewhere, and stay in the configuration.
    idle: Vec<GroupConfig>,
    /// The revision of the event that was read or written last: somebody else's change is not overwritten.
    revision: Option<Revision>,
}

impl Registry {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            () = stopping.wait() => return,
            () = self.load() => {}
        }
        loop {
            let request = tokio::select! {
                () = stopping.wait() => break,
                request = requests.recv() => request,
            };
            let Some(request) = request else { break };
            self.answer(request).await;
        }
        // Groups see by themselves that the server stops.
        join_all(self.groups.into_values().map(|member| member.task)).await;
    }

    /// Whoever asked may have gone: then nobody is told, and what was done stays done.
    async fn answer(&mut self, request: Request) {
        match request {
            Request::Create { config, by, reply } => {
                let _ = reply.send(self.create(config, &by).await);
            }
            Request::Update { change, by, reply } => {
                let _ = reply.send(self.update(change, &by).await);
            }
            Request::Delete { key, by, reply } => {
                let _ = reply.send(self.delete(&key, &by).await);
            }
            Request::Find { key, reply } => {
                let _ = reply.send(self.groups.get(&key).map(|member| member.handle.clone()));
            }
            Request::All { reply } => {
                let _ = reply.send(self.groups.values().map(|member| member.handle.clone()).collect());
            }
            Request::Restart { reply } => {
                self.stop_all().await;
                self.load().await;
                let _ = reply.send(());
            }
        }
    }

    /// Starts every group that the configuration names. While the store cannot be read, it is asked again.
    async fn load(&mut self) {
        let (configs, revision) = loop {
            match configured(self.shared.store.as_ref()).await {
                Ok(found) => break found,
                Err(_) if self.shared.stopping.is_due() => return,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        self.revision = revision;
        self.idle.clear();
        for config in configs {
            if self.groups.len() < MAX_GROUPS {
                self.start(config).await;
            } else {
                self.idle.push(config);
            }
        }
    }

    /// Starts a group where it left off. While that cannot be read, the store is asked again.
    async fn start(&mut self, mut config: GroupConfig) {
        let (Ok(streams), Ok(filter)) = (config.key.streams(), filter(&config)) else {
            self.idle.push(config);
            return;
        };
        let source = config.key.source();
        let store = self.shared.store.clone();
        let (after, first) = loop {
            match place(store.as_ref(), &config, &streams).await {
                Ok(found) => break found,
                Err(_) if self.shared.stopping.is_due() => return,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        if config.start == Start::End && after.is_none() {
            config.began = Some(first);
        }
        let plan =
            Plan { source, filter, links: config.settings.links, strategy: config.settings.strategy, first };
        let key = config.key.clone();
        let (handle, task) = Running::start(self.shared.clone(), Arc::new(config), plan, streams, after);
        self.groups.insert(key, Member { handle, task });
    }

    async fn create(&mut self, mut config: GroupConfig, by: &str) -> Result<(), GroupError> {
        if self.groups.contains_key(&config.key) {
            return Err(GroupError::Exists(config.key));
        }
        let failed = |why: String| GroupError::Failed { key: config.key.clone(), why };
        if self.groups.len() >= MAX_GROUPS {
            return Err(failed(format!("there are {MAX_GROUPS} groups, as many as a server has")));
        }
        config.settings.check().map_err(failed)?;
        let streams = config.key.streams().map_err(|error| failed(error.to_string()))?;
        filter(&config).map_err(|status| failed(status.message().to_owned()))?;
        let store = self.shared.store.as_ref();
        let end = storage::end_of(store, &config.key.source()).await;
        let end = end.map_err(|error| failed(with_causes(&error)))?;
        check_start(&config, end).map_err(failed)?;
        // What a group of this name left behind would move the new one to where that was.
        let left = storage::delete(store, &streams).await;
        left.map_err(|error| failed(with_causes(&error)))?;
        if config.start == Start::End {
            config.began = Some(end);
        }
        self.save(&config.key, Some(&config), by).await?;
        self.start(config).await;
        Ok(())
    }

    async fn update(&mut self, change: Change, by: &str) -> Result<(), GroupError> {
        let Change { key, settings, start } = change;
        let Some(member) = self.groups.get(&key) else { return Err(GroupError::Missing(key)) };
        let failed = |why: String| GroupError::Failed { key: key.clone(), why };
        settings.check().map_err(failed)?;
        let mut config = GroupConfig { settings, ..(*member.handle.config).clone() };
        if start != config.start {
            let end = storage::end_of(self.shared.store.as_ref(), &key.source()).await;
            let end = end.map_err(|error| failed(with_causes(&error)))?;
            config.start = start;
            config.began = Some(end).filter(|_| start == Start::End);
            check_start(&config, end).map_err(failed)?;
        }
        self.save(&key, Some(&config), by).await?;
        self.stop(&key).await;
        self.start(config).await;
        Ok(())
    }

    async fn delete(&mut self, key: &GroupKey, by: &str) -> Result<(), GroupError> {
        if !self.groups.contains_key(key) {
            return Err(GroupError::Missing(key.clone()));
        }
        self.save(key, None, by).await?;
        let Some(streams) = self.stop(key).await.map(|handle| handle.streams) else { return Ok(()) };
        // What is left is deleted when a group of this name is made again.
        let _ = storage::delete(self.shared.store.as_ref(), &streams).await;
        Ok(())
    }

    /// Writes the configuration with one group changed, made or left out.
    async fn save(&mut self, key: &GroupKey, now: Option<&GroupConfig>, by: &str) -> Result<(), GroupError> {
        let others = self.groups.iter().filter(|(other, _)| *other != key);
        let configs = others.map(|(_, member)| member.handle.config.as_ref()).chain(&self.idle).chain(now);
        let data = config::write(configs, &self.shared.options.clock.now().to_string(), by);
        match write_configured(self.shared.store.as_ref(), self.revision, data).await {
            Ok(revision) => {
                self.revision = revision;
                Ok(())
            }
            Err(error) => {
                let why = format!("the configuration was not written: {}", with_causes(&error));
                Err(GroupError::Failed { key: key.clone(), why })
            }
        }
    }

    /// Stops a group; it writes its progress and drops its consumers.
    async fn stop(&mut self, key: &GroupKey) -> Option<Handle> {
        let member = self.groups.remove(key)?;
        Some(member.stop().await)
    }

    async fn stop_all(&mut self) {
        join_all(std::mem::take(&mut self.groups).into_values().map(Member::stop)).await;
    }
}

impl Member {
    async fn stop(self) -> Handle {
        // A task that has ended is what is wanted.
        let _ = self.handle.commands.send(Command::Stop(Ended::Dropped)).await;
        let _ = self.task.await;
        self.handle
    }
}

/// The filter of a group.
fn filter(config: &GroupConfig) -> Result<Option<Filter>, tonic::Status> {
    config.filter.as_ref().map(|filter| Filter::from_wire(&filter.to_wire())).transpose()
}

/// A place in the log that is not there yet is a mistake; a revision may come.
fn check_start(config: &GroupConfig, end: u64) -> Result<(), String> {
    match config.start {
        Start::At(place) if config.key.source() == crate::source::Source::All && place > end => {
            Err(format!("the group is to begin at position {place}, and the log ends at {end}"))
        }
        _ => Ok(()),
    }
}

/// The last place that a group has handled, and the first that is its own.
async fn place(
    store: &dyn EventStore,
    config: &GroupConfig,
    streams: &super::key::GroupStreams,
) -> Result<(Option<u64>, u64), ReadError> {
    let after = storage::checkpoint(store, streams).await?;
    let first = match (after, config.first_place()) {
        // Where it began does not count any more.
        (Some(_), _) => 0,
        (None, Some(first)) => first,
        // Made elsewhere, to begin at the end, and never moved from there.
        (None, None) => storage::end_of(store, &config.key.source()).await?,
    };
    Ok((after, first))
}

fn config_stream() -> Result<StreamName, ReadError> {
    StreamName::new(CONFIG_STREAM).map_err(|error| ReadError::Invalid { why: error.to_string() })
}

async fn configured(store: &dyn EventStore) -> Result<(Vec<GroupConfig>, Option<Revision>), ReadError> {
    let event = match store.last_event(config_stream()?).await {
        Ok(Some(event)) => event,
        Ok(None) | Err(ReadError::StreamNotFound { .. }) => return Ok((Vec::new(), None)),
        Err(error) => return Err(error),
    };
    let groups = config::read(event.data_slice()).map_err(|what| ReadError::Damaged {
        place: format!("revision {} of '{CONFIG_STREAM}'", event.revision()),
        what,
    })?;
    Ok((groups, Some(event.revision())))
}

async fn write_configured(
    store: &dyn EventStore,
    after: Option<Revision>,
    data: String,
) -> Result<Option<Revision>, AppendError> {
    let stream = config_stream()?;
    let expected = match after {
        Some(revision) => ExpectedRevision::Exact(revision),
        None => {
            let kept = StreamMetadata { max_count: Some(CONFIGS_KEPT), ..StreamMetadata::default() };
            store.set_stream_metadata(stream.clone(), &kept).await?;
            ExpectedRevision::NoStream
        }
    };
    let event_type =
        EventType::new(CONFIG_TYPE).map_err(|error| AppendError::Invalid { why: error.to_string() })?;
    let appended = store.append_to(stream, expected, vec![NewEvent::json(event_type, data)]).await?;
    Ok(appended.streams.first().and_then(|stream| stream.last))
}
