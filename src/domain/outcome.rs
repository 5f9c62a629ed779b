//! The possible outcomes of a row, and counts of them.

use std::fmt;

/// The outcome of a row. Every row of a finished run has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The PUT was answered: the user can bypass MFA until the requested date.
    Granted,
    /// The PUT was answered with 200, but the user cannot bypass MFA or the end date differs.
    Mismatch,
    /// The user's bypass runs at least as long as the one requested, and was left as it was.
    Kept,
    /// The user's bypass ends at the requested date or earlier, or there is none.
    Ended,
    /// The user's end date is again what it was before the grant.
    Restored,
    /// Somebody has changed the user's bypass since the grant, and it was left as it was.
    Changed,
    /// The grant had not changed the user.
    Untouched,
    /// The user can bypass MFA now.
    Active,
    /// The user cannot bypass MFA now.
    Inactive,
    /// There is no such user.
    NotFound,
    /// Several users have this username, email or external ID, and nothing was sent.
    Ambiguous,
    /// A refusal that a retry cannot fix.
    Rejected,
    /// Faults until the attempts or the time ran out. Nothing was applied, or the request only read.
    Failed,
    /// A PUT was sent and never answered: it may have been applied.
    Unknown,
    /// The row is invalid, and nothing was sent.
    Invalid,
    /// An earlier row has the same request.
    Duplicate,
}

/// How an outcome counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// The row succeeded.
    Success,
    /// The row failed.
    Failure,
    /// There was nothing to do for the row.
    Neither,
}

impl Outcome {
    /// Every outcome, in the order of the summary.
    pub const ALL: [Self; 16] = [
        Self::Granted,
        Self::Kept,
        Self::Ended,
        Self::Restored,
        Self::Active,
        Self::Inactive,
        Self::Untouched,
        Self::Duplicate,
        Self::Mismatch,
        Self::Changed,
        Self::NotFound,
        Self::Ambiguous,
        Self::Rejected,
        Self::Failed,
        Self::Unknown,
        Self::Invalid,
    ];

    /// Its name in the report's column `result`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Mismatch => "mismatch",
            Self::Kept => "kept",
            Self::Ended => "ended",
            Self::Restored => "restored",
            Self::Changed => "changed",
            Self::Untouched => "untouched",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
        }
    }

    /// The outcome with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Whether a resumed run sends the row again.
    pub(crate) fn is_to_be_sent_again(self) -> bool {
        match self {
            Self::Failed | Self::Unknown => true,
            Self::Granted
            | Self::Mismatch
            | Self::Kept
            | Self::Ended
            | Self::Restored
            | Self::Changed
            | Self::Untouched
            | Self::Active
            | Self::Inactive
            | Self::NotFound
            | Self::Ambiguous
            | Self::Rejected
            | Self::Invalid
            | Self::Duplicate => false,
        }
    }

    /// How it counts.
    pub(crate) fn counts(self) -> Counts {
        match self {
            Self::Granted | Self::Kept | Self::Ended | Self::Restored | Self::Active | Self::Inactive => Counts::Success,
            Self::Mismatch
            | Self::Changed
            | Self::NotFound
            | Self::Ambiguous
            | Self::Rejected
            | Self::Failed
            | Self::Unknown
            | Self::Invalid => Counts::Failure,
            Self::Untouched | Self::Duplicate => Counts::Neither,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many rows had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; Outcome::ALL.len()]);

impl Tally {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.add_rows(outcome, 1);
    }

    pub(crate) fn add_rows(&mut self, outcome: Outcome, rows: u64) {
        let count = &mut self.0[outcome as usize];
        // Totals read from a record may be arbitrary.
        *count = count.saturating_add(rows);
    }

    /// Undoes one `add`.
    pub(crate) fn remove(&mut self, outcome: Outcome) {
        self.0[outcome as usize] -= 1;
    }

    /// How many rows had this outcome.
    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// How many rows there were.
    pub(crate) fn rows(&self) -> u64 {
        self.0.iter().fold(0, |all, rows| all.saturating_add(*rows))
    }

    /// How many rows failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures_besides(&[])
    }

    /// How many rows failed with an outcome that is not `allowed`.
    pub(crate) fn failures_besides(&self, allowed: &[Outcome]) -> u64 {
        let failed = self.seen().filter(|(outcome, _)| outcome.counts() == Counts::Failure && !allowed.contains(outcome));
        failed.fold(0, |all, (_, rows)| all.saturating_add(rows))
    }

    /// The outcomes that occurred, with their counts.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.of(outcome))).filter(|(_, rows)| *rows > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_counter_and_name() {
        let mut tally = Tally::default();
        let mut names = std::collections::BTreeSet::new();
        for outcome in Outcome::ALL {
            tally.add(outcome);
            names.insert(outcome.name());
        }
        assert_eq!(names.len(), Outcome::ALL.len());
        assert_eq!(tally.rows(), 16);
        assert_eq!(tally.failures(), 8);
        assert_eq!(tally.failures_besides(&[Outcome::NotFound, Outcome::Invalid, Outcome::Granted]), 6);
        assert!(tally.seen().all(|(_, rows)| rows == 1));
        tally.remove(Outcome::Failed);
        assert_eq!((tally.rows(), tally.failures(), tally.of(Outcome::Failed)), (15, 7, 0));
        assert!(tally.seen().count() == 15 && tally.seen().all(|(outcome, _)| outcome != Outcome::Failed));
    }

    #[test]
    fn names_round_trip_and_only_open_outcomes_are_sent_again() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::named(outcome.name()), Some(outcome));
            assert_eq!(outcome.is_to_be_sent_again(), ["failed", "unknown"].contains(&outcome.name()), "{outcome}");
        }
        assert_eq!((Outcome::named("Granted"), Outcome::named("")), (None, None));
        assert_eq!(format!("{:<10}|{}", Outcome::NotFound, Outcome::Ended), "not_found |ended");
    }
}
