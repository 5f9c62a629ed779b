//! Runs each command, from its arguments to its last line.

mod approval;
mod check_table;
mod context;
mod csv_source;
mod diff;
mod directory_source;
mod doctor;
#[cfg(test)]
mod doubt_tests;
mod error;
mod explain;
mod failure_cause;
mod feed;
mod file_sink;
mod finish;
mod look_up;
mod merge;
mod metrics_file;
mod page;
mod preflight;
mod reading;
mod record;
mod reported_source;
mod run;
mod sandbox;
mod settled;
mod signals;
mod sink;
mod source;
mod stream;
mod target;
#[cfg(test)]
mod undo_tests;
mod users;
mod verify;
mod workspace;

use std::io::Write;
use std::path::Path;

use clap_complete::Shell;

use crate::cli::{Cli, Command};
use crate::config::{Refusal, RunConfig};
use crate::exit::EXIT_SUCCESS;
use crate::file_error::FileError;
use crate::platform::outlive_file_size_limit;
use crate::stdio::{OUTPUT, Stream};
use crate::ui::Console;

use self::diff::diff;
use self::doctor::examine;
use self::error::RunError;
use self::explain::{explain_name, write_manual};
use self::merge::merge;
use self::metrics_file::MetricsFile;
use self::page::page;
use self::run::run_rows;
use self::sandbox::serve_sandbox;
use self::users::list_users;
use self::verify::verify_report;

/// The program's name.
const NAME: &str = "pingone-bypass";

/// Runs the command in `cli`, with messages on `console`. Returns the program's exit code.
pub async fn run(cli: Cli, console: &Console) -> u8 {
    let to_resume = cli.to_resume();
    let done = match outlive_file_size_limit() {
        Ok(()) => run_command(cli, &to_resume, console).await,
        Err(error) => Err(RunError::Signals(error)),
    };
    let code = done.unwrap_or_else(|error| {
        complain(&error, console);
        error.code()
    });
    let console = console.clone();
    // A flush may block, and must not block a runtime that serves other tasks.
    drop(tokio::task::spawn_blocking(move || console.flush()).await);
    code
}

/// Shows an error on `console`, with its causes and its hint.
fn complain(error: &RunError, console: &Console) {
    console.complain(error, &error.hint(), error.code());
}

/// Tells in the metrics file that the command line of these `words` was refused with this exit code. They begin with the program's
/// name.
pub fn tell_of_mistake(words: &[String], exit_code: u8) {
    MetricsFile::tell_of_mistake(words, exit_code);
}

async fn run_command(cli: Cli, to_resume: &str, console: &Console) -> Result<u8, RunError> {
    let typed = &cli.typed;
    match cli.command {
        Command::Grant(arguments) => run_config(RunConfig::of_grant(arguments), typed, to_resume, console).await,
        Command::Audit(arguments) => run_config(RunConfig::of_audit(arguments), typed, to_resume, console).await,
        Command::End(arguments) => run_config(RunConfig::of_end(arguments), typed, to_resume, console).await,
        Command::Users(arguments) => list_users(arguments, console).await,
        Command::Diff(arguments) => diff(&arguments, console),
        Command::Merge(arguments) => merge(arguments, console).await,
        Command::Verify(arguments) => verify_report(&arguments, console),
        Command::Doctor(arguments) => examine(&arguments).await,
        Command::Page(arguments) => page(&arguments, console),
        Command::Explain(arguments) => explain_name(&arguments),
        Command::Man(arguments) => write_manual(&arguments),
        Command::Sandbox(arguments) => serve_sandbox(arguments).await,
        Command::Completions { shell } => complete(shell),
    }
}

/// Runs what is configured. The metrics tell of a run that was refused or failed, too.
async fn run_config(config: Result<RunConfig, Refusal>, typed: &[String], to_resume: &str, console: &Console) -> Result<u8, RunError> {
    let config = config.map_err(|Refusal { why, told }| {
        let error = RunError::from(why);
        match told.as_deref() {
            Some(told) => MetricsFile::of_refusal(told).write_failed(error.code()),
            None => MetricsFile::tell_of_mistake(typed, error.code()),
        }
        error
    })?;
    let metrics = MetricsFile::of(&config);
    let ended = run_rows(&config, &metrics, to_resume, console).await;
    ended.inspect_err(|error| metrics.write_failed(error.code()))
}

fn complete(shell: Shell) -> Result<u8, RunError> {
    print(completions(shell).as_bytes())?;
    Ok(EXIT_SUCCESS)
}

/// The completion script for a `shell`.
fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::program(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete 4.6 names the state of a command after a program with a hyphen in two ways: with `__` for the hyphen where it is
    // set, and with `__subcmd__` where its options stand, which then are never reached.
    script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"))
}

fn print(bytes: &[u8]) -> Result<(), RunError> {
    let mut out = Stream::output()?;
    let printed = out.write_all(bytes);
    printed.map_err(|source| FileError::new("written", Path::new(OUTPUT), source).into())
}
