//! How places and moments are written on the command line: `17`, `@4711`, `2026-11-17T15:00:00Z`, `1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use factum_core::{AsOf, Clock, Position, ReadFrom, Revision, SystemClock, Timestamp};

/// A revision, a position or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// `17`
    Revision(Revision),
    /// `@4711`
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

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |digits: &str| digits.parse::<u64>().map_err(|_| format!("'{digits}' is too large a number"));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_prefix('@') {
            Some(position) if all_digits(position) => {
                return number(position).map(|n| Self::Position(Position(n)));
            }
            Some(_) => {
                return Err(format!("'{text}' is not a position: give '@' and a number, such as @4711"));
            }
            None if all_digits(text) => return number(text).map(|n| Self::Revision(Revision(n))),
            None => {}
        }
        let date_only = text.len() == 10 && !text.contains(':');
        let time = if date_only { format!("{text}T00:00:00Z") } else { text.to_owned() };
        Timestamp::parse(&time).map(Self::Time).map_err(|_| {
            format!(
                "'{text}' is none of: a revision such as 17, a position such as @4711, \
                 a time such as 2026-11-17T15:00:00Z, a date such as 2026-11-17"
            )
        })
    }
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
    /// The moment as a read's `at`.
    pub(crate) fn as_of(self, kind: TimeKind) -> AsOf {
        match (self, kind) {
            (Moment::Revision(revision), _) => AsOf::Revision(revision),
            (Moment::Position(position), _) => AsOf::Position(position),
            (Moment::Time(time), TimeKind::Occurred) => AsOf::Occurred(time),
            (Moment::Time(time), TimeKind::Recorded) => AsOf::Recorded(time),
        }
    }
}

/// Where a read starts: `start`, `end` or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start(pub(crate) ReadFrom);

impl FromStr for Start {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "start" => ReadFrom::Start,
            "end" => ReadFrom::End,
            other => match other.parse::<Moment>().map_err(|e| format!("{e}, 'start', 'end'"))? {
                Moment::Revision(revision) => ReadFrom::Revision(revision),
                Moment::Position(position) => ReadFrom::Position(position),
                Moment::Time(time) => ReadFrom::Time(time),
            },
        }))
    }
}

/// Reads `500ms`, `90s`, `30m`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("'{text}' is not a duration: give a number and ms, s, m, h or d, such as 90s or 1h");
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().map(Duration::from_millis).map_err(|_| wrong());
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// Nanoseconds in a tick of a timestamp.
const NANOS_PER_TICK: u64 = 100;

/// How long ago that was.
pub(crate) fn elapsed_since(then: Timestamp) -> Duration {
    let ticks = SystemClock.now().0.saturating_sub(then.0);
    Duration::from_nanos(u64::try_from(ticks).unwrap_or_default().saturating_mul(NANOS_PER_TICK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_apart() {
        assert_eq!("17".parse(), Ok(Moment::Revision(Revision(17))));
        assert_eq!("@17".parse(), Ok(Moment::Position(Position(17))));
        let midnight = Timestamp::parse("2026-11-17T00:00:00Z").unwrap();
        assert_eq!("2026-11-17".parse(), Ok(Moment::Time(midnight)));
        assert_eq!("2026-11-17T01:00:00+01:00".parse(), Ok(Moment::Time(midnight)));
        for bad in ["", "@", "@x", "-1", "tomorrow", "99999999999999999999", "2026-13-01"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
        assert_eq!("end".parse(), Ok(Start(ReadFrom::End)));
        assert_eq!("@3".parse(), Ok(Start(ReadFrom::Position(Position(3)))));
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for bad in ["", "1", "h", "1w", "-1h", "99999999999999999999d", "1é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
