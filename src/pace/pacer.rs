//! Spaces out requests: every request, of any kind, needs a permit from here before it is sent.
//!
//! Permits are issued one by one, evenly spaced, in the order of the requests for them: governor counts them, and a fair lock is
//! the queue. A 429 holds back the whole queue, and so does a caller that stays at its head to renew the token that all others
//! need. The rate is the one that the [`Throttle`] has learnt.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::Rate;
use super::estimate::MATTERS;
use super::throttle::Throttle;

/// Governor counts hundredths of a request, so that part of an interval can be made up for.
const PARTS: u32 = 100;
/// A late permit may be made up for by this much (timers are good to a millisecond, and a busy machine is worse);
/// otherwise the rate asked for would never be reached…
const MADE_UP: Duration = Duration::from_millis(3);
/// …but up to 500/s by no more than this share of an interval, so that no second sees more than one request above the rate.
const MADE_UP_SHARE: f64 = 0.9;
const FAST: f64 = 500.0;
/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(1);

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// Permits are issued this much slower than the rate allows, so that neither making up for late permits nor network jitter
/// pushes one request too many into any second.
const SLACK: f64 = 0.995;

/// Issues permits to send.
#[derive(Debug)]
pub(crate) struct Pacer {
    pub(super) clock: TokioClock,
    queue: tokio::sync::Mutex<Gate>,
    state: Mutex<State>,
}

/// What changes with each answer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) throttle: Throttle,
    lost: Duration,
    random: fastrand::Rng,
    /// The learnt rate as last logged.
    pub(super) logged: f64,
}

impl State {
    /// Logs the learnt rate if it has changed noticeably.
    pub(super) fn log_rate(&mut self, now: Duration) {
        let Some(rate) =
            self.throttle.learnt(now.as_secs_f64()).filter(|rate| !(self.logged / MATTERS..=self.logged * MATTERS).contains(rate))
        else {
            return;
        };
        if rate < self.logged {
            tracing::info!("requests go on at {rate:.1} a second: a little under what PingOne lets in");
        } else {
            tracing::debug!("{rate:.1} requests a second are tried");
        }
        self.logged = rate;
    }
}

impl Pacer {
    pub(crate) fn new(rate: Rate) -> Self {
        let clock = TokioClock { start: Instant::now() };
        let rate = match rate {
            Rate::Unlimited => f64::INFINITY,
            Rate::PerSecond(rate) => rate,
        };
        let state = State { throttle: Throttle::new(rate), lost: Duration::ZERO, random: fastrand::Rng::new(), logged: f64::INFINITY };
        Self { queue: tokio::sync::Mutex::new(Gate::new(rate, &clock)), clock, state: Mutex::new(state) }
    }

    /// This is one of `clients` that share the limit evenly and do not know of each other; alone, nothing changes.
    pub(crate) fn shared_by(self, clients: u32) -> Self {
        self.state().throttle.share_by(clients);
        self
    }

    /// Sets how many rows are to come, if known: a probe of a higher rate must pay off over them.
    pub(crate) fn expect(&self, rows: Option<u64>) {
        if let Some(rows) = rows {
            self.state().throttle.expect(rows);
        }
    }

    /// Whether a permit is available without waiting.
    pub(crate) fn is_open(&self) -> bool {
        let now = self.clock.now();
        let throttle = &mut self.state().throttle;
        throttle.held_until(now).is_none() && throttle.rate(now.as_secs_f64()).is_infinite()
    }

    /// Waits until the caller is at the head of the queue.
    pub(crate) async fn join(&self) -> QueueHead<'_> {
        QueueHead { pacer: self, gate: self.queue.lock().await }
    }

    /// Records that a request sent at `sent` was not refused for the rate.
    pub(crate) fn admitted(&self, sent: Instant) {
        let (sent, now) = (self.clock.at(sent), self.clock.now());
        self.state().throttle.admitted(sent, now);
    }

    /// Records that a request sent at `sent` was refused for the rate. All requests wait as long as the server asks, if
    /// it says, and go on more slowly. Returns how long, if this begins a hold.
    pub(crate) fn refused(&self, sent: Instant, wait: Option<Duration>) -> Option<Duration> {
        let sent = self.clock.at(sent);
        self.hold_with(|throttle, now, jitter| throttle.refused(sent, now, wait, jitter))
    }

    /// Holds back all requests for `wait`, for a reason that says nothing about the rate. A hold that ends later stays.
    /// Returns whether this begins a hold.
    pub(crate) fn hold(&self, wait: Duration) -> bool {
        self.hold_with(|throttle, now, jitter| throttle.hold_back(now, wait, jitter))
    }

    fn hold_with<T>(&self, apply: impl FnOnce(&mut Throttle, Duration, f64) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state();
        let jitter = state.random.f64();
        let before = state.throttle.held_until(now).unwrap_or(now);
        let result = apply(&mut state.throttle, now, jitter);
        let after = state.throttle.held_until(now).unwrap_or(now);
        state.lost += after.saturating_sub(before);
        result
    }

    /// When the current hold ends.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let until = self.state().throttle.held_until(self.clock.now());
        until.map(|until| self.clock.start + until)
    }

    /// The requests a second that the server has turned out to let in, if that is below the rate asked for.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.state().throttle.limited_to()
    }

    /// How long requests have been held back so far, in total.
    pub(crate) fn lost(&self) -> Duration {
        let now = self.clock.now();
        let state = self.state();
        let ahead = state.throttle.held_until(now).map_or(Duration::ZERO, |until| until.saturating_sub(now));
        state.lost.saturating_sub(ahead)
    }

    /// When the next permit is due, if later than now, and whether it needs finer timing than a timer tick.
    pub(super) fn due(&self) -> Option<(Instant, bool)> {
        let now = self.clock.now();
        let mut state = self.state();
        let due = state.throttle.next(now);
        state.log_rate(now);
        let is_fine = state.throttle.is_fine() && state.throttle.held_until(now).is_none();
        (due > now).then(|| (self.clock.start + due, is_fine))
    }

    /// Takes the permit that is due, unless a hold has begun meanwhile. Returns whether it did.
    pub(super) fn take_permit(&self) -> bool {
        let now = self.clock.now();
        let throttle = &mut self.state().throttle;
        let may_send = throttle.held_until(now).is_none();
        if may_send {
            throttle.sent(now);
        }
        may_send
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }
}

/// The head of the queue, held by one caller at a time.
pub(crate) struct QueueHead<'a> {
    pacer: &'a Pacer,
    gate: tokio::sync::MutexGuard<'a, Gate>,
}

impl QueueHead<'_> {
    /// Waits for a permit to send one request.
    pub(crate) async fn permit(&mut self) {
        loop {
            while let Some((due, is_fine)) = self.pacer.due() {
                if is_fine {
                    sleep_finely_until(due).await;
                    break;
                }
                tokio::time::sleep_until(due).await;
            }
            self.gate.pass(&self.pacer.clock).await;
            if self.pacer.take_permit() {
                return;
            }
        }
    }
}

/// Tokio's timers are good to a millisecond, the operating system's are better: sleeps the rest on a thread of its own.
pub(super) async fn sleep_finely_until(due: Instant) {
    tokio::time::sleep_until(due - 2 * TICK).await;
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        tokio::task::spawn_blocking(move || std::thread::sleep(left)).await.expect("sleeping does not panic");
    }
}

/// Spaces permits at the rate asked for; `None` if there is no limit.
#[derive(Debug)]
struct Gate(Option<Limiter>);

impl Gate {
    fn new(rate: f64, clock: &TokioClock) -> Self {
        Self(rate.is_finite().then(|| RateLimiter::direct_with_clock(quota(rate), clock.clone())))
    }

    async fn pass(&self, clock: &TokioClock) {
        let Some(limiter) = &self.0 else {
            return;
        };
        let whole = NonZeroU32::new(PARTS).expect("not zero");
        while let Err(early) = limiter.check_n(whole).expect("the burst has room for a request") {
            tokio::time::sleep(early.wait_time_from(clock.now())).await;
        }
    }
}

/// The time between two requests at `rate` a second.
pub(super) fn interval(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / (rate * SLACK))
}

/// A burst of one request plus what late permits may make up for, in parts of a request.
pub(super) fn burst(rate: f64) -> u32 {
    let share = if rate > FAST { f64::INFINITY } else { MADE_UP_SHARE };
    let made_up = (MADE_UP.as_secs_f64() / interval(rate).as_secs_f64()).min(share);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 500 requests' worth, and not negative")]
    let more = (made_up * f64::from(PARTS)) as u32;
    PARTS.saturating_add(more)
}

pub(super) fn quota(rate: f64) -> Quota {
    // Rounded up: at the highest rates, a nanosecond is half a percent of a part.
    let part = Duration::from_secs_f64(interval(rate).as_secs_f64() / f64::from(PARTS)) + Duration::from_nanos(1);
    let burst = NonZeroU32::new(burst(rate)).expect("not zero");
    Quota::with_period(part).expect("not zero").allow_burst(burst)
}

/// Tokio's clock, which tests can pause, for governor.
#[derive(Debug, Clone)]
pub(super) struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// An instant on this clock.
    pub(super) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }
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

    /// When `count` permits are issued, in the clock's time, if all are asked for at once.
    async fn permits(pacer: &Pacer, count: usize) -> Vec<Duration> {
        let start = Instant::now();
        join_all((0..count).map(|_| async {
            pacer.join().await.permit().await;
            pacer.admitted(Instant::now());
            start.elapsed()
        }))
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn permits_are_evenly_spaced_from_the_start() {
        for rate in [0.5, 7.0, 50.0, 333.0, 2000.0] {
            let pacer = Pacer::new(Rate::PerSecond(rate));
            let times = permits(&pacer, 200).await;
            for window in times.windows(2) {
                assert!(window[1] >= window[0], "{rate}");
            }
            let fullest =
                times.iter().map(|from| times.iter().filter(|t| *t >= from && **t < *from + Duration::from_secs(1)).count()).max();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let fullest = fullest.expect("permits") as f64;
            assert!(fullest <= rate.max(1.0) * 1.005 + 1.0, "{rate}: {fullest}");
            let took = times[199].as_secs_f64();
            assert!((took * rate / 199.0 - 1.0).abs() < 0.06, "{rate}: {took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_save_up_permits() {
        let pacer = Pacer::new(Rate::PerSecond(10.0));
        pacer.join().await.permit().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let times = permits(&pacer, 11).await;
        assert!(times[10] >= Duration::from_millis(990), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_keeps_all_requests_back_and_they_return_one_by_one() {
        let pacer = Pacer::new(Rate::PerSecond(100.0));
        pacer.join().await.permit().await;
        assert!(pacer.hold(Duration::from_secs(3)));
        assert!(!pacer.hold(Duration::from_secs(1)), "a shorter hold changes nothing");
        let times = permits(&pacer, 11).await;
        assert!(times[0] >= Duration::from_secs(3));
        assert!(times[10] >= times[0] + Duration::from_millis(90), "{times:?}");
        let lost = pacer.lost().as_secs_f64();
        assert!((3.0..=3.3).contains(&lost), "{lost}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_429s_permits_come_at_the_learnt_rate() {
        let pacer = Pacer::new(Rate::PerSecond(1000.0));
        for _ in 0..100 {
            pacer.join().await.permit().await;
            pacer.admitted(Instant::now());
        }
        // Five were in flight when the first was refused.
        let mut sent = Vec::new();
        for _ in 0..5 {
            pacer.join().await.permit().await;
            sent.push(Instant::now());
        }
        let begun: Vec<_> = sent.into_iter().map(|sent| pacer.refused(sent, Some(Duration::from_secs(1)))).collect();
        assert_eq!(begun, [Some(Duration::from_secs(1)), None, None, None, None]);
        let times = permits(&pacer, 300).await;
        let spaces: Vec<f64> = times.windows(2).map(|pair| (pair[1].saturating_sub(pair[0])).as_secs_f64()).collect();
        // A hundred were admitted at once, then none: a window, or a bucket that fills at up to a few hundred a second.
        assert!(times[0] >= Duration::from_millis(900), "{:?}", times[0]);
        let mean = spaces.iter().sum::<f64>() / 299.0;
        assert!((0.003..0.013).contains(&mean), "{mean}: {spaces:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_applies_without_a_rate_too() {
        let pacer = Pacer::new(Rate::Unlimited);
        pacer.join().await.permit().await;
        pacer.hold(Duration::from_secs(2));
        assert!(permits(&pacer, 3).await.iter().all(|time| *time >= Duration::from_secs(2)));
    }
}
