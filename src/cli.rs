//! The command line, as typed. `config` interprets it.

mod audit;
mod connection;
mod diff;
mod doctor;
mod explain;
mod merge;
mod page;
mod safety;
mod sandbox;
mod short_help;
mod usage;
mod users;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::domain::{Attribute, Grace, OutputDialect, Shard, parse_span, positive_span, shell_word, span_up_to};
use crate::pace::Rate;

pub(crate) use self::audit::{AuditArgs, DirectoryArgs};
pub(crate) use self::connection::ConnectionArgs;
pub(crate) use self::diff::DiffArgs;
pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::explain::{ExplainArgs, ManArgs};
pub(crate) use self::merge::MergeArgs;
pub(crate) use self::page::PageArgs;
pub(crate) use self::safety::SafetyArgs;
pub(crate) use self::sandbox::SandboxArgs;
pub(crate) use self::users::{ListPaceArgs, SelectionArgs, UsersArgs};
pub(crate) use self::verify::VerifyArgs;

use self::connection::surplus_beside_sandbox;

/// Grants, audits and ends PingOne MFA bypasses in bulk, from a CSV file, with a report for every row.
#[derive(Debug, Parser)]
#[command(name = "pingone-bypass", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = self::short_help::BELOW_COMMANDS)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What was typed.
    #[arg(skip)]
    pub(crate) typed: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Give each row's user an MFA bypass until the row's end date
    Grant(GrantArgs),
    /// Read each row's user: can they bypass MFA now, and until when
    Audit(AuditArgs),
    /// End the bypass of each row's user early, if the user has one
    End(EndArgs),
    /// List users of the directory as an input; no bypass is read
    #[command(long_about = self::users::ABOUT)]
    Users(UsersArgs),
    /// Tell what changed between two audit reports
    #[command(long_about = self::diff::ABOUT)]
    Diff(DiffArgs),
    /// One report of the reports of a run's shards
    #[command(long_about = self::merge::ABOUT)]
    Merge(MergeArgs),
    /// Check that a report stands as its run's record says
    #[command(long_about = self::verify::ABOUT)]
    Verify(VerifyArgs),
    /// Make a page about a run, for people: one HTML file
    #[command(long_about = self::page::ABOUT)]
    Page(PageArgs),
    /// Check the settings, the connection, the role and the clock; no user is touched
    #[command(long_about = self::doctor::ABOUT)]
    Doctor(DoctorArgs),
    /// The reference, offline: what columns, dates, results, codes and options mean
    #[command(long_about = self::explain::ABOUT)]
    Explain(ExplainArgs),
    /// Write manual pages
    Man(ManArgs),
    /// Print a shell completion script
    Completions {
        /// The shell that it is for
        shell: clap_complete::Shell,
    },
    /// Serve a local stand-in for PingOne, to rehearse against
    Sandbox(SandboxArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// The end date of rows that have none, such as `+4h` or `2030-08-31`
    ///
    /// A time has its offset from UTC: `2030-08-31T17:00:00Z`, or `2030-08-31T17:00+01:00`.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, help_heading = "Input")]
    pub(crate) until: Option<String>,
    /// The column of end dates (without a header: its number)
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub(crate) until_column: Option<String>,
    /// No end date further ahead than this
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = window, help_heading = "Safety")]
    pub(crate) max_window: Duration,
    /// Look at each user first, and leave a bypass that runs at least as long
    ///
    /// Its row is `kept`, and the report tells what each user had before.
    #[arg(long, help_heading = "Safety")]
    pub(crate) look_first: bool,
    /// Count end dates from the clock here, even if it is more than a minute off PingOne's
    #[arg(long, help_heading = "Safety")]
    pub(crate) trust_clock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// INPUT is a grant's report: give its users back what they had before
    ///
    /// A user whose bypass has been changed since the grant is left alone.
    #[arg(long, conflicts_with_all = ["user_column", "lookup_by", "no_headers"], help_heading = "Input")]
    pub(crate) restore: bool,
    /// How long after its request a bypass ends
    ///
    /// PingOne takes no date that has passed.
    #[arg(long = "in", value_name = "DURATION", default_value = "60s", value_parser = grace, help_heading = "Input")]
    pub(crate) grace: Grace,
}

/// What grant, audit and end have in common.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The users, a CSV file; `-` is standard input
    #[arg(value_name = "INPUT", help_heading = None::<&str>)]
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) reading: InputArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    #[command(flatten)]
    pub(crate) safety: SafetyArgs,
    /// Do only this share of the rows: every Nth, from row K + 1; N processes do them all
    ///
    /// K is 0 to N - 1. Each of the N processes is given the same INPUT and options, and checks the whole of it; `--rate` is
    /// that of all together. `merge` makes one report of theirs.
    #[arg(long, value_name = "K/N", help_heading = "Scale")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// The column of users, by its name (without a header: its number)
    ///
    /// It has user IDs; if it is named `username`, `email` or `externalId`, users are looked up by these.
    #[arg(long, value_name = "NAME")]
    pub(crate) user_column: Option<String>,
    /// What that column has
    ///
    /// It is needed where the name of `--user-column` does not say it. Without `--user-column`: the column of this name.
    #[arg(long, value_name = "ATTRIBUTE", ignore_case = true)]
    pub(crate) lookup_by: Option<Attribute>,
    /// What separates values: one character, or `tab` [default: found out from the header]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// The first line is data: user IDs in column 1, end dates in column 2
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// Run the good rows and report the bad ones
    ///
    /// Without it, one bad row refuses the input.
    #[arg(long)]
    pub(crate) skip_invalid: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// The most requests ever sent a second
    #[arg(long, value_name = "N[/s|/m]|unlimited", default_value = "50/s")]
    pub(crate) rate: Rate,
    /// The most requests in flight
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: u16,
    /// Tries of a row that meets faults; 429 does not count as one
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_attempts: u32,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_span)]
    pub(crate) timeout: Duration,
    /// How long one row may take, all tries and waits together
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive_span)]
    pub(crate) give_up_after: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The report [default: `<INPUT's stem>.report.csv` in this folder]
    ///
    /// `-` is standard output.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// How the report is written: with commas; for Excel (byte order mark, CRLF, the input's delimiter or `;`); or as
    /// the input is. NAME.failed.csv is always written as the input is
    #[arg(long, value_name = "DIALECT", default_value = "rfc4180")]
    pub(crate) output_dialect: OutputDialect,
    /// Take up a run that was stopped or interrupted, or that crashed
    ///
    /// What is settled is not sent again.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace a report or journal that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only errors, no progress, no summary
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More about the run; twice: about each row
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Write how the run went to this file, for Prometheus' textfile collector; all may read it
    #[arg(long, value_name = "PATH")]
    pub(crate) metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
}

/// How logs and progress are shown, of commands that take rows or list users.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ShownArgs {
    /// How logs are written
    #[arg(long, value_name = "FORMAT", default_value = "text", help = "How logs are written; no colour with [env: NO_COLOR]")]
    pub(crate) log_format: LogFormat,
    /// How progress is shown: `auto` is a bar on a terminal, or else a line every 10 s (`plain`)
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    Auto,
    Bar,
    Plain,
    None,
}

impl Cli {
    /// The command line as clap reads it.
    pub(crate) fn program() -> clap::Command {
        short_help::shortened(Self::command())
    }

    /// Parses `arguments`, which begin with the program's name.
    ///
    /// # Errors
    ///
    /// clap's own, `--help` and `--version` among them. [`Cli::explain`] words the others.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString>,
    {
        let typed: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let mut command = Self::program();
        let matches = command.try_get_matches_from_mut(&typed)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Some((_, matches)) = matches.subcommand()
            && let Some(surplus) = surplus_beside_sandbox(matches)
        {
            let message = format!("the argument '--sandbox' cannot be used with '{surplus}'");
            return Err(command.error(clap::error::ErrorKind::ArgumentConflict, message));
        }
        cli.typed = typed.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(cli)
    }

    /// The command line that resumes the run.
    pub(crate) fn to_resume(&self) -> String {
        let mut words: Vec<&str> = self.typed.iter().map(String::as_str).filter(|word| *word != "--overwrite").collect();
        if !words.contains(&"--resume") {
            // Right after the command: after a `--` it would count as an input.
            words.insert(words.len().min(2), "--resume");
        }
        words.into_iter().map(shell_word).collect::<Vec<_>>().join(" ")
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') && !byte.is_ascii_alphanumeric() => Ok(*byte),
        _ => Err("expected one character, such as `;`, or `tab`".to_owned()),
    }
}

/// How far ahead a date may be; beyond some centuries this is no limit.
fn window(text: &str) -> Result<Duration, String> {
    span_up_to(100_000, text)
}

fn grace(text: &str) -> Result<Grace, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    Grace::try_from(span).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::program().debug_assert();
    }

    #[test]
    fn sandbox_excludes_connection_options() {
        let read = |arguments: &[&str]| Cli::read(["pingone-bypass", "grant", "x.csv"].iter().chain(arguments)).map(|_| ());
        assert!(read(&["--sandbox"]).is_ok());
        assert!(read(&["--api-url", "https://api.pingone.eu/v1"]).is_ok());
        let error = read(&["--sandbox", "--api-url", "https://api.pingone.eu/v1"]).expect_err("a conflict");
        assert!(error.to_string().contains("'--sandbox' cannot be used with '--api-url'"), "{error}");
    }

    #[test]
    fn no_secret_can_be_given_on_the_command_line() {
        for secret in ["--client-secret", "--access-token", "--token"] {
            assert!(Cli::read(["pingone-bypass", "grant", "x.csv", secret, "x"]).is_err(), "{secret}");
        }
    }
}
