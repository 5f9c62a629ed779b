//! Options of `merge`, and its help.

use std::path::PathBuf;

use clap::Args;

/// The description above the options.
pub(super) const ABOUT: &str = "\
One report of the reports of a run's shards

Reads the reports of all shards of a run (grant, audit or end with --shard), in whatever order they are named, each with its \
record NAME.run.json and its NAME.failed.csv beside it, and writes what one process would have written: OUTPUT with one \
line for each row in the input's order, its record, and its failed rows. The record names the shards, with their run IDs, \
times and requests.

Everything is checked first: shards of one run, each of them once, finished; one line for each row; the SHA-256 and the \
totals of each report as its record has them. If something does not fit, nothing is written.";

/// The exit codes, below the options.
const CODES: &str = "\
Exit codes:
  0  merged, and every row succeeded
  1  merged, but rows failed (with a result that --allow of all shards does not name)
  2  refused: shards of different runs, one that is missing, there twice, not finished or changed since, or OUTPUT exists
  5  a file cannot be read or written
  130, 143, 129  interrupted by SIGINT, SIGTERM, SIGHUP: nothing was written";

#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct MergeArgs {
    /// The report to write, such as `users.report.csv`
    #[arg(value_name = "OUTPUT")]
    pub(crate) output: PathBuf,
    /// The reports of all shards, such as `users.*-of-8.report.csv`
    #[arg(value_name = "SHARD", required = true)]
    pub(crate) shards: Vec<PathBuf>,
    /// Replace a report that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only errors, no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
