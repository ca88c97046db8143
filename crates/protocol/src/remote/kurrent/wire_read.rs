//! One read or subscription as the protocol has it: the request, and its answers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use factum_core::{Direction, Position, ReadError, RecordedEvent, Revision, StreamName};
use tonic::codec::Streaming;

use super::carry;
use crate::remote::cluster::{Calling, Cluster, Link};
use crate::remote::failure::{Fault, fault_of};
use crate::wire::v1::filter_options::{Expression, Filter as Subject, Window};
use crate::wire::v1::streams::read_req::options::{
    AllOptions, ControlOption, CountOption, FilterOption, ReadDirection, StreamOption, StreamOptions,
    SubscriptionOptions, all_options, stream_options,
};
use crate::wire::v1::streams::read_resp::Content;
use crate::wire::v1::streams::streams_client::StreamsClient;
use crate::wire::v1::streams::{ReadReq, ReadResp, read_req};
use crate::wire::v1::{AllStreamPosition, FilterOptions, UuidOption, uuid_option};
use crate::{WireEvent, stream_to_wire};

/// Largest answer that is taken, in bytes: the largest event and what is around it.
const LARGEST_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Most events that are taken at once.
const PAGE_EVENTS: usize = 512;
/// Bytes after which no more events are taken at once.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// The server says how far it has looked after so many times 32 events that did not pass.
const CHECKPOINT_EVERY: u32 = 4;

pub(super) fn client(link: &Link) -> StreamsClient<tonic::transport::Channel> {
    StreamsClient::new(link.channel.clone())
        .max_decoding_message_size(LARGEST_ANSWER_BYTES)
        .max_encoding_message_size(usize::MAX)
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stream(StreamName),
    All(Narrowing),
}

/// What the server may leave out of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Narrowing {
    #[default]
    Nothing,
    /// All but streams with these beginnings.
    Streams(Vec<String>),
    /// All but types with these beginnings.
    Types(Vec<String>),
    SystemEvents,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Start,
    End,
    /// A read begins at it, a subscription after it.
    Revision(Revision),
    /// A read forwards begins at it, a read backwards before it, a subscription after it.
    Position(Position),
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Count(u64),
    Subscription,
}

/// The options of a call.
pub(super) fn request(source: &Source, direction: Direction, from: From, span: Span) -> ReadReq {
    let (stream_option, filter_option) = match source {
        Source::Stream(name) => {
            use stream_options::RevisionOption;
            let revision = match from {
                From::Start | From::Position(_) => RevisionOption::Start(()),
                From::End => RevisionOption::End(()),
                From::Revision(revision) => RevisionOption::Revision(revision.0),
            };
            let options = StreamOptions {
                stream_identifier: Some(stream_to_wire(name.as_str())),
                revision_option: Some(revision),
            };
            (StreamOption::Stream(options), FilterOption::NoFilter(()))
        }
        Source::All(narrowing) => {
            use all_options::AllOption;
            let all = match from {
                From::Start | From::Revision(_) => AllOption::Start(()),
                From::End => AllOption::End(()),
                From::Position(Position(n)) => {
                    AllOption::Position(AllStreamPosition { commit_position: n, prepare_position: n })
                }
            };
            (StreamOption::All(AllOptions { all_option: Some(all) }), filter(narrowing))
        }
    };
    let count = match span {
        Span::Count(count) => CountOption::Count(count),
        Span::Subscription => CountOption::Subscription(SubscriptionOptions {}),
    };
    ReadReq {
        options: Some(read_req::Options {
            stream_option: Some(stream_option),
            read_direction: i32::from(match direction {
                Direction::Forwards => ReadDirection::Forwards,
                Direction::Backwards => ReadDirection::Backwards,
            }),
            resolve_links: false,
            count_option: Some(count),
            filter_option: Some(filter_option),
            uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(())) }),
            control_option: Some(ControlOption { compatibility: 1 }),
        }),
    }
}

fn filter(narrowing: &Narrowing) -> FilterOption {
    let prefixes = |prefix: &[String]| Expression { regex: String::new(), prefix: prefix.to_vec() };
    let subject = match narrowing {
        Narrowing::Nothing => return FilterOption::NoFilter(()),
        Narrowing::Streams(names) => Subject::StreamIdentifier(prefixes(names)),
        Narrowing::Types(names) => Subject::EventType(prefixes(names)),
        Narrowing::SystemEvents => {
            Subject::EventType(Expression { regex: r"^[^\$].*".to_owned(), prefix: Vec::new() })
        }
    };
    FilterOption::Filter(FilterOptions {
        filter: Some(subject),
        window: Some(Window::Count(())),
        checkpoint_interval_multiplier: CHECKPOINT_EVERY,
    })
}

/// What the server says.
#[derive(Debug)]
pub(super) enum Said {
    Event(RecordedEvent),
    /// Everything up to and with this position was looked at.
    LookedAt(Position),
    CaughtUp(Option<Position>),
    NotFound,
    LastRevision(Revision),
    /// Nothing that matters here.
    Other,
}

/// The answers of a call.
pub(super) struct Answers {
    pub(super) link: Arc<Link>,
    stream: Streaming<ReadResp>,
    /// Said and not yet given.
    first: Option<ReadResp>,
    /// Met while more was looked for than was asked for.
    fault: Option<Fault>,
    ended: bool,
}

impl Answers {
    /// Makes the call, and waits for its first answer: what is refused is refused here.
    pub(super) async fn open(cluster: &Cluster, request: &ReadReq) -> Result<Self, Fault> {
        let call = |link: Arc<Link>| -> Calling<'_, _> {
            Box::pin(async move {
                let answer = client(&link).read(cluster.endless(request.clone())).await;
                let mut stream = answer.map_err(|status| fault_of(&status))?.into_inner();
                let first = stream.message().await.map_err(|status| fault_of(&status))?;
                let ended = first.is_none();
                Ok(Self { link, stream, first, fault: None, ended })
            })
        };
        cluster.call(call).await
    }

    /// What is said next; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Result<Said, ReadError>>, Fault> {
        if let Some(first) = self.first.take() {
            return Ok(Some(said(first)));
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.ended {
            return Ok(None);
        }
        let message = self.stream.message().await.map_err(|status| fault_of(&status))?;
        self.ended = message.is_none();
        Ok(message.map(said))
    }

    /// What is there, at least one answer; empty at the end. A fault comes after what was there before it.
    pub(super) async fn some(&mut self) -> Result<Vec<Result<Said, ReadError>>, Fault> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let Some(first) = self.next().await? else { return Ok(taken) };
        bytes += size(&first);
        taken.push(first);
        while taken.len() < PAGE_EVENTS && bytes < PAGE_BYTES {
            let ready = {
                let mut next = pin!(self.next());
                poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await
            };
            match ready {
                Poll::Ready(Ok(Some(said))) => {
                    bytes += size(&said);
                    taken.push(said);
                }
                Poll::Ready(Ok(None)) | Poll::Pending => break,
                Poll::Ready(Err(fault)) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        Ok(taken)
    }
}

fn size(said: &Result<Said, ReadError>) -> usize {
    match said {
        Ok(Said::Event(event)) => event.body().len(),
        _ => 0,
    }
}

fn said(answer: ReadResp) -> Result<Said, ReadError> {
    Ok(match answer.content {
        Some(Content::Event(event)) => match event.event {
            Some(event) => Said::Event(recorded(event)?),
            None => Said::Other,
        },
        Some(Content::Checkpoint(checkpoint)) => Said::LookedAt(Position(checkpoint.commit_position)),
        Some(Content::CaughtUp(caught_up)) => {
            Said::CaughtUp(caught_up.position.map(|position| Position(position.commit_position)))
        }
        Some(Content::StreamNotFound(_)) => Said::NotFound,
        Some(Content::LastStreamPosition(revision)) => Said::LastRevision(Revision(revision)),
        Some(
            Content::Confirmation(_)
            | Content::FellBehind(_)
            | Content::FirstStreamPosition(_)
            | Content::LastAllStreamPosition(_),
        )
        | None => Said::Other,
    })
}

fn recorded(event: crate::wire::v1::RecordedEvent) -> Result<RecordedEvent, ReadError> {
    let place = event.commit_position;
    let event = WireEvent(event).into_recorded().map_err(|why| ReadError::Invalid {
        why: format!("the event at position {place} cannot be read: {why}"),
    })?;
    Ok(carry::unpacked(event))
}
