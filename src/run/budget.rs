//! The failure budget: how many rows may fail before the run stops. Pure: takes outcomes, returns a reason to stop.

use crate::domain::{Counts, Detail, MaxFailures, Outcome};

/// A percentage applies only once this many rows have settled. From the contract.
const SETTLED_FOR_A_SHARE: u64 = 50;
/// If this many rows from the start are all answered 403, the application lacks the permission.
const REFUSED_FROM_THE_START: u64 = 10;

/// Why the run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// More rows failed than the budget allows.
    Failures,
    /// PingOne answers nothing any more.
    Outage,
    /// Every row so far was answered 403.
    Forbidden,
    /// The same, but not once in PingOne's own form: a gateway answers, for a path that it does not know.
    Gateway,
}

/// The budget and how much of it is used.
#[derive(Debug)]
pub(crate) struct Budget {
    most: MaxFailures,
    settled: u64,
    failed: u64,
    /// Rows answered 403 since the start; `None` once a row had another status.
    forbidden: Option<u64>,
    /// Of them, those that PingOne itself answered.
    forbidden_by_pingone: u64,
}

impl Budget {
    /// The budget of a run. A resumed run starts with a fresh one, because the operator has seen what failed.
    pub(crate) fn new(most: MaxFailures, is_resumed: bool) -> Self {
        Self { most, settled: 0, failed: 0, forbidden: (!is_resumed).then_some(0), forbidden_by_pingone: 0 }
    }

    pub(crate) fn spent(&self) -> (u64, u64) {
        (self.failed, self.settled)
    }

    /// Counts a settled row for which at least one request was sent; `detail` is of its last answer.
    pub(crate) fn spend(&mut self, outcome: Outcome, detail: &Detail) -> Option<Exceeded> {
        self.settled += 1;
        self.failed += u64::from(outcome.counts() == Counts::Failure);
        self.forbidden = self.forbidden.filter(|_| detail.status == Some(403)).map(|rows| rows + 1);
        self.forbidden_by_pingone += u64::from(self.forbidden.is_some() && detail.is_of_pingone());
        if self.forbidden == Some(REFUSED_FROM_THE_START) {
            return Some(if self.forbidden_by_pingone > 0 { Exceeded::Forbidden } else { Exceeded::Gateway });
        }
        self.is_over().then_some(Exceeded::Failures)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of so many rows needs no more digits")]
    fn is_over(&self) -> bool {
        match self.most {
            MaxFailures::Rows(most) => self.failed > most,
            MaxFailures::Percent(percent) => {
                self.settled >= SETTLED_FOR_A_SHARE && self.failed as f64 * 100.0 > self.settled as f64 * percent
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Failed, Granted, NotFound, Rejected};

    fn spend(most: &str, outcomes: &[(Outcome, usize)]) -> (Option<Exceeded>, u64) {
        let mut budget = Budget::new(most.parse().expect("a budget"), false);
        for (outcome, times) in outcomes {
            for _ in 0..*times {
                if let Some(exceeded) = budget.spend(*outcome, &Detail::default()) {
                    return (Some(exceeded), budget.settled);
                }
            }
        }
        (None, budget.settled)
    }

    #[test]
    fn more_failures_than_may_be_stop_the_run() {
        assert_eq!(spend("3", &[(NotFound, 3), (Granted, 100)]), (None, 103));
        assert_eq!(spend("3", &[(NotFound, 4)]), (Some(Exceeded::Failures), 4));
        assert_eq!(spend("0", &[(Granted, 5), (Rejected, 1)]), (Some(Exceeded::Failures), 6));
        assert_eq!(spend("20%", &[(Failed, 49)]), (None, 49));
        assert_eq!(spend("20%", &[(Failed, 50)]), (Some(Exceeded::Failures), 50));
        assert_eq!(spend("20%", &[(Granted, 80), (Failed, 20)]), (None, 100));
        assert_eq!(spend("20%", &[(Granted, 80), (Failed, 21)]), (Some(Exceeded::Failures), 101));
        assert_eq!(spend("100%", &[(NotFound, 500)]), (None, 500));
    }

    #[test]
    fn ten_403s_from_the_start_stop_the_run_and_later_ones_do_not() {
        let answered = |status, code: &str| Detail { status: Some(status), code: code.into(), ..Detail::default() };
        let run_of = |first: u16, code: &str, is_resumed| {
            let mut budget = Budget::new(MaxFailures::Percent(100.0), is_resumed);
            budget.spend(Rejected, &answered(first, code));
            (1..50).find_map(|_| budget.spend(Rejected, &answered(403, "")))
        };
        let run = |first, is_resumed| run_of(first, "ACCESS_FAILED", is_resumed);
        assert_eq!(run(403, false), Some(Exceeded::Forbidden));
        assert_eq!(run_of(403, "", false), Some(Exceeded::Gateway), "PingOne itself answered nothing");
        assert_eq!(run(400, false), None);
        assert_eq!(run(403, true), None, "the first rows were others");
    }
}
