//! What is a client told when something fails? The only place that turns errors into statuses.
//!
//! Names, texts and trailers are what KurrentDB's clients look at, some of them at the text. A text never holds data of an
//! event.

use factum_core::{AppendError, ErrorKind, FailedCheck, ReadError, with_causes};
use factum_protocol::{StreamIdentifierError, actual_number, exception, expected_number};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use crate::access::SignInError;
use crate::groups::{GroupError, GroupKey};
use crate::users::UserError;

/// A status with an exception's name and values in its trailers.
pub(crate) fn named(
    code: Code,
    name: &'static str,
    message: impl Into<String>,
    values: &[(&'static str, String)],
) -> Status {
    let mut trailers = MetadataMap::new();
    trailers.insert(exception::EXCEPTION, AsciiMetadataValue::from_static(name));
    for (key, value) in values {
        // A value that is not ASCII cannot be a trailer; the message carries it.
        if let Ok(value) = AsciiMetadataValue::try_from(value.as_str()) {
            trailers.insert(*key, value);
        }
    }
    Status::with_metadata(code, message, trailers)
}

/// A call that the caller has no right to.
pub(crate) fn access_denied() -> Status {
    named(Code::PermissionDenied, exception::ACCESS_DENIED, "Access Denied", &[])
}

/// Credentials that are wrong, or that cannot be checked now.
pub(crate) fn of_sign_in(error: &SignInError) -> Status {
    match error {
        SignInError::Wrong => Status::unauthenticated("Unauthenticated"),
        SignInError::Overloaded(_) => Status::unavailable("Server Is Too Busy"),
        SignInError::Read(error) => of_read(error),
        SignInError::Randomness(error) => Status::internal(error.to_string()),
    }
}

/// A user that something was not done to.
pub(crate) fn of_user(error: &UserError) -> Status {
    let of_login = |login: &str| [(exception::LOGIN_NAME, login.to_owned())];
    match error {
        UserError::NotFound { login } => {
            let message = format!("User '{login}' is not found.");
            named(Code::NotFound, exception::USER_NOT_FOUND, message, &of_login(login))
        }
        UserError::Exists { login } => {
            named(Code::FailedPrecondition, exception::USER_CONFLICT, "Conflict.", &of_login(login))
        }
        UserError::Changed { login } => {
            named(Code::DeadlineExceeded, exception::USER_CONFLICT, "Try again.", &of_login(login))
        }
        UserError::WrongPassword { .. } => access_denied(),
        UserError::Invalid { .. } => Status::invalid_argument(error.to_string()),
        UserError::Damaged { .. } => Status::data_loss(error.to_string()),
        UserError::Overloaded(_) => Status::unavailable("Server Is Too Busy"),
        UserError::Read(error) => of_read(error),
        UserError::Append(error) => of_append(error, "Append"),
    }
}

/// A stream that was deleted for ever.
pub(crate) fn stream_deleted(stream: &str) -> Status {
    named(
        Code::FailedPrecondition,
        exception::STREAM_DELETED,
        format!("Event stream '{stream}' is deleted."),
        &[(exception::STREAM_NAME, stream.to_owned())],
    )
}

/// The server is about to stop: clients connect again.
pub(crate) fn stopping() -> Status {
    Status::unavailable("Server is shutting down")
}

/// An append over the limit.
pub(crate) fn append_too_large(limit: usize) -> Status {
    named(
        Code::InvalidArgument,
        exception::MAXIMUM_APPEND_SIZE_EXCEEDED,
        format!("Maximum Append Size of {limit} Exceeded."),
        &[(exception::MAXIMUM_APPEND_SIZE, limit.to_string())],
    )
}

/// An event over the limit.
pub(crate) fn event_too_large(id: &str, size: usize, limit: usize) -> Status {
    named(
        Code::InvalidArgument,
        exception::MAXIMUM_APPEND_EVENT_SIZE_EXCEEDED,
        format!("Event with Id: {id}, Size: {size}, exceeds Maximum Append Event Size of {limit}."),
        &[
            (exception::MAXIMUM_APPEND_EVENT_SIZE, limit.to_string()),
            (exception::EVENT_ID, id.to_owned()),
            (exception::PROPOSED_APPEND_EVENT_SIZE, size.to_string()),
        ],
    )
}

/// An event without a type or a content type.
pub(crate) fn missing_property(property: &str) -> Status {
    named(
        Code::InvalidArgument,
        exception::MISSING_REQUIRED_METADATA_PROPERTY,
        format!("Required Metadata Property '{property}' is missing"),
        &[(exception::REQUIRED_METADATA_PROPERTIES, "type,content-type".to_owned())],
    )
}

/// A stream identifier that names nothing.
pub(crate) fn bad_stream(error: &StreamIdentifierError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// What is wrong with a group.
pub(crate) fn of_group(error: &GroupError) -> Status {
    match error {
        GroupError::Missing(key) => group(
            (Code::NotFound, exception::GROUP_DOES_NOT_EXIST),
            key,
            format!("Subscription group {} on stream {} does not exist.", key.group(), key.source_name()),
        ),
        GroupError::Exists(key) => group(
            (Code::AlreadyExists, exception::GROUP_EXISTS),
            key,
            format!("Subscription group {} on stream {} exists.", key.group(), key.source_name()),
        ),
        GroupError::Full(key) => group(
            (Code::FailedPrecondition, exception::MAXIMUM_SUBSCRIBERS_REACHED),
            key,
            format!(
                "Maximum subscriptions reached for subscription group {} on stream {}.",
                key.group(),
                key.source_name()
            ),
        ),
        GroupError::Failed { key, why } => named(
            Code::Internal,
            exception::GROUP_FAILED,
            format!("Subscription group {} on stream {} failed: '{why}'", key.group(), key.source_name()),
            &[
                (exception::STREAM_NAME, key.source_name().to_owned()),
                (exception::GROUP_NAME, key.group().to_owned()),
                (exception::REASON, why.clone()),
            ],
        ),
        GroupError::Stopping => stopping(),
    }
}

/// A group was changed or deleted while it was read.
pub(crate) fn group_dropped(key: &GroupKey) -> Status {
    let message = format!("Subscription group {} on stream {} was dropped.", key.group(), key.source_name());
    group((Code::Cancelled, exception::GROUP_DROPPED), key, message)
}

fn group((code, name): (Code, &'static str), key: &GroupKey, message: String) -> Status {
    let values = [
        (exception::STREAM_NAME, key.source_name().to_owned()),
        (exception::GROUP_NAME, key.group().to_owned()),
    ];
    named(code, name, message, &values)
}

/// A read that failed.
pub(crate) fn of_read(error: &ReadError) -> Status {
    match error {
        ReadError::StreamDeleted { stream } => stream_deleted(stream.as_str()),
        ReadError::BeyondEnd { .. } => Status::invalid_argument("Trying to read from an invalid position."),
        ReadError::Closed => stopping(),
        other => by_kind(other.kind(), with_causes(other)),
    }
}

/// An append that failed, where the answer has no body for it.
pub(crate) fn of_append(error: &AppendError, verb: &str) -> Status {
    match error {
        AppendError::StreamDeleted { stream } => stream_deleted(stream.as_str()),
        AppendError::Conflict { failed } => match failed.first() {
            Some(FailedCheck::Revision { stream, expected, actual }) => {
                let (expected, actual) = (expected_number(*expected), actual_number(*actual));
                named(
                    Code::FailedPrecondition,
                    exception::WRONG_EXPECTED_VERSION,
                    format!(
                        "{verb} failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, \
                         Actual version: {actual}"
                    ),
                    &[
                        (exception::STREAM_NAME, stream.to_string()),
                        (exception::EXPECTED_VERSION, expected.to_string()),
                        (exception::ACTUAL_VERSION, actual.to_string()),
                    ],
                )
            }
            _ => Status::failed_precondition(error.to_string()),
        },
        AppendError::Busy { .. } => Status::unavailable("Server Is Too Busy"),
        AppendError::Closed => stopping(),
        AppendError::Read(error) => of_read(error),
        other => by_kind(other.kind(), with_causes(other)),
    }
}

fn by_kind(kind: ErrorKind, message: String) -> Status {
    let code = match kind {
        ErrorKind::Invalid | ErrorKind::SchemaViolation | ErrorKind::TooLarge => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Deleted | ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Damaged => Code::DataLoss,
    };
    Status::new(code, message)
}
