//! What a command that was executed before came to: the events that its append wrote.

use factum_core::{
    AppendError, AppendId, Page, Position, Read, ReadError, RecordedEvent, Selector, StreamAppended,
    StreamName,
};

use crate::codec::decode;
use crate::outcome::{Applied, Change, ExecuteError, Outcome};
use crate::{CommandId, CommandMetadata, Decider, Executor, SnapshotWrite};

impl<D: Decider> Executor<D> {
    /// The identity of the command's append, for a store that knows what to do with it.
    pub(crate) fn append_id(&self, metadata: &CommandMetadata) -> Option<AppendId> {
        metadata.command_id.as_ref().filter(|_| self.append_ids).map(CommandId::append_id)
    }

    /// What an earlier execution of `command` wrote; with `stream`, it must have been there.
    async fn applied_before(
        &self,
        command: &CommandId,
        stream: Option<&StreamName>,
        attempts: u32,
    ) -> Result<Option<Applied<D::Event>>, ExecuteError<D::Rejection>> {
        let mut found: Vec<RecordedEvent> = Vec::new();
        let token = loop {
            let selector = match self.append_ids {
                true => Selector::Append(command.append_id()),
                false => Selector::Event(command.event_id(found.len())),
            };
            let mut reader = self.store.read(Read::forwards(selector)).await?;
            let before = found.len();
            while let Some(Page { events, .. }) = reader.next_page().await? {
                // The store's own events, such as the revival of a deleted stream, are no part of the decision.
                found.extend(events.into_iter().filter(|event| !event.event_type().starts_with('$')));
            }
            if self.append_ids || found.len() == before {
                break reader.head().snapshot.clone();
            }
        };
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(None) };
        if let Some(stream) = stream
            && found.iter().any(|event| event.stream() != stream.as_str())
        {
            return Err(reused(command, first.position()));
        }
        Ok(Some(Applied {
            events: found.iter().map(decode).collect::<Result<_, _>>()?,
            first: first.position(),
            last: last.position(),
            streams: streams_of(&found)?,
            token,
            attempts,
            snapshot: SnapshotWrite::NotDue,
        }))
    }

    /// What an earlier execution of the same command id wrote, if there is an id.
    pub(crate) async fn seen(
        &self,
        metadata: &CommandMetadata,
        stream: Option<&StreamName>,
        attempts: u32,
    ) -> Result<Option<Applied<D::Event>>, ExecuteError<D::Rejection>> {
        match &metadata.command_id {
            Some(id) => self.applied_before(id, stream, attempts).await,
            None => Ok(None),
        }
    }

    /// As [`seen`](Self::seen), for stores that do not know a repeated append by themselves: asked before each decision.
    pub(crate) async fn seen_without_append_ids(
        &self,
        metadata: &CommandMetadata,
        stream: Option<&StreamName>,
        attempts: u32,
    ) -> Result<Option<Applied<D::Event>>, ExecuteError<D::Rejection>> {
        if self.append_ids {
            return Ok(None);
        }
        self.seen(metadata, stream, attempts).await
    }

    /// The answer to a command whose append the store had taken before.
    pub(crate) async fn repeated(
        &self,
        metadata: &CommandMetadata,
        stream: Option<&StreamName>,
        attempts: u32,
    ) -> Result<Outcome<D::Event>, ExecuteError<D::Rejection>> {
        self.seen(metadata, stream, attempts).await?.map(Outcome::AlreadyApplied).ok_or_else(|| {
            let why = "the store took the append for a repeated one, but does not have the earlier one";
            ExecuteError::Store(AppendError::Invalid { why: why.to_owned() })
        })
    }

    /// Names what came in between. Best effort: a conflict is reported even where this cannot be read.
    pub(crate) async fn changes(&self, read: Read) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Ok(mut reader) = self.store.read(read).await {
            while let Ok(Some(page)) = reader.next_page().await {
                changes.extend(page.events.iter().map(Change::from));
            }
        }
        changes
    }
}

/// An append error, in the command's words where it is about the command.
pub(crate) fn refused<R>(error: AppendError, metadata: &CommandMetadata) -> ExecuteError<R> {
    match (error, &metadata.command_id) {
        (AppendError::AppendIdReused { first, .. }, Some(command)) => reused(command, first),
        (error, _) => ExecuteError::Store(error),
    }
}

fn reused<R>(command: &CommandId, first: Position) -> ExecuteError<R> {
    ExecuteError::CommandIdReused { command: command.as_str().to_owned(), first }
}

fn streams_of(events: &[RecordedEvent]) -> Result<Vec<StreamAppended>, ReadError> {
    let mut streams: Vec<StreamAppended> = Vec::new();
    for event in events {
        match streams.iter_mut().find(|written| written.stream.as_str() == event.stream()) {
            Some(written) => written.last = Some(event.revision()),
            None => streams.push(StreamAppended {
                stream: StreamName::new(event.stream_text()).map_err(|error| ReadError::Damaged {
                    place: format!("position {}", event.position()),
                    what: error.to_string(),
                })?,
                first: Some(event.revision()),
                last: Some(event.revision()),
            }),
        }
    }
    Ok(streams)
}
