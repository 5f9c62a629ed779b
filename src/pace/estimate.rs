//! What is the limit, how sure is that, and is it worth trying whether it is higher? Pure: what is known in,
//! a rate out.
//!
//! Explanations are weighed in *nats*, the natural logarithm of how unlikely they are.

use super::evidence::{Answered, Counter, Log, number};
use super::explanation::{Evidence, Explanation, WIDE};

/// What a limiter costs that was not thought of before: two numbers, each to a hundredth (2 × ln 100). A lone
/// 429 costs less where chance is at all likely; a second one that the same limiter explains decides.
const NEW: f64 = 9.2;
/// What another kind costs for what is known already: one number (ln 100).
const OTHER: f64 = 4.6;
/// Explanations within one nat of each other are as good.
const AS_GOOD: f64 = 1.0;
/// Before anything is known, one request of so many is refused by chance…
const BY_CHANCE: f64 = 100.0;
/// …and a limit has not changed for so many seconds: about as often as other people's jobs start or end. The
/// longer it does not, the less likely it is to.
const CALM: f64 = 600.0;
/// How unlikely it is that a first explanation is wrong altogether: a gateway that counts what it refuses
/// looks like a window, the first time. One of some thirty kinds of gateway.
const WRONG: f64 = 0.03;
/// Where no higher limit is known, half as much again is tried: by twice as much, a try is refused more often
/// than not even where the limit has risen.
const HIGHER: f64 = 1.5;
/// So many 429s tell a limiter from chance: of a limiter, each more says so with some 5 nats.
const TOLD: f64 = 5.0;
/// Of what is sent at the working rate, tries may have so much refused, twice that where a higher limit was there
/// before, and where nothing is sure so much of all rows: others share the limit, and see the same refusals.
const REFUSED: f64 = 0.02;
const REFUSED_KNOWN: f64 = 0.04;
const REFUSED_OF_ALL: f64 = 0.015;
/// A difference that matters: more than the jitter of rates, and than rounding.
const MATTERS: f64 = 1.07;
/// How often it is considered whether to try, in seconds.
const CONSIDERED: f64 = 0.1;

/// What there is to go by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) now: f64,
    /// When the first request was answered.
    pub(super) began: f64,
    pub(super) log: &'a Log,
    /// How many requests were sent, and how many of them refused.
    pub(super) sent: f64,
    pub(super) refused: f64,
    /// How many rows are left; infinite if nobody knows.
    pub(super) left: f64,
    /// The highest rate that may be used, and that was.
    pub(super) most: f64,
    pub(super) fastest: f64,
    /// How long an answer takes, and by how much that varies.
    pub(super) trip: f64,
    pub(super) jitter: f64,
}

/// A hold that is over, and what led to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Episode {
    /// When the hold before it ended, and this one.
    pub(super) after: f64,
    pub(super) until: f64,
    /// When the first request was sent that was refused.
    pub(super) refused: f64,
    pub(super) wait: f64,
}

/// A rate that is tried since then.
#[derive(Debug, Clone, Copy)]
struct Probe {
    from: f64,
    rate: f64,
}

/// The limit, as far as it is known.
#[derive(Debug)]
pub(super) struct Estimate {
    limit: Option<Explanation>,
    /// Since when it is taken for the limit.
    since: f64,
    /// From when on answers are evidence of it, and how many of these it leaves unexplained.
    evident: f64,
    unexplained: f64,
    /// A higher limit that was there before; 0 if none is known.
    former: f64,
    /// How often the limit has changed.
    changes: f64,
    /// How many requests were refused by chance.
    by_chance: f64,
    /// How likely it is that the first explanation was wrong.
    doubt: f64,
    /// The limit has fallen, nobody knows how far: the next hold tells.
    has_fallen: bool,
    /// A hold was not long enough for any request to be let in.
    is_long: bool,
    probe: Option<Probe>,
    /// When the last try ended, and the lowest rate that was too high then.
    tried: f64,
    too_high: f64,
    considered: f64,
    wait: f64,
    /// By how much more than the jitter requests are kept apart, in seconds a window.
    pub(super) margin: f64,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            limit: None,
            since: 0.0,
            evident: 0.0,
            unexplained: 0.0,
            former: 0.0,
            changes: 0.0,
            by_chance: 0.0,
            doubt: 0.0,
            has_fallen: false,
            is_long: false,
            probe: None,
            tried: 0.0,
            too_high: f64::INFINITY,
            considered: 0.0,
            wait: 0.0,
            margin: 0.0,
        }
    }

    /// The limiter that explains what happened; `None` while none is needed.
    pub(super) fn limit(&self) -> Option<&Explanation> {
        self.limit.as_ref()
    }

    /// How often the limit changes, in changes a second.
    fn hazard(&self, known: &Known<'_>) -> f64 {
        let elapsed = (known.now - known.began).max(1.0);
        (self.changes / elapsed).max(1.0 / (CALM + elapsed))
    }

    /// What it costs to leave an answer unexplained: the rarer chance was so far, the more.
    fn misfit(&self, known: &Known<'_>) -> f64 {
        ((BY_CHANCE + known.sent) / (1.0 + self.by_chance)).ln()
    }

    fn evidence<'a>(&self, log: &'a [Answered], known: &Known<'_>) -> Evidence<'a> {
        Evidence { log, wait: self.wait, is_long: self.is_long, jitter: known.jitter, fastest: known.fastest }
    }

    fn unexplained_of(&self, log: &[Answered], known: &Known<'_>) -> f64 {
        self.limit.map_or_else(
            || number(log.iter().filter(|answered| !answered.admitted).count()),
            |limit| limit.misfits_of(log, known.jitter),
        )
    }

    /// The best explanation of a `log` and what it costs, beside what is believed so far.
    fn best(&self, log: &[Answered], believed: Option<&Explanation>, known: &Known<'_>) -> (f64, Explanation) {
        let misfit = self.misfit(known);
        let cost = |found: &Explanation| {
            let of_kind = match believed {
                None => NEW,
                Some(believed) if believed.counter.is_like(found.counter) => 0.0,
                Some(_) => OTHER,
            };
            found.misfits.mul_add(misfit, found.surprise() + found.surprise_of(self.wait)) + of_kind
        };
        let found = self.evidence(log, known).explanations();
        let cheapest = found.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a window is always tried");
        let least = cost(&cheapest);
        // Of those that are as good, the highest rate that is told: it is refuted soon if it is wrong, one that
        // is too low by nothing.
        let best = found.iter().filter(|other| cost(other) <= least + AS_GOOD && !other.is_wide()).fold(cheapest, |best, other| {
            if best.is_wide() || other.rate > best.rate * MATTERS { *other } else { best }
        });
        let high = found.iter().filter(|other| other.misfits <= best.misfits).map(|other| other.high).fold(best.high, f64::max);
        (least, Explanation { high, ..best })
    }

    /// Learns from a hold that is over.
    pub(super) fn learn(&mut self, episode: &Episode, known: &Known<'_>) {
        self.wait = episode.wait;
        let hazard = self.hazard(known);
        self.evident = self.evident.max(known.now - 1.0 / hazard);
        let all = known.log.since(self.evident);
        // A change shows in what passed within two windows.
        let window = self.limit.and_then(|limit| limit.counter.window()).unwrap_or(1.0);
        let changed = episode.after.max(episode.refused - 2.0 * window);
        let (old, new): (Vec<Answered>, Vec<Answered>) = all.iter().partition(|answered| answered.sent < changed);
        if !new.iter().any(|answered| answered.admitted) {
            // It says nothing of a rate; but if the limit is ours, it counts by more than was waited for.
            self.is_long = true;
            return;
        }
        let was_probing = self.end_probe(known.now);
        let keep = self.unexplained_of(&all, known) * self.misfit(known);
        let refit = self.best(&all, self.limit.as_ref(), known);
        let change = self.limit.filter(|_| !old.is_empty()).map(|_| {
            let (cost, found) = self.best(&new, None, known);
            let before = self.unexplained.min(self.unexplained_of(&old, known)) * self.misfit(known);
            let cost = if self.changes > 0.0 { cost - NEW + OTHER } else { cost };
            (cost + before - (hazard * (episode.refused - episode.after).max(0.05)).ln().min(0.0), found)
        });
        let least = change.map_or(f64::INFINITY, |(cost, _)| cost).min(refit.0);
        let refused = number(all.iter().filter(|answered| !answered.admitted).count());
        match change {
            _ if self.limit.is_some() && refused >= TOLD && refused * self.misfit(known) < 2.0 * keep.min(least) => self.forget(),
            None if refused >= TOLD && refused < 2.0 * refit.1.misfits => self.keep(keep, &new, was_probing, known),
            _ if keep <= least => self.keep(keep, &new, was_probing, known),
            Some((cost, found)) if cost < refit.0 => self.change(found, changed, episode, known),
            Some(_) | None => self.refit(refit.1, known),
        }
    }

    /// There never was a limit: it was chance.
    fn forget(&mut self) {
        *self = Self { by_chance: self.by_chance, is_long: self.is_long, wait: self.wait, evident: self.evident, ..Self::new() };
    }

    /// It was chance, or too near to the limit that is known.
    fn keep(&mut self, cost: f64, new: &[Answered], was_probing: bool, known: &Known<'_>) {
        let refused = number(new.iter().filter(|answered| !answered.admitted).count());
        let unexplained = self.unexplained_of(new, known);
        self.unexplained = cost / self.misfit(known);
        self.by_chance += unexplained.min(refused);
        self.doubt = 0.0;
        if !was_probing && unexplained < refused && self.limit.is_some() {
            self.margin += known.jitter;
        }
    }

    /// What is known is explained better.
    fn refit(&mut self, found: Explanation, known: &Known<'_>) {
        if self.has_fallen
            && let Some(before) = self.limit.filter(|before| found.rate < before.rate)
        {
            self.former = self.former.max(before.rate);
            self.changes += 1.0;
            self.since = known.now;
        }
        self.doubt = if self.limit.is_none() { WRONG } else { 0.0 };
        self.set(found, known.now);
    }

    /// The limit is another one since then.
    fn change(&mut self, found: Explanation, changed: f64, episode: &Episode, known: &Known<'_>) {
        let is_told = !found.is_wide() && found.counter.window().is_none_or(|window| window <= 3.0 * episode.wait.max(1.0));
        if !is_told && !self.has_fallen {
            self.has_fallen = true;
            self.evident = episode.until;
            return;
        }
        self.former = self.former.max(self.limit.map_or(0.0, |before| before.rate));
        self.changes += 1.0;
        self.evident = changed;
        self.too_high = f64::INFINITY;
        self.since = known.now;
        self.set(found, known.now);
    }

    fn set(&mut self, found: Explanation, now: f64) {
        if self.limit.is_none() {
            self.since = now;
        }
        if found.rate * MATTERS >= self.former {
            self.former = 0.0;
        }
        self.has_fallen = false;
        self.unexplained = found.misfits;
        self.margin = 0.0;
        self.limit = Some(Explanation { high: found.high.min(self.too_high.max(found.rate)), ..found });
    }

    /// A try was refused, if one was on.
    fn end_probe(&mut self, now: f64) -> bool {
        self.tried = now;
        let Some(probe) = self.probe.take() else {
            return false;
        };
        if let Some(limit) = &mut self.limit {
            self.too_high = probe.rate;
            limit.high = limit.high.min(self.too_high.max(limit.rate));
        }
        true
    }

    /// The rate to work at; infinite while no limit is known.
    pub(super) fn rate(&mut self, known: &Known<'_>) -> f64 {
        let Some(limit) = self.limit else {
            return f64::INFINITY;
        };
        if let Some(probe) = self.probe {
            let seconds = limit.counter.window().unwrap_or_else(|| {
                // What a bucket has in store is used up first; for that up to a minute, or some requests, are waited.
                (limit.size / (probe.rate - limit.rate).max(1e-3)).clamp(1.0, 60.0).max(5.0 / probe.rate)
            });
            if known.now - probe.from > seconds * 1.1 + known.trip {
                self.prove(probe, limit, known);
            }
        } else if known.now >= self.considered + CONSIDERED && limit.rate < known.most {
            self.considered = known.now;
            self.probe = self.worthwhile(&limit, known).map(|rate| Probe { from: known.now, rate: rate.min(known.most) });
        }
        self.probe.map(|probe| probe.rate).or(self.limit.map(|limit| limit.rate)).unwrap_or(f64::INFINITY)
    }

    /// A rate that was tried long enough was not refused.
    fn prove(&mut self, probe: Probe, limit: Explanation, known: &Known<'_>) {
        self.probe = None;
        self.tried = known.now;
        self.since = known.now;
        if probe.rate <= limit.high {
            let (_, found) = self.best(&known.log.since(self.evident), Some(&limit), known);
            let (rate, low, high) = (found.rate.max(probe.rate), found.low.max(probe.rate), found.high.max(limit.high));
            // What it may be at most is still open, unless a longer window explains more.
            let is_open = found.high >= probe.rate || found.counter.window().is_none();
            return self.set(if is_open { Explanation { rate, low, high, ..found } } else { found }, known.now);
        }
        // Higher than was ever explained: it has risen.
        self.changes += 1.0;
        self.evident = probe.from;
        self.unexplained = 0.0;
        self.too_high = f64::INFINITY;
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
        // Back to where it was, it stays there.
        if rate < known.most && (self.former > 0.0 || !was_known) {
            let next = if was_known { self.former } else { rate * HIGHER };
            self.probe = Some(Probe { from: known.now, rate: next.min(known.most) });
        }
    }

    /// A higher rate, if it is worth trying now: if the rows that are left would win more by it than the hold
    /// costs that follows if it is too high, each times how likely it is.
    fn worthwhile(&mut self, limit: &Explanation, known: &Known<'_>) -> Option<f64> {
        let price = self.wait * 1.06 + known.trip;
        let gain = |rate: f64| (1.0 - limit.rate / rate) * known.left / limit.rate;
        let pays = |rate: f64, likely: f64| likely * gain(rate) > (1.0 - likely) * price;
        // What is under way when a try is refused is refused with it.
        let lost = |rate: f64| known.trip.mul_add(rate, 1.0);
        if limit.high > limit.rate * WIDE.sqrt() {
            // The middle of what it may be is as likely as not.
            let middle = (limit.rate * limit.high).sqrt().min(known.most);
            if pays(middle, 0.5) && known.refused + lost(middle) <= REFUSED_OF_ALL * (known.sent + known.left) {
                return Some(middle);
            }
        }
        let is_known = self.former > limit.rate * MATTERS;
        let higher = if is_known { self.former } else { limit.rate * HIGHER }.min(known.most);
        let refused = if is_known { REFUSED_KNOWN } else { REFUSED };
        if self.doubt > 0.0 && pays(higher, self.doubt) {
            self.doubt = 0.0;
            return Some(higher);
        }
        // Trying every t seconds costs price / t, and finding a rise late costs hazard × t / 2 of the gain: least
        // at the root of their ratio.
        let (hazard, since) = (self.hazard(known), known.now - self.tried.max(self.since));
        let share = higher / limit.rate - 1.0;
        let has_risen = 1.0 - (-hazard * since).exp();
        let is_time = since >= (2.0 * price / (hazard * share)).sqrt().max(lost(higher) / (refused * limit.rate));
        (is_time && has_risen * gain(higher) > price).then_some(higher)
    }
}
