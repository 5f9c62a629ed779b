//! Which files does a run write, and may it?

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::FileError;

/// Files are for their owner's eyes alone.
const MODE: u32 = 0o600;

/// Where the report goes.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// To standard output, as rows settle.
    StandardOutput,
    /// Into files.
    Files(ReportFiles),
}

/// The report and the files beside it.
#[derive(Debug, Clone)]
pub(crate) struct ReportFiles {
    pub(crate) report: PathBuf,
    /// The journal: lines as rows settle.
    pub(crate) partial: PathBuf,
    /// Where the lines are put in order.
    pub(crate) ordered: PathBuf,
}

/// Why no report can be written there. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It would replace what is there.
    #[error("{}: the file exists, and is not touched without `--overwrite`", .0.display())]
    Exists(PathBuf),
    /// An earlier run has not finished.
    #[error("{}: an earlier run of this report has not finished: this is what it has settled", .0.display())]
    Unfinished(PathBuf),
    /// It is the input.
    #[error("{}: the report would replace the input", .0.display())]
    IsTheInput(PathBuf),
    /// It is not a place for a file.
    #[error("{}: expected the path of a file", .0.display())]
    NotAFile(PathBuf),
}

impl OutputError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(_) | Self::IsTheInput(_) => Some("name another report with `--output`".into()),
            Self::Unfinished(_) => Some("name another report with `--output`, or discard what is there with `--overwrite`".into()),
            Self::NotAFile(_) => None,
        }
    }
}

impl ReportFiles {
    /// The files of the report at `report`: `NAME.partial.csv` beside `NAME.csv`.
    pub(crate) fn beside(report: &Path) -> Result<Self, OutputError> {
        let not_a_file = || OutputError::NotAFile(report.to_owned());
        let name = report.file_name().and_then(|name| name.to_str()).ok_or_else(not_a_file)?;
        if report.is_dir() {
            return Err(not_a_file());
        }
        let is_csv = name.len() > 4 && name.is_char_boundary(name.len() - 4) && name[name.len() - 4..].eq_ignore_ascii_case(".csv");
        let stem = if is_csv { &name[..name.len() - 4] } else { name };
        Ok(Self {
            report: report.to_owned(),
            partial: report.with_file_name(format!("{stem}.partial.csv")),
            ordered: report.with_file_name(format!("{stem}.partial.csv.tmp")),
        })
    }

    /// Whether a run may write them: nothing is there, or it may be overwritten, and none is the `input`.
    pub(crate) fn may_be_written(&self, input: Option<&Path>, overwrite: bool) -> Result<(), OutputError> {
        let own = [&self.report, &self.partial, &self.ordered];
        if let Some(path) = own.into_iter().find(|path| input.is_some_and(|input| is_same_file(input, path))) {
            return Err(OutputError::IsTheInput(path.clone()));
        }
        if overwrite {
            return Ok(());
        }
        if self.partial.symlink_metadata().is_ok() {
            return Err(OutputError::Unfinished(self.partial.clone()));
        }
        if self.report.symlink_metadata().is_ok() {
            return Err(OutputError::Exists(self.report.clone()));
        }
        Ok(())
    }

    /// Begins the journal. The report itself is not touched before another takes its place.
    pub(crate) fn create_partial(&self, overwrite: bool) -> Result<File, FileError> {
        if overwrite {
            remove_if_there(&self.partial)?;
        }
        create_new(&self.partial)
    }

    pub(crate) fn remove_partial(&self) -> Result<(), FileError> {
        remove_if_there(&self.partial)
    }
}

/// Creates the file at `path`, readable by its owner alone; one that is there already, or a link, is an
/// error.
pub(super) fn create_new(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(MODE);
    options.open(path).map_err(|source| FileError::new("created", path, source))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new("removed", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_stands_beside_the_report() {
        for (report, partial) in [
            ("a/grants.report.csv", "a/grants.report.partial.csv"),
            ("out.CSV", "out.partial.csv"),
            ("out.txt", "out.txt.partial.csv"),
            (".csv", ".csv.partial.csv"),
        ] {
            let files = ReportFiles::beside(Path::new(report)).expect("a file");
            assert_eq!(files.partial, Path::new(partial));
        }
        for bad in ["/", "..", ""] {
            assert!(ReportFiles::beside(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_there_is_not_touched_and_the_input_never_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        assert!(files.may_be_written(None, false).is_ok());
        fs::write(&files.report, "x").expect("written");
        assert!(matches!(files.may_be_written(None, false), Err(OutputError::Exists(_))));
        assert!(files.may_be_written(None, true).is_ok());
        let input = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&files.report, &input).expect("a link");
        assert!(matches!(files.may_be_written(Some(&input), true), Err(OutputError::IsTheInput(_))));
        fs::rename(&files.report, &files.partial).expect("renamed");
        assert!(matches!(files.may_be_written(None, false), Err(OutputError::Unfinished(_))));
    }
}
