//! What is answered over plain HTTP: figures for Prometheus, and whether the server lives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use factum_core::ExpectedRevision;
use factum_protocol::wire::v1::streams as wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{self, House, following, of_all, of_stream, read};

/// Status and body.
pub(crate) async fn ask(house: &House, method: &str, path: &str) -> (u16, String) {
    ask_at(house.server.address(), method, path).await
}

/// The same, of whoever listens there.
pub(crate) async fn ask_at(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, body.to_owned())
}

/// Name with labels, and value; each name has a help and a kind, and comes together.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut figures, mut described) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(described_as) = line.strip_prefix("# ") {
            let mut words = described_as.splitn(3, ' ');
            let (what, name) = (words.next().expect("HELP or TYPE"), words.next().expect("a name"));
            assert!(!words.next().expect("a text").is_empty());
            match what {
                "HELP" => assert!(!described.contains(&name.to_owned()), "{name} comes twice"),
                "TYPE" => described.push(name.to_owned()),
                other => panic!("{other}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let plain = name.split('{').next().expect("a name");
        let of = described.last().expect("it is described");
        let ends = ["", "_bucket", "_sum", "_count"];
        assert!(ends.iter().any(|end| plain.strip_suffix(end) == Some(of)), "{plain} is not of {of}");
        assert!(name == plain || name.ends_with('}'), "{name}");
        assert_eq!(figures.insert(name.to_owned(), value.parse().expect("a number")), None, "{name}");
    }
    figures
}

async fn figures(house: &House) -> BTreeMap<String, f64> {
    let (status, text) = ask(house, "GET", "/metrics").await;
    assert_eq!(status, 200);
    parse(&text)
}

/// The figures, once one of them is as it should be.
async fn until(house: &House, name: &str, value: f64) -> BTreeMap<String, f64> {
    for _ in 0..2_000 {
        let figures = figures(house).await;
        if figures.get(name).is_some_and(|is| (is - value).abs() < 0.1) {
            return figures;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name} did not become {value}: {:?}", figures(house).await.get(name))
}

#[tokio::test]
async fn calls_events_and_connections_are_counted() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let events = vec![house::event("A", "12345"), house::event("A", "1")];
    house::append(&mut client, "a-1", ExpectedRevision::Any, events).await.expect("it is kept");
    read(&mut client, of_stream("a-1", 10)).await.expect("it is read");
    let stream = "event_store.client.streams.Streams";
    let ok = format!("factum_calls_total{{method=\"{stream}/Read\",status=\"Ok\"}}");
    let told = until(&house, &ok, 1.0).await;
    let is = |name: &str, value: f64| assert_eq!(told.get(name).copied(), Some(value), "{name}");
    is(&format!("factum_calls_total{{method=\"{stream}/Append\",status=\"Ok\"}}"), 1.0);
    is(&format!("factum_call_seconds_count{{method=\"{stream}/Append\"}}"), 1.0);
    is(&format!("factum_call_seconds_bucket{{method=\"{stream}/Append\",le=\"+Inf\"}}"), 1.0);
    is("factum_events_appended_total", 2.0);
    is("factum_events_appended_bytes_total", 6.0);
    is("factum_events_read_total", 2.0);
    is("factum_calls_open", 0.0);
    assert!(told["factum_received_bytes_total"] > 20.0 && told["factum_sent_bytes_total"] > 20.0);
    assert!(told["factum_connections_open"] >= 2.0);
    assert!(!told.contains_key("factum_log_position"), "a store in memory has no files");
}

#[tokio::test]
async fn a_subscription_is_there_until_its_client_goes() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let request = wire::ReadReq { options: Some(following(of_all(0))) };
    let answers = client.read(request).await.expect("a subscription");
    let told = until(&house, "factum_subscriptions_open", 1.0).await;
    assert_eq!(told.get("factum_calls_open").copied(), Some(1.0));
    drop(answers);
    until(&house, "factum_subscriptions_open", 0.0).await;
    let gone = "factum_calls_total{method=\"event_store.client.streams.Streams/Read\",status=\"Cancelled\"}";
    until(&house, gone, 1.0).await;
}

#[tokio::test]
async fn a_call_that_fails_is_counted_by_its_status() {
    let house = House::new().await;
    let mut client = house.streams().await;
    client.read(wire::ReadReq { options: None }).await.expect_err("it has no options");
    let bad =
        "factum_calls_total{method=\"event_store.client.streams.Streams/Read\",status=\"InvalidArgument\"}";
    until(&house, bad, 1.0).await;
}

#[tokio::test]
async fn the_server_says_that_it_lives() {
    let house = House::new().await;
    for path in ["/health/live", "/health/ready"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(ask(&house, method, path).await, (204, String::new()), "{method} {path}");
        }
        assert_eq!(ask(&house, "GET", &format!("{path}?liveCode=200")).await.0, 200);
        assert_eq!(ask(&house, "GET", &format!("{path}?liveCode=nonsense")).await.0, 204);
    }
    let (status, ping) = ask(&house, "GET", "/ping").await;
    assert_eq!((status, ping.as_str()), (200, r#"{"text":"Ping request successfully handled"}"#));
    assert_eq!(ask(&house, "GET", "/info").await.0, 200);
    assert_eq!(ask(&house, "GET", "/gossip").await.0, 200);
    assert_eq!(ask(&house, "GET", "/nothing").await.0, 404);
}
