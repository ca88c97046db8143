//! A server on a free port, and a client of it.

use std::sync::Arc;

use factum_core::{EventStore, EventType, ExpectedRevision, MemoryStore, NewEvent, Revision, StreamName};
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::read_req::{Options, options};
use factum_protocol::wire::v1::streams::streams_client::StreamsClient;
use factum_protocol::{Expectation, Proposed, stream_to_wire};
use factum_server::{FirstEvents, Limits, RunningServer, Server, ServerOptions};
use futures_util::stream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub(crate) struct House {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) server: RunningServer,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        // A log that holds what a test puts there, and nothing else.
        Self::of(ServerOptions { limits, first_events: FirstEvents::None, ..ServerOptions::default() }).await
    }

    pub(crate) async fn of(options: ServerOptions) -> Self {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        Self::over(store.clone(), Server::new(store, options)).await
    }

    pub(crate) async fn over(store: Arc<dyn EventStore>, server: Server) -> Self {
        let server = server.listen("127.0.0.1:0").await.expect("a free port on loopback");
        Self { store, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).expect("a url");
        endpoint.connect().await.expect("the server listens")
    }

    pub(crate) async fn streams(&self) -> StreamsClient<Channel> {
        StreamsClient::new(self.channel().await)
    }

    /// Appends `count` events of type `kind` to `stream`.
    pub(crate) async fn fill(&self, stream: &str, kind: &str, count: usize) {
        let events = (0..count).map(|n| event(kind, &format!("{{\"n\":{n}}}"))).collect();
        self.store
            .append(factum_core::Append::to(name(stream), ExpectedRevision::Any, events))
            .await
            .expect("the store takes it");
    }
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text.to_owned()).expect("a stream's name")
}

pub(crate) fn event(kind: &str, data: &str) -> NewEvent {
    NewEvent::json(EventType::new(kind.to_owned()).expect("a type"), data.to_owned())
}

pub(crate) fn exact(revision: u64) -> ExpectedRevision {
    ExpectedRevision::Exact(Revision(revision))
}

/// An append over the wire.
pub(crate) async fn append(
    client: &mut StreamsClient<Channel>,
    stream: &str,
    expected: ExpectedRevision,
    events: Vec<NewEvent>,
) -> Result<wire::AppendResp, Status> {
    let options = v1::ChangeOptions {
        stream_identifier: Some(stream_to_wire(stream)),
        expected_stream_revision: Some(Expectation(expected).to_wire()),
    };
    let first = wire::AppendReq { content: Some(wire::append_req::Content::Options(options)) };
    let rest = events.into_iter().map(|event| wire::AppendReq {
        content: Some(wire::append_req::Content::ProposedMessage(Proposed(event).to_wire())),
    });
    let messages: Vec<_> = std::iter::once(first).chain(rest).collect();
    client.append(stream::iter(messages)).await.map(tonic::Response::into_inner)
}

/// The options of a read of a stream from its start.
pub(crate) fn of_stream(stream: &str, count: u64) -> Options {
    Options {
        stream_option: Some(options::StreamOption::Stream(options::StreamOptions {
            stream_identifier: Some(stream_to_wire(stream)),
            revision_option: Some(options::stream_options::RevisionOption::Start(())),
        })),
        count_option: Some(options::CountOption::Count(count)),
        ..of_all(count)
    }
}

/// The options of a read of the log from its start.
pub(crate) fn of_all(count: u64) -> Options {
    Options {
        read_direction: 0,
        resolve_links: false,
        uuid_option: Some(v1::UuidOption { content: Some(v1::uuid_option::Content::String(())) }),
        control_option: Some(options::ControlOption { compatibility: 1 }),
        stream_option: Some(options::StreamOption::All(options::AllOptions {
            all_option: Some(options::all_options::AllOption::Start(())),
        })),
        count_option: Some(options::CountOption::Count(count)),
        filter_option: Some(options::FilterOption::NoFilter(())),
    }
}

/// The same as a subscription.
pub(crate) fn following(mut options: Options) -> Options {
    options.count_option = Some(options::CountOption::Subscription(options::SubscriptionOptions {}));
    options
}

/// Every answer of a read.
pub(crate) async fn read(
    client: &mut StreamsClient<Channel>,
    options: Options,
) -> Result<Vec<wire::read_resp::Content>, Status> {
    let mut answers = client.read(wire::ReadReq { options: Some(options) }).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.extend(answer.content);
    }
    Ok(all)
}

/// The revisions of the events among them, `-` for what has none.
pub(crate) fn shape(answers: &[wire::read_resp::Content]) -> Vec<String> {
    use wire::read_resp::Content;
    let one = |content: &Content| match content {
        Content::Event(event) => {
            let of = |event: &Option<v1::RecordedEvent>| {
                event.as_ref().map_or_else(|| "-".to_owned(), |event| event.stream_revision.to_string())
            };
            match &event.link {
                None => of(&event.event),
                Some(_) => format!("{}>{}", of(&event.link), of(&event.event)),
            }
        }
        Content::Confirmation(_) => "confirmed".to_owned(),
        Content::Checkpoint(checkpoint) => format!("checkpoint {}", checkpoint.commit_position),
        Content::StreamNotFound(_) => "not found".to_owned(),
        Content::FirstStreamPosition(first) => format!("first {first}"),
        Content::LastStreamPosition(last) => format!("last {last}"),
        Content::LastAllStreamPosition(_) => "last of all".to_owned(),
        Content::CaughtUp(_) => "caught up".to_owned(),
        Content::FellBehind(_) => "fell behind".to_owned(),
    };
    answers.iter().map(one).collect()
}

/// The text of one trailer.
pub(crate) fn trailer<'a>(status: &'a Status, key: &str) -> &'a str {
    status.metadata().get(key).map_or("", |value| value.to_str().unwrap_or("not text"))
}
