//! How much passes, and how long does it take?

use std::collections::VecDeque;
use std::time::Duration;

/// Seconds over which an average is taken.
const WINDOW_SECONDS: usize = 10;
/// Most times that are kept for percentiles.
const MAX_TIMES: usize = 1_000;

/// Counts what passes.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    total: u64,
    /// Since the last tick.
    recent: u64,
    /// In each of the last seconds.
    seconds: VecDeque<u64>,
    /// How long the last ones took, where somebody wants to know.
    times: VecDeque<Duration>,
}

/// What a meter shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    /// All so far.
    pub(crate) total: u64,
    /// In this second.
    pub(crate) recent: u64,
    /// Per second, over the last seconds.
    pub(crate) per_second: u64,
}

impl Meter {
    /// One more passed.
    pub(super) fn count(&mut self) {
        self.total += 1;
        self.recent += 1;
    }

    /// One took this long.
    pub(super) fn time(&mut self, took: Duration) {
        if self.times.len() == MAX_TIMES {
            self.times.pop_front();
        }
        self.times.push_back(took);
    }

    /// A second is over.
    pub(super) fn tick(&mut self) {
        if self.seconds.len() == WINDOW_SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(std::mem::take(&mut self.recent));
    }

    /// What it shows.
    pub(super) fn rate(&self) -> Rate {
        let over = self.seconds.len().max(1) as u64;
        Rate {
            total: self.total,
            recent: self.recent,
            per_second: self.seconds.iter().sum::<u64>().div_ceil(over),
        }
    }

    /// Times in milliseconds, by the names that clients know. Empty where none were taken.
    pub(super) fn measurements(&self) -> Vec<(&'static str, u64)> {
        let mut times: Vec<u64> =
            self.times.iter().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).collect();
        if times.is_empty() {
            return Vec::new();
        }
        times.sort_unstable();
        let share = |permille: usize| times[(times.len() - 1) * permille / 1_000];
        let mean = times.iter().sum::<u64>() / times.len() as u64;
        vec![
            ("Mean", mean),
            ("Median", share(500)),
            ("Fastest", share(0)),
            ("90%", share(900)),
            ("95%", share(950)),
            ("99%", share(990)),
            ("99.5%", share(995)),
            ("99.9%", share(999)),
            ("Highest", share(1_000)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_by_the_second_and_keeps_a_bounded_number_of_times() {
        let mut meter = Meter::default();
        for second in 0..20 {
            (0..second).for_each(|_| meter.count());
            meter.tick();
        }
        meter.count();
        assert_eq!(meter.rate(), Rate { total: 191, recent: 1, per_second: 15 });
        assert_eq!(meter.measurements(), []);
        (0..2_000).for_each(|millis| meter.time(Duration::from_millis(millis)));
        assert_eq!(meter.times.len(), MAX_TIMES);
        let of = |name| meter.measurements().iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        assert_eq!((of("Fastest"), of("Median"), of("Highest")), (Some(1_000), Some(1_499), Some(1_999)));
    }
}
