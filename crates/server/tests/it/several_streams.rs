//! Appends to several streams at once: the second version of the protocol.

use factum_core::ExpectedRevision;
use factum_protocol::stream_to_wire;
use factum_protocol::wire::google::rpc;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::streams as v1_streams;
use factum_protocol::wire::v2 as wire;
use factum_protocol::wire::v2::errors;
use factum_protocol::wire::v2::streams_service_client::StreamsServiceClient;
use futures_util::stream;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::house::{House, append, event, of_all, of_stream, read, shape};

const ANY: i64 = -2;
const NO_STREAM: i64 = -1;
const EXISTS: i64 = -4;
const DELETED: i64 = -5;
const TOMBSTONED: i64 = -6;

async fn client(house: &House) -> StreamsServiceClient<Channel> {
    StreamsServiceClient::new(house.channel().await)
}

fn record(stream: &str, data: &str) -> wire::AppendRecord {
    let schema = wire::SchemaInfo {
        format: i32::from(wire::SchemaFormat::Json),
        name: Some("Happened".to_owned()),
        id: None,
    };
    let text = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("ada".to_owned())) };
    wire::AppendRecord {
        record_id: None,
        properties: [("user".to_owned(), text)].into(),
        schema: Some(schema),
        data: Some(data.to_owned().into()),
        stream: Some(stream.to_owned()),
    }
}

fn request(stream: &str, expected: i64, records: usize) -> wire::AppendRequest {
    wire::AppendRequest {
        stream: Some(stream.to_owned()),
        records: (0..records).map(|_| record(stream, "{}")).collect(),
        expected_revision: Some(expected),
    }
}

fn check(stream: &str, expected: i64) -> wire::ConsistencyCheck {
    wire::ConsistencyCheck {
        r#type: Some(wire::consistency_check::Type::StreamState(wire::consistency_check::StreamStateCheck {
            stream: Some(stream.to_owned()),
            expected_state: Some(expected),
        })),
    }
}

/// The reason and the last detail of an error.
fn rich(status: &Status) -> (String, prost_types::Any) {
    let details = rpc::Status::decode(status.details()).expect("a status");
    assert_eq!((details.code, details.message.as_str()), (status.code() as i32, status.message()));
    let info = details.details.first().expect("the reason comes first");
    assert_eq!(info.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = rpc::ErrorInfo::decode(info.value.as_slice()).expect("an ErrorInfo");
    (info.reason, details.details.last().expect("a detail").clone())
}

async fn prepared(house: &House) {
    let mut streams = house.streams().await;
    append(&mut streams, "live", ExpectedRevision::Any, vec![event("A", "1"), event("A", "2")])
        .await
        .expect("appended");
    append(&mut streams, "soft", ExpectedRevision::Any, vec![event("A", "1")]).await.expect("appended");
    let any = |stream: &str| v1_streams::DeleteReq {
        options: Some(v1::ChangeOptions {
            stream_identifier: Some(stream_to_wire(stream)),
            expected_stream_revision: Some(v1::change_options::ExpectedStreamRevision::Any(())),
        }),
    };
    streams.delete(any("soft")).await.expect("deleted");
    streams.tombstone(any("gone")).await.expect("tombstoned");
}

#[tokio::test]
async fn a_session_appends_to_all_its_streams_or_to_none() {
    let house = House::new().await;
    let mut v2 = client(&house).await;
    let session = vec![request("a", NO_STREAM, 2), request("b", ANY, 1)];
    let answer = v2.append_session(stream::iter(session)).await.expect("appended").into_inner();
    let outputs: Vec<_> = answer
        .output
        .iter()
        .map(|output| (output.stream.clone().unwrap_or_default(), output.stream_revision))
        .collect();
    assert_eq!(outputs, [("a".to_owned(), Some(1)), ("b".to_owned(), Some(0))]);
    assert_eq!(answer.position, Some(2));

    let session = vec![request("c", ANY, 1), request("a", NO_STREAM, 1)];
    let error = v2.append_session(stream::iter(session)).await.expect_err("a is there");
    assert_eq!(error.code(), Code::FailedPrecondition);
    let (reason, detail) = rich(&error);
    assert_eq!(reason, "STREAM_REVISION_CONFLICT");
    let detail =
        errors::StreamRevisionConflictErrorDetails::decode(detail.value.as_slice()).expect("the values");
    assert_eq!((detail.stream.as_str(), detail.expected_revision, detail.actual_revision), ("a", -1, 1));
    let mut streams = house.streams().await;
    assert_eq!(shape(&read(&mut streams, of_stream("c", 1)).await.expect("read")), ["not found"]);
}

#[tokio::test]
async fn a_session_that_makes_no_sense_says_why() {
    let house = House::new().await;
    prepared(&house).await;
    let mut v2 = client(&house).await;
    let mut fails = async |session: Vec<wire::AppendRequest>| {
        rich(&v2.append_session(stream::iter(session)).await.expect_err("refused")).0
    };
    assert_eq!(fails(vec![]).await, "APPEND_SESSION_NO_REQUESTS");
    assert_eq!(
        fails(vec![request("a", ANY, 1), request("A", ANY, 1)]).await,
        "STREAM_ALREADY_IN_APPEND_SESSION"
    );
    assert_eq!(fails(vec![request("", ANY, 1)]).await, "BAD_REQUEST");
    assert_eq!(fails(vec![request("a", ANY, 0)]).await, "BAD_REQUEST");
    assert_eq!(fails(vec![request("gone", ANY, 1)]).await, "STREAM_TOMBSTONED");
    assert_eq!(fails(vec![request("soft", EXISTS, 1)]).await, "STREAM_TOMBSTONED");
    let mut unnamed = request("a", ANY, 1);
    unnamed.records[0].schema.as_mut().expect("it has one").name = Some("no spaces".to_owned());
    assert_eq!(fails(vec![unnamed]).await, "BAD_REQUEST");
    let mut no_id = request("a", ANY, 1);
    no_id.records[0].record_id = Some("no uuid".to_owned());
    assert_eq!(fails(vec![no_id]).await, "BAD_REQUEST");
}

#[tokio::test]
async fn records_are_interleaved_as_they_were_sent_and_read_by_old_clients() {
    let house = House::new().await;
    let mut v2 = client(&house).await;
    let records = vec![record("a", "1"), record("b", "2"), record("a", "3")];
    let answer = v2
        .append_records(wire::AppendRecordsRequest { records, checks: vec![] })
        .await
        .expect("appended")
        .into_inner();
    let revisions: Vec<_> =
        answer.revisions.iter().map(|r| (r.stream.clone().unwrap_or_default(), r.revision)).collect();
    assert_eq!(revisions, [("a".to_owned(), Some(1)), ("b".to_owned(), Some(0))]);
    let mut streams = house.streams().await;
    let answers = read(&mut streams, of_all(9)).await.expect("read");
    let data: Vec<_> = answers
        .iter()
        .filter_map(|content| match content {
            v1_streams::read_resp::Content::Event(read) => read.event.clone(),
            _ => None,
        })
        .collect();
    let bytes: Vec<_> = data.iter().map(|event| event.data.clone()).collect();
    assert_eq!(bytes, ["1", "2", "3"]);
    let metadata = std::str::from_utf8(&data[0].custom_metadata).expect("text");
    assert!(metadata.contains(r#""user":"ada""#), "{metadata}");
    assert!(metadata.contains(r#""$schema.name":"Happened""#), "{metadata}");
    assert_eq!(data[0].metadata["type"], "Happened");
}

#[tokio::test]
async fn every_check_that_fails_is_told() {
    let house = House::new().await;
    prepared(&house).await;
    let mut v2 = client(&house).await;
    let mut violated = async |written: &str, checks: Vec<wire::ConsistencyCheck>| {
        let records = vec![record(written, "{}")];
        match v2.append_records(wire::AppendRecordsRequest { records, checks }).await {
            Ok(_) => Vec::new(),
            Err(error) => {
                let (reason, detail) = rich(&error);
                assert_eq!(reason, "APPEND_CONSISTENCY_VIOLATION", "{error:?}");
                let details = errors::AppendConsistencyViolationErrorDetails::decode(detail.value.as_slice());
                let one = |violation: errors::ConsistencyViolation| {
                    let Some(errors::consistency_violation::Type::StreamState(state)) = violation.r#type
                    else {
                        panic!("no state")
                    };
                    (violation.check_index, state.expected_state, state.actual_state)
                };
                details.expect("the values").violations.into_iter().map(one).collect()
            }
        }
    };
    let holds: Vec<(i32, i64, i64)> = Vec::new();
    assert_eq!(
        violated("w", vec![check("live", 1), check("soft", DELETED), check("gone", TOMBSTONED)]).await,
        holds
    );
    assert_eq!(violated("w", vec![check("nothing", NO_STREAM), check("live", EXISTS)]).await, holds);
    assert_eq!(
        violated("w", vec![check("live", 0), check("nothing", EXISTS), check("live2", 3)]).await,
        [(0, 0, 1), (1, EXISTS, NO_STREAM), (2, 3, NO_STREAM)]
    );
    assert_eq!(violated("w", vec![check("live", DELETED)]).await, [(0, DELETED, 1)]);
    assert_eq!(violated("w", vec![check("soft", EXISTS)]).await, [(0, EXISTS, DELETED)]);
    assert_eq!(violated("gone", vec![check("live", 1)]).await, [(1, ANY, TOMBSTONED)]);
    assert_eq!(violated("gone", vec![check("gone", TOMBSTONED)]).await, [(0, TOMBSTONED, TOMBSTONED)]);
}

#[tokio::test]
async fn of_two_checks_of_one_stream_both_must_hold() {
    let house = House::new().await;
    prepared(&house).await;
    let mut v2 = client(&house).await;
    let mut appends = async |checks: Vec<wire::ConsistencyCheck>| {
        let records = vec![record("live", "{}")];
        v2.append_records(wire::AppendRecordsRequest { records, checks }).await.map(drop)
    };
    for checks in [[check("live", 7), check("live", EXISTS)], [check("live", EXISTS), check("live", 7)]] {
        let error = appends(checks.into()).await.expect_err("it is at 1");
        assert_eq!(rich(&error).0, "APPEND_CONSISTENCY_VIOLATION");
    }
    appends(vec![check("live", 1), check("live", EXISTS)]).await.expect("both hold");
}
