//! What has come of the rows so far, and what follows for the run? Pure: settled rows and verdicts in, decisions out.
//!
//! One value, which the pool owns, so that tally, budget, canary, circuit breaker and the reason to stop cannot
//! disagree.

use super::breaker::CircuitBreaker;
use super::budget::{Budget, Exceeded};
use super::canary::Canary;
use super::{Ended, StopReason, StopRules};
use crate::domain::{RowNumber, Tally};
use crate::pingone::Verdict;
use crate::report::Settlement;

/// The state of a run.
#[derive(Debug)]
pub(super) struct RunState {
    tally: Tally,
    budget: Budget,
    canary: Option<Canary>,
    breaker: CircuitBreaker,
    stopped: Option<StopReason>,
}

impl RunState {
    /// The state before the first row.
    pub(super) fn new(rules: &StopRules, concurrency: usize) -> Self {
        Self {
            tally: Tally::default(),
            budget: Budget::new(rules.max_failures, rules.is_resumed),
            canary: rules.canary.map(Canary::new),
            breaker: CircuitBreaker::new(concurrency),
            stopped: None,
        }
    }

    /// Whether this row, the next of the input, may be begun now.
    pub(super) fn lets(&self, row: RowNumber) -> bool {
        !self.breaker.is_open() && self.canary.as_ref().is_none_or(|canary| canary.lets(row))
    }

    /// Takes in a row that is begun.
    pub(super) fn begin(&mut self, row: RowNumber) {
        if let Some(canary) = &mut self.canary {
            canary.begin(row);
        }
    }

    /// Takes in the verdict on a request of a row; `retries` tells whether the row met a fault before, and is kept up to date.
    pub(super) fn learn(&mut self, verdict: &Verdict, retries: &mut bool) {
        self.breaker.learn(verdict, retries);
    }

    /// A row has ended that had met a fault: it is settled, or left as it was.
    pub(super) fn end_retry(&mut self) {
        self.breaker.end_retry();
    }

    /// Counts a settled row; tells whether the run stops after it.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> bool {
        self.tally.add(settlement.outcome);
        match self.stops_after(settlement) {
            Some(reason) => {
                self.stop(reason);
                true
            }
            None => false,
        }
    }

    /// Notes why the run stops; the first reason is the one that is kept.
    pub(super) fn stop(&mut self, reason: StopReason) {
        self.stopped.get_or_insert(reason);
    }

    fn stops_after(&mut self, settlement: &Settlement) -> Option<StopReason> {
        let Settlement { row, outcome, attempts, .. } = settlement;
        if self.canary.as_mut().is_some_and(|canary| canary.fails(*row, *outcome)) {
            return Some(StopReason::Canary(settlement.failure()));
        }
        // Rows for which nothing was sent cost nothing.
        if *attempts == 0 {
            return None;
        }
        let spent = self.budget.spend(*outcome, settlement.detail.status);
        let why = spent.or_else(|| self.breaker.is_final().then_some(Exceeded::Outage))?;
        let (failed, settled) = self.budget.spent();
        Some(StopReason::Exceeded { why, failed, settled, last: settlement.failure() })
    }

    /// How the run ended.
    pub(super) fn ended(self) -> Ended {
        Ended { tally: self.tally, stopped: self.stopped }
    }
}
