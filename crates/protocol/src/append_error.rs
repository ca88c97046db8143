//! The errors of one append within a batch: a status in the answer's body, with exactly one detail.

use bytes::Bytes;
use factum_core::{ExpectedRevision, StreamState};
use prost::Message;
use tonic::Code;

use crate::expected::Expectation;
use crate::names::stream_to_wire;
use crate::rich::any;
use crate::wire::google::rpc;
use crate::wire::v1;

/// Why one append of a batch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchFailure {
    /// The stream is not as expected.
    WrongExpectedVersion {
        /// What was expected.
        expected: ExpectedRevision,
        /// What is true.
        actual: StreamState,
    },
    /// The stream was deleted for ever.
    StreamDeleted {
        /// Its name.
        stream: String,
    },
    /// The caller may not write there.
    AccessDenied,
    /// The deadline passed before the last chunk came.
    Timeout,
    /// All events together are too large.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// One event is too large.
    EventTooLarge {
        /// Its id.
        id: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The request does not make sense.
    BadRequest {
        /// Why.
        why: String,
    },
    /// Something else.
    Other {
        /// What.
        why: String,
    },
}

impl BatchFailure {
    /// As it stands in the answer.
    pub fn to_wire(&self) -> rpc::Status {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (code, message, name, detail) = match self {
            Self::WrongExpectedVersion { expected, actual } => (
                Code::AlreadyExists,
                "WrongExpectedVersion".to_owned(),
                "WrongExpectedVersion",
                encoded(&Expectation(*expected).batch_detail(*actual)),
            ),
            Self::StreamDeleted { stream } => (
                Code::NotFound,
                format!("Event stream '{stream}' is deleted."),
                "StreamDeleted",
                encoded(&v1::StreamDeleted { stream_identifier: Some(stream_to_wire(stream)) }),
            ),
            Self::AccessDenied => (
                Code::PermissionDenied,
                "Access Denied".to_owned(),
                "AccessDenied",
                encoded(&v1::AccessDenied {}),
            ),
            Self::Timeout => {
                (Code::DeadlineExceeded, "Timeout".to_owned(), "Timeout", encoded(&v1::Timeout {}))
            }
            Self::TooLarge { limit } => (
                Code::InvalidArgument,
                format!("Maximum Append Size of {limit} Exceeded."),
                "MaximumAppendSizeExceeded",
                encoded(&v1::MaximumAppendSizeExceeded { max_append_size: number(*limit) }),
            ),
            Self::EventTooLarge { id, size, limit } => (
                Code::InvalidArgument,
                format!("Event with Id: {id}, Size: {size}, exceeds Maximum Append Event Size of {limit}."),
                "MaximumAppendEventSizeExceeded",
                encoded(&v1::MaximumAppendEventSizeExceeded {
                    event_id: id.clone(),
                    proposed_event_size: number(*size),
                    max_append_event_size: number(*limit),
                }),
            ),
            Self::BadRequest { why } => (
                Code::InvalidArgument,
                why.clone(),
                "BadRequest",
                encoded(&v1::BadRequest { message: why.clone() }),
            ),
            Self::Other { why } => (Code::Unknown, why.clone(), "Unknown", encoded(&v1::Unknown {})),
        };
        let mut detail_any = any(&format!("event_store.client.{name}"), &v1::Unknown {});
        detail_any.value = detail.to_vec();
        rpc::Status { code: i32::from(code), message, details: vec![detail_any] }
    }
}

fn encoded(message: &impl Message) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::Revision;

    #[test]
    fn every_failure_has_one_detail_of_its_own_type() {
        let failures = [
            BatchFailure::WrongExpectedVersion {
                expected: ExpectedRevision::Any,
                actual: StreamState::Live { last: Revision(1) },
            },
            BatchFailure::StreamDeleted { stream: "a".to_owned() },
            BatchFailure::AccessDenied,
            BatchFailure::Timeout,
            BatchFailure::TooLarge { limit: 1 },
            BatchFailure::EventTooLarge { id: "i".to_owned(), size: 2, limit: 1 },
            BatchFailure::BadRequest { why: "w".to_owned() },
            BatchFailure::Other { why: "w".to_owned() },
        ];
        let codes = failures.each_ref().map(|failure| {
            let status = failure.to_wire();
            let [detail] = status.details.as_slice() else { panic!("{failure:?} has not one detail") };
            (status.code, detail.type_url.rsplit('.').next().expect("a name").to_owned())
        });
        assert_eq!(
            codes.map(|(code, name)| format!("{code} {name}")),
            [
                "6 WrongExpectedVersion",
                "5 StreamDeleted",
                "7 AccessDenied",
                "4 Timeout",
                "3 MaximumAppendSizeExceeded",
                "3 MaximumAppendEventSizeExceeded",
                "3 BadRequest",
                "2 Unknown",
            ]
        );
    }
}
