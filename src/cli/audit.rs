//! Options of `audit`, besides those of all runs.

use clap::Args;

use super::RunArgs;
use crate::domain::{Filter, GroupId, Lines, PopulationId};

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Write only the users who can bypass MFA now
    ///
    /// All are counted, and those that failed stand in NAME.failed.csv.
    #[arg(long, value_name = "WHICH", help_heading = "Output")]
    pub(crate) only: Option<Lines>,
}

/// Which users of the directory are audited, where there is no input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Directory, instead of INPUT")]
pub(crate) struct DirectoryArgs {
    /// Audit whom PingOne's device report gives a bypass: quick, not complete
    ///
    /// A few requests instead of one for each user. It may miss users without a device, bypasses set before 2026-05-18, and changes
    /// of the last 15 minutes. The report is `reported.report.csv`.
    #[arg(long, conflicts_with_all = ["all_users", "filter", "population", "group"], conflicts_with_all = OF_AN_INPUT)]
    pub(crate) reported: bool,
    /// Audit every user of the environment
    ///
    /// As with the next three, the report is `users.report.csv`.
    #[arg(long, conflicts_with_all = ["filter", "population", "group"], conflicts_with_all = OF_AN_INPUT)]
    pub(crate) all_users: bool,
    /// Audit the users that a SCIM filter selects, such as `username sw "a"`
    ///
    /// With the next two: those that all of them select.
    #[arg(long, value_name = "SCIM", conflicts_with_all = OF_AN_INPUT)]
    pub(crate) filter: Option<Filter>,
    /// Audit the users of this population
    #[arg(long, value_name = "UUID", conflicts_with_all = OF_AN_INPUT)]
    pub(crate) population: Option<PopulationId>,
    /// Audit the members of this group
    #[arg(long, value_name = "UUID", conflicts_with_all = OF_AN_INPUT)]
    pub(crate) group: Option<GroupId>,
}

/// Options that describe how an input is read.
const OF_AN_INPUT: [&str; 6] = ["input", "user_column", "lookup_by", "delimiter", "no_headers", "skip_invalid"];
