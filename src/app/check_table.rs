//! The table that `doctor` writes: a line for each check, as soon as it is done.

use std::fmt;
use std::io::Write;
use std::path::Path;

use super::error::RunError;
use crate::domain::escaped;
use crate::exit::{EXIT_REFUSED, EXIT_SUCCESS, EXIT_USAGE};
use crate::file_error::FileError;
use crate::pingone::BY_DOCTOR;
use crate::stdio::{OUTPUT, Stream};

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Settings,
    Proxy,
    Dns,
    Tls,
    Clock,
    Token,
    Environment,
    Users,
    Licence,
}

impl Check {
    const ALL: [Self; 9] =
        [Self::Settings, Self::Proxy, Self::Dns, Self::Tls, Self::Clock, Self::Token, Self::Environment, Self::Users, Self::Licence];

    fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Clock => "clock",
            Self::Token => "token",
            Self::Environment => "environment",
            Self::Users => "users",
            Self::Licence => "licence",
        }
    }
}

/// Why a check failed, and what to do.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) hint: String,
    /// The exit code: [`EXIT_REFUSED`] or [`EXIT_USAGE`].
    code: u8,
}

impl Failure {
    pub(super) fn new(what: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self { what: what.to_string(), hint: hint.into(), code: EXIT_USAGE }
    }

    /// A refusal by PingOne.
    pub(super) fn refused(what: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self { code: EXIT_REFUSED, ..Self::new(what, hint) }
    }
}

impl<E: Into<RunError>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let what = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ");
        // A run has more codes: of what hinders it, refusals are told from all else.
        let code = if error.code() == EXIT_REFUSED { EXIT_REFUSED } else { EXIT_USAGE };
        // This is `doctor`.
        let hint = error.hint();
        Self { what, hint: hint.strip_suffix(BY_DOCTOR).map(str::to_owned).unwrap_or(hint), code }
    }
}

/// The result of a check.
pub(super) enum Checked {
    Well(String),
    /// Not known, which hinders no run.
    Unknown(String),
    Failed(Failure),
}

impl From<Failure> for Checked {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The table, on standard output.
#[derive(Debug)]
pub(super) struct CheckTable {
    out: Stream,
    /// Whether only failures are written.
    quiet: bool,
    done: Option<Check>,
    /// That of the first failure.
    code: u8,
}

impl CheckTable {
    pub(super) fn new(quiet: bool) -> Result<Self, RunError> {
        Ok(Self { out: Stream::output()?, quiet, done: None, code: EXIT_SUCCESS })
    }

    /// Writes the line of a check. Returns whether the checks that depend on it can be done.
    pub(super) fn note(&mut self, check: Check, result: impl Into<Checked>) -> Result<bool, RunError> {
        self.done = Some(check);
        let name = check.name();
        match result.into() {
            Checked::Well(seen) => self.write(&format!("✓ {name}: {seen}")).map(|()| true),
            Checked::Unknown(why) => self.write(&format!("- {name}: {why}")).map(|()| true),
            Checked::Failed(Failure { what, hint, code }) => {
                self.code = if self.code == EXIT_SUCCESS { code } else { self.code };
                self.print(&format!("✗ {name}: {what}\n  hint: {hint}")).map(|()| false)
            }
        }
    }

    /// Writes a line about the check before it.
    pub(super) fn detail(&mut self, line: &str) -> Result<(), RunError> {
        self.write(&format!("    {line}"))
    }

    /// Says of the checks that are left that they depend on one that failed. Returns the exit code.
    pub(super) fn end(&mut self) -> Result<u8, RunError> {
        let done = self.done.and_then(|last| Check::ALL.into_iter().position(|check| check == last)).map_or(0, |last| last + 1);
        for check in &Check::ALL[done..] {
            self.write(&format!("- {}: not checked", check.name()))?;
        }
        Ok(self.code)
    }

    fn write(&mut self, text: &str) -> Result<(), RunError> {
        if self.quiet { Ok(()) } else { self.print(text) }
    }

    /// Writes a text with all control characters but its line breaks escaped.
    fn print(&mut self, text: &str) -> Result<(), RunError> {
        let lines: String = text.split('\n').map(|line| escaped(line) + "\n").collect();
        let written = self.out.write_all(lines.as_bytes());
        written.map_err(|source| FileError::new("written", Path::new(OUTPUT), source).into())
    }
}
