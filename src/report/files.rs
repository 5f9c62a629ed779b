//! The files that a run writes, and the checks before it may write them.

mod own;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

pub(crate) use self::own::Replaced;
pub(super) use self::own::{Draft, OwnPath, create_new, folder_of, open_or_create, remove_if_there, rename, sync_folder_of};
use crate::domain::shown;

use self::own::file_name;
use crate::file_error::FileError;

/// The suffix of a journal's name.
const JOURNAL: &str = ".partial.csv";

/// Whether the file at `path` is named as a journal. Its content does not distinguish it from a report.
pub(crate) fn is_journal(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(JOURNAL.as_bytes()))
}

/// Where the report goes.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// To standard output, as rows settle.
    StandardOutput,
    /// To files.
    Files(Box<ReportFiles>),
}

/// The report and the files beside it.
#[derive(Debug, Clone)]
pub(crate) struct ReportFiles {
    pub(crate) report: OwnPath,
    /// The journal, with lines in the order in which rows settle.
    pub(crate) partial: OwnPath,
    /// The temporary file in which the lines are sorted.
    pub(crate) ordered: OwnPath,
    /// The run record.
    pub(crate) record: Replaced,
    /// The failed rows.
    pub(crate) failed: Replaced,
    /// The users found for rows that do not name theirs by ID, until the report is published.
    pub(crate) lookups: Replaced,
    /// The lock held by the run that writes these files.
    pub(crate) lock: OwnPath,
}

/// Why the report cannot be written. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("{}: the file exists, and is not touched without `--overwrite`", shown(.0))]
    Exists(PathBuf),
    /// It crashed after its report was there and before its record was complete.
    #[error("{}: the run of this report has not finished: its record is not complete", shown(.0))]
    Incomplete(PathBuf),
    #[error("{}: an earlier run of this report has not finished: this is what it has settled", shown(.0))]
    Unfinished(PathBuf),
    #[error("{}: another run is writing this report", shown(.0))]
    InUse(PathBuf),
    /// Of a list of users.
    #[error("{}: the file exists, and is not touched without `--overwrite`", shown(.0))]
    ListExists(PathBuf),
    #[error("{}: another process is writing this file", shown(.0))]
    ListInUse(PathBuf),
    #[error("{}: the run cannot be resumed: the file of the users that it found is not there", shown(.0))]
    NoLookups(PathBuf),
    #[error("{}: the run cannot be resumed: this is not the file of the users that it found: {fault}", shown(path))]
    BadLookups { path: PathBuf, fault: String },
    #[error("{}: there is no record of the run that this is the journal of", shown(.0))]
    NoRecord(PathBuf),
    #[error("{}: this is not the report of the run that its record tells of", shown(.0))]
    NotItsReport(PathBuf),
    #[error("{}: the run cannot be taken up: {difference}", shown(path))]
    Another { path: PathBuf, difference: String },
    /// Of a run that still has rows to do.
    #[error("{}: the run cannot be taken up: the input's SHA-256 was `{was}` and is `{is}`", shown(path))]
    AnotherInput { path: PathBuf, was: String, is: String },
    /// `writer` is the version of the program that wrote the record.
    #[error("{}: the run cannot be resumed: the record's `formatVersion` is `{found}`, expected one of {expected}", shown(path))]
    OtherFormat { path: PathBuf, found: String, expected: String, writer: Option<String> },
    #[error("{}: the run cannot be resumed: this version of pingone-bypass writes other columns than this journal has", shown(path))]
    OtherColumns { path: PathBuf, writer: String },
    #[error("a run whose report goes to standard output cannot be taken up")]
    NoResume,
    /// `option` names what is written.
    #[error("{}: {what} would replace {other}", shown(path))]
    WouldReplace { path: PathBuf, what: &'static str, other: String, option: &'static str },
    #[error("{}: {what} would replace {kind}: expected a regular file, or none", shown(path))]
    NotRegular { path: PathBuf, what: &'static str, kind: &'static str, option: &'static str },
    #[error("{}: the metrics file would replace another file: expected metrics of an earlier run, or none", shown(.0))]
    NotMetrics(PathBuf),
    #[error("{}: expected the path of a file", shown(.0))]
    NotAFile(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
}

impl OutputError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Exists(_) => "name another report with `--output`, or replace what is there with `--overwrite`",
            Self::Incomplete(_) => "finish the run with `--resume`, which sends nothing that is settled, or discard it with `--overwrite`",
            Self::Unfinished(_) => "take the run up with `--resume`, or discard it with `--overwrite`",
            Self::InUse(_) => "wait until that run has ended, or name another report with `--output`",
            Self::ListExists(_) => "name another file with `--output`, or replace what is there with `--overwrite`",
            Self::ListInUse(_) => "wait until that process has ended, or name another file with `--output`",
            Self::NotMetrics(_) => "name another file with `--metrics-file`",
            Self::NoLookups(_) | Self::BadLookups { .. } => {
                "put the file back as it was: looked up again, a name may be another user's; or name another report with `--output`"
            }
            Self::Another { .. } => {
                "say what was said when the run began; or name another report with `--output`, or discard what is there with `--overwrite`"
            }
            Self::NoRecord(_) | Self::NotItsReport(_) => "name another report with `--output`, or discard what is there with `--overwrite`",
            Self::AnotherInput { .. } => {
                "restore the input as it was when the run began: the record has its SHA-256; or name another report with `--output`"
            }
            Self::OtherFormat { writer: None, .. } => {
                "resume it with the version of pingone-bypass that wrote the record, or discard it with `--overwrite`"
            }
            Self::OtherFormat { writer: Some(writer), .. } => {
                return format!("resume it with pingone-bypass `{writer}`, which wrote the record, or discard it with `--overwrite`");
            }
            Self::OtherColumns { writer, .. } => {
                return format!(
                    "resume it with pingone-bypass `{writer}` and the journal as that version wrote it, or discard it with `--overwrite`"
                );
            }
            Self::NoResume => "leave `--resume` out and do all rows again, or write the report to a file with `--output`",
            Self::WouldReplace { option, .. } | Self::NotRegular { option, .. } => return format!("name another file with `{option}`"),
            Self::NotAFile(_) => "name a file in the folder, such as `reports/users.csv`",
            Self::File(error) => return error.hint(),
        };
        hint.to_owned()
    }
}

impl ReportFiles {
    /// The files of the report at `report`: `NAME.partial.csv` beside `NAME.csv`.
    pub(crate) fn beside(report: &Path) -> Result<Self, OutputError> {
        let name = file_name(report)?;
        let is_csv = report.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let stem = if is_csv { report.file_stem().unwrap_or(name) } else { name };
        let beside = |before: &str, after: &str| {
            let mut name = OsString::from(before);
            name.push(stem);
            name.push(after);
            report.with_file_name(name)
        };
        Ok(Self {
            report: OwnPath::of(report.to_owned()),
            partial: OwnPath::of(beside("", JOURNAL)),
            ordered: OwnPath::of(beside("", ".partial.csv.tmp")),
            record: Replaced::of(beside("", ".run.json")),
            failed: Replaced::of(beside("", ".failed.csv")),
            lookups: Replaced::of(beside("", ".lookup.csv")),
            lock: OwnPath::of(beside(".", ".lock")),
        })
    }

    /// Every path that is written, with the name of what is written there.
    pub(super) fn written(&self) -> [(&'static str, &OwnPath); 10] {
        let Self { report, partial, ordered, record, failed, lookups, lock } = self;
        let [record_path, record_beside] = record.written();
        let [failed_path, failed_beside] = failed.written();
        let [lookups_path, lookups_beside] = lookups.written();
        [
            ("the report", report),
            ("the journal", partial),
            ("the report, while it is put in order,", ordered),
            ("the run's record", record_path),
            ("the run's record, while it is written,", record_beside),
            ("the file of the rows that failed", failed_path),
            ("the file of the rows that failed, while it is written,", failed_beside),
            ("the file of the users that were found", lookups_path),
            ("the file of the users that were found, while it is written,", lookups_beside),
            ("the lock of the report", lock),
        ]
    }

    /// Checks that none of them exists, so that a run may start.
    pub(crate) fn are_new(&self) -> Result<(), OutputError> {
        let there = |path: &OwnPath| path.symlink_metadata().is_ok();
        if there(&self.partial) {
            return Err(OutputError::Unfinished(self.partial.to_path_buf()));
        }
        // The lock file may exist: it belongs to its holder.
        let theirs = self.written().into_iter().map(|(_, path)| path).filter(|path| **path != self.lock);
        match theirs.into_iter().find(|path| there(path)) {
            Some(path) => Err(OutputError::Exists(path.to_path_buf())),
            None => Ok(()),
        }
    }

    /// The existing files of a finished run.
    pub(crate) fn finished(&self) -> Vec<PathBuf> {
        let all: [&Path; 3] = [&self.report, &self.failed, &self.record];
        all.into_iter().filter(|path| path.exists()).map(Path::to_owned).collect()
    }

    /// Checks that the files written at the end can be written, without changing existing ones.
    pub(crate) fn try_out(&self) -> Result<(), FileError> {
        remove_if_there(&self.ordered)?;
        create_new(&self.ordered)?;
        remove_if_there(&self.ordered)?;
        self.failed.try_out(|_| Ok(()))
    }

    /// Removes the journal of an earlier run that is to be overwritten. Its other files stay until they are replaced.
    pub(crate) fn make_way(&self) -> Result<(), FileError> {
        [&self.ordered, &self.partial].into_iter().try_for_each(remove_if_there)?;
        self.lookups.remove_if_there()
    }

    /// Removes the files of a run in which no row was settled.
    pub(crate) fn remove_traces(&self) -> Result<(), FileError> {
        self.record.remove_if_there()?;
        self.lookups.remove_if_there()?;
        remove_if_there(&self.partial)
    }

    /// Creates the journal. An existing report is not touched until the new one replaces it.
    pub(crate) fn create_partial(&self) -> Result<File, FileError> {
        let partial = create_new(&self.partial)?;
        sync_folder_of(&self.partial)?;
        Ok(partial)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::hint_tests::assert_all_told;

    #[test]
    fn the_journal_stands_beside_the_report() {
        for (report, partial) in [
            ("a/grants.report.csv", "a/grants.report.partial.csv"),
            ("out.CSV", "out.partial.csv"),
            ("out.txt", "out.txt.partial.csv"),
            (".csv", ".csv.partial.csv"),
        ] {
            let files = ReportFiles::beside(Path::new(report)).expect("a file");
            assert_eq!(&*files.partial, Path::new(partial));
        }
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        assert!(files.are_new().is_ok());
        for (what, path) in files.written() {
            fs::write(path, "x").expect("written");
            match what {
                "the journal" => assert!(matches!(files.are_new(), Err(OutputError::Unfinished(_)))),
                "the lock of the report" => assert!(files.are_new().is_ok(), "this run holds it, or no run does"),
                _ => assert!(matches!(files.are_new(), Err(OutputError::Exists(_))), "{what}"),
            }
            fs::remove_file(path).expect("there");
        }
    }

    #[test]
    fn journals_are_known_by_their_names() {
        for (name, expected) in [
            ("a/r.partial.csv", true),
            (".partial.csv", true),
            ("partial.csv", false),
            ("r.csv", false),
            ("r.partial.csv/x", false),
            ("/", false),
        ] {
            assert_eq!(is_journal(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_run_leaves_its_report_its_record_and_what_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        let there = || {
            let mut names: Vec<_> =
                fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
            names.sort();
            names.into_iter().map(|name| name.into_string().expect("UTF-8")).collect::<Vec<_>>().join(" ")
        };
        let write_all = || files.written().iter().for_each(|(_, path)| fs::write(path, "x").expect("written"));
        let names = |paths: &[PathBuf]| paths.iter().filter_map(|path| path.file_name()?.to_str()).collect::<Vec<_>>().join(" ");
        assert!(files.finished().is_empty());
        files.try_out().expect("a folder that may be written");
        assert_eq!(there(), "", "to try leaves nothing");
        files.create_partial().expect("created");
        assert_eq!(there(), "r.partial.csv");
        assert!(files.create_partial().is_err(), "one that is there is somebody's");
        write_all();
        assert_eq!(names(&files.finished()), "r.csv r.failed.csv r.run.json");
        files.make_way().expect("removed");
        assert_eq!(there(), ".r.lock r.csv r.failed.csv r.failed.csv.tmp r.run.json r.run.json.tmp");
        write_all();
        files.remove_traces().expect("removed");
        assert_eq!(there(), ".r.lock r.csv r.failed.csv r.failed.csv.tmp r.partial.csv.tmp");
        fs::remove_file(&*files.ordered).expect("there");
        fs::create_dir(&*files.ordered).expect("created");
        assert!(files.try_out().is_err() && files.make_way().is_err(), "a folder is in the way");
    }

    /// The refusal after `error`. The compiler asks here for a new one.
    fn next(error: &OutputError) -> Option<OutputError> {
        let (path, text) = (|| PathBuf::from("r.csv"), || "x".to_owned());
        Some(match error {
            OutputError::Exists(_) => OutputError::Incomplete(path()),
            OutputError::Incomplete(_) => OutputError::Unfinished(path()),
            OutputError::Unfinished(_) => OutputError::InUse(path()),
            OutputError::InUse(_) => OutputError::ListExists(path()),
            OutputError::ListExists(_) => OutputError::ListInUse(path()),
            OutputError::ListInUse(_) => OutputError::NoLookups(path()),
            OutputError::NoLookups(_) => OutputError::BadLookups { path: path(), fault: text() },
            OutputError::BadLookups { .. } => OutputError::NoRecord(path()),
            OutputError::NoRecord(_) => OutputError::NotItsReport(path()),
            OutputError::NotItsReport(_) => OutputError::Another { path: path(), difference: text() },
            OutputError::Another { .. } => OutputError::AnotherInput { path: path(), was: text(), is: text() },
            OutputError::AnotherInput { .. } => {
                OutputError::OtherFormat { path: path(), found: text(), expected: text(), writer: Some(text()) }
            }
            OutputError::OtherFormat { writer: Some(_), .. } => {
                OutputError::OtherFormat { path: path(), found: text(), expected: text(), writer: None }
            }
            OutputError::OtherFormat { writer: None, .. } => OutputError::OtherColumns { path: path(), writer: text() },
            OutputError::OtherColumns { .. } => OutputError::NoResume,
            OutputError::NoResume => {
                OutputError::WouldReplace { path: path(), what: "the report", other: "the input".into(), option: "--output" }
            }
            OutputError::WouldReplace { .. } => {
                OutputError::NotRegular { path: path(), what: "the report", kind: "a device", option: "--output" }
            }
            OutputError::NotRegular { .. } => OutputError::NotMetrics(path()),
            OutputError::NotMetrics(_) => OutputError::NotAFile(path()),
            OutputError::NotAFile(_) => FileError::new("created", &path(), std::io::ErrorKind::StorageFull.into()).into(),
            OutputError::File(_) => return None,
        })
    }

    #[test]
    fn each_refusal_of_a_path_says_what_can_be_done() {
        let count = assert_all_told(OutputError::Exists("r.csv".into()), next, OutputError::hint);
        assert_eq!(count, 21);
    }

    #[test]
    fn the_path_of_a_folder_is_none_of_a_file() {
        for bad in ["/", "..", "", "out.csv/", "out.csv/.", "."] {
            assert!(ReportFiles::beside(Path::new(bad)).is_err() && Replaced::named(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
