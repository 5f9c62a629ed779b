//! May more than the first rows be sent? Only once every one of them has succeeded.

use std::sync::Mutex;

use tokio::sync::Notify;

use crate::domain::{Counts, Outcome, RowNumber};

/// The first rows of an input, which are settled alone.
#[derive(Debug)]
pub(crate) struct Canary {
    /// The number of the last of them.
    last: u64,
    /// How many of them have been let in and are not settled. Rows come in the order of their numbers: when one
    /// comes that is none of them, all of them have been.
    left: Mutex<u64>,
    settled: Notify,
}

impl Canary {
    /// A canary of the rows up to `last`.
    pub(crate) fn new(last: u64) -> Self {
        Self { last, left: Mutex::new(0), settled: Notify::new() }
    }

    /// Takes in a settled row; tells whether it is one of the first and did not succeed. Then the others
    /// are never let go.
    pub(crate) fn fails(&self, row: RowNumber, outcome: Outcome) -> bool {
        if row.0 > self.last {
            return false;
        }
        if outcome.counts() == Counts::Failure {
            return true;
        }
        *self.left() -= 1;
        self.settled.notify_waiters();
        false
    }

    /// Ends when `row` may be begun. Each row is asked for once, in the order of their numbers.
    pub(crate) async fn lets(&self, row: RowNumber) {
        if row.0 <= self.last {
            *self.left() += 1;
            return;
        }
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            // From here on, no change is missed.
            settled.as_mut().enable();
            if *self.left() == 0 {
                return;
            }
            settled.await;
        }
    }

    fn left(&self) -> std::sync::MutexGuard<'_, u64> {
        self.left.lock().expect("no panic while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn others_wait_until_the_first_have_succeeded() {
        let canary = Canary::new(2);
        for row in [1, 2] {
            assert!(canary.lets(RowNumber(row)).now_or_never().is_some());
        }
        let mut third = std::pin::pin!(canary.lets(RowNumber(3)));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(!canary.fails(RowNumber(2), Outcome::Duplicate));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(!canary.fails(RowNumber(1), Outcome::Granted));
        third.await;
        assert!(!canary.fails(RowNumber(3), Outcome::Failed), "it is none of the first");
    }

    #[tokio::test]
    async fn others_are_never_let_go_after_a_failure() {
        let canary = Canary::new(2);
        for row in [1, 2] {
            canary.lets(RowNumber(row)).await;
        }
        assert!(canary.fails(RowNumber(1), Outcome::NotFound));
        assert!(!canary.fails(RowNumber(2), Outcome::Granted));
        assert!(canary.lets(RowNumber(3)).now_or_never().is_none());
    }
}
