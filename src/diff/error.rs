//! Errors of `diff`, with their hints.

use std::io;
use std::path::PathBuf;

use crate::domain::{Outcome, UserId, quote, shown};
use crate::file_error::FileError;
use crate::input::{HeaderFault, InputError, RowFault};

/// Why two reports cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiffError {
    #[error(transparent)]
    Report(#[from] InputError),
    #[error("{}: this is the journal of a run that has not finished: expected its report", shown(.0))]
    Journal(PathBuf),
    #[error("`-` stands for both reports: expected a file for one of them at least")]
    BothStandardInput,
    /// The records beside the reports tell that they do not belong together.
    #[error("{0}")]
    Apart(Apart),
    #[error("{name}:{line}: {fault}")]
    Line { name: String, line: u64, fault: LineFault },
    #[error("what is compared cannot be kept in a temporary file")]
    Temporary(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] FileError),
}

/// Why two reports are not an earlier and a later one of the same users.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Apart {
    #[error("OLD is of environment `{}`, and NEW of environment `{}`", quote(.0), quote(.1))]
    Environments(String, String),
    #[error("OLD is of a run that began at {0}, and NEW of one that began before, at {1}")]
    Swapped(String, String),
    #[error(
        "{0} has lines only for users who could bypass MFA (`--only active`), and the other report has all: whoever is missing there would be taken for removed or added"
    )]
    Selections(&'static str),
}

/// What is wrong with a line of a report.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LineFault(Box<Fault>);

impl From<Fault> for LineFault {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

/// Why a line states nothing about a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Form(#[from] RowFault),
    #[error("column `result`: `{}` is not a result: expected one of {}", quote(.0), results())]
    Result(String),
    #[error("column `bypassMFAEnabledUntil`: `{}` is not an end date: expected the form `2026-08-31T17:00:00.000Z`", quote(.0))]
    Until(String),
    #[error("column `userID`: `{user}` has a result here, and another on line {other}: expected one for a user")]
    Twice { user: UserId, other: u64 },
}

impl Fault {
    fn hint(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Result(_) | Self::Until(_) => "compare the reports as they were written, or audit the users again",
            Self::Twice { .. } => "compare the reports of single runs, not several of them in one file",
        }
    }
}

fn results() -> String {
    Outcome::ALL.map(|outcome| format!("`{outcome}`")).join(", ")
}

impl DiffError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Report(InputError::Header { fault: HeaderFault::Missing { .. } | HeaderFault::Twice { .. }, .. }) => {
                Some("name two reports, as `audit` and `grant` write them, with the header and all of their columns".into())
            }
            Self::Report(error) => error.hint().or_else(|| Some("name two reports, the earlier one first".into())),
            Self::Journal(_) => Some("finish the run with `--resume`, and compare the report that it leaves".into()),
            Self::Apart(Apart::Environments(..)) => Some("compare two reports of one environment".into()),
            Self::Apart(Apart::Swapped(..)) => Some("name the earlier report first".into()),
            Self::Apart(Apart::Selections(_)) => Some("compare two reports with `--only active`, or two without".into()),
            Self::BothStandardInput => Some("keep one of the reports in a file".into()),
            Self::Line { fault, .. } => Some(fault.0.hint().into()),
            Self::Temporary(_) => Some("make room in the folder for temporary files, or name another one in TMPDIR".into()),
            Self::Output(_) => None,
        }
    }
}
