//! What is the limit, and how sure is that? Pure: a hold that is over and what is known in, a limiter out.
//!
//! Explanations are weighed in *nats*, the natural logarithm of how unlikely they are: what they leave
//! unexplained, and what they suppose besides.

use super::evidence::{Answered, Episode, Known, number};
use super::explanation::{Evidence, Explanation};
use super::shared::{Shared, left_of};
use super::throttle::STALL;
use super::tries::{HIGHER, Tries};

/// What a limiter costs that was not thought of before: two numbers, each to a hundredth (2 × ln 100). A lone
/// 429 costs less where chance is at all likely; a second one that the same limiter explains decides.
const NEW: f64 = 9.2;
/// What another kind costs for what is known already, or another limit of the same kind: one number (ln 100).
const OTHER: f64 = NEW / 2.0;
/// What it costs that somebody else takes a share that changes: one licence in four hundred has such a one just
/// now (ln 400); and a nat more for each second without a 429, since others change within some seconds.
const SHARED: f64 = 6.0;
/// What it costs each time that they take as much as they do: one number, give or take what comes by chance.
const TAKEN: f64 = 2.0;
/// Explanations within half a nat of each other are as good.
const AS_GOOD: f64 = 0.5;
/// Before anything is known, one request of so many is refused by chance…
const BY_CHANCE: f64 = 100.0;
/// …and a limit has not changed for so many seconds: about as often as other people's jobs start or end. The
/// longer it does not, the less likely it is to.
const CALM: f64 = 600.0;
/// How unlikely it is that a first explanation is wrong altogether: a gateway that counts what it refuses looks
/// like a window, the first time, and one that was down like a long one. One of some thirty.
const WRONG: f64 = 0.03;
/// So many 429s tell a limiter from chance, and so many holds others from a limit that has changed.
const TOLD: f64 = 5.0;
const IN_A_ROW: u32 = 3;
/// Requests are kept apart by no more than so many times what a margin grows by: what else is refused is not for being too near.
const MOST_MARGIN: f64 = 4.0;
/// A difference that matters: more than the jitter of rates, and than rounding.
pub(super) const MATTERS: f64 = 1.07;

/// The limit, as far as it is known.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) limit: Option<Explanation>,
    /// Since when it is taken for the limit.
    pub(super) since: f64,
    /// From when on answers are evidence of it, and how many of these it leaves unexplained.
    pub(super) evident: f64,
    pub(super) unexplained: f64,
    /// A higher limit that was there before; 0 if none is known.
    pub(super) former: f64,
    /// The highest limit that was there for a while.
    pub(super) kept: f64,
    /// How often the limit has changed.
    pub(super) changes: f64,
    /// How many requests were refused by chance.
    pub(super) by_chance: f64,
    /// The limit has fallen, nobody knows how far: the next hold tells.
    pub(super) has_fallen: bool,
    /// A hold was not long enough for any request to be let in.
    pub(super) is_long: bool,
    /// A hold that was kept for chance, while no other came.
    pub(super) doubted: Option<Episode>,
    pub(super) tries: Tries,
    /// What others leave, where somebody else takes a share; and how many holds one limiter might explain too.
    pub(super) shared: Option<Shared>,
    pub(super) in_a_row: u32,
    pub(super) wait: f64,
    /// By how much more than the jitter requests are kept apart, in seconds a window.
    pub(super) margin: f64,
}

/// The answers that count as evidence, and those among them that were sent before a change would show, and after.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) episode: Episode,
    pub(super) all: Vec<Answered>,
    pub(super) old: Vec<Answered>,
    pub(super) new: Vec<Answered>,
    /// What divides them: what passed within two windows.
    pub(super) changed: f64,
}

/// What the explanations of a hold cost.
#[derive(Debug)]
pub(super) struct Weighed {
    /// What is believed already.
    pub(super) keep: f64,
    /// Another limiter, for all that is known.
    pub(super) refit: (f64, Explanation),
    /// The limit has changed.
    pub(super) change: Option<(f64, Explanation)>,
    /// It has fallen just now, so that little tells how far.
    pub(super) fallen: f64,
    /// Others take a share.
    pub(super) share: f64,
}

impl Weighed {
    /// What it costs that something is not as it was.
    pub(super) fn another(&self) -> f64 {
        self.changed().min(self.fallen).min(self.share)
    }

    pub(super) fn changed(&self) -> f64 {
        self.change.map_or(f64::INFINITY, |(cost, _)| cost)
    }
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            limit: None,
            since: 0.0,
            evident: 0.0,
            unexplained: 0.0,
            former: 0.0,
            kept: 0.0,
            changes: 0.0,
            by_chance: 0.0,
            has_fallen: false,
            is_long: false,
            doubted: None,
            tries: Tries::default(),
            shared: None,
            in_a_row: 0,
            wait: 0.0,
            margin: 0.0,
        }
    }

    /// The limiter that explains what happened; `None` while none is needed.
    pub(super) fn limit(&self) -> Option<&Explanation> {
        self.limit.as_ref()
    }

    /// By what time it counts, in seconds; a second where that is not known.
    pub(super) fn window(&self) -> f64 {
        self.limit.and_then(|limit| limit.counter.window()).unwrap_or(1.0)
    }

    /// How often the limit changes, in changes a second.
    pub(super) fn hazard(&self, known: &Known<'_>) -> f64 {
        let elapsed = (known.now - known.began).max(1.0);
        (self.changes / elapsed).max(1.0 / (CALM + elapsed))
    }

    /// What it costs to leave an answer unexplained: the rarer chance was so far, the more.
    pub(super) fn misfit(&self, known: &Known<'_>) -> f64 {
        ((BY_CHANCE + known.sent) / (1.0 + self.by_chance)).ln()
    }

    fn evidence<'a>(&self, log: &'a [Answered], known: &Known<'_>) -> Evidence<'a> {
        Evidence { log, from: f64::NEG_INFINITY, wait: self.wait, is_long: self.is_long, jitter: known.jitter, fastest: known.fastest }
    }

    pub(super) fn unexplained_of(&self, log: &[Answered], known: &Known<'_>) -> f64 {
        self.limit.map_or_else(|| refused(log), |limit| limit.misfits_of(log, known.jitter))
    }

    /// The best explanation of a `log` and what it costs, beside what is believed so far.
    pub(super) fn best(&self, log: &[Answered], known: &Known<'_>) -> (f64, Explanation) {
        let misfit = self.misfit(known);
        let cost = |found: &Explanation| {
            let of_kind = match self.limit {
                None => NEW,
                Some(limit) if limit.counter.is_like(found.counter) => limit.resized(found),
                Some(_) => OTHER,
            };
            found.misfits.mul_add(misfit, found.surprise() + found.surprise_of(self.wait)) + of_kind
        };
        let evidence = self.evidence(log, known);
        let mut found = evidence.explanations();
        // What it counts by does not change when it falls.
        if let Some(limit) = self.limit.filter(|_| self.has_fallen) {
            found.retain(|other| other.counter.window().is_some() == limit.counter.window().is_some());
        }
        let cheapest = found.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a window is always tried");
        let least = cost(&cheapest);
        // What it counted by before, it does still, if that explains it as well.
        let same = self.limit.filter(|limit| limit.counter.window().is_some()).map(|limit| evidence.sized(limit.counter));
        if let Some(same) = same.filter(|same| cost(same) <= least + AS_GOOD) {
            return (cost(&same), same);
        }
        // Of those that are as good, the highest rate that is told: it is refuted soon if it is wrong, one that
        // is too low by nothing.
        let best = found
            .iter()
            .filter(|other| cost(other) <= least + AS_GOOD && !other.is_wide())
            .fold(cheapest, |best, other| if best.is_wide() || other.rate > best.rate * MATTERS { *other } else { best });
        let high = found.iter().filter(|other| other.misfits <= best.misfits).map(|other| other.high).fold(best.high, f64::max);
        (least, Explanation { high, ..best })
    }

    /// Learns from a hold that is over.
    pub(super) fn learn(&mut self, episode: &Episode, known: &Known<'_>) {
        self.wait = episode.wait;
        self.evident = self.evident.max(known.now - 1.0 / self.hazard(known));
        let answers = self.answers(episode, known);
        if !answers.new.iter().any(|answered| answered.admitted) {
            // It says nothing of a rate; but if the limit is ours, it counts by more than was waited for.
            self.is_long = true;
            self.tries.give_up(known.now);
            return;
        }
        if self.shared.is_some() {
            return self.learn_shared(answers.changed, episode, known);
        }
        if let Some(limit) = self.limit.filter(|_| episode.quiet() >= episode.wait + self.window()) {
            self.kept = self.kept.max(limit.rate);
        }
        let was_trying = self.end_try(known.now);
        let (answers, weighed) = self.weigh_with_doubted(answers, known);
        let episode = &answers.episode;
        let least = weighed.changed().min(weighed.refit.0).min(weighed.fallen);
        let refused = refused(&answers.all);
        let is_chance = match self.limit {
            Some(_) => refused * self.misfit(known) < 2.0 * weighed.keep.min(least),
            None => refused < 2.0 * weighed.refit.1.misfits,
        };
        match weighed.change {
            _ if weighed.share < weighed.keep.min(least) => self.share(answers.changed, episode, known),
            _ if refused >= TOLD && is_chance && self.limit.is_some() => self.forget(),
            _ if weighed.keep <= least || refused >= TOLD && is_chance => self.keep(weighed.keep, &answers, was_trying, known),
            _ if weighed.fallen <= least => self.fall(episode),
            Some((cost, found)) if cost < weighed.refit.0 => self.change(found, answers.changed, episode, known),
            Some(_) | None => self.refit(&weighed, known),
        }
    }

    pub(super) fn answers(&self, episode: &Episode, known: &Known<'_>) -> Answers {
        let changed = episode.after.max(episode.refused - 2.0 * self.window());
        let all = known.log.since(self.evident);
        let (old, new) = all.iter().partition(|answered| answered.sent < changed);
        Answers { episode: *episode, all, old, new, changed }
    }

    /// What the explanations of a hold cost; or of it and the one before, if that was kept for chance and may have been
    /// the first of something else.
    pub(super) fn weigh_with_doubted(&mut self, answers: Answers, known: &Known<'_>) -> (Answers, Weighed) {
        let weighed = self.weigh(&answers, known);
        let Episode { after, until, wait, .. } = answers.episode;
        let Some(before) = self.doubted.take().filter(|before| before.until <= after) else {
            return (answers, weighed);
        };
        let together = self.answers(&Episode { until, wait, ..before }, known);
        let other = self.weigh(&together, known);
        if other.another() < weighed.another() { (together, other) } else { (answers, weighed) }
    }

    pub(super) fn weigh(&self, answers: &Answers, known: &Known<'_>) -> Weighed {
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
        // What is forgotten was explained by what is believed: another one would have to be a change.
        let forgotten = if self.limit.is_some() && !known.log.is_whole(self.evident) { OTHER + seldom } else { 0.0 };
        Weighed {
            keep: self.unexplained_of(&answers.all, known) * misfit,
            refit: (cost + forgotten, found),
            change,
            share,
            fallen: fallen.unwrap_or(f64::INFINITY),
        }
    }

    /// Others take a share of it.
    pub(super) fn share(&mut self, changed: f64, episode: &Episode, known: &Known<'_>) {
        let top = self.limit.map_or(0.0, |limit| limit.rate).max(self.former);
        self.shared = Some(Shared::new(top, self.window(), known.now));
        (self.evident, self.in_a_row) = (changed, 0);
        self.learn_shared(changed, episode, known);
    }

    /// Learns what others leave; or that it was not others, where one limiter explains several holds in a row.
    pub(super) fn learn_shared(&mut self, changed: f64, episode: &Episode, known: &Known<'_>) {
        let (Some(limit), Some(mut shared)) = (self.limit, self.shared.take()) else {
            return;
        };
        self.in_a_row += 1;
        if self.in_a_row >= IN_A_ROW {
            let (cost, found) = self.best(&known.log.since(self.evident), known);
            if cost < TAKEN * f64::from(self.in_a_row) {
                self.since = known.now;
                return self.set(found);
            }
            (self.evident, self.in_a_row) = (changed, 1);
        }
        let (left, give) = left_of(&limit, episode, known);
        shared.refused(left, give, known.now);
        self.shared = Some(shared);
    }

    /// There never was a limit: it was chance.
    pub(super) fn forget(&mut self) {
        *self = Self { by_chance: self.by_chance, is_long: self.is_long, wait: self.wait, evident: self.evident, ..Self::new() };
    }

    /// It was chance, or too near to the limit that is known.
    pub(super) fn keep(&mut self, cost: f64, answers: &Answers, was_trying: bool, known: &Known<'_>) {
        let (new, episode) = (&answers.new, answers.episode);
        self.doubted = Some(episode);
        let unexplained = self.unexplained_of(new, known);
        self.unexplained = cost / self.misfit(known);
        self.by_chance += unexplained.min(refused(new));
        self.tries.doubt = None;
        // A margin costs its share of all time, and a refusal a hold: where these come often, it pays.
        let Some(limit) = self.limit.filter(|_| !was_trying) else {
            return;
        };
        let (more, share) = limit.counter.window().map_or((known.early, known.early * limit.rate), |window| (STALL, STALL / window));
        if unexplained < refused(new) || episode.quiet() * share < episode.wait {
            self.margin = (self.margin + more).min(MOST_MARGIN * more);
        }
    }

    /// What is known is explained better.
    pub(super) fn refit(&mut self, weighed: &Weighed, known: &Known<'_>) {
        let (cost, found) = weighed.refit;
        let lower = self.limit.filter(|before| found.rate < before.rate);
        if let Some(before) = lower.filter(|_| self.has_fallen) {
            self.former = self.former.max(before.rate);
            self.changes += 1.0;
            self.since = known.now;
        }
        // If it was something else, the limit is still as high as it was.
        let other = weighed.keep.min(weighed.changed()).min(weighed.share);
        let doubt = lower.map(|before| (before.rate, 1.0 / (1.0 + (other - cost).exp())));
        self.tries.doubt = doubt.filter(|(before, _)| *before > found.rate * MATTERS);
        if self.limit.is_none() {
            self.since = known.now;
            self.tries.doubt = Some((found.rate * HIGHER, WRONG));
        }
        // A long window, of which no 429 told, may as well be a time in which others had used everything up. What is let in
        // early in a window is let in, so that it costs little to try as fast as before.
        if self.is_long && found.counter.window().is_some_and(|window| window > self.wait.max(self.window())) {
            self.tries.doubt = Some((known.fastest.min(TOLD / known.trip.max(0.001)), 0.5));
        }
        self.set(found);
    }

    /// The limit has fallen, and how far, the next hold tells.
    fn fall(&mut self, episode: &Episode) {
        self.has_fallen = true;
        self.evident = episode.until;
    }

    /// The limit is another one since then.
    pub(super) fn change(&mut self, found: Explanation, changed: f64, episode: &Episode, known: &Known<'_>) {
        let before = self.limit.map_or(found.rate, |before| before.rate);
        let is_told = (found.rate / before).ln().abs() > MATTERS.ln() && !found.is_wide();
        if !is_told && !self.has_fallen {
            return self.fall(episode);
        }
        self.former = self.former.max(before);
        self.changes += 1.0;
        self.evident = changed;
        self.tries.too_high = f64::INFINITY;
        self.since = known.now;
        self.set(found);
    }

    pub(super) fn set(&mut self, found: Explanation) {
        self.former = self.former.max(self.kept);
        if found.rate * MATTERS >= self.former {
            self.former = 0.0;
        }
        self.has_fallen = false;
        self.unexplained = found.misfits;
        self.margin = 0.0;
        self.limit = Some(Explanation { high: found.high.min(self.tries.too_high.max(found.rate)), ..found });
    }
}

/// Of what a way there and back varies, one way varies by so much.
pub(super) const ONE_WAY: f64 = std::f64::consts::FRAC_1_SQRT_2;

pub(super) fn refused(log: &[Answered]) -> f64 {
    number(log.iter().filter(|answered| !answered.admitted).count())
}
