//! An append to one stream: options first, then the events, then the answer.

use factum_core::{Append, AppendError, Appended, FailedCheck, NewEvent, StreamName, StreamState};
use factum_protocol::wire::v1::streams::append_resp::{Result as Outcome, Success, success};
use factum_protocol::wire::v1::streams::{AppendReq, AppendResp, append_req};
use factum_protocol::wire::v1::{AllStreamPosition, ChangeOptions, ProposedMessage};
use factum_protocol::{Expectation, Proposed, ProposedError, stream_from_wire};
use tonic::{Status, Streaming};

use crate::access::Action;
use crate::call::Call;
use crate::options::Limits;
use crate::shared::Shared;
use crate::source::IndexStream;
use crate::status;

/// Bytes of an event as the protocol counts them: its type counts twice.
pub(super) fn event_size(event: &NewEvent) -> usize {
    event.data.len() + event.metadata.len() + 2 * event.event_type.len()
}

/// Events as they come in, within the limits.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The events so far.
    pub(super) events: Vec<NewEvent>,
    bytes: usize,
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not an event.
    Malformed(ProposedError),
    /// It is too large.
    EventTooLarge { id: String, size: usize, limit: usize },
    /// All together are too large.
    TooLarge { limit: usize },
}

impl Incoming {
    /// Takes one more event.
    pub(super) fn take(&mut self, message: ProposedMessage, limits: &Limits) -> Result<(), Refused> {
        let Proposed(event) = Proposed::from_wire(message).map_err(Refused::Malformed)?;
        let size = event_size(&event);
        if size > limits.event_bytes {
            return Err(Refused::EventTooLarge {
                id: event.id.0.to_string(),
                size,
                limit: limits.event_bytes,
            });
        }
        self.bytes += size;
        if self.bytes > limits.append_bytes {
            return Err(Refused::TooLarge { limit: limits.append_bytes });
        }
        self.events.push(event);
        Ok(())
    }
}

impl Refused {
    fn into_status(self) -> Status {
        match self {
            Refused::Malformed(ProposedError::MissingProperty { property }) => {
                status::missing_property(property)
            }
            Refused::Malformed(error) => Status::invalid_argument(error.to_string()),
            Refused::EventTooLarge { id, size, limit } => status::event_too_large(&id, size, limit),
            Refused::TooLarge { limit } => status::append_too_large(limit),
        }
    }
}

/// The stream that is to be written; one that an index stands for cannot be.
pub(super) fn writable(stream: StreamName) -> Result<StreamName, String> {
    match IndexStream::parse(&stream) {
        None => Ok(stream),
        Some(_) => Err(format!(
            "'{stream}' is served from an index of the log and cannot be written: append to the streams that it is about"
        )),
    }
}

/// Carries the append out.
pub(super) async fn append(
    shared: &Shared,
    call: &Call,
    mut messages: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let first = messages.message().await?.and_then(|message| message.content);
    let Some(append_req::Content::Options(options)) = first else {
        return Err(Status::invalid_argument(
            "the first message of an append has its options: this one has none",
        ));
    };
    let (stream, expected) = target(&options)?;
    shared.access.check(&call.caller, Action::Write(stream.as_str())).await?;
    let mut incoming = Incoming::default();
    while let Some(message) = messages.message().await? {
        match message.content {
            Some(append_req::Content::ProposedMessage(event)) => {
                incoming.take(event, &shared.options.limits).map_err(Refused::into_status)?;
            }
            Some(append_req::Content::Options(_)) => {
                return Err(Status::invalid_argument("an append has its options once, in its first message"));
            }
            None => {
                return Err(Status::invalid_argument(
                    "a message of an append has neither options nor an event",
                ));
            }
        }
    }
    match shared.store.append(Append::to(stream, expected.0, incoming.events)).await {
        Ok(appended) => Ok(AppendResp { result: Some(Outcome::Success(success(&appended))) }),
        Err(AppendError::Conflict { failed }) if conflict(&failed).is_some() => {
            let actual = conflict(&failed).unwrap_or(StreamState::Missing);
            Ok(AppendResp { result: Some(Outcome::WrongExpectedVersion(expected.wrong_version(actual))) })
        }
        Err(error) => Err(status::of_append(&error, "Append")),
    }
}

/// What is true of the one stream that is not as expected.
pub(super) fn conflict(failed: &[FailedCheck]) -> Option<StreamState> {
    failed.iter().find_map(|check| match check {
        FailedCheck::Revision { actual, .. } => Some(*actual),
        FailedCheck::Condition { .. } | FailedCheck::Count { .. } => None,
    })
}

/// The stream that is changed, and what is expected of it.
pub(super) fn target(options: &ChangeOptions) -> Result<(StreamName, Expectation), Status> {
    let stream =
        stream_from_wire(options.stream_identifier.as_ref()).map_err(|error| status::bad_stream(&error))?;
    let stream = writable(stream).map_err(Status::invalid_argument)?;
    let expected = Expectation::from_wire(options.expected_stream_revision.as_ref())
        .ok_or_else(|| Status::invalid_argument("'None' is not a valid ExpectedStreamRevision"))?;
    Ok((stream, expected))
}

/// What an append came to.
pub(super) fn success(appended: &Appended) -> Success {
    let current = match appended.streams.first().and_then(|stream| stream.last) {
        Some(revision) => success::CurrentRevisionOption::CurrentRevision(revision.0),
        None => success::CurrentRevisionOption::NoStream(()),
    };
    let position = match appended.last {
        Some(position) => success::PositionOption::Position(AllStreamPosition {
            commit_position: position.0,
            prepare_position: position.0,
        }),
        None => success::PositionOption::NoPosition(()),
    };
    Success { current_revision_option: Some(current), position_option: Some(position) }
}
