//! Which lines does the report have?

use clap::ValueEnum;

use super::Outcome;

/// Which lines are written into the report. The journal of a run has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lines {
    #[value(skip)]
    All,
    // Those of users who can bypass MFA now. (A doc comment would stand in `--help`.)
    Active,
}

impl Lines {
    /// Whether a row is written that ended so.
    pub(crate) fn include(self, outcome: Outcome) -> bool {
        match self {
            Self::All => true,
            Self::Active => outcome == Outcome::Active,
        }
    }
}
