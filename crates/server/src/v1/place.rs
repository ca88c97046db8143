//! How places and moments are written in an address: `17`, `@4711`, `2026-11-17T15:00:00Z`, `start`, `end`.

use factum_core::{AsOf, Position, ReadFrom, Revision, Timestamp};

use super::ask::{Ask, digits, time};
use super::problem::Problem;

/// What a moment may be, in a message.
const MOMENTS: &str =
    "a revision such as 17, a position such as @4711, or a time such as 2026-11-17T15:00:00Z";

/// A revision, a position or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// `17`
    Revision(Revision),
    /// `@4711`, or `4711@`
    Position(Position),
    /// RFC 3339, or a date, which means its first instant in UTC.
    Time(Timestamp),
}

/// Which of an event's two times a moment is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeKind {
    /// When it happened.
    Occurred,
    /// When the log took it.
    Recorded,
}

/// Reads a moment.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    if let Some(position) = text.strip_prefix('@').or_else(|| text.strip_suffix('@')) {
        return digits(position).map(|position| Moment::Position(Position(position)));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits(text).map(|revision| Moment::Revision(Revision(revision)));
    }
    time(text).map(Moment::Time)
}

impl Moment {
    /// As a read's `at`.
    pub(crate) fn as_of(self, kind: TimeKind) -> AsOf {
        match (self, kind) {
            (Moment::Revision(revision), _) => AsOf::Revision(revision),
            (Moment::Position(position), _) => AsOf::Position(position),
            (Moment::Time(time), TimeKind::Occurred) => AsOf::Occurred(time),
            (Moment::Time(time), TimeKind::Recorded) => AsOf::Recorded(time),
        }
    }
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
        other => match moment(other)? {
            Moment::Revision(revision) => Some(ReadFrom::Revision(revision)),
            Moment::Position(position) => Some(ReadFrom::Position(position)),
            Moment::Time(time) => Some(ReadFrom::Time(time)),
        },
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
    use super::*;

    #[test]
    fn moments_are_told_apart() {
        assert_eq!(moment("17"), Some(Moment::Revision(Revision(17))));
        assert_eq!(moment("@17"), Some(Moment::Position(Position(17))));
        assert_eq!(moment("17@"), moment("@17"));
        assert!(matches!(moment("2026-11-17"), Some(Moment::Time(_))));
        assert_eq!(in_log("17"), in_stream("@17"));
        for bad in ["", "@", "@x", "-1", "tomorrow", "99999999999999999999", "@17@", "17 ticks"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
