//! How places and moments are written in an address: `17`, `@4711`, `2026-11-17T15:00:00Z`, `start`, `end`.

use factum_core::{Position, ReadFrom};

use super::ask::Ask;
use super::problem::Problem;
use crate::moment::{Moment, TimeKind};

/// What a moment may be, in a message.
const MOMENTS: &str =
    "a revision such as 17, a position such as @4711, or a time such as 2026-11-17T15:00:00Z";

/// Reads a moment; a `+` that an address has turned into a space is one again.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    text.replace(' ', "+").parse().ok()
}

/// A moment that a parameter names.
///
/// # Errors
/// `bad-parameter`.
pub(crate) fn moment_of(ask: &Ask, name: &str) -> Result<Option<Moment>, Problem> {
    ask.read(name, MOMENTS, moment)
}

/// Which of its two times an event is seen by.
///
/// # Errors
/// `bad-parameter`.
pub(crate) fn kind_of(ask: &Ask) -> Result<TimeKind, Problem> {
    ask.one_of("kind", &[("occurred", TimeKind::Occurred), ("recorded", TimeKind::Recorded)])
}

/// Where a read of one stream begins.
pub(crate) fn in_stream(text: &str) -> Option<ReadFrom> {
    match text {
        "start" => Some(ReadFrom::Start),
        "end" => Some(ReadFrom::End),
        other => moment(other).map(Moment::read_from),
    }
}

/// Where a read of the log begins: a bare number is a position here.
pub(crate) fn in_log(text: &str) -> Option<ReadFrom> {
    match in_stream(text)? {
        ReadFrom::Revision(revision) => Some(ReadFrom::Position(Position(revision.0))),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use factum_core::Revision;

    use super::*;

    #[test]
    fn a_bare_number_is_a_place_of_what_is_read() {
        assert_eq!(in_stream("17"), Some(ReadFrom::Revision(Revision(17))));
        assert_eq!(in_log("17"), in_stream("@17"));
        assert_eq!(moment("2026-11-17T01:00:00 01:00"), moment("2026-11-17"));
        assert_eq!(in_log("noon"), None);
    }
}
