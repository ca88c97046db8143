//! How long may data be kept for a purpose?

use std::collections::BTreeMap;
use std::time::Duration;

use factum_core::Timestamp;

use crate::subject::{KeyOwner, Purpose};

/// The shortest time for which one key seals, where a purpose has a retention.
const SHORTEST_PERIOD: Duration = Duration::from_secs(24 * 3_600);
/// A key seals for this part of its retention at most, so that what it sealed expires no later than that after it should.
const PERIODS: u32 = 12;

/// How long data is kept for each purpose. A purpose that is not named here has no end.
///
/// Keys are what expires: each seals for a twelfth of the retention (a day at least), and is destroyed when the retention is
/// over since it was last used to seal. So data lives for the retention, and for a twelfth of it longer at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention(BTreeMap<Purpose, Duration>);

impl Retention {
    /// Nothing expires.
    pub fn none() -> Self {
        Self::default()
    }

    /// And data kept for `purpose` is kept for `duration`.
    #[must_use]
    pub fn keep(mut self, purpose: Purpose, duration: Duration) -> Self {
        self.0.insert(purpose, duration);
        self
    }

    /// The purposes with an end, each with the moment before which its keys must have been made to be destroyed at `now`.
    pub fn expiring(&self, now: Timestamp) -> impl Iterator<Item = (&Purpose, Timestamp)> {
        self.0.iter().map(move |(purpose, duration)| {
            (purpose, now.saturating_sub(duration.saturating_add(period(*duration))))
        })
    }

    /// Whether a key made at `created` is too old to seal.
    pub(crate) fn is_due(&self, owner: &KeyOwner, created: Timestamp, now: Timestamp) -> bool {
        let retention = owner.purpose.as_ref().and_then(|purpose| self.0.get(purpose));
        retention.is_some_and(|duration| created.saturating_add(period(*duration)) <= now)
    }
}

fn period(retention: Duration) -> Duration {
    (retention / PERIODS).max(SHORTEST_PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::SubjectRef;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn a_key_seals_for_a_part_of_the_retention_and_is_destroyed_after_all_of_it() {
        let billing = Purpose::new("billing").unwrap();
        let retention = Retention::none().keep(billing.clone(), DAY * 360);
        let owner = KeyOwner::of(SubjectRef([1; 16]));
        let with_purpose = owner.clone().with_purpose(billing.clone());
        let now = Timestamp::parse("2026-11-27T00:00:00Z").unwrap();
        let ago = |days| now.saturating_sub(DAY * days);
        assert!(!retention.is_due(&with_purpose, ago(29), now));
        assert!(retention.is_due(&with_purpose, ago(30), now));
        assert!(!retention.is_due(&owner, ago(9_999), now));
        assert_eq!(retention.expiring(now).collect::<Vec<_>>(), [(&billing, ago(390))]);
    }
}
