//! Options of `page`, and its help.

use std::path::PathBuf;

use clap::Args;

/// The description above the options.
pub(super) const ABOUT: &str = "\
Make a page about a run, for people

Reads a report and the record beside it, NAME.run.json, and writes one HTML file: what was done, to how many, where, by \
whom, why, and whether it is complete; the results; the failures by cause, with what to do about each and the first 100 \
rows; the pace of the run with its holds; when the bypasses run out; the digests, and what they prove. The file loads \
nothing and runs nothing. It can be mailed, read offline and printed.

REPORT may be what `diff` has written, too: then the page says who is new. Without a record, the page is made from the \
report alone, and says so.

The page names users, as the report does: readable by its owner alone, as all files here.";

/// The exit codes, below the options.
const CODES: &str = "\
Exit codes:
  0  the page is made
  1  the page is made, and begins with a warning: the report is not as its record says, or has lines that cannot be read
  2  trouble: no report, a run that has not finished, a page that exists
  5  the page cannot be written";

#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct PageArgs {
    /// The report, or what `diff` has written to a file
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
    /// The page [default: `<REPORT's stem>.html` in this folder]; `-` is standard output
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Leave users out: no IDs, names or columns of the input, and no messages that may name them
    #[arg(long)]
    pub(crate) redact: bool,
    /// Replace a page that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
}
