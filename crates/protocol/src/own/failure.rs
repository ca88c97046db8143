//! Why something was not done, to the wire and back.

use std::io;
use std::sync::Arc;

use factum_core::{
    AppendError, AppendId, Capability, CheckpointError, FailedCheck, InvalidEvent, Position, ReadError,
    SchemaVersion, SchemaViolation, StoreId,
};

use super::Unreadable;
use super::answer::{capability_from_wire, capability_to_wire};
use super::parts::{
    expected_from_wire, expected_to_wire, state_from_wire, state_to_wire, stream, uuid_from_wire,
    uuid_to_wire,
};
use crate::wire::own as wire;
use wire::failure as part;
use wire::failure::Why;

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn failure(why: Why) -> wire::Failure {
    wire::Failure { why: Some(why) }
}

/// Writes why an append or a delete was not done; `None` where the status of the call has to say it.
pub fn append_error_to_wire(error: &AppendError) -> Option<wire::Failure> {
    Some(failure(match error {
        AppendError::Conflict { failed } => {
            Why::Conflict(part::Conflict { failed: failed.iter().map(check_to_wire).collect() })
        }
        AppendError::StreamDeleted { stream } => Why::StreamDeleted(stream.to_string()),
        AppendError::InvalidEvent { stream, index, source } => {
            let why = invalid_event_to_wire(source);
            Why::InvalidEvent(part::InvalidEvent { stream: stream.to_string(), index: number(*index), why })
        }
        AppendError::Invalid { why } => Why::Invalid(why.clone()),
        AppendError::TooLarge { unit, limit, actual } => Why::TooLarge(too_large(unit, *limit, *actual)),
        AppendError::Schema(violation) => Why::SchemaViolation(part::SchemaViolation {
            event_type: violation.event_type.clone(),
            version: violation.version.0,
            faults: violation.faults.clone(),
        }),
        AppendError::AppendIdReused { id, first } => {
            Why::AppendIdReused(part::AppendIdReused { id: uuid_to_wire(id.0), first: first.0 })
        }
        AppendError::Unsupported { capability } => Why::Unsupported(capability_to_wire(*capability)),
        AppendError::Stopped { cause } => Why::Stopped(cause.to_string()),
        AppendError::DiskFull => Why::DiskFull(()),
        AppendError::Busy { waiting } => Why::Busy(number(*waiting)),
        // The server ends: another one, or the same one later, may be asked.
        AppendError::Closed | AppendError::OutcomeUnknown { .. } => return None,
        AppendError::NotSealed { .. } => Why::Invalid(error.to_string()),
        AppendError::Read(error) => return read_error_to_wire(error),
    }))
}

/// Writes why a read ended; `None` where the status of the call has to say it.
pub fn read_error_to_wire(error: &ReadError) -> Option<wire::Failure> {
    Some(failure(match error {
        ReadError::StreamNotFound { stream } => Why::StreamNotFound(stream.to_string()),
        ReadError::StreamDeleted { stream } => Why::StreamDeleted(stream.to_string()),
        ReadError::Invalid { why } => Why::Invalid(why.clone()),
        ReadError::Checkpoint(CheckpointError::Malformed(text)) => Why::MalformedCheckpoint(text.clone()),
        ReadError::Checkpoint(CheckpointError::OtherStore { expected, found }) => {
            let (expected, found) = (uuid_to_wire(expected.0), uuid_to_wire(found.0));
            Why::OtherStore(part::OtherStore { expected, found })
        }
        ReadError::Checkpoint(CheckpointError::OtherEpoch { expected, found }) => {
            Why::OtherEpoch(part::OtherEpoch { expected: *expected, found: *found })
        }
        ReadError::BeyondEnd { asked, end } => Why::BeyondEnd(part::BeyondEnd { asked: asked.0, end: end.0 }),
        ReadError::Damaged { place, what } => {
            Why::Damaged(part::Damaged { place: place.clone(), what: what.clone() })
        }
        ReadError::Io { place, source } => {
            Why::Io(part::Io { place: place.clone(), what: source.to_string() })
        }
        ReadError::Unsupported { capability } => Why::Unsupported(capability_to_wire(*capability)),
        ReadError::Closed | ReadError::Unreachable { .. } | ReadError::Denied { .. } => return None,
    }))
}

fn too_large(unit: &str, limit: usize, actual: usize) -> part::TooLarge {
    part::TooLarge { unit: unit.to_owned(), limit: number(limit), actual: number(actual) }
}

fn check_to_wire(check: &FailedCheck) -> part::FailedCheck {
    use part::failed_check::What;
    let what = match check {
        FailedCheck::Revision { stream, expected, actual } => What::Revision(part::Revision {
            stream: stream.to_string(),
            expected: Some(expected_to_wire(*expected)),
            actual: Some(state_to_wire(*actual)),
        }),
        FailedCheck::Condition { index, conflicting } => {
            What::Match(part::Match { index: number(*index), conflicting: conflicting.0 })
        }
        FailedCheck::Count { index, below, found } => {
            What::Count(part::Count { index: number(*index), below: *below, found: *found })
        }
    };
    part::FailedCheck { what: Some(what) }
}

fn invalid_event_to_wire(error: &InvalidEvent) -> Option<part::invalid_event::Why> {
    use part::invalid_event::Why;
    match error {
        InvalidEvent::NotJson { part, line, column } => Some(Why::NotJson(part::NotJson {
            part: (*part).to_owned(),
            line: number(*line),
            column: number(*column),
        })),
        InvalidEvent::TooLarge { limit, actual } => Some(Why::TooLarge(too_large("bytes", *limit, *actual))),
        InvalidEvent::TooManyTags { limit, actual } => {
            Some(Why::TooManyTags(too_large("tags", *limit, *actual)))
        }
        InvalidEvent::SchemaVersionZero => Some(Why::SchemaVersionZero(())),
        InvalidEvent::Unsealed => Some(Why::Unsealed(())),
        // Names are checked where they are read: a store is never given such an event.
        InvalidEvent::Name(_) => None,
    }
}

/// The units that a limit may be in; an error's text names one of them.
fn unit(text: &str) -> &'static str {
    ["bytes", "events", "conditions and checks", "tags"]
        .into_iter()
        .find(|unit| *unit == text)
        .unwrap_or("parts")
}

fn capability(number: i32) -> Result<Capability, Unreadable> {
    capability_from_wire(number).ok_or_else(|| Unreadable::new("capability", "this build does not know it"))
}

/// Reads why an append or a delete was not done.
pub fn append_error_from_wire(failure: wire::Failure) -> AppendError {
    let text = format!("{failure:?}");
    append_error(failure).unwrap_or_else(|error| AppendError::Invalid {
        why: format!("the server refused it in a way that cannot be read ({error}): {text}"),
    })
}

fn append_error(failure: wire::Failure) -> Result<AppendError, Unreadable> {
    Ok(match failure.why.ok_or_else(|| Unreadable::missing("why"))? {
        Why::Conflict(conflict) => {
            let failed = conflict.failed.into_iter().map(check_from_wire).collect::<Result<_, _>>()?;
            AppendError::Conflict { failed }
        }
        Why::StreamDeleted(name) => AppendError::StreamDeleted { stream: stream(name)? },
        Why::InvalidEvent(told) => AppendError::InvalidEvent {
            stream: stream(told.stream)?,
            index: size(told.index),
            source: invalid_event_from_wire(told.why)?,
        },
        Why::Invalid(why) => AppendError::Invalid { why },
        Why::TooLarge(told) => AppendError::TooLarge {
            unit: unit(&told.unit),
            limit: size(told.limit),
            actual: size(told.actual),
        },
        Why::SchemaViolation(told) => AppendError::Schema(SchemaViolation {
            event_type: told.event_type,
            version: SchemaVersion(told.version),
            faults: told.faults,
        }),
        Why::AppendIdReused(told) => AppendError::AppendIdReused {
            id: AppendId(uuid_from_wire("append id", &told.id)?),
            first: Position(told.first),
        },
        Why::Unsupported(number) => AppendError::Unsupported { capability: capability(number)? },
        Why::Stopped(cause) => AppendError::Stopped { cause: Arc::new(io::Error::other(cause)) },
        Why::DiskFull(()) => AppendError::DiskFull,
        Why::Busy(waiting) => AppendError::Busy { waiting: size(waiting) },
        Why::Closed(()) => AppendError::Closed,
        other => AppendError::Read(read_error(wire::Failure { why: Some(other) })?),
    })
}

/// Reads why a read ended.
pub fn read_error_from_wire(failure: wire::Failure) -> ReadError {
    let text = format!("{failure:?}");
    read_error(failure).unwrap_or_else(|error| ReadError::Invalid {
        why: format!("the server refused it in a way that cannot be read ({error}): {text}"),
    })
}

fn read_error(failure: wire::Failure) -> Result<ReadError, Unreadable> {
    Ok(match failure.why.ok_or_else(|| Unreadable::missing("why"))? {
        Why::StreamNotFound(name) => ReadError::StreamNotFound { stream: stream(name)? },
        Why::StreamDeleted(name) => ReadError::StreamDeleted { stream: stream(name)? },
        Why::Invalid(why) => ReadError::Invalid { why },
        Why::MalformedCheckpoint(text) => CheckpointError::Malformed(text).into(),
        Why::OtherStore(told) => CheckpointError::OtherStore {
            expected: StoreId(uuid_from_wire("store id", &told.expected)?),
            found: StoreId(uuid_from_wire("store id", &told.found)?),
        }
        .into(),
        Why::OtherEpoch(told) => {
            CheckpointError::OtherEpoch { expected: told.expected, found: told.found }.into()
        }
        Why::BeyondEnd(told) => ReadError::BeyondEnd { asked: Position(told.asked), end: Position(told.end) },
        Why::Damaged(told) => ReadError::Damaged { place: told.place, what: told.what },
        Why::Io(told) => ReadError::Io { place: told.place, source: Arc::new(io::Error::other(told.what)) },
        Why::Unsupported(number) => ReadError::Unsupported { capability: capability(number)? },
        Why::Closed(()) => ReadError::Closed,
        _ => return Err(Unreadable::new("why", "no answer to a read")),
    })
}

fn check_from_wire(check: part::FailedCheck) -> Result<FailedCheck, Unreadable> {
    use part::failed_check::What;
    Ok(match check.what.ok_or_else(|| Unreadable::missing("the failed check"))? {
        What::Revision(told) => FailedCheck::Revision {
            stream: stream(told.stream)?,
            expected: expected_from_wire(told.expected)?,
            actual: state_from_wire(told.actual)?,
        },
        What::Match(told) => {
            FailedCheck::Condition { index: size(told.index), conflicting: Position(told.conflicting) }
        }
        What::Count(told) => {
            FailedCheck::Count { index: size(told.index), below: told.below, found: told.found }
        }
    })
}

fn invalid_event_from_wire(why: Option<part::invalid_event::Why>) -> Result<InvalidEvent, Unreadable> {
    use part::invalid_event::Why;
    Ok(match why.ok_or_else(|| Unreadable::missing("why the event is invalid"))? {
        Why::NotJson(told) => InvalidEvent::NotJson {
            part: if told.part == "metadata" { "metadata" } else { "data" },
            line: size(told.line),
            column: size(told.column),
        },
        Why::TooLarge(told) => InvalidEvent::TooLarge { limit: size(told.limit), actual: size(told.actual) },
        Why::TooManyTags(told) => {
            InvalidEvent::TooManyTags { limit: size(told.limit), actual: size(told.actual) }
        }
        Why::SchemaVersionZero(()) => InvalidEvent::SchemaVersionZero,
        Why::Unsealed(()) => InvalidEvent::Unsealed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{ExpectedRevision, Revision, StreamName, StreamState};

    #[test]
    fn every_failure_of_a_read_comes_back() {
        let name = StreamName::new("s").expect("a name");
        let (here, there) = (StoreId::generate(), StoreId::generate());
        for error in [
            ReadError::StreamNotFound { stream: name.clone() },
            ReadError::StreamDeleted { stream: name },
            ReadError::Invalid { why: "w".to_owned() },
            CheckpointError::Malformed("m".to_owned()).into(),
            CheckpointError::OtherStore { expected: here, found: there }.into(),
            CheckpointError::OtherEpoch { expected: 1, found: 2 }.into(),
            ReadError::BeyondEnd { asked: Position(9), end: Position(3) },
            ReadError::Damaged { place: "p".to_owned(), what: "w".to_owned() },
            ReadError::Io { place: "p".to_owned(), source: Arc::new(io::Error::other("x")) },
            ReadError::Unsupported { capability: Capability::AppendIds },
        ] {
            let back = read_error_from_wire(read_error_to_wire(&error).expect("a failure"));
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
            let error = AppendError::Read(error);
            let back = append_error_from_wire(append_error_to_wire(&error).expect("a failure"));
            assert_eq!((back.kind(), back.to_string()), (error.kind(), error.to_string()));
        }
        assert_eq!(read_error_to_wire(&ReadError::Closed), None);
    }

    #[test]
    fn every_failure_of_an_append_comes_back() {
        let name = StreamName::new("s").expect("a name");
        let invalid = |source| AppendError::InvalidEvent { stream: name.clone(), index: 3, source };
        let failed = vec![
            FailedCheck::Revision {
                stream: name.clone(),
                expected: ExpectedRevision::Exact(Revision(1)),
                actual: StreamState::SoftDeleted { last: None },
            },
            FailedCheck::Condition { index: 0, conflicting: Position(5) },
            FailedCheck::Count { index: 1, below: 2, found: 2 },
        ];
        for error in [
            AppendError::Conflict { failed },
            AppendError::StreamDeleted { stream: name.clone() },
            invalid(InvalidEvent::NotJson { part: "metadata", line: 1, column: 2 }),
            invalid(InvalidEvent::TooLarge { limit: 1, actual: 2 }),
            invalid(InvalidEvent::TooManyTags { limit: 1, actual: 2 }),
            invalid(InvalidEvent::SchemaVersionZero),
            invalid(InvalidEvent::Unsealed),
            AppendError::Invalid { why: "w".to_owned() },
            AppendError::TooLarge { unit: "conditions and checks", limit: 1, actual: 2 },
            AppendError::Schema(SchemaViolation {
                event_type: "T".to_owned(),
                version: SchemaVersion(2),
                faults: vec!["/a: missing".to_owned()],
            }),
            AppendError::AppendIdReused { id: AppendId::generate(), first: Position(4) },
            AppendError::Unsupported { capability: Capability::Redaction },
            AppendError::Stopped { cause: Arc::new(io::Error::other("disk")) },
            AppendError::DiskFull,
            AppendError::Busy { waiting: 7 },
        ] {
            let back = append_error_from_wire(append_error_to_wire(&error).expect("a failure"));
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
        assert_eq!(append_error_to_wire(&AppendError::Closed), None);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_is_no_success() {
        let odd = wire::Failure::default();
        assert!(matches!(read_error_from_wire(odd.clone()), ReadError::Invalid { .. }));
        assert!(matches!(append_error_from_wire(odd), AppendError::Invalid { .. }));
        let unknown = failure(Why::Unsupported(99));
        assert!(matches!(append_error_from_wire(unknown), AppendError::Invalid { .. }));
    }
}
