//! What ends a run before its time, how does the program exit, and what can the user do?

use std::io;
use std::process::ExitCode;

use crate::config::{ConfigError, Refused};
use crate::input::InputError;
use crate::pingone::PingOneError;
use crate::report::{FileError, OutputError};

/// Every row succeeded.
pub const EXIT_SUCCESS: u8 = 0;
/// The run finished, but rows failed.
pub const EXIT_ROWS_FAILED: u8 = 1;
/// Usage, configuration or input; nothing was sent.
pub const EXIT_USAGE: u8 = 2;
/// Stopped by too many failures.
pub const EXIT_STOPPED: u8 = 3;
/// Authentication or authorization refused.
pub const EXIT_REFUSED: u8 = 4;
/// Local files.
pub const EXIT_FILES: u8 = 5;

/// What ends a whole run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It is not clear what to do, or as whom.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input is not sound.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The report may not be written there.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// PingOne takes no request of ours.
    #[error(transparent)]
    PingOne(#[from] PingOneError),
    /// A local file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The input could be read when it was checked, and no longer.
    #[error("{name}: the input cannot be read any more")]
    Reading {
        /// The input, as messages call it.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The sandbox did not start.
    #[error("{address}: the sandbox cannot listen there")]
    Sandbox {
        /// Where it was to listen.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A file of the sandbox's could not be written.
    #[error("{path}: the sandbox cannot write the file")]
    SandboxFile {
        /// Which.
        path: String,
        /// Why.
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

impl RunError {
    /// The program's exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Input(_) | Self::Output(_) | Self::Sandbox { .. } => EXIT_USAGE,
            Self::PingOne(error) => match error {
                PingOneError::Credentials { .. } | PingOneError::ReadyToken(_) | PingOneError::FreshToken(_) => EXIT_REFUSED,
                PingOneError::NoToken { .. } | PingOneError::Untrusted { .. } => EXIT_STOPPED,
                PingOneError::Client(_) => EXIT_USAGE,
            },
            Self::File(_) | Self::Reading { .. } | Self::SandboxFile { .. } => EXIT_FILES,
        }
    }

    /// What the user can do, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Input(error) => error.hint(),
            Self::Output(error) => error.hint(),
            Self::PingOne(error) => error.hint(),
            Self::Sandbox { .. } => Some("name another address with `--listen`, such as `127.0.0.1:0` for any free port".into()),
            Self::File(_) | Self::Reading { .. } | Self::SandboxFile { .. } => None,
        }
    }
}
