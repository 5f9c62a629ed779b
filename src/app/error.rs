//! The errors that end a run, their exit codes and hints.

use std::io;
use std::path::Path;

use super::failure_cause::FailureCause;
use crate::clock::Side;
use crate::config::ConfigError;
use crate::diff::DiffError;
use crate::directory::{ListingError, NotListed, ReportError};
use crate::domain::{PlanDigest, are, counted};
use crate::exit::{EXIT_FILES, EXIT_REFUSED, EXIT_SIGHUP, EXIT_SIGINT, EXIT_SIGTERM, EXIT_STOPPED, EXIT_TROUBLE, EXIT_USAGE};
use crate::file_error::{FileError, writing_hint};
use crate::input::InputError;
use crate::page::PageError;
use crate::pingone::{PingOneError, WRONG_PATH};
use crate::report::{MergeError, OutputError, VerifyError};
use crate::stop::{Signal, Stop};

/// An error that ends the whole run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    PingOne(#[from] PingOneError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{name}: the input cannot be read any more")]
    Reading { name: String, source: io::Error },
    #[error(transparent)]
    Diff(#[from] DiffError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Page(#[from] PageError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error("stopped: {what}")]
    /// `cause` tells why rows failed.
    Exceeded {
        what: String,
        code: u8,
        hint: &'static str,
        #[source]
        cause: Option<FailureCause>,
    },
    /// A gateway in front of PingOne answers.
    #[error("stopped: each of the first {settled} rows was answered 403, and not by PingOne itself")]
    NotPingOne {
        settled: u64,
        #[source]
        cause: Option<FailureCause>,
    },
    /// This is a bug.
    #[error("not every row is accounted for: please report this as a fault of pingone-bypass")]
    Unaccounted,
    #[error("`{name}` is no topic, result, column, exit code or option")]
    Unexplained { name: String, similar: Vec<String> },
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    #[error("this is to be confirmed, and there is no terminal to ask on; nothing was changed by this command")]
    NobodyToAsk,
    #[error("this is not the plan that was approved: `--approve` has `{approved}`, and this plan's digest is `{plan}`; nothing was sent")]
    OtherPlan { approved: PlanDigest, plan: PlanDigest },
    #[error("not confirmed; nothing was changed by this command")]
    NotConfirmed,
    /// No end of a bypass could be checked.
    #[error("the clock here is {off} {side} PingOne's, and `--in` is {grace}: {then}; nothing was changed by this command")]
    ClockOff { off: String, side: Side, grace: String, then: &'static str },
    #[error("the clock here is {off} {side} PingOne's: nothing is granted by it, and nothing was changed by this command")]
    ClockWrong { off: String, side: Side },
    #[error("the clock here is before 1970: no date can be told by it")]
    ClockBefore1970,
    #[error("stopped by {}", .0.name())]
    Interrupted(Signal),
    #[error("stopped by {} before the first row was sent: nothing was changed by this command", .0.name())]
    InterruptedFirst(Signal),
    #[error("stopped by {} before the list was read to its end", .0.name())]
    ListStopped(Signal),
    #[error("stopped by {} before everything was merged: nothing was written", .0.name())]
    MergeStopped(Signal),
    /// On standard output, some rows of it may stand already.
    #[error("standard output: the list is not complete: {} at most {} in it", counted(*.users, "user"), are(*.users))]
    ListCut {
        users: u64,
        #[source]
        why: Box<RunError>,
    },
    #[error("{address}: the sandbox cannot listen there")]
    Sandbox { address: String, source: io::Error },
    #[error("{path}: the sandbox cannot write the file")]
    SandboxFile { path: String, source: io::Error },
}

impl From<NotListed> for RunError {
    fn from(not_listed: NotListed) -> Self {
        match not_listed {
            NotListed::List(error) => Self::Listing(error),
            NotListed::PingOne(error) => Self::PingOne(error),
            NotListed::Stopped(signal) => Self::stopped_first(signal),
        }
    }
}

impl RunError {
    /// The error of a run stopped before its first row. Until then, only a signal requests a stop.
    pub(crate) fn before_the_first_row(stop: &Stop) -> Self {
        Self::stopped_first(stop.signalled())
    }

    fn stopped_first(signal: Option<Signal>) -> Self {
        signal.map_or(Self::Unaccounted, Self::InterruptedFirst)
    }

    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Input(error) if error.is_of_the_disk() => EXIT_FILES,
            Self::Merge(error) if error.is_of_the_disk() => EXIT_FILES,
            Self::File(_) | Self::Output(OutputError::File(_)) | Self::Reading { .. } | Self::SandboxFile { .. } => EXIT_FILES,
            Self::Config(_)
            | Self::Merge(_)
            | Self::Input(_)
            | Self::Output(_)
            | Self::Sandbox { .. }
            | Self::Signals(_)
            | Self::NobodyToAsk
            | Self::Unexplained { .. }
            | Self::OtherPlan { .. }
            | Self::NotConfirmed
            | Self::ClockOff { .. }
            | Self::ClockWrong { .. }
            | Self::ClockBefore1970 => EXIT_USAGE,
            Self::PingOne(error) => match error {
                PingOneError::Credentials { .. }
                | PingOneError::Assertion { .. }
                | PingOneError::ReadyToken(_)
                | PingOneError::FreshToken(_)
                | PingOneError::NoEnvironment { .. } => EXIT_REFUSED,
                PingOneError::NoToken { .. }
                | PingOneError::HeldTooLong { .. }
                | PingOneError::Untrusted { .. }
                | PingOneError::ForeignPage { .. }
                | PingOneError::EndlessList { .. } => EXIT_STOPPED,
                PingOneError::Client(_) | PingOneError::Unsigned(_) => EXIT_USAGE,
            },
            Self::Listing(error) => error.code(),
            Self::Report(error) => error.code(),
            Self::Diff(_) | Self::Verify(_) | Self::Page(_) => EXIT_TROUBLE,
            Self::Exceeded { code, .. } => *code,
            Self::NotPingOne { .. } => EXIT_REFUSED,
            Self::Unaccounted => EXIT_STOPPED,
            Self::ListCut { why, .. } => why.code(),
            Self::Interrupted(signal) | Self::InterruptedFirst(signal) | Self::ListStopped(signal) | Self::MergeStopped(signal) => {
                match signal {
                    Signal::Interrupt => EXIT_SIGINT,
                    Signal::Terminate => EXIT_SIGTERM,
                    Signal::Hangup => EXIT_SIGHUP,
                }
            }
        }
    }

    /// The error for the run's record: with its causes in short.
    pub(super) fn in_short(&self) -> String {
        if let Self::Exceeded { cause: Some(cause), .. } | Self::NotPingOne { cause: Some(cause), .. } = self {
            return format!("{self}: {}", cause.in_short());
        }
        self.to_string()
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Config(error) => return error.hint(),
            Self::Input(error) => return error.hint(),
            Self::Output(error) => return error.hint(),
            Self::PingOne(error) => return error.hint(),
            Self::Listing(error) => return error.hint(),
            Self::Report(error) => error.hint(),
            Self::ListCut { why, .. } => return why.hint(),
            Self::Diff(error) => return error.hint(),
            Self::Merge(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::SandboxFile { path, source } => return writing_hint(Path::new(path), source),
            Self::Unexplained { similar, .. } if !similar.is_empty() => {
                return format!("did you mean `{}`? `pingone-bypass explain` lists the topics", similar.join("`, `"));
            }
            Self::Unexplained { .. } => "`pingone-bypass explain` lists the topics",
            Self::Verify(error) => error.hint(),
            Self::Page(error) => error.hint(),
            Self::Reading { .. } => "leave the input as it is while a run lasts: put it back as it was, and go on with `--resume`",
            Self::Sandbox { .. } => "name another address with `--listen`, such as `127.0.0.1:0` for any free port",
            Self::NotPingOne { .. } => WRONG_PATH,
            Self::Exceeded { hint, .. } => hint,
            Self::NobodyToAsk => {
                "see what would be done with `--dry-run`, and say `--yes` if it is what you want, or have its digest approved and say `--approve`"
            }
            Self::OtherPlan { .. } => {
                "the operation, the input, the environment or an option is not the approved one: compare with `--dry-run`, or have this plan approved"
            }
            Self::ClockOff { .. } => "set the clock here, or have bypasses end later with `--in`",
            Self::ClockWrong { .. } => {
                "set the clock here, or say `--trust-clock` if PingOne's is the one that is wrong: end dates then count from the clock here"
            }
            Self::ClockBefore1970 => "set the clock here, with `date -s` or by NTP",
            Self::NotConfirmed => "run the command again to answer otherwise: `--dry-run` shows the plan and asks nothing",
            Self::Unaccounted => {
                "keep the report and the files beside it, and go on with `--resume -vv`: what that logs belongs into the report of the fault"
            }
            Self::Signals(_) => "allow this user more open files, with `ulimit -n` say, and start again",
            Self::Interrupted(_) => {
                "go on by the command below, which sends no settled row again; a report on standard output has none, and begins anew"
            }
            Self::ListStopped(_) => "start the command again when it suits: it begins with the first page",
            Self::MergeStopped(_) => "start the command again when it suits",
            Self::InterruptedFirst(_) => {
                "start the command again when it suits: it sent nothing for a row, and what was settled before stays settled"
            }
        };
        hint.to_owned()
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
