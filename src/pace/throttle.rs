//! When may the next request be sent, as far as 429s have taught? Pure: what happened and when in, an instant
//! out. The model is told at the top of the [module](super).

use std::collections::VecDeque;
use std::time::Duration;

use super::estimate::{Estimate, ONE_WAY};
use super::evidence::{Answered, Counter, Episode, Known, Log, REMEMBERED, number};
use super::explanation::Explanation;

/// No faster, in requests a second, before anything was answered: what the program sends unless it is told.
pub(super) const FIRST: f64 = 50.0;
/// What is under way when the first 429 comes is refused with it: so much of the rows that are left may be. With
/// a fifth more for what comes later, that is one of a hundred in all.
const UNDER_WAY: f64 = 0.008;
/// And no more than tell one limiter from another.
const MOST_UNDER_WAY: f64 = 40.0;
/// Where nobody tells how many rows there are, as many again as there were, and at least so many.
const UNTOLD: f64 = 1000.0;
/// And never fewer than so many.
const LEAST_LEFT: f64 = 20.0;
/// And no smaller share of what was sent: a row may take more than one request.
const LEAST_SHARE: f64 = 0.1;
/// Each second without a 429, so much faster: that there is a limit grows less likely, and not quickly.
const GROWTH: f64 = 1.25;
/// No rate that is learnt is lower, in requests a second: one an hour, the longest time that limits count by.
pub(super) const LEAST: f64 = 1.0 / 3600.0;
/// A start that is faster is none: the highest rate that may be asked for.
const MOST: f64 = 100_000.0;
/// How long everybody waits after a 429 that does not say how long; doubled each time that nothing was
/// admitted since. From Ping's own Go client, as in [`super::Backoff`].
pub(super) const UNSAID: Duration = Duration::from_secs(1);
const MOST_UNSAID: Duration = Duration::from_secs(30);
/// A hold lasts longer than the server asks for, by at least and at most this share: its clock is not ours,
/// and several runs of a licence are not to come back in step.
pub(super) const MARGIN: (f64, f64) = (0.02, 0.10);
/// A turn that came late, since the machine was busy, is made up for by so much, in seconds: a stall of a busy
/// machine, and far less than anybody would call a burst.
pub(super) const MADE_UP: f64 = 0.05;
/// Of how many answers the time is looked at, and after how many anew.
const TRIPS: usize = 64;
/// A busy machine delays a request by so much after it was sent, in seconds: a window is kept to by as much more, which costs
/// half a percent of a second, and a refusal costs all of it.
pub(super) const STALL: f64 = 0.005;
/// Requests to a bucket are kept apart by no larger share of what they are apart, before refusals tell that it is needed.
const MOST_EARLY: f64 = 0.1;
/// A bucket's rate is used to all but so much: what it holds is used up by nothing else than what comes early.
const SHY: f64 = 1.005;
/// What timers are good to, in seconds.
const TICK: f64 = 0.001;

/// What 429s have taught.
#[derive(Debug)]
pub(super) struct Throttle {
    /// The rate asked for; infinite if there is none.
    most: f64,
    pub(super) left: f64,
    began: Option<f64>,
    log: Log,
    pub(super) estimate: Estimate,
    pub(super) trips: Trips,
    /// No faster before the first 429, and since when that was so.
    pub(super) start: f64,
    started: f64,
    /// Until when a hold lasts that is on, or was last.
    hold: Option<Duration>,
    /// What is to be learnt from when the hold is over.
    episode: Option<Episode>,
    /// When the last hold ended, and when the last episode began: what was sent before belongs to it.
    held_to: f64,
    begun: f64,
    /// Episodes in a row before which nothing was admitted.
    barren: u32,
    admitted_since: bool,
    /// When requests were sent.
    pub(super) sends: VecDeque<f64>,
    sent: f64,
    refused: f64,
    fastest: f64,
    /// The rate as it was when it was worked out last.
    working: f64,
    pub(super) due: f64,
}

/// How long answers take.
#[derive(Debug, Default)]
pub(super) struct Trips {
    last: VecDeque<f64>,
    seen: usize,
    pub(super) middle: f64,
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
            self.middle = at(50);
            // Eight of ten answers: the others are stalls, which come seldom enough.
            self.jitter = (at(90) - at(10)).min(MADE_UP);
        }
        self.seen += 1;
    }
}

impl Throttle {
    /// Works at the rate that is asked for, in requests a second, until a 429 comes.
    pub(super) fn new(most: f64) -> Self {
        Self {
            most,
            left: f64::INFINITY,
            began: None,
            log: Log::default(),
            estimate: Estimate::new(),
            trips: Trips { jitter: TICK, ..Trips::default() },
            start: if most.is_finite() { FIRST } else { most },
            started: 0.0,
            hold: None,
            episode: None,
            held_to: 0.0,
            begun: 0.0,
            barren: 0,
            admitted_since: false,
            sends: VecDeque::new(),
            sent: 0.0,
            refused: 0.0,
            fastest: 0.0,
            working: FIRST.min(most),
            due: 0.0,
        }
    }

    /// So many rows are left: a try upwards pays only if there are enough.
    pub(super) fn expect(&mut self, rows: u64) {
        self.left = number(usize::try_from(rows).unwrap_or(usize::MAX));
        if self.trips.seen > 0 && self.estimate.limit().is_none() {
            self.start_at(self.started);
        }
    }

    /// As fast as lets so much be under way when the first 429 comes.
    fn start_at(&mut self, now: f64) {
        let under_way = (UNDER_WAY * self.left).min(MOST_UNDER_WAY);
        self.start = if self.most.is_finite() { FIRST.max(under_way / self.trips.middle.max(TICK / 10.0)) } else { self.most };
        self.started = now;
    }

    /// A request is sent `now`.
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

    /// A request that was sent then was not refused for the rate, as is known `now`.
    pub(super) fn admitted(&mut self, sent: Duration, now: Duration) {
        let (sent, now) = (sent.as_secs_f64(), now.as_secs_f64());
        self.left = (self.left - 1.0).max(LEAST_LEFT);
        self.began.get_or_insert(now);
        self.log.add(Answered { sent, admitted: true });
        // What was sent before the last episode does not show that it is over.
        self.admitted_since |= sent >= self.begun;
        self.trips.add(now - sent);
        if self.started <= 0.0 {
            self.start_at(now);
            self.due = self.due.min(now);
        }
    }

    /// A request that was `sent` then was refused for the rate `now`, and everybody is to `wait`. `jitter` is
    /// in `[0, 1)`. Tells how long requests are held back, if this begins a hold.
    pub(super) fn refused(&mut self, sent: Duration, now: Duration, wait: Option<Duration>, jitter: f64) -> Option<Duration> {
        let at = sent.as_secs_f64();
        self.log.add(Answered { sent: at, admitted: false });
        self.trips.add(now.as_secs_f64() - at);
        self.refused += 1.0;
        if std::mem::take(&mut self.admitted_since) {
            self.barren = 0;
        }
        // What is refused with the first belongs to its episode.
        let before = self.barren.saturating_sub(u32::from(self.episode.is_some()));
        let made_up = |before: u32| UNSAID.saturating_mul(1 << before.min(8)).min(MOST_UNSAID);
        // A wait after which nothing was let in was too short, whatever the server says.
        let asked = wait.unwrap_or(UNSAID).as_secs_f64();
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
            self.barren += 1;
            self.episode = Some(Episode { after, until, refused: at, wait: asked });
        }
        is_new.then_some(wait)
    }

    /// Holds everybody back for so long, for what does not show this rate. Tells whether this begins a hold.
    pub(super) fn hold_back(&mut self, now: Duration, wait: Duration, jitter: f64) -> bool {
        let (least, most) = MARGIN;
        let until = now + wait.mul_f64(1.0 + (most - least).mul_add(jitter, least));
        let before = self.held_until(now);
        let until = before.map_or(until, |before| before.max(until));
        self.hold = Some(until);
        self.held_to = until.as_secs_f64();
        before.is_none()
    }

    /// When the hold ends that is on.
    pub(super) fn held_until(&self, now: Duration) -> Option<Duration> {
        self.hold.filter(|until| *until > now)
    }

    /// How many requests are known to have been let in, and how many refused.
    #[cfg(test)]
    pub(super) fn seen(&self) -> (usize, usize) {
        let all = self.log.since(0.0);
        let let_in = all.iter().filter(|answered| answered.admitted).count();
        (let_in, all.len() - let_in)
    }

    /// Whether turns are to be told to less than a tick of the timers: a bucket that holds next to nothing refuses what comes
    /// early, and what comes late is lost.
    pub(super) fn is_fine(&self) -> bool {
        let is_small = |limit: &Explanation| matches!(limit.counter, Counter::Bucket { drain } if limit.size - 1.0 < drain * 2.0 * TICK);
        self.estimate.limit().is_some_and(is_small)
    }

    /// When the next request may be sent; learns from a hold that is over.
    pub(super) fn next(&mut self, now: Duration) -> Duration {
        if let Some(until) = self.held_until(now) {
            return until;
        }
        let at = now.as_secs_f64();
        if let Some(episode) = self.episode.take() {
            self.with_estimate(at, |estimate, known| estimate.learn(&episode, known));
            // Nothing is made up for that was not sent in a hold.
            self.due = self.due.clamp(at, at + 1.0);
        }
        let rate = self.rate(at);
        let due = self.due.max(self.mirrored(rate).unwrap_or(at));
        if due > at { Duration::from_secs_f64(due) } else { now }
    }

    /// The working rate, in requests a second; infinite where no limit is known. What is refused is not learnt
    /// from before its hold is over, so that until then the rate stays.
    pub(super) fn rate(&mut self, now: f64) -> f64 {
        if self.episode.is_some() {
            return self.working;
        }
        let learnt = self.with_estimate(now, Estimate::rate);
        let rate = if self.estimate.limit().is_some() { learnt.max(LEAST) } else { self.starting(now) }.min(self.most);
        // After a hold that was too short, one request is tried at a time.
        let is_barren = self.barren > 1 && !self.admitted_since;
        self.working = if is_barren { rate.min(0.5 / (self.trips.middle + 10.0 * TICK)) } else { rate };
        self.working
    }

    /// The working rate, if a limit is known.
    pub(super) fn learnt(&mut self, now: f64) -> Option<f64> {
        self.estimate.limit().is_some().then(|| self.rate(now))
    }

    /// The working rate before a limit is known: more with each second that passes without a 429.
    pub(super) fn starting(&mut self, now: f64) -> f64 {
        if self.trips.seen > 0 && self.start.is_finite() && now - self.started >= 1.0 {
            self.start *= GROWTH;
            self.started = now;
        }
        if self.start > MOST { f64::INFINITY } else { self.start }
    }

    pub(super) fn with_estimate<T>(&mut self, now: f64, with: impl FnOnce(&mut Estimate, &Known<'_>) -> T) -> T {
        let fastest = if self.fastest > 0.0 { self.fastest } else { f64::INFINITY };
        let known = Known {
            now,
            began: self.began.unwrap_or(now),
            log: &self.log,
            // Where no limit is asked for, not every request takes a turn.
            sent: self.sent.max(number(self.trips.seen)),
            refused: self.refused,
            left: if self.left.is_finite() { self.left.max(LEAST_SHARE * self.sent) } else { self.sent.max(UNTOLD) },
            most: self.most,
            fastest,
            trip: self.trips.middle,
            jitter: self.trips.jitter + TICK,
            early: self.early(),
        };
        with(&mut self.estimate, &known)
    }

    /// How far requests are apart, and how much of that a late one may make up for.
    pub(super) fn interval(&self, rate: f64) -> (f64, f64) {
        if rate >= self.most {
            // The gate sees to that.
            return (0.0, 0.0);
        }
        let Some(limit) = self.estimate.limit() else {
            return (1.0 / rate, 3.0 * TICK);
        };
        match limit.counter {
            Counter::Sliding { window } | Counter::Fixed { window, .. } => {
                let made_up = if rate * window <= number(REMEMBERED) { MADE_UP } else { TICK };
                ((1.0 + self.apart() / window) / rate, made_up)
            }
            // One that holds `n` is never seen over if any `n + 1` requests come over no less than it takes for one to
            // drain, however early the last comes, and late the first.
            Counter::Bucket { .. } => {
                let early = self.early() + self.estimate.margin;
                let held = limit.size.floor().max(1.0);
                let made_up = (held - 1.0) / rate / 2.0;
                ((SHY / rate).max((early + made_up.min(MADE_UP) + SHY / rate) / held), made_up.min(MADE_UP))
            }
        }
    }

    /// By how much a request may come early to a bucket, one way; where the network or the machine is worse than what is worth
    /// that, refusals tell.
    fn early(&self) -> f64 {
        let most = self.estimate.limit().map_or(f64::INFINITY, |limit| MOST_EARLY / limit.rate);
        (ONE_WAY * self.trips.jitter).min(most)
    }

    /// By how much more than its time a window is kept to: what the way there varies, and a stall of a busy machine.
    fn apart(&self) -> f64 {
        self.trips.jitter + STALL + self.estimate.margin
    }

    /// As many as the window lets in, and its time later, the next may be sent: whatever was made up for,
    /// no window sees more.
    pub(super) fn mirrored(&self, rate: f64) -> Option<f64> {
        let window = self.estimate.limit()?.counter.window()?;
        let nth = self.sends.len().checked_sub(whole(rate * window)?)?;
        self.sends.get(nth).map(|sent| sent + window + self.apart())
    }
}

/// The whole requests in a number of them, if there are any.
pub(super) fn whole(requests: f64) -> Option<usize> {
    let count = Duration::try_from_secs_f64(requests + 1e-6).ok()?.as_secs();
    usize::try_from(count).ok().filter(|count| *count > 0)
}
