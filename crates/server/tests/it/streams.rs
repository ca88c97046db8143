//! Reading, following, appending to and deleting streams.

use factum_core::ExpectedRevision;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::append_resp::{Result as Outcome, success};
use factum_protocol::wire::v1::streams::read_req::options;
use factum_protocol::{LinkTarget, stream_to_wire};
use tonic::Code;

use crate::house::{House, append, event, exact, following, name, of_all, of_stream, read, shape, trailer};

fn success_of(answer: &wire::AppendResp) -> (Option<u64>, Option<u64>) {
    let Some(Outcome::Success(success)) = &answer.result else { panic!("not a success: {answer:?}") };
    let revision = match success.current_revision_option {
        Some(success::CurrentRevisionOption::CurrentRevision(revision)) => Some(revision),
        _ => None,
    };
    let position = match &success.position_option {
        Some(success::PositionOption::Position(position)) => Some(position.commit_position),
        _ => None,
    };
    (revision, position)
}

#[tokio::test]
async fn what_was_appended_is_read_with_its_positions() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let events = vec![event("Opened", "{}"), event("Deposited", "{\"amount\":1}")];
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    let answer =
        append(&mut client, "account-1", ExpectedRevision::NoStream, events).await.expect("appended");
    assert_eq!(success_of(&answer), (Some(1), Some(1)));
    let answers = read(&mut client, of_stream("account-1", 10)).await.expect("read");
    assert_eq!(shape(&answers), ["0", "1", "last 1"]);
    let wire::read_resp::Content::Event(first) = &answers[0] else { panic!("an event") };
    let recorded = first.event.as_ref().expect("an event");
    assert_eq!(factum_protocol::uuid_from_wire(recorded.id.as_ref()), Ok(ids[0]));
    assert_eq!((recorded.metadata["type"].as_str(), recorded.commit_position), ("Opened", 0));
}

#[tokio::test]
async fn the_same_events_again_are_the_same_append() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let events = vec![event("A", "1"), event("A", "2")];
    let first = append(&mut client, "s", ExpectedRevision::NoStream, events.clone()).await.expect("appended");
    append(&mut client, "other", ExpectedRevision::Any, vec![event("B", "1")]).await.expect("appended");
    let again = append(&mut client, "s", ExpectedRevision::NoStream, events).await.expect("appended");
    assert_eq!(success_of(&first), success_of(&again));
}

#[tokio::test]
async fn a_wrong_expectation_is_an_answer_and_of_a_delete_an_error() {
    let house = House::new().await;
    house.fill("s", "A", 3).await;
    let mut client = house.streams().await;
    let answer = append(&mut client, "s", exact(1), vec![event("B", "1")]).await.expect("an answer");
    let Some(Outcome::WrongExpectedVersion(wrong)) = answer.result else { panic!("not wrong: {answer:?}") };
    use wire::append_resp::wrong_expected_version::{CurrentRevisionOption, ExpectedRevisionOption};
    assert_eq!(wrong.current_revision_option, Some(CurrentRevisionOption::CurrentRevision(2)));
    assert_eq!(wrong.expected_revision_option, Some(ExpectedRevisionOption::ExpectedRevision(1)));

    let options = v1::ChangeOptions {
        stream_identifier: Some(stream_to_wire("s")),
        expected_stream_revision: Some(v1::change_options::ExpectedStreamRevision::Revision(7)),
    };
    let error = client.delete(wire::DeleteReq { options: Some(options) }).await.expect_err("refused");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(
        error.message(),
        "Delete failed due to WrongExpectedVersion. Stream: s, Expected version: 7, Actual version: 2"
    );
    assert_eq!(trailer(&error, "exception"), "wrong-expected-version");
    assert_eq!(trailer(&error, "actual-version"), "2");
}

#[tokio::test]
async fn a_missing_stream_is_an_answer_and_a_tombstoned_one_fails_the_call() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let answers = read(&mut client, of_stream("nope", 1)).await.expect("an answer");
    assert_eq!(shape(&answers), ["not found"]);
    let options = v1::ChangeOptions {
        stream_identifier: Some(stream_to_wire("gone")),
        expected_stream_revision: Some(v1::change_options::ExpectedStreamRevision::Any(())),
    };
    client.tombstone(wire::DeleteReq { options: Some(options) }).await.expect("tombstoned");
    let request = wire::ReadReq { options: Some(of_stream("gone", 1)) };
    let error = client.read(request).await.expect_err("the call itself fails");
    assert_eq!(
        (error.code(), error.message()),
        (Code::FailedPrecondition, "Event stream 'gone' is deleted.")
    );
    assert_eq!((trailer(&error, "exception"), trailer(&error, "stream-name")), ("stream-deleted", "gone"));
    let error =
        append(&mut client, "gone", ExpectedRevision::Any, vec![event("A", "1")]).await.expect_err("gone");
    assert_eq!(trailer(&error, "exception"), "stream-deleted");
}

#[tokio::test]
async fn the_ends_of_a_stream_are_told_to_those_who_know_the_words() {
    let house = House::new().await;
    house.fill("s", "A", 10).await;
    let mut client = house.streams().await;
    let tells =
        async |client: &mut _, count| shape(&read(client, of_stream("s", count)).await.expect("read"));
    assert_eq!(tells(&mut client, 3).await, ["0", "1", "2"]);
    assert_eq!(tells(&mut client, 10).await.last().map(String::as_str), Some("last 9"));
    let mut old = of_stream("s", 20);
    old.control_option = None;
    assert_eq!(shape(&read(&mut client, old).await.expect("read")).len(), 10);
    let metadata = factum_core::StreamMetadata { truncate_before: Some(8), ..Default::default() };
    factum_core::EventStoreExt::set_stream_metadata(house.store.as_ref(), name("s"), &metadata)
        .await
        .expect("metadata");
    assert_eq!(tells(&mut client, 20).await, ["first 8", "8", "9", "last 9"]);
}

#[tokio::test]
async fn links_are_shown_or_resolved_also_where_their_target_is_gone() {
    let house = House::new().await;
    house.fill("target", "A", 2).await;
    let mut client = house.streams().await;
    let link = |stream: &str, revision| {
        factum_core::NewEvent::binary(
            factum_core::EventType::new("$>").expect("a type"),
            LinkTarget::write(stream, factum_core::Revision(revision)),
        )
    };
    let links = vec![link("target", 1), link("target", 9), link("nope", 0)];
    append(&mut client, "links", ExpectedRevision::NoStream, links).await.expect("appended");
    assert_eq!(
        shape(&read(&mut client, of_stream("links", 9)).await.expect("read")),
        ["0", "1", "2", "last 2"]
    );
    let mut resolved = of_stream("links", 9);
    resolved.resolve_links = true;
    let shown = shape(&read(&mut client, resolved).await.expect("read"));
    assert_eq!(shown, ["0>1", "1>-", "2>-", "last 2"]);
}

#[tokio::test]
async fn a_subscription_confirms_gives_history_catches_up_and_goes_on() {
    let house = House::new().await;
    house.fill("s", "A", 2).await;
    let mut client = house.streams().await;
    let request = wire::ReadReq { options: Some(following(of_stream("s", 0))) };
    let mut answers = client.read(request).await.expect("subscribed").into_inner();
    let mut next = async || {
        let content = answers.message().await.expect("it lives").and_then(|answer| answer.content);
        shape(&[content.expect("an answer")])[0].clone()
    };
    for expected in ["confirmed", "0", "1", "caught up"] {
        assert_eq!(next().await, expected);
    }
    house.fill("s", "A", 1).await;
    house.fill("elsewhere", "A", 1).await;
    house.fill("s", "A", 1).await;
    assert_eq!((next().await, next().await), ("2".to_owned(), "3".to_owned()));
    house.server.stop().await;
    let error = answers.message().await.expect_err("the server stops");
    assert_eq!((error.code(), error.message()), (Code::Unavailable, "Server is shutting down"));
}

#[tokio::test]
async fn a_filtered_subscription_tells_how_far_it_looked() {
    let house = House::new().await;
    for n in 0..20 {
        house.fill("s", if n == 7 { "Wanted" } else { "Other" }, 1).await;
    }
    let mut client = house.streams().await;
    let mut wanted = following(of_all(0));
    wanted.filter_option = Some(options::FilterOption::Filter(v1::FilterOptions {
        filter: Some(v1::filter_options::Filter::EventType(v1::filter_options::Expression {
            // Look-ahead: what one client's own filter is made of.
            regex: "^(?!(Other|[$].*)$).*$".to_owned(),
            prefix: Vec::new(),
        })),
        window: Some(v1::filter_options::Window::Max(5)),
        checkpoint_interval_multiplier: 1,
    }));
    let mut answers =
        client.read(wire::ReadReq { options: Some(wanted) }).await.expect("subscribed").into_inner();
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("caught up") {
        let content = answers.message().await.expect("it lives").and_then(|answer| answer.content);
        seen.extend(shape(&[content.expect("an answer")]));
    }
    let expected =
        ["confirmed", "checkpoint 4", "7", "checkpoint 9", "checkpoint 14", "checkpoint 19", "caught up"];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn streams_of_links_are_served_from_the_indexes() {
    let house = House::new().await;
    house.fill("account-1", "Opened", 1).await;
    house.fill("order-1", "Placed", 1).await;
    house.fill("account-2", "Opened", 2).await;
    let mut client = house.streams().await;
    let mut resolved = async |stream: &str| {
        let mut options = of_stream(stream, 10);
        options.resolve_links = true;
        shape(&read(&mut client, options).await.expect("read"))
    };
    assert_eq!(resolved("$ce-account").await, ["0>0", "2>0", "3>1"]);
    assert_eq!(resolved("$et-Placed").await, ["1>0"]);
    assert_eq!(resolved("$streams").await, ["0>0", "1>0", "2>0"]);
    assert_eq!(resolved("$ce-nothing").await, ["not found"]);
    let error = append(&mut client, "$ce-account", ExpectedRevision::Any, vec![event("A", "1")]).await;
    assert_eq!(error.expect_err("it cannot be written").code(), Code::InvalidArgument);
}
