//! May more than the first rows be sent? Only once each of them has succeeded.

use crate::domain::{Counts, Outcome, RowNumber};

/// The first rows of an input, which run alone.
#[derive(Debug)]
pub(super) struct Canary {
    /// The number of the last of them.
    last: u64,
    /// How many of them have been begun and are not settled. Rows come in the order of their numbers: when the first row comes
    /// that is not one of them, all of them have been begun.
    left: u64,
}

impl Canary {
    /// A canary of the rows up to `last`.
    pub(super) fn new(last: u64) -> Self {
        Self { last, left: 0 }
    }

    /// Whether `row` may be begun.
    pub(super) fn lets(&self, row: RowNumber) -> bool {
        row.0 <= self.last || self.left == 0
    }

    /// Takes in a row that is begun.
    pub(super) fn begin(&mut self, row: RowNumber) {
        self.left += u64::from(row.0 <= self.last);
    }

    /// Takes in a settled row; tells whether it is one of the first and did not succeed. Then the others never begin.
    pub(super) fn fails(&mut self, row: RowNumber, outcome: Outcome) -> bool {
        if row.0 > self.last {
            return false;
        }
        if outcome.counts() == Counts::Failure {
            return true;
        }
        self.left -= 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(rows: u64) -> Canary {
        let mut canary = Canary::new(rows);
        for row in (1..=rows).map(RowNumber) {
            assert!(canary.lets(row));
            canary.begin(row);
        }
        canary
    }

    #[test]
    fn others_wait_until_the_first_have_succeeded() {
        let mut canary = begun(2);
        assert!(!canary.lets(RowNumber(3)));
        assert!(!canary.fails(RowNumber(2), Outcome::Duplicate));
        assert!(!canary.lets(RowNumber(3)));
        assert!(!canary.fails(RowNumber(1), Outcome::Granted));
        assert!(canary.lets(RowNumber(3)));
        canary.begin(RowNumber(3));
        assert!(canary.lets(RowNumber(4)) && !canary.fails(RowNumber(3), Outcome::Failed), "it is none of the first");
    }

    #[test]
    fn others_never_begin_after_a_failure() {
        let mut canary = begun(2);
        assert!(canary.fails(RowNumber(1), Outcome::NotFound));
        assert!(!canary.fails(RowNumber(2), Outcome::Granted));
        assert!(!canary.lets(RowNumber(3)));
    }
}
