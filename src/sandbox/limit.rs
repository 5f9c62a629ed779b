//! The sandbox's rate limiter. Pure: the time in, yes or no out.
//!
//! PingOne does not publish what its limiter is like. So there are the three kinds in common use, and limits that
//! change during a run, as when a colleague's job starts and ends.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use super::SandboxConfig;
use super::others::Others;
use crate::domain::quote;

/// The shortest `Retry-After`.
const SECOND: Duration = Duration::from_secs(1);

/// The window of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LimitWindow {
    /// A second.
    #[value(name = "1s")]
    Second,
    /// A minute.
    #[value(name = "1m")]
    Minute,
}

impl LimitWindow {
    /// Its length.
    pub fn get(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
        }
    }
}

/// How a server counts requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LimitKind {
    /// Those of the last window, at every instant.
    Sliding,
    /// Those since the clock's last full window.
    Fixed,
    /// A bucket of a window's worth, or of a burst, full at the start, that fills evenly.
    Bucket,
}

/// The form of a 429's `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RetryAfterForm {
    /// The seconds until one is let in again: `1`, where they are counted by the second.
    Seconds,
    /// An HTTP date, as far ahead.
    Date,
    /// Nothing.
    None,
}

/// The most requests a window, and how that changes over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Start times since the first request, in order, and the limit from then on; the first one starts at zero.
    steps: Vec<(Duration, u32)>,
}

/// Text that is not a rate limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a rate limit: expected a number such as `100`, or several from so many seconds on, as in `100,40@10,100@20`",
    quote(.0)
)]
pub struct NotARateLimit(String);

impl RateLimit {
    /// The limit at this time after the first request.
    pub fn at(&self, since: Duration) -> u32 {
        self.steps.iter().rev().find(|(from, _)| *from <= since).map_or(u32::MAX, |(_, limit)| *limit)
    }
}

impl FromStr for RateLimit {
    type Err = NotARateLimit;

    fn from_str(text: &str) -> Result<Self, NotARateLimit> {
        let step = |part: &str| {
            let (limit, from) = part.split_once('@').unwrap_or((part, "0"));
            let limit = limit.parse().ok().filter(|limit| *limit > 0)?;
            Some((Duration::from_secs(from.parse::<u32>().ok()?.into()), limit))
        };
        let steps: Option<Vec<(Duration, u32)>> = text.split(',').map(step).collect();
        steps
            .filter(|steps| steps[0].0.is_zero() && steps.is_sorted_by(|(before, _), (after, _)| before < after))
            .map(|steps| Self { steps })
            .ok_or_else(|| NotARateLimit(text.to_owned()))
    }
}

/// Counts requests and admits no more than the limit allows.
#[derive(Debug)]
pub(crate) struct Limiter {
    kind: LimitKind,
    limit: RateLimit,
    window: Duration,
    /// The size of a bucket, if that is not a window's worth.
    burst: Option<u32>,
    others: Others,
    first: Option<Duration>,
    /// When the latest request came.
    latest: Duration,
    /// When the requests of the last window were admitted.
    recent: VecDeque<Duration>,
    /// The current fixed window, and how many requests it has admitted.
    counted: (u128, u32),
    /// When the bucket was last updated, and its level.
    bucket: (Duration, f64),
}

impl Limiter {
    /// The limiter that the `config` asks for, if it limits the rate.
    pub(crate) fn of(config: &SandboxConfig) -> Option<Self> {
        let limit = config.rate_limit.clone()?;
        let burst = config.burst.map(|burst| burst.max(1));
        let full = f64::from(burst.unwrap_or_else(|| limit.at(Duration::ZERO)));
        Some(Self {
            kind: config.limit_kind,
            limit,
            window: config.limit_window.get(),
            burst,
            others: Others::new(config.other_callers, config.seed),
            first: None,
            latest: Duration::ZERO,
            recent: VecDeque::new(),
            counted: (0, 0),
            bucket: (Duration::ZERO, full),
        })
    }

    /// Whether a request that comes `now`, by any clock, is admitted.
    pub(crate) fn admits(&mut self, now: Duration) -> bool {
        // Of two simultaneous requests, the later may be counted first.
        let now = self.latest.max(now);
        self.first.get_or_insert(now);
        while let Some(at) = self.others.until(now, self.rate(self.latest)) {
            self.counts_in(self.latest.max(at));
        }
        self.counts_in(now)
    }

    /// The time until a request is admitted, in whole seconds, because `Retry-After` is.
    pub(crate) fn wait(&self) -> Duration {
        let exact = match self.kind {
            LimitKind::Sliding => self.recent.front().map_or(Duration::ZERO, |at| (*at + self.window).saturating_sub(self.latest)),
            LimitKind::Fixed => Duration::from_nanos_u128(self.window.as_nanos() - self.latest.as_nanos() % self.window.as_nanos()),
            LimitKind::Bucket => Duration::from_secs_f64((1.0 - self.bucket.1).max(0.0) / self.rate(self.latest)),
        };
        Duration::from_secs(exact.as_secs() + u64::from(exact.subsec_nanos() > 0)).max(SECOND)
    }

    fn limit(&self, now: Duration) -> u32 {
        self.limit.at(now.saturating_sub(self.first.unwrap_or(now)))
    }

    /// The sustained rate a second.
    fn rate(&self, now: Duration) -> f64 {
        f64::from(self.limit(now)) / self.window.as_secs_f64()
    }

    fn counts_in(&mut self, now: Duration) -> bool {
        let limit = self.limit(now);
        self.latest = now;
        match self.kind {
            LimitKind::Sliding => self.slides(limit, now),
            LimitKind::Fixed => self.counts(limit, now),
            LimitKind::Bucket => self.draws(limit, now),
        }
    }

    fn slides(&mut self, limit: u32, now: Duration) -> bool {
        while self.recent.front().is_some_and(|at| now.saturating_sub(*at) >= self.window) {
            self.recent.pop_front();
        }
        let admitted = self.recent.len() < limit as usize;
        if admitted {
            self.recent.push_back(now);
        }
        admitted
    }

    fn counts(&mut self, limit: u32, now: Duration) -> bool {
        let window = now.as_nanos() / self.window.as_nanos();
        if self.counted.0 != window {
            self.counted = (window, 0);
        }
        let admitted = self.counted.1 < limit;
        self.counted.1 += u32::from(admitted);
        admitted
    }

    fn draws(&mut self, limit: u32, now: Duration) -> bool {
        let (before, left) = self.bucket;
        let full = f64::from(self.burst.unwrap_or(limit));
        let filled = now.saturating_sub(before).as_secs_f64().mul_add(self.rate(now), left).min(full);
        // The bucket fills in many small steps, whose rounding may leave it just short.
        let admitted = filled >= 1.0 - 1e-9;
        self.bucket = (now, if admitted { (filled - 1.0).max(0.0) } else { filled });
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limiter(limit_kind: LimitKind, limit: &str, config: SandboxConfig) -> Limiter {
        let rate_limit = Some(limit.parse().expect("a limit"));
        Limiter::of(&SandboxConfig { rate_limit, limit_kind, ..config }).expect("it has a limit")
    }

    /// How many of the requests at these `times` are admitted.
    fn admitted(kind: LimitKind, limit: &str, times: impl Iterator<Item = u64>) -> usize {
        let mut limiter = limiter(kind, limit, SandboxConfig::default());
        times.filter(|ms| limiter.admits(Duration::from_millis(*ms))).count()
    }

    #[test]
    fn each_kind_admits_what_it_should() {
        for (kind, within_ten) in [(LimitKind::Sliding, 1000), (LimitKind::Fixed, 1000), (LimitKind::Bucket, 1099)] {
            assert_eq!(admitted(kind, "100", 0..10_000), within_ten, "{kind:?}");
            assert_eq!(admitted(kind, "100", (0..10_000).step_by(10)), 1000, "{kind:?}");
        }
    }

    #[test]
    fn a_minute_window_works_like_a_second_and_states_the_wait() {
        for (kind, wait) in [(LimitKind::Sliding, 31), (LimitKind::Fixed, 31), (LimitKind::Bucket, 1)] {
            let mut limiter = limiter(kind, "120", SandboxConfig { limit_window: LimitWindow::Minute, ..SandboxConfig::default() });
            let let_in = (0..600).filter(|nth| limiter.admits(Duration::from_millis(nth * 50))).count();
            assert_eq!(let_in, if kind == LimitKind::Bucket { 179 } else { 120 }, "{kind:?}");
            assert_eq!(limiter.wait(), Duration::from_secs(wait), "{kind:?}");
        }
    }

    #[test]
    fn a_bucket_holds_its_burst_and_no_more() {
        for (burst, within) in [(1, 10), (5, 14), (500, 509)] {
            let mut limiter = limiter(LimitKind::Bucket, "10", SandboxConfig { burst: Some(burst), ..SandboxConfig::default() });
            assert_eq!((0..1000).filter(|nth| limiter.admits(Duration::from_millis(60_000 + *nth))).count(), within.min(1000), "{burst}");
        }
    }

    #[test]
    fn another_caller_leaves_the_rest() {
        let other_callers = "60%".parse().expect("a share");
        let mut limiter = limiter(LimitKind::Sliding, "100", SandboxConfig { other_callers, seed: 1, ..SandboxConfig::default() });
        let let_in = (0..500_000).step_by(12).filter(|ms| limiter.admits(Duration::from_millis(*ms))).count();
        assert!((35_000..40_000).contains(&let_in), "of 41,667 that a limit of one's own would let in: {let_in}");
    }

    #[test]
    fn requests_out_of_order_are_counted() {
        for kind in [LimitKind::Sliding, LimitKind::Fixed, LimitKind::Bucket] {
            assert_eq!(admitted(kind, "3", [10, 5, 20, 0, 15].into_iter()), 3, "{kind:?}");
        }
    }

    #[test]
    fn the_limit_changes_on_schedule() {
        assert_eq!(admitted(LimitKind::Fixed, "100,40@2,100@4", 0..6_000), 2 * 100 + 2 * 40 + 2 * 100);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_a_sliding_limit(gaps in prop::collection::vec(0_u64..300, 1..300), limit in 1_u32..9) {
            let mut limiter = limiter(LimitKind::Sliding, &limit.to_string(), SandboxConfig::default());
            let times = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) });
            let let_in: Vec<u64> = times.filter(|ms| limiter.admits(Duration::from_millis(*ms))).collect();
            for from in &let_in {
                prop_assert!(let_in.iter().filter(|at| (*from..from + 1000).contains(at)).count() <= limit as usize);
            }
        }
    }

    #[test]
    fn a_limit_is_read_with_its_changes_and_nothing_else_is_one() {
        assert_eq!("100".parse(), Ok(RateLimit { steps: vec![(Duration::ZERO, 100)] }));
        let steps = [(0, 100), (10, 40), (20, 100)].map(|(from, limit)| (Duration::from_secs(from), limit));
        assert_eq!("100,40@10,100@20".parse(), Ok(RateLimit { steps: steps.into() }));
        for bad in ["", "0", "-1", "100,40", "100@5", "100,40@5,30@5", "100,40@9,30@5", "x", "1@", ",", "100,"] {
            assert!(bad.parse::<RateLimit>().is_err(), "{bad}");
        }
    }
}
