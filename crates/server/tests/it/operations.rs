//! Running a server: scavenges, figures, its end.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum_core::EventStoreExt;
use factum_core::{Append, EventStore, ExpectedRevision, MemoryStore, ReadError, StreamMetadata};
use factum_engine::{Create, Engine, Options, ScavengeMode};
use factum_protocol::wire::v1::monitoring::{StatsReq, monitoring_client::MonitoringClient};
use factum_protocol::wire::v1::operations as wire;
use factum_server::{Maintenance, Progress, Reclaimed, Server, ServerOptions, StorageFigures};
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::operations_client::OperationsClient;
use wire::scavenge_resp::ScavengeResult;

use crate::house::{self, House, name, of_stream, read, trailer};

async fn client(house: &House) -> OperationsClient<Channel> {
    OperationsClient::new(house.channel().await)
}

async fn start(house: &House) -> Result<(String, ScavengeResult), Status> {
    let options = wire::start_scavenge_req::Options { thread_count: 1, start_from_chunk: 0 };
    let answer =
        client(house).await.start_scavenge(wire::StartScavengeReq { options: Some(options) }).await?;
    let answer = answer.into_inner();
    Ok((answer.scavenge_id.clone(), answer.scavenge_result()))
}

async fn stop(house: &House, id: &str) -> Result<ScavengeResult, Status> {
    let options = wire::stop_scavenge_req::Options { scavenge_id: id.to_owned() };
    let answer = client(house).await.stop_scavenge(wire::StopScavengeReq { options: Some(options) }).await?;
    Ok(answer.into_inner().scavenge_result())
}

/// The ends of scavenges that the log tells of, once there are `count`.
async fn ended(house: &House, count: usize) -> Vec<serde_json::Value> {
    loop {
        let answers = read(&mut house.streams().await, of_stream("$scavenges", 100)).await.expect("a read");
        let ends: Vec<_> = answers
            .iter()
            .filter_map(|content| match content {
                factum_protocol::wire::v1::streams::read_resp::Content::Event(event) => event.event.as_ref(),
                _ => None,
            })
            .filter(|event| event.metadata["type"] == "$scavengeCompleted")
            .map(|event| serde_json::from_slice(&event.data).expect("JSON"))
            .collect();
        if ends.len() >= count {
            return ends;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each segment is done when the test says so.
struct Stepped(Mutex<Receiver<()>>);

impl Maintenance for Stepped {
    fn scavenge(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Reclaimed, ReadError> {
        let steps = self.0.lock().expect("one scavenge at a time");
        for done in 1..=3 {
            steps.recv().expect("the test steps on");
            if watch(Progress { done, all: 3 }).is_break() {
                return Ok(Reclaimed { events: done, bytes: 10 * done });
            }
        }
        Ok(Reclaimed { events: 3, bytes: 30 })
    }

    fn figures(&self) -> StorageFigures {
        StorageFigures { end: 7, segments: 3, ..StorageFigures::default() }
    }
}

async fn stepped() -> (House, Sender<()>) {
    let (step, steps) = channel();
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let server = Server::new(store.clone(), ServerOptions::default());
    let server = server.with_maintenance(Arc::new(Stepped(Mutex::new(steps))));
    (House::over(store, server).await, step)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_scavenge_runs_at_a_time_and_one_that_ended_is_stopped() {
    let (house, step) = stepped().await;
    let (id, result) = start(&house).await.expect("it starts");
    assert_eq!(result, ScavengeResult::Started);
    assert_eq!(start(&house).await.expect("an answer"), (id.clone(), ScavengeResult::InProgress));
    for _ in 0..3 {
        step.send(()).expect("it runs");
    }
    let ends = ended(&house, 1).await;
    assert_eq!((&ends[0]["result"], &ends[0]["spaceSaved"]), (&"Success".into(), &30.into()));
    assert_eq!(stop(&house, &id).await.expect("it has ended"), ScavengeResult::Stopped);
    let (again, result) = start(&house).await.expect("it starts");
    assert_eq!(result, ScavengeResult::Started);
    assert_ne!(again, id);
    assert_eq!(stop(&house, &again).await.expect("it runs"), ScavengeResult::Stopped);
    step.send(()).expect("it runs");
    let ends = ended(&house, 2).await;
    assert_eq!((&ends[1]["result"], &ends[1]["events"]), (&"Stopped".into(), &1.into()));
}

#[tokio::test]
async fn a_scavenge_that_nobody_knows_is_not_found() {
    let (house, _step) = stepped().await;
    for id in ["", "nonsense", "b0c4c3ce-8b04-4a4b-a3a1-6cb1f7d2a0ff"] {
        let status = stop(&house, id).await.expect_err("there is none");
        assert_eq!((status.code(), status.message()), (Code::NotFound, "Scavenge id was invalid."));
        assert_eq!(
            (trailer(&status, "exception"), trailer(&status, "scavenge-id")),
            ("scavenge-not-found", id)
        );
    }
}

#[tokio::test]
async fn a_store_without_files_says_that_there_is_nothing_to_scavenge() {
    let house = House::new().await;
    let status = start(&house).await.expect_err("no");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("nothing to scavenge"), "{}", status.message());
    let mut client = client(&house).await;
    let options = wire::start_scavenge_req::Options { thread_count: -1, start_from_chunk: 0 };
    let status =
        client.start_scavenge(wire::StartScavengeReq { options: Some(options) }).await.expect_err("no");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_a_single_node_has_nothing_to_do_for_is_answered() {
    let house = House::new().await;
    let mut client = client(&house).await;
    client.merge_indexes(()).await.expect("an answer");
    client.resign_node(()).await.expect("an answer");
    client.set_node_priority(wire::SetNodePriorityReq { priority: -5 }).await.expect("an answer");
    client.restart_persistent_subscriptions(()).await.expect("an answer");
    client.restart_persistent_subscriptions(()).await.expect("and again");
}

#[tokio::test]
async fn shutdown_is_answered_and_then_the_server_ends() {
    let house = House::new().await;
    client(&house).await.shutdown(()).await.expect("it is answered first");
    house.server.wait().await;
    let address = house.server.address();
    house.server.stop().await;
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "nobody listens any more");
}

struct OfEngine(Engine);

impl Maintenance for OfEngine {
    fn scavenge(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Reclaimed, ReadError> {
        let done = self.0.scavenge_while(ScavengeMode::Reclaim, |done, all| watch(Progress { done, all }))?;
        Ok(Reclaimed { events: done.events, bytes: done.bytes })
    }

    fn figures(&self) -> StorageFigures {
        StorageFigures { log_bytes: self.0.info().log_bytes, ..StorageFigures::default() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scavenge_gives_back_what_nobody_can_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        create: Create::IfMissing,
        segment_bytes: 16 * factum_engine::MIN_SEGMENT_BYTES,
        ..Options::default()
    };
    let engine = Engine::open(dir.path(), options).expect("a store");
    let store: Arc<dyn EventStore> = Arc::new(engine.clone());
    let big = "\"".to_owned() + &"x".repeat(20_000) + "\"";
    for _ in 0..20 {
        let events = (0..10).map(|_| house::event("A", &big)).collect();
        store.append(Append::to(name("a-1"), ExpectedRevision::Any, events)).await.expect("it is kept");
    }
    let truncated = StreamMetadata { truncate_before: Some(190), ..StreamMetadata::default() };
    store.set_stream_metadata(name("a-1"), &truncated).await.expect("it is kept");
    let server =
        Server::new(store.clone(), ServerOptions::default()).with_maintenance(Arc::new(OfEngine(engine)));
    let house = House::over(store, server).await;
    start(&house).await.expect("it starts");
    let ends = ended(&house, 1).await;
    assert_eq!(ends[0]["result"], "Success");
    assert!(
        ends[0]["events"].as_u64() > Some(100) && ends[0]["spaceSaved"].as_u64() > Some(2_000_000),
        "{ends:?}"
    );
}

#[tokio::test]
async fn figures_come_at_once_and_then_again() {
    let (house, _step) = stepped().await;
    let mut client = MonitoringClient::new(house.channel().await);
    let request = StatsReq { use_metadata: false, refresh_time_period_in_ms: 1 };
    let mut answers = client.stats(request).await.expect("figures").into_inner();
    for _ in 0..2 {
        let stats = answers.message().await.expect("an answer").expect("more").stats;
        assert_eq!(stats["es-position"], "7");
        assert_eq!(stats["proc-id"], std::process::id().to_string());
        assert!(stats.keys().all(|name| name.starts_with("proc-") || name.starts_with("es-")), "{stats:?}");
    }
}
