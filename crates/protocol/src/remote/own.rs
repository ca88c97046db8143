//! The server's own service, asked.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, Capabilities, Checkpoint, Delete, Deleted, Page, Position, Read,
    ReadError, ReadHead, RecordedEvent, Subscribe, SubscribeFrom, SubscriptionMessage,
};
use tonic::codec::Streaming;
use tonic::transport::Channel;

use super::cluster::{Calling, Cluster, Link, Pause};
use super::failure::{Fault, fault_of};
use super::pipeline;
use super::pump::{Messages, Pages};
use crate::own as convert;
use crate::wire::own as wire;
use wire::store_client::StoreClient;

/// Largest answer that is taken, in bytes: one event of the largest size and a page besides.
const LARGEST_ANSWER_BYTES: usize = 32 * 1024 * 1024;

pub(super) fn client(channel: Channel) -> StoreClient<Channel> {
    StoreClient::new(channel)
        .max_decoding_message_size(LARGEST_ANSWER_BYTES)
        .max_encoding_message_size(usize::MAX)
}

fn odd(error: &convert::Unreadable) -> ReadError {
    ReadError::Invalid { why: format!("the server's answer cannot be read: {error}") }
}

/// What the store behind the server can do, as far as its service reaches.
pub(super) async fn capabilities(cluster: &Cluster, channel: Channel) -> Result<Capabilities, Fault> {
    let told = client(channel).describe(cluster.request(())).await.map_err(|status| fault_of(&status))?;
    Ok(convert::capabilities_from_wire(&told.into_inner()))
}

/// Appends by the call that this store's appends share, where there is one now. Needs no runtime.
///
/// # Errors
/// The append and what became of the try, where another one may succeed or a time limit has to be kept.
pub(super) async fn append_shared(
    cluster: &Cluster,
    append: Append,
) -> Result<Result<Appended, AppendError>, Unshared> {
    let Some(pipeline) = cluster.pipeline() else {
        return Err(Unshared { append, request: None, tried: None });
    };
    let request = convert::append_to_wire(&append);
    if !pipeline::takes(&request) {
        return Err(Unshared { append, request: Some(request), tried: None });
    }
    match pipeline.append(request).await {
        Ok(response) => Ok(outcome(response)),
        Err(fault) if fault.is_passing() => Err(Unshared { append, request: None, tried: Some(fault) }),
        Err(fault) => Ok(Err(fault.into_append(None))),
    }
}

/// An append that did not go by the shared call.
pub(super) struct Unshared {
    pub(super) append: Append,
    /// The same for the wire, where it was made already: large appends are not written twice.
    request: Option<wire::AppendRequest>,
    /// What became of it, where it was tried.
    tried: Option<Fault>,
}

/// Appends by a call of its own; after a broken connection the same append again, which has no second effect.
pub(super) async fn append(cluster: &Cluster, unshared: Unshared) -> Result<Appended, AppendError> {
    let Unshared { append, request, tried } = unshared;
    let request = &request.unwrap_or_else(|| convert::append_to_wire(&append));
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            cluster.share(&link);
            let request = cluster.request(request.clone());
            client(link.channel.clone()).append(request).await.map_err(|status| fault_of(&status))
        })
    };
    let sent = tried.as_ref().is_some_and(Fault::may_have_been_done);
    let told = |fault: Fault| if sent { fault.perhaps_done() } else { fault };
    let answer = cluster.call(call).await.map_err(|fault| told(fault).into_append(None))?;
    outcome(answer.into_inner())
}

fn outcome(response: wire::AppendResponse) -> Result<Appended, AppendError> {
    use wire::append_response::Outcome;
    match response.outcome {
        Some(Outcome::Appended(appended)) => {
            // It was appended: what came of it is what cannot be read.
            convert::appended_from_wire(appended)
                .map_err(|error| AppendError::OutcomeUnknown { why: odd(&error).to_string() })
        }
        Some(Outcome::Failure(failure)) => Err(convert::append_error_from_wire(failure)),
        None => Err(AppendError::OutcomeUnknown { why: "the server's answer says nothing".to_owned() }),
    }
}

/// Deletes.
pub(super) async fn delete(cluster: &Cluster, delete: Delete) -> Result<Deleted, AppendError> {
    let request = &convert::delete_to_wire(&delete);
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            let request = cluster.request(request.clone());
            client(link.channel.clone()).delete(request).await.map_err(|status| fault_of(&status))
        })
    };
    let answer = cluster.call(call).await.map_err(|fault| fault.into_append(Some(&delete.stream)))?;
    use wire::delete_response::Outcome;
    match answer.into_inner().outcome {
        Some(Outcome::Deleted(deleted)) => convert::deleted_from_wire(&deleted)
            .map_err(|error| AppendError::OutcomeUnknown { why: odd(&error).to_string() }),
        Some(Outcome::Failure(failure)) => Err(convert::append_error_from_wire(failure)),
        None => Err(AppendError::OutcomeUnknown { why: "the server's answer says nothing".to_owned() }),
    }
}

/// Begins a read: it is tried again until its head has come. What breaks later is the reader's to begin anew.
pub(super) async fn read(cluster: Arc<Cluster>, read: Read) -> Result<(ReadHead, OwnPages), ReadError> {
    use wire::read_response::Content;
    let (cluster, request) = (&cluster, &convert::read_to_wire(&read));
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            let request = cluster.endless(request.clone());
            let answer =
                client(link.channel.clone()).read(request).await.map_err(|status| fault_of(&status))?;
            let mut answers = answer.into_inner();
            let first = answers.message().await.map_err(|status| fault_of(&status))?;
            Ok((first.and_then(|first| first.content), answers))
        })
    };
    let (first, answers) = cluster.call(call).await.map_err(|fault| fault.into_read(None))?;
    match first {
        Some(Content::Head(head)) => {
            Ok((convert::head_from_wire(&head).map_err(|error| odd(&error))?, OwnPages(answers)))
        }
        Some(Content::Failure(failure)) => Err(convert::read_error_from_wire(failure)),
        _ => Err(ReadError::Invalid {
            why: "the server's answer to a read begins without its head".to_owned(),
        }),
    }
}

/// The pages of a read.
pub(super) struct OwnPages(Streaming<wire::ReadResponse>);

impl Pages for OwnPages {
    async fn next(&mut self) -> Result<Option<Page>, ReadError> {
        use wire::read_response::Content;
        let message = self.0.message().await.map_err(|status| fault_of(&status).into_read(None))?;
        match message.map(|message| message.content) {
            None => Ok(None),
            Some(Some(Content::Page(page))) => {
                let (events, examined_to) = (events(page.events)?, Position(page.examined_to));
                Ok(Some(Page { events, examined_to }))
            }
            Some(Some(Content::Failure(failure))) => Err(convert::read_error_from_wire(failure)),
            Some(_) => {
                Err(ReadError::Invalid { why: "the server's answer to a read has an odd part".to_owned() })
            }
        }
    }
}

fn events(events: Vec<wire::RecordedEvent>) -> Result<Vec<RecordedEvent>, ReadError> {
    events.into_iter().map(convert::event_from_wire).collect::<Result<_, _>>().map_err(|error| odd(&error))
}

/// Begins a subscription.
pub(super) async fn subscribe(cluster: Arc<Cluster>, subscribe: Subscribe) -> Result<OwnMessages, ReadError> {
    let mut messages = OwnMessages { cluster, subscribe, answers: None, caught_up: CaughtUp::NotYet };
    messages.open().await?;
    Ok(messages)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CaughtUp {
    NotYet,
    Told,
}

/// The messages of a subscription.
pub(super) struct OwnMessages {
    cluster: Arc<Cluster>,
    /// From where it goes on after a break.
    subscribe: Subscribe,
    answers: Option<(Arc<Link>, Streaming<wire::SubscribeResponse>)>,
    /// Told once: after a break there is history again, but the reader has nothing to be told of it.
    caught_up: CaughtUp,
}

impl OwnMessages {
    async fn open(&mut self) -> Result<(), ReadError> {
        use wire::subscribe_response::Content;
        let (cluster, request) = (&self.cluster.clone(), &convert::subscribe_to_wire(&self.subscribe));
        let call = |link: Arc<Link>| -> Calling<'_, _> {
            Box::pin(async move {
                let request = cluster.endless(request.clone());
                let answer = client(link.channel.clone()).subscribe(request).await;
                let mut answers = answer.map_err(|status| fault_of(&status))?.into_inner();
                let first = answers.message().await.map_err(|status| fault_of(&status))?;
                Ok((first.and_then(|first| first.content), link, answers))
            })
        };
        let (first, link, answers) = cluster.call(call).await.map_err(|fault| fault.into_read(None))?;
        match first {
            Some(Content::Started(started)) => {
                if !started.checkpoint.is_empty() {
                    self.went_to(&checkpoint(&started.checkpoint)?);
                }
                self.answers = Some((link, answers));
                Ok(())
            }
            Some(Content::Failure(failure)) => Err(convert::read_error_from_wire(failure)),
            _ => Err(ReadError::Invalid { why: "the server's answer to a subscription is odd".to_owned() }),
        }
    }

    fn went_to(&mut self, checkpoint: &Checkpoint) {
        self.subscribe.from = SubscribeFrom::Checkpoint(checkpoint.clone());
    }

    /// What the server's message says; `None` where there is nothing to be told.
    fn told(
        &mut self,
        content: Option<wire::subscribe_response::Content>,
    ) -> Result<Option<SubscriptionMessage>, ReadError> {
        use wire::subscribe_response::Content;
        match content {
            Some(Content::Events(told)) => {
                let checkpoint = checkpoint(&told.checkpoint)?;
                let events = events(told.events)?;
                self.went_to(&checkpoint);
                Ok(Some(SubscriptionMessage::Events { events, checkpoint }))
            }
            Some(Content::Checkpoint(text)) => {
                let checkpoint = checkpoint(&text)?;
                self.went_to(&checkpoint);
                Ok(Some(SubscriptionMessage::Checkpoint(checkpoint)))
            }
            Some(Content::CaughtUp(text)) => {
                let checkpoint = checkpoint(&text)?;
                self.went_to(&checkpoint);
                if self.caught_up == CaughtUp::Told {
                    return Ok(None);
                }
                self.caught_up = CaughtUp::Told;
                Ok(Some(SubscriptionMessage::CaughtUp(checkpoint)))
            }
            Some(Content::Failure(failure)) => Err(convert::read_error_from_wire(failure)),
            Some(Content::Started(_)) | None => Ok(None),
        }
    }
}

fn checkpoint(text: &str) -> Result<Checkpoint, ReadError> {
    text.parse().map_err(ReadError::Checkpoint)
}

impl Messages for OwnMessages {
    async fn next(&mut self) -> Result<SubscriptionMessage, ReadError> {
        let mut pause = Pause::new();
        loop {
            let Some((link, answers)) = &mut self.answers else {
                self.open().await?;
                continue;
            };
            let fault = match answers.message().await {
                Ok(Some(message)) => match self.told(message.content)? {
                    Some(message) => return Ok(message),
                    None => continue,
                },
                // A subscription has no end of its own.
                Ok(None) => Fault::Broken { why: "the server ended the subscription".to_owned() },
                Err(status) => fault_of(&status),
            };
            let link = link.clone();
            self.answers = None;
            self.cluster.after(&link, &fault).await;
            if !fault.is_passing() || !pause.wait().await {
                return Err(fault.into_read(None));
            }
        }
    }
}
