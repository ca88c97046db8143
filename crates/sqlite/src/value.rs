//! How is a value written into SQLite, and what comes back?

use std::borrow::Cow;

use factum_core::Timestamp;
use factum_core::read_model::Value;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};

/// A value on its way into a statement. A number that is none (NaN) is kept as NULL: SQLite has no other place for it.
pub(crate) struct Bound<'a>(pub(crate) &'a Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer((*value).into())),
            Value::Integer(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Real(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Time(time) => ToSqlOutput::Owned(Owned::Text(rfc3339(*time))),
        })
    }
}

/// What a column of a row holds. Text that is not UTF-8 comes with replacement characters.
pub(crate) fn from_sqlite(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::Text(Cow::Owned(String::from_utf8_lossy(text).into_owned())),
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.to_owned())),
    }
}

const TICKS_PER_SECOND: i64 = 10_000_000;
const TICKS_PER_MICROSECOND: i64 = 10;
const SECONDS_PER_DAY: i64 = 86_400;

/// A time as `2026-11-17T15:00:00.000000Z`: always six digits after the point, so that text order is the order in time.
/// What is finer than a microsecond is cut off. Years beyond 0 to 9999 are written as the core writes them.
fn rfc3339(time: Timestamp) -> String {
    let seconds = time.0.div_euclid(TICKS_PER_SECOND);
    let micros = time.0.rem_euclid(TICKS_PER_SECOND) / TICKS_PER_MICROSECOND;
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    if !(0..=9_999).contains(&year) {
        return time.to_string();
    }
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, of_day / 3_600),
        (14, 2, of_day / 60 % 60),
        (17, 2, of_day % 60),
        (20, 6, micros),
    ];
    for (at, width, mut number) in parts {
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the day that comes and goes is the last one; 719,468 days lie before 1970.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use factum_core::Timestamp;

    use super::rfc3339;

    fn check(text: &str, written: &str) {
        assert_eq!(rfc3339(Timestamp::parse(text).expect("a time")), written);
    }

    #[test]
    fn times_have_six_digits() {
        check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z");
        check("2026-11-17T15:04:05.1234567Z", "2026-11-17T15:04:05.123456Z");
        check("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z");
        check("2000-02-29T12:00:00+01:00", "2000-02-29T11:00:00.000000Z");
        check("1600-03-01T00:00:00Z", "1600-03-01T00:00:00.000000Z");
        check("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z");
        check("9998-12-31T23:59:59Z", "9998-12-31T23:59:59.000000Z");
        assert_eq!(rfc3339(Timestamp(i64::MAX)), Timestamp(i64::MAX).to_string());
    }

    #[test]
    fn every_day_of_four_hundred_years_is_the_calendars() {
        let day = 86_400 * 10_000_000;
        for n in (-140_000..60_000).step_by(13) {
            let time = Timestamp(n * day);
            assert_eq!(rfc3339(time)[..10], time.to_string()[..10]);
        }
    }
}
