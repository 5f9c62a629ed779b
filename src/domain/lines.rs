//! The filter for the report's lines.

use clap::ValueEnum;

use super::Outcome;

/// Which lines the report contains. The journal contains all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lines {
    #[value(skip)]
    All,
    // Those of users who can bypass MFA now. (A doc comment would appear in `--help`.)
    Active,
}

impl Lines {
    /// Whether a row with this outcome is included.
    pub(crate) fn include(self, outcome: Outcome) -> bool {
        match self {
            Self::All => true,
            Self::Active => outcome == Outcome::Active,
        }
    }
}
