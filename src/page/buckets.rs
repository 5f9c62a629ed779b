//! How many of each of `N` kinds fell into which span of time, in bounded memory: spans widen as they become many.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// The widths of spans in milliseconds, each a multiple of the one before, so that a span of one width lies within one of the
/// next, and begins where a clock has a round figure. Beyond the last, widths are four times as long again and again.
const WIDTHS: [i64; 16] = [
    1,
    10,
    100,
    SECOND,
    2 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// To which span an instant at the border of two belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Border {
    /// To the later one, which it begins.
    Begins,
    /// To the earlier one, which it ends.
    Ends,
}

/// Counts by spans of time.
#[derive(Debug, Clone)]
pub(super) struct Buckets<const N: usize> {
    border: Border,
    /// The most spans that are kept; two at least, since no span has instants both before and after 1970.
    most: usize,
    /// The length of a span in milliseconds.
    width: i64,
    counts: BTreeMap<i64, [u64; N]>,
}

/// A span of time and its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket<const N: usize> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) counts: [u64; N],
}

impl<const N: usize> Buckets<N> {
    /// Keeps up to `most` spans that are not empty, each of `width` milliseconds at least.
    pub(super) fn new(border: Border, width: i64, most: usize) -> Self {
        Self { border, most, width, counts: BTreeMap::new() }
    }

    /// Counts one of a `kind`, which is below `N`, at an instant.
    pub(super) fn add(&mut self, at: DateTime<Utc>, kind: usize) {
        let key = self.key(at.timestamp_millis(), self.width);
        self.counts.entry(key).or_insert([0; N])[kind] += 1;
        while self.counts.len() > self.most {
            self.widen();
        }
    }

    fn key(&self, number: i64, width: i64) -> i64 {
        match self.border {
            Border::Begins => number.div_euclid(width),
            Border::Ends => -(-number).div_euclid(width),
        }
    }

    fn widen(&mut self) {
        let wider = wider_than(self.width);
        let ratio = wider / self.width;
        let mut merged: BTreeMap<i64, [u64; N]> = BTreeMap::new();
        for (key, counts) in &self.counts {
            let sum = merged.entry(self.key(*key, ratio)).or_insert([0; N]);
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        (self.width, self.counts) = (wider, merged);
    }

    /// The length of a span in milliseconds.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Every span that is not empty, in order.
    pub(super) fn spans(&self) -> impl DoubleEndedIterator<Item = Bucket<N>> {
        let (border, width) = (self.border, self.width);
        self.counts.iter().map(move |(key, counts)| match border {
            Border::Begins => Bucket { from: key * width, to: (key + 1) * width, counts: *counts },
            Border::Ends => Bucket { from: (key - 1) * width, to: key * width, counts: *counts },
        })
    }
}

fn wider_than(width: i64) -> i64 {
    WIDTHS.into_iter().find(|wider| *wider > width).unwrap_or(4 * width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).expect("in range")
    }

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        for pair in WIDTHS.windows(2) {
            assert!(pair[1] > pair[0] && pair[1] % pair[0] == 0, "{pair:?}");
        }
    }

    #[test]
    fn few_instants_are_kept_as_they_are() {
        let mut ends = Buckets::<1>::new(Border::Ends, 1, 3);
        for millis in [7, 5_000, 7, 100_000_000_123] {
            ends.add(at(millis), 0);
        }
        let spans: Vec<_> = ends.spans().map(|span| (span.to, span.counts[0])).collect();
        assert_eq!(spans, [(7, 2), (5_000, 1), (100_000_000_123, 1)]);
    }

    proptest! {
        #[test]
        fn spans_are_bounded_and_count_what_a_naive_count_finds(
            instants in prop::collection::vec((-62_135_596_800_000_i64..253_402_300_800_000, 0..2_usize), 0..300),
            close in any::<bool>(),
            most in 2..40_usize,
            ends in any::<bool>(),
        ) {
            let instants: Vec<_> = instants.into_iter().map(|(at, kind)| (if close { at.rem_euclid(2_000_000) } else { at }, kind)).collect();
            let border = if ends { Border::Ends } else { Border::Begins };
            let mut buckets = Buckets::<2>::new(border, 1, most);
            for (millis, kind) in &instants {
                buckets.add(at(*millis), *kind);
            }
            let spans: Vec<_> = buckets.spans().collect();
            prop_assert!(spans.len() <= most);
            prop_assert_eq!(spans.iter().flat_map(|span| span.counts).sum::<u64>(), instants.len() as u64);
            prop_assert!(spans.windows(2).all(|pair| pair[0].to <= pair[1].from));
            for span in spans {
                let is_in = |at: i64| if ends { span.from < at && at <= span.to } else { span.from <= at && at < span.to };
                for kind in 0..2 {
                    let naive = instants.iter().filter(|(at, of)| is_in(*at) && *of == kind).count();
                    prop_assert_eq!(span.counts[kind], naive as u64);
                }
            }
        }
    }
}
