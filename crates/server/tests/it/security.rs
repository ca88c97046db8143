//! Who may do what, and who may listen.

mod access;
mod sign_in;
mod tls;
mod users;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use factum_core::{EventStore, MemoryStore};
use factum_protocol::stream_to_wire;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::change_options::ExpectedStreamRevision;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::streams_client::StreamsClient;
use factum_protocol::wire::v1::users::users_client::UsersClient;
use factum_server::{
    FirstUsers, RunningServer, Secret, Security, ServeError, Server, ServerOptions, SignIn, Tokens,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Somebody's credentials: what the header says.
#[derive(Clone, Debug)]
struct Who(Option<String>);

impl Who {
    fn nobody() -> Self {
        Self(None)
    }

    fn user(login: &str, password: &str) -> Self {
        Self(Some(format!("Basic {}", STANDARD.encode(format!("{login}:{password}")))))
    }

    fn admin() -> Self {
        Self::user("admin", ADMIN_PASSWORD)
    }

    fn bearer(token: &str) -> Self {
        Self(Some(format!("Bearer {token}")))
    }

    fn asks<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        request
    }
}

const ADMIN_PASSWORD: &str = "the admin's";
const OPS_PASSWORD: &str = "the ops'";

/// A server, and one connection to it.
struct Fixture {
    server: RunningServer,
    store: Arc<dyn EventStore>,
    channel: Channel,
}

fn sign_in() -> SignIn {
    let first_users = FirstUsers { admin: Secret::new(ADMIN_PASSWORD), ops: Secret::new(OPS_PASSWORD) };
    SignIn { first_users: Some(first_users), ..SignIn::default() }
}

async fn start(store: Arc<dyn EventStore>, options: ServerOptions) -> Fixture {
    let server = Server::new(store.clone(), options).listen("127.0.0.1:0").await.unwrap();
    let channel = Endpoint::try_from(format!("http://{}", server.address())).unwrap();
    Fixture { channel: channel.connect().await.unwrap(), server, store }
}

impl Fixture {
    async fn insecure() -> Self {
        start(Arc::new(MemoryStore::new()), ServerOptions::default()).await
    }

    async fn secure() -> Self {
        Self::with(sign_in()).await
    }

    async fn with(sign_in: SignIn) -> Self {
        let options = ServerOptions { security: Security::SignIn(sign_in), ..ServerOptions::default() };
        start(Arc::new(MemoryStore::new()), options).await
    }

    /// A server with the users ada and bob, whose passwords are their names.
    async fn with_users() -> Self {
        let fixture = Self::secure().await;
        for (login, group) in [("ada", "writers"), ("bob", "readers")] {
            fixture.create(&Who::admin(), login, login, &[group]).await.unwrap();
        }
        fixture
    }

    fn users(&self) -> UsersClient<Channel> {
        UsersClient::new(self.channel.clone())
    }

    fn streams(&self) -> StreamsClient<Channel> {
        StreamsClient::new(self.channel.clone())
    }

    async fn create(&self, who: &Who, login: &str, password: &str, groups: &[&str]) -> Result<(), Status> {
        let options = v1::users::create_req::Options {
            login_name: login.to_owned(),
            password: password.to_owned(),
            full_name: format!("{login} of the test"),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        let request = v1::users::CreateReq { options: Some(options) };
        self.users().create(who.asks(request)).await.map(drop)
    }

    async fn append(&self, who: &Who, stream: &str, event_type: &str, data: &str) -> Result<(), Status> {
        let options = v1::ChangeOptions {
            stream_identifier: Some(stream_to_wire(stream)),
            expected_stream_revision: Some(ExpectedStreamRevision::Any(())),
        };
        let event = v1::ProposedMessage {
            id: Some(factum_protocol::uuid_to_wire(
                factum_core::EventId::generate(),
                factum_protocol::UuidForm::Text,
            )),
            metadata: [
                ("type".to_owned(), event_type.to_owned()),
                ("content-type".to_owned(), "application/json".to_owned()),
            ]
            .into(),
            custom_metadata: Vec::new().into(),
            data: data.to_owned().into(),
        };
        let content =
            [wire::append_req::Content::Options(options), wire::append_req::Content::ProposedMessage(event)];
        let messages = content.map(|content| wire::AppendReq { content: Some(content) });
        self.streams().append(who.asks(tokio_stream::iter(messages))).await.map(drop)
    }

    /// Gives a stream an access list.
    async fn set_acl(&self, stream: &str, acl: &str) {
        let data = format!("{{\"$acl\":{acl}}}");
        self.append(&Who::admin(), &format!("$${stream}"), "$metadata", &data).await.unwrap();
    }

    async fn delete(&self, who: &Who, stream: &str) -> Result<(), Status> {
        let options = v1::ChangeOptions {
            stream_identifier: Some(stream_to_wire(stream)),
            expected_stream_revision: Some(ExpectedStreamRevision::Any(())),
        };
        self.streams().delete(who.asks(wire::DeleteReq { options: Some(options) })).await.map(drop)
    }

    /// What a read of a stream from its start says; of the log for `$all`.
    fn read_options(
        &self,
        stream: &str,
        count: wire::read_req::options::CountOption,
    ) -> wire::read_req::Options {
        use wire::read_req::options;
        let stream_option = if stream == "$all" {
            options::StreamOption::All(options::AllOptions {
                all_option: Some(options::all_options::AllOption::Start(())),
            })
        } else {
            options::StreamOption::Stream(options::StreamOptions {
                stream_identifier: Some(stream_to_wire(stream)),
                revision_option: Some(options::stream_options::RevisionOption::Start(())),
            })
        };
        wire::read_req::Options {
            stream_option: Some(stream_option),
            count_option: Some(count),
            filter_option: Some(options::FilterOption::NoFilter(())),
            uuid_option: Some(v1::UuidOption { content: Some(v1::uuid_option::Content::String(())) }),
            control_option: Some(options::ControlOption { compatibility: 1 }),
            ..wire::read_req::Options::default()
        }
    }

    async fn answers(
        &self,
        who: &Who,
        stream: &str,
        count: wire::read_req::options::CountOption,
    ) -> Result<tonic::Streaming<wire::ReadResp>, Status> {
        let options = self.read_options(stream, count);
        let answers = self.streams().read(who.asks(wire::ReadReq { options: Some(options) })).await?;
        Ok(answers.into_inner())
    }

    /// The events of a stream as text.
    async fn read(&self, who: &Who, stream: &str) -> Result<Vec<String>, Status> {
        let count = wire::read_req::options::CountOption::Count(100);
        let mut answers = self.answers(who, stream, count).await?;
        let mut events = Vec::new();
        while let Some(answer) = answers.message().await? {
            events.extend(data_of(answer));
        }
        Ok(events)
    }

    async fn subscribe(&self, who: &Who, stream: &str) -> Result<tonic::Streaming<wire::ReadResp>, Status> {
        let subscription = wire::read_req::options::SubscriptionOptions {};
        self.answers(who, stream, wire::read_req::options::CountOption::Subscription(subscription)).await
    }
}

fn data_of(answer: wire::ReadResp) -> Option<String> {
    match answer.content? {
        wire::read_resp::Content::Event(event) => {
            Some(String::from_utf8_lossy(&event.event?.data).into_owned())
        }
        _ => None,
    }
}

/// That the answer is this code with this message and this exception.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    message: &str,
    exception: Option<&str>,
) {
    let status = answer.expect_err(message);
    assert_eq!((status.code(), status.message()), (code, message));
    let found = status.metadata().get("exception").map(|name| name.to_str().unwrap());
    assert_eq!(found, exception);
}

#[track_caller]
fn assert_denied<T: std::fmt::Debug>(answer: Result<T, Status>) {
    assert_refused(answer, Code::PermissionDenied, "Access Denied", Some("access-denied"));
}

#[track_caller]
fn assert_unauthenticated<T: std::fmt::Debug>(answer: Result<T, Status>) {
    assert_refused(answer, Code::Unauthenticated, "Unauthenticated", None);
}

#[tokio::test]
async fn beyond_this_machine_a_server_wants_both_or_a_word() {
    let listen = async |options: ServerOptions| {
        Server::new(Arc::new(MemoryStore::new()), options).listen("0.0.0.0:0").await
    };
    let insecure = listen(ServerOptions::default()).await.map(drop);
    assert!(matches!(insecure, Err(ServeError::ExposedInsecure { .. })), "{insecure:?}");
    let security = Security::SignIn(SignIn::default());
    let plaintext = listen(ServerOptions { security, ..ServerOptions::default() }).await.map(drop);
    assert!(matches!(plaintext, Err(ServeError::ExposedPlaintext { .. })), "{plaintext:?}");
    let exposure = factum_server::Exposure::Unprotected;
    let told = listen(ServerOptions { exposure, ..ServerOptions::default() }).await;
    told.unwrap().stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_not_kept_and_who_does_is() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let limits = factum_server::Limits {
        handshake_timeout: std::time::Duration::from_millis(200),
        ..factum_server::Limits::default()
    };
    let fixture =
        start(Arc::new(MemoryStore::new()), ServerOptions { limits, ..ServerOptions::default() }).await;
    for words in ["", "PRI * HTTP/2.0", "GET /pi"] {
        let mut socket = tokio::net::TcpStream::connect(fixture.server.address()).await.unwrap();
        socket.write_all(words.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // An end or a reset.
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{words}: {answer:?}");
    }
    // The connection of the fixture has been silent for longer, and lives.
    fixture.append(&Who::nobody(), "s", "A", "1").await.unwrap();
}

#[tokio::test]
async fn secrets_are_in_no_debug_output() {
    let tokens = Tokens::parse(&Tokens::line("ada", &Secret::new("token"))).unwrap();
    let security = Security::SignIn(SignIn { tokens, ..sign_in() });
    let shown = format!("{security:?}");
    let hash = Tokens::line("", &Secret::new("token"));
    for secret in [ADMIN_PASSWORD, OPS_PASSWORD, hash.trim()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let fixture = Fixture::secure().await;
    let shown = format!("{:?}", fixture.server);
    assert!(!shown.contains(ADMIN_PASSWORD), "{shown}");
}
