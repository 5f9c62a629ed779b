//! Which files does a run write, and may it?

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::FileError;
use crate::domain::shown;

/// Files are for their owner's eyes alone.
pub(super) const MODE: u32 = 0o600;

/// How the name of a journal ends.
const JOURNAL: &str = ".partial.csv";

/// Whether the file at `path` has the name of a journal, which is not told from a report by what stands in it.
pub(crate) fn is_journal(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(JOURNAL.as_bytes()))
}

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
    /// The run's record.
    pub(crate) record: PathBuf,
    /// The rows that failed.
    pub(crate) failed: PathBuf,
    /// Held by the run that writes them.
    pub(crate) lock: PathBuf,
}

/// Why no report can be written there. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It would replace what is there.
    #[error("{}: the file exists, and is not touched without `--overwrite`", shown(.0))]
    Exists(PathBuf),
    /// An earlier run has not finished.
    #[error("{}: an earlier run of this report has not finished: this is what it has settled", shown(.0))]
    Unfinished(PathBuf),
    /// Another run is writing it.
    #[error("{}: another run is writing this report", shown(.0))]
    InUse(PathBuf),
    /// There is a journal, and no record of whose it is.
    #[error("{}: there is no record of the run that this is the journal of", shown(.0))]
    NoRecord(PathBuf),
    /// The report is not the one of the run that was to be taken up.
    #[error("{}: this is not the report of the run that its record tells of", shown(.0))]
    NotItsReport(PathBuf),
    /// The run to be taken up is another one.
    #[error("{}: the run cannot be taken up: {difference}", shown(path))]
    Another {
        /// The record of the run.
        path: PathBuf,
        /// What is not the same.
        difference: String,
    },
    /// Standard output cannot be taken up.
    #[error("a run whose report goes to standard output cannot be taken up")]
    NoResume,
    /// It is the input.
    #[error("{}: the report would replace the input", shown(.0))]
    IsTheInput(PathBuf),
    /// It is not a place for a file.
    #[error("{}: expected the path of a file", shown(.0))]
    NotAFile(PathBuf),
}

impl OutputError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(_) | Self::IsTheInput(_) => Some("name another report with `--output`".into()),
            Self::Unfinished(_) => Some("take the run up with `--resume`, or discard it with `--overwrite`".into()),
            Self::NoRecord(_) | Self::NotItsReport(_) | Self::Another { .. } => {
                Some("name another report with `--output`, or discard what is there with `--overwrite`".into())
            }
            Self::NotAFile(_) | Self::InUse(_) | Self::NoResume => None,
        }
    }
}

impl ReportFiles {
    /// The files of the report at `report`: `NAME.partial.csv` beside `NAME.csv`.
    pub(crate) fn beside(report: &Path) -> Result<Self, OutputError> {
        let not_a_file = || OutputError::NotAFile(report.to_owned());
        let name = report.file_name().ok_or_else(not_a_file)?;
        // A rename would put the report in the place of a device or a link.
        if report.symlink_metadata().is_ok_and(|there| !there.is_file()) {
            return Err(not_a_file());
        }
        let is_csv = report.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let stem = if is_csv { report.file_stem().unwrap_or(name) } else { name };
        let beside = |before: &str, after: &str| {
            let mut name = OsString::from(before);
            name.push(stem);
            name.push(after);
            report.with_file_name(name)
        };
        Ok(Self {
            report: report.to_owned(),
            partial: beside("", JOURNAL),
            ordered: beside("", ".partial.csv.tmp"),
            record: beside("", ".run.json"),
            failed: beside("", ".failed.csv"),
            lock: beside(".", ".lock"),
        })
    }

    /// Whether the `input` is none of them.
    pub(crate) fn spare(&self, input: &Path) -> Result<(), OutputError> {
        let input = if input.as_os_str() == "-" { Path::new("/dev/stdin") } else { input };
        let own = [&self.report, &self.partial, &self.ordered, &self.record, &self.failed, &self.lock];
        match own.into_iter().find(|path| is_same_file(input, path)) {
            Some(path) => Err(OutputError::IsTheInput(path.clone())),
            None => Ok(()),
        }
    }

    /// Whether none of them is there, so that a run may begin.
    pub(crate) fn are_new(&self) -> Result<(), OutputError> {
        let there = |path: &&PathBuf| path.symlink_metadata().is_ok();
        if there(&&self.partial) {
            return Err(OutputError::Unfinished(self.partial.clone()));
        }
        match [&self.report, &self.failed, &self.record, &self.ordered].into_iter().find(there) {
            Some(path) => Err(OutputError::Exists(path.clone())),
            None => Ok(()),
        }
    }

    /// The files of a run that has finished, those that are there.
    pub(crate) fn finished(&self) -> Vec<PathBuf> {
        [&self.report, &self.failed, &self.record].into_iter().filter(|path| path.exists()).cloned().collect()
    }

    /// Makes way for the journal of a run that may overwrite an earlier one, whose other files stay until
    /// others take their place.
    pub(crate) fn make_way(&self) -> Result<(), FileError> {
        [&self.ordered, &self.partial].into_iter().try_for_each(|path| remove_if_there(path))
    }

    /// Removes what a run leaves in which nothing was settled.
    pub(crate) fn remove_traces(&self) -> Result<(), FileError> {
        [&self.record, &self.partial].into_iter().try_for_each(|path| remove_if_there(path))
    }

    /// Begins the journal. The report itself is not touched before another takes its place.
    pub(crate) fn create_partial(&self) -> Result<File, FileError> {
        let partial = create_new(&self.partial)?;
        sync_folder_of(&self.partial)?;
        Ok(partial)
    }
}

/// Creates the file at `path`, readable by its owner alone; one that is there already, or a link, is an
/// error.
pub(super) fn create_new(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(MODE);
    options.open(path).map_err(|source| FileError::new("created", path, source))
}

/// Sees to it that what was created or renamed at `path` is there after a power cut.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| FileError::new("written to disk", folder, source))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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
        assert!(files.are_new().is_ok());
        for path in [&files.report, &files.record, &files.failed] {
            fs::write(path, "x").expect("written");
            assert!(matches!(files.are_new(), Err(OutputError::Exists(_))));
            let input = folder.path().join("link.csv");
            std::os::unix::fs::symlink(path, &input).expect("a link");
            assert!(matches!(files.spare(&input), Err(OutputError::IsTheInput(_))));
            fs::remove_file(input).expect("there");
            fs::remove_file(path).expect("there");
        }
        fs::write(&files.partial, "x").expect("written");
        assert!(matches!(files.are_new(), Err(OutputError::Unfinished(_))));
        assert!(files.spare(Path::new("nowhere.csv")).is_ok());
    }
}
