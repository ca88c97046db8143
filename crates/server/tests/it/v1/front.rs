//! What every request passes: names, origins, problems, bodies.

use std::time::Duration;

use axum::body::Body;
use factum_server::{Endpoint, FirstEvents, Limits, ServerOptions};
use futures_util::stream;
use http::Method;

use super::{Web, house};
use crate::house::House;

#[tokio::test]
async fn an_address_that_is_none_is_a_problem_that_helps() {
    let (_house, web) = house().await;
    for path in ["/v1", "/v1/nothing", "/v1/streams/a/b/c"] {
        let answer = web.get(path).await;
        assert_eq!(answer.problem(), "no-such-route", "{path}");
        assert_eq!(answer.json()["instance"], path);
    }
    let answer = web.send(Method::DELETE, "/v1/events", "").await;
    assert_eq!(answer.problem(), "wrong-method");
    assert!(answer.header("allow").contains("GET"), "{:?}", answer.headers);
    // What is not of the API stays as it was.
    let answer = web.get("/nothing").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, ""));
}

#[tokio::test]
async fn names_that_are_a_way_up_have_an_address() {
    let (house, web) = house().await;
    for (name, address) in [(".", "~."), ("..", "~.."), ("~.", "~~."), ("~", "~")] {
        let path = format!("/v1/streams/{address}");
        let answer = web.post(&format!("{path}/events"), r#"{"type":"T"}"#).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["stream"]), (201, &name.into()), "{name}");
        assert_eq!(answer.header("location"), format!("{path}/events/0"));
        assert_eq!(web.get(&path).await.json()["stream"], name);
        let page = web.get(&format!("{path}/events?limit=1")).await.json();
        assert_eq!(page["items"][0]["stream"], name);
    }
    // Who can send the dots themselves may.
    assert_eq!(web.get("/v1/streams/%2E%2E").await.json()["stream"], "..");
    house.fill("..", "T", 2).await;
    assert_eq!(super::revisions(&web.get("/v1/streams/~../events").await.json()), [0, 1, 2]);
    // Names are gathered from the first question on.
    while !web.get("/v1/streams").await.json()["indexing"].is_null() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let found = web.get("/v1/resolve?q=..").await.json();
    assert!(
        found["items"].as_array().unwrap().iter().any(|item| item["url"] == "/ui/streams/~.."),
        "{found}"
    );
}

#[tokio::test]
async fn every_problem_is_explained() {
    let (_house, web) = house().await;
    let all = web.get("/problems").await.text;
    assert!(all.matches("<tr>").count() >= 30, "{all}");
    let one = web.get("/problems/wrong-expected-revision").await;
    assert!(one.status.is_success() && one.text.contains("412"), "{}", one.text);
    assert!(one.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(web.get("/problems/none-such").await.problem(), "not-found");
}

#[tokio::test]
async fn a_request_has_a_name() {
    let (_house, web) = house().await;
    let answer = web.with("x-request-id", "mine-1").get("/v1/events").await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert!(answer.header("server-timing").starts_with("total;dur="));
    let answer = web.get("/v1/nothing").await;
    assert_eq!(answer.json()["requestId"], answer.header("x-request-id"));
    let odd = "x".repeat(65);
    assert_ne!(web.with("x-request-id", &odd).get("/v1/events").await.header("x-request-id"), odd);
}

#[tokio::test]
async fn somebody_elses_name_for_this_machine_is_refused() {
    let (_house, web) = house().await;
    for host in
        ["evil.example", "evil.example:2113", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
    {
        let answer = web.with("host", host).get("/v1/events").await;
        assert_eq!(answer.problem(), "wrong-host", "{host}");
    }
    for host in ["localhost", "LOCALHOST:2113", "127.0.0.1", "127.9.9.9:1", "[::1]:2113", "a.localhost"] {
        assert!(web.with("host", host).get("/v1/events").await.status.is_success(), "{host}");
    }
    let options = ServerOptions {
        advertise: Some(Endpoint { host: "db.example".to_owned(), port: 2113 }),
        first_events: FirstEvents::None,
        ..ServerOptions::default()
    };
    let house = House::of(options).await;
    let web = Web::of(&house.server);
    assert!(web.with("host", "db.example:2113").get("/v1/events").await.status.is_success());
    assert_eq!(web.with("host", "evil.example").get("/v1/events").await.problem(), "wrong-host");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_write() {
    let (house, web) = house().await;
    let path = "/v1/streams/s/events";
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let answer = web.with(name, value).post(path, r#"{"type":"T"}"#).await;
        assert_eq!(answer.problem(), "cross-site", "{name}: {value}");
    }
    assert_eq!(web.get(path).await.problem(), "stream-not-found");
    let ours = format!("http://{}", house.server.address());
    for (name, value) in
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", ours.as_str())]
    {
        let answer = web.with(name, value).post(path, r#"{"type":"T"}"#).await;
        assert_eq!(answer.status.as_u16(), 201, "{name}: {value} {}", answer.text);
    }
    // Reading needs no such care: no other origin is shown the answer.
    assert!(web.with("sec-fetch-site", "cross-site").get(path).await.status.is_success());
}

#[tokio::test]
async fn bodies_are_bounded_in_bytes_and_in_time() {
    let limits = Limits {
        append_bytes: 1_000,
        event_bytes: 500,
        body_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let house = House::with(limits).await;
    let web = Web::of(&house.server).with("content-type", "application/json");
    let path = "/v1/streams/s/events";
    let event = |bytes: usize| format!(r#"{{"type":"T","data":"{}"}}"#, "x".repeat(bytes));
    let answer = web.send(Method::POST, path, event(600)).await;
    assert_eq!((answer.problem().as_str(), &answer.json()["limit"]), ("too-large", &500.into()));
    let three = format!("[{0},{0},{0}]", event(400));
    let answer = web.send(Method::POST, path, three).await;
    assert_eq!((answer.problem().as_str(), &answer.json()["limit"]), ("too-large", &1_000.into()));
    // One that says so is not even read, and one that does not say is read no further than the limit.
    let announced = web.with("content-length", "99999999999").open(Method::POST, path, Body::empty()).await;
    assert_eq!(announced.status().as_u16(), 413);
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
    let answer = web.send(Method::POST, path, Body::from_stream(endless)).await;
    assert_eq!(answer.problem(), "too-large");
    let silent = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_eq!(web.send(Method::POST, path, silent).await.problem(), "too-slow");
    assert_eq!(
        web.with("content-encoding", "gzip").send(Method::POST, path, "x").await.problem(),
        "unsupported-media-type"
    );
}

#[tokio::test]
async fn a_reader_waits_for_a_position_and_not_for_ever() {
    let (house, web) = house().await;
    house.fill("s", "T", 2).await;
    assert!(web.get("/v1/events?after=1").await.status.is_success());
    assert_eq!(web.get("/v1/events?after=2&wait=20ms").await.problem(), "stale");
    for bad in ["after=x", "after=1&wait=1h", "after=-1"] {
        assert_eq!(web.get(&format!("/v1/events?{bad}")).await.problem(), "bad-parameter", "{bad}");
    }
    let waiting = tokio::spawn({
        let web = web.clone();
        async move { web.get("/v1/streams/s/events?after=2&wait=20s").await }
    });
    house.fill("s", "T", 1).await;
    assert_eq!(super::revisions(&waiting.await.unwrap().json()), [0, 1, 2]);
}
