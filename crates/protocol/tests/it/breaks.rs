//! What happens when the connection breaks? A relay between client and server loses what it is told to lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use factum_core::{
    AppendError, Capability, ErrorKind, EventStore, EventStoreExt, EventType, ExpectedRevision, ManualClock,
    MemoryStore, NewEvent, Read, ReadError, Selector, StreamName, Subscribe, SubscriptionMessage,
};
use factum_protocol::remote::{ConnectError, ConnectionString, RemoteStore, Way, Ways};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::served::{connection_string, serve};

fn stream(name: &str) -> StreamName {
    StreamName::new(name.to_owned()).unwrap()
}

fn event(name: &str) -> NewEvent {
    NewEvent::json(EventType::new(name.to_owned()).unwrap(), "{}")
}

/// A relay to a server, which can be told to break what goes through it.
pub(crate) struct Relay {
    address: SocketAddr,
    /// Counts up: whoever sees a new number breaks its connection.
    cut: watch::Sender<usize>,
    /// Once the log has so many events, the next answer is lost with its connection. 0: none is.
    lose_at: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// A relay to the server of `log`.
    pub(crate) async fn to(server: SocketAddr, log: MemoryStore) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, watching) = watch::channel(0);
        let lose_at = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (losing, counted) = (lose_at.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(relay(client, server, watching.clone(), losing.clone(), log.clone()));
            }
        });
        Self { address, cut, lose_at, connections }
    }

    pub(crate) async fn store(&self, ways: Ways) -> RemoteStore {
        let to = format!("kurrentdb://{}?tls=false", self.address);
        RemoteStore::connect_by(ConnectionString::parse(&to).unwrap(), ways).await.unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

async fn relay(
    client: TcpStream,
    server: SocketAddr,
    mut watching: watch::Receiver<usize>,
    lose_at: Arc<AtomicUsize>,
    log: MemoryStore,
) {
    watching.mark_unchanged();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            _ = watching.changed() => break,
            read = from_server.read(&mut buffer) => match read {
                Ok(n) if n > 0 => {
                    let at = lose_at.load(Ordering::SeqCst);
                    if at > 0 && log.read_all(Read::forwards(Selector::All)).await.unwrap().len() >= at {
                        lose_at.store(0, Ordering::SeqCst);
                        break;
                    }
                    if to_client.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
                _ => break,
            },
        }
    }
    up.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_done_once() {
    for ways in [Ways::Best, Ways::KurrentOnly] {
        let memory = MemoryStore::new();
        let server = serve(Arc::new(memory.clone()), Arc::new(ManualClock::default())).await;
        let relay = Relay::to(server.address(), memory.clone()).await;
        let store = relay.store(ways).await;
        for (count, expected) in [ExpectedRevision::NoStream, ExpectedRevision::Any].into_iter().enumerate() {
            relay.lose_at.store(count + 1, Ordering::SeqCst);
            let appended = store.append_to(stream("s"), expected, vec![event("A")]).await.unwrap();
            assert_eq!(relay.lose_at.load(Ordering::SeqCst), 0, "the answer was lost");
            assert_eq!(appended.streams[0].last.map(|last| last.0), u64::try_from(count).ok());
            let kept = memory.read_all(Read::forwards(Selector::All)).await.unwrap();
            assert_eq!(kept.len(), count + 1, "{ways:?}, {expected:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_after_a_break_without_gap_and_duplicate() {
    for ways in [Ways::Best, Ways::KurrentOnly] {
        for selector in [Selector::All, Selector::Stream(stream("s"))] {
            let memory = MemoryStore::new();
            let server = serve(Arc::new(memory.clone()), Arc::new(ManualClock::default())).await;
            let relay = Relay::to(server.address(), memory.clone()).await;
            let store = relay.store(ways).await;
            let mut subscription = store.subscribe(Subscribe::to(selector.clone())).await.unwrap();
            let (mut seen, mut caught_up) = (Vec::new(), 0);
            for round in 0..5_u64 {
                for name in ["A", "B"] {
                    memory.append_to(stream("s"), ExpectedRevision::Any, vec![event(name)]).await.unwrap();
                }
                while seen.len() < 2 * (usize::try_from(round).unwrap() + 1) {
                    match subscription.next().await.unwrap() {
                        SubscriptionMessage::Events { events, .. } => {
                            seen.extend(events.iter().map(|event| event.position().0));
                        }
                        SubscriptionMessage::CaughtUp(_) => caught_up += 1,
                        SubscriptionMessage::Checkpoint(_) => {}
                    }
                }
                relay.cut();
            }
            assert_eq!(seen, (0..10).collect::<Vec<u64>>(), "{ways:?}, {selector:?}");
            assert!(caught_up <= 1, "it is told once");
            assert!(relay.connections() > 1, "connections were broken");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_said_to_be_and_what_was_sent_to_be_unknown() {
    let memory = MemoryStore::new();
    let server = serve(Arc::new(memory.clone()), Arc::new(ManualClock::default())).await;
    let relay = Relay::to(server.address(), memory).await;
    let store = relay.store(Ways::Best).await;
    store.append_to(stream("s"), ExpectedRevision::Any, vec![event("A")]).await.unwrap();
    server.stop().await;
    match store.append_to(stream("s"), ExpectedRevision::Any, vec![event("B")]).await {
        Err(AppendError::OutcomeUnknown { .. } | AppendError::Read(ReadError::Unreachable { .. })) => {}
        other => panic!("expected that nobody answers, got {other:?}"),
    }
    let gone = store.read_all(Read::forwards(Selector::All)).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable, "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_to_connect_to_is_told_after_the_tries() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (scheme, options) in
        [("kurrentdb", ""), ("kurrentdb+discover", "&maxDiscoverAttempts=2&discoveryInterval=1")]
    {
        let to = ConnectionString::parse(&format!("{scheme}://{address}?tls=false{options}")).unwrap();
        match RemoteStore::connect(to).await {
            Err(ConnectError::Store(error @ ReadError::Unreachable { .. })) => {
                assert!(error.to_string().contains(&address.to_string()), "{error}");
            }
            other => panic!("expected that nobody answers, got {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_found_by_asking_who_is_there() {
    let server = serve(Arc::new(MemoryStore::new()), Arc::new(ManualClock::default())).await;
    let address = server.address();
    let to = format!("kurrentdb+discover://127.0.0.1:1,{address}?tls=false&gossipTimeout=2");
    let store = RemoteStore::connect(ConnectionString::parse(&to).unwrap()).await.unwrap();
    assert_eq!(store.way(), Way::Own);
    store.append_to(stream("s"), ExpectedRevision::NoStream, vec![event("A")]).await.unwrap();
    assert!(store.capabilities().has(Capability::QueryConditions));
    let plain = RemoteStore::connect_by(connection_string(&server), Ways::KurrentOnly).await.unwrap();
    assert_eq!(plain.way(), Way::Kurrent);
    assert!(!plain.capabilities().has(Capability::QueryConditions));
    assert!(plain.capabilities().has(Capability::StreamChecks));
}

/// A store's futures need no runtime, and a caller may park the only thread of its own.
#[test]
fn it_needs_no_runtime_of_its_callers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(serve(Arc::new(MemoryStore::new()), Arc::new(ManualClock::default())));
    let store = factum_core::block_on(RemoteStore::connect(connection_string(&server))).unwrap();
    factum_core::block_on(store.append_to(stream("s"), ExpectedRevision::Any, vec![event("A")])).unwrap();
    let mut subscription = factum_core::block_on(store.subscribe(Subscribe::to(Selector::All))).unwrap();
    let message = factum_core::block_on(subscription.next()).unwrap();
    assert!(matches!(message, SubscriptionMessage::Events { .. }), "{message:?}");
    drop((subscription, store));
    runtime.block_on(server.stop());
}
