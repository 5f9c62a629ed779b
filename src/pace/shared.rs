//! What do others leave of a limit, and how much of that is worth asking for? Pure: what was let in and what was
//! refused in, a rate out.
//!
//! What others take changes all the time. So what they leave is not one number but a *belief*: how likely each
//! share of the limit is. Time flattens it, since others come and go; what is let in moves it up, and a refusal
//! gathers it around what was let in just before. The rate that is worked at is the one that brings the most
//! rows to be expected: a higher one brings more where that much is left, and a hold where it is not.

/// Into how many cells a belief is cut: finer than the noise of what others send.
const CELLS: u16 = 50;
/// An answer may have nothing to do with what others leave, one time of so many.
const STRANGE: f64 = 0.01;
/// Others come or go so many times a second before more is known: what made this be asked was that they had…
const RESTLESS: f64 = 0.1;
/// …and for so long that is believed, in seconds.
const BELIEVED: f64 = 20.0;

/// The belief.
#[derive(Debug)]
pub(super) struct Shared {
    /// How likely each cell is; the middle of cell `k` is at `(k + 1/2) / CELLS` of the top.
    cells: Vec<f64>,
    /// The highest rate that was ever let in, in requests a second: all of it is left where nobody else asks.
    top: f64,
    /// The least that was left, as far as is known.
    least: f64,
    /// By what time the server counts, in seconds.
    window: f64,
    at: f64,
    began: f64,
    /// How often others have come or gone.
    jumps: f64,
}

/// What is let in, and what a refusal costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prospect {
    pub(super) now: f64,
    /// How many a second of ours were let in lately.
    pub(super) let_in: f64,
    /// How long a refusal holds requests back, in seconds.
    pub(super) hold: f64,
    /// How many rows are left.
    pub(super) left: f64,
    /// The highest rate that may be used.
    pub(super) most: f64,
}

impl Shared {
    pub(super) fn new(top: f64, window: f64, now: f64) -> Self {
        let cells = vec![1.0 / f64::from(CELLS); usize::from(CELLS)];
        Self { cells, top, least: f64::INFINITY, window, at: now, began: now, jumps: 0.0 }
    }

    /// The rate in the middle of a cell.
    fn middle(&self, cell: u16) -> f64 {
        (f64::from(cell) + 0.5) / f64::from(CELLS) * self.top
    }

    fn rates(&self) -> impl Iterator<Item = (f64, &f64)> {
        (0..CELLS).map(|cell| self.middle(cell)).zip(&self.cells)
    }

    /// By how much what is left varies from window to window: others come by chance.
    fn noise(&self, left: f64) -> f64 {
        ((self.top - left).max(1.0) / self.window).sqrt().max(self.top / f64::from(CELLS))
    }

    /// How often others come or go, in times a second.
    fn hazard(&self, now: f64) -> f64 {
        RESTLESS.mul_add(BELIEVED, self.jumps) / (BELIEVED + now - self.began)
    }

    fn mean(&self) -> f64 {
        self.rates().map(|(left, likely)| left * likely).sum()
    }

    fn weigh(&mut self, likely: impl Fn(f64, f64) -> f64) {
        let weighed: Vec<f64> = self.rates().map(|(left, before)| before * likely(left, self.noise(left))).collect();
        let sum = weighed.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        self.cells = weighed.into_iter().map(|weighed| weighed / sum).collect();
    }

    /// Time passes: the longer, the more likely it is that others have come or gone. Tells how long it was.
    fn pass(&mut self, now: f64) -> f64 {
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

    /// A request was refused when so many a second of ours had been let in, give or take.
    pub(super) fn refused(&mut self, let_in: f64, give: f64, now: f64) {
        self.pass(now);
        let mean = self.mean();
        if let_in < mean - 2.0 * self.noise(mean) {
            // As often as others come, they go.
            self.jumps += 2.0;
        }
        self.top = self.top.max(let_in);
        self.least = self.least.min((let_in - self.noise(let_in)).clamp(0.0, self.top));
        self.weigh(|left, noise| {
            let off = (let_in - left) / noise.hypot(give);
            STRANGE + (-off * off / 2.0).exp()
        });
    }

    /// The rate to work at, after what was let in.
    pub(super) fn rate(&mut self, seen: &Prospect) -> f64 {
        let share = self.pass(seen.now) / self.window;
        self.weigh(|left, noise| (STRANGE + is_let_in(seen.let_in, left, noise)).powf(share));
        let horizon = (1.0 / self.hazard(seen.now)).min(seen.left / self.mean());
        let all = (1..=CELLS).map(|nth| f64::from(nth) / f64::from(CELLS) * self.top);
        let best = all.map(|rate| (rate, self.worth(rate, horizon, seen.hold))).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(self.top, |(rate, _)| rate).min(seen.most)
    }

    /// How many rows are to be expected of a rate until others come or go, in `horizon` seconds: where it is too
    /// high, a window's worth, and after a hold what is left then, less its noise.
    fn worth(&self, rate: f64, horizon: f64, hold: f64) -> f64 {
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

/// How likely it is that a window lets a rate in where so much is left, give or take its noise: a normal
/// distribution, to a hundredth.
fn is_let_in(rate: f64, left: f64, noise: f64) -> f64 {
    1.0 / (1.0 + (-1.702 * (left - rate) / noise).exp())
}
