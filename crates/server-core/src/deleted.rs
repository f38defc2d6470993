//! What a user deleted of a conversation for themselves alone.

use fireside_protocol::{Sequence, limits::DELETED_RUNS_MAX};

/// Numbers that a user does not want to see any more. Part of their rights: nobody else is concerned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deleted {
    /// Everything up to here.
    pub upto: Sequence,
    /// Runs of numbers above it, first and last, ascending and apart.
    pub runs: Vec<(Sequence, Sequence)>,
}

impl Deleted {
    /// Whether a number is among them.
    #[must_use]
    pub fn has(&self, number: Sequence) -> bool {
        number <= self.upto || {
            let place = self.runs.partition_point(|(_, last)| *last < number);
            self.runs
                .get(place)
                .is_some_and(|(first, _)| *first <= number)
        }
    }

    /// Whether something above a number is.
    #[must_use]
    pub fn reaches_over(&self, number: Sequence) -> bool {
        self.upto > number || self.runs.last().is_some_and(|(_, last)| *last > number)
    }

    /// Adds everything up to `upto`, and `numbers`. `false`, and nothing is changed, if that would be more runs than are kept.
    #[must_use]
    pub fn add(&mut self, upto: Sequence, numbers: &[Sequence]) -> bool {
        let mut new = self.clone();
        new.upto = new.upto.max(upto);
        for number in numbers {
            if *number > new.upto && !new.has(*number) {
                let place = new.runs.partition_point(|(_, last)| last < number);
                new.runs.insert(place, (*number, *number));
            }
        }
        new.join();
        if new.runs.len() > DELETED_RUNS_MAX {
            return false;
        }
        *self = new;
        true
    }

    /// Puts runs that touch together, and those into `upto` that follow on it.
    fn join(&mut self) {
        let mut joined: Vec<(Sequence, Sequence)> = Vec::with_capacity(self.runs.len());
        for (first, last) in std::mem::take(&mut self.runs) {
            if first <= self.upto.saturating_add(1) {
                self.upto = self.upto.max(last);
                continue;
            }
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        self.runs = joined;
    }

    /// As a store keeps it: numbers of 8 bytes, little-endian, `upto` first; empty if nothing is deleted.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let runs = self.runs.iter().flat_map(|(first, last)| [*first, *last]);
        let numbers = std::iter::once(self.upto).chain(runs);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    /// Reads it again; `None` if it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let Some(upto) = numbers.next() else {
            return rest.is_empty().then(Self::default);
        };
        let mut runs = Vec::new();
        while let Some(first) = numbers.next() {
            runs.push((first, numbers.next()?));
        }
        rest.is_empty().then_some(Self { upto, runs })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn runs_stay_apart_and_ascending() {
        let mut deleted = Deleted::default();
        assert!(deleted.add(0, &[7, 5, 9, 6]));
        assert_eq!(deleted.runs, [(5, 7), (9, 9)]);
        assert!(deleted.has(6) && !deleted.has(8) && deleted.reaches_over(8));
        assert!(deleted.add(4, &[12]));
        assert_eq!(
            (deleted.upto, deleted.runs.as_slice()),
            (7, &[(9, 9), (12, 12)][..])
        );
        assert!(deleted.has(1) && !deleted.has(8));
        let bytes = deleted.to_bytes();
        assert_eq!(Deleted::from_bytes(&bytes).unwrap(), deleted);
        assert!(Deleted::from_bytes(&bytes[1..]).is_none());
        assert!(Deleted::default().to_bytes().is_empty());
    }

    #[test]
    fn too_many_change_nothing() {
        let mut deleted = Deleted::default();
        let numbers: Vec<u64> = (1..=DELETED_RUNS_MAX as u64).map(|n| n * 2).collect();
        assert!(deleted.add(0, &numbers));
        let before = deleted.clone();
        assert!(!deleted.add(0, &[10_000]) && deleted == before);
        assert!(deleted.add(20_000, &[]) && deleted.runs.is_empty());
    }
}
