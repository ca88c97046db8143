//! The one place where Factum reads the clock, and the timestamps that it gives.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TICKS_PER_SECOND: i64 = 10_000_000;
const NANOS_PER_TICK: i64 = 100;

/// A moment: 100 ns ticks since 1970-01-01T00:00:00Z, before it if negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a time: give RFC 3339 such as 2026-11-17T15:00:00Z or 2026-11-17T15:00:00+01:00")]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// The earliest moment that can be written.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment that can be written.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The moment `millis` milliseconds after 1970.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(TICKS_PER_SECOND / 1_000))
    }

    /// Whole milliseconds since 1970.
    pub fn unix_millis(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND / 1_000)
    }

    /// This moment and `by` later, or the latest moment there is.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(ticks(by)))
    }

    /// This moment and `by` earlier, or the earliest moment there is.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(ticks(by)))
    }

    /// Reads RFC 3339, with any offset.
    ///
    /// ```
    /// let moment = factum_core::Timestamp::parse("2012-03-14T16:04:54.681+01:00").unwrap();
    /// assert_eq!(moment.to_string(), "2012-03-14T15:04:54.681Z");
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        // What `Display` writes for moments that RFC 3339 has no year for.
        if let Some(Ok(ticks)) = text.strip_suffix(" ticks").map(str::parse) {
            return Ok(Self(ticks));
        }
        let moment: jiff::Timestamp =
            text.trim().parse().map_err(|_| ParseTimestampError { text: text.to_owned() })?;
        i64::try_from(moment.as_nanosecond().div_euclid(i128::from(NANOS_PER_TICK)))
            .map(Self)
            .map_err(|_| ParseTimestampError { text: text.to_owned() })
    }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / NANOS_PER_TICK as u128).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, as many digits as the moment needs. Years beyond 9999 are written as ticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * i128::from(NANOS_PER_TICK);
        match jiff::Timestamp::from_nanosecond(nanos) {
            Ok(moment) => f.pad(&moment.to_string()),
            Err(_) => write!(f, "{} ticks", self.0),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = ParseTimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Where time comes from. A store is given one; nothing below it reads the machine's clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(ticks(since)),
            Err(before) => Timestamp(-ticks(before.duration())),
        }
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Shows `now` from here on, earlier or later.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(ticks(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_text_round_trips() {
        for text in ["2011-10-01T00:38:44.546+02:00", "1969-12-31T23:59:59.9999999Z", "2026-11-22T20:05:25Z"]
        {
            let moment = Timestamp::parse(text).unwrap();
            assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment, "{text}");
        }
        for moment in [Timestamp::MIN, Timestamp::MAX, Timestamp(0)] {
            assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment);
        }
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::parse("seven ticks").is_err());
    }
}
