//! Reading events: pages, single ones, names and numbers as hostile as they come.

use factum_core::{Append, EventStoreExt, ExpectedRevision};
use http::Method;

use super::{house, revisions};
use crate::house::{event, name};

#[tokio::test]
async fn a_stream_is_read_page_by_page_both_ways() {
    let (house, web) = house().await;
    house.fill("s", "T", 7).await;
    for (first, expected) in [
        ("/v1/streams/s/events?limit=3", vec![vec![0, 1, 2], vec![3, 4, 5], vec![6]]),
        ("/v1/streams/s/events?limit=3&direction=backward", vec![vec![6, 5, 4], vec![3, 2, 1], vec![0]]),
    ] {
        let mut path = first.to_owned();
        let mut seen = Vec::new();
        let last = loop {
            let answer = web.get(&path).await;
            let page = answer.json();
            seen.push(revisions(&page));
            assert_eq!(page["page"]["head"], 6);
            match page["page"]["next"].as_str() {
                Some(next) => {
                    assert!(answer.header("link").contains(next));
                    path = next.to_owned();
                }
                None => break page,
            }
        };
        assert_eq!(seen, expected, "{first}");
        // And back again, each page as it was.
        let mut page = last;
        for expected in expected.iter().rev().skip(1) {
            page = web.get(page["page"]["prev"].as_str().expect("a page before")).await.json();
            assert_eq!(revisions(&page), *expected, "{first}");
        }
        assert_eq!(page["page"]["prev"], serde_json::Value::Null, "{first}");
    }
}

#[tokio::test]
async fn the_log_is_read_page_by_page_both_ways_and_filtered() {
    let (house, web) = house().await;
    for (stream, kind) in [
        ("order-1", "Placed"),
        ("order-2", "Placed"),
        ("cart-1", "Filled"),
        ("$odd", "$x"),
        ("order-1", "Sent"),
    ] {
        house.fill(stream, kind, 1).await;
    }
    let read = async |path: &str| {
        let page = web.get(path).await.json();
        let all = page["items"].as_array().unwrap().iter();
        let names: Vec<_> = all.map(|event| event["position"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), page)
    };
    assert_eq!(read("/v1/events").await.0, "0 1 2 4");
    assert_eq!(read("/v1/events?system=true").await.0, "0 1 2 3 4");
    assert_eq!(read("/v1/events?direction=backward&limit=2").await.0, "4 2");
    assert_eq!(read("/v1/events?type=Placed&type=Sent").await.0, "0 1 4");
    assert_eq!(read("/v1/events?category=cart").await.0, "2");
    assert_eq!(read("/v1/events?category=cart&category=order&type=Placed").await.0, "0 1");
    assert_eq!(read("/v1/events?stream=order-1").await.0, "0 4");
    assert_eq!(read("/v1/events?from=2").await.0, "2 4");
    assert_eq!(read("/v1/events?from=end").await.0, "");
    for direction in ["forward", "backward"] {
        let (mut seen, mut page) =
            read(&format!("/v1/events?direction={direction}&limit=1&type=Placed")).await;
        while let Some(next) = page["page"]["next"].as_str().map(str::to_owned) {
            let (more, next) = read(&next).await;
            seen = format!("{seen} {more}");
            page = next;
        }
        assert_eq!(seen.trim(), if direction == "forward" { "0 1" } else { "1 0" });
    }
    for bad in ["from=x", "direction=up", "limit=0", "limit=many", "system=perhaps"] {
        let answer = web.get(&format!("/v1/events?{bad}")).await;
        assert_eq!(answer.problem(), "bad-parameter", "{bad}");
        assert_eq!(answer.json()["parameter"], bad.split('=').next().unwrap());
    }
    assert_eq!(web.get("/v1/events?from=99").await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn one_event_is_found_by_its_place_and_by_its_id() {
    let (house, web) = house().await;
    house.fill("s", "T", 3).await;
    for (place, revision) in [("0", 0), ("2", 2), ("first", 0), ("last", 2)] {
        let answer = web.get(&format!("/v1/streams/s/events/{place}")).await;
        assert_eq!(answer.json()["revision"], revision, "{place}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(web.get(&format!("/v1/events/{id}")).await.text, answer.text);
        let again = web.with("if-none-match", answer.header("etag")).get(&format!("/v1/events/{id}")).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    }
    assert_eq!(web.get("/v1/streams/s/events/3").await.problem(), "event-not-found");
    assert_eq!(web.get("/v1/streams/s/events/x").await.problem(), "bad-parameter");
    assert_eq!(web.get("/v1/streams/none/events/0").await.problem(), "stream-not-found");
    assert_eq!(web.get("/v1/events/00000000-0000-4000-8000-000000000000").await.problem(), "event-not-found");
    assert_eq!(web.get("/v1/events/17").await.problem(), "bad-parameter");
    // What a stream hides is not found by its id either.
    let hidden = web.get("/v1/streams/s/events/0").await.json()["id"].as_str().unwrap().to_owned();
    web.put_json(Method::PUT, "/v1/streams/s/metadata", r#"{"$tb":1}"#).await;
    assert_eq!(web.get(&format!("/v1/events/{hidden}")).await.problem(), "event-not-found");
    assert_eq!(web.get("/v1/streams/s/events/0").await.problem(), "event-not-found");
    assert_eq!(web.get("/v1/streams/s/events").await.json()["page"]["firstVisible"], 1);
}

#[tokio::test]
async fn a_page_is_sent_once_to_whoever_has_it() {
    let (house, web) = house().await;
    house.fill("s", "T", 2).await;
    let first = web.get("/v1/streams/s/events").await;
    let knowing = web.with("if-none-match", first.header("etag"));
    assert_eq!(knowing.get("/v1/streams/s/events").await.status.as_u16(), 304);
    house.fill("s", "T", 1).await;
    assert_eq!(knowing.get("/v1/streams/s/events").await.status.as_u16(), 200);
}

#[tokio::test]
async fn names_and_numbers_come_back_as_they_were_written() {
    let (house, web) = house().await;
    let data =
        r#"{"big":9223372036854775807,"bigger":123456789012345678901234567890,"price":1.10,"z":1,"a":2}"#;
    for (hostile, path) in [
        ("a/b", "a%2Fb"),
        ("<script>alert(1)</script>", "%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        ("order 1 ünïcode 🦀", "order%201%20%C3%BCn%C3%AFcode%20%F0%9F%A6%80"),
        ("\u{202e}evil\u{1}", "%E2%80%AEevil%01"),
        ("a+b?c#d&e=f%", "a+b%3Fc%23d%26e=f%25"),
        ("$weird-\"quote\"", "$weird-%22quote%22"),
    ] {
        house.store.append_to(name(hostile), ExpectedRevision::Any, vec![event("T", data)]).await.unwrap();
        let answer = web.get(&format!("/v1/streams/{path}/events/0")).await;
        assert_eq!(answer.json()["stream"], hostile, "{path}: {}", answer.text);
        assert!(answer.text.contains(data), "{}", answer.text);
        let page = web.get(&format!("/v1/streams/{path}/events?limit=1")).await;
        assert_eq!(page.json()["items"][0]["stream"], hostile);
        assert_eq!(web.get(&format!("/v1/streams/{path}")).await.json()["stream"], hostile);
    }
    for (path, slug) in [
        ("/v1/streams/%FF/events", "bad-name"),
        ("/v1/streams/$all", "bad-name"),
        ("/v1/streams/$$$$x/events", "bad-name"),
        ("/v1/streams/$$/events", "bad-name"),
    ] {
        assert_eq!(web.get(path).await.problem(), slug, "{path}");
    }
    let long = "x".repeat(1_025);
    assert_eq!(web.get(&format!("/v1/streams/{long}/events")).await.problem(), "bad-name");
}

#[tokio::test]
async fn bytes_that_are_no_json_come_in_base64() {
    let (house, web) = house().await;
    let binary = factum_core::NewEvent::binary(factum_core::EventType::new("Photo").unwrap(), vec![0, 255]);
    let broken = event("Broken", "{\"a\":");
    house.store.append(Append::to(name("s"), ExpectedRevision::Any, vec![binary, broken])).await.unwrap();
    let page = web.get("/v1/streams/s/events").await.json();
    assert_eq!(
        (&page["items"][0]["dataBase64"], &page["items"][0]["data"]),
        (&"AP8=".into(), &serde_json::Value::Null)
    );
    assert_eq!(page["items"][1]["dataBase64"], "eyJhIjo=");
}

#[tokio::test]
async fn an_index_is_a_stream_of_links_that_lead_somewhere() {
    let (house, web) = house().await;
    for stream in ["a-1", "b-1", "a-2"] {
        house.fill(stream, "T", 1).await;
    }
    let page = web.get("/v1/streams/$ce-a/events").await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!((&items[1]["stream"], &items[1]["link"]["stream"]), (&"a-2".into(), &"$ce-a".into()));
    let links =
        web.get("/v1/streams/$ce-a/events?resolveLinks=false&direction=backward&limit=1").await.json();
    assert_eq!(links["items"][0]["type"], "$>");
    let before = web.get(links["page"]["next"].as_str().unwrap()).await.json();
    assert_eq!(before["items"][0]["revision"], 0);
    assert_eq!(web.get("/v1/streams/$ce-none/events").await.problem(), "stream-not-found");
    assert_eq!(web.post("/v1/streams/$ce-a/events", r#"{"type":"T"}"#).await.problem(), "refused");
}
