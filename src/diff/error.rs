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
    #[error("column `bypassMFAEnabledUntil`: `{}` is not an end date: expected the form `2030-08-31T17:00:00.000Z`", quote(.0))]
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
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Report(InputError::Header { fault: HeaderFault::Missing { .. } | HeaderFault::Twice { .. }, .. }) => {
                "name two reports, as `audit` and `grant` write them, with the header and all of their columns"
            }
            Self::Report(InputError::Empty(_) | InputError::NoRows(_)) => "name two reports, the earlier one first",
            Self::Report(error) => return error.hint(),
            Self::Journal(_) => "finish the run with `--resume`, and compare the report that it leaves",
            Self::Apart(Apart::Environments(..)) => "compare two reports of one environment",
            Self::Apart(Apart::Swapped(..)) => "name the earlier report first",
            Self::Apart(Apart::Selections(_)) => "compare two reports with `--only active`, or two without",
            Self::BothStandardInput => "keep one of the reports in a file",
            Self::Line { fault, .. } => fault.0.hint(),
            Self::Temporary(_) => "make room in the folder for temporary files, or name another one in TMPDIR",
            Self::Output(error) => return error.hint(),
        };
        hint.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_all_told;

    fn line(fault: Fault) -> DiffError {
        DiffError::Line { name: "old.csv".into(), line: 2, fault: fault.into() }
    }

    /// The fault of a line after `fault`. The compiler asks here for a new one.
    fn next_fault(fault: &Fault) -> Option<Fault> {
        Some(match fault {
            Fault::Form(_) => Fault::Result("x".into()),
            Fault::Result(_) => Fault::Until("x".into()),
            Fault::Until(_) => Fault::Twice { user: "7e94b96e-0364-463b-a059-d97d1e4cb1d5".parse().expect("a UUID"), other: 3 },
            Fault::Twice { .. } => return None,
        })
    }

    /// The error after `error`. The compiler asks here for a new one.
    fn next(error: &DiffError) -> Option<DiffError> {
        let (one, other) = (|| "a".to_owned(), || "b".to_owned());
        Some(match error {
            DiffError::Report(InputError::Empty(_)) => {
                DiffError::Report(InputError::Header { name: one(), line: 1, fault: HeaderFault::Twice(other()) })
            }
            DiffError::Report(InputError::Header { .. }) => {
                DiffError::Report(InputError::Unreadable { name: one(), source: io::ErrorKind::NotFound.into() })
            }
            DiffError::Report(_) => DiffError::Journal("old.partial.csv".into()),
            DiffError::Journal(_) => DiffError::BothStandardInput,
            DiffError::BothStandardInput => DiffError::Apart(Apart::Environments(one(), other())),
            DiffError::Apart(Apart::Environments(..)) => DiffError::Apart(Apart::Swapped(one(), other())),
            DiffError::Apart(Apart::Swapped(..)) => DiffError::Apart(Apart::Selections("OLD")),
            DiffError::Apart(Apart::Selections(_)) => line(Fault::Result("x".into())),
            DiffError::Line { .. } => DiffError::Temporary(io::ErrorKind::StorageFull.into()),
            DiffError::Temporary(_) => {
                DiffError::Output(FileError::new("written", std::path::Path::new("standard output"), io::ErrorKind::BrokenPipe.into()))
            }
            DiffError::Output(_) => return None,
        })
    }

    #[test]
    fn each_error_of_a_comparison_says_what_to_do() {
        let first = DiffError::Report(InputError::Empty("old.csv".into()));
        assert_eq!(assert_all_told(first, next, DiffError::hint), 11);
        let form = Fault::Form(RowFault::NotUtf8 { column: "userID".into(), value: "x".into() });
        assert_eq!(assert_all_told(form, next_fault, |fault| fault.hint().to_owned()), 4);
    }
}
