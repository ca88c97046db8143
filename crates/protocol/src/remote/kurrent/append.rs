//! Appends and deletes by KurrentDB's calls.

use std::collections::HashMap;
use std::sync::Arc;

use factum_core::check_limits;
use factum_core::{
    Append, AppendError, Appended, Capability, ContentType, Delete, DeleteMode, Deleted, Direction,
    ExpectedRevision, FailedCheck, InvalidEvent, NewEvent, Position, ReadError, Revision, StreamAppended,
    StreamName, StreamState, StreamWrite,
};
use prost::Message;
use tonic::Status;

use super::wire_read::{Answers, From, Said, Source, Span, client, request};
use super::{carry, place};
use crate::remote::cluster::{Calling, Cluster, Features, Link};
use crate::remote::connection_string::Node;
use crate::remote::failure::{Fault, fault_of};
use crate::wire::google::rpc;
use crate::wire::v1::streams::append_resp::wrong_expected_version::CurrentRevisionOption;
use crate::wire::v1::streams::append_resp::{Result as Outcome, Success, WrongExpectedVersion, success};
use crate::wire::v1::streams::delete_resp::PositionOption;
use crate::wire::v1::streams::{AppendReq, AppendResp, DeleteReq, append_req};
use crate::wire::v1::{ChangeOptions, ProposedMessage};
use crate::wire::v2::streams_service_client::StreamsServiceClient;
use crate::wire::v2::{
    AppendRecord, AppendRecordsRequest, AppendRequest, ConsistencyCheck, SchemaFormat, SchemaInfo,
    consistency_check,
};
use crate::wire::{server_errors, v2};
use crate::{Expectation, Proposed, expected_number, stream_to_wire};

/// Appends.
pub(in crate::remote) async fn append(
    cluster: &Arc<Cluster>,
    append: Append,
) -> Result<Appended, AppendError> {
    check_limits(&append)?;
    let lacks = |capability| Err(AppendError::Unsupported { capability });
    if append.append_id.is_some() {
        return lacks(Capability::AppendIds);
    }
    if !append.conditions.is_empty() {
        return lacks(Capability::QueryConditions);
    }
    match (&append.writes[..], append.checks.is_empty()) {
        ([write], true) => one(cluster, write).await,
        // What is appended nowhere asks nobody.
        ([], true) => Ok(Appended {
            first: None,
            last: None,
            streams: Vec::new(),
            deduplicated: false,
            token: place::origin(cluster).await?.at(place::end(cluster).await?.unwrap_or_default()),
        }),
        _ => several(cluster, &append).await,
    }
}

fn odd_metadata(stream: &StreamName, index: usize) -> AppendError {
    let source = InvalidEvent::NotJson { part: "metadata", line: 1, column: 1 };
    AppendError::InvalidEvent { stream: stream.clone(), index, source }
}

/// The events as they travel to a server of this kind.
fn proposed(write: &StreamWrite, features: Features) -> Result<Vec<ProposedMessage>, AppendError> {
    let message = |(index, event): (usize, &NewEvent)| {
        if features.own {
            return Ok(Proposed(event.clone()).to_wire());
        }
        let metadata = carry::packed(event).map_err(|_| odd_metadata(&write.stream, index))?;
        let plain = NewEvent {
            metadata,
            tags: Vec::new(),
            schema_version: factum_core::SchemaVersion::FIRST,
            occurred_at: None,
            ..event.clone()
        };
        Ok(Proposed(plain).to_wire())
    };
    write.events.iter().enumerate().map(message).collect()
}

fn options(stream: &StreamName, expected: ExpectedRevision) -> ChangeOptions {
    ChangeOptions {
        stream_identifier: Some(stream_to_wire(stream.as_str())),
        expected_stream_revision: Some(Expectation(expected).to_wire()),
    }
}

async fn one(cluster: &Arc<Cluster>, write: &StreamWrite) -> Result<Appended, AppendError> {
    let begin =
        AppendReq { content: Some(append_req::Content::Options(options(&write.stream, write.expected))) };
    let begin = &begin;
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            let events = match proposed(write, link.features) {
                Ok(events) => events,
                Err(error) => return Ok(Err(error)),
            };
            let event = |event| AppendReq { content: Some(append_req::Content::ProposedMessage(event)) };
            let messages: Vec<AppendReq> =
                std::iter::once(begin.clone()).chain(events.into_iter().map(event)).collect();
            let messages = cluster.request(Messages(messages.into_iter()));
            let answer = client(&link).append(messages).await.map_err(|status| fault_of(&status))?;
            Ok(Ok(answer.into_inner()))
        })
    };
    let answer: AppendResp =
        cluster.call(call).await.map_err(|fault| fault.into_append(Some(&write.stream)))??;
    match answer.result {
        Some(Outcome::Success(success)) => succeeded(cluster, write, &success).await,
        Some(Outcome::WrongExpectedVersion(told)) => Err(conflict(write, &told)),
        None => Err(AppendError::OutcomeUnknown { why: "the server's answer says nothing".to_owned() }),
    }
}

/// Messages as a stream that has them all.
struct Messages<T>(std::vec::IntoIter<T>);

impl<T: Unpin> tokio_stream::Stream for Messages<T> {
    type Item = T;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn conflict(write: &StreamWrite, told: &WrongExpectedVersion) -> AppendError {
    let actual = match told.current_revision_option {
        Some(CurrentRevisionOption::CurrentRevision(last)) => StreamState::Live { last: Revision(last) },
        Some(CurrentRevisionOption::CurrentNoStream(())) | None => StreamState::Missing,
    };
    let (stream, expected) = (write.stream.clone(), write.expected);
    AppendError::Conflict { failed: vec![FailedCheck::Revision { stream, expected, actual }] }
}

async fn succeeded(
    cluster: &Arc<Cluster>,
    write: &StreamWrite,
    success: &Success,
) -> Result<Appended, AppendError> {
    let current = match success.current_revision_option {
        Some(success::CurrentRevisionOption::CurrentRevision(last)) => Some(Revision(last)),
        Some(success::CurrentRevisionOption::NoStream(())) | None => None,
    };
    let position = match &success.position_option {
        Some(success::PositionOption::Position(position)) => Some(Position(position.commit_position)),
        Some(success::PositionOption::NoPosition(())) | None => None,
    };
    let streams = vec![revisions(&write.stream, write.events.len(), current)];
    done(cluster, streams, position.filter(|_| !write.events.is_empty())).await
}

/// The revisions of so many events of which the last one has this.
fn revisions(stream: &StreamName, count: usize, last: Option<Revision>) -> StreamAppended {
    let back = u64::try_from(count).unwrap_or(u64::MAX);
    let first = last.and_then(|last| last.0.checked_add(1)?.checked_sub(back)).filter(|_| count > 0);
    StreamAppended { stream: stream.clone(), first: first.map(Revision), last }
}

/// What an append came to that ended at `last`. Its beginning is not told, and is looked up.
async fn done(
    cluster: &Arc<Cluster>,
    streams: Vec<StreamAppended>,
    last: Option<Position>,
) -> Result<Appended, AppendError> {
    let unknown = |error: ReadError| AppendError::OutcomeUnknown { why: error.to_string() };
    let origin = place::origin(cluster).await.map_err(unknown)?;
    let Some(last) = last else {
        let end = place::end(cluster).await.map_err(unknown)?.unwrap_or_default();
        let token = origin.at(end);
        return Ok(Appended { first: None, last: None, streams, deduplicated: false, token });
    };
    let first = match streams.first() {
        Some(StreamAppended { stream, first: Some(first), last: ended })
            if streams.len() > 1 || Some(*first) != *ended =>
        {
            position_of(cluster, stream, *first).await
        }
        _ => Some(last),
    };
    let token = origin.at(last.next());
    Ok(Appended { first, last: Some(last), streams, deduplicated: false, token })
}

/// Where the event stands; `None` where that cannot be found out, which is no reason to say that it was not appended.
async fn position_of(cluster: &Cluster, stream: &StreamName, revision: Revision) -> Option<Position> {
    let source = Source::Stream(stream.clone());
    let asked = request(&source, Direction::Forwards, From::Revision(revision), Span::Count(1));
    let mut answers = Answers::open(cluster, &asked).await.ok()?;
    while let Some(said) = answers.next().await.ok()? {
        if let Ok(Said::Event(event)) = said {
            return (event.revision() == revision).then_some(event.position());
        }
    }
    None
}

/// Deletes.
pub(in crate::remote) async fn delete(
    cluster: &Arc<Cluster>,
    delete: Delete,
) -> Result<Deleted, AppendError> {
    let Delete { stream, expected, mode } = delete;
    // The rule of every store, which the protocol leaves to the server.
    if stream.as_str().starts_with("$$") || stream.as_str() == factum_core::SCHEMAS_STREAM {
        return Err(AppendError::Invalid {
            why: format!("'{stream}' belongs to the store and cannot be deleted"),
        });
    }
    let asked = DeleteReq { options: Some(options(&stream, expected)) };
    let (asked, changed) = (&asked, &stream);
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            let request = cluster.request(asked.clone());
            let answer = match mode {
                DeleteMode::Soft => client(&link).delete(request).await,
                DeleteMode::Tombstone => client(&link).tombstone(request).await,
            };
            match answer.map_err(|status| fault_of(&status)) {
                Ok(answer) => Ok(Ok(answer.into_inner())),
                Err(Fault::WrongVersion { actual, .. }) => Ok(Err(FailedCheck::Revision {
                    stream: changed.clone(),
                    expected,
                    actual: state_of(actual),
                })),
                Err(fault) => Err(fault),
            }
        })
    };
    let answer = cluster.call(call).await.map_err(|fault| fault.into_append(Some(&stream)))?;
    let answer = answer.map_err(|failed| AppendError::Conflict { failed: vec![failed] })?;
    let position = match answer.position_option {
        Some(PositionOption::Position(position)) => Some(Position(position.commit_position)),
        Some(PositionOption::NoPosition(())) | None => None,
    };
    let unknown = |error: ReadError| AppendError::OutcomeUnknown { why: error.to_string() };
    let origin = place::origin(cluster).await.map_err(unknown)?;
    let next = match position {
        Some(position) => position.next(),
        None => place::end(cluster).await.map_err(unknown)?.unwrap_or_default(),
    };
    Ok(Deleted { position, token: origin.at(next) })
}

/// A stream's state from the protocol's number for it.
fn state_of(number: i64) -> StreamState {
    match (number, u64::try_from(number)) {
        (i64::MAX, _) | (TOMBSTONED, _) => StreamState::Tombstoned,
        (SOFT_DELETED, _) => StreamState::SoftDeleted { last: None },
        (_, Ok(last)) => StreamState::Live { last: Revision(last) },
        (_, Err(_)) => StreamState::Missing,
    }
}

/// The second version's number for a stream that was deleted and may come back.
const SOFT_DELETED: i64 = -5;
/// The second version's number for one that may not.
const TOMBSTONED: i64 = -6;

/// Streams with the revision of their last event.
type Last = Vec<(Option<String>, Option<i64>)>;

async fn several(cluster: &Arc<Cluster>, append: &Append) -> Result<Appended, AppendError> {
    let call = |link: Arc<Link>| -> Calling<'_, _> {
        Box::pin(async move {
            let mut client =
                StreamsServiceClient::new(link.channel.clone()).max_encoding_message_size(usize::MAX);
            let told = if link.features.append_records {
                let asked = match records(append) {
                    Ok(asked) => asked,
                    Err(error) => return Ok(Err(error)),
                };
                client.append_records(cluster.request(asked)).await.map(|answer| {
                    let answer = answer.into_inner();
                    let told = answer.revisions.into_iter();
                    let last: Last = told.map(|told| (told.stream, told.revision)).collect();
                    (last, answer.position)
                })
            } else if link.features.append_session {
                let asked = match session(append) {
                    Ok(asked) => asked,
                    Err(error) => return Ok(Err(error)),
                };
                client.append_session(cluster.request(Messages(asked.into_iter()))).await.map(|answer| {
                    let answer = answer.into_inner();
                    let told = answer.output.into_iter();
                    let last: Last = told.map(|told| (told.stream, told.stream_revision)).collect();
                    (last, answer.position)
                })
            } else {
                return Ok(Err(AppendError::Unsupported { capability: Capability::MultiStreamAppend }));
            };
            match told {
                Ok(told) => Ok(Ok(told)),
                Err(status) => refused(&status, append).map(Err),
            }
        })
    };
    let (last, position): (Last, Option<i64>) =
        cluster.call(call).await.map_err(|fault| fault.into_append(None))??;
    let last: HashMap<String, u64> = last
        .into_iter()
        .filter_map(|(stream, revision)| Some((stream?, u64::try_from(revision?).ok()?)))
        .collect();
    let mut counts: Vec<(&StreamName, usize)> = Vec::new();
    let mut places: HashMap<&StreamName, usize> = HashMap::new();
    for write in &append.writes {
        let place = *places.entry(&write.stream).or_insert_with(|| {
            counts.push((&write.stream, 0));
            counts.len() - 1
        });
        counts[place].1 += write.events.len();
    }
    let streams = counts
        .into_iter()
        .map(|(stream, count)| revisions(stream, count, last.get(stream.as_str()).copied().map(Revision)))
        .collect();
    let position = position.and_then(|position| u64::try_from(position).ok()).map(Position);
    done(cluster, streams, position).await
}

/// A record of one event.
fn record(stream: &StreamName, index: usize, event: &NewEvent) -> Result<AppendRecord, AppendError> {
    let properties = carry::properties(event).map_err(|_| odd_metadata(stream, index))?;
    let format = match event.content_type {
        ContentType::Json => SchemaFormat::Json,
        ContentType::Binary => SchemaFormat::Bytes,
    };
    Ok(AppendRecord {
        record_id: Some(event.id.0.to_string()),
        properties: properties.into_iter().collect(),
        schema: Some(SchemaInfo {
            format: i32::from(format),
            name: Some(event.event_type.to_string()),
            id: None,
        }),
        data: Some(event.data.clone()),
        stream: Some(stream.to_string()),
    })
}

fn all_have_events(append: &Append) -> Result<(), AppendError> {
    if append.writes.iter().any(|write| write.events.is_empty()) {
        let why = "KurrentDB's appends to several streams need an event for each: leave the others out, or check them";
        return Err(AppendError::Invalid { why: why.to_owned() });
    }
    Ok(())
}

fn records(append: &Append) -> Result<AppendRecordsRequest, AppendError> {
    all_have_events(append)?;
    let mut records = Vec::with_capacity(append.event_count());
    let mut checks = Vec::new();
    let mut seen: Vec<&StreamName> = Vec::new();
    for write in &append.writes {
        // Only the first expectation of a stream counts.
        if !seen.contains(&&write.stream) {
            seen.push(&write.stream);
            checks.extend(check(&write.stream, write.expected));
        }
        for (index, event) in write.events.iter().enumerate() {
            records.push(record(&write.stream, index, event)?);
        }
    }
    checks.extend(append.checks.iter().filter_map(|told| check(&told.stream, told.expected)));
    Ok(AppendRecordsRequest { records, checks })
}

/// A check; expecting nothing is none.
fn check(stream: &StreamName, expected: ExpectedRevision) -> Option<ConsistencyCheck> {
    (expected != ExpectedRevision::Any).then(|| ConsistencyCheck {
        r#type: Some(consistency_check::Type::StreamState(consistency_check::StreamStateCheck {
            stream: Some(stream.to_string()),
            expected_state: Some(expected_number(expected)),
        })),
    })
}

fn session(append: &Append) -> Result<Vec<AppendRequest>, AppendError> {
    all_have_events(append)?;
    if !append.checks.is_empty() {
        return Err(AppendError::Unsupported { capability: Capability::StreamChecks });
    }
    let request = |write: &StreamWrite| {
        let records =
            write.events.iter().enumerate().map(|(index, event)| record(&write.stream, index, event));
        Ok(AppendRequest {
            stream: Some(write.stream.to_string()),
            records: records.collect::<Result<_, AppendError>>()?,
            expected_revision: Some(expected_number(write.expected)),
        })
    };
    append.writes.iter().map(request).collect()
}

/// Reads what the second version says of a refusal: in the details, not in the trailers.
fn refused(status: &Status, append: &Append) -> Result<AppendError, Fault> {
    let details = rpc::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let expected = |stream: &str| {
        let written = append.writes.iter().find(|write| write.stream.as_str() == stream);
        let checked = append.checks.iter().find(|check| check.stream.as_str() == stream);
        written
            .map(|write| (&write.stream, write.expected))
            .or(checked.map(|check| (&check.stream, check.expected)))
    };
    let failed = |stream: &str, actual: i64| {
        let (stream, expected) = expected(stream)?;
        let (stream, actual) = (stream.clone(), state_of(actual));
        Some(FailedCheck::Revision { stream, expected, actual })
    };
    for detail in &details {
        let name = detail.type_url.rsplit('/').next().unwrap_or_default();
        let bytes = &detail.value[..];
        match name.rsplit('.').next().unwrap_or_default() {
            "StreamRevisionConflictErrorDetails" => {
                if let Ok(told) = v2::errors::StreamRevisionConflictErrorDetails::decode(bytes)
                    && let Some(failed) = failed(&told.stream, told.actual_revision)
                {
                    return Ok(AppendError::Conflict { failed: vec![failed] });
                }
            }
            "AppendConsistencyViolationErrorDetails" => {
                if let Ok(told) = v2::errors::AppendConsistencyViolationErrorDetails::decode(bytes) {
                    return Ok(violated(append, &told));
                }
            }
            "StreamTombstonedErrorDetails" | "StreamDeletedErrorDetails" => {
                if let Ok(told) = v2::errors::StreamTombstonedErrorDetails::decode(bytes)
                    && let Ok(stream) = StreamName::new(told.stream)
                {
                    return Ok(AppendError::StreamDeleted { stream });
                }
            }
            "NotLeaderNodeErrorDetails" => {
                let told = server_errors::NotLeaderNodeErrorDetails::decode(bytes).unwrap_or_default();
                let leader = told
                    .current_leader
                    .and_then(|told| Some(Node { host: told.host, port: u16::try_from(told.port).ok()? }));
                return Err(Fault::NotLeader { leader });
            }
            "AppendRecordSizeExceededErrorDetails" => {
                if let Ok(told) = v2::errors::AppendRecordSizeExceededErrorDetails::decode(bytes) {
                    return Err(too_large(told.max_size, told.size));
                }
            }
            "AppendTransactionSizeExceededErrorDetails" => {
                if let Ok(told) = v2::errors::AppendTransactionSizeExceededErrorDetails::decode(bytes) {
                    return Err(too_large(told.max_size, told.size));
                }
            }
            _ => {}
        }
    }
    Err(fault_of(status))
}

fn too_large(limit: i32, actual: i32) -> Fault {
    let number = |n| usize::try_from(n).unwrap_or(0);
    Fault::TooLarge { limit: number(limit), actual: number(actual) }
}

/// Every check that failed. A stream that is written and tombstoned is deleted, whatever was expected of it.
fn violated(append: &Append, told: &v2::errors::AppendConsistencyViolationErrorDetails) -> AppendError {
    let mut failed = Vec::new();
    for violation in &told.violations {
        let Some(v2::errors::consistency_violation::Type::StreamState(told)) = &violation.r#type else {
            continue;
        };
        let actual = state_of(told.actual_state);
        let written = append.writes.iter().find(|write| write.stream.as_str() == told.stream);
        let checked = append.checks.iter().find(|check| check.stream.as_str() == told.stream);
        match (written, checked) {
            (Some(write), _) if actual == StreamState::Tombstoned => {
                return AppendError::StreamDeleted { stream: write.stream.clone() };
            }
            (Some(write), _) => {
                let (stream, expected) = (write.stream.clone(), write.expected);
                failed.push(FailedCheck::Revision { stream, expected, actual });
            }
            (None, Some(check)) => {
                let (stream, expected) = (check.stream.clone(), check.expected);
                failed.push(FailedCheck::Revision { stream, expected, actual });
            }
            (None, None) => {}
        }
    }
    AppendError::Conflict { failed }
}
