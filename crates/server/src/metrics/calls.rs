//! Calls, by method and outcome.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tonic::Code;

/// The status codes there are: 0 to 16.
const CODES: usize = 17;
/// The most methods that are counted by name.
const MOST_METHODS: usize = 256;
/// What all others are counted as.
const OTHER: &str = "other";
/// The upper ends of the buckets, in microseconds.
const BOUNDS_MICROS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    10_000_000,
];
const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// Calls, by method and outcome.
#[derive(Debug)]
pub(crate) struct Calls {
    /// A lock, since it is written once per method in the life of a server.
    methods: RwLock<HashMap<String, Arc<Method>>>,
    other: Arc<Method>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { methods: RwLock::default(), other: Arc::new(Method::default()) }
    }
}

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub(crate) struct Times([AtomicU64; BOUNDS_MICROS.len() + 1]);

impl Times {
    /// One more.
    pub(crate) fn took(&self, micros: u64) {
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.0.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many fell into each bucket.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// What so many thousandths of those since `before` took at most, in milliseconds; `None` where there were none.
    pub(crate) fn percentile_millis(&self, before: &[u64], thousandths: u64) -> Option<f64> {
        let since: Vec<u64> =
            self.counts().iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect();
        let all: u64 = since.iter().sum();
        let rank = all.saturating_mul(thousandths).div_ceil(1_000);
        let mut seen = 0;
        for (count, bound) in since.iter().zip(BOUNDS_MICROS.iter().chain([&BOUNDS_MICROS[13]])) {
            seen += count;
            if all > 0 && seen >= rank {
                #[allow(clippy::cast_precision_loss, reason = "microseconds as milliseconds, for people")]
                return Some(*bound as f64 / 1_000.0);
            }
        }
        None
    }
}

#[derive(Debug, Default)]
struct Method {
    ended: [AtomicU64; CODES],
    /// The last bucket is for all that took longer than the last bound.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    micros: AtomicU64,
}

/// How long calls of one method took until their answer began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Took {
    /// Upper ends of the buckets, in seconds.
    pub(crate) bounds: Vec<f64>,
    /// Calls in each bucket, and in one more for those that took longer.
    pub(crate) counts: Vec<u64>,
    /// Seconds of all together.
    pub(crate) seconds: f64,
}

/// The calls of one method.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MethodCalls {
    /// `package.Service/Method`.
    pub(crate) method: String,
    /// Code, and how many calls ended with it.
    pub(crate) ended: Vec<(Code, u64)>,
    /// How long they took.
    pub(crate) took: Took,
}

impl Calls {
    /// The answer of a call began after so long.
    pub(crate) fn answered(&self, method: &str, code: Option<Code>, after: Duration) {
        let counted = self.of(method, code);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = counted.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        counted.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A call ended.
    pub(crate) fn ended(&self, method: &str, code: Code) {
        let counted = self.of(method, Some(code));
        if let Some(ended) = usize::try_from(i32::from(code)).ok().and_then(|code| counted.ended.get(code)) {
            ended.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn of(&self, method: &str, code: Option<Code>) -> Arc<Method> {
        let known = |methods: &HashMap<String, Arc<Method>>| methods.get(method).cloned();
        if let Some(found) = known(&self.methods.read().unwrap_or_else(PoisonError::into_inner)) {
            return found;
        }
        // A name that no service answers may be anything.
        if code == Some(Code::Unimplemented) {
            return self.other.clone();
        }
        let mut methods = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        if methods.len() >= MOST_METHODS {
            return known(&methods).unwrap_or_else(|| self.other.clone());
        }
        methods.entry(method.to_owned()).or_default().clone()
    }

    /// What was counted, in the order of names.
    pub(crate) fn collect(&self) -> Vec<MethodCalls> {
        let methods = self.methods.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = methods.iter().map(|(name, method)| method.collect(name)).collect();
        drop(methods);
        all.push(self.other.collect(OTHER));
        all.retain(|calls| !calls.ended.is_empty() || calls.took.counts.iter().any(|count| *count > 0));
        all.sort_by(|one, other| one.method.cmp(&other.method));
        all
    }
}

impl Method {
    fn collect(&self, name: &str) -> MethodCalls {
        let codes = (0_i32..).map(Code::from_i32);
        let ended = codes.zip(&self.ended).map(|(code, count)| (code, count.load(Ordering::Relaxed)));
        #[allow(clippy::cast_precision_loss, reason = "microseconds as seconds, for people")]
        let seconds = |micros: u64| micros as f64 / MICROS_PER_SECOND;
        MethodCalls {
            method: name.to_owned(),
            ended: ended.filter(|(_, count)| *count > 0).collect(),
            took: Took {
                bounds: BOUNDS_MICROS.map(seconds).to_vec(),
                counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
                seconds: seconds(self.micros.load(Ordering::Relaxed)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_bucket_that_it_fits_in() {
        let calls = Calls::default();
        for micros in [100, 101, 20_000_000] {
            calls.answered("s/M", None, Duration::from_micros(micros));
        }
        let took = calls.collect().remove(0).took;
        assert_eq!((took.counts[0], took.counts[1], took.counts[14]), (1, 1, 1));
        assert_eq!(took.counts.iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket_and_of_what_is_new() {
        let times = Times::default();
        assert_eq!(times.percentile_millis(&times.counts(), 990), None);
        times.took(9_000_000);
        let before = times.counts();
        for _ in 0..99 {
            times.took(90);
        }
        assert_eq!(times.percentile_millis(&before, 990), Some(0.1));
        times.took(400_000);
        times.took(400_000);
        assert_eq!(times.percentile_millis(&before, 990), Some(1_000.0));
    }

    #[test]
    fn names_that_nobody_answers_are_counted_as_one() {
        let calls = Calls::default();
        for number in 0..10_000 {
            calls.ended(&format!("s/{number}"), Code::Unimplemented);
        }
        calls.ended("s/Known", Code::Ok);
        calls.ended("s/Known", Code::Unimplemented);
        let all = calls.collect();
        let told: Vec<_> = all.iter().map(|calls| (calls.method.as_str(), calls.ended.clone())).collect();
        assert_eq!(
            told,
            [
                ("other", vec![(Code::Unimplemented, 10_000)]),
                ("s/Known", vec![(Code::Ok, 1), (Code::Unimplemented, 1)])
            ]
        );
    }

    #[test]
    fn there_is_an_end_to_the_methods_that_are_known() {
        let calls = Calls::default();
        for number in 0..2 * MOST_METHODS {
            calls.ended(&format!("s/{number}"), Code::Ok);
        }
        assert_eq!(calls.collect().len(), MOST_METHODS + 1);
    }
}
