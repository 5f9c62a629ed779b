//! The canary: the first rows for which something is sent run alone, and the rest start only once all of them have succeeded.

use crate::domain::{Counts, Row, Work};
use crate::report::Settlement;

/// The first rows for which something is sent.
#[derive(Debug)]
pub(super) struct Canary {
    /// How many rows are still to be started.
    to_start: u64,
    /// Rows started and not yet settled.
    unsettled: u64,
    has_failed: bool,
}

impl Canary {
    /// A canary of this many `rows`.
    pub(super) fn new(rows: u64) -> Self {
        Self { to_start: rows, unsettled: 0, has_failed: false }
    }

    /// Whether the next row may start: it is one of the canary, or the canary has succeeded. A row for which nothing is sent is
    /// none of it.
    pub(super) fn allows_next(&self) -> bool {
        self.to_start > 0 || self.has_succeeded()
    }

    /// Whether every row of the canary has succeeded.
    pub(super) fn has_succeeded(&self) -> bool {
        self.to_start == 0 && self.unsettled == 0 && !self.has_failed
    }

    pub(super) fn begin(&mut self, row: &Row) {
        if self.to_start > 0 && matches!(row.work, Work::Send(_)) {
            self.to_start -= 1;
            self.unsettled += 1;
        }
    }

    /// Records a settled row. Returns true if it is a canary row that did not succeed; the other rows then never start. Until the
    /// canary has succeeded, nothing is sent for other rows.
    pub(super) fn fails(&mut self, settlement: &Settlement) -> bool {
        if settlement.attempts == 0 || self.unsettled == 0 {
            return false;
        }
        self.unsettled -= 1;
        let fails = settlement.outcome.counts() == Counts::Failure;
        self.has_failed |= fails;
        fails
    }
}
