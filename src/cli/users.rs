//! Options of `users`, and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{ConnectionArgs, ShownArgs};
use crate::domain::{Filter, GroupId, PopulationId, positive_span};
use crate::pace::Rate;

/// The description above the options.
pub(super) const ABOUT: &str = "\
List users of the directory as an input; no bypass is read

Reads PingOne's user list page by page (250 requests for 50,000 users) and writes userID, username, email, populationID and \
enabled of each user once: an input for grant, audit and end, to be looked at before it is used. A file is there once the \
list is whole, or not at all. On standard output rows come page by page: only the exit code 0 says that none is missing.";

/// The exit codes, below the options.
const CODES: &str = "\
Exit codes:
  0  the list is whole
  2  usage or configuration, a refused filter, more users than --max-users, a file that exists
  3  PingOne does not answer, or its list is endless, leads elsewhere or grows beyond --max-users: the list is not whole
  4  authentication or authorization refused, or no such environment
  5  the list cannot be written
  130, 143, 129  interrupted by SIGINT, SIGTERM, SIGHUP: the list is not whole";

#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct UsersArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) pace: ListPaceArgs,
    /// Refuse a longer list
    #[arg(long, value_name = "N", help_heading = "Safety")]
    pub(crate) max_users: Option<u64>,
    #[command(flatten)]
    pub(crate) output: ListOutputArgs,
}

/// Which users are listed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Directory")]
pub(crate) struct SelectionArgs {
    /// List every user of the environment
    #[arg(long, conflicts_with_all = ["filter", "population", "group"])]
    pub(crate) all_users: bool,
    /// List the users that a SCIM filter selects, such as `username sw "a"`
    ///
    /// With the next two: those that all of them select.
    #[arg(long, value_name = "SCIM")]
    pub(crate) filter: Option<Filter>,
    /// List the users of this population
    #[arg(long, value_name = "UUID")]
    pub(crate) population: Option<PopulationId>,
    /// List the members of this group
    #[arg(long, value_name = "UUID")]
    pub(crate) group: Option<GroupId>,
}

/// The pace of the pages, which come one after the other.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct ListPaceArgs {
    /// The most requests ever sent a second
    #[arg(long, value_name = "N[/s|/m]|unlimited", default_value = "50/s")]
    pub(crate) rate: Rate,
    /// Tries of a page that meets faults; 429 does not count as one
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_attempts: u32,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_span)]
    pub(crate) timeout: Duration,
    /// How long one page may take, all tries and waits together
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive_span)]
    pub(crate) give_up_after: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ListOutputArgs {
    /// The file of the list [default: standard output]
    ///
    /// `-` is standard output.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only errors, no progress, no last line
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More about the requests
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    #[test]
    fn pages_have_the_pace_of_rows_by_default() {
        let cli = Cli::command();
        let default = |command: &str, option: &str| {
            let command = cli.find_subcommand(command).expect("a command");
            let argument = command.get_arguments().find(|argument| argument.get_id() == option).expect("an option");
            argument.get_default_values().to_vec()
        };
        for option in ["rate", "max_attempts", "timeout", "give_up_after"] {
            assert!(!default("users", option).is_empty());
            assert_eq!(default("users", option), default("audit", option), "{option}");
        }
    }
}
