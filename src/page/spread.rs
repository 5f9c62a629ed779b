//! How long rows took and how many attempts they needed, as distributions in bounded memory.

use std::collections::BTreeMap;

/// The upper bounds of the groups in which durations are shown, in milliseconds.
const DURATIONS: [u64; 18] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];
/// The upper bounds of the groups in which attempts are shown.
const ATTEMPTS: [u64; 10] = [1, 2, 3, 4, 5, 7, 10, 20, 50, 100];

/// Numbers, rounded up to two significant digits. That keeps 90 counters for each power of ten, and is exact for shares: so many
/// of a hundred are at most a number exactly if so many are at most that number rounded up.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    counts: BTreeMap<u64, u64>,
    total: u64,
    greatest: u64,
}

/// How many numbers are above `above` and at most `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) above: u64,
    /// `None` for the last group, which has no upper bound.
    pub(super) most: Option<u64>,
    pub(super) count: u64,
}

impl Spread {
    pub(super) fn add(&mut self, number: u64) {
        *self.counts.entry(rounded_up(number)).or_default() += 1;
        self.total += 1;
        self.greatest = self.greatest.max(number);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The least number of two digits that this many in a hundred do not exceed; no more than the greatest.
    pub(super) fn percentile(&self, hundredths: u64) -> u64 {
        let wanted = (u128::from(self.total) * u128::from(hundredths)).div_ceil(100).max(1);
        let mut seen = 0_u128;
        for (number, count) in &self.counts {
            seen += u128::from(*count);
            if seen >= wanted {
                return (*number).min(self.greatest);
            }
        }
        0
    }

    /// Durations in milliseconds, in groups.
    pub(super) fn durations(&self) -> Vec<Group> {
        self.groups(&DURATIONS)
    }

    /// Attempts, in groups.
    pub(super) fn attempts(&self) -> Vec<Group> {
        self.groups(&ATTEMPTS)
    }

    /// From the first group that is not empty to the last one. All bounds have two significant digits at most.
    fn groups(&self, bounds: &[u64]) -> Vec<Group> {
        let within = |above: u64, most: u64| self.counts.range(above + 1..=most).map(|(_, count)| count).sum::<u64>();
        let mut groups = Vec::new();
        let mut above = 0;
        for most in bounds {
            // The first group has what is 0, too.
            let zero = if above == 0 { self.counts.get(&0).copied().unwrap_or_default() } else { 0 };
            groups.push(Group { above, most: Some(*most), count: within(above, *most) + zero });
            above = *most;
        }
        groups.push(Group { above, most: None, count: within(above, u64::MAX) });
        let first = groups.iter().position(|group| group.count > 0).unwrap_or(groups.len());
        let last = groups.iter().rposition(|group| group.count > 0).map_or(0, |last| last + 1);
        groups.get(first..last).unwrap_or_default().to_vec()
    }
}

/// The least number of at most two significant digits that is not below `number`.
fn rounded_up(number: u64) -> u64 {
    let mut unit = 1_u64;
    while number / unit >= 100 {
        unit *= 10;
    }
    number.div_ceil(unit).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_rounded_up_to_two_digits() {
        for (number, expected) in [(0, 0), (7, 7), (99, 99), (100, 100), (101, 110), (991, 1_000), (1_001, 1_100), (u64::MAX, u64::MAX)] {
            assert_eq!(rounded_up(number), expected, "{number}");
        }
        assert!(DURATIONS.iter().chain(&ATTEMPTS).all(|bound| rounded_up(*bound) == *bound));
    }

    proptest! {
        #[test]
        fn shares_and_groups_are_those_of_the_numbers_themselves(
            numbers in prop::collection::vec(prop_oneof![0..30_u64, 0..5_000_u64, any::<u64>()], 1..200),
        ) {
            let mut spread = Spread::default();
            for number in &numbers {
                spread.add(*number);
            }
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            for share in [0, 1, 50, 90, 99, 100] {
                let rank = (sorted.len() * share).div_ceil(100).max(1);
                prop_assert_eq!(spread.percentile(share as u64), rounded_up(sorted[rank - 1]).min(sorted[sorted.len() - 1]));
            }
            prop_assert_eq!((spread.total(), spread.greatest()), (sorted.len() as u64, sorted[sorted.len() - 1]));
            for groups in [spread.durations(), spread.attempts()] {
                prop_assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), sorted.len() as u64);
                for group in groups {
                    let is_in = |number: &&u64| {
                        (**number > group.above || group.above == 0) && group.most.is_none_or(|most| **number <= most)
                    };
                    prop_assert_eq!(sorted.iter().filter(is_in).count() as u64, group.count);
                }
            }
        }
    }
}
