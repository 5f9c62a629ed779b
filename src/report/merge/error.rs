//! Why reports are not merged. Nothing was written then.

use std::path::PathBuf;

use crate::domain::{Shard, shown};
use crate::file_error::FileError;
use crate::report::files::OutputError;

/// What to do once a file can be written.
const AGAIN: &str = "merge again: nothing has the name of the report yet, or `--overwrite` replaces it";

/// Why reports are not merged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("{}: expected a regular file of a shard", shown(.0))]
    NotAFile(PathBuf),
    #[error("{}: there is no such report", shown(.0))]
    NoReport(PathBuf),
    #[error("{}: there is no record of this report's run: expected `{}`", shown(report), shown(record))]
    NoRecord { report: PathBuf, record: PathBuf },
    #[error("{}: this is the report of a whole run, and not of a shard", shown(.0))]
    NotAShard(PathBuf),
    #[error("{}: another process is writing this report", shown(.0))]
    InUse(PathBuf),
    /// `state` is what the record or the journal tells.
    #[error("{}: shard `{shard}` is not finished: {state}", shown(report))]
    Unfinished { report: PathBuf, shard: Shard, state: String },
    #[error("{}: the record's `formatVersion` is `{found}`, expected one of {expected}", shown(path))]
    OtherFormat { path: PathBuf, found: String, expected: String },
    #[error("{}: this is shard `{found}`, and {} is shard `{expected}`: their counts differ", shown(report), shown(first))]
    OtherCount { report: PathBuf, found: Shard, first: PathBuf, expected: Shard },
    /// `difference` is from this shard to the first.
    #[error("{}: this is no shard of the run that {} is a shard of: {difference}", shown(report), shown(first))]
    Another { report: PathBuf, first: PathBuf, difference: String },
    #[error("{}: shard `{shard}` is there twice: {} is it too", shown(again), shown(first))]
    Double { shard: Shard, first: PathBuf, again: PathBuf },
    /// `missing` names them; `first` is one that is there.
    #[error("{}: of {count} shards, {missing}", shown(first))]
    Missing { first: PathBuf, count: u64, missing: String },
    #[error("{}: the report is not as its record says: {fault}", shown(report))]
    NotAsRecorded { report: PathBuf, fault: String },
    #[error("{}: this is not the file of the rows that failed as the shard wrote it: {fault}", shown(path))]
    FailedRows { path: PathBuf, fault: String },
    /// Nothing was sent for the user, because the shards judged one date at different times.
    #[error(
        "{}: row {row} is a `duplicate` for shard `{shard}`, but the earlier row {earlier} of the same user is `invalid` in {}: neither was sent",
        shown(report),
        shown(other)
    )]
    Disagree { report: PathBuf, shard: Shard, row: u64, earlier: u64, other: PathBuf },
    #[error("{}: the file exists, and is not touched without `--overwrite`", shown(.0))]
    Exists(PathBuf),
    /// OUTPUT cannot be written where it was named.
    #[error(transparent)]
    Output(OutputError),
    /// A file of a shard cannot be read.
    #[error(transparent)]
    Reading(FileError),
    /// A file of the merged report cannot be written.
    #[error(transparent)]
    Writing(FileError),
}

impl MergeError {
    /// Whether the disk or a permission is at fault, and not what was asked for.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Reading(_) | Self::Writing(_) | Self::Output(OutputError::File(_)))
    }

    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::NotAFile(_) => "name the reports of the shards, such as `users.0-of-8.report.csv`",
            Self::NoReport(_) => "check the path: the first name is that of the merged report, and those of the shards' reports follow",
            Self::NoRecord { .. } => {
                "name the reports of the shards, such as `users.0-of-8.report.csv`, each with its `.run.json` beside it"
            }
            Self::NotAShard(_) => "name only reports of runs with `--shard`: a whole run's report is complete by itself",
            Self::InUse(_) => "wait until that process has ended",
            Self::Unfinished { .. } => "finish it with its own command and `--resume`, and merge then",
            Self::OtherFormat { .. } => "merge the reports with the version of pingone-bypass that wrote them",
            Self::OtherCount { .. } | Self::Another { .. } => {
                "name the reports of one run: its shards have the same input, options and environment, and the same N of `--shard K/N`"
            }
            Self::Double { .. } => "name each shard once; if both have sent requests, `pingone-bypass diff` tells in what they differ",
            Self::Missing { .. } => "name the reports of all shards, and run what is missing with that `--shard`",
            Self::NotAsRecorded { .. } => "put the report back as its run wrote it: `pingone-bypass verify` tells what has changed",
            Self::FailedRows { .. } => "put the file back as the shard wrote it: mend rows in a copy, or in the merged file",
            Self::Disagree { .. } => {
                "a date at the edge of `--max-window` was valid when one shard started, and not when the other did: run both again, at one time, with `--overwrite`"
            }
            Self::Exists(_) => "name another OUTPUT, or replace what is there with `--overwrite`",
            Self::Output(OutputError::File(error)) | Self::Writing(error) => return error.hint_then(AGAIN),
            Self::Output(OutputError::InUse(_)) => "wait until that run has ended, or name another OUTPUT",
            Self::Output(_) => "name a file of its own as OUTPUT, such as `users.report.csv`",
            Self::Reading(_) => {
                "put the file back as the shard wrote it, and let this user read it; more than some hundred shards need more open files (`ulimit -n`)"
            }
        };
        hint.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_all_told;

    /// The error after `error`. The compiler asks here for a new one.
    fn next(error: &MergeError) -> Option<MergeError> {
        let (path, text) = (|| PathBuf::from("r.csv"), || "x".to_owned());
        let shard: Shard = "1/8".parse().expect("a shard");
        let full = || FileError::new("written", &path(), std::io::ErrorKind::StorageFull.into());
        Some(match error {
            MergeError::NotAFile(_) => MergeError::NoReport(path()),
            MergeError::NoReport(_) => MergeError::NoRecord { report: path(), record: path() },
            MergeError::NoRecord { .. } => MergeError::NotAShard(path()),
            MergeError::NotAShard(_) => MergeError::InUse(path()),
            MergeError::InUse(_) => MergeError::Unfinished { report: path(), shard, state: text() },
            MergeError::Unfinished { .. } => MergeError::OtherFormat { path: path(), found: text(), expected: text() },
            MergeError::OtherFormat { .. } => MergeError::OtherCount { report: path(), found: shard, first: path(), expected: shard },
            MergeError::OtherCount { .. } => MergeError::Another { report: path(), first: path(), difference: text() },
            MergeError::Another { .. } => MergeError::Double { shard, first: path(), again: path() },
            MergeError::Double { .. } => MergeError::Missing { first: path(), count: 8, missing: text() },
            MergeError::Missing { .. } => MergeError::NotAsRecorded { report: path(), fault: text() },
            MergeError::NotAsRecorded { .. } => MergeError::FailedRows { path: path(), fault: text() },
            MergeError::FailedRows { .. } => MergeError::Disagree { report: path(), shard, row: 2, earlier: 1, other: path() },
            MergeError::Disagree { .. } => MergeError::Exists(path()),
            MergeError::Exists(_) => MergeError::Output(OutputError::InUse(path())),
            MergeError::Output(OutputError::InUse(_)) => MergeError::Output(OutputError::NotAFile(path())),
            MergeError::Output(OutputError::File(_)) => {
                MergeError::Reading(FileError::new("read", &path(), std::io::ErrorKind::Other.into()))
            }
            MergeError::Output(_) => MergeError::Output(OutputError::File(full())),
            MergeError::Reading(_) => MergeError::Writing(full()),
            MergeError::Writing(_) => return None,
        })
    }

    #[test]
    fn each_refusal_of_a_merge_says_what_can_be_done() {
        assert_eq!(assert_all_told(MergeError::NotAFile("r.csv".into()), next, MergeError::hint), 20);
    }

    #[test]
    fn only_what_the_disk_refuses_is_of_the_disk() {
        let found: Vec<_> =
            std::iter::successors(Some(MergeError::NotAFile("r.csv".into())), next).filter(MergeError::is_of_the_disk).collect();
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
