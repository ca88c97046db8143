//! A server on a free port, and the client of its persistent subscriptions.

use std::sync::Arc;
use std::time::Duration;

use factum_core::{EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent, StreamName};
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use factum_protocol::wire::v1::{StreamIdentifier, Uuid, UuidOption, uuid_option};
use factum_server::{RunningServer, Server, ServerOptions};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use wire::persistent_subscriptions_client::PersistentSubscriptionsClient;
use wire::read_req::{Ack, Content, Nack, nack};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, its store and a client.
pub(crate) struct Setup {
    pub(crate) server: RunningServer,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) client: PersistentSubscriptionsClient<Channel>,
}

impl Setup {
    pub(crate) async fn over(store: impl EventStore) -> Self {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let server =
            Server::new(store.clone(), ServerOptions::default()).listen("127.0.0.1:0").await.unwrap();
        let channel = Channel::from_shared(format!("http://{}", server.address())).unwrap();
        let client = PersistentSubscriptionsClient::new(channel.connect().await.unwrap());
        Self { server, store, client }
    }

    pub(crate) async fn append(&self, stream: &str, events: Vec<NewEvent>) {
        self.store.append_to(name(stream), ExpectedRevision::Any, events).await.unwrap();
    }

    /// Appends so many events of a type of their own.
    pub(crate) async fn fill(&self, stream: &str, count: usize) {
        self.append(stream, (0..count).map(|_| event("Happened")).collect()).await;
    }

    pub(crate) async fn create(&self, options: wire::create_req::Options) -> Result<(), Status> {
        let request = wire::CreateReq { options: Some(options) };
        self.client.clone().create(request).await.map(|_| ())
    }

    pub(crate) async fn update(&self, options: wire::create_req::Options) -> Result<(), Status> {
        let request = wire::CreateReq { options: Some(options) };
        self.client.clone().update(request).await.map(|_| ())
    }

    pub(crate) async fn delete(&self, stream: &str, group: &str) -> Result<(), Status> {
        use wire::delete_req::options::StreamOption;
        let stream_option = match identifier(stream) {
            Some(stream) => StreamOption::StreamIdentifier(stream),
            None => StreamOption::All(()),
        };
        let options =
            wire::delete_req::Options { group_name: group.to_owned(), stream_option: Some(stream_option) };
        self.client.clone().delete(wire::DeleteReq { options: Some(options) }).await.map(|_| ())
    }

    pub(crate) async fn info(&self, stream: &str, group: &str) -> Result<wire::SubscriptionInfo, Status> {
        use wire::get_info_req::options::StreamOption;
        let stream_option = match identifier(stream) {
            Some(stream) => StreamOption::StreamIdentifier(stream),
            None => StreamOption::All(()),
        };
        let options =
            wire::get_info_req::Options { group_name: group.to_owned(), stream_option: Some(stream_option) };
        let answer = self.client.clone().get_info(wire::GetInfoReq { options: Some(options) }).await?;
        Ok(answer.into_inner().subscription_info.unwrap())
    }

    /// Waits until the group is like that.
    pub(crate) async fn until(
        &self,
        stream: &str,
        group: &str,
        like: impl Fn(&wire::SubscriptionInfo) -> bool,
    ) -> wire::SubscriptionInfo {
        let mut last = None;
        let waiting = async {
            loop {
                let info = self.info(stream, group).await.unwrap();
                if like(&info) {
                    return info;
                }
                last = Some(info);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(info) => info,
            Err(_) => panic!("the group does not become so: {last:?}"),
        }
    }

    /// Which events of a parked request are meant.
    pub(crate) fn parked_request(stream: &str, group: &str, stop_at: Option<i64>) -> wire::ReplayParkedReq {
        use wire::replay_parked_req::options::{StopAtOption, StreamOption};
        let stream_option = match identifier(stream) {
            Some(stream) => StreamOption::StreamIdentifier(stream),
            None => StreamOption::All(()),
        };
        let options = wire::replay_parked_req::Options {
            group_name: group.to_owned(),
            stream_option: Some(stream_option),
            stop_at_option: Some(stop_at.map_or(StopAtOption::NoLimit(()), StopAtOption::StopAt)),
        };
        wire::ReplayParkedReq { options: Some(options) }
    }

    pub(crate) async fn replay(&self, stream: &str, group: &str, stop_at: Option<i64>) -> Result<(), Status> {
        self.client.clone().replay_parked(Self::parked_request(stream, group, stop_at)).await.map(|_| ())
    }

    /// Connects a consumer that holds so many events at most, once it is confirmed.
    pub(crate) async fn consumer(&self, stream: &str, group: &str, slots: i32) -> Result<Reader, Status> {
        let mut reader = self.silent_consumer(stream, group, slots).await;
        match reader.next().await? {
            Some(wire::read_resp::Content::SubscriptionConfirmation(confirmation)) => {
                assert_eq!(confirmation.subscription_id, format!("{stream}::{group}"));
                Ok(reader)
            }
            other => panic!("no confirmation: {other:?}"),
        }
    }

    /// Connects a consumer, and does not wait for anything.
    pub(crate) async fn silent_consumer(&self, stream: &str, group: &str, slots: i32) -> Reader {
        use wire::read_req::options::StreamOption;
        let (requests, receiver) = mpsc::channel(1_024);
        let stream_option = match identifier(stream) {
            Some(stream) => StreamOption::StreamIdentifier(stream),
            None => StreamOption::All(()),
        };
        let options = wire::read_req::Options {
            group_name: group.to_owned(),
            buffer_size: slots,
            uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(())) }),
            stream_option: Some(stream_option),
        };
        send(&requests, Content::Options(options)).await;
        let answers = self.client.clone().read(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Reader { requests, answers }
    }
}

async fn send(requests: &mpsc::Sender<wire::ReadReq>, content: Content) {
    requests.send(wire::ReadReq { content: Some(content) }).await.unwrap();
}

/// A consumer.
pub(crate) struct Reader {
    requests: mpsc::Sender<wire::ReadReq>,
    answers: Streaming<wire::ReadResp>,
}

/// An event as a consumer gets it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// What an answer names.
    pub(crate) id: Uuid,
    /// The event's stream and revision, where there is an event.
    pub(crate) event: Option<(String, u64)>,
    /// The link's stream and revision.
    pub(crate) link: Option<(String, u64)>,
    pub(crate) retries: i32,
}

impl Given {
    pub(crate) fn revision(&self) -> u64 {
        self.event.as_ref().unwrap().1
    }
}

impl Reader {
    async fn next(&mut self) -> Result<Option<wire::read_resp::Content>, Status> {
        let message = tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("nothing comes");
        Ok(message?.and_then(|message| message.content))
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Given {
        match self.next().await.unwrap() {
            Some(wire::read_resp::Content::Event(event)) => given(&event),
            other => panic!("no event: {other:?}"),
        }
    }

    /// The next events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Given> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.event().await);
        }
        events
    }

    /// What ends the answers.
    pub(crate) async fn end(&mut self) -> Result<(), Status> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    }

    /// Whether anything comes within a moment; what is true then stays true if nothing changes.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.answers.message()).await.is_err()
    }

    pub(crate) async fn ack(&self, events: &[Given]) {
        let ids = events.iter().map(|event| event.id.clone()).collect();
        send(&self.requests, Content::Ack(Ack { ids, ..Ack::default() })).await;
    }

    pub(crate) async fn nack(&self, events: &[Given], action: nack::Action, reason: &str) {
        let ids = events.iter().map(|event| event.id.clone()).collect();
        let nack = Nack { ids, action: i32::from(action), reason: reason.to_owned(), ..Nack::default() };
        send(&self.requests, Content::Nack(nack)).await;
    }

    pub(crate) async fn say(&self, content: Option<Content>) {
        self.requests.send(wire::ReadReq { content }).await.unwrap();
    }
}

fn given(event: &wire::read_resp::ReadEvent) -> Given {
    let place = |event: &factum_protocol::wire::v1::RecordedEvent| {
        let stream = event.stream_identifier.as_ref().unwrap().stream_name.to_vec();
        (String::from_utf8(stream).unwrap(), event.stream_revision)
    };
    let original = event.link.as_ref().or(event.event.as_ref()).unwrap();
    let Some(wire::read_resp::read_event::Position::CommitPosition(position)) = event.position else {
        panic!("an event has a position")
    };
    assert_eq!(position, original.commit_position);
    let Some(wire::read_resp::read_event::Count::RetryCount(retries)) = event.count else {
        panic!("an event has a count of retries")
    };
    Given {
        id: original.id.clone().unwrap(),
        event: event.event.as_ref().map(place),
        link: event.link.as_ref().map(place),
        retries,
    }
}

pub(crate) fn revisions(events: &[Given]) -> Vec<u64> {
    events.iter().map(Given::revision).collect()
}

pub(crate) fn name(stream: &str) -> StreamName {
    StreamName::new(stream.to_owned()).unwrap()
}

pub(crate) fn event(event_type: &str) -> NewEvent {
    NewEvent::json(EventType::new(event_type.to_owned()).unwrap(), "{}")
}

/// The identifier of a stream; `None` for the log.
fn identifier(stream: &str) -> Option<StreamIdentifier> {
    (stream != "$all").then(|| StreamIdentifier { stream_name: stream.as_bytes().to_vec().into() })
}

/// Settings as clients send them, with a checkpoint after each event.
pub(crate) fn settings() -> wire::Settings {
    wire::Settings {
        max_retry_count: 10,
        min_checkpoint_count: 1,
        max_checkpoint_count: 1,
        live_buffer_size: 500,
        read_batch_size: 20,
        history_buffer_size: 500,
        message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutMs(30_000)),
        checkpoint_after: Some(wire::settings::CheckpointAfter::CheckpointAfterMs(2_000)),
        consumer_strategy: "RoundRobin".to_owned(),
        ..wire::Settings::default()
    }
}

/// A group from the start of a stream.
pub(crate) fn from_start(stream: &str, group: &str, settings: wire::Settings) -> wire::create_req::Options {
    use wire::create_req::options::StreamOption;
    let stream_option = match identifier(stream) {
        Some(stream) => StreamOption::Stream(wire::StreamOptions {
            stream_identifier: Some(stream),
            revision_option: Some(wire::stream_options::RevisionOption::Start(())),
        }),
        None => StreamOption::All(wire::AllOptions {
            all_option: Some(wire::all_options::AllOption::Start(())),
            filter_option: Some(wire::all_options::FilterOption::NoFilter(())),
        }),
    };
    wire::create_req::Options {
        group_name: group.to_owned(),
        settings: Some(settings),
        stream_option: Some(stream_option),
        ..wire::create_req::Options::default()
    }
}

/// A group of a stream, from elsewhere.
pub(crate) fn from(
    stream: &str,
    group: &str,
    place: wire::stream_options::RevisionOption,
) -> wire::create_req::Options {
    let mut options = from_start(stream, group, settings());
    if let Some(wire::create_req::options::StreamOption::Stream(stream)) = &mut options.stream_option {
        stream.revision_option = Some(place);
    }
    options
}

/// A trailer of an error.
pub(crate) fn trailer<'a>(status: &'a Status, key: &str) -> &'a str {
    status.metadata().get(key).map_or("", |value| value.to_str().unwrap())
}
