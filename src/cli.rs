//! The command line, as typed. `config` interprets it.

mod audit;
mod blame;
mod client_key;
mod diff;
mod explain;
mod page;
mod safety;
mod sandbox;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::domain::{EnvironmentId, Grace, parse_span, positive_span, shell_word, span_up_to};
use crate::pace::Rate;
use crate::pingone::{AuthMethod, Region};

pub(crate) use self::audit::{AuditArgs, DirectoryArgs};
pub(crate) use self::client_key::ClientKeyArgs;
pub(crate) use self::diff::DiffArgs;
pub(crate) use self::explain::{ExplainArgs, ManArgs};
pub(crate) use self::page::PageArgs;
pub(crate) use self::safety::SafetyArgs;
pub(crate) use self::sandbox::SandboxArgs;
pub(crate) use self::verify::VerifyArgs;

use self::blame::blame_variable;

/// Grants, audits and ends PingOne MFA bypasses in bulk, from a CSV file, with a report for every row.
#[derive(Debug, Parser)]
#[command(name = "pingone-bypass", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
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
    /// Tell what changed between two audit reports
    #[command(long_about = self::diff::ABOUT)]
    Diff(DiffArgs),
    /// Check that a report stands as its run's record says
    #[command(long_about = self::verify::ABOUT)]
    Verify(VerifyArgs),
    /// Make a page about a run, for people: one HTML file
    #[command(long_about = self::page::ABOUT)]
    Page(PageArgs),
    /// The reference, offline: what columns, dates, results, codes and options mean
    #[command(long_about = self::explain::ABOUT)]
    Explain(ExplainArgs),
    /// Write manual pages
    Man(ManArgs),
    /// Serve a local stand-in for PingOne, to rehearse against
    Sandbox(SandboxArgs),
    /// Print a shell completion script
    Completions {
        /// The shell that it is for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// The end date of rows that have none of their own, such as `2026-08-31T17:00:00Z` or `+4h`
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, help_heading = "Input")]
    pub(crate) until: Option<String>,
    /// The column of end dates (without a header: its number)
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub(crate) until_column: Option<String>,
    /// No end date further ahead than this
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = window, help_heading = "Safety")]
    pub(crate) max_window: Duration,
    /// Look at each user before anything is changed: a bypass that runs at least as long is left alone, and the report
    /// tells what was there before
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
    /// INPUT is a grant's report: give its users back what they had before, where nobody has changed it since
    #[arg(long, conflicts_with_all = ["user_column", "no_headers"], help_heading = "Input")]
    pub(crate) restore: bool,
    /// How long after its request a bypass ends: PingOne takes no date that has passed
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
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The environment of the users
    #[arg(long, value_name = "UUID", env = "PINGONE_ENVIRONMENT_ID", hide_env_values = true)]
    pub(crate) environment_id: Option<EnvironmentId>,
    /// Where the worker application lives, if in another environment
    #[arg(long, value_name = "UUID", env = "PINGONE_AUTH_ENVIRONMENT_ID", hide_env_values = true)]
    pub(crate) auth_environment_id: Option<EnvironmentId>,
    /// The worker application's client ID; its secret comes from PINGONE_CLIENT_SECRET or a file
    #[arg(long, value_name = "ID", env = "PINGONE_CLIENT_ID", hide_env_values = true)]
    pub(crate) client_id: Option<String>,
    /// The file that holds the client secret
    #[arg(long, value_name = "PATH")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How the worker application authenticates: a setting of the application
    #[arg(long, value_name = "METHOD", env = "PINGONE_AUTH_METHOD", hide_env_values = true, default_value = "basic", ignore_case = true)]
    pub(crate) auth_method: AuthMethod,
    #[command(flatten)]
    pub(crate) key: ClientKeyArgs,
    /// The file that holds a ready access token (or PINGONE_API_ACCESS_TOKEN), instead of an application
    #[arg(long, value_name = "PATH")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// PingOne's region [default: NA; PINGONE_TOP_LEVEL_DOMAIN is understood too]
    #[arg(long, env = "PINGONE_REGION", hide_env_values = true, ignore_case = true)]
    pub(crate) region: Option<Region>,
    /// The API, instead of the region's: the part before `/environments`
    #[arg(long, value_name = "URL", env = "PINGONE_API_URL", hide_env_values = true)]
    pub(crate) api_url: Option<String>,
    /// The token endpoint's host, instead of the region's
    #[arg(long, value_name = "URL", env = "PINGONE_AUTH_URL", hide_env_values = true)]
    pub(crate) auth_url: Option<String>,
    /// Trust this certificate authority too
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Run against a sandbox inside this process; needs no credentials
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Whether the application was named on the command line, which outranks a token of the environment.
    #[arg(skip)]
    pub(crate) application_typed: bool,
    /// Where each URL comes from: its option, or its variable.
    #[arg(skip)]
    pub(crate) api_url_from: &'static str,
    #[arg(skip)]
    pub(crate) auth_url_from: &'static str,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// The column of user IDs (without a header: its number). One named `username`, `email` or `externalId` is what
    /// users are looked up by
    #[arg(long, value_name = "NAME")]
    pub(crate) user_column: Option<String>,
    /// What separates values: one character, or `tab` [default: found out from the header]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// The first line is data: user IDs in column 1, end dates in column 2
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// Run the good rows and report the bad ones; without it one bad row refuses the input
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
    /// The report [default: `<INPUT's stem>.report.csv` in this folder]; `-` is standard output
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Take up a run that was stopped or interrupted, or that crashed; what is settled is not sent again
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
    /// How logs are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Write how the run went to this file, for Prometheus' textfile collector
    #[arg(long, value_name = "PATH")]
    pub(crate) metrics_file: Option<PathBuf>,
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
    /// Parses `arguments`, which begin with the program's name.
    ///
    /// # Errors
    ///
    /// clap's own, which print themselves, `--help` and `--version` among them.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString>,
    {
        let typed: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let sandbox = typed.iter().any(|word| word == "--sandbox");
        let mut command = Self::command().mut_subcommands(|command| without_idle_variables(command, sandbox));
        let matches = command.try_get_matches_from_mut(&typed);
        let matches = matches.map_err(|error| blame_variable(error, &command, &typed))?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Some((_, matches)) = matches.subcommand() {
            if let Some(surplus) = surplus_beside_sandbox(matches) {
                let message = format!("the argument '--sandbox' cannot be used with '{surplus}'");
                return Err(command.error(clap::error::ErrorKind::ArgumentConflict, message));
            }
            if let Some(run) = cli.run_mut() {
                let connection = &mut run.connection;
                let application = ["client_id", "client_secret_file", "client_key_file"];
                connection.application_typed = application.into_iter().any(|id| is_typed(matches, id));
                connection.key.file_typed = is_typed(matches, "client_key_file");
                connection.api_url_from = if is_typed(matches, "api_url") { "--api-url" } else { "PINGONE_API_URL" };
                connection.auth_url_from = if is_typed(matches, "auth_url") { "--auth-url" } else { "PINGONE_AUTH_URL" };
            }
        }
        cli.typed = typed.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(cli)
    }

    fn run_mut(&mut self) -> Option<&mut RunArgs> {
        match &mut self.command {
            Command::Grant(GrantArgs { run, .. }) | Command::Audit(AuditArgs { run, .. }) | Command::End(EndArgs { run, .. }) => Some(run),
            Command::Diff(_)
            | Command::Verify(_)
            | Command::Page(_)
            | Command::Explain(_)
            | Command::Man(_)
            | Command::Sandbox(_)
            | Command::Completions { .. } => None,
        }
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

/// The connection option, if any, that contradicts `--sandbox`. Environment variables may be set.
fn surplus_beside_sandbox(matches: &ArgMatches) -> Option<String> {
    const SURPLUS: [&str; 8] =
        ["environment_id", "auth_environment_id", "client_id", "client_secret_file", "access_token_file", "region", "api_url", "auth_url"];
    if matches.try_get_one::<bool>("sandbox").ok().flatten() != Some(&true) {
        return None;
    }
    SURPLUS.into_iter().chain(ClientKeyArgs::IDS).find(|id| is_typed(matches, id)).map(|id| format!("--{}", id.replace('_', "-")))
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The command without environment variables that are set but empty, which count as unset; with `--sandbox`, without any.
fn without_idle_variables(command: clap::Command, sandbox: bool) -> clap::Command {
    command.mut_args(|argument| {
        let value = argument.get_env().map(|name| std::env::var_os(name).unwrap_or_default());
        match value {
            Some(value) if sandbox || value.to_string_lossy().trim().is_empty() => argument.env(None::<&str>),
            Some(_) | None => argument,
        }
    })
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
        Cli::command().debug_assert();
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
