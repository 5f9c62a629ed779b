//! Estimates what others leave of a shared limit, and chooses a rate. Pure: admitted and refused requests in, a rate out.
//!
//! What others take changes all the time, so what they leave is not a number but a *belief*: a probability for each
//! share of the limit. Time flattens it, since others come and go; admitted requests move it up, and a refusal
//! concentrates it around the rate admitted just before. The working rate is the one with the highest expected number
//! of rows: a higher rate brings more rows where that much is left, and a hold where it is not.

use super::evidence::{Counter, Episode, Observed};
use super::explanation::Explanation;

/// Cells of the belief: finer than the noise of what others send.
const CELLS: u16 = 50;
/// Likelihood that an answer has nothing to do with what others leave.
const OUTLIER: f64 = 0.01;
/// Prior for how often others come or go, a second: this belief exists because they did…
const CHURN: f64 = 0.1;
/// …and the prior weighs as much as this many seconds of evidence.
const CHURN_SECONDS: f64 = 20.0;

#[derive(Debug)]
pub(super) struct Shared {
    /// The probability of each cell; the middle of cell `k` is at `(k + 1/2) / CELLS` of the top.
    pub(super) cells: Vec<f64>,
    /// The highest rate ever admitted, in requests a second: all of it is left when nobody else sends.
    pub(super) top: f64,
    /// The least that was left, as far as is known.
    pub(super) least: f64,
    /// The server's window, in seconds.
    window: f64,
    at: f64,
    began: f64,
    /// How often others have come or gone.
    pub(super) jumps: f64,
    /// Since when all of it has been used without a refusal.
    pub(super) full: Option<f64>,
}

/// What is admitted, and what a refusal costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prospect {
    pub(super) now: f64,
    /// How many of our requests were admitted lately, a second.
    pub(super) let_in: f64,
    /// How long a refusal holds requests back, in seconds.
    pub(super) hold: f64,
    /// How many rows are left.
    pub(super) left: f64,
    /// The highest rate allowed.
    pub(super) most: f64,
}

impl Shared {
    pub(super) fn new(top: f64, window: f64, now: f64) -> Self {
        let cells = vec![1.0 / f64::from(CELLS); usize::from(CELLS)];
        Self { cells, top, least: f64::INFINITY, window, at: now, began: now, jumps: 0.0, full: None }
    }

    /// The rate in the middle of a cell.
    pub(super) fn middle(&self, cell: u16) -> f64 {
        (f64::from(cell) + 0.5) / f64::from(CELLS) * self.top
    }

    fn rates(&self) -> impl Iterator<Item = (f64, &f64)> {
        (0..CELLS).map(|cell| self.middle(cell)).zip(&self.cells)
    }

    /// How much what is left varies from window to window, since others send at random.
    pub(super) fn noise(&self, left: f64) -> f64 {
        ((self.top - left).max(1.0) / self.window).sqrt().max(self.top / f64::from(CELLS))
    }

    /// How often others come or go, in times a second.
    pub(super) fn hazard(&self, now: f64) -> f64 {
        CHURN.mul_add(CHURN_SECONDS, self.jumps) / (CHURN_SECONDS + now - self.began)
    }

    pub(super) fn mean(&self) -> f64 {
        self.rates().map(|(left, likely)| left * likely).sum()
    }

    pub(super) fn weigh(&mut self, likely: impl Fn(f64, f64) -> f64) {
        let weighed: Vec<f64> = self.rates().map(|(left, before)| before * likely(left, self.noise(left))).collect();
        let sum = weighed.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        self.cells = weighed.into_iter().map(|weighed| weighed / sum).collect();
    }

    /// Ages the belief: the more time passes, the more likely others have come or gone. Returns the time passed.
    pub(super) fn pass(&mut self, now: f64) -> f64 {
        let passed = (now - self.at).max(0.0);
        self.at = now;
        let same = (-self.hazard(now) * passed).exp();
        let least = self.least;
        // As much as was ever left may be left again.
        let may_be: Vec<bool> =
            self.rates().map(|(left, _)| !least.is_finite() || left >= least || left + self.top / f64::from(CELLS) >= self.top).collect();
        let count: f64 = may_be.iter().filter(|may_be| **may_be).map(|_| 1.0).sum();
        for (cell, may_be) in self.cells.iter_mut().zip(may_be) {
            *cell = cell.mul_add(same, if may_be { (1.0 - same) / count } else { 0.0 });
        }
        passed
    }

    /// Weighs a refusal that came when `let_in` of our requests were being admitted a second, give or take `give`.
    pub(super) fn refused(&mut self, let_in: f64, give: f64, now: f64) {
        self.pass(now);
        self.full = None;
        let mean = self.mean();
        if let_in < mean - 2.0 * self.noise(mean) {
            // Others leave as often as they come.
            self.jumps += 2.0;
        }
        self.top = self.top.max(let_in);
        self.least = self.least.min((let_in - self.noise(let_in)).clamp(0.0, self.top));
        self.weigh(|left, noise| {
            let off = (let_in - left) / noise.hypot(give);
            OUTLIER + (-off * off / 2.0).exp()
        });
    }

    /// The working rate, given what was admitted.
    pub(super) fn rate(&mut self, seen: &Prospect) -> f64 {
        let share = self.pass(seen.now) / self.window;
        self.weigh(|left, noise| (OUTLIER + is_let_in(seen.let_in, left, noise)).powf(share));
        let horizon = self.horizon(seen);
        let all = (1..=CELLS).map(|nth| f64::from(nth) / f64::from(CELLS) * self.top);
        let best = all.map(|rate| (rate, self.worth(rate, horizon, seen.hold))).max_by(|a, b| a.1.total_cmp(&b.1));
        let best = best.map_or(self.top, |(rate, _)| rate);
        // Within its noise of the top.
        let is_full = best + self.noise(self.top).max(self.top / 10.0) >= self.top.min(seen.most);
        self.full = if is_full { self.full.or(Some(seen.now)) } else { None };
        best.min(seen.most)
    }

    /// How long a rate is chosen for, in seconds: until others come or go or no rows are left, but at least for a window and a hold.
    pub(super) fn horizon(&self, seen: &Prospect) -> f64 {
        (1.0 / self.hazard(seen.now)).min(seen.left / self.mean()).max(self.window + seen.hold)
    }

    /// Whether, as far as is known, nobody takes a share any more.
    pub(super) fn is_over(&self, now: f64) -> bool {
        self.full.is_some_and(|since| now - since >= CHURN_SECONDS)
    }

    /// The expected number of rows at a rate over `horizon` seconds, until others come or go. If the rate is too high:
    /// a window's worth, and after the hold what is left then, less its noise.
    pub(super) fn worth(&self, rate: f64, horizon: f64, hold: f64) -> f64 {
        let windows = (horizon / self.window).max(1.0);
        let of = |(left, likely): (f64, &f64)| {
            let noise = self.noise(left);
            let goes_well = is_let_in(rate, left, noise).powf(windows);
            let ill = rate.min(left).mul_add(self.window, (left - noise).max(0.0) * (horizon - self.window - hold));
            likely * goes_well.mul_add(rate * horizon, (1.0 - goes_well) * ill)
        };
        self.rates().map(of).sum()
    }
}

/// The likelihood that a window admits a rate where `left` is left, give or take its noise: the normal distribution, to within a hundredth.
fn is_let_in(rate: f64, left: f64, noise: f64) -> f64 {
    1.0 / (1.0 + (-1.702 * (left - rate) / noise).exp())
}

/// How many of our requests were admitted a second when one was refused, and the error of that.
pub(super) fn left_of(limit: &Explanation, episode: &Episode, known: &Observed<'_>) -> (f64, f64) {
    match limit.counter {
        Counter::Sliding { window } | Counter::Fixed { window, .. } => {
            (known.log.let_in(episode.refused - window, episode.refused) / window, 0.0)
        }
        Counter::Bucket { .. } => {
            // It had something in store, at most its size or what came in during the previous hold.
            let from = episode.after.max(episode.refused - 2.0).min(episode.refused - 0.1);
            let passed = episode.refused - from;
            let let_in = known.log.let_in(from, episode.refused);
            let left = ((let_in - limit.size) / passed).max(let_in / (passed + episode.wait));
            (left, (let_in / passed - left) / 4.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prospect(now: f64, let_in: f64) -> Prospect {
        Prospect { now, let_in, hold: 1.1, left: 100_000.0, most: 1000.0 }
    }

    /// Works at the rate it returns for `seconds`, while `left` is admitted; returns the last rate.
    fn works(shared: &mut Shared, from: f64, seconds: u32, left: f64) -> f64 {
        let mut rate = left;
        for tenth in 1..=seconds * 10 {
            rate = shared.rate(&prospect(from + f64::from(tenth) / 10.0, rate.min(left)));
        }
        rate
    }

    #[test]
    fn a_refusal_concentrates_the_belief_around_the_admitted_rate() {
        let mut shared = Shared::new(100.0, 1.0, 0.0);
        assert!((shared.mean() - 50.0).abs() < 1.0);
        for (at, left) in [(1.0, 40.0), (21.0, 60.0), (41.0, 41.0)] {
            shared.refused(left, 0.0, at);
            shared.refused(left, 0.0, at + 2.0);
            assert!((shared.mean() - left).abs() < 6.0, "{left}: {}", shared.mean());
        }
        assert!((shared.cells.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn after_a_refusal_the_rate_falls_and_then_rises_again() {
        let mut shared = Shared::new(100.0, 1.0, 0.0);
        shared.refused(50.0, 0.0, 1.0);
        let soon = shared.rate(&Prospect { hold: 6.0, ..prospect(1.2, 0.0) });
        assert!((20.0..=55.0).contains(&soon), "{soon}");
        let later = works(&mut shared, 1.2, 10, 100.0);
        assert!(later > 70.0 && later <= 100.0, "{later}");
    }

    #[test]
    fn the_rate_never_exceeds_the_highest_allowed() {
        let mut shared = Shared::new(100.0, 1.0, 0.0);
        shared.refused(90.0, 0.0, 0.5);
        let few = Prospect { most: 20.0, ..prospect(1.0, 20.0) };
        assert!(shared.rate(&few) <= 20.0);
        let none_left = Prospect { left: 0.0, ..prospect(2.0, 20.0) };
        assert!(shared.rate(&none_left) >= 10.0, "more may come than was told");
    }

    #[test]
    fn after_a_while_of_full_use_the_limit_is_no_longer_shared() {
        let mut shared = Shared::new(100.0, 1.0, 0.0);
        shared.refused(50.0, 0.0, 1.0);
        works(&mut shared, 1.0, 15, 100.0);
        assert!(!shared.is_over(16.0));
        works(&mut shared, 16.0, 40, 100.0);
        assert!(shared.is_over(56.0));
        shared.refused(60.0, 0.0, 56.5);
        assert!(!shared.is_over(57.0));
    }

    #[test]
    fn the_more_a_hold_costs_the_less_is_risked() {
        let asked = |hold: f64| {
            let mut shared = Shared::new(100.0, 1.0, 0.0);
            shared.refused(60.0, 0.0, 1.0);
            (0..40).map(|tenth| shared.rate(&Prospect { hold, ..prospect(f64::from(tenth).mul_add(0.1, 1.1), 40.0) })).fold(0.0, f64::max)
        };
        assert!(asked(0.1) > asked(8.0), "{} {}", asked(0.1), asked(8.0));
    }

    #[test]
    fn others_that_came_and_went_often_are_expected_to_again() {
        let mut shared = Shared::new(100.0, 1.0, 0.0);
        shared.refused(90.0, 0.0, 0.1);
        let before = shared.hazard(10.0);
        for (nth, left) in [90.0, 30.0, 90.0, 30.0].into_iter().enumerate() {
            let at = [1.0, 3.0, 5.0, 7.0][nth];
            shared.refused(left, 0.0, at);
            shared.refused(left, 0.0, at);
        }
        assert!(shared.hazard(10.0) > before * 1.5, "{before} {}", shared.hazard(10.0));
        assert!(shared.hazard(1000.0) < before, "and after a quiet time not so often");
    }

    #[test]
    fn the_likelihood_of_being_admitted_falls_around_what_is_left() {
        for (rate, likely) in [(50.0, 0.5), (40.0, 0.84), (60.0, 0.16), (30.0, 0.97), (70.0, 0.03)] {
            assert!((is_let_in(rate, 50.0, 10.0) - likely).abs() < 0.02, "{rate}: {}", is_let_in(rate, 50.0, 10.0));
        }
    }
}
