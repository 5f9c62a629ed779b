//! What does the operator read at the end?

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Counts, Tally};

/// What a finished run has done.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Whom the run talked to.
    pub target: String,
    /// Rows by outcome.
    pub tally: Tally,
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
    /// Where the report is, unless it went to standard output.
    pub report: Option<PathBuf>,
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
        writeln!(f, "{:<10} {rows:>width$}", "rows")?;
        writeln!(f, "requests   {:>width$} sent, {} retried, {} throttled", self.sent, self.retried, self.throttled)?;
        let took = self.took.as_secs_f64();
        write!(f, "time       {:>width$} ", format!("{took:.1} s"))?;
        writeln!(f, "of which {:.1} s held back by PingOne", self.held.as_secs_f64())?;
        if let Some(report) = &self.report {
            writeln!(f, "report     {}", report.display())?;
        }
        Ok(())
    }
}
