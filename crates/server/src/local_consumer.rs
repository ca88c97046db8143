//! A consumer of a persistent subscription in the server's own process.

use std::sync::Arc;

use factum_core::{EventId, NameError, RecordedEvent, StreamName};

use crate::groups::{
    Connection, Consumer, ConsumerInfo, GroupConfig, GroupError, GroupKey, Groups, NackAction, Settings,
    Start,
};
use crate::links::Links;
use crate::shared::Shared;
use crate::source::Source;

/// Events that it may hold without an answer.
const SLOTS: usize = 32;
/// As whom it connects.
const WHO: &str = "in this process";

/// Why there is no consumer.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The source cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The group cannot be made or joined.
    #[error("group '{group}' cannot be joined: {why}")]
    Group {
        /// Which.
        group: String,
        /// Why.
        why: String,
    },
}

/// A consumer in this process. Each event is answered with [`done`](Self::done) or [`park`](Self::park).
#[derive(Debug)]
pub struct LocalConsumer {
    consumer: Consumer,
    connection: Connection,
}

/// An event that waits for its answer.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The event; of a link, what it leads to.
    pub event: RecordedEvent,
    /// What is answered about.
    id: EventId,
}

impl LocalConsumer {
    /// Joins a group, which is made where there is none and begins at the beginning.
    pub(crate) async fn join(shared: &Arc<Shared>, stream: &str, group: &str) -> Result<Self, ConsumeError> {
        let source = Source::named(StreamName::new(stream)?);
        let key = GroupKey::new(&source, group);
        let groups = Groups::of(shared);
        let failed = |error| ConsumeError::Group { group: key.to_string(), why: why(&error) };
        let settings = Settings { links: Links::Resolve, ..Settings::default() };
        let config =
            GroupConfig { key: key.clone(), settings, start: Start::At(0), began: None, filter: None };
        match groups.create(config, WHO).await {
            Ok(()) | Err(GroupError::Exists(_)) => {}
            Err(error) => return Err(failed(error)),
        }
        let who =
            ConsumerInfo { from: WHO.to_owned(), user: WHO.to_owned(), connection_name: group.to_owned() };
        let (consumer, connection) = groups.connect(&key, who, SLOTS).await.map_err(failed)?;
        Ok(Self { consumer, connection })
    }

    /// The next event; `None` once the group is gone or the server stops.
    pub async fn next(&mut self) -> Option<Delivered> {
        loop {
            let delivery = tokio::select! {
                biased;
                _ = &mut self.connection.ended => return None,
                delivery = self.connection.deliveries.recv() => delivery?,
            };
            let Some(id) = delivery.event.original().map(RecordedEvent::id) else { continue };
            match &delivery.event.event {
                Some(event) => return Some(Delivered { event: event.clone(), id }),
                // A link into nothing asks for nothing.
                None => self.consumer.ack(vec![id]).await,
            }
        }
    }

    /// It was handled.
    pub async fn done(&self, delivered: &Delivered) {
        self.consumer.ack(vec![delivered.id]).await;
    }

    /// It is put aside, for somebody to look at.
    pub async fn park(&self, delivered: &Delivered, reason: impl Into<String>) {
        self.consumer.nack(vec![delivered.id], NackAction::Park, reason.into()).await;
    }
}

fn why(error: &GroupError) -> String {
    match error {
        GroupError::Missing(_) => "it is not there".to_owned(),
        GroupError::Exists(_) => "it is there already".to_owned(),
        GroupError::Full(_) => "it has as many consumers as it may have".to_owned(),
        GroupError::Failed { why, .. } => why.clone(),
        GroupError::Stopping => "the server stops".to_owned(),
    }
}
