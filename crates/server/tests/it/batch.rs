//! Many appends over one call.

use std::collections::HashMap;

use factum_core::ExpectedRevision;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::append_resp::success;
use factum_protocol::wire::v1::streams::batch_append_req::{Options, options};
use factum_protocol::wire::v1::streams::batch_append_resp::Result as Outcome;
use factum_protocol::{Proposed, UuidForm, stream_to_wire, uuid_from_wire, uuid_to_wire};
use factum_server::Limits;
use futures_util::stream;
use std::time::Duration;
use tonic::{Code, Status};

use crate::house::{House, append, event, of_stream, read, shape};

fn any(stream: &str) -> Option<Options> {
    Some(Options {
        stream_identifier: Some(stream_to_wire(stream)),
        expected_stream_position: Some(options::ExpectedStreamPosition::Any(())),
        deadline_option: None,
    })
}

fn chunk(id: u128, options: Option<Options>, data: &[&str], is_final: bool) -> wire::BatchAppendReq {
    wire::BatchAppendReq {
        correlation_id: Some(uuid_to_wire(factum_core::EventId(uuid::Uuid::from_u128(id)), UuidForm::Text)),
        options,
        proposed_messages: data.iter().map(|data| Proposed(event("A", data)).to_wire()).collect(),
        is_final,
    }
}

/// Every answer, by correlation id: the last revision, or the name of the failure's detail.
async fn answers(
    house: &House,
    chunks: Vec<wire::BatchAppendReq>,
) -> Result<HashMap<u128, Result<u64, String>>, Status> {
    let mut client = house.streams().await;
    let mut answers = client.batch_append(stream::iter(chunks)).await?.into_inner();
    let mut all = HashMap::new();
    while let Some(answer) = answers.message().await? {
        let id =
            uuid_from_wire(answer.correlation_id.as_ref()).expect("an answer repeats the id").0.as_u128();
        assert!(
            answer.stream_identifier.is_some() && answer.expected_stream_position.is_some(),
            "{answer:?}"
        );
        let outcome = match answer.result.expect("an outcome") {
            Outcome::Success(success) => match success.current_revision_option {
                Some(success::CurrentRevisionOption::CurrentRevision(revision)) => Ok(revision),
                other => panic!("no revision: {other:?}"),
            },
            Outcome::Error(status) => {
                Err(status.details[0].type_url.rsplit('.').next().expect("a name").to_owned())
            }
        };
        assert!(all.insert(id, outcome).is_none(), "answered twice");
    }
    Ok(all)
}

#[tokio::test]
async fn chunks_of_several_appends_may_come_interleaved() {
    let house = House::new().await;
    let chunks = vec![
        chunk(1, any("a"), &["1"], false),
        chunk(2, any("b"), &["1"], false),
        chunk(1, None, &["2"], false),
        chunk(2, None, &[], true),
        chunk(1, None, &["3"], true),
    ];
    let answers = answers(&house, chunks).await.expect("answered");
    assert_eq!(answers, HashMap::from([(1, Ok(2)), (2, Ok(0))]));
}

#[tokio::test]
async fn appends_to_one_stream_keep_their_order() {
    let house = House::new().await;
    let exact = |n: u64| {
        let expected = if n == 0 {
            options::ExpectedStreamPosition::NoStream(())
        } else {
            options::ExpectedStreamPosition::StreamPosition(n - 1)
        };
        any("s").map(|options| Options { expected_stream_position: Some(expected), ..options })
    };
    let chunks = (0..500).map(|n| chunk(u128::from(n) + 1, exact(n), &["1"], true)).collect();
    let answers = answers(&house, chunks).await.expect("answered");
    for n in 0..500 {
        assert_eq!(answers[&(u128::from(n) + 1)], Ok(n));
    }
}

#[tokio::test]
async fn a_failure_is_its_appends_own() {
    let limits = Limits { event_bytes: 100, append_bytes: 250, ..Limits::default() };
    let house = House::with(limits).await;
    let mut client = house.streams().await;
    append(&mut client, "s", ExpectedRevision::Any, vec![event("A", "1")]).await.expect("appended");
    let no_stream = any("s").map(|options| Options {
        expected_stream_position: Some(options::ExpectedStreamPosition::NoStream(())),
        ..options
    });
    let past = any("s").map(|options| Options {
        deadline_option: Some(options::DeadlineOption::Deadline21100(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        })),
        ..options
    });
    let large = "1".repeat(200);
    let some = "1".repeat(90);
    let mut bad = chunk(6, any("s"), &["1"], true);
    bad.proposed_messages[0].metadata.clear();
    let chunks = vec![
        chunk(1, no_stream, &["1"], true),
        chunk(2, past, &["1"], true),
        chunk(3, any("s"), &[&large], true),
        chunk(4, any("s"), &[&some, &some, &some], true),
        chunk(5, any("$ce-s"), &["1"], true),
        bad,
        chunk(7, any("s"), &["2"], true),
    ];
    let answers = answers(&house, chunks).await.expect("answered");
    let failed = |name: &str| Err(name.to_owned());
    assert_eq!(
        answers,
        HashMap::from([
            (1, failed("WrongExpectedVersion")),
            (2, failed("Timeout")),
            (3, failed("MaximumAppendEventSizeExceeded")),
            (4, failed("MaximumAppendSizeExceeded")),
            (5, failed("BadRequest")),
            (6, failed("BadRequest")),
            (7, Ok(1)),
        ])
    );
    assert_eq!(shape(&read(&mut client, of_stream("s", 9)).await.expect("read")), ["0", "1", "last 1"]);
}

#[tokio::test]
async fn an_append_without_an_end_times_out_and_leaves_nothing() {
    let limits = Limits { append_timeout: Duration::from_millis(50), ..Limits::default() };
    let house = House::with(limits).await;
    let mut client = house.streams().await;
    let first = stream::iter([chunk(1, any("s"), &["1"], false)]);
    // The client's side stays open: only the deadline can end the append.
    let open = futures_util::StreamExt::chain(first, stream::pending());
    let mut answers = client.batch_append(open).await.expect("begun").into_inner();
    let answer = answers.message().await.expect("it lives").expect("an answer");
    let Some(Outcome::Error(status)) = answer.result else { panic!("not an error: {answer:?}") };
    assert!(status.details[0].type_url.ends_with(".Timeout"));
    assert_eq!(shape(&read(&mut client, of_stream("s", 9)).await.expect("read")), ["not found"]);
}

#[tokio::test]
async fn chunks_that_never_end_are_bounded() {
    let limits = Limits { append_bytes: 1_000, event_bytes: 1_000, ..Limits::default() };
    let house = House::with(limits).await;
    let data = "1".repeat(900);
    let chunks = (1..100).map(|id| chunk(id, any("s"), &[&data], false)).collect();
    let error = answers(&house, chunks).await.expect_err("too much waits");
    assert_eq!(error.code(), Code::ResourceExhausted);
    let error = answers(&house, vec![chunk(1, None, &["1"], true)]).await.expect_err("no options");
    assert_eq!(error.code(), Code::InvalidArgument);
}
