//! How the command line writes where a read begins, and how long something takes: `start`, `@4711`, `1h`.

use std::str::FromStr;
use std::time::Duration;

use factum_core::{Clock, ReadFrom, SystemClock, Timestamp};
use factum_server::Moment;

/// Where a read starts: `start`, `end` or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start(pub(crate) ReadFrom);

impl FromStr for Start {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "start" => ReadFrom::Start,
            "end" => ReadFrom::End,
            other => other.parse::<Moment>().map_err(|error| format!("{error}, 'start', 'end'"))?.read_from(),
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
    use factum_core::Position;

    use super::*;

    #[test]
    fn a_read_begins_at_a_word_or_a_moment() {
        assert_eq!("end".parse(), Ok(Start(ReadFrom::End)));
        assert_eq!("@3".parse(), Ok(Start(ReadFrom::Position(Position(3)))));
        let refused = "tomorrow".parse::<Start>().unwrap_err();
        assert!(refused.contains("2026-11-17") && refused.ends_with("'start', 'end'"), "{refused}");
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
