//! The errors that end a run, their exit codes and hints.

use std::io;

use super::failure_cause::FailureCause;
use crate::clock::Side;
use crate::config::{ConfigError, Refused};
use crate::diff::DiffError;
use crate::directory::{ListingError, NotListed};
use crate::domain::PlanDigest;
use crate::exit::{EXIT_FILES, EXIT_REFUSED, EXIT_SIGHUP, EXIT_SIGINT, EXIT_SIGTERM, EXIT_STOPPED, EXIT_TROUBLE, EXIT_USAGE};
use crate::file_error::FileError;
use crate::input::InputError;
use crate::pingone::{PingOneError, WRONG_PATH};
use crate::report::{NoLock, NotRead, OutputError, VerifyError};
use crate::stop::{Signal, Stop};

/// An error that ends the whole run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The options or the configuration are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input is not valid.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The user list cannot be read.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The report cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// PingOne accepts no requests from us.
    #[error(transparent)]
    PingOne(#[from] PingOneError),
    /// A local file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The input could be read when it was checked, but not any more.
    #[error("{name}: the input cannot be read any more")]
    Reading {
        /// The input's name in messages.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// Two reports cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A report cannot be checked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Too many rows failed.
    #[error("stopped: {what}")]
    Exceeded {
        /// Why the run stopped.
        what: String,
        /// The exit code.
        code: u8,
        /// What the user can do.
        hint: &'static str,
        /// Why rows failed.
        #[source]
        cause: Option<FailureCause>,
    },
    /// What answers is not PingOne but a gateway in front of it.
    #[error("stopped: each of the first {settled} rows was answered 403, and not by PingOne itself")]
    NotPingOne {
        /// The number of rows.
        settled: u64,
        /// Why they failed.
        #[source]
        cause: Option<FailureCause>,
    },
    /// Some rows are not settled, and no reason is known. This is a bug.
    #[error("not every row is accounted for: please report this as a fault of pingone-bypass")]
    Unaccounted,
    /// The program cannot listen for signals.
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    /// A confirmation is required, and there is no terminal.
    #[error("this is to be confirmed, and there is no terminal to ask on; nothing was changed by this command")]
    NobodyToAsk,
    /// `--approve` names another plan.
    #[error("this is not the plan that was approved: `--approve` has `{approved}`, and this plan's digest is `{plan}`; nothing was sent")]
    OtherPlan {
        /// The digest that was approved.
        approved: PlanDigest,
        /// The digest of this plan.
        plan: PlanDigest,
    },
    /// The operator did not confirm.
    #[error("not confirmed; nothing was changed by this command")]
    NotConfirmed,
    /// The clock is off by at least the grace of an end, so no end of a bypass can be checked.
    #[error("the clock here is {off} {side} PingOne's, and `--in` is {grace}: {then}; nothing was changed by this command")]
    ClockOff {
        /// How far the clock is off.
        off: String,
        /// Whether it is ahead of PingOne's or behind it.
        side: Side,
        /// How long bypasses were to run on.
        grace: String,
        /// What would happen.
        then: &'static str,
    },
    /// The clock is too far off for grants: their end dates would be wrong.
    #[error("the clock here is {off} {side} PingOne's: nothing is granted by it, and nothing was changed by this command")]
    ClockWrong {
        /// How far the clock is off.
        off: String,
        /// Whether it is ahead of PingOne's or behind it.
        side: Side,
    },
    /// The clock gives no usable date.
    #[error("the clock here is before 1970: no date can be told by it")]
    ClockBefore1970,
    /// A signal stopped the run.
    #[error("stopped by {}", .0.name())]
    Interrupted(Signal),
    /// A signal stopped the run before anything was changed.
    #[error("stopped by {} before the first row was sent: nothing was changed by this command", .0.name())]
    InterruptedFirst(Signal),
    /// The sandbox could not start.
    #[error("{address}: the sandbox cannot listen there")]
    Sandbox {
        /// The address to listen on.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The sandbox could not write a file.
    #[error("{path}: the sandbox cannot write the file")]
    SandboxFile {
        /// The file's path.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

impl From<Refused> for RunError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Config(error) => Self::Config(error),
            Refused::Output(error) => Self::Output(error),
        }
    }
}

impl From<NoLock> for RunError {
    fn from(no_lock: NoLock) -> Self {
        match no_lock {
            NoLock::Taken(error) => Self::Output(error),
            NoLock::File(error) => Self::File(error),
        }
    }
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

impl From<NotRead> for RunError {
    fn from(not_read: NotRead) -> Self {
        match not_read {
            NotRead::Refused(error) => Self::Output(error),
            NotRead::File(error) => Self::File(error),
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
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Input(error) if error.is_of_the_disk() => EXIT_FILES,
            Self::Config(_)
            | Self::Input(_)
            | Self::Output(_)
            | Self::Sandbox { .. }
            | Self::Signals(_)
            | Self::NobodyToAsk
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
            Self::Diff(_) | Self::Verify(_) => EXIT_TROUBLE,
            Self::Exceeded { code, .. } => *code,
            Self::NotPingOne { .. } => EXIT_REFUSED,
            Self::Unaccounted => EXIT_STOPPED,
            Self::Interrupted(Signal::Interrupt) | Self::InterruptedFirst(Signal::Interrupt) => EXIT_SIGINT,
            Self::Interrupted(Signal::Terminate) | Self::InterruptedFirst(Signal::Terminate) => EXIT_SIGTERM,
            Self::Interrupted(Signal::Hangup) | Self::InterruptedFirst(Signal::Hangup) => EXIT_SIGHUP,
            Self::File(_) | Self::Reading { .. } | Self::SandboxFile { .. } => EXIT_FILES,
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
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Input(error) => error.hint(),
            Self::Output(error) => error.hint(),
            Self::PingOne(error) => error.hint(),
            Self::Listing(error) => error.hint(),
            Self::Diff(error) => error.hint(),
            Self::Verify(error) => Some(error.hint().into()),
            Self::Sandbox { .. } => Some("name another address with `--listen`, such as `127.0.0.1:0` for any free port".into()),
            Self::NotPingOne { .. } => Some(WRONG_PATH.into()),
            Self::Exceeded { hint, .. } => Some((*hint).into()),
            Self::NobodyToAsk => Some(
                "see what would be done with `--dry-run`, and say `--yes` if it is what you want, or have its digest approved and say `--approve`"
                    .into(),
            ),
            Self::OtherPlan { .. } => Some(
                "the operation, the input, the environment or an option is not the approved one: compare with `--dry-run`, or have this plan approved".into(),
            ),
            Self::ClockOff { .. } => Some("set the clock here, or have bypasses end later with `--in`".into()),
            Self::ClockWrong { .. } => Some(
                "set the clock here, or say `--trust-clock` if PingOne's is the one that is wrong: end dates then count from the clock here".into(),
            ),
            Self::ClockBefore1970 => Some("set the clock here".into()),
            Self::NotConfirmed
            | Self::Unaccounted
            | Self::Signals(_)
            | Self::Interrupted(_)
            | Self::InterruptedFirst(_)
            | Self::File(_)
            | Self::Reading { .. }
            | Self::SandboxFile { .. } => None,
        }
    }
}
