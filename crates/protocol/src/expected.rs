//! What does a client expect of a stream, and how is it told that this is not so?

use factum_core::{ExpectedRevision, Revision, StreamState};

use crate::wire::v1;
use crate::wire::v1::change_options::ExpectedStreamRevision;
use crate::wire::v1::streams::append_resp::WrongExpectedVersion;
use crate::wire::v1::streams::append_resp::wrong_expected_version as body;
use crate::wire::v1::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};

/// The number that stands for "no stream" where a revision may stand.
const NO_STREAM: i64 = -1;
/// The number that stands for "any state".
const ANY: i64 = -2;
/// The number that stands for "the stream exists".
const EXISTS: i64 = -4;

/// An expectation between the wire and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation(pub ExpectedRevision);

impl Expectation {
    /// Reads it; a client that sends none is refused by the caller.
    pub fn from_wire(expected: Option<&ExpectedStreamRevision>) -> Option<Self> {
        Some(Self(match expected? {
            ExpectedStreamRevision::Revision(revision) => ExpectedRevision::Exact(Revision(*revision)),
            ExpectedStreamRevision::NoStream(()) => ExpectedRevision::NoStream,
            ExpectedStreamRevision::Any(()) => ExpectedRevision::Any,
            ExpectedStreamRevision::StreamExists(()) => ExpectedRevision::StreamExists,
        }))
    }

    /// Writes it.
    pub fn to_wire(self) -> ExpectedStreamRevision {
        match self.0 {
            ExpectedRevision::Exact(revision) => ExpectedStreamRevision::Revision(revision.0),
            ExpectedRevision::NoStream => ExpectedStreamRevision::NoStream(()),
            ExpectedRevision::Any => ExpectedStreamRevision::Any(()),
            ExpectedRevision::StreamExists => ExpectedStreamRevision::StreamExists(()),
        }
    }

    /// The answer to an append whose expectation failed. Clients before 20.6.1 read the numbered names, so both are there.
    pub fn wrong_version(self, actual: StreamState) -> WrongExpectedVersion {
        let (current, old_current) = match actual.last_revision() {
            Some(Revision(last)) => (
                body::CurrentRevisionOption::CurrentRevision(last),
                body::CurrentRevisionOption2060::CurrentRevision2060(last),
            ),
            None => (
                body::CurrentRevisionOption::CurrentNoStream(()),
                body::CurrentRevisionOption2060::NoStream2060(()),
            ),
        };
        let (expected, old_expected) = match self.0 {
            ExpectedRevision::Exact(Revision(n)) => (
                body::ExpectedRevisionOption::ExpectedRevision(n),
                body::ExpectedRevisionOption2060::ExpectedRevision2060(n),
            ),
            // The old names have no word for it: the largest number stands for it.
            ExpectedRevision::NoStream => (
                body::ExpectedRevisionOption::ExpectedNoStream(()),
                body::ExpectedRevisionOption2060::ExpectedRevision2060(u64::MAX),
            ),
            ExpectedRevision::Any => {
                (body::ExpectedRevisionOption::ExpectedAny(()), body::ExpectedRevisionOption2060::Any2060(()))
            }
            ExpectedRevision::StreamExists => (
                body::ExpectedRevisionOption::ExpectedStreamExists(()),
                body::ExpectedRevisionOption2060::StreamExists2060(()),
            ),
        };
        WrongExpectedVersion {
            current_revision_option_20_6_0: Some(old_current),
            expected_revision_option_20_6_0: Some(old_expected),
            current_revision_option: Some(current),
            expected_revision_option: Some(expected),
        }
    }

    /// The same as the detail of a batch append's error.
    pub fn batch_detail(self, actual: StreamState) -> v1::WrongExpectedVersion {
        let current = match actual.last_revision() {
            Some(Revision(last)) => CurrentStreamRevisionOption::CurrentStreamRevision(last),
            None => CurrentStreamRevisionOption::CurrentNoStream(()),
        };
        let expected = match self.0 {
            ExpectedRevision::Exact(Revision(n)) => ExpectedStreamPositionOption::ExpectedStreamPosition(n),
            ExpectedRevision::NoStream => ExpectedStreamPositionOption::ExpectedNoStream(()),
            ExpectedRevision::Any => ExpectedStreamPositionOption::ExpectedAny(()),
            ExpectedRevision::StreamExists => ExpectedStreamPositionOption::ExpectedStreamExists(()),
        };
        v1::WrongExpectedVersion {
            current_stream_revision_option: Some(current),
            expected_stream_position_option: Some(expected),
        }
    }
}

/// The expectation as the number that error texts and the second version of the protocol use.
pub fn expected_number(expected: ExpectedRevision) -> i64 {
    match expected {
        ExpectedRevision::Exact(revision) => i64::try_from(revision.0).unwrap_or(i64::MAX),
        ExpectedRevision::NoStream => NO_STREAM,
        ExpectedRevision::Any => ANY,
        ExpectedRevision::StreamExists => EXISTS,
    }
}

/// A stream's last revision as that number: -1 where it has none.
pub fn actual_number(actual: StreamState) -> i64 {
    match actual {
        StreamState::Tombstoned => i64::MAX,
        other => other.last_revision().map_or(NO_STREAM, |last| i64::try_from(last.0).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_come_back() {
        for expected in [
            ExpectedRevision::Any,
            ExpectedRevision::NoStream,
            ExpectedRevision::StreamExists,
            ExpectedRevision::Exact(Revision(7)),
        ] {
            let wire = Expectation(expected).to_wire();
            assert_eq!(Expectation::from_wire(Some(&wire)), Some(Expectation(expected)));
        }
        assert_eq!(Expectation::from_wire(None), None);
    }

    #[test]
    fn a_wrong_version_is_told_to_old_and_new_clients() {
        let answer =
            Expectation(ExpectedRevision::NoStream).wrong_version(StreamState::Live { last: Revision(3) });
        assert_eq!(answer.current_revision_option, Some(body::CurrentRevisionOption::CurrentRevision(3)));
        assert_eq!(
            answer.current_revision_option_20_6_0,
            Some(body::CurrentRevisionOption2060::CurrentRevision2060(3))
        );
        assert_eq!(answer.expected_revision_option, Some(body::ExpectedRevisionOption::ExpectedNoStream(())));
        assert_eq!(
            answer.expected_revision_option_20_6_0,
            Some(body::ExpectedRevisionOption2060::ExpectedRevision2060(u64::MAX))
        );
    }
}
