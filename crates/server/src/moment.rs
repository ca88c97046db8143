//! A moment of a stream's life, as people write it: `17`, `@4711`, `2026-11-17T15:00:00Z`. One form for the command line and
//! for addresses.

use std::fmt;
use std::str::FromStr;

use factum_core::{AsOf, Position, ReadFrom, Revision, Timestamp};

/// A revision, a position or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `17`
    Revision(Revision),
    /// `@4711`, or `4711@`
    Position(Position),
    /// RFC 3339, or a date, which means its first instant in UTC.
    Time(Timestamp),
}

/// Which of an event's two times a moment is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeKind {
    /// When it happened.
    Occurred,
    /// When the log took it.
    Recorded,
}

/// Text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// A number that has no place.
    #[error("'{0}' is too large a number")]
    TooLarge(String),
    /// An `@` without a number.
    #[error("'{0}' is not a position: give '@' and a number, such as @4711")]
    Position(String),
    /// Anything else.
    #[error(
        "'{0}' is none of: a revision such as 17, a position such as @4711, a time such as 2026-11-17T15:00:00Z, a \
         date such as 2026-11-17"
    )]
    Time(String),
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |digits: &str| digits.parse().map_err(|_| MomentError::TooLarge(digits.to_owned()));
        if let Some(position) = text.strip_prefix('@').or_else(|| text.strip_suffix('@')) {
            if !is_number(position) {
                return Err(MomentError::Position(text.to_owned()));
            }
            return number(position).map(|number| Self::Position(Position(number)));
        }
        if is_number(text) {
            return number(text).map(|number| Self::Revision(Revision(number)));
        }
        time(text).map(Self::Time).ok_or_else(|| MomentError::Time(text.to_owned()))
    }
}

/// A time as RFC 3339, or a date: its first instant in UTC.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let text = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    // What is written for moments that have no year is not for people.
    if text.ends_with("ticks") { None } else { Timestamp::parse(&text).ok() }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Revision(revision) => write!(f, "revision {revision}"),
            Moment::Position(position) => write!(f, "position {position}"),
            Moment::Time(time) => time.fmt(f),
        }
    }
}

impl Moment {
    /// As a read's `at`.
    pub fn as_of(self, kind: TimeKind) -> AsOf {
        match (self, kind) {
            (Moment::Revision(revision), _) => AsOf::Revision(revision),
            (Moment::Position(position), _) => AsOf::Position(position),
            (Moment::Time(time), TimeKind::Occurred) => AsOf::Occurred(time),
            (Moment::Time(time), TimeKind::Recorded) => AsOf::Recorded(time),
        }
    }

    /// As the place where a read begins.
    pub fn read_from(self) -> ReadFrom {
        match self {
            Moment::Revision(revision) => ReadFrom::Revision(revision),
            Moment::Position(position) => ReadFrom::Position(position),
            Moment::Time(time) => ReadFrom::Time(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_apart() {
        assert_eq!("17".parse(), Ok(Moment::Revision(Revision(17))));
        assert_eq!("@17".parse(), Ok(Moment::Position(Position(17))));
        assert_eq!("17@".parse::<Moment>(), "@17".parse());
        let midnight = Timestamp::parse("2026-11-17T00:00:00Z").expect("a time");
        assert_eq!("2026-11-17".parse(), Ok(Moment::Time(midnight)));
        assert_eq!("2026-11-17T01:00:00+01:00".parse(), Ok(Moment::Time(midnight)));
        for bad in ["", "@", "@x", "-1", "tomorrow", "99999999999999999999", "@17@", "17 ticks", "2026-13-01"]
        {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
