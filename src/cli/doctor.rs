//! Options of `doctor`, and its help.

use clap::{ArgAction, Args};

use super::{ConnectionArgs, LogFormat};

/// The description above the options.
pub(super) const ABOUT: &str = "\
Check the settings, the connection, the application's role and the clock; no user is touched

Says of each setting what it is and where it comes from, and then tries what a run needs, one after the other: the proxy, the \
hosts' addresses, a connection to each, the clock, a token, the environment, whether the user list may be read (one page of one \
user is asked for, and no bypass), and the licence's rates. Writes a line for each to standard output: ✓ for what is well, \
✗ for what is not, with a hint, and - for what is not known or was not checked. Secrets and tokens are never shown.";

/// The exit codes, below the options.
const CODES: &str = "\
Exit codes:
  0  a run can begin
  2  a setting is missing or wrong, a host cannot be reached, or the clock is off
  4  PingOne refuses the application, the token, the environment or the user list";

#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Only what is not well
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,
    /// More about the requests
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
    /// How logs are written
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) log_format: LogFormat,
}
