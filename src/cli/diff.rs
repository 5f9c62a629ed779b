//! Options of `diff`, and its help.

use std::path::PathBuf;

use clap::Args;

/// The description above the options.
pub(super) const ABOUT: &str = "\
Tell what changed between two audit reports

Writes a line for each user with a change to standard output, as CSV, sorted by user ID: `userID,change,before,after`, \
with `username` and `email` after `userID` if a report has such columns (what NEW has, or else OLD). \
`before` and `after` are the end date of a user who can bypass MFA (`active` if it is not known), `inactive` for one \
who cannot, the result of a line that failed, and empty where the user does not stand in that report.

The reports may be in any order and of any size. Lines that are `duplicate` are skipped. A grant's report can be \
compared with an audit's, and so can that of an `end`: `granted` and `ended` say that the user can bypass MFA until \
the date that stands there.

Reports of `audit --only active` hold only those who could bypass MFA: between two of them, `added` and `removed` \
stand for `new` and `lapsed`, if both audits ended with exit code 0. Users whose audit failed stand in NAME.failed.csv, \
and not in such a report.";

/// The changes and exit codes, below the options.
const CHANGES: &str = "\
Changes:
  new           could not bypass MFA in OLD, and can in NEW
  extended      can in both, and the end date is later
  shortened     can in both, and the end date is earlier
  lapsed        could in OLD, and cannot in NEW
  added         stands in NEW only
  removed       stands in OLD only
  undetermined  not known, so never counted as a change: a line of the user's failed in OLD or NEW
                (not_found, failed, ...), or only one of two end dates is known

Exit codes:
  0  no change (but perhaps users who are undetermined: the summary on standard error says so)
  1  changes
  2  trouble: a report that cannot be read or is not sound, a full disk, ...";

#[derive(Debug, Args)]
#[command(after_long_help = CHANGES)]
pub(crate) struct DiffArgs {
    /// The earlier report; `-` is standard input
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The later report; `-` is standard input
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
}
