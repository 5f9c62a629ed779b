//! May I send now? Every request, whatever it is for, takes a turn here first.
//!
//! Turns come evenly spaced, one by one, in the order in which they were asked for: governor counts them,
//! and a fair lock makes the lane that everybody passes. A 429 holds back the whole lane, and so does
//! whoever stays in it, to renew the token that all the others need.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::Rate;

/// Into how many parts governor's measure of one request is cut, so that part of a request's interval can
/// be made up for.
const PARTS: u32 = 100;
/// A turn that came late (timers are good to a millisecond, and a busy machine is worse) may be made up
/// for by so much, or else the rate asked for would never be reached…
const MADE_UP: Duration = Duration::from_millis(5);
/// …but by no more than this share of an interval up to 500/s, so that no second sees more than one
/// request above the rate.
const MADE_UP_SHARE: f64 = 0.9;
const FAST: f64 = 500.0;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// Turns come by so much slower than they might: then what they make up for, and what the network adds to
/// their spacing, does not push a request more into any second than the rate allows.
const SHY: f64 = 0.995;

/// Hands out turns to send.
#[derive(Debug)]
pub(crate) struct Pacer {
    limiter: Option<Limiter>,
    clock: TokioClock,
    lane: tokio::sync::Mutex<()>,
    hold: Mutex<Hold>,
}

#[derive(Debug, Default)]
struct Hold {
    until: Option<Instant>,
    lost: Duration,
}

impl Pacer {
    pub(crate) fn new(rate: Rate) -> Self {
        let clock = TokioClock { start: Instant::now() };
        let limiter = match rate {
            Rate::Unlimited => None,
            Rate::PerSecond(rate) => Some(RateLimiter::direct_with_clock(quota(rate), clock.clone())),
        };
        Self { limiter, clock, lane: tokio::sync::Mutex::new(()), hold: Mutex::default() }
    }

    /// Whether a turn would come at once, now.
    pub(crate) fn is_open(&self) -> bool {
        self.limiter.is_none() && self.held_until().is_none()
    }

    /// Waits until the caller is the first of those who want to send.
    pub(crate) async fn enter(&self) -> Lane<'_> {
        Lane { pacer: self, _first: self.lane.lock().await }
    }

    /// Holds back every request until `wait` has passed; a hold that is on and ends later stays. Answers
    /// whether this begins a hold where there was none.
    pub(crate) fn hold(&self, wait: Duration) -> bool {
        let mut hold = self.hold.lock().expect("no panic while it is held");
        let now = Instant::now();
        let until = now + wait;
        let from = hold.until.filter(|on| *on > now);
        if from.is_none_or(|on| on < until) {
            hold.lost += until - from.unwrap_or(now);
            hold.until = Some(until);
        }
        from.is_none()
    }

    /// When the hold ends that is on.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let hold = self.hold.lock().expect("no panic while it is held");
        hold.until.filter(|until| *until > Instant::now())
    }

    /// How long requests have been held back so far, in all.
    pub(crate) fn lost(&self) -> Duration {
        let hold = self.hold.lock().expect("no panic while it is held");
        let ahead = hold.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        hold.lost.saturating_sub(ahead)
    }
}

/// The way to send, which one at a time is in.
pub(crate) struct Lane<'a> {
    pacer: &'a Pacer,
    _first: tokio::sync::MutexGuard<'a, ()>,
}

impl Lane<'_> {
    /// Waits for a turn to send one request.
    pub(crate) async fn turn(&self) {
        loop {
            while let Some(until) = self.pacer.held_until() {
                tokio::time::sleep_until(until).await;
            }
            self.interval().await;
            if self.pacer.held_until().is_none() {
                return;
            }
        }
    }

    async fn interval(&self) {
        let Some(limiter) = &self.pacer.limiter else {
            return;
        };
        let whole = NonZeroU32::new(PARTS).expect("not zero");
        while let Err(early) = limiter.check_n(whole).expect("the burst has room for a request") {
            tokio::time::sleep(early.wait_time_from(self.pacer.clock.now())).await;
        }
    }
}

/// A burst of one request at `rate` a second, and the little that late turns may make up for.
fn quota(rate: f64) -> Quota {
    let interval = Duration::from_secs_f64(1.0 / (rate * SHY));
    let share = if rate > FAST { f64::INFINITY } else { MADE_UP_SHARE };
    let made_up = (MADE_UP.as_secs_f64() / interval.as_secs_f64()).min(share);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 500 requests' worth, and not negative")]
    let more = (made_up * f64::from(PARTS)) as u32;
    let burst = NonZeroU32::new(PARTS + more).expect("not zero");
    let part = Duration::from_secs_f64(interval.as_secs_f64() / f64::from(PARTS));
    Quota::with_period(part.max(Duration::from_nanos(1))).expect("not zero").allow_burst(burst)
}

/// Tokio's clock, which tests can stop, as governor's.
#[derive(Debug, Clone)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    /// When `count` turns come, in the clock's time, if each is asked for at once.
    async fn turns(pacer: &Pacer, count: usize) -> Vec<Duration> {
        let start = Instant::now();
        join_all((0..count).map(|_| async {
            pacer.enter().await.turn().await;
            start.elapsed()
        }))
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_spaced_from_the_first_on() {
        for rate in [0.5, 7.0, 50.0, 333.0, 2000.0] {
            let pacer = Pacer::new(Rate::PerSecond(rate));
            let times = turns(&pacer, 200).await;
            for window in times.windows(2) {
                assert!(window[1] >= window[0], "{rate}");
            }
            let fullest =
                times.iter().map(|from| times.iter().filter(|t| *t >= from && **t < *from + Duration::from_secs(1)).count()).max();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let fullest = fullest.expect("turns") as f64;
            assert!(fullest <= rate.max(1.0) * 1.005 + 1.0, "{rate}: {fullest}");
            let took = times[199].as_secs_f64();
            assert!((took * rate / 199.0 - 1.0).abs() < 0.06, "{rate}: {took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_save_up_turns() {
        let pacer = Pacer::new(Rate::PerSecond(10.0));
        pacer.enter().await.turn().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let times = turns(&pacer, 11).await;
        assert!(times[10] >= Duration::from_millis(990), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_keeps_everybody_back_and_they_return_one_by_one() {
        let pacer = Pacer::new(Rate::PerSecond(100.0));
        pacer.enter().await.turn().await;
        assert!(pacer.hold(Duration::from_secs(3)));
        assert!(!pacer.hold(Duration::from_secs(1)), "a shorter hold changes nothing");
        let times = turns(&pacer, 11).await;
        assert!(times[0] >= Duration::from_secs(3));
        assert!(times[10] >= times[0] + Duration::from_millis(90), "{times:?}");
        assert_eq!(pacer.lost(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_holds_when_there_is_no_limit_too() {
        let pacer = Pacer::new(Rate::Unlimited);
        pacer.enter().await.turn().await;
        pacer.hold(Duration::from_secs(2));
        assert!(turns(&pacer, 3).await.iter().all(|time| *time >= Duration::from_secs(2)));
    }
}
