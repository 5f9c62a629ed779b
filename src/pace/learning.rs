//! Updates the estimate after a hold. Pure: a finished hold and what is known in, another estimate out.

use super::estimate::{Estimate, HIGHER, MATTERS};
use super::evidence::{Episode, Observed, STALL};
use super::explanation::Explanation;
use super::shared::{Shared, left_of};
use super::weighing::{Answers, Weighed, refused};

/// Cost, for each hold, of others taking just the share that they took: one number, within its noise.
const TAKEN: f64 = 2.0;
/// Likelihood that a first explanation is altogether wrong, about one in thirty: at first, a gateway that counts what
/// it refuses looks like a window, and one that was down looks like a long window.
const WRONG: f64 = 0.03;
/// 429s that it takes to tell a limiter from chance; and holds that it takes to tell others from a limit that has changed.
const DECISIVE: f64 = 5.0;
const IN_A_ROW: u32 = 3;
/// The margin grows to at most this many of its steps: further refusals are not due to requests too close together.
const MOST_MARGIN: f64 = 4.0;

impl Estimate {
    /// Learns from a finished hold.
    pub(super) fn learn(&mut self, episode: &Episode, known: &Observed<'_>) {
        (self.wait, self.emptied) = (episode.wait, episode.until);
        self.evident = self.evident.max(known.now - 1.0 / self.hazard(known));
        let answers = self.answers(episode, known);
        if !answers.new.iter().any(|answered| answered.admitted) {
            // This says nothing about the rate; but if the limit is ours, its window is longer than the wait.
            self.is_long = true;
            self.probes.give_up(known.now);
            return;
        }
        if self.shared.is_some() {
            return self.learn_shared(answers.changed, episode, known);
        }
        if let Some(limit) = self.limit.filter(|_| episode.quiet() >= episode.wait + self.window()) {
            self.kept = self.kept.max(limit.rate);
        }
        let was_probing = self.end_probe(known.now);
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
            _ if refused >= DECISIVE && is_chance && self.limit.is_some() => self.forget(),
            _ if weighed.keep <= least || refused >= DECISIVE && is_chance => self.keep(weighed.keep, &answers, was_probing, known),
            _ if weighed.fallen <= least => self.fall(episode),
            Some((cost, found)) if cost < weighed.refit.0 => self.change(found, answers.changed, episode, known),
            Some(_) | None => self.refit(&weighed, known),
        }
    }

    /// Others take a share of the limit.
    pub(super) fn share(&mut self, changed: f64, episode: &Episode, known: &Observed<'_>) {
        let top = self.limit.map_or(0.0, |limit| limit.rate).max(self.former);
        self.shared = Some(Shared::new(top, self.window(), known.now));
        (self.evident, self.in_a_row) = (changed, 0);
        self.learn_shared(changed, episode, known);
    }

    /// Learns what others leave; or, where one limiter explains several holds in a row, that it was not others.
    pub(super) fn learn_shared(&mut self, changed: f64, episode: &Episode, known: &Observed<'_>) {
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

    /// There never was a limit: the refusals were chance.
    pub(super) fn forget(&mut self) {
        *self = Self { by_chance: self.by_chance, is_long: self.is_long, wait: self.wait, evident: self.evident, ..Self::default() };
    }

    /// The hold was chance, or requests came too close together for the known limit.
    pub(super) fn keep(&mut self, cost: f64, answers: &Answers, was_probing: bool, known: &Observed<'_>) {
        let (new, episode) = (&answers.new, answers.episode);
        self.doubted = Some(episode);
        let unexplained = self.unexplained_of(new, known);
        self.unexplained = cost / self.misfit(known);
        self.by_chance += unexplained.min(refused(new));
        self.probes.doubt = None;
        // A margin costs its share of all time, a refusal costs a hold: with frequent refusals the margin pays off.
        let Some(limit) = self.limit.filter(|_| !was_probing) else {
            return;
        };
        let (more, share) = limit.counter.window().map_or((known.early, known.early * limit.rate), |window| (STALL, STALL / window));
        if unexplained < refused(new) || episode.quiet() * share < episode.wait {
            self.margin = (self.margin + more).min(MOST_MARGIN * more);
        }
    }

    /// Another limiter explains all the evidence better.
    pub(super) fn refit(&mut self, weighed: &Weighed, known: &Observed<'_>) {
        let (cost, found) = weighed.refit;
        let lower = self.limit.filter(|before| found.rate < before.rate);
        if let Some(before) = lower.filter(|_| self.has_fallen) {
            self.former = self.former.max(before.rate);
            self.changes += 1.0;
            self.since = known.now;
        }
        // If something else caused the hold, the limit is as high as before.
        let other = weighed.keep.min(weighed.changed()).min(weighed.share);
        let doubt = lower.map(|before| (before.rate, 1.0 / (1.0 + (other - cost).exp())));
        self.probes.doubt = doubt.filter(|(before, _)| *before > found.rate * MATTERS);
        if self.limit.is_none() {
            self.since = known.now;
            // A probe at the rate of a rival explanation shows which of the two it is.
            let rival = self.rival(&found, known).filter(|(rate, likely)| self.pays(found.rate, *rate, *likely, known));
            self.probes.doubt = rival.or(Some((found.rate * HIGHER, WRONG)));
        }
        // A long window that no 429 named may instead be a time when others had used up the limit. Requests early in a
        // window are admitted, so a probe at the earlier rate costs little.
        if self.is_long && found.counter.window().is_some_and(|window| window > self.wait.max(self.window())) {
            self.probes.doubt = Some((known.fastest.min(DECISIVE / known.trip.max(0.001)), 0.5));
        }
        self.set(found);
    }

    /// The limit has fallen; the next hold shows how far.
    fn fall(&mut self, episode: &Episode) {
        self.has_fallen = true;
        self.evident = episode.until;
    }

    /// The limit is a different one from `changed` on.
    pub(super) fn change(&mut self, found: Explanation, changed: f64, episode: &Episode, known: &Observed<'_>) {
        let before = self.limit.map_or(found.rate, |before| before.rate);
        let is_clear = (found.rate / before).ln().abs() > MATTERS.ln() && !found.is_wide();
        if !is_clear && !self.has_fallen {
            return self.fall(episode);
        }
        self.former = self.former.max(before);
        self.changes += 1.0;
        self.evident = changed;
        self.probes.too_high = f64::INFINITY;
        self.since = known.now;
        self.set(found);
    }
}
