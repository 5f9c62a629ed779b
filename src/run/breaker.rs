//! The circuit breaker: while PingOne answers nothing, no new row is started. Rows already started are retried, and the first
//! answer closes the breaker again.
//!
//! Without it, an outage would use up the attempts of every row in the input. If every started row has been given up and there
//! is still no answer, the run stops.

use crate::pingone::Verdict;

/// The breaker opens after this many consecutive faults, or after as many as there are slots if that is more.
const IN_A_ROW: usize = 10;

/// Opens after too many consecutive faults, and closes on the first answer.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    threshold: usize,
    /// Consecutive requests without an answer.
    faults: usize,
    /// Unsettled rows that have had a fault.
    retrying: usize,
}

impl CircuitBreaker {
    /// A closed breaker for this many requests in flight.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { threshold: concurrency.max(IN_A_ROW), faults: 0, retrying: 0 }
    }

    /// Records the verdict on a row's request. `has_faulted` says whether the row has had a fault before, and is updated.
    pub(super) fn learn(&mut self, verdict: &Verdict, has_faulted: &mut bool) {
        if verdict.is_fault() {
            self.faults = self.faults.saturating_add(1);
            if !std::mem::replace(has_faulted, true) {
                self.retrying += 1;
            }
        } else {
            self.faults = 0;
        }
    }

    /// Records that a row which had a fault is settled, or left unsettled.
    pub(super) fn end_retry(&mut self) {
        self.retrying = self.retrying.saturating_sub(1);
    }

    /// Whether new rows must wait.
    pub(super) fn is_open(&self) -> bool {
        self.faults >= self.threshold
    }

    /// Whether the breaker is open and no row is left whose retry could discover that PingOne is back.
    pub(super) fn is_final(&self) -> bool {
        self.is_open() && self.retrying == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Detail;

    fn fault() -> Verdict {
        Verdict::Faulted { fault: Detail::default(), retry_after: None, may_have_been_applied: false }
    }

    fn answer() -> Verdict {
        Verdict::NotFound(Detail::default())
    }

    /// This many faults, each of a different row.
    fn fail(breaker: &mut CircuitBreaker, times: usize) {
        (0..times).for_each(|_| breaker.learn(&fault(), &mut false));
    }

    #[test]
    fn new_rows_wait_from_the_tenth_fault_in_a_row_until_an_answer() {
        let mut breaker = CircuitBreaker::new(4);
        fail(&mut breaker, 9);
        assert!(!breaker.is_open());
        breaker.learn(&answer(), &mut false);
        fail(&mut breaker, 9);
        assert!(!breaker.is_open(), "an answer came in between");
        fail(&mut breaker, 1);
        assert!(breaker.is_open() && !breaker.is_final());
        breaker.learn(&answer(), &mut false);
        assert!(!breaker.is_open());
    }

    #[test]
    fn an_outage_is_final_when_every_row_that_was_begun_is_given_up() {
        let mut breaker = CircuitBreaker::new(1);
        let mut has_faulted = false;
        (0..IN_A_ROW).for_each(|_| breaker.learn(&fault(), &mut has_faulted));
        assert!(has_faulted && breaker.is_open() && !breaker.is_final(), "one row is retried");
        breaker.end_retry();
        assert!(breaker.is_final());
        breaker.learn(&answer(), &mut false);
        assert!(!breaker.is_open() && !breaker.is_final());
    }

    #[test]
    fn an_answer_forgives_every_fault_but_not_the_rows_that_are_retried() {
        for faults in [10, 11, 21, 1000] {
            let mut breaker = CircuitBreaker::new(4);
            fail(&mut breaker, 6);
            let mut has_faulted = true;
            (6..faults).for_each(|_| breaker.learn(&fault(), &mut has_faulted));
            breaker.learn(&answer(), &mut true);
            (0..10).for_each(|_| breaker.learn(&fault(), &mut has_faulted));
            assert!(breaker.is_open() && !breaker.is_final(), "six rows are retried");
            (0..5).for_each(|_| breaker.end_retry());
            assert!(!breaker.is_final(), "one row is retried");
            breaker.end_retry();
            assert!(breaker.is_final());
        }
    }

    #[test]
    fn more_slots_need_more_faults() {
        for (concurrency, threshold) in [(1, 10), (10, 10), (64, 64)] {
            let mut breaker = CircuitBreaker::new(concurrency);
            let mut has_faulted = true;
            (1..threshold).for_each(|_| breaker.learn(&fault(), &mut has_faulted));
            assert!(!breaker.is_open() && !breaker.is_final());
            breaker.learn(&fault(), &mut has_faulted);
            assert!(breaker.is_open() && breaker.is_final());
        }
    }
}
