//! What has changed for a user. Two states in, a change out.

use std::cmp::Ordering;
use std::fmt;

use crate::domain::{BypassUntil, Outcome};

/// A user's state in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Can bypass MFA, until a date if one is known.
    Active(Option<BypassUntil>),
    /// Cannot bypass MFA.
    Inactive,
    /// Unknown: the line failed, with this outcome.
    Failed(Outcome),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active(Some(until)) => until.fmt(f),
            Self::Active(None) => f.write_str("active"),
            Self::Inactive => f.write_str("inactive"),
            Self::Failed(outcome) => outcome.fmt(f),
        }
    }
}

/// How a user's state differs between the two reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The user could not bypass MFA, and now can.
    New,
    /// The bypass ends later.
    Extended,
    /// The bypass ends earlier.
    Shortened,
    /// The user could bypass MFA, and now cannot.
    Lapsed,
    /// The user is only in the second report.
    Added,
    /// The user is only in the first report.
    Removed,
    /// The reports do not show whether anything changed, so it does not count as a change.
    Undetermined,
}

impl Change {
    /// Every change, in the order of the summary.
    pub(crate) const ALL: [Self; 7] =
        [Self::New, Self::Extended, Self::Shortened, Self::Lapsed, Self::Added, Self::Removed, Self::Undetermined];

    /// Its name in the column `change`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Extended => "extended",
            Self::Shortened => "shortened",
            Self::Lapsed => "lapsed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Undetermined => "undetermined",
        }
    }

    /// Whether it is known to be a change.
    pub(crate) fn counts(self) -> bool {
        match self {
            Self::New | Self::Extended | Self::Shortened | Self::Lapsed | Self::Added | Self::Removed => true,
            Self::Undetermined => false,
        }
    }

    /// The change from one state to the other; `None` for a state means that the user is not in that report.
    pub(crate) fn between(before: Option<State>, after: Option<State>) -> Option<Self> {
        match (before, after) {
            (None, None) | (Some(State::Inactive), Some(State::Inactive)) | (Some(State::Active(None)), Some(State::Active(None))) => None,
            (None, Some(State::Active(_) | State::Inactive)) => Some(Self::Added),
            (Some(State::Active(_) | State::Inactive), None) => Some(Self::Removed),
            (Some(State::Inactive), Some(State::Active(_))) => Some(Self::New),
            (Some(State::Active(_)), Some(State::Inactive)) => Some(Self::Lapsed),
            (Some(State::Active(Some(before))), Some(State::Active(Some(after)))) => match after.cmp(&before) {
                Ordering::Greater => Some(Self::Extended),
                Ordering::Less => Some(Self::Shortened),
                Ordering::Equal => None,
            },
            // One date alone does not show whether the end has moved.
            (Some(State::Active(_)), Some(State::Active(_))) | (Some(State::Failed(_)), _) | (_, Some(State::Failed(_))) => {
                Some(Self::Undetermined)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(day: u32) -> Option<BypassUntil> {
        BypassUntil::read(&format!("2026-08-{day:02}T17:00:00.000Z"))
    }

    #[test]
    fn every_pair_of_states_has_its_change() {
        use Change::{Added, Extended, Lapsed, New, Removed, Shortened, Undetermined};
        let states = [
            None,
            Some(State::Inactive),
            Some(State::Active(None)),
            Some(State::Active(until(30))),
            Some(State::Active(until(31))),
            Some(State::Failed(Outcome::NotFound)),
        ];
        let unknown = Some(Undetermined);
        // Rows are the states before, columns the states after.
        let table = [
            [None, Some(Added), Some(Added), Some(Added), Some(Added), unknown],
            [Some(Removed), None, Some(New), Some(New), Some(New), unknown],
            [Some(Removed), Some(Lapsed), None, unknown, unknown, unknown],
            [Some(Removed), Some(Lapsed), unknown, None, Some(Extended), unknown],
            [Some(Removed), Some(Lapsed), unknown, Some(Shortened), None, unknown],
            [unknown; 6],
        ];
        for (before, row) in states.into_iter().zip(table) {
            for (after, expected) in states.into_iter().zip(row) {
                assert_eq!(Change::between(before, after), expected, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn undetermined_does_not_count_as_a_change() {
        let uncounted: Vec<_> = Change::ALL.into_iter().filter(|change| !change.counts()).collect();
        assert_eq!(uncounted, [Change::Undetermined]);
        assert!(Change::ALL.iter().enumerate().all(|(index, change)| *change as usize == index), "each has a counter of its own");
    }

    #[test]
    fn a_state_is_shown_by_its_date_or_its_name() {
        assert_eq!(State::Active(until(31)).to_string(), "2026-08-31T17:00:00.000Z");
        assert_eq!(State::Active(None).to_string(), "active");
        assert_eq!(State::Inactive.to_string(), "inactive");
        assert_eq!(State::Failed(Outcome::NotFound).to_string(), "not_found");
    }
}
