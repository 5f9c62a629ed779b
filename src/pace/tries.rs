//! Is it worth trying whether the limit is higher? Pure: what is known in, a rate to work at out.
//!
//! A try that is refused costs a hold; one that is not wins time for all the rows that are left. Both are weighed
//! by how likely they are.

use super::estimate::{Estimate, MATTERS};
use super::evidence::{Counter, Known};
use super::explanation::{Explanation, UNROUND, WIDE};
use super::round::is_plain;
use super::shared::Prospect;
use super::throttle::MARGIN;

/// Where no higher limit is known, so much as this is tried: the root of two, so that two tries double it.
pub(super) const HIGHER: f64 = 1.4;
/// Of what is sent, tries may have so much refused, and where a higher limit was there before, three times that:
/// others share the limit, and see the same refusals.
const REFUSED: f64 = 0.01;
const REFUSED_KNOWN: f64 = 0.03;
/// And where the limit itself is not told yet, so much of all rows.
const REFUSED_OF_ALL: f64 = 0.015;
/// Where so much of all rows was refused, whatever for, nothing is tried any more.
const REFUSED_IN_ALL: f64 = 0.025;
/// A hold lasts so many times as long as is asked for: the middle of the throttle's margin.
pub(super) const HOLD: f64 = 1.0 + f64::midpoint(MARGIN.0, MARGIN.1);
/// A try is given up that takes so many times as long as it should: nothing is sent so fast.
const GIVEN_UP: f64 = 3.0;
/// How often it is considered whether to try, in seconds.
const CONSIDERED: f64 = 0.1;

/// What was tried, and what is on.
#[derive(Debug)]
pub(super) struct Tries {
    pub(super) on: Option<Try>,
    /// When the last one ended, and the lowest rate that was too high then.
    pub(super) ended: f64,
    pub(super) too_high: f64,
    pub(super) considered: f64,
    /// A higher rate that the limit may be after all, and how likely that is.
    pub(super) doubt: Option<(f64, f64)>,
}

/// A rate that is tried since then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Try {
    pub(super) from: f64,
    pub(super) rate: f64,
}

impl Default for Tries {
    fn default() -> Self {
        Self { on: None, ended: 0.0, too_high: f64::INFINITY, considered: 0.0, doubt: None }
    }
}

impl Tries {
    /// Nothing is let in, whatever the rate: a try that is on tells nothing.
    pub(super) fn give_up(&mut self, now: f64) {
        self.on = None;
        self.ended = now;
    }
}

impl Estimate {
    /// The rate to work at; infinite while no limit is known.
    pub(super) fn rate(&mut self, known: &Known<'_>) -> f64 {
        let Some(limit) = self.limit else {
            return f64::INFINITY;
        };
        let is_time = known.now >= self.tries.considered + CONSIDERED;
        if is_time {
            self.tries.considered = known.now;
        }
        if self.shared.is_some() {
            return if is_time { self.rate_shared(limit, known) } else { limit.rate };
        }
        if let Some(tried) = self.tries.on {
            let stored = self.stored(&limit, tried);
            let seconds = seconds_for(&Explanation { size: limit.size.min(stored), ..limit }, tried.rate) * 1.1;
            // What was not sent proves nothing.
            if known.log.let_in(tried.from, known.now) * MATTERS >= tried.rate * seconds {
                self.prove(tried, limit, known);
            } else if known.now - tried.from > GIVEN_UP * (seconds + known.trip) {
                self.tries.give_up(known.now);
            }
        } else if is_time && limit.rate < known.most {
            self.tries.on = self.worthwhile(&limit, known).map(|rate| Try { from: known.now, rate: rate.min(known.most) });
        }
        self.tries.on.map(|tried| tried.rate).or(self.limit.map(|limit| limit.rate)).unwrap_or(f64::INFINITY)
    }

    /// How much a bucket may have in store when this rate is tried, if that is its own: it was empty when the last hold began.
    fn stored(&self, limit: &Explanation, tried: Try) -> f64 {
        let unused = (tried.rate - limit.rate).max(0.0) * (tried.from - self.emptied).max(0.0);
        self.wait.mul_add(HOLD * tried.rate, unused)
    }

    /// The rate that brings most of what others leave.
    fn rate_shared(&mut self, limit: Explanation, known: &Known<'_>) -> f64 {
        let prospect = self.prospect(&limit, known);
        let Some(shared) = &mut self.shared else {
            return limit.rate;
        };
        let rate = shared.rate(&prospect);
        if shared.is_over(known.now) {
            // All of it is left, and has been for a while: it may be more than it ever was.
            self.since = known.now;
            self.tries.too_high = f64::INFINITY;
            self.shared = None;
            let size = limit.counter.window().map_or(limit.size, |window| rate * window);
            self.set(Explanation { size, rate, low: rate, high: rate, ..limit });
            return rate;
        }
        self.limit = Some(Explanation { rate, ..limit });
        rate
    }

    /// What was let in lately, and what a refusal costs.
    pub(super) fn prospect(&self, limit: &Explanation, known: &Known<'_>) -> Prospect {
        // Of a bucket, something may have been in store: as likely as not, half of it.
        let (window, stored) = limit.counter.window().map_or((2.0, limit.size / 2.0), |window| (window, 0.0));
        let to = known.now - known.trip;
        let let_in = known.log.let_in(to - window, to);
        let let_in = (let_in - stored).max(let_in / 2.0) / window;
        Prospect { now: known.now, let_in, hold: self.wait * HOLD + known.trip, left: known.left, most: known.most }
    }

    /// A try was refused, if one was on.
    pub(super) fn end_try(&mut self, now: f64) -> bool {
        self.tries.ended = now;
        let Some(tried) = self.tries.on.take() else {
            return false;
        };
        if let Some(limit) = &mut self.limit {
            self.tries.too_high = tried.rate;
            limit.high = limit.high.min(tried.rate.max(limit.rate));
        }
        true
    }

    /// A rate that was tried long enough was not refused.
    pub(super) fn prove(&mut self, tried: Try, limit: Explanation, known: &Known<'_>) {
        self.tries.on = None;
        self.tries.ended = known.now;
        self.since = known.now;
        if tried.rate <= limit.high {
            let answers = known.log.since(self.evident);
            let found = if answers.iter().any(|answered| !answered.admitted) { self.best(&answers, known).1 } else { limit };
            let (rate, low, high) = (found.rate.max(tried.rate), found.low.max(tried.rate), found.high.max(limit.high));
            // What it may be at most is still open, unless a longer window explains more.
            let is_open = found.high >= tried.rate || found.counter.window().is_none();
            if found.counter.window().is_none() && tried.rate * MATTERS >= limit.high {
                // All that it was thought to be at most is let in: it is what else was thought of, or nobody knows how much more.
                let other = self.tries.doubt.map_or(0.0, |(rate, _)| rate);
                self.tries.doubt = Some((other.max(tried.rate * HIGHER).min(known.most), 0.5));
            }
            return self.set(if is_open { Explanation { rate, low, high, ..found } } else { found });
        }
        // Higher than was ever explained: it has risen.
        self.changes += 1.0;
        self.evident = tried.from;
        (self.unexplained, self.margin) = (0.0, 0.0);
        self.tries.too_high = f64::INFINITY;
        let rate = tried.rate;
        let (counter, size) = match limit.counter {
            Counter::Bucket { .. } => (Counter::Bucket { drain: rate }, limit.size),
            Counter::Sliding { window } | Counter::Fixed { window, .. } => (limit.counter, rate * window),
        };
        self.limit = Some(Explanation { counter, size, misfits: 0.0, rate, low: rate, high: rate });
        let was_known = self.former > 0.0;
        if self.former <= rate * MATTERS {
            self.former = 0.0;
        }
        // Back to where it was, it stays there.
        if rate < known.most && (self.former > 0.0 || !was_known) {
            let next = if was_known { self.former } else { rate * HIGHER };
            self.tries.on = Some(Try { from: known.now, rate: next.min(known.most) });
        }
    }

    /// What a try costs that is refused, in seconds.
    fn price(&self, known: &Known<'_>) -> f64 {
        self.wait * HOLD + known.trip
    }

    /// Whether a try of a higher `rate` than this wins more than it costs, each times how likely it is.
    pub(super) fn pays(&self, now: f64, rate: f64, likely: f64, known: &Known<'_>) -> bool {
        likely * gain(now, rate, known) > (1.0 - likely) * self.price(known)
    }

    /// A higher rate, if it is worth trying now: if the rows that are left would win more by it than the hold
    /// costs that follows if it is too high, each times how likely it is.
    pub(super) fn worthwhile(&mut self, limit: &Explanation, known: &Known<'_>) -> Option<f64> {
        let price = self.price(known);
        let pays = |rate: f64, likely: f64| self.pays(limit.rate, rate, likely, known);
        // What is under way when a try is refused is refused with it.
        let lost = |rate: f64| known.trip.mul_add(rate, 1.0);
        if limit.high > limit.rate * MATTERS {
            // What a bucket may be is open evenly; a window is what is round, and may be what was let in at most.
            let (rate, likely) = match limit.counter.window() {
                None if limit.high > limit.rate * WIDE.sqrt() => ((limit.rate * limit.high).sqrt(), 0.5),
                None if !is_plain(limit.rate) => (limit.high, 0.5),
                _ => (limit.high, (-UNROUND).exp()),
            };
            let rate = rate.min(known.most);
            let is_cheap = known.refused + lost(rate) <= REFUSED_OF_ALL * (known.sent + known.left);
            if rate < self.tries.too_high && pays(rate, likely) && is_cheap {
                return Some(rate);
            }
        }
        if let Some((rate, _)) = self.tries.doubt.filter(|(rate, likely)| pays(*rate, *likely)) {
            self.tries.doubt = None;
            return Some(rate);
        }
        let is_known = self.former > limit.rate * MATTERS;
        let higher = if is_known { self.former } else { limit.rate * HIGHER }.min(known.most);
        let refused = if is_known { REFUSED_KNOWN } else { REFUSED };
        // Trying every t seconds costs price / t, and finding a rise late costs hazard × t / 2 of the gain: least
        // at the root of their ratio.
        let (hazard, since) = (self.hazard(known), known.now - self.tries.ended.max(self.since));
        let share = higher / limit.rate - 1.0;
        let has_risen = 1.0 - (-hazard * since).exp();
        let is_time = since >= (2.0 * price / (hazard * share)).sqrt().max(lost(higher) / (refused * limit.rate));
        let is_cheap = known.refused + lost(higher) <= REFUSED_IN_ALL * (known.sent + known.left);
        (is_time && is_cheap && has_risen * gain(limit.rate, higher, known) > price).then_some(higher)
    }
}

/// The seconds that a higher `rate` than this wins, for all rows that are left.
fn gain(now: f64, rate: f64, known: &Known<'_>) -> f64 {
    (1.0 - now / rate) * known.left / now
}

/// How long a rate must be tried before it is known not to be refused.
pub(super) fn seconds_for(limit: &Explanation, rate: f64) -> f64 {
    limit.counter.window().unwrap_or_else(|| {
        // What a bucket has in store is used up first; for that up to a minute, or some requests, are waited. Where hardly
        // anything is known of it, a refusal tells more than waiting does.
        let most = if limit.is_wide() { 1.0 } else { 60.0 };
        (limit.size / (rate - limit.rate).max(1e-3)).clamp(1.0, most).max(5.0 / rate)
    })
}
