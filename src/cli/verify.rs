//! Options of `verify`, and its help.

use std::path::PathBuf;

use clap::Args;

/// The description above the options.
pub(super) const ABOUT: &str = "\
Check that a report stands as its run's record says

Reads the report and the record beside it, NAME.run.json, and compares them: the SHA-256, the columns, one line for each \
row of the input in its order, the totals. Writes a line for each check to standard output: `ok`, `FAILED`, or `note` \
for what does not belong to the report, such as an input that has changed since.

A report and a record that were both changed by somebody who knows how they are made cannot be told from true ones: \
keep the SHA-256 where nobody can change it.";

/// The exit codes, below the options.
const CODES: &str = "\
Exit codes:
  0  the report stands as its record says
  1  it does not
  2  trouble: a report or a record that is not there or cannot be read";

#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct VerifyArgs {
    /// The report
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
}
