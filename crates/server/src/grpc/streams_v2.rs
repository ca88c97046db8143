//! Appends to several streams at once, with checks: the second version of the protocol.

use std::sync::Arc;

use factum_core::{Append, AppendError, FailedCheck, StreamName, StreamState};
use factum_protocol::RichError;
use factum_protocol::wire::server_errors::AccessDeniedErrorDetails;
use factum_protocol::wire::v2 as wire;
use factum_protocol::wire::v2::errors;
use tonic::{Code, Request, Response, Status, Streaming};

mod checks;
mod record;

use self::checks::{actual_state, state_of};
use self::record::{Sizes, bad_request};
use super::append::writable;
use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::status;

/// `kurrentdb.protocol.v2.streams.StreamsService`.
pub(crate) struct StreamsV2 {
    shared: Arc<Shared>,
}

/// What the names of the error details begin with.
const ERRORS: &str = "kurrentdb.protocol.v2.streams.errors.";

impl StreamsV2 {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Whether the caller may do it, as this version of the protocol says that it may not.
    async fn check(&self, call: &Call, action: Action<'_>) -> Result<(), Status> {
        let Err(refused) = self.shared.access.check(&call.caller, action).await else { return Ok(()) };
        if refused.code() != Code::PermissionDenied {
            return Err(refused);
        }
        let (operation, stream) = match action {
            Action::Read(stream) => ("read", stream),
            Action::Write(stream) => ("append", stream),
            _ => return Err(refused),
        };
        let message = format!("'{}' may not {operation} '{stream}'", call.caller);
        let detail = AccessDeniedErrorDetails {
            operation: operation.to_owned(),
            username: Some(call.caller.to_string()),
            permission: None,
        };
        Err(RichError::server(Code::PermissionDenied, "ACCESS_DENIED", message)
            .with("kurrent.rpc.AccessDeniedErrorDetails", &detail)
            .into_status())
    }

    async fn session(
        &self,
        call: &Call,
        mut requests: Streaming<wire::AppendRequest>,
    ) -> Result<wire::AppendSessionResponse, Status> {
        let mut append = Append::default();
        let mut sizes = Sizes::default();
        let mut named: Vec<String> = Vec::new();
        while let Some(request) = requests.message().await? {
            let stream = stream_name("stream", request.stream.as_deref())?;
            // Told apart without regard to case, as the protocol has it.
            let folded = stream.as_str().to_lowercase();
            if named.contains(&folded) {
                return Err(already_in_session(stream.as_str()));
            }
            named.push(folded);
            self.check(call, Action::Write(stream.as_str())).await?;
            if request.records.is_empty() {
                return Err(bad_request("records", "an append has at least one record"));
            }
            let expected = checks::expectation(request.expected_revision.unwrap_or(checks::ANY))
                .ok_or_else(|| bad_request("expected_revision", "a revision, -1, -2 or -4"))?;
            let mut events = Vec::with_capacity(request.records.len());
            for record in request.records {
                events.push(sizes.take(stream.as_str(), record, &self.shared.options.limits)?);
            }
            append = append.and(stream, expected, events);
        }
        if append.writes.is_empty() {
            let message = "an append session needs at least one append";
            return Err(RichError::streams(Code::FailedPrecondition, "APPEND_SESSION_NO_REQUESTS", message)
                .into_status());
        }
        let appended = match self.shared.store.append(append).await {
            Ok(appended) => appended,
            Err(error) => return Err(self.session_failed(error).await),
        };
        let output = appended.streams.iter().map(|stream| wire::AppendResponse {
            stream: Some(stream.stream.to_string()),
            stream_revision: stream.last.map(|last| signed(last.0)),
            position: None,
        });
        Ok(wire::AppendSessionResponse {
            output: output.collect(),
            position: appended.last.map(|position| signed(position.0)),
        })
    }

    /// The first stream that is not as expected.
    async fn session_failed(&self, error: AppendError) -> Status {
        match error {
            AppendError::Conflict { failed } => {
                let Some((stream, expected, actual)) = failed.iter().find_map(revision_check) else {
                    return Status::failed_precondition("a condition of the append does not hold");
                };
                let (expected, actual) =
                    (factum_protocol::expected_number(expected), factum_protocol::actual_number(actual));
                let message = format!(
                    "stream '{stream}' was expected at {expected}, but it is at {actual}: read it again and decide again"
                );
                RichError::streams(Code::FailedPrecondition, "STREAM_REVISION_CONFLICT", message)
                    .with(
                        &format!("{ERRORS}StreamRevisionConflictErrorDetails"),
                        &errors::StreamRevisionConflictErrorDetails {
                            stream: stream.to_string(),
                            expected_revision: expected,
                            actual_revision: actual,
                        },
                    )
                    .into_status()
            }
            AppendError::StreamDeleted { stream } => {
                let message = format!("Event stream '{stream}' is deleted.");
                RichError::streams(Code::FailedPrecondition, "STREAM_TOMBSTONED", message)
                    .with(
                        &format!("{ERRORS}StreamTombstonedErrorDetails"),
                        &errors::StreamTombstonedErrorDetails { stream: stream.to_string() },
                    )
                    .into_status()
            }
            other => of_append(&other),
        }
    }

    async fn records(
        &self,
        call: &Call,
        request: wire::AppendRecordsRequest,
    ) -> Result<wire::AppendRecordsResponse, Status> {
        if request.records.is_empty() {
            return Err(bad_request("records", "an append has at least one record"));
        }
        let checks = checks::Checks::from_wire(&request.checks)?;
        let mut append = Append::default();
        let mut sizes = Sizes::default();
        let mut written: Vec<StreamName> = Vec::new();
        for record in request.records {
            let stream = stream_name("records.stream", record.stream.as_deref())?;
            if !written.contains(&stream) {
                self.check(call, Action::Write(stream.as_str())).await?;
                written.push(stream.clone());
            }
            let event = sizes.take(stream.as_str(), record, &self.shared.options.limits)?;
            match append.writes.last_mut() {
                Some(write) if write.stream == stream => write.events.push(event),
                _ => append = append.and(stream, factum_core::ExpectedRevision::Any, vec![event]),
            }
        }
        for stream in checks.streams().filter(|stream| !written.contains(*stream)) {
            self.check(call, Action::Read(stream.as_str())).await?;
        }
        let mut violations = checks.settle(&self.shared, &mut append, &written).await?;
        if violations.is_empty() {
            match self.shared.store.append(append).await {
                Ok(appended) => return Ok(revisions(&appended)),
                Err(AppendError::Conflict { failed }) => {
                    let failed = failed.iter().filter_map(revision_check);
                    violations.extend(failed.map(|(stream, _, actual)| (stream.clone(), actual)));
                }
                Err(AppendError::StreamDeleted { stream }) => {
                    let actual = state_of(&self.shared, &stream).await?;
                    violations.push((stream, actual));
                }
                Err(other) => return Err(of_append(&other)),
            }
        }
        Err(violated(&checks, &written, violations))
    }
}

fn revision_check(failed: &FailedCheck) -> Option<(&StreamName, factum_core::ExpectedRevision, StreamState)> {
    match failed {
        FailedCheck::Revision { stream, expected, actual } => Some((stream, *expected, *actual)),
        FailedCheck::Condition { .. } | FailedCheck::Count { .. } => None,
    }
}

fn revisions(appended: &factum_core::Appended) -> wire::AppendRecordsResponse {
    let revisions = appended.streams.iter().map(|stream| wire::StreamRevision {
        stream: Some(stream.stream.to_string()),
        revision: stream.last.map(|last| signed(last.0)),
    });
    wire::AppendRecordsResponse {
        revisions: revisions.collect(),
        position: appended.last.map(|position| signed(position.0)),
    }
}

/// Every check that failed. A stream that was written without a check has an index after them all.
fn violated(
    checks: &checks::Checks,
    written: &[StreamName],
    failed: Vec<(StreamName, StreamState)>,
) -> Status {
    let mut violations: Vec<errors::ConsistencyViolation> = failed
        .into_iter()
        .map(|(stream, actual)| {
            let (index, expected) = checks.place(&stream, written);
            errors::ConsistencyViolation {
                check_index: i32::try_from(index).unwrap_or(i32::MAX),
                r#type: Some(errors::consistency_violation::Type::StreamState(
                    errors::consistency_violation::StreamStateViolation {
                        stream: stream.to_string(),
                        expected_state: expected,
                        actual_state: actual_state(actual),
                    },
                )),
            }
        })
        .collect();
    violations.sort_by_key(|violation| violation.check_index);
    let message = format!("{} of the append's checks failed: read those streams again", violations.len());
    RichError::streams(Code::FailedPrecondition, "APPEND_CONSISTENCY_VIOLATION", message)
        .with(
            &format!("{ERRORS}AppendConsistencyViolationErrorDetails"),
            &errors::AppendConsistencyViolationErrorDetails { violations },
        )
        .into_status()
}

fn already_in_session(stream: &str) -> Status {
    let message =
        format!("stream '{stream}' is already in this append session: put all its events into one append");
    RichError::streams(Code::Aborted, "STREAM_ALREADY_IN_APPEND_SESSION", message)
        .with(
            &format!("{ERRORS}StreamAlreadyInAppendSessionErrorDetails"),
            &errors::StreamAlreadyInAppendSessionErrorDetails { stream: stream.to_owned() },
        )
        .into_status()
}

fn stream_name(field: &str, name: Option<&str>) -> Result<StreamName, Status> {
    let name = name.unwrap_or_default();
    let stream = StreamName::new(name.to_owned()).map_err(|error| bad_request(field, &error.to_string()))?;
    writable(stream).map_err(|why| bad_request(field, &why))
}

fn of_append(error: &AppendError) -> Status {
    let status = status::of_append(error, "Append");
    let (reason, code) = match status.code() {
        Code::InvalidArgument => return bad_request("records", status.message()),
        Code::Unavailable => ("SERVER_OVERLOADED", Code::Unavailable),
        _ => ("SERVER_MALFUNCTION", Code::Internal),
    };
    RichError::server(code, reason, status.message()).into_status()
}

/// A number of the store's as the protocol's signed one; the store's never reach the sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl wire::streams_service_server::StreamsService for StreamsV2 {
    async fn append_session(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<wire::AppendSessionResponse>, Status> {
        let call = Call::of(&request);
        self.session(&call, request.into_inner()).await.map(Response::new)
    }

    async fn append_records(
        &self,
        request: Request<wire::AppendRecordsRequest>,
    ) -> Result<Response<wire::AppendRecordsResponse>, Status> {
        let call = Call::of(&request);
        self.records(&call, request.into_inner()).await.map(Response::new)
    }
}
