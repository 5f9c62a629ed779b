//! Finds the limiters that would have given these answers. Pure: answers in, the best limiter of each kind out, with
//! the number of answers it leaves unexplained.

use super::evidence::{Answered, Counter, Reading, number};
use super::round::{WIDE, is_round, likely, roundest};

/// Windows that limits use, in seconds: licences and gateways count by the second, the minute and the hour.
const WINDOWS: [f64; 3] = [1.0, 60.0, 3600.0];
/// Phases of a fixed window that are tried first; a tenth of such a step is about the jitter of a network.
const PHASES: u32 = 100;
/// Step factors of the search for a bucket's rate, each pass around the best of the one before. A rate that is off by some share misjudges
/// the level by that share of what drains in a few seconds; smaller misfits count in part, or the search would step over the minimum.
const STEPS: [f64; 3] = [1.05, 1.01, 1.002];
/// Those few seconds.
const FILLS: f64 = 2.0;
/// A rate explains as well as the best if it leaves at most half an answer more unexplained.
const AS_WELL: f64 = 0.5;
/// Levels that differ by no more, in requests, are equal: sums of floats are not exact.
const AS_MUCH: f64 = 1e-9;
/// How many round numbers are tried on either side of the mean rate admitted.
const NEAR: i32 = 10;
/// No network jitters by more where a bucket's level is concerned; in seconds.
const MOST_JITTER: f64 = 0.005;

/// Cost of a limit that is not round, in nats: one in ten.
pub(super) const UNROUND: f64 = 2.3;

/// Nobody sets a window of fewer requests: that is a bucket without a burst.
const FEW: f64 = 3.0;

/// A limiter, and how well it explains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Explanation {
    pub(super) counter: Counter,
    /// The most that it holds, in requests.
    pub(super) size: f64,
    /// How many answers it leaves unexplained.
    pub(super) misfits: f64,
    /// The rate that it sustains, in requests a second, and the range that explains as well.
    pub(super) rate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Explanation {
    /// Whether the range spans more than a factor of [`WIDE`].
    pub(super) fn is_wide(&self) -> bool {
        self.high > self.low * WIDE
    }

    /// Its prior cost, in nats: few buckets store many seconds' worth.
    pub(super) fn surprise(&self) -> f64 {
        match self.counter {
            Counter::Bucket { drain } => (self.size / drain).max(1.0).ln(),
            // Limits are set by people: one in ten has three significant digits.
            Counter::Sliding { .. } | Counter::Fixed { .. } if self.size < FEW => 2.0 * UNROUND,
            Counter::Sliding { .. } | Counter::Fixed { .. } if is_round(self.size) => 0.0,
            Counter::Sliding { .. } | Counter::Fixed { .. } => UNROUND,
        }
    }

    /// Cost, in nats, of a bucket holding so many times more or less than was believed.
    pub(super) fn resized(&self, other: &Self) -> f64 {
        match (self.counter, other.counter) {
            (Counter::Bucket { .. }, Counter::Bucket { .. }) => (other.size / self.size).ln().abs(),
            _ => 0.0,
        }
    }

    /// Cost, in nats, of a window shorter than the wait that a 429 asked for: some servers always name the same.
    pub(super) fn surprise_of(&self, wait: f64) -> f64 {
        self.counter.window().map_or(0.0, |window| (wait / window / 2.0).max(1.0).ln())
    }

    /// How many answers of a `log` it leaves unexplained, on a network with this jitter.
    pub(super) fn misfits_of(&self, log: &[Answered], jitter: f64) -> f64 {
        let soft = match self.counter {
            Counter::Bucket { drain } => drain * jitter.min(MOST_JITTER),
            Counter::Sliding { .. } | Counter::Fixed { .. } => 0.0,
        };
        misfits(&self.counter.readings(log, jitter), self.size, soft)
    }
}

/// The answers to explain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) log: &'a [Answered],
    /// Requests sent before this fill the counters, but are not to be explained.
    pub(super) from: f64,
    /// The longest wait that a 429 asked for, in seconds.
    pub(super) wait: f64,
    /// Whether a hold was too short for the window to fall; only then is a longer window considered.
    pub(super) is_long: bool,
    pub(super) jitter: f64,
    /// The highest rate that was sent at.
    pub(super) fastest: f64,
}

impl Evidence<'_> {
    /// The best of each kind.
    pub(super) fn explanations(&self) -> Vec<Explanation> {
        let long_enough = WINDOWS.iter().filter(|window| **window < self.wait - 1.0).count();
        // A window longer than the whole log would explain anything.
        let longer = WINDOWS.get(1 + long_enough).filter(|window| self.is_long && self.passed() >= **window);
        let windows = WINDOWS.iter().take(1 + long_enough).chain(longer);
        windows.flat_map(|window| [self.sliding(*window), self.fixed(*window)]).chain([self.bucket()]).collect()
    }

    /// The seconds from the first request of the log to the last.
    fn passed(&self) -> f64 {
        self.log.last().map_or(0.0, |last| last.sent) - self.log.first().map_or(0.0, |first| first.sent)
    }

    /// How many answers stay unexplained if others take a share of a known limiter: a window is full earlier then, give
    /// or take the random number that they send.
    pub(super) fn misfits_shared(&self, limit: &Explanation) -> f64 {
        match limit.counter {
            Counter::Sliding { window } | Counter::Fixed { window, .. } => {
                size(self.readings(Counter::Sliding { window }), limit.size.sqrt()).1
            }
            Counter::Bucket { .. } => self.bucket().misfits,
        }
    }

    /// The best with the same kind of window or bucket, which does not change when a limit changes.
    pub(super) fn alike(&self, counter: Counter) -> Explanation {
        let all = match counter {
            Counter::Sliding { window } | Counter::Fixed { window, .. } => {
                vec![self.sized(counter), self.sliding(window), self.fixed(window)]
            }
            Counter::Bucket { .. } => vec![self.bucket()],
        };
        all.into_iter().min_by(|a, b| a.misfits.total_cmp(&b.misfits)).expect("at least one")
    }

    /// A known counter, with the size that explains best.
    pub(super) fn sized(&self, counter: Counter) -> Explanation {
        self.window(counter, counter.window().unwrap_or(1.0))
    }

    fn window(&self, counter: Counter, window: f64) -> Explanation {
        let (size, misfits) = size(self.readings(counter), 0.0);
        let rate = size / window;
        Explanation { counter, size, misfits, rate, low: rate, high: rate }
    }

    /// What a counter would have held at each request to be explained.
    pub(super) fn readings(&self, counter: Counter) -> Vec<Reading> {
        let jitter = if counter.window().is_some() { self.jitter } else { 0.0 };
        let before = self.log.partition_point(|answered| answered.sent < self.from);
        counter.readings(self.log, jitter).split_off(before)
    }

    pub(super) fn sliding(&self, window: f64) -> Explanation {
        self.window(Counter::Sliding { window }, window)
    }

    /// Phases that explain equally well leave the size open between them; the likeliest one is taken.
    pub(super) fn fixed(&self, window: f64) -> Explanation {
        let part = window / f64::from(PHASES);
        let of = |phase: f64| self.window(Counter::Fixed { window, phase }, window);
        let coarse: Vec<Explanation> = (0..PHASES).map(|nth| of(f64::from(nth) * part)).collect();
        let best = least_misfit(&coarse);
        let Counter::Fixed { phase, .. } = best.counter else {
            return best;
        };
        // A burst shows the edge of a window to a millisecond.
        let near = |tenth: u32| [phase + f64::from(tenth) * part / 10.0, phase - f64::from(tenth) * part / 10.0];
        let all: Vec<Explanation> = (1..10).flat_map(near).map(of).chain(coarse).collect();
        let least = least_misfit(&all).misfits;
        let as_good = || all.iter().filter(|other| other.misfits <= least);
        let (low, high) = as_good().fold((f64::INFINITY, 0.0_f64), |(low, high), other| (low.min(other.rate), high.max(other.rate)));
        let whole = if is_round(high * window) { high * window } else { roundest(low * window, high * window).unwrap_or(high * window) };
        let rate = whole / window;
        let nearest = as_good().min_by(|a, b| (a.rate - rate).abs().total_cmp(&(b.rate - rate).abs())).copied().unwrap_or(best);
        Explanation { low, high, ..nearest }
    }

    pub(super) fn bucket(&self) -> Explanation {
        let top = self.top();
        let (mut from, mut to) = (top, (self.let_in_since_refused() / 4.0).min(top / 100.0));
        let mut found =
            Explanation { counter: Counter::Bucket { drain: top }, size: 1.0, misfits: f64::INFINITY, rate: top, low: to, high: from };
        for step in STEPS {
            let tried = self.buckets(from, to, step);
            found.misfits = tried.iter().map(|(_, _, misfits)| *misfits).fold(f64::INFINITY, f64::min);
            let good = || tried.iter().filter(|(_, _, misfits)| *misfits <= found.misfits + AS_WELL).map(|(drain, ..)| *drain);
            (found.low, found.high) = (good().fold(f64::INFINITY, f64::min), good().fold(0.0, f64::max));
            found.rate = likely(found.low, found.high);
            found.size = tried.iter().rfind(|(drain, ..)| *drain >= found.rate).map_or(1.0, |(_, size, _)| *size);
            if found.high > found.low * WIDE * WIDE {
                break;
            }
            (from, to) = (found.high * step, found.low / step);
        }
        let found = Explanation { counter: Counter::Bucket { drain: found.rate }, ..found };
        if found.misfits < 1.0 { found } else { self.round_bucket(found) }
    }

    /// Over a long time, a slightly wrong rate misjudges the level of a bucket by a lot, so that a search by factors
    /// steps over the right one. Round numbers near the mean rate admitted are tried too.
    fn round_bucket(&self, found: Explanation) -> Explanation {
        let mean = number(self.log.iter().filter(|answered| answered.admitted).count()) / self.passed().max(1.0);
        let unit = 10_f64.powf(mean.log10().floor() - 1.0);
        let near = (-NEAR..=NEAR).map(|by| ((mean / unit).round() + f64::from(by)) * unit);
        let of = |drain: f64| {
            let (size, misfits) = size(self.readings(Counter::Bucket { drain }), drain * self.jitter.min(MOST_JITTER));
            Explanation { counter: Counter::Bucket { drain }, size, misfits, rate: drain, low: drain, high: drain }
        };
        near.filter(|drain| *drain > 0.0)
            .map(of)
            .fold(found, |best, other| if other.misfits + AS_WELL < best.misfits { other } else { best })
    }

    /// Buckets with drain rates in this range, the highest first: rate, size and misfits.
    pub(super) fn buckets(&self, from: f64, to: f64, step: f64) -> Vec<(f64, f64, f64)> {
        let soft = ((step - 1.0) * FILLS).max(self.jitter.min(MOST_JITTER));
        std::iter::successors(Some(from), |drain| Some(drain / step))
            .take_while(|drain| *drain >= to && *drain > 0.0)
            .map(|drain| {
                let (size, misfits) = size(self.readings(Counter::Bucket { drain }), drain * soft);
                (drain, size, misfits)
            })
            .collect()
    }

    /// Requests admitted a second since the first refusal: an empty bucket admits what drains. Infinite if that says nothing.
    pub(super) fn let_in_since_refused(&self) -> f64 {
        let from = self.log.iter().position(|answered| !answered.admitted).unwrap_or(0);
        let later = &self.log[from..];
        let (Some(first), Some(last)) = (later.first(), later.last()) else {
            return f64::INFINITY;
        };
        let let_in = number(later.iter().filter(|answered| answered.admitted).count());
        if let_in > 0.0 { let_in / (last.sent - first.sent) } else { f64::INFINITY }
    }

    /// The highest bucket rate that the log can tell from no limit: the highest sustained over four requests.
    pub(super) fn top(&self) -> f64 {
        let mean = number(self.log.len()) / self.passed().max(0.02);
        let highest = self.log.windows(4).map(|four| 3.0 / (four[3].sent - four[0].sent).max(1e-6)).fold(0.0, f64::max);
        highest.min(self.fastest).max(mean)
    }
}

/// The explanation with the fewest misfits; of equals, the one with the highest rate.
pub(super) fn least_misfit(found: &[Explanation]) -> Explanation {
    let order = |a: &Explanation, b: &Explanation| a.misfits.total_cmp(&b.misfits).then(b.rate.total_cmp(&a.rate));
    found.iter().copied().min_by(order).expect("phases are tried")
}

/// The size of a counter with the fewest misfits, at least one request; and the number of these.
pub(super) fn size(mut readings: Vec<Reading>, soft: f64) -> (f64, f64) {
    let held = |admitted: bool| readings.iter().filter(move |reading| reading.admitted == admitted).map(|reading| reading.held);
    let least = held(false).fold(f64::INFINITY, f64::min);
    let under = held(true).filter(|held| *held < least).fold(1.0, f64::max);
    // Requests admitted below every refusal carry no information.
    readings.retain(|reading| reading.held >= least - soft);
    readings.sort_unstable_by(|a, b| a.held.total_cmp(&b.held));
    let mut count = misfits(&readings, under, 0.0);
    let mut best = (under, count);
    for same in readings.chunk_by(|a, b| a.held.total_cmp(&b.held).is_eq()).filter(|same| same[0].held > under + AS_MUCH) {
        count += same.iter().map(|reading| if reading.admitted { -1.0 } else { 1.0 }).sum::<f64>();
        if count < best.1 {
            best = (same[0].held, count);
        }
    }
    if soft <= 0.0 {
        return best;
    }
    // With soft misfits, a size next to it may be better.
    let beside = [0.0, 0.25, 0.5, 0.75, 1.0, -0.25, -0.5].map(|part: f64| part.mul_add(soft, best.0));
    let softly = |size: f64| (size, misfits(&readings, size, soft));
    let better = |a: (f64, f64), b: (f64, f64)| if b.1 < a.1 { b } else { a };
    beside.into_iter().filter(|size| *size >= 1.0).map(softly).fold((best.0, f64::INFINITY), better)
}

/// How many readings a `size` leaves unexplained; one that misses by less than `soft` counts in part. A small bucket is
/// not judged softly, or any rate would do.
pub(super) fn misfits(readings: &[Reading], size: f64, soft: f64) -> f64 {
    let soft = soft.min((size - 1.0) / 4.0);
    let misfit = |reading: &Reading| {
        let by = if reading.admitted { reading.held - size } else { size - reading.held };
        let fits = if reading.admitted { by <= AS_MUCH } else { by < -AS_MUCH };
        match fits {
            true => 0.0,
            false if soft <= 0.0 => 1.0,
            false => (by / soft).min(1.0),
        }
    };
    readings.iter().map(misfit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A log of `count` requests at `rate`, answered by a counter of this size.
    fn log_of(counter: Counter, size: f64, rate: f64, count: u16) -> Vec<Answered> {
        let mut log: Vec<Answered> = Vec::new();
        for nth in 0..count {
            log.push(Answered { sent: 0.3 + f64::from(nth) / rate, admitted: false });
            let held = counter.readings(&log, 0.0).last().expect("one").held;
            log.last_mut().expect("one").admitted = held <= size + 1e-9;
        }
        log
    }

    fn evidence(log: &[Answered], fastest: f64) -> Evidence<'_> {
        Evidence { log, from: 0.0, wait: 1.0, is_long: false, jitter: 0.001, fastest }
    }

    fn best(log: &[Answered], fastest: f64) -> Explanation {
        let found = evidence(log, fastest).explanations();
        found.into_iter().min_by(|a, b| a.misfits.total_cmp(&b.misfits)).expect("some")
    }

    #[test]
    fn windows_differ_from_buckets_by_what_they_admit_when_full() {
        let window = best(&log_of(Counter::Sliding { window: 1.0 }, 100.0, 600.0, 130), 600.0);
        assert_eq!((window.counter, window.rate.to_bits()), (Counter::Sliding { window: 1.0 }, 100_f64.to_bits()));
        let bucket = best(&log_of(Counter::Bucket { drain: 100.0 }, 5.0, 600.0, 36), 600.0);
        assert!(matches!(bucket.counter, Counter::Bucket { .. }) && (90.0..110.0).contains(&bucket.rate), "{bucket:?}");
    }

    #[test]
    fn a_fixed_window_that_ended_within_the_first_burst_is_recognised_at_the_next() {
        let log = log_of(Counter::Fixed { window: 1.0, phase: 0.62 }, 100.0, 300.0, 700);
        assert!(evidence(&log, 300.0).sliding(1.0).misfits > 0.0);
        let fixed = evidence(&log, 300.0).fixed(1.0);
        assert!(fixed.misfits < 0.5 && (fixed.rate - 100.0).abs() < 0.5, "{fixed:?}");
    }

    #[test]
    fn random_answers_are_left_unexplained() {
        let mut random = fastrand::Rng::with_seed(4);
        let log: Vec<Answered> =
            (0..1000_u16).map(|nth| Answered { sent: f64::from(nth) / 100.0, admitted: random.f64() > 0.05 }).collect();
        let refused = number(log.iter().filter(|answered| !answered.admitted).count());
        assert!(best(&log, 100.0).misfits > refused * 0.6, "{:?} of {refused}", best(&log, 100.0));
    }

    #[test]
    fn round_numbers_are_likelier() {
        for (low, high, rate) in [(93.0, 108.0, 100.0), (28.0, 33.0, 30.0), (126.0, 134.0, 130.0), (0.9, 1.1, 1.0), (430.0, 560.0, 500.0)] {
            assert!((likely(low, high) - rate).abs() < 1e-6, "{low} {high}: {}", likely(low, high));
        }
    }

    proptest! {
        #[test]
        fn a_likely_rate_is_one_that_explains(low in 0.01..1e5_f64, times in 1.0..50.0_f64) {
            let rate = likely(low, low * times);
            prop_assert!(rate >= low * (1.0 - 1e-9) && rate <= low * times * (1.0 + 1e-9), "{}", rate);
        }

        #[test]
        fn a_limiter_explains_its_own_answers(kind in 0..3, size in 1_u16..100, rate in 5.0..300.0_f64, times in 1.2..6.0_f64) {
            let counter = match kind {
                0 => Counter::Sliding { window: 1.0 },
                1 => Counter::Fixed { window: 1.0, phase: 0.25 },
                _ => Counter::Bucket { drain: rate },
            };
            let limit = if kind == 2 { rate } else { f64::from(size) };
            let log = log_of(counter, f64::from(size), limit * times, 60 + size);
            let found = evidence(&log, limit * times).explanations();
            let of_its_kind = found.iter().find(|found| found.counter.is_like(counter)).expect("one of each");
            let refused = number(log.iter().filter(|answered| !answered.admitted).count());
            prop_assert!(of_its_kind.misfits <= 3.0 + refused * 0.1, "{:?} of {}", of_its_kind, refused);
        }
    }
}
