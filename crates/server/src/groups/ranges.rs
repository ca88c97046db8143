//! A set of numbers, kept as ranges: what a group knows of its parked events, however many there are.

use std::collections::BTreeMap;
use std::ops::Range;

/// Numbers, most of them beside each other. A number has a successor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl From<Range<u64>> for Ranges {
    fn from(range: Range<u64>) -> Self {
        let mut ranges = Self::default();
        ranges.insert(range);
        ranges
    }
}

impl Ranges {
    /// Adds these.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Whatever touches it becomes part of it.
        while let Some((first, last)) = self.touching(start, end) {
            self.0.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.0.insert(start, end);
    }

    fn touching(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let (first, last) = self.0.range(..=end).next_back()?;
        (*last >= start).then_some((*first, *last))
    }

    /// Adds one.
    pub(crate) fn add(&mut self, number: u64) {
        self.insert(number..number.saturating_add(1));
    }

    /// Takes these out.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&first, &last)) = self.0.range(..range.end).next_back() {
            if last <= range.start {
                return;
            }
            self.0.remove(&first);
            if last > range.end {
                self.0.insert(range.end, last);
            }
            if first < range.start {
                self.0.insert(first, range.start);
                return;
            }
        }
    }

    /// Takes one out. Says whether it was there.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let there = self.contains(number);
        self.remove(number..number.saturating_add(1));
        there
    }

    /// Adds all of another set.
    pub(crate) fn extend(&mut self, others: &Ranges) {
        others.iter().for_each(|range| self.insert(range));
    }

    /// Takes all of another set out.
    pub(crate) fn subtract(&mut self, others: &Ranges) {
        others.iter().for_each(|range| self.remove(range));
    }

    /// Whether this one is in it.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are in it.
    pub(crate) fn count(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// How many ranges it has.
    pub(crate) fn pieces(&self) -> usize {
        self.0.len()
    }

    /// Its ranges, ascending: none is empty, and none touches another.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|(start, end)| *start..*end)
    }

    /// The first so many of it.
    pub(crate) fn first(&self, count: u64) -> Ranges {
        let mut first = Ranges::default();
        let mut rest = count;
        for range in self.iter() {
            let end = range.end.min(range.start.saturating_add(rest));
            rest -= end - range.start;
            first.insert(range.start..end);
            if rest == 0 {
                break;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shown(ranges: &Ranges) -> Vec<Range<u64>> {
        ranges.iter().collect()
    }

    #[test]
    fn what_touches_is_one_range() {
        let mut ranges = Ranges::from(3..5);
        ranges.add(5);
        ranges.insert(8..9);
        assert_eq!(shown(&ranges), [3..6, 8..9]);
        ranges.insert(6..8);
        let one = std::iter::once(3..9).collect();
        assert_eq!((shown(&ranges), ranges.count(), ranges.pieces()), (one, 6, 1));
        assert!(ranges.take(5) && !ranges.take(5));
        assert_eq!(shown(&ranges), [3..5, 6..9]);
        assert_eq!(shown(&ranges.first(4)), [3..5, 6..8]);
        assert_eq!(ranges.first(0), Ranges::default());
        assert_eq!(ranges.first(u64::MAX), ranges);
    }

    #[test]
    fn it_is_the_set_that_it_stands_for() {
        let mut state = 7_u64;
        let mut dice = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
        for _ in 0..2_000 {
            let start = dice(40);
            let range = start..start + dice(6);
            if dice(2) == 0 {
                ranges.insert(range.clone());
                set.extend(range);
            } else {
                ranges.remove(range.clone());
                set.retain(|number| !range.contains(number));
            }
            assert_eq!(ranges.iter().flatten().collect::<BTreeSet<_>>(), set);
            assert_eq!(ranges.count(), set.len() as u64);
            assert!((0..50).all(|number| ranges.contains(number) == set.contains(&number)));
            let bounds: Vec<_> = ranges.iter().collect();
            assert!(bounds.windows(2).all(|pair| pair[0].end < pair[1].start), "{bounds:?}");
        }
    }
}
