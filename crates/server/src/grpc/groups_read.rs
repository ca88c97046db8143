//! A consumer of a group: events go out, answers to them come in, each at its own pace.
//!
//! The call is answered at once, since clients wait for that before they say what they want; what goes wrong then ends
//! the answers. Answers of the consumer are read by a task of their own: a client that reads nothing may still acknowledge.

use std::sync::Arc;

use factum_core::EventId;
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use factum_protocol::wire::v1::{self, uuid_option};
use factum_protocol::{EventForm, UuidForm, uuid_from_wire};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};
use wire::read_req::nack::Action as NackKind;
use wire::read_req::options::StreamOption;
use wire::read_req::{Content, Nack, Options};
use wire::read_resp::{ReadEvent, SubscriptionConfirmation, read_event};
use wire::{ReadReq, ReadResp, read_resp};

use super::Answers;
use super::groups::key;
use crate::access::{Action, Hold};
use crate::call::Call;
use crate::groups::{
    Connection, Consumer, ConsumerInfo, Delivery, Ended, GroupError, GroupKey, Groups, NackAction,
};
use crate::shared::Shared;
use crate::status;

/// Most events that a consumer may hold without an answer; one that asks for more gets so many.
const MAX_SLOTS: usize = 10_000;
/// Longest reason that is kept of a consumer that could not handle an event, in characters.
const MAX_REASON_CHARS: usize = 1_024;

/// Begins with what the client wants, and gives its answers.
pub(super) fn answers(shared: Arc<Shared>, call: Call, messages: Streaming<ReadReq>) -> Answers<ReadResp> {
    Box::pin(stream::once(begin(shared, call, messages)).try_flatten())
}

async fn begin(
    shared: Arc<Shared>,
    call: Call,
    mut messages: Streaming<ReadReq>,
) -> Result<impl Stream<Item = Result<ReadResp, Status>> + Send, Status> {
    let mut stopping = shared.stopping.clone();
    let first = tokio::select! {
        () = stopping.wait() => return Err(status::stopping()),
        message = messages.message() => message?.and_then(|message| message.content),
    };
    let Some(Content::Options(options)) = first else {
        return Err(Status::invalid_argument(
            "the first message to a group has its options: this one has none",
        ));
    };
    let (key, form) = (group(&options)?, EventForm { ids: uuid_form(&options)? });
    // Taken before the check, so that no change after it is missed.
    let right = shared.access.hold(&call);
    shared.access.check(&call.caller, Action::Read(key.source_name())).await?;
    let slots = usize::try_from(options.buffer_size).unwrap_or(1).clamp(1, MAX_SLOTS);
    let who = ConsumerInfo {
        from: call.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        user: call.caller.name().to_owned(),
        connection_name: call.connection_name.clone(),
    };
    let (consumer, connection) =
        Groups::of(&shared).connect(&key, who, slots).await.map_err(|error| status::of_group(&error))?;
    let confirmation = SubscriptionConfirmation { subscription_id: key.to_string() };
    tokio::spawn(listen(messages, consumer, right, key.clone()));
    let Connection { deliveries, ended, .. } = connection;
    let given = stream::unfold(Some(Giving { key, form, deliveries, ended }), Giving::step);
    let confirmation = read_resp::Content::SubscriptionConfirmation(confirmation);
    Ok(stream::iter([Ok(ReadResp { content: Some(confirmation) })]).chain(given))
}

fn group(options: &Options) -> Result<GroupKey, Status> {
    let stream = options.stream_option.as_ref().map(|stream| match stream {
        StreamOption::StreamIdentifier(stream) => Some(stream),
        StreamOption::All(()) => None,
    });
    key(stream, &options.group_name)
}

fn uuid_form(options: &Options) -> Result<UuidForm, Status> {
    match options.uuid_option.as_ref().and_then(|option| option.content) {
        Some(uuid_option::Content::Structured(())) => Ok(UuidForm::Structured),
        Some(uuid_option::Content::String(())) => Ok(UuidForm::Text),
        None => {
            Err(Status::invalid_argument("'None' is not a valid UUIDOption: say how ids are to be written"))
        }
    }
}

/// Passes on what the consumer says, until it says no more or may not read the group's source any more.
async fn listen(mut messages: Streaming<ReadReq>, consumer: Consumer, mut right: Hold, key: GroupKey) {
    let why = loop {
        let message = tokio::select! {
            () = consumer.over() => return,
            _ = right.lost(Action::Read(key.source_name())) => break Ended::Denied,
            message = messages.message() => message,
        };
        // A call that breaks off is a consumer that goes.
        let Ok(Some(message)) = message else { break Ended::Left };
        match message.content {
            Some(Content::Ack(ack)) => match ids(&ack.ids) {
                Ok(events) => consumer.ack(events).await,
                Err(why) => break Ended::Refused(why),
            },
            Some(Content::Nack(nack)) => match action(&nack) {
                Ok(None) => break Ended::Left,
                Ok(Some(action)) => match ids(&nack.ids) {
                    Ok(events) => {
                        let reason = nack.reason.chars().take(MAX_REASON_CHARS).collect();
                        consumer.nack(events, action, reason).await;
                    }
                    Err(why) => break Ended::Refused(why),
                },
                Err(why) => break Ended::Refused(why),
            },
            Some(Content::Options(_)) => {
                break Ended::Refused("a consumer gives its options once, in its first message".to_owned());
            }
            None => break Ended::Refused("a message to a group has neither an ack nor a nack".to_owned()),
        }
    };
    consumer.leave(why).await;
}

fn ids(ids: &[v1::Uuid]) -> Result<Vec<EventId>, String> {
    ids.iter().map(|id| uuid_from_wire(Some(id)).map_err(|error| error.to_string())).collect()
}

/// What is to become of events that were not handled; `None`: the consumer stops.
fn action(nack: &Nack) -> Result<Option<NackAction>, String> {
    match NackKind::try_from(nack.action) {
        Ok(NackKind::Unknown | NackKind::Retry) => Ok(Some(NackAction::Retry)),
        Ok(NackKind::Park) => Ok(Some(NackAction::Park)),
        Ok(NackKind::Skip) => Ok(Some(NackAction::Skip)),
        Ok(NackKind::Stop) => Ok(None),
        Err(_) => Err(format!("'{}' is not a valid Action", nack.action)),
    }
}

/// A consumer's events, on their way out.
struct Giving {
    key: GroupKey,
    form: EventForm,
    deliveries: mpsc::Receiver<Delivery>,
    ended: oneshot::Receiver<Ended>,
}

impl Giving {
    async fn step(giving: Option<Self>) -> Option<(Result<ReadResp, Status>, Option<Self>)> {
        let mut giving = giving?;
        let delivery = tokio::select! {
            biased;
            ended = &mut giving.ended => return giving.end(ended.ok()),
            delivery = giving.deliveries.recv() => delivery,
        };
        match delivery {
            Some(delivery) => Some((Ok(giving.answer(&delivery)), Some(giving))),
            None => {
                let ended = (&mut giving.ended).await.ok();
                giving.end(ended)
            }
        }
    }

    fn end(&self, ended: Option<Ended>) -> Option<(Result<ReadResp, Status>, Option<Self>)> {
        let status = match ended {
            Some(Ended::Left) => return None,
            Some(Ended::Dropped) => status::group_dropped(&self.key),
            Some(Ended::Refused(why)) => Status::invalid_argument(why),
            Some(Ended::Denied) => status::access_denied(),
            // A group ends without a word only with the server.
            Some(Ended::Stopping) | None => status::of_group(&GroupError::Stopping),
        };
        Some((Err(status), None))
    }

    fn answer(&self, delivery: &Delivery) -> ReadResp {
        let resolved = &delivery.event;
        let position = match resolved.original() {
            Some(original) => read_event::Position::CommitPosition(original.position().0),
            None => read_event::Position::NoPosition(()),
        };
        let retries = i32::try_from(delivery.retries).unwrap_or(i32::MAX);
        let event = ReadEvent {
            event: resolved.event.as_ref().map(|event| self.form.to_wire(event)),
            link: resolved.link.as_ref().map(|link| self.form.to_wire(link)),
            position: Some(position),
            count: Some(read_event::Count::RetryCount(retries)),
        };
        ReadResp { content: Some(read_resp::Content::Event(event)) }
    }
}
