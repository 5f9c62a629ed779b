//! What does the operator read at the end?

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Counts, Tally};
use crate::domain::shown;

/// What a finished run has done.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Whom the run talked to.
    pub target: String,
    /// Rows by outcome.
    pub tally: Tally,
    /// How many rows there are, if not all of them are settled.
    pub rows: Option<u64>,
    /// Requests sent, those for tokens included.
    pub sent: u64,
    /// Of them, those that repeated an earlier one.
    pub retried: u64,
    /// Of them, those that were answered 429.
    pub throttled: u64,
    /// From the first row to the last.
    pub took: Duration,
    /// How much of it every request was held back, as PingOne asked.
    pub held: Duration,
    /// Where the report is, and the files beside it.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "against    {}", self.target)?;
        let rows = self.tally.rows();
        let width = rows.to_string().len().max(7);
        for (outcome, count) in self.tally.seen() {
            let mark = if outcome.counts() == Counts::Failure { " (failed)" } else { "" };
            writeln!(f, "{outcome:<10} {count:>width$}{mark}")?;
        }
        let of = self.rows.map(|all| format!(" settled, of {all}")).unwrap_or_default();
        writeln!(f, "{:<10} {rows:>width$}{of}", "rows")?;
        writeln!(f, "requests   {:>width$} sent, {} retried, {} throttled", self.sent, self.retried, self.throttled)?;
        let took = self.took.as_secs_f64();
        write!(f, "time       {:>width$} ", format!("{took:.1} s"))?;
        writeln!(f, "of which {:.1} s held back by PingOne", self.held.as_secs_f64())?;
        for (index, path) in self.files.iter().enumerate() {
            writeln!(f, "{:<10} {}", if index == 0 { "files" } else { "" }, shown(path))?;
        }
        Ok(())
    }
}
