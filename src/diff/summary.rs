//! The summary after the changes, in one line.

use std::fmt;

use super::change::Change;
use crate::domain::counted;

/// The result of comparing two reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// How many users are in either report.
    pub(super) users: u64,
    found: [u64; Change::ALL.len()],
    /// How many failed lines have an unknown user.
    pub(super) unmatched: u64,
}

impl Summary {
    pub(super) fn add(&mut self, change: Change) {
        self.found[change as usize] += 1;
    }

    /// How many users have this change.
    pub(super) fn of(&self, change: Change) -> u64 {
        self.found[change as usize]
    }

    /// For how many users something is known to have changed.
    pub(crate) fn changes(&self) -> u64 {
        self.seen().filter(|(change, _)| change.counts()).map(|(_, users)| users).sum()
    }

    fn seen(&self) -> impl Iterator<Item = (Change, u64)> {
        Change::ALL.into_iter().map(|change| (change, self.found[change as usize])).filter(|(_, users)| *users > 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", counted(self.changes(), "change"), counted(self.users, "user"))?;
        let mut before = ": ";
        for (change, users) in self.seen() {
            let mark = if change.counts() { before } else { "; " };
            write!(f, "{mark}{users} {}", change.name())?;
            before = ", ";
        }
        match self.unmatched {
            0 => Ok(()),
            1 => f.write_str("; 1 failed line names no user ID and is left out"),
            lines => write!(f, "; {lines} failed lines name no user ID and are left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(users: u64, changes: &[Change], unmatched: u64) -> String {
        let mut summary = Summary { users, unmatched, ..Summary::default() };
        for change in changes {
            summary.add(*change);
        }
        summary.to_string()
    }

    #[test]
    fn the_line_lists_only_what_was_found() {
        assert_eq!(shown(0, &[], 0), "0 changes of 0 users");
        assert_eq!(shown(1, &[Change::New], 1), "1 change of 1 user: 1 new; 1 failed line names no user ID and is left out");
        assert_eq!(shown(9, &[Change::Undetermined], 0), "0 changes of 9 users; 1 undetermined");
        let all = shown(50, &[&Change::ALL[..], &[Change::New, Change::Undetermined]].concat(), 2);
        assert_eq!(
            all,
            "7 changes of 50 users: 2 new, 1 extended, 1 shortened, 1 lapsed, 1 added, 1 removed; 2 undetermined; \
             2 failed lines name no user ID and are left out"
        );
    }
}
