//! Finds the likeliest explanation of a hold. Pure: answers and the current belief in, the cost of each explanation out.
//!
//! Costs are in *nats*, the negative natural logarithm of a likelihood: what an explanation leaves unexplained, plus what it assumes.

use super::estimate::{Estimate, HIGHER, MATTERS};
use super::evidence::{Answered, Episode, MADE_UP, Observed, number};
use super::explanation::{Evidence, Explanation};

/// Cost of a limiter not known before: two numbers, each to a hundredth (2 × ln 100). A lone 429 costs less where
/// chance is at all likely; a second one that the same limiter explains decides.
const NEW: f64 = 9.2;
/// Cost of another kind of limiter for the known answers, or of another limit of the same kind: one number (ln 100).
const OTHER: f64 = NEW / 2.0;
/// Cost of somebody else taking a changing share: one licence in four hundred has such a user at any moment (ln 400).
/// Plus a nat for each second without a 429, since others change within seconds.
const SHARED: f64 = 6.0;
/// Explanations within half a nat of each other are equally good.
const AS_GOOD: f64 = 0.5;
/// Prior for chance: one request in this many is refused without a limit.
const BY_CHANCE: f64 = 100.0;
/// A stall of the network or the server makes several requests arrive at once: if one of them comes too early, so does
/// the next, one time in seven (ln 7).
const OF_ONE_STALL: f64 = 2.0;

/// The answers that count as evidence, and those among them sent before and after a change would show.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) episode: Episode,
    pub(super) all: Vec<Answered>,
    pub(super) old: Vec<Answered>,
    pub(super) new: Vec<Answered>,
    /// Where these divide: two windows before the first refusal, or at the end of the previous hold.
    pub(super) changed: f64,
}

/// What the explanations of a hold cost.
#[derive(Debug)]
pub(super) struct Weighed {
    /// The current belief.
    pub(super) keep: f64,
    /// Another limiter, for all the evidence.
    pub(super) refit: (f64, Explanation),
    /// The limit has changed.
    pub(super) change: Option<(f64, Explanation)>,
    /// The limit has fallen just now, and little shows how far.
    pub(super) fallen: f64,
    /// Others take a share.
    pub(super) share: f64,
}

impl Weighed {
    /// The cheapest explanation in which something has changed.
    pub(super) fn another(&self) -> f64 {
        self.changed().min(self.fallen).min(self.share)
    }

    pub(super) fn changed(&self) -> f64 {
        self.change.map_or(f64::INFINITY, |(cost, _)| cost)
    }
}

impl Estimate {
    /// Cost of an unexplained answer: the rarer chance has been so far, the higher.
    pub(super) fn misfit(&self, known: &Observed<'_>) -> f64 {
        ((BY_CHANCE + known.sent) / (1.0 + self.by_chance)).ln()
    }

    pub(super) fn evidence<'a>(&self, log: &'a [Answered], known: &Observed<'_>) -> Evidence<'a> {
        Evidence { log, from: f64::NEG_INFINITY, wait: self.wait, is_long: self.is_long, jitter: known.jitter, fastest: known.fastest }
    }

    pub(super) fn unexplained_of(&self, log: &[Answered], known: &Observed<'_>) -> f64 {
        self.limit.map_or_else(|| refused(log), |limit| limit.misfits_of(log, known.jitter))
    }

    /// The best explanation of a `log` next to the current belief, and its cost.
    pub(super) fn best(&self, log: &[Answered], known: &Observed<'_>) -> (f64, Explanation) {
        let misfit = self.misfit(known);
        let cost = |found: &Explanation| self.cost(found, misfit);
        let evidence = self.evidence(log, known);
        let mut found = evidence.explanations();
        // A limit that falls keeps its kind of counter.
        if let Some(limit) = self.limit.filter(|_| self.has_fallen) {
            found.retain(|other| other.counter.window().is_some() == limit.counter.window().is_some());
        }
        let cheapest = found.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a window is always tried");
        let least = cost(&cheapest);
        // The previous counter is kept if it explains as well.
        let same = self.limit.filter(|limit| limit.counter.window().is_some()).map(|limit| evidence.sized(limit.counter));
        if let Some(same) = same.filter(|same| cost(same) <= least + AS_GOOD) {
            return (cost(&same), same);
        }
        // Of equally good ones, the highest rate that is not wide: a 429 soon shows that it is too high, whereas
        // nothing contradicts one that is too low.
        let best = found
            .iter()
            .filter(|other| cost(other) <= least + AS_GOOD && !other.is_wide())
            .fold(cheapest, |best, other| if best.is_wide() || other.rate > best.rate * MATTERS { *other } else { best });
        let high = found.iter().filter(|other| other.misfits <= best.misfits).map(|other| other.high).fold(best.high, f64::max);
        (least, Explanation { high, ..best })
    }

    /// What an explanation costs, with this cost for each misfit.
    pub(super) fn cost(&self, found: &Explanation, misfit: f64) -> f64 {
        let of_kind = match self.limit {
            None => NEW,
            Some(limit) if limit.counter.is_like(found.counter) => limit.resized(found),
            Some(_) => OTHER,
        };
        found.misfits.mul_add(misfit, found.surprise() + found.surprise_of(self.wait)) + of_kind
    }

    /// The rival of `found` with a higher rate from which most is to be gained: its rate, and its likelihood beside `found`.
    pub(super) fn rival(&self, found: &Explanation, known: &Observed<'_>) -> Option<(f64, f64)> {
        let misfit = self.misfit(known);
        let log = known.log.since(self.evident);
        let rivals = self.evidence(&log, known).explanations();
        let least = self.cost(found, misfit);
        let likely = |other: &Explanation| 1.0 / (1.0 + (self.cost(other, misfit) - least).max(0.0).exp());
        let won = |(rate, likely): &(f64, f64)| likely * (1.0 - found.rate / rate);
        let higher =
            rivals.iter().filter(|other| other.rate > found.rate * HIGHER && !other.is_wide()).map(|other| (other.rate, likely(other)));
        higher.max_by(|a, b| won(a).total_cmp(&won(b)))
    }

    pub(super) fn answers(&self, episode: &Episode, known: &Observed<'_>) -> Answers {
        let changed = episode.after.max(episode.refused - 2.0 * self.window());
        let all = known.log.since(self.evident);
        let (old, new) = all.iter().partition(|answered| answered.sent < changed);
        Answers { episode: *episode, all, old, new, changed }
    }

    /// What the explanations of a hold cost; or of this hold and the previous one together, if that was put down to
    /// chance and may have been the first sign of something else.
    pub(super) fn weigh_with_doubted(&mut self, answers: Answers, known: &Observed<'_>) -> (Answers, Weighed) {
        let weighed = self.weigh(&answers, known);
        let Episode { after, until, wait, .. } = answers.episode;
        let Some(before) = self.doubted.take().filter(|before| before.until <= after) else {
            return (answers, weighed);
        };
        let together = self.answers(&Episode { until, wait, ..before }, known);
        let other = self.weigh(&together, known);
        if other.another() < weighed.another() { (together, other) } else { (answers, weighed) }
    }

    pub(super) fn weigh(&self, answers: &Answers, known: &Observed<'_>) -> Weighed {
        let episode = &answers.episode;
        let misfit = self.misfit(known);
        let limit = self.limit.filter(|_| !answers.old.is_empty());
        let before = self.unexplained.min(self.unexplained_of(&answers.old, known)) * misfit;
        let seldom = -(self.hazard(known) * episode.quiet().max(0.05)).ln().min(0.0);
        let evidence = self.evidence(&answers.new, known);
        let change = limit.map(|limit| {
            let found = evidence.alike(limit.counter);
            (found.misfits.mul_add(misfit, before + found.surprise() + limit.resized(&found)) + OTHER + seldom, found)
        });
        let lately = Evidence { from: episode.refused, ..evidence };
        let may_fall = limit.filter(|limit| limit.counter.window().is_some() && !self.has_fallen && !self.is_long);
        let fallen = may_fall.map(|limit| lately.alike(limit.counter).misfits.mul_add(misfit, before) + OTHER + seldom);
        let share = limit.map_or(f64::INFINITY, |limit| evidence.misfits_shared(&limit).mul_add(misfit, before) + SHARED + episode.quiet());
        let (cost, found) = self.best(&answers.all, known);
        // The forgotten answers were explained by the current limit: another limiter would have to be a change.
        let forgotten = if self.limit.is_some() && !known.log.is_whole(self.evident) { OTHER + seldom } else { 0.0 };
        Weighed {
            keep: self.kept_costs(answers, misfit, known),
            refit: (cost + forgotten, found),
            change,
            share,
            fallen: fallen.unwrap_or(f64::INFINITY),
        }
    }

    /// Cost of keeping the current belief. Requests refused within one stall count as refused together if at least as
    /// many sent from the first of them on are admitted: the limit is not used up then.
    fn kept_costs(&self, answers: &Answers, misfit: f64, known: &Observed<'_>) -> f64 {
        let all = self.unexplained_of(&answers.all, known) * misfit;
        let first = answers.episode.refused;
        let since = |answered: &&Answered| answered.sent >= first;
        let let_in = answers.new.iter().filter(since).filter(|answered| answered.admitted).count();
        let together = answers.new.iter().filter(since).filter(|answered| !answered.admitted && answered.sent <= first + MADE_UP).count();
        if self.limit.is_none() || together < 2 || let_in < together {
            return all;
        }
        let less = number(together - 1) * (misfit - OF_ONE_STALL).max(0.0);
        (all - less).max(all.min(misfit))
    }
}

pub(super) fn refused(log: &[Answered]) -> f64 {
    number(log.iter().filter(|answered| !answered.admitted).count())
}
