//! The streams that KurrentDB's system projections write: here they are indexes.

use factum_core::EventStoreExt;
use factum_core::{Append, Delete, DeleteMode, ExpectedRevision, NewEvent, StreamMetadata};
use factum_protocol::stream_to_wire;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::read_req::{Options, options};
use tonic::Code;
use wire::read_resp::Content;

use crate::house::{self, House, following, name, of_stream, read, shape};

const REVISION: fn(u64) -> options::stream_options::RevisionOption =
    options::stream_options::RevisionOption::Revision;

/// `account-1`: 0, 1 at positions 0, 1; `order-1`: 0 at 2; `account-2`: 0 at 3; `account-1`: 2 at 4.
async fn filled() -> House {
    let house = House::new().await;
    house.fill("account-1", "Opened", 1).await;
    house.fill("account-1", "Paid", 1).await;
    house.fill("order-1", "Opened", 1).await;
    house.fill("account-2", "Opened", 1).await;
    house.fill("account-1", "Paid", 1).await;
    house
}

fn from(stream: &str, revision: u64, count: u64) -> Options {
    let of_stream = of_stream(stream, count);
    Options {
        stream_option: Some(options::StreamOption::Stream(options::StreamOptions {
            stream_identifier: Some(stream_to_wire(stream)),
            revision_option: Some(REVISION(revision)),
        })),
        ..of_stream
    }
}

fn backwards(mut options: Options) -> Options {
    options.read_direction = 1;
    options
}

fn resolved(mut options: Options) -> Options {
    options.resolve_links = true;
    options
}

async fn seen(house: &House, options: Options) -> Vec<String> {
    let answers = read(&mut house.streams().await, options).await.expect("it is read");
    shape(&answers)
}

/// Target of each link, as it is written.
async fn targets(house: &House, stream: &str) -> Vec<String> {
    let answers = read(&mut house.streams().await, of_stream(stream, 100)).await.expect("it is read");
    let of = |content: &Content| match content {
        Content::Event(event) => {
            let event = event.event.as_ref().expect("a link");
            format!("{} {}", event.metadata["type"], String::from_utf8_lossy(&event.data))
        }
        other => format!("{other:?}"),
    };
    answers.iter().map(of).collect()
}

#[tokio::test]
async fn a_category_is_read_both_ways_from_anywhere_and_so_far() {
    let house = filled().await;
    let seen = |options| seen(&house, options);
    let ce = "$ce-account";
    assert_eq!(seen(of_stream(ce, 10)).await, ["0", "1", "3", "4"]);
    assert_eq!(seen(of_stream(ce, 2)).await, ["0", "1"]);
    assert_eq!(seen(resolved(of_stream(ce, 10))).await, ["0>0", "1>1", "3>0", "4>2"]);
    // 2 is no link of this stream: the next one is as near as can be.
    assert_eq!(seen(from(ce, 2, 10)).await, ["3", "4"]);
    assert_eq!(seen(from(ce, 3, 1)).await, ["3"]);
    assert_eq!(seen(from(ce, 5, 10)).await, [] as [&str; 0]);
    assert_eq!(seen(backwards(from(ce, 4, 10))).await, ["4", "3", "1", "0"]);
    assert_eq!(seen(backwards(from(ce, 2, 10))).await, ["1", "0"]);
    assert_eq!(seen(backwards(from(ce, u64::MAX, 2))).await, ["4", "3"]);
    assert_eq!(seen(backwards(from(ce, u64::MAX - 1, 1))).await, ["4"]);
    assert_eq!(seen(backwards(of_stream(ce, 10))).await, [] as [&str; 0]);
}

#[tokio::test]
async fn each_index_says_what_it_points_to() {
    let house = filled().await;
    let correlated =
        NewEvent { metadata: br#"{"$correlationId":"c-1"}"#.to_vec().into(), ..house::event("Paid", "1") };
    let append = Append::to(name("order-1"), ExpectedRevision::Any, vec![correlated]);
    house.store.append(append).await.expect("it is kept");
    assert_eq!(targets(&house, "$et-Opened").await, ["$> 0@account-1", "$> 0@order-1", "$> 0@account-2"]);
    assert_eq!(targets(&house, "$ce-order").await, ["$> 0@order-1", "$> 1@order-1"]);
    assert_eq!(targets(&house, "$bc-c-1").await, ["$> 1@order-1"]);
    assert_eq!(targets(&house, "$streams").await, ["$> 0@account-1", "$> 0@order-1", "$> 0@account-2"]);
    assert_eq!(targets(&house, "$category-account").await, ["$@ account-1", "$@ account-2"]);
    // A reference leads to no event, resolved or not.
    assert_eq!(seen(&house, resolved(of_stream("$category-account", 10))).await, ["0", "3"]);
}

#[tokio::test]
async fn what_is_in_no_index_is_not_found_and_a_subscription_waits_for_it() {
    let house = filled().await;
    for stream in [
        "$ce-nothing",
        "$et-Nothing",
        "$bc-nothing",
        "$category-nothing",
        "$ce-account-1",
        "$category-account-1",
    ] {
        assert_eq!(seen(&house, of_stream(stream, 10)).await, ["not found"], "{stream}");
    }
    let mut client = house.streams().await;
    let request = wire::ReadReq { options: Some(following(of_stream("$ce-later", 0))) };
    let mut answers = client.read(request).await.expect("it is legal").into_inner();
    for expected in ["confirmed", "caught up"] {
        let answer = answers.message().await.expect("an answer").expect("more").content.expect("content");
        assert_eq!(shape(&[answer]), [expected]);
    }
    house.fill("later-1", "A", 1).await;
    let answer = answers.message().await.expect("an answer").expect("more").content.expect("content");
    assert_eq!(shape(&[answer]), ["5"]);
}

#[tokio::test]
async fn system_streams_and_links_are_in_no_category_and_metadata_has_a_type() {
    let house = filled().await;
    let link = NewEvent::binary(factum_core::EventType::new("$>").expect("a type"), b"0@account-1".to_vec());
    let append = Append::to(name("account-links"), ExpectedRevision::Any, vec![link]);
    house.store.append(append).await.expect("it is kept");
    let metadata = StreamMetadata { max_count: Some(5), ..StreamMetadata::default() };
    house.store.set_stream_metadata(name("order-1"), &metadata).await.expect("it is kept");
    house.fill("$account-9", "A", 1).await;
    assert_eq!(seen(&house, of_stream("$ce-account", 10)).await, ["0", "1", "3", "4"]);
    assert_eq!(targets(&house, "$et-$metadata").await, ["$> 0@$$order-1"]);
    assert_eq!(seen(&house, resolved(of_stream("$et-$metadata", 10))).await, ["6>0"]);
    assert_eq!(seen(&house, of_stream("$et-$>", 10)).await, ["not found"]);
}

#[tokio::test]
async fn a_link_whose_target_cannot_be_read_any_more_stands_alone() {
    let house = filled().await;
    let truncated = StreamMetadata { truncate_before: Some(2), ..StreamMetadata::default() };
    house.store.set_stream_metadata(name("account-1"), &truncated).await.expect("it is kept");
    let delete = |stream: &str, mode| Delete { stream: name(stream), expected: ExpectedRevision::Any, mode };
    house.store.delete(delete("account-2", DeleteMode::Soft)).await.expect("it is deleted");
    house.store.delete(delete("order-1", DeleteMode::Tombstone)).await.expect("it is deleted");
    assert_eq!(seen(&house, of_stream("$ce-account", 10)).await, ["0", "1", "3", "4"]);
    assert_eq!(seen(&house, resolved(of_stream("$ce-account", 10))).await, ["0>-", "1>-", "3>-", "4>2"]);
    let order = seen(&house, resolved(of_stream("$ce-order", 10))).await;
    assert_eq!(order.first().map(String::as_str), Some("2>-"));
    // One that comes back shows what it has from then on.
    house.fill("account-2", "Opened", 1).await;
    let account = seen(&house, resolved(of_stream("$ce-account", 10))).await;
    assert_eq!(account[2], "3>-");
    assert!(account.last().is_some_and(|last| last.ends_with(">1")), "{account:?}");
}

#[tokio::test]
async fn a_subscription_to_an_index_has_history_and_then_what_comes_and_goes_on_after_a_revision() {
    let house = filled().await;
    let mut client = house.streams().await;
    let request = wire::ReadReq { options: Some(following(resolved(from("$et-Paid", 1, 0)))) };
    let mut answers = client.read(request).await.expect("a subscription").into_inner();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(answers.message().await.expect("an answer").expect("more").content);
    }
    assert_eq!(shape(&told), ["confirmed", "4>2", "caught up"]);
    let Some(Content::CaughtUp(caught_up)) = told.last() else { panic!("{told:?}") };
    assert_eq!(caught_up.stream_revision, Some(4));
    house.fill("order-1", "Opened", 1).await;
    house.fill("order-1", "Paid", 1).await;
    let next = answers.message().await.expect("an answer").expect("more").content.expect("content");
    assert_eq!(shape(&[next]), ["6>2"]);
}

#[tokio::test]
async fn an_index_is_not_written_or_deleted() {
    let house = filled().await;
    let mut client = house.streams().await;
    let events = vec![house::event("A", "1")];
    let refused =
        house::append(&mut client, "$ce-account", ExpectedRevision::Any, events).await.expect_err("no");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("served from an index"), "{}", refused.message());
}
