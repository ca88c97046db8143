//! Which read models does the loan book have, and what do they share?

mod decision_times;
mod funnel;
mod workload;

use factum_core::{RecordedEvent, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use decision_times::{DecisionEvent, decision_times};
pub use funnel::{FunnelEvent, funnel};
pub use workload::{ERASED, NOBODY, workload};

use crate::CATEGORY;

/// An activity for those who do not ask who did it: that it happened is in its type and its time. They need no vault, and have
/// nothing to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {}

const TICKS_PER_DAY: i64 = 24 * 3_600 * 10_000_000;

/// The application's number: what follows the category in the name of its stream.
fn number(event: &RecordedEvent) -> &str {
    let stream = event.stream();
    stream.strip_prefix(CATEGORY).and_then(|rest| rest.strip_prefix('-')).unwrap_or(stream)
}

/// The Monday of the week in UTC, as `2011-09-26`.
fn week(at: Timestamp) -> String {
    // 1970-01-01 was a Thursday: three days after a Monday.
    let day = at.0.div_euclid(TICKS_PER_DAY);
    let monday = day - (day + 3).rem_euclid(7);
    let mut text = Timestamp(monday.saturating_mul(TICKS_PER_DAY)).to_string();
    text.truncate("2011-09-26".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        for (at, monday) in [
            ("1970-01-01T00:00:00Z", "1969-12-29"),
            ("2011-09-30T22:38:44.546Z", "2011-09-26"),
            ("2011-10-02T23:59:59.999Z", "2011-09-26"),
            ("2011-10-03T00:00:00Z", "2011-10-03"),
            ("2012-02-29T12:00:00+01:00", "2012-02-27"),
        ] {
            assert_eq!(week(Timestamp::parse(at).unwrap()), monday, "{at}");
        }
    }
}
