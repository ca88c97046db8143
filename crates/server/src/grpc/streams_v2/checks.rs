//! What must be true of streams before an append of records?
//!
//! The store knows four expectations. Two more, "soft-deleted" and "tombstoned", are looked up first and then held by
//! what the store knows: a tombstone is for ever, and a soft-deleted stream is held at its last revision.

use factum_core::{
    Append, EventReader, ExpectedRevision, Read, ReadError, Revision, StreamCheck, StreamName, StreamState,
    StreamView,
};
use factum_protocol::wire::v2::ConsistencyCheck;
use factum_protocol::wire::v2::consistency_check;
use tonic::Status;

use super::record::bad_request;
use crate::shared::Shared;
use crate::status;

/// The number that expects nothing.
pub(super) const ANY: i64 = -2;
const NO_STREAM: i64 = -1;
const EXISTS: i64 = -4;
const SOFT_DELETED: i64 = -5;
const TOMBSTONED: i64 = -6;

/// The store's expectation for a number, where it has one.
pub(super) fn expectation(number: i64) -> Option<ExpectedRevision> {
    match number {
        ANY => Some(ExpectedRevision::Any),
        NO_STREAM => Some(ExpectedRevision::NoStream),
        EXISTS => Some(ExpectedRevision::StreamExists),
        other => u64::try_from(other).ok().map(|n| ExpectedRevision::Exact(Revision(n))),
    }
}

/// A stream's state as a number.
pub(super) fn actual_state(state: StreamState) -> i64 {
    match state {
        StreamState::Missing | StreamState::MetadataOnly => NO_STREAM,
        StreamState::Live { last } => super::signed(last.0),
        StreamState::SoftDeleted { .. } => SOFT_DELETED,
        StreamState::Tombstoned => TOMBSTONED,
    }
}

/// The state that a stream is in now.
pub(super) async fn state_of(shared: &Shared, stream: &StreamName) -> Result<StreamState, Status> {
    let read = Read::stream(stream.clone()).view(StreamView::Recorded).limit(1);
    let reader: Box<dyn EventReader> = match shared.store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. }) => return Ok(StreamState::Missing),
        Err(ReadError::StreamDeleted { .. }) => return Ok(StreamState::Tombstoned),
        Err(error) => return Err(status::of_read(&error)),
    };
    Ok(reader.head().stream.unwrap_or(StreamState::Missing))
}

/// Whether a stream in this state is what a number expects.
fn holds(number: i64, state: StreamState) -> bool {
    match number {
        ANY => true,
        NO_STREAM => !matches!(state, StreamState::Live { .. } | StreamState::Tombstoned),
        EXISTS => matches!(state, StreamState::Live { .. } | StreamState::MetadataOnly),
        SOFT_DELETED => matches!(state, StreamState::SoftDeleted { .. }),
        TOMBSTONED => state == StreamState::Tombstoned,
        revision => state.last_revision().is_some_and(|last| super::signed(last.0) == revision),
    }
}

/// The checks of a request, in its order.
pub(super) struct Checks(Vec<(StreamName, i64)>);

impl Checks {
    pub(super) fn from_wire(checks: &[ConsistencyCheck]) -> Result<Self, Status> {
        let read = |check: &ConsistencyCheck| {
            let Some(consistency_check::Type::StreamState(state)) = &check.r#type else {
                return Err(bad_request("checks", "a check of a stream's state is all that there is"));
            };
            let name = state.stream.clone().unwrap_or_default();
            let stream = StreamName::new(name).map_err(|e| bad_request("checks.stream", &e.to_string()))?;
            // Some clients leave out what is zero: an absent number is the first revision.
            let expected = state.expected_state.unwrap_or_default();
            if expected == ANY
                || (expected < 0 && ![NO_STREAM, EXISTS, SOFT_DELETED, TOMBSTONED].contains(&expected))
            {
                return Err(bad_request("checks.expected_state", "a revision, -1, -4, -5 or -6"));
            }
            Ok((stream, expected))
        };
        Ok(Self(checks.iter().map(read).collect::<Result<_, _>>()?))
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.0.iter().map(|(stream, _)| stream)
    }

    /// Where a stream's check stands, and what it expects; one that was written without a check comes after them all.
    pub(super) fn place(&self, stream: &StreamName, written: &[StreamName]) -> (usize, i64) {
        if let Some(index) = self.0.iter().position(|(checked, _)| checked == stream) {
            return (index, self.0[index].1);
        }
        let unchecked = written.iter().filter(|name| !self.streams().any(|checked| checked == *name));
        let after = unchecked.take_while(|name| *name != stream).count();
        (self.0.len() + after, ANY)
    }

    /// Puts every check into the append; gives those that are known to fail already.
    pub(super) async fn settle(
        &self,
        shared: &Shared,
        append: &mut Append,
        written: &[StreamName],
    ) -> Result<Vec<(StreamName, StreamState)>, Status> {
        let mut failed = Vec::new();
        for (index, (stream, number)) in self.0.iter().enumerate() {
            // The append holds one expectation of a stream that it writes: another check of it is looked up before.
            if written.contains(stream) && self.0[..index].iter().any(|(earlier, _)| earlier == stream) {
                let actual = state_of(shared, stream).await?;
                if !holds(*number, actual) {
                    failed.push((stream.clone(), actual));
                }
                continue;
            }
            let expected = match expectation(*number) {
                Some(expected) => expected,
                None => match (state_of(shared, stream).await?, *number) {
                    (StreamState::SoftDeleted { last: Some(last) }, SOFT_DELETED) => {
                        ExpectedRevision::Exact(last)
                    }
                    (StreamState::SoftDeleted { last: None }, SOFT_DELETED) => ExpectedRevision::NoStream,
                    (StreamState::Tombstoned, TOMBSTONED) if !written.contains(stream) => continue,
                    (actual, _) => {
                        failed.push((stream.clone(), actual));
                        continue;
                    }
                },
            };
            match append.writes.iter_mut().find(|write| write.stream == *stream) {
                Some(write) => write.expected = expected,
                // A stream that is only looked at, and is tombstoned, is one that has no events.
                None => append.checks.push(StreamCheck { stream: stream.clone(), expected }),
            }
        }
        Ok(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_expectations() {
        assert_eq!(expectation(-2), Some(ExpectedRevision::Any));
        assert_eq!(expectation(-1), Some(ExpectedRevision::NoStream));
        assert_eq!(expectation(-4), Some(ExpectedRevision::StreamExists));
        assert_eq!(expectation(5), Some(ExpectedRevision::Exact(Revision(5))));
        for other in [-3, -5, -6, -7, i64::MIN] {
            assert_eq!(expectation(other), None, "{other}");
        }
    }

    #[test]
    fn an_absent_number_is_the_first_revision() {
        use factum_protocol::wire::v2::consistency_check::{StreamStateCheck, Type};
        let check = |stream: &str, expected_state| ConsistencyCheck {
            r#type: Some(Type::StreamState(StreamStateCheck {
                stream: Some(stream.to_owned()),
                expected_state,
            })),
        };
        let checks = Checks::from_wire(&[check("a", None), check("b", Some(4))]).expect("checks");
        assert_eq!(checks.0.iter().map(|(_, expected)| *expected).collect::<Vec<_>>(), [0, 4]);
        assert!(Checks::from_wire(&[check("a", Some(ANY))]).is_err());
    }

    #[test]
    fn a_written_stream_without_a_check_comes_after_the_checks() {
        let name = |text: &str| StreamName::new(text.to_owned()).expect("a name");
        let checks = Checks(vec![(name("b"), 3), (name("c"), -1)]);
        let written = [name("a"), name("b"), name("d")];
        assert_eq!(checks.place(&name("c"), &written), (1, -1));
        assert_eq!(checks.place(&name("a"), &written), (2, ANY));
        assert_eq!(checks.place(&name("d"), &written), (3, ANY));
    }
}
