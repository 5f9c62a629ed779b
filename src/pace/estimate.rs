//! The limit as far as it is known, and the state of what is believed about it.

use super::evidence::{Episode, Observed};
use super::explanation::Explanation;
use super::shared::Shared;

/// Prior for the hazard of a change: a limit lasts this many seconds, about as long as it takes until other people's
/// jobs start or end. The longer it has lasted, the less likely a change.
const CALM: f64 = 600.0;
/// Rates within this factor are equal: it covers their jitter, and rounding.
pub(super) const MATTERS: f64 = 1.07;

/// Where no higher limit is known, the factor probed: about the root of two, so that two probes double the rate.
pub(super) const HIGHER: f64 = 1.4;

/// The limit, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    /// The limiter that explains what happened; `None` while none is needed.
    pub(super) limit: Option<Explanation>,
    /// Since when it is taken for the limit.
    pub(super) since: f64,
    /// Answers from this time on are evidence for it; and how many of them it leaves unexplained.
    pub(super) evident: f64,
    pub(super) unexplained: f64,
    /// A higher limit that was known before; 0 if none.
    pub(super) former: f64,
    /// The highest limit that lasted for a while.
    pub(super) kept: f64,
    /// How often the limit has changed.
    pub(super) changes: f64,
    /// How many requests were refused by chance.
    pub(super) by_chance: f64,
    /// The limit has fallen by an unknown amount; the next hold shows how far.
    pub(super) has_fallen: bool,
    /// A hold ended before any request could be admitted.
    pub(super) is_long: bool,
    /// A hold put down to chance, until the next one.
    pub(super) doubted: Option<Episode>,
    pub(super) probes: Probes,
    /// What others leave, if they share the limit; and the holds in a row that one limiter might explain instead.
    pub(super) shared: Option<Shared>,
    pub(super) in_a_row: u32,
    pub(super) wait: f64,
    /// When the last hold ended. A bucket was empty before it.
    pub(super) emptied: f64,
    /// Spacing beyond the jitter, in seconds for each window or bucketful.
    pub(super) margin: f64,
}

/// The current probe, and what earlier ones showed.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) on: Option<Probe>,
    /// When the last probe ended, and the lowest rate that was too high then.
    pub(super) ended: f64,
    pub(super) too_high: f64,
    pub(super) considered: f64,
    /// A higher rate that may be the limit after all, and its likelihood.
    pub(super) doubt: Option<(f64, f64)>,
}

/// A rate that is being probed, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Probe {
    pub(super) from: f64,
    pub(super) rate: f64,
}

impl Default for Probes {
    fn default() -> Self {
        Self { on: None, ended: 0.0, too_high: f64::INFINITY, considered: 0.0, doubt: None }
    }
}

impl Probes {
    /// Abandons the current probe: where nothing is admitted at any rate, it shows nothing.
    pub(super) fn give_up(&mut self, now: f64) {
        self.on = None;
        self.ended = now;
    }
}

impl Estimate {
    /// The window it counts by, in seconds; one second if unknown.
    pub(super) fn window(&self) -> f64 {
        self.limit.and_then(|limit| limit.counter.window()).unwrap_or(1.0)
    }

    /// How often the limit changes, in changes a second.
    pub(super) fn hazard(&self, known: &Observed<'_>) -> f64 {
        let elapsed = (known.now - known.began).max(1.0);
        (self.changes / elapsed).max(1.0 / (CALM + elapsed))
    }

    pub(super) fn set(&mut self, found: Explanation) {
        self.former = self.former.max(self.kept);
        if found.rate * MATTERS >= self.former {
            self.former = 0.0;
        }
        self.has_fallen = false;
        self.unexplained = found.misfits;
        self.margin = 0.0;
        self.limit = Some(Explanation { high: found.high.min(self.probes.too_high.max(found.rate)), ..found });
    }
}

/// The share of the round trip's jitter that falls to one way.
pub(super) const ONE_WAY: f64 = std::f64::consts::FRAC_1_SQRT_2;
