//! What is the limit, and how sure is that? Pure: a hold that is over and what is known in, a limiter out.
//!
//! Explanations are weighed in *nats*, the natural logarithm of how unlikely they are: what they leave
//! unexplained, and what they suppose besides.

use super::evidence::{Episode, Known};
use super::explanation::Explanation;
use super::shared::{Shared, left_of};
use super::throttle::STALL;
use super::tries::{HIGHER, Tries};
use super::weighing::{Answers, Weighed, refused};

/// What it costs each time that they take as much as they do: one number, give or take what comes by chance.
const TAKEN: f64 = 2.0;
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
    /// When the last hold ended. Before it, whatever there was in store was used up.
    pub(super) emptied: f64,
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
            emptied: 0.0,
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

    /// Learns from a hold that is over.
    pub(super) fn learn(&mut self, episode: &Episode, known: &Known<'_>) {
        (self.wait, self.emptied) = (episode.wait, episode.until);
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
            // A try of another explanation's rate tells which of them it is.
            let rival = self.rival(&found, known).filter(|(rate, likely)| self.pays(found.rate, *rate, *likely, known));
            self.tries.doubt = rival.or(Some((found.rate * HIGHER, WRONG)));
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
