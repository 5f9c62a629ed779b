//! Does PingOne answer at all? While it does not, no further row is begun: those that were begun are tried
//! again, and the first answer lets the others go on.
//!
//! Without this, every row of an input would have its tries during an outage, and fail. If all that were
//! begun are given up, the run stops.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::pingone::Verdict;

/// So many requests in a row without an answer are an outage, or as many as may be in flight if that is
/// more.
const IN_A_ROW: usize = 10;

/// What is known of PingOne's answering.
#[derive(Debug)]
pub(crate) struct Outage {
    bound: u64,
    /// Two counts in one, so that they are looked at together: the requests in a row that met faults, from
    /// [`FAULT`] on, and below it the rows that have met a fault and are not settled.
    counts: AtomicU64,
    changed: Notify,
}

/// One request that met a fault.
const FAULT: u64 = 1 << 32;

impl Outage {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { bound: concurrency.max(IN_A_ROW) as u64, counts: AtomicU64::new(0), changed: Notify::new() }
    }

    /// Whether every row that was begun has been given up, and nothing was answered meanwhile: there is
    /// nobody left to find out whether PingOne is back.
    pub(crate) fn is_total(&self) -> bool {
        let counts = self.counts();
        counts / FAULT >= self.bound && counts.is_multiple_of(FAULT)
    }

    /// Takes in the `verdict` on a request of a row, which is `trying` from its first fault on.
    pub(crate) fn learn<'a>(&'a self, verdict: &Verdict, trying: &mut Option<Trying<'a>>) {
        if verdict.is_fault() {
            trying.get_or_insert_with(|| self.trying());
            self.faulted();
        } else {
            self.answered();
        }
    }

    fn answered(&self) {
        // As a rule there was none, and nothing is to be written.
        if self.counts() >= FAULT && self.counts.fetch_and(FAULT - 1, Ordering::SeqCst) >= FAULT {
            self.changed.notify_waiters();
        }
    }

    fn faulted(&self) {
        self.counts.fetch_add(FAULT, Ordering::SeqCst);
    }

    /// Counts a row among those that are being tried again, for as long as the answer lives.
    fn trying(&self) -> Trying<'_> {
        self.counts.fetch_add(1, Ordering::SeqCst);
        Trying(self)
    }

    /// Ends when another row may be begun.
    pub(crate) async fn over(&self) {
        while self.is_on() {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // From here on, no change is missed.
            changed.as_mut().enable();
            if self.is_on() {
                changed.await;
            }
        }
    }

    /// Whether no further row may be begun.
    pub(crate) fn is_on(&self) -> bool {
        self.counts() / FAULT >= self.bound
    }

    fn counts(&self) -> u64 {
        self.counts.load(Ordering::SeqCst)
    }
}

/// A row that is being tried again.
#[derive(Debug)]
pub(crate) struct Trying<'a>(&'a Outage);

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        self.0.counts.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn rows_are_begun_until_nothing_answers_and_again_after_an_answer() {
        let outage = Outage::new(10);
        let _row = outage.trying();
        for _ in 0..9 {
            outage.faulted();
            assert!(outage.over().now_or_never().is_some());
        }
        outage.faulted();
        let mut over = std::pin::pin!(outage.over());
        assert!(over.as_mut().now_or_never().is_none());
        outage.answered();
        over.await;
    }

    #[tokio::test]
    async fn an_outage_is_total_when_every_row_that_was_begun_is_given_up() {
        let outage = Outage::new(1);
        let row = outage.trying();
        (0..IN_A_ROW).for_each(|_| outage.faulted());
        assert!(outage.over().now_or_never().is_none() && !outage.is_total());
        drop(row);
        assert!(outage.over().now_or_never().is_none() && outage.is_total());
        outage.answered();
        assert!(!outage.is_total());
    }

    #[tokio::test]
    async fn an_answer_forgives_every_fault_and_no_row_that_is_tried_again() {
        for faults in [10, 11, 21, 1000] {
            let outage = Outage::new(4);
            let mut rows: Vec<_> = (0..6).map(|_| outage.trying()).collect();
            (0..faults).for_each(|_| outage.faulted());
            assert!(outage.is_on() && !outage.is_total());
            outage.answered();
            assert!(!outage.is_on());
            (0..9).for_each(|_| outage.faulted());
            assert!(!outage.is_on(), "an answer came in between");
            outage.faulted();
            assert!(outage.is_on() && !outage.is_total(), "six are tried again");
            drop(rows.split_off(1));
            assert!(!outage.is_total(), "one is tried again");
            rows.clear();
            assert!(outage.is_total());
        }
    }

    #[test]
    fn more_in_flight_are_more_in_a_row() {
        for (concurrency, most) in [(1, 10), (10, 10), (64, 64)] {
            let outage = Outage::new(concurrency);
            (1..most).for_each(|_| outage.faulted());
            assert!(!outage.is_on() && !outage.is_total());
            outage.faulted();
            assert!(outage.is_on() && outage.is_total());
        }
    }
}
