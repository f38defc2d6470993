//! Sets of numbers as ranges: what a device accounts for, and what it does not.

use fireside_protocol::{Sequence, frames::Range, limits::HELD_RANGES_MAX};

/// Numbers as ascending ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RangeSet {
    ranges: Vec<(Sequence, Sequence)>,
}

impl RangeSet {
    /// From ranges in any order, also overlapping or empty ones (a cache or a peer may say anything).
    pub(crate) fn from_ranges(ranges: &[Range]) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert(range.first, range.last);
        }
        set
    }

    /// For the wire and the cache.
    pub(crate) fn to_ranges(&self) -> Vec<Range> {
        let range = |&(first, last): &(Sequence, Sequence)| Range { first, last };
        self.ranges.iter().map(range).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn first(&self) -> Option<Sequence> {
        self.ranges.first().map(|range| range.0)
    }

    pub(crate) fn last(&self) -> Option<Sequence> {
        self.ranges.last().map(|range| range.1)
    }

    /// The index of the first range that ends at `number` or later.
    fn index(&self, number: Sequence) -> usize {
        self.ranges.partition_point(|range| range.1 < number)
    }

    fn at(&self, number: Sequence) -> Option<(Sequence, Sequence)> {
        let range = *self.ranges.get(self.index(number))?;
        (range.0 <= number).then_some(range)
    }

    pub(crate) fn contains(&self, number: Sequence) -> bool {
        self.at(number).is_some()
    }

    /// Whether all of `first..=last` is in it; true for an empty range.
    pub(crate) fn contains_all(&self, first: Sequence, last: Sequence) -> bool {
        first > last || self.at(first).is_some_and(|range| last <= range.1)
    }

    /// The end of the range that `number` is in.
    pub(crate) fn end_of(&self, number: Sequence) -> Option<Sequence> {
        self.at(number).map(|range| range.1)
    }

    /// The start of the range that `number` is in.
    pub(crate) fn start_of(&self, number: Sequence) -> Option<Sequence> {
        self.at(number).map(|range| range.0)
    }

    /// Adds `first..=last`; nothing if `first` is larger.
    pub(crate) fn insert(&mut self, first: Sequence, last: Sequence) {
        if first > last {
            return;
        }
        // Touching neighbours become one.
        let from = self.index(first.saturating_sub(1));
        let to = self
            .ranges
            .partition_point(|range| range.0 <= last.saturating_add(1));
        let (mut low, mut high) = (first, last);
        if let Some(touched) = self.ranges.get(from..to) {
            for range in touched {
                low = low.min(range.0);
                high = high.max(range.1);
            }
        }
        if from <= to {
            self.ranges.splice(from..to, [(low, high)]);
        }
    }

    /// Takes `first..=last` out.
    pub(crate) fn remove(&mut self, first: Sequence, last: Sequence) {
        if first > last {
            return;
        }
        let mut kept = Vec::with_capacity(self.ranges.len() + 1);
        for &(low, high) in &self.ranges {
            if high < first || low > last {
                kept.push((low, high));
                continue;
            }
            if low < first {
                kept.push((low, first - 1));
            }
            if high > last {
                kept.push((last + 1, high));
            }
        }
        self.ranges = kept;
    }

    /// Keeps the newest `max` ranges. `true` if something was dropped.
    pub(crate) fn keep_newest(&mut self, max: usize) -> bool {
        let over = self.ranges.len().saturating_sub(max);
        self.ranges.drain(..over);
        over > 0
    }

    /// The numbers of `first..=last` that are not in it, ascending.
    pub(crate) fn holes(&self, first: Sequence, last: Sequence) -> Vec<(Sequence, Sequence)> {
        let mut holes = Vec::new();
        let mut next = first;
        let start = self.index(first);
        for &(low, high) in self.ranges.get(start..).unwrap_or_default() {
            if low > last {
                break;
            }
            if next < low {
                holes.push((next, low - 1));
            }
            match high.checked_add(1) {
                Some(after) => next = next.max(after),
                None => return holes,
            }
        }
        if next <= last {
            holes.push((next, last));
        }
        holes
    }

    /// The smallest number that is in it and not in `first..=last`.
    pub(crate) fn smallest_outside(&self, first: Sequence, last: Sequence) -> Option<Sequence> {
        for &(low, high) in &self.ranges {
            if first > last || low < first || low > last {
                return Some(low);
            }
            if high > last {
                return last.checked_add(1);
            }
        }
        None
    }

    /// Bounded as what a device tells a server.
    pub(crate) fn limit_held(&mut self) -> bool {
        self.keep_newest(HELD_RANGES_MAX)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_of_the_number_line() {
        let mut set = RangeSet::default();
        set.insert(u64::MAX, u64::MAX);
        set.insert(0, 0);
        set.insert(u64::MAX - 1, u64::MAX);
        assert_eq!(set.ranges.len(), 2);
        assert_eq!(set.holes(0, u64::MAX), [(1, u64::MAX - 2)]);
        set.remove(5, u64::MAX);
        assert_eq!(set.last(), Some(0));
        assert_eq!(set.holes(7, 3), []);
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u64..60, 0u64..12), 0..40)) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (add, first, length) in steps {
                let last = first + length;
                if add {
                    set.insert(first, last);
                    model.extend(first..=last);
                } else {
                    set.remove(first, last);
                    model.retain(|number| !(first..=last).contains(number));
                }
                prop_assert!(set.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            }
            for number in 0..80 {
                prop_assert_eq!(set.contains(number), model.contains(&number));
            }
            let holes: BTreeSet<u64> =
                set.holes(5, 70).into_iter().flat_map(|(first, last)| first..=last).collect();
            let expected: BTreeSet<u64> = (5..=70).filter(|n| !model.contains(n)).collect();
            prop_assert_eq!(holes, expected);
            let outside = model.iter().copied().find(|n| !(20..=40).contains(n));
            prop_assert_eq!(set.smallest_outside(20, 40), outside);
            prop_assert_eq!(RangeSet::from_ranges(&set.to_ranges()), set.clone());
            if let Some(first) = model.first() {
                prop_assert_eq!(set.first().unwrap(), *first);
            }
        }
    }
}
