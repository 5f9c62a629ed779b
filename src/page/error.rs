//! Errors of `page`, with their hints.

use std::path::PathBuf;

use crate::domain::shown;
use crate::file_error::FileError;
use crate::report::OutputError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// The path names no file.
    #[error(transparent)]
    Path(OutputError),
    #[error("{}: this is the journal of a run that has not finished: expected its report", shown(.0))]
    Journal(PathBuf),
    /// There is a journal, and no report yet.
    #[error("{}: the run has not finished, so there is no report yet: what it has settled is in `{}`", shown(report), shown(journal))]
    Unfinished { report: PathBuf, journal: PathBuf },
    #[error("{}: this is no report and no output of `diff`: its header has no column `{missing}`", shown(path))]
    NotAReport { path: PathBuf, missing: &'static str },
    #[error("{}: the file exists, and is not touched without `--overwrite`", shown(.0))]
    Exists(PathBuf),
    #[error(transparent)]
    Unreadable(FileError),
    #[error(transparent)]
    Record(FileError),
}

impl PageError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Path(_) | Self::Unreadable(_) => "name a report, such as `users.report.csv`",
            Self::Journal(_) | Self::Unfinished { .. } => {
                "wait for the run, or finish it with `--resume`, and make the page of the report that it leaves"
            }
            Self::NotAReport { .. } => "name a report, as `grant`, `audit` and `end` write it, or what `diff` has written to a file",
            Self::Exists(_) => "name another file with `--output`, or replace this one with `--overwrite`",
            Self::Record(_) => "put the record back as the run wrote it, or move it away: the page is then made from the report alone",
        }
    }
}
