//! What is known of the limiter: for each request, when it was sent and whether it was admitted; and the level that
//! each kind of limiter would have had then.

use std::collections::VecDeque;

/// A hold lasts longer than the server asks for, by a random share in this range: its clock is not ours, and several
/// runs under one licence must not come back in step.
pub(super) const MARGIN: (f64, f64) = (0.02, 0.10);
/// How much of a late permit may be made up for, in seconds: covers a stall of a busy machine, and is far less than a burst.
pub(super) const MADE_UP: f64 = 0.05;
/// A busy machine delays a request by this much after it was sent, in seconds. Windows are kept longer by as much: that
/// costs half a percent of a second, a refusal costs all of it.
pub(super) const STALL: f64 = 0.005;

/// How many requests are remembered. Enough for a minute at 30/s, or for the twenty holds at 100/s that identify a
/// limit best; few enough to search all explanations within some tens of milliseconds, once per hold and probe.
pub(super) const REMEMBERED: usize = 2048;

/// An answered request; times are in seconds from the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answered {
    pub(super) sent: f64,
    pub(super) admitted: bool,
}

/// Counters fall during a gap of this many seconds: no hold is shorter.
const GAP: f64 = 1.0;

/// The last answered requests, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Log {
    answered: VecDeque<Answered>,
    /// Whether older ones were dropped.
    is_cut: bool,
}

impl Log {
    pub(super) fn add(&mut self, answered: Answered) {
        // Answers come nearly in order.
        let later = self.answered.iter().rev().take_while(|other| other.sent > answered.sent).count();
        self.answered.insert(self.answered.len() - later, answered);
        if self.answered.len() > REMEMBERED {
            self.answered.pop_front();
            self.is_cut = true;
        }
    }

    /// How many requests sent from `from` until before `to` were admitted.
    pub(super) fn let_in(&self, from: f64, to: f64) -> f64 {
        let later = self.answered.partition_point(|answered| answered.sent < from);
        number(self.answered.range(later..).take_while(|answered| answered.sent < to).filter(|answered| answered.admitted).count())
    }

    /// Whether all requests sent from then on are remembered.
    pub(super) fn is_whole(&self, from: f64) -> bool {
        !self.is_cut || self.answered.front().is_none_or(|first| first.sent < from)
    }

    /// The requests sent from then on. If others that a counter held are forgotten, only those after the next gap.
    pub(super) fn since(&self, from: f64) -> Vec<Answered> {
        let after_gap = || (1..self.answered.len()).find(|nth| self.answered[*nth].sent - self.answered[nth - 1].sent >= GAP);
        let skipped = if self.is_whole(from) { 0 } else { after_gap().unwrap_or(0) };
        self.answered.iter().skip(skipped).filter(|answered| answered.sent >= from).copied().collect()
    }
}

/// What an estimate is based on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) now: f64,
    /// When the first request was answered.
    pub(super) began: f64,
    pub(super) log: &'a Log,
    /// How many requests were sent, and how many of them refused.
    pub(super) sent: f64,
    pub(super) refused: f64,
    /// How many rows are left; infinite if unknown.
    pub(super) left: f64,
    /// The highest rate allowed, and the highest used.
    pub(super) most: f64,
    pub(super) fastest: f64,
    /// The round-trip time, and its jitter.
    pub(super) trip: f64,
    pub(super) jitter: f64,
    /// The jitter of the way there.
    pub(super) early: f64,
}

/// A finished hold, and what led to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Episode {
    /// When the previous hold ended, and this one.
    pub(super) after: f64,
    pub(super) until: f64,
    /// When the first refused request was sent.
    pub(super) refused: f64,
    pub(super) wait: f64,
}

impl Episode {
    /// How long nothing was refused before it.
    pub(super) fn quiet(&self) -> f64 {
        self.refused - self.after
    }
}

/// Every limiter is a counter that admits a request while it holds less than its size. The kinds differ in what makes the counter fall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Counter {
    /// Requests of the last `window` seconds.
    Sliding { window: f64 },
    /// Requests since the window began; windows follow each other, `phase` seconds before multiples of `window`.
    Fixed { window: f64, phase: f64 },
    /// Requests not yet drained, at `drain` a second: a token bucket, seen from the other side.
    Bucket { drain: f64 },
}

/// What a counter would have held including a request, and whether that was admitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) held: f64,
    pub(super) admitted: bool,
}

impl Counter {
    /// The length of its window; `None` for a bucket.
    pub(super) fn window(self) -> Option<f64> {
        match self {
            Self::Sliding { window } | Self::Fixed { window, .. } => Some(window),
            Self::Bucket { .. } => None,
        }
    }

    /// Whether another counter is of the same kind, with whatever parameters.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// What it would have held at each request of a `log`; where network jitter leaves that open, what explains the answer.
    pub(super) fn readings(self, log: &[Answered], jitter: f64) -> Vec<Reading> {
        match self {
            Self::Sliding { window } => sliding(window, log, jitter.min(window / 4.0)),
            Self::Fixed { window, phase } => fixed(window, phase, log),
            Self::Bucket { drain } => bucket(drain, log),
        }
    }
}

fn sliding(window: f64, log: &[Answered], jitter: f64) -> Vec<Reading> {
    let mut inside: VecDeque<f64> = VecDeque::new();
    let reading = |answered: &Answered| {
        while inside.front().is_some_and(|sent| answered.sent - sent >= window + jitter) {
            inside.pop_front();
        }
        let left = if answered.admitted { inside.partition_point(|sent| answered.sent - sent >= window - jitter) } else { 0 };
        let held = number(inside.len() - left) + 1.0;
        if answered.admitted {
            inside.push_back(answered.sent);
        }
        Reading { held, admitted: answered.admitted }
    };
    log.iter().map(reading).collect()
}

fn fixed(window: f64, phase: f64, log: &[Answered]) -> Vec<Reading> {
    let (mut begun, mut count) = (f64::NEG_INFINITY, 0.0);
    let reading = |answered: &Answered| {
        let nth = ((answered.sent + phase) / window).floor();
        if nth > begun {
            (begun, count) = (nth, 0.0);
        }
        let held = count + 1.0;
        if answered.admitted {
            count = held;
        }
        Reading { held, admitted: answered.admitted }
    };
    log.iter().map(reading).collect()
}

fn bucket(drain: f64, log: &[Answered]) -> Vec<Reading> {
    let (mut before, mut level) = (0.0, 0.0_f64);
    let reading = |answered: &Answered| {
        level = (answered.sent - before).mul_add(-drain, level).max(0.0);
        before = answered.sent;
        let held = level + 1.0;
        if answered.admitted {
            level = held;
        }
        Reading { held, admitted: answered.admitted }
    };
    log.iter().map(reading).collect()
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts of what is remembered")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(counter: Counter, sent: &[f64]) -> Vec<f64> {
        let log: Vec<Answered> = sent.iter().map(|sent| Answered { sent: *sent, admitted: true }).collect();
        counter.readings(&log, 0.0).iter().map(|reading| reading.held).collect()
    }

    #[test]
    fn each_counter_falls_in_its_own_way() {
        let sent = [0.2, 0.7, 1.1, 1.3, 1.8];
        assert_eq!(held(Counter::Sliding { window: 1.0 }, &sent), [1.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(held(Counter::Fixed { window: 1.0, phase: 0.0 }, &sent), [1.0, 2.0, 1.0, 2.0, 3.0]);
        assert_eq!(held(Counter::Fixed { window: 1.0, phase: 0.5 }, &sent), [1.0, 1.0, 2.0, 3.0, 1.0]);
        let levels: Vec<f64> = held(Counter::Bucket { drain: 1.0 }, &sent).iter().map(|held| (held * 10.0).round()).collect();
        assert_eq!(levels, [10.0, 15.0, 21.0, 29.0, 34.0]);
    }

    #[test]
    fn a_refused_request_is_not_counted() {
        let log = [true, false, false].map(|admitted| Answered { sent: 0.0, admitted });
        for counter in [Counter::Sliding { window: 1.0 }, Counter::Fixed { window: 1.0, phase: 0.0 }, Counter::Bucket { drain: 5.0 }] {
            assert!(counter.readings(&log, 0.0).iter().skip(1).all(|reading| (reading.held - 2.0).abs() < 1e-9), "{counter:?}");
        }
    }

    #[test]
    fn the_log_is_in_the_order_of_sending_and_forgets() {
        let mut log = Log::default();
        for nth in [3_u16, 1, 2, 0] {
            log.add(Answered { sent: f64::from(nth), admitted: true });
        }
        assert_eq!(log.since(1.0).iter().map(|answered| answered.sent).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        (0..5000_u16).for_each(|nth| log.add(Answered { sent: f64::from(nth).mul_add(0.1, 4.0), admitted: true }));
        assert_eq!(log.since(0.0).len(), REMEMBERED);
    }

    #[test]
    fn a_partly_forgotten_counter_is_no_evidence() {
        let mut log = Log::default();
        (0..1000_u16).for_each(|nth| log.add(Answered { sent: f64::from(nth) / 500.0, admitted: true }));
        (0..1000_u16).for_each(|nth| log.add(Answered { sent: 5.0 + f64::from(nth) / 500.0, admitted: true }));
        assert_eq!(log.since(0.0).len(), 2000);
        (0..500_u16).for_each(|nth| log.add(Answered { sent: 10.0 + f64::from(nth) / 500.0, admitted: true }));
        assert_eq!((log.since(0.0).len(), log.since(3.0).len(), log.since(10.5).len()), (1500, 1500, 250));
    }

    /// A log of requests sent at these times; negative ones were refused.
    fn log(sent: impl IntoIterator<Item = f64>) -> Log {
        let mut log = Log::default();
        sent.into_iter().for_each(|sent| log.add(Answered { sent: sent.abs(), admitted: sent >= 0.0 }));
        log
    }

    #[test]
    fn requests_sent_at_once_are_logged_in_the_order_of_their_answers() {
        let all = log([2.0, 1.0, -1.0]).since(0.0);
        assert_eq!(
            all.iter().map(|answered| (answered.sent, answered.admitted)).collect::<Vec<_>>(),
            [(1.0, true), (1.0, false), (2.0, true)]
        );
    }

    #[test]
    fn let_in_counts_admitted_requests_in_a_half_open_interval() {
        let log = log([0.0, 1.0, -2.0, 3.0, 4.0, 5.0]);
        for (from, to, count) in
            [(1.0, 4.0, 2.0), (0.0, 9.0, 5.0), (0.5, 1.5, 1.0), (2.0, 3.0, 0.0), (3.0, 3.0, 0.0), (4.0, 5.0, 1.0), (3.0, 6.0, 3.0)]
        {
            assert!((log.let_in(from, to) - count).abs() < 1e-9, "{from} {to}: {}", log.let_in(from, to));
        }
    }

    #[test]
    fn a_log_is_whole_until_it_forgets_and_then_from_after_its_first_entry() {
        let count = u16::try_from(REMEMBERED).expect("small");
        assert!(Log::default().is_whole(0.0));
        let mut log = log((1..=count).map(f64::from));
        assert!(log.is_whole(0.0) && log.is_whole(1.0));
        assert_eq!(log.since(0.0).len(), REMEMBERED);
        log.add(Answered { sent: f64::from(count) + 1.0, admitted: true });
        // Others may have been sent as early as the first remembered, at two.
        assert!(!log.is_whole(0.0) && !log.is_whole(2.0));
        assert!(log.is_whole(2.5));
    }

    #[test]
    fn a_gap_is_at_least_a_second() {
        for (gap, left) in [(1.0, 47), (0.875, 2048), (4.0, 47)] {
            let before = (0..2002_u16).map(|nth| f64::from(nth) / 1024.0);
            let log = log(before.chain((0..47_u16).map(|nth| 2001.0 / 1024.0 + gap + f64::from(nth) / 1024.0)));
            assert_eq!(log.since(0.0).len(), left, "{gap}");
        }
    }

    #[test]
    fn the_quiet_time_is_from_the_previous_hold_to_the_first_refusal() {
        let episode = Episode { after: 4.0, until: 9.0, refused: 7.0, wait: 1.0 };
        assert!((episode.quiet() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn windows_have_a_time_and_are_unlike_buckets_and_each_other() {
        let counters = [Counter::Sliding { window: 60.0 }, Counter::Fixed { window: 60.0, phase: 3.0 }, Counter::Bucket { drain: 2.0 }];
        assert_eq!(counters.map(Counter::window), [Some(60.0), Some(60.0), None]);
        let others = [Counter::Sliding { window: 1.0 }, Counter::Fixed { window: 1.0, phase: 0.0 }, Counter::Bucket { drain: 5.0 }];
        assert_eq!(
            counters.map(|one| others.map(|other| one.is_like(other))),
            [[true, false, false], [false, true, false], [false, false, true]]
        );
    }

    /// What a window held with a second request, `after` seconds after an admitted one.
    fn second_of(window: f64, jitter: f64, after: f64, admitted: bool) -> f64 {
        let log = [Answered { sent: 100.0, admitted: true }, Answered { sent: 100.0 + after, admitted }];
        let readings = Counter::Sliding { window }.readings(&log, jitter);
        assert_eq!((readings.len(), readings[0], readings[1].admitted), (2, Reading { held: 1.0, admitted: true }, admitted));
        readings[1].held
    }

    #[test]
    fn jitter_moves_the_edge_of_a_window_towards_what_explains_the_answer() {
        // A second, give or take an eighth: a refused request may have counted with one sent up to 1.125 s before…
        for (after, held) in [(0.5, 2.0), (0.9375, 2.0), (1.0625, 2.0), (1.125, 1.0), (1.5, 1.0)] {
            assert!((second_of(1.0, 0.125, after, false) - held).abs() < 1e-9, "refused after {after}");
        }
        // …and an admitted one may have missed one sent 0.875 s before.
        for (after, held) in [(0.5, 2.0), (0.8125, 2.0), (0.875, 1.0), (0.9375, 1.0), (1.0625, 1.0), (1.5, 1.0)] {
            assert!((second_of(1.0, 0.125, after, true) - held).abs() < 1e-9, "let in after {after}");
        }
    }

    #[test]
    fn jitter_counts_up_to_a_quarter_of_a_window() {
        for (after, held) in [(1.25, 2.0), (1.5, 1.0)] {
            assert!((second_of(2.0, 9.0, after, true) - held).abs() < 1e-9, "{after}");
        }
        for (after, held) in [(2.25, 2.0), (2.5, 1.0)] {
            assert!((second_of(2.0, 9.0, after, false) - held).abs() < 1e-9, "{after}");
        }
    }

    #[test]
    fn a_fixed_window_begins_its_phase_earlier_and_lasts_its_length() {
        assert_eq!(held(Counter::Fixed { window: 1.0, phase: 0.25 }, &[0.2, 0.7, 0.8]), [1.0, 2.0, 1.0]);
        assert_eq!(held(Counter::Fixed { window: 2.0, phase: 0.0 }, &[0.5, 1.5, 2.5, 4.0]), [1.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn a_bucket_drains_at_its_rate_until_it_is_empty() {
        assert_eq!(held(Counter::Bucket { drain: 2.0 }, &[1.0, 1.25, 1.5, 3.0]), [1.0, 1.5, 2.0, 1.0]);
    }

    #[test]
    fn a_count_converts_to_the_same_number() {
        assert_eq!([0, 1, 3, REMEMBERED].map(number).to_vec(), [0.0, 1.0, 3.0, 2048.0]);
    }
}
