//! Factum's own service: the store as it is, for stores that are elsewhere.
//!
//! What the store refuses stands in the answer. Only who may not ask, and a server that ends, are told by the status.

use std::sync::Arc;

use factum_core::{
    AppendCondition, EventReader, Page, ReadError, RecordedEvent, Selector, SubscribeFrom, Subscription,
    SubscriptionMessage,
};
use factum_protocol::own::{self as convert, Unreadable};
use factum_protocol::wire::own as wire;
use futures_util::stream;
use tonic::{Request, Response, Status, Streaming};

use super::append::writable;
use super::{Answers, append_many};
use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::status;
use crate::stopping::Stopping;

/// Bytes of events after which a message of a page is full.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// `factum.v1.Store`.
pub(crate) struct FactumStore {
    shared: Arc<Shared>,
}

impl FactumStore {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn may_read(&self, call: &Call, selector: &Selector) -> Result<(), Status> {
        let of = match selector {
            Selector::Stream(name) => name.as_str(),
            _ => "$all",
        };
        self.shared.access.check(&call.caller, Action::Read(of)).await
    }
}

/// One append, with the rights of whoever asks for it.
pub(super) async fn append(
    shared: &Shared,
    call: &Call,
    request: wire::AppendRequest,
) -> Result<wire::AppendResponse, Status> {
    use wire::append_response::Outcome;
    let append = convert::append_from_wire(request).map_err(|error| unreadable(&error))?;
    for write in &append.writes {
        writable(write.stream.clone()).map_err(Status::invalid_argument)?;
        shared.access.check(&call.caller, Action::Write(write.stream.as_str())).await?;
    }
    for check in &append.checks {
        shared.access.check(&call.caller, Action::Read(check.stream.as_str())).await?;
    }
    // An answer tells whether any event of the log matches.
    let asks_the_log = append.conditions.iter().any(|condition| match condition {
        AppendCondition::FailIfEventsMatch { .. } | AppendCondition::CountBelow { .. } => true,
    });
    if asks_the_log {
        shared.access.check(&call.caller, Action::Read("$all")).await?;
    }
    let outcome = match shared.store.append(append).await {
        Ok(appended) => Outcome::Appended(convert::appended_to_wire(&appended)),
        Err(error) => Outcome::Failure(
            convert::append_error_to_wire(&error).ok_or_else(|| status::of_append(&error, "Append"))?,
        ),
    };
    Ok(wire::AppendResponse { outcome: Some(outcome) })
}

fn unreadable(error: &Unreadable) -> Status {
    Status::invalid_argument(error.to_string())
}

fn failure(error: &ReadError) -> Result<wire::Failure, Status> {
    convert::read_error_to_wire(error).ok_or_else(|| status::of_read(error))
}

#[tonic::async_trait]
impl wire::store_server::Store for FactumStore {
    type AppendManyStream = Answers<wire::AppendManyResponse>;
    type ReadStream = Answers<wire::ReadResponse>;
    type SubscribeStream = Answers<wire::SubscribeResponse>;

    async fn describe(&self, _: Request<()>) -> Result<Response<wire::Description>, Status> {
        let mut capabilities = self.shared.store.capabilities();
        // An administrator's verb, which this service does not have.
        capabilities.supported.retain(|capability| *capability != factum_core::Capability::Redaction);
        Ok(Response::new(convert::capabilities_to_wire(&capabilities)))
    }

    async fn append(
        &self,
        request: Request<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendResponse>, Status> {
        let call = Call::of(&request);
        append(&self.shared, &call, request.into_inner()).await.map(Response::new)
    }

    async fn append_many(
        &self,
        request: Request<Streaming<wire::AppendManyRequest>>,
    ) -> Result<Response<Self::AppendManyStream>, Status> {
        let call = Call::of(&request);
        Ok(Response::new(append_many::answers(self.shared.clone(), call, request.into_inner())))
    }

    async fn delete(
        &self,
        request: Request<wire::DeleteRequest>,
    ) -> Result<Response<wire::DeleteResponse>, Status> {
        use wire::delete_response::Outcome;
        let call = Call::of(&request);
        let delete = convert::delete_from_wire(request.into_inner()).map_err(|error| unreadable(&error))?;
        self.shared.access.check(&call.caller, Action::Delete(delete.stream.as_str())).await?;
        let outcome = match self.shared.store.delete(delete).await {
            Ok(deleted) => Outcome::Deleted(convert::deleted_to_wire(&deleted)),
            Err(error) => Outcome::Failure(
                convert::append_error_to_wire(&error).ok_or_else(|| status::of_append(&error, "Delete"))?,
            ),
        };
        Ok(Response::new(wire::DeleteResponse { outcome: Some(outcome) }))
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let call = Call::of(&request);
        let read = convert::read_from_wire(request.into_inner()).map_err(|error| unreadable(&error))?;
        self.may_read(&call, &read.selector).await?;
        let reading = match self.shared.store.read(read).await {
            Ok(reader) => Reading::Head(reader),
            Err(error) => Reading::Failed(failure(&error)?),
        };
        Ok(Response::new(Box::pin(stream::try_unfold(reading, Reading::step))))
    }

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let call = Call::of(&request);
        let mut subscribe =
            convert::subscribe_from_wire(request.into_inner()).map_err(|error| unreadable(&error))?;
        self.may_read(&call, &subscribe.selector).await?;
        let mut started = wire::subscribe_response::Started::default();
        if subscribe.from == SubscribeFrom::End {
            // Named, so that after a break the client goes on there, and not at the end of then.
            let end = end(&self.shared).await.map_err(|error| status::of_read(&error))?;
            started.checkpoint = end.to_string();
            subscribe.from = SubscribeFrom::Checkpoint(end);
        }
        let following = match self.shared.store.subscribe(subscribe).await {
            Ok(subscription) => Following::Started {
                started,
                rest: Rest { subscription, stopping: self.shared.stopping.clone(), split: Vec::new() },
            },
            Err(error) => Following::Failed(failure(&error)?),
        };
        Ok(Response::new(Box::pin(stream::try_unfold(following, Following::step))))
    }
}

/// The place after the last event.
async fn end(shared: &Shared) -> Result<factum_core::Checkpoint, ReadError> {
    let read = factum_core::Read::backwards(Selector::All).limit(1);
    Ok(shared.store.read(read).await?.head().snapshot.clone())
}

/// Where a read's answers have come to.
enum Reading {
    Head(Box<dyn EventReader>),
    /// Parts of a page, the next one last, and what comes after them.
    Pages(Box<dyn EventReader>, Vec<Page>),
    Failed(wire::Failure),
    Ended,
}

impl Reading {
    async fn step(self) -> Result<Option<(wire::ReadResponse, Self)>, Status> {
        use wire::read_response::Content;
        let answer = |content| wire::ReadResponse { content: Some(content) };
        let (reader, page) = match self {
            Reading::Ended => return Ok(None),
            Reading::Failed(failure) => return Ok(Some((answer(Content::Failure(failure)), Reading::Ended))),
            Reading::Head(reader) => {
                let head = convert::head_to_wire(reader.head());
                return Ok(Some((answer(Content::Head(head)), Reading::Pages(reader, Vec::new()))));
            }
            Reading::Pages(mut reader, mut parts) => {
                if parts.is_empty() {
                    match reader.next_page().await {
                        Ok(Some(page)) => parts = split(page),
                        Ok(None) => return Ok(None),
                        Err(error) => {
                            let failed = answer(Content::Failure(failure(&error)?));
                            return Ok(Some((failed, Reading::Ended)));
                        }
                    }
                }
                let Some(page) = parts.pop() else { return Ok(None) };
                (Reading::Pages(reader, parts), page)
            }
        };
        let page = wire::read_response::Page {
            events: page.events.iter().map(convert::event_to_wire).collect(),
            examined_to: page.examined_to.0,
        };
        Ok(Some((answer(Content::Page(page)), reader)))
    }
}

/// A page as messages of a size that clients take; the first one last.
fn split(page: Page) -> Vec<Page> {
    let Page { events, examined_to } = page;
    let mut parts = pieces(events);
    let last = parts.pop().unwrap_or_default();
    let mut pages: Vec<Page> = parts
        .into_iter()
        .map(|events| {
            // Forwards everything up to its last event was looked at; backwards the number means nothing.
            let to = events.last().map_or(examined_to, |event| event.position().next());
            Page { examined_to: to.min(examined_to), events }
        })
        .collect();
    pages.push(Page { events: last, examined_to });
    pages.reverse();
    pages
}

fn pieces(events: Vec<RecordedEvent>) -> Vec<Vec<RecordedEvent>> {
    let mut pieces = vec![Vec::new()];
    let mut bytes = 0;
    for event in events {
        let size = event.body().len();
        match pieces.last_mut() {
            Some(piece) if piece.is_empty() || bytes + size <= MESSAGE_BYTES => {
                bytes = if piece.is_empty() { size } else { bytes + size };
                piece.push(event);
            }
            _ => {
                bytes = size;
                pieces.push(vec![event]);
            }
        }
    }
    pieces
}

/// Where a subscription's answers have come to.
enum Following {
    Started { started: wire::subscribe_response::Started, rest: Rest },
    Live(Rest),
    Failed(wire::Failure),
    Ended,
}

struct Rest {
    subscription: Box<dyn Subscription>,
    stopping: Stopping,
    /// Parts of a message, the next one last.
    split: Vec<SubscriptionMessage>,
}

impl Following {
    async fn step(self) -> Result<Option<(wire::SubscribeResponse, Self)>, Status> {
        use wire::subscribe_response::Content;
        let answer = |content| wire::SubscribeResponse { content: Some(content) };
        let mut rest = match self {
            Following::Ended => return Ok(None),
            Following::Failed(failure) => {
                return Ok(Some((answer(Content::Failure(failure)), Following::Ended)));
            }
            Following::Started { started, rest } => {
                return Ok(Some((answer(Content::Started(started)), Following::Live(rest))));
            }
            Following::Live(rest) => rest,
        };
        let content = match rest.next().await? {
            Ok(SubscriptionMessage::Events { events, checkpoint }) => {
                Content::Events(wire::subscribe_response::Events {
                    events: events.iter().map(convert::event_to_wire).collect(),
                    checkpoint: checkpoint.to_string(),
                })
            }
            Ok(SubscriptionMessage::Checkpoint(checkpoint)) => Content::Checkpoint(checkpoint.to_string()),
            Ok(SubscriptionMessage::CaughtUp(checkpoint)) => Content::CaughtUp(checkpoint.to_string()),
            Err(error) => {
                let failed = answer(Content::Failure(failure(&error)?));
                return Ok(Some((failed, Following::Ended)));
            }
        };
        Ok(Some((answer(content), Following::Live(rest))))
    }
}

impl Rest {
    async fn next(&mut self) -> Result<Result<SubscriptionMessage, ReadError>, Status> {
        if let Some(message) = self.split.pop() {
            return Ok(Ok(message));
        }
        let message = tokio::select! {
            biased;
            () = self.stopping.wait() => return Err(status::stopping()),
            message = self.subscription.next() => message,
        };
        let Ok(SubscriptionMessage::Events { events, checkpoint }) = message else { return Ok(message) };
        let mut parts = pieces(events);
        let last = parts.pop().unwrap_or_default();
        let part = |events: Vec<RecordedEvent>| {
            let next = events.last().map(|event| event.position().next());
            let checkpoint = next.map_or_else(|| checkpoint.clone(), |next| checkpoint.at(next));
            SubscriptionMessage::Events { events, checkpoint }
        };
        self.split = parts.into_iter().map(part).collect();
        self.split.push(SubscriptionMessage::Events { events: last, checkpoint });
        self.split.reverse();
        self.split.pop().map(Ok).ok_or_else(status::stopping)
    }
}
