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
/// Keys are what expires. Each seals for a period, a twelfth of the retention and a day at least; then a successor takes over.
/// A key is destroyed when the retention is over since its successor was made, whoever sealed with it until then and whether
/// that program knew of a retention: nothing is destroyed that is newer than its retention. Where expiry is asked for once in
/// a period, data lives for its retention and two periods longer at most.
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

    /// The purposes with an end at `now`.
    pub(crate) fn terms(&self, now: Timestamp) -> impl Iterator<Item = Terms> {
        self.0.iter().map(move |(purpose, duration)| Terms {
            purpose: purpose.clone(),
            superseded_if_made_before: now.saturating_sub(period(*duration)),
            over_if_superseded_before: now.saturating_sub(*duration),
        })
    }

    /// Whether a key made at `created` is too old to seal.
    pub(crate) fn is_due(&self, owner: &KeyOwner, created: Timestamp, now: Timestamp) -> bool {
        let retention = owner.purpose.as_ref().and_then(|purpose| self.0.get(purpose));
        retention.is_some_and(|duration| created.saturating_add(period(*duration)) <= now)
    }
}

/// What a retention means now.
pub(crate) struct Terms {
    pub(crate) purpose: Purpose,
    /// A key that is older needs a successor.
    pub(crate) superseded_if_made_before: Timestamp,
    /// A key whose successor is older is to be destroyed.
    pub(crate) over_if_superseded_before: Timestamp,
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
    fn a_key_seals_for_a_part_of_the_retention() {
        let billing = Purpose::new("billing").unwrap();
        let retention = Retention::none().keep(billing.clone(), DAY * 360);
        let owner = KeyOwner::of(SubjectRef([1; 16]));
        let with_purpose = owner.clone().with_purpose(billing.clone());
        let now = Timestamp::parse("2026-11-27T00:00:00Z").unwrap();
        let ago = |days| now.saturating_sub(DAY * days);
        assert!(!retention.is_due(&with_purpose, ago(29), now));
        assert!(retention.is_due(&with_purpose, ago(30), now));
        assert!(!retention.is_due(&owner, ago(9_999), now));
        let terms: Vec<Terms> = retention.terms(now).collect();
        assert_eq!((terms.len(), &terms[0].purpose), (1, &billing));
        assert_eq!(terms[0].superseded_if_made_before, ago(30));
        assert_eq!(terms[0].over_if_superseded_before, ago(360));
    }
}
