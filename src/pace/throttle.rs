//! Computes when the next request may be sent, from what 429s have taught. Pure: events and their times in, an instant
//! out. The [module](super) explains the model.

use std::collections::VecDeque;
use std::time::Duration;

use super::estimate::{Estimate, ONE_WAY};
use super::evidence::{Answered, Counter, Episode, Log, MADE_UP, MARGIN, Observed, REMEMBERED, STALL, number};
use super::explanation::Explanation;
use super::fair::Fair;

/// Fastest rate before the first answer, in requests a second: the program's default rate.
pub(super) const FIRST: f64 = 50.0;
/// Requests in flight at the first 429 are refused with it, so at most this share of the remaining rows is in flight. A
/// fifth more for later refusals makes 1 % in all.
const UNDER_WAY: f64 = 0.008;
/// And no more than it takes to tell one limiter from another.
const MOST_UNDER_WAY: f64 = 40.0;
/// If the number of rows is unknown, as many are expected as were sent, and at least this many.
const DEFAULT_LEFT: f64 = 1000.0;
/// The number of remaining rows never drops below this.
const LEAST_LEFT: f64 = 20.0;
/// Nor below this share of the requests sent: a row may take more than one request.
const LEAST_SHARE: f64 = 0.1;
/// Growth of the rate for each second without a 429: that there is a limit becomes less likely, but slowly.
const GROWTH: f64 = 1.25;
/// The lowest learnt rate, in requests a second: one an hour, the longest window that limits use.
pub(super) const LEAST: f64 = 1.0 / 3600.0;
/// A starting rate above this counts as unlimited: the highest rate that may be asked for.
const MOST: f64 = 100_000.0;
/// The wait after a 429 that names none; doubled each time nothing was admitted in between. From Ping's own Go client,
/// as in [`super::Backoff`].
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(1);
const MOST_DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// How many round-trip times are kept; their statistics are recomputed after every quarter of that.
const TRIPS: usize = 64;
/// Cap on the jitter allowance between requests to a bucket, as a share of their interval, until refusals show that it takes more.
const MOST_EARLY: f64 = 0.1;
/// Factor by which intervals under a bucket are longer than its rate requires, so that only early requests use up what it holds.
const SLACK: f64 = 1.005;
/// The resolution of timers, in seconds.
const TICK: f64 = 0.001;

/// What the 429s have taught.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// The rate asked for; infinite if there is none.
    most: f64,
    pub(super) left: f64,
    began: Option<f64>,
    pub(super) log: Log,
    pub(super) estimate: Estimate,
    /// Where several clients share the limit evenly, the share replaces the estimate.
    fair: Option<Fair>,
    pub(super) trips: Trips,
    /// The fastest rate before the first 429, and since when.
    pub(super) start: f64,
    started: f64,
    /// When the current or the last hold ends.
    hold: Option<Duration>,
    /// What to learn from once the hold is over.
    episode: Option<Episode>,
    /// When the last hold ended, and when the last episode began: requests sent before belong to it.
    held_to: f64,
    begun: f64,
    /// Episodes in a row with nothing admitted between them.
    unadmitted: u32,
    admitted_since: bool,
    /// When the last requests were sent.
    pub(super) sends: VecDeque<f64>,
    sent: f64,
    refused: f64,
    fastest: f64,
    /// The working rate as last computed.
    working: f64,
    pub(super) due: f64,
}

/// Round-trip times.
#[derive(Debug, Default)]
pub(super) struct Trips {
    last: VecDeque<f64>,
    seen: usize,
    pub(super) median: f64,
    pub(super) jitter: f64,
}

impl Trips {
    pub(super) fn add(&mut self, trip: f64) {
        if self.last.len() == TRIPS {
            self.last.pop_front();
        }
        self.last.push_back(trip);
        if self.seen.is_multiple_of(TRIPS / 4) {
            let mut sorted: Vec<f64> = self.last.iter().copied().collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let at = |hundredths: usize| sorted[sorted.len() * hundredths / 100];
            self.median = at(50);
            // The middle eight of ten answers: the others are stalls, which are rare enough.
            self.jitter = (at(90) - at(10)).min(MADE_UP);
        }
        self.seen += 1;
    }
}

impl Throttle {
    /// Works at the rate asked for, in requests a second, until a 429 comes.
    pub(super) fn new(most: f64) -> Self {
        Self {
            most,
            left: f64::INFINITY,
            trips: Trips { jitter: TICK, ..Trips::default() },
            start: if most.is_finite() { FIRST } else { most },
            working: FIRST.min(most),
            ..Self::default()
        }
    }

    /// This client is one of `clients` that share the limit evenly.
    pub(super) fn share_by(&mut self, clients: u32) {
        self.fair = (clients > 1).then(|| Fair::new(clients));
    }

    /// Sets how many rows are left: a probe upwards pays off only if there are enough.
    pub(super) fn expect(&mut self, rows: u64) {
        self.left = number(usize::try_from(rows).unwrap_or(usize::MAX));
        if self.trips.seen > 0 && !self.knows() {
            self.start_at(self.started);
        }
    }

    /// Starts at the rate that has the intended number of requests in flight when the first 429 comes.
    fn start_at(&mut self, now: f64) {
        let under_way = (UNDER_WAY * self.left).min(MOST_UNDER_WAY);
        self.start = if self.most.is_finite() { FIRST.max(under_way / self.trips.median.max(TICK / 10.0)) } else { self.most };
        self.started = now;
    }

    /// Records that a request is sent `now`.
    pub(super) fn sent(&mut self, now: Duration) {
        let now = now.as_secs_f64();
        let rate = self.rate(now);
        self.sent += 1.0;
        self.fastest = self.fastest.max(rate);
        self.sends.push_back(now);
        if self.sends.len() > REMEMBERED {
            self.sends.pop_front();
        }
        let (interval, made_up) = self.interval(rate);
        self.due = (self.due + interval).max(now + interval - made_up);
    }

    /// Records, `now`, that a request sent at `sent` was not refused for the rate.
    pub(super) fn admitted(&mut self, sent: Duration, now: Duration) {
        let (sent, now) = (sent.as_secs_f64(), now.as_secs_f64());
        self.left = (self.left - 1.0).max(LEAST_LEFT);
        self.began.get_or_insert(now);
        self.log.add(Answered { sent, admitted: true });
        // A request sent before the last episode does not show that it is over.
        self.admitted_since |= sent >= self.begun;
        self.trips.add(now - sent);
        if self.started <= 0.0 {
            self.start_at(now);
            self.due = self.due.min(now);
        }
    }

    /// Records that a request sent at `sent` was refused for the rate `now`, with the `wait` asked for. `jitter` is in
    /// `[0, 1)`. Returns how long requests are held back, if this begins a hold.
    pub(super) fn refused(&mut self, sent: Duration, now: Duration, wait: Option<Duration>, jitter: f64) -> Option<Duration> {
        let at = sent.as_secs_f64();
        self.log.add(Answered { sent: at, admitted: false });
        self.trips.add(now.as_secs_f64() - at);
        self.refused += 1.0;
        if std::mem::take(&mut self.admitted_since) {
            self.unadmitted = 0;
        }
        // Refusals after the first belong to its episode.
        let before = self.unadmitted.saturating_sub(u32::from(self.episode.is_some()));
        let made_up = |before: u32| DEFAULT_WAIT.saturating_mul(1 << before.min(8)).min(MOST_DEFAULT_WAIT);
        // A wait after which nothing was admitted was too short, whatever the server says.
        let asked = wait.unwrap_or(DEFAULT_WAIT).as_secs_f64();
        let wait = wait.map_or_else(|| made_up(before), |wait| if before > 0 { wait.max(made_up(before - 1)) } else { wait });
        let after = self.held_to;
        let is_new = self.hold_back(now, wait, jitter);
        let until = self.held_to;
        if let Some(episode) = &mut self.episode {
            episode.refused = episode.refused.min(at);
            episode.wait = episode.wait.max(asked);
            episode.until = until;
        } else if at >= self.begun {
            self.begun = now.as_secs_f64();
            self.unadmitted += 1;
            self.episode = Some(Episode { after, until, refused: at, wait: asked });
        }
        is_new.then_some(wait)
    }

    /// Holds back all requests for `wait`, for a reason that says nothing about the rate. Returns whether this begins a hold.
    pub(super) fn hold_back(&mut self, now: Duration, wait: Duration, jitter: f64) -> bool {
        let (least, most) = MARGIN;
        let until = now + wait.mul_f64(1.0 + (most - least).mul_add(jitter, least));
        let before = self.held_until(now);
        let until = before.map_or(until, |before| before.max(until));
        self.hold = Some(until);
        self.held_to = until.as_secs_f64();
        before.is_none()
    }

    /// When the current hold ends.
    pub(super) fn held_until(&self, now: Duration) -> Option<Duration> {
        self.hold.filter(|until| *until > now)
    }

    /// Whether permits need finer timing than a timer tick: a bucket that holds next to nothing refuses an early request,
    /// and the time of a late one is lost.
    pub(super) fn is_fine(&self) -> bool {
        let is_small = |limit: Explanation| matches!(limit.counter, Counter::Bucket { drain } if limit.size - 1.0 < drain * 2.0 * TICK);
        self.estimate.limit.is_some_and(is_small)
    }

    /// When the next request may be sent; learns from a hold that is over.
    pub(super) fn next(&mut self, now: Duration) -> Duration {
        if let Some(until) = self.held_until(now) {
            return until;
        }
        let at = now.as_secs_f64();
        if let Some(episode) = self.episode.take() {
            self.learn(&episode, at);
            // Turns missed during a hold are not made up for.
            self.due = self.due.clamp(at, at + 1.0);
        }
        let rate = self.rate(at);
        let due = self.due.max(self.window_due(rate).unwrap_or(at));
        if due > at { Duration::from_secs_f64(due) } else { now }
    }

    fn learn(&mut self, episode: &Episode, now: f64) {
        if let Some(mut fair) = self.fair.take() {
            self.with_estimate(now, |_, known| fair.learn(episode, known));
            self.fair = Some(fair);
        } else {
            self.with_estimate(now, |estimate, known| estimate.learn(episode, known));
        }
    }

    /// What was learnt so far.
    fn learnt_rate(&mut self, now: f64) -> Option<f64> {
        if let Some(mut fair) = self.fair.take() {
            let rate = self.with_estimate(now, |_, known| fair.rate(known));
            self.fair = Some(fair);
            return rate;
        }
        let learnt = self.with_estimate(now, Estimate::rate);
        self.estimate.limit.is_some().then_some(learnt)
    }

    fn knows(&self) -> bool {
        self.estimate.limit.is_some() || self.fair.as_ref().is_some_and(Fair::is_known)
    }

    /// The working rate, in requests a second; infinite where no limit is known. Refusals are learnt from when their
    /// hold is over; the rate stays until then.
    pub(super) fn rate(&mut self, now: f64) -> f64 {
        if self.episode.is_some() {
            return self.working;
        }
        let learnt = self.learnt_rate(now);
        let rate = learnt.map_or_else(|| self.starting_rate(now), |learnt| learnt.max(LEAST)).min(self.most);
        // After a hold that was too short, one request is sent at a time.
        let was_too_short = self.unadmitted > 1 && !self.admitted_since;
        self.working = if was_too_short { rate.min(0.5 / (self.trips.median + 10.0 * TICK)) } else { rate };
        self.working
    }

    /// The working rate, if a limit is known.
    pub(super) fn learnt(&mut self, now: f64) -> Option<f64> {
        self.knows().then(|| self.rate(now))
    }

    /// The working rate as last computed, if a limit is known and keeps it below the rate asked for.
    pub(super) fn limited_to(&self) -> Option<f64> {
        self.knows().then_some(self.working).filter(|rate| *rate > 0.0 && *rate < self.most)
    }

    /// The working rate before a limit is known; grows with each second without a 429.
    pub(super) fn starting_rate(&mut self, now: f64) -> f64 {
        if self.trips.seen > 0 && self.start.is_finite() && now - self.started >= 1.0 {
            self.start *= GROWTH;
            self.started = now;
        }
        let start = if self.start > MOST { f64::INFINITY } else { self.start };
        self.fair.as_ref().map_or(start, |fair| start.min(fair.start(FIRST, self.began.map_or(0.0, |began| now - began))))
    }

    pub(super) fn with_estimate<T>(&mut self, now: f64, with: impl FnOnce(&mut Estimate, &Observed<'_>) -> T) -> T {
        let fastest = if self.fastest > 0.0 { self.fastest } else { f64::INFINITY };
        let known = Observed {
            now,
            began: self.began.unwrap_or(now),
            log: &self.log,
            // Without a rate asked for, not every request takes a permit.
            sent: self.sent.max(number(self.trips.seen)),
            refused: self.refused,
            left: if self.left.is_finite() { self.left.max(LEAST_SHARE * self.sent) } else { self.sent.max(DEFAULT_LEFT) },
            most: self.most,
            fastest,
            trip: self.trips.median,
            jitter: self.trips.jitter + TICK,
            early: self.early(),
        };
        with(&mut self.estimate, &known)
    }

    /// The interval between requests, and how much of it a late one may make up for.
    pub(super) fn interval(&self, rate: f64) -> (f64, f64) {
        if rate >= self.most {
            // The gate spaces those.
            return (0.0, 0.0);
        }
        let Some(limit) = self.estimate.limit else {
            return (1.0 / rate, 3.0 * TICK);
        };
        match limit.counter {
            Counter::Sliding { window } | Counter::Fixed { window, .. } => {
                let made_up = if rate * window <= number(REMEMBERED) { MADE_UP } else { TICK };
                ((1.0 + self.window_margin() / window) / rate, made_up)
            }
            // A bucket that holds `n` never overflows if any `n + 1` requests take at least as long as one takes to
            // drain, with the last as early and the first as late as they can be.
            Counter::Bucket { .. } => {
                let early = self.early() + self.estimate.margin;
                let held = limit.size.floor().max(1.0);
                let made_up = (held - 1.0) / rate / 2.0;
                ((SLACK / rate).max((early + made_up.min(MADE_UP) + SLACK / rate) / held), made_up.min(MADE_UP))
            }
        }
    }

    /// By how much a request may come early to a bucket, one way. Beyond the cap, refusals show that it takes more.
    fn early(&self) -> f64 {
        let most = self.estimate.limit.map_or(f64::INFINITY, |limit| MOST_EARLY / limit.rate);
        (ONE_WAY * self.trips.jitter).min(most)
    }

    /// By how much a window is kept longer than it is: network jitter, and a stall of a busy machine.
    fn window_margin(&self) -> f64 {
        self.trips.jitter + STALL + self.estimate.margin
    }

    /// When a window has room again: as many requests back as it admits, plus its length. However much was made up for,
    /// no window sees more.
    pub(super) fn window_due(&self, rate: f64) -> Option<f64> {
        let window = self.estimate.limit?.counter.window()?;
        let nth = self.sends.len().checked_sub(whole(rate * window)?)?;
        self.sends.get(nth).map(|sent| sent + window + self.window_margin())
    }
}

/// The number of whole requests, if there are any.
pub(super) fn whole(requests: f64) -> Option<usize> {
    let count = Duration::try_from_secs_f64(requests + 1e-6).ok()?.as_secs();
    usize::try_from(count).ok().filter(|count| *count > 0)
}
