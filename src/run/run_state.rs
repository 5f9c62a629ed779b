//! The state of a run: what the rows so far mean for it. Pure: takes settled rows and verdicts, returns decisions.
//!
//! The pool owns this one value, so tally, budget, canary, circuit breaker and stop reason cannot disagree.

use super::breaker::CircuitBreaker;
use super::budget::{Budget, Exceeded};
use super::canary::Canary;
use super::causes::{Causes, FailedRow};
use super::{Ended, StopReason, StopRules};
use crate::domain::{Counts, Row};
use crate::report::Settlement;

#[derive(Debug)]
pub(super) struct RunState {
    /// What the run has done so far.
    ended: Ended,
    budget: Budget,
    canary: Option<Canary>,
    /// Why rows failed for which something was sent.
    causes: Causes,
    pub(super) breaker: CircuitBreaker,
}

impl RunState {
    pub(super) fn new(rules: &StopRules, concurrency: usize) -> Self {
        Self {
            ended: Ended::default(),
            budget: Budget::new(rules.max_failures, rules.is_resumed),
            canary: rules.canary.map(Canary::new),
            causes: Causes::default(),
            breaker: CircuitBreaker::new(concurrency),
        }
    }

    /// Whether the next row of the input may be started now.
    pub(super) fn allows_next(&self) -> bool {
        !self.breaker.is_open() && self.canary.as_ref().is_none_or(Canary::allows_next)
    }

    pub(super) fn begin(&mut self, row: &Row) {
        if let Some(canary) = &mut self.canary {
            canary.begin(row);
        }
    }

    /// Counts a settled row. Returns a reason if the run must stop.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> Option<StopReason> {
        self.ended.tally.add(settlement.outcome);
        if let Some(until) = settlement.active_until() {
            self.ended.bypass_ends.add(until);
        }
        self.ended.differing += u64::from(settlement.differs_from_report());
        if self.canary.as_mut().is_some_and(|canary| canary.fails(settlement)) {
            return Some(StopReason::Canary(FailedRow::of(settlement)));
        }
        // Rows that needed no request do not count against the budget.
        if settlement.attempts == 0 {
            return None;
        }
        if settlement.outcome.counts() == Counts::Failure {
            self.causes.add(settlement);
        }
        let spent = self.budget.spend(settlement.outcome, &settlement.detail);
        let why = spent.or_else(|| self.breaker.is_final().then_some(Exceeded::Outage))?;
        let (failed, settled) = self.budget.spent();
        Some(StopReason::Exceeded { why, failed, settled, causes: self.causes.clone() })
    }

    /// Records why the run stops. Only the first reason is kept.
    pub(super) fn stop(&mut self, reason: StopReason) {
        self.ended.stopped.get_or_insert(reason);
    }

    pub(super) fn ended(self) -> Ended {
        Ended { canary_succeeded: self.canary.as_ref().is_some_and(Canary::has_succeeded), ..self.ended }
    }
}
