//! Where is the limit, as far as is known, and when is it worth trying whether it has risen?
//!
//! Pure: a rate that was found to be too high in, a rate to try out.

use std::time::Duration;

/// The share of the ceiling that is worked at: what the jitter of a network adds to evenly spaced requests
/// stays under the ceiling.
pub(super) const UNDER: f64 = 0.97;
/// Ceilings within this share of each other are the same.
pub(super) const SAME: f64 = 0.15;
/// The first step up, as a share of the ceiling; each further one is twice as large.
const STEP: f64 = 0.03;
/// A rate so far above the ceiling that was not refused shows that the limit has risen.
const RISEN: f64 = 1.08;
/// How long between two steps, and how many requests at least.
const BETWEEN: Duration = Duration::from_millis(1250);
const BETWEEN_REQUESTS: f64 = 20.0;
/// Where the limit is known to have been higher, so much of the way back is taken at a time.
const BACK: f64 = 0.7;
/// Patience with a ceiling, in holds: the longer a 429 costs, the less it is risked.
const PATIENCE: f64 = 25.0;
/// With one that has just fallen, which may be somebody else's for a while only.
const PATIENCE_WHEN_FALLEN: f64 = 3.0;
/// Patience grows with the time for which a ceiling has been the same, by this share of it.
const STEADY: f64 = 0.25;
/// Nobody is more patient where it may have been chance…
const PATIENCE_IN_DOUBT: Duration = Duration::from_secs(30);
/// …nor otherwise.
const MOST_PATIENT: Duration = Duration::from_secs(600);

/// The rate that was found to be the most.
#[derive(Debug, Default)]
pub(super) struct Ceiling {
    rate: f64,
    /// A higher one that was found before.
    former: Option<f64>,
    /// When it was first found, or one that is the same.
    since: Duration,
    /// What a 429 costs.
    hold: Duration,
    /// The least patience with it, in holds.
    patience: f64,
    /// A rate that was kept up without a 429; 0 if none was.
    pub(super) proven: f64,
    /// Whether a step up has been taken since the last 429.
    is_seeking: bool,
    /// When the next one is taken, and how large it is.
    pub(super) next: Duration,
    step: f64,
}

impl Ceiling {
    /// A ceiling that was found `now`, after another or as the first, at the cost of a `hold`.
    pub(super) fn found(rate: f64, before: Option<Self>, hold: Duration, now: Duration) -> Self {
        let new = |former, patience| Self { rate, former, since: now, hold, patience, ..Self::default() };
        let ceiling = match before {
            Some(before) if (rate / before.rate - 1.0).abs() <= SAME => Self { rate, hold, ..before },
            Some(before) if rate < before.rate => {
                let lasted = now.saturating_sub(before.since) >= hold.mul_f64(PATIENCE_WHEN_FALLEN);
                let former = before.former.or(lasted.then_some(before.rate));
                new(former, if former.is_some() { PATIENCE_WHEN_FALLEN } else { PATIENCE })
            }
            // Risen, perhaps to what it was.
            Some(before) => new(before.former.filter(|former| rate < former * (1.0 - SAME)), PATIENCE),
            None => new(None, PATIENCE),
        };
        ceiling.waiting(now)
    }

    /// The ceiling, with patience from now on.
    fn waiting(self, now: Duration) -> Self {
        let patience = now.saturating_sub(self.since).mul_f64(STEADY).max(self.hold.mul_f64(self.patience)).min(MOST_PATIENT);
        Self { proven: 0.0, is_seeking: false, next: now + patience, step: self.rate * STEP, ..self }
    }

    /// The ceiling, if it may have been found by chance: nobody is very patient with that.
    pub(super) fn doubted(self, now: Duration) -> Self {
        Self { next: self.next.min(now + PATIENCE_IN_DOUBT), ..self }
    }

    /// The next rate above `rate`, which was not refused.
    pub(super) fn above(&mut self, rate: f64, now: Duration) -> f64 {
        let has_risen = rate >= self.rate * RISEN;
        if !self.is_seeking || has_risen {
            self.proven = rate;
        }
        self.is_seeking = true;
        self.next = now + BETWEEN.max(Duration::from_secs_f64(BETWEEN_REQUESTS / rate));
        match self.former.filter(|_| has_risen) {
            // Most of the way to where the limit was, and there it waits again.
            Some(former) if rate < former * (1.0 - SAME) => (former * UNDER - rate).mul_add(BACK, rate),
            Some(former) => {
                *self = Self { rate: former, since: now, hold: self.hold, patience: PATIENCE, ..Self::default() }.waiting(now);
                former * UNDER
            }
            None => {
                let higher = rate + self.step;
                self.step *= 2.0;
                higher
            }
        }
    }
}
