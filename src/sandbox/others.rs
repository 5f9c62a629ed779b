//! Simulates another caller of the same licence. Pure: a share of the limit in, request times out.

use std::str::FromStr;
use std::time::Duration;

/// How long the other caller keeps one rate.
const STEADY: Duration = Duration::from_secs(5);

/// The longest window of a limit.
const LONGEST: Duration = Duration::from_secs(60);

/// Step size of the average.
const STEP: Duration = Duration::from_millis(100);

/// The most that another caller takes of a limit, from 0 to 1; written `60%` or `0.6`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

/// Text that is not a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: expected a form such as `60%` or `0.6`, at most 100%")]
pub struct NotAShare(String);

impl Share {
    /// The share, from 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The part of a limit, from 0 to 1, that the other caller leaves on average over `time`, in a sandbox with this `seed`.
    pub fn left(self, seed: u64, time: Duration) -> f64 {
        let mut others = Others::new(self, seed);
        let steps = (time.as_millis() / STEP.as_millis()).max(1);
        let taken: f64 = (0..steps).map(|nth| others.part(STEP * u32::try_from(nth).unwrap_or(u32::MAX))).sum();
        #[expect(clippy::cast_precision_loss, reason = "a run has far fewer steps than that")]
        let steps = steps as f64;
        1.0 - taken / steps
    }
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
        let share = number.trim().parse::<f64>().map(|number| number / whole);
        share.ok().filter(|share| (0.0..=1.0).contains(share)).map(Self).ok_or_else(|| NotAShare(text.to_owned()))
    }
}

/// Another caller. Every five seconds it takes a different part of its share, drawn uniformly; its requests come at
/// random (Poisson), like those of many people.
#[derive(Debug)]
pub(crate) struct Others {
    share: Share,
    random: fastrand::Rng,
    /// Generator of the parts.
    parts: fastrand::Rng,
    /// When the current part ends, and the part.
    drawn: Duration,
    part: f64,
    /// When it sends next.
    next: Duration,
}

impl Others {
    pub(crate) fn new(share: Share, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let parts = random.fork();
        Self { share, random, parts, drawn: Duration::ZERO, part: 0.0, next: Duration::ZERO }
    }

    /// When it sends its next request, if that is not after `now`; the limit is `limit` a second.
    pub(crate) fn until(&mut self, now: Duration, limit: f64) -> Option<Duration> {
        // Requests from long ago fill no counter any more, and one a microsecond is fast enough.
        self.next = self.next.max(now.saturating_sub(LONGEST));
        let limit = limit.min(1e6);
        while self.share.0 > 0.0 && self.next <= now {
            let at = self.next;
            let fastest = self.share.0 * limit;
            self.next += Duration::from_secs_f64((-self.random.f64().max(f64::MIN_POSITIVE).ln() / fastest).min(3600.0));
            if self.random.f64() * self.share.0 < self.part(at) {
                return Some(at);
            }
        }
        None
    }

    /// The part of the limit that it takes at that time; times must not go backwards.
    pub(crate) fn part(&mut self, at: Duration) -> f64 {
        while self.drawn <= at {
            self.drawn += STEADY;
            self.part = self.parts.f64() * self.share.0;
        }
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_half_of_its_share_in_the_long_run_and_changes() {
        let mut others = Others::new("60%".parse().expect("a share"), 7);
        let mut by_five = [0_u32; 200];
        for second in 1..1000 {
            while let Some(at) = others.until(Duration::from_secs(second), 100.0) {
                by_five[usize::try_from(at.as_secs() / 5).expect("small")] += 1;
            }
        }
        let all: u32 = by_five.iter().sum();
        assert!((25_000..35_000).contains(&all), "{all}");
        assert!(by_five.iter().any(|count| *count < 80) && by_five.iter().any(|count| *count > 220), "{by_five:?}");
    }

    #[test]
    fn the_average_left_is_what_is_not_taken() {
        let share: Share = "60%".parse().expect("a share");
        for (seed, time) in [(0, 3), (1, 5), (2, 44)] {
            let (mut others, time) = (Others::new(share, seed), Duration::from_secs(time));
            let mut count = 0.0;
            while others.until(time, 10_000.0).is_some() {
                count += 1.0;
            }
            let left = 1.0 - count / 10_000.0 / time.as_secs_f64();
            assert!((share.left(seed, time) - left).abs() < 0.01, "{seed}: {} {left}", share.left(seed, time));
        }
    }

    #[test]
    fn a_share_reads_in_either_form_and_nothing_else_is_one() {
        for text in ["60%", "0.6"] {
            assert_eq!(text.parse::<Share>().expect("a share"), Share(0.6));
        }
        for bad in ["", "x", "101%", "-1%", "1.5", "NaN"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }
}
