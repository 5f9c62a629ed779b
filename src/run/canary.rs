//! The canary: the first rows run alone, and the rest start only once all of them have succeeded.

use crate::domain::{Counts, Outcome, RowNumber};

/// The first rows of an input, which run alone.
#[derive(Debug)]
pub(super) struct Canary {
    /// The row number of the last canary row.
    last: u64,
    /// Canary rows started and not yet settled. Rows arrive in ascending order of their numbers, so when the first other row
    /// arrives, every canary row has been started.
    unsettled: u64,
}

impl Canary {
    /// A canary of the rows up to `last`.
    pub(super) fn new(last: u64) -> Self {
        Self { last, unsettled: 0 }
    }

    pub(super) fn allows(&self, row: RowNumber) -> bool {
        row.0 <= self.last || self.unsettled == 0
    }

    pub(super) fn begin(&mut self, row: RowNumber) {
        self.unsettled += u64::from(row.0 <= self.last);
    }

    /// Records a settled row. Returns true if it is a canary row that did not succeed; the other rows then never start.
    pub(super) fn fails(&mut self, row: RowNumber, outcome: Outcome) -> bool {
        if row.0 > self.last {
            return false;
        }
        if outcome.counts() == Counts::Failure {
            return true;
        }
        self.unsettled -= 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(rows: u64) -> Canary {
        let mut canary = Canary::new(rows);
        for row in (1..=rows).map(RowNumber) {
            assert!(canary.allows(row));
            canary.begin(row);
        }
        canary
    }

    #[test]
    fn others_wait_until_the_first_have_succeeded() {
        let mut canary = begun(2);
        assert!(!canary.allows(RowNumber(3)));
        assert!(!canary.fails(RowNumber(2), Outcome::Duplicate));
        assert!(!canary.allows(RowNumber(3)));
        assert!(!canary.fails(RowNumber(1), Outcome::Granted));
        assert!(canary.allows(RowNumber(3)));
        canary.begin(RowNumber(3));
        assert!(canary.allows(RowNumber(4)) && !canary.fails(RowNumber(3), Outcome::Failed), "it is none of the first");
    }

    #[test]
    fn others_never_begin_after_a_failure() {
        let mut canary = begun(2);
        assert!(canary.fails(RowNumber(1), Outcome::NotFound));
        assert!(!canary.fails(RowNumber(2), Outcome::Granted));
        assert!(!canary.allows(RowNumber(3)));
    }
}
