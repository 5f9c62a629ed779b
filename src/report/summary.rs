//! The summary that the operator reads at the end.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::record::Status;
use crate::domain::{Counts, EndDates, MAY_MISS, Tally, shown};

/// What a run has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// The environment and API that the run used.
    pub(crate) target: String,
    /// Rows by outcome.
    pub(crate) tally: Tally,
    /// The end dates of the users who can bypass MFA, as far as settled rows tell.
    pub(crate) bypass_ends: EndDates,
    /// The number of rows, if not all of them are settled.
    pub(crate) rows: Option<u64>,
    /// Requests sent, those for tokens included.
    pub(crate) sent: u64,
    /// Of them, those that repeated an earlier one.
    pub(crate) retried: u64,
    /// Of them, those that were answered 429.
    pub(crate) throttled: u64,
    /// The time from the first row to the last.
    pub(crate) took: Duration,
    /// For how much of that time all requests were held back because PingOne asked for it.
    pub(crate) held: Duration,
    /// For an audit by PingOne's device report: how many users have another bypass than it says.
    pub(crate) differing: Option<u64>,
    /// The report and the files beside it; first the journal if the run did not finish.
    pub(crate) files: Vec<PathBuf>,
    /// How the run ended, once that is known.
    pub(crate) ending: Option<Ending>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) exit_code: u8,
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
        if let Some(differing) = self.differing {
            writeln!(f, "differing  {differing:>width$} whose bypass is another than PingOne's device report says")?;
            writeln!(f, "may miss   {}: not a complete audit", MAY_MISS.join(", "))?;
        }
        for (index, path) in self.files.iter().enumerate() {
            writeln!(f, "{:<10} {}", if index == 0 { "files" } else { "" }, shown(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    #[test]
    fn a_summary_tells_what_came_of_the_rows_and_where_it_stands() {
        let mut tally = Tally::default();
        tally.add_rows(Outcome::Granted, 98);
        tally.add_rows(Outcome::NotFound, 2);
        let summary = Summary {
            target: "environment e at https://api.pingone.eu/v1".to_owned(),
            tally,
            bypass_ends: EndDates::default(),
            rows: None,
            sent: 105,
            retried: 4,
            throttled: 1,
            took: Duration::from_millis(12_345),
            held: Duration::from_millis(1_500),
            differing: None,
            files: vec!["r.csv".into(), "r.run.json".into()],
            ending: None,
        };
        let expected = "\
against    environment e at https://api.pingone.eu/v1
granted         98
not_found        2 (failed)
rows           100
requests       105 sent, 4 retried, 1 throttled
time        12.3 s of which 1.5 s held back by PingOne
files      r.csv
           r.run.json
";
        assert_eq!(summary.to_string(), expected);
        let reported = Summary { differing: Some(3), ..summary.clone() }.to_string();
        let expected = "
differing        3 whose bypass is another than PingOne's device report says
may miss   users without a device, bypasses set before 2026-05-18, changes of the last 15 minutes: not a complete audit
files      r.csv
";
        assert!(reported.contains(expected), "{reported}");
        let stopped = Summary { rows: Some(3000), files: Vec::new(), ..summary };
        assert!(stopped.to_string().contains("\nrows           100 settled, of 3000\n") && !stopped.to_string().contains("files"));
    }
}
