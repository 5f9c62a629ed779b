//! Decides whether to probe for a higher limit. Pure: what is known in, the working rate out.
//!
//! A refused probe costs a hold; a successful one saves time on all remaining rows. Both are weighed by their likelihood.

use super::estimate::{Estimate, HIGHER, MATTERS, Probe};
use super::evidence::{Counter, MARGIN, Observed};
use super::explanation::{Explanation, UNROUND};
use super::round::{WIDE, is_plain};
use super::shared::Prospect;

/// Probes may have this share of the requests refused: others on the same limit see those refusals too. Where a higher
/// limit was known before, three times as much.
const REFUSED: f64 = 0.01;
const REFUSED_KNOWN: f64 = 0.03;
/// And while the limit itself is still open, this share of all rows.
const REFUSED_OF_ALL: f64 = 0.015;
/// Once this share of all rows was refused, for whatever reason, probing stops.
const REFUSED_IN_ALL: f64 = 0.025;
/// A hold lasts this many times as long as the server asks for: the middle of the throttle's margin.
pub(super) const HOLD: f64 = 1.0 + f64::midpoint(MARGIN.0, MARGIN.1);
/// A probe that takes this many times as long as it should is abandoned: requests do not come that fast.
const GIVEN_UP: f64 = 3.0;
/// How often a probe is considered, in seconds.
const CONSIDERED: f64 = 0.1;

impl Estimate {
    /// The working rate; infinite while no limit is known.
    pub(super) fn rate(&mut self, known: &Observed<'_>) -> f64 {
        let Some(limit) = self.limit else {
            return f64::INFINITY;
        };
        let is_time = known.now >= self.probes.considered + CONSIDERED;
        if is_time {
            self.probes.considered = known.now;
        }
        if self.shared.is_some() {
            return if is_time { self.rate_shared(limit, known) } else { limit.rate };
        }
        if let Some(probe) = self.probes.on {
            let stored = self.stored(&limit, probe);
            let seconds = seconds_for(&Explanation { size: limit.size.min(stored), ..limit }, probe.rate) * 1.1;
            // Only requests that were sent prove anything.
            if known.log.let_in(probe.from, known.now) * MATTERS >= probe.rate * seconds {
                self.prove(probe, limit, known);
            } else if known.now - probe.from > GIVEN_UP * (seconds + known.trip) {
                self.probes.give_up(known.now);
            }
        } else if is_time && limit.rate < known.most {
            self.probes.on = self.worth_probing(&limit, known).map(|rate| Probe { from: known.now, rate: rate.min(known.most) });
        }
        self.probes.on.map(|probe| probe.rate).or(self.limit.map(|limit| limit.rate)).unwrap_or(f64::INFINITY)
    }

    /// How much a bucket may have in store at this probe, if the probed rate is its own: it was empty when the last hold began.
    fn stored(&self, limit: &Explanation, probe: Probe) -> f64 {
        let unused = (probe.rate - limit.rate).max(0.0) * (probe.from - self.emptied).max(0.0);
        self.wait.mul_add(HOLD * probe.rate, unused)
    }

    /// The rate that gets the most out of what others leave.
    fn rate_shared(&mut self, limit: Explanation, known: &Observed<'_>) -> f64 {
        let prospect = self.prospect(&limit, known);
        let Some(shared) = &mut self.shared else {
            return limit.rate;
        };
        let rate = shared.rate(&prospect);
        if shared.is_over(known.now) {
            // All of it has been left for a while: the limit may be higher than ever seen.
            self.since = known.now;
            self.probes.too_high = f64::INFINITY;
            self.shared = None;
            let size = limit.counter.window().map_or(limit.size, |window| rate * window);
            self.set(Explanation { size, rate, low: rate, high: rate, ..limit });
            return rate;
        }
        self.limit = Some(Explanation { rate, ..limit });
        rate
    }

    /// What was admitted lately, and what a refusal costs.
    pub(super) fn prospect(&self, limit: &Explanation, known: &Observed<'_>) -> Prospect {
        // A bucket may have had something in store: half of it is assumed.
        let (window, stored) = limit.counter.window().map_or((2.0, limit.size / 2.0), |window| (window, 0.0));
        let to = known.now - known.trip;
        let let_in = known.log.let_in(to - window, to);
        let let_in = (let_in - stored).max(let_in / 2.0) / window;
        Prospect { now: known.now, let_in, hold: self.wait * HOLD + known.trip, left: known.left, most: known.most }
    }

    /// Ends the current probe, because it was refused. Returns whether there was one.
    pub(super) fn end_probe(&mut self, now: f64) -> bool {
        self.probes.ended = now;
        let Some(probe) = self.probes.on.take() else {
            return false;
        };
        if let Some(limit) = &mut self.limit {
            self.probes.too_high = probe.rate;
            limit.high = limit.high.min(probe.rate.max(limit.rate));
        }
        true
    }

    /// A rate that was probed long enough was not refused.
    pub(super) fn prove(&mut self, probe: Probe, limit: Explanation, known: &Observed<'_>) {
        self.probes.on = None;
        self.probes.ended = known.now;
        self.since = known.now;
        if probe.rate <= limit.high {
            let answers = known.log.since(self.evident);
            let found = if answers.iter().any(|answered| !answered.admitted) { self.best(&answers, known).1 } else { limit };
            let (rate, low, high) = (found.rate.max(probe.rate), found.low.max(probe.rate), found.high.max(limit.high));
            // The upper end of the range is still open, unless a window explains the answers at a lower rate.
            let is_open = found.high >= probe.rate || found.counter.window().is_none();
            if found.counter.window().is_none() && probe.rate * MATTERS >= limit.high {
                // The whole range is admitted: the limit is the other candidate, or higher by an unknown amount.
                let other = self.probes.doubt.map_or(0.0, |(rate, _)| rate);
                self.probes.doubt = Some((other.max(probe.rate * HIGHER).min(known.most), 0.5));
            }
            return self.set(if is_open { Explanation { rate, low, high, ..found } } else { found });
        }
        // Higher than any explanation allowed: the limit has risen.
        self.changes += 1.0;
        self.evident = probe.from;
        (self.unexplained, self.margin) = (0.0, 0.0);
        self.probes.too_high = f64::INFINITY;
        let rate = probe.rate;
        let (counter, size) = match limit.counter {
            Counter::Bucket { .. } => (Counter::Bucket { drain: rate }, limit.size),
            Counter::Sliding { window } | Counter::Fixed { window, .. } => (limit.counter, rate * window),
        };
        self.limit = Some(Explanation { counter, size, misfits: 0.0, rate, low: rate, high: rate });
        let was_known = self.former > 0.0;
        if self.former <= rate * MATTERS {
            self.former = 0.0;
        }
        // Probing goes on at once until the rate is back at the former limit.
        if rate < known.most && (self.former > 0.0 || !was_known) {
            let next = if was_known { self.former } else { rate * HIGHER };
            self.probes.on = Some(Probe { from: known.now, rate: next.min(known.most) });
        }
    }

    /// What a refused probe costs, in seconds.
    fn price(&self, known: &Observed<'_>) -> f64 {
        self.wait * HOLD + known.trip
    }

    /// Whether the expected gain of a probe at `rate`, from the rate `now`, exceeds its expected cost.
    pub(super) fn pays(&self, now: f64, rate: f64, likely: f64, known: &Observed<'_>) -> bool {
        likely * gain(now, rate, known) > (1.0 - likely) * self.price(known)
    }

    /// A higher rate, if it is worth probing now: if the expected gain over the remaining rows exceeds the expected cost of the hold.
    pub(super) fn worth_probing(&mut self, limit: &Explanation, known: &Observed<'_>) -> Option<f64> {
        let price = self.price(known);
        let pays = |rate: f64, likely: f64| self.pays(limit.rate, rate, likely, known);
        // Requests in flight when a probe is refused are refused with it.
        let lost = |rate: f64| known.trip.mul_add(rate, 1.0);
        if limit.high > limit.rate * MATTERS {
            // A bucket's rate is uniform over its range. A window's is most likely round, else the most that was admitted.
            let (rate, likely) = match limit.counter.window() {
                None if limit.high > limit.rate * WIDE.sqrt() => ((limit.rate * limit.high).sqrt(), 0.5),
                None if !is_plain(limit.rate) => (limit.high, 0.5),
                _ => (limit.high, (-UNROUND).exp()),
            };
            let rate = rate.min(known.most);
            let is_cheap = known.refused + lost(rate) <= REFUSED_OF_ALL * (known.sent + known.left);
            if rate < self.probes.too_high && pays(rate, likely) && is_cheap {
                return Some(rate);
            }
        }
        if let Some((rate, _)) = self.probes.doubt.filter(|(rate, likely)| pays(*rate, *likely)) {
            self.probes.doubt = None;
            return Some(rate);
        }
        let is_known = self.former > limit.rate * MATTERS;
        let higher = if is_known { self.former } else { limit.rate * HIGHER }.min(known.most);
        let refused = if is_known { REFUSED_KNOWN } else { REFUSED };
        // Probing every t seconds costs price / t, and finding a rise late costs hazard × t / 2 of the gain: least at
        // the root of their ratio.
        let (hazard, since) = (self.hazard(known), known.now - self.probes.ended.max(self.since));
        let share = higher / limit.rate - 1.0;
        let has_risen = 1.0 - (-hazard * since).exp();
        let is_time = since >= (2.0 * price / (hazard * share)).sqrt().max(lost(higher) / (refused * limit.rate));
        let is_cheap = known.refused + lost(higher) <= REFUSED_IN_ALL * (known.sent + known.left);
        (is_time && is_cheap && has_risen * gain(limit.rate, higher, known) > price).then_some(higher)
    }
}

/// The seconds that a higher `rate` saves over all remaining rows, from the rate `now`.
fn gain(now: f64, rate: f64, known: &Observed<'_>) -> f64 {
    (1.0 - now / rate) * known.left / now
}

/// How long a rate must be probed before it counts as admitted.
pub(super) fn seconds_for(limit: &Explanation, rate: f64) -> f64 {
    limit.counter.window().unwrap_or_else(|| {
        // What a bucket has in store is used up first, which is given up to a minute, or a few requests. Where next to
        // nothing is known of it, a refusal shows more than waiting does.
        let most = if limit.is_wide() { 1.0 } else { 60.0 };
        (limit.size / (rate - limit.rate).max(1e-3)).clamp(1.0, most).max(5.0 / rate)
    })
}
