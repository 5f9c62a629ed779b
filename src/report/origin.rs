//! Where a report comes from, and whether its run has finished, as far as the record beside it tells.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::files::{OutputError, ReportFiles};
use super::list_record::ReportedRecord;
use super::record::{RunRecord, Status};
use super::shard::ShardRecord;
use crate::domain::Operation;

/// The run that wrote a report.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) environment: String,
    pub(crate) started: DateTime<Utc>,
    /// The selection of users that the report has lines of, as typed; `None` for all.
    pub(crate) only: Option<String>,
    /// What an audit's input was; `None` for other operations.
    pub(crate) audited: Option<String>,
    /// What an audit by PingOne's device report may miss; `None` for any other run.
    pub(crate) caveat: Option<String>,
    /// The SHA-256 of the report that the run wrote.
    pub(crate) sha256: Option<String>,
    /// In what the record's name for its report is another.
    pub(crate) other_name: Option<String>,
}

/// The origin of the report at `report`, as the record beside it has it; `None` if there is none that can be read. A record of
/// another name tells of this report only if the SHA-256 is the same.
pub(crate) fn origin_of(report: &Path) -> Option<Origin> {
    let files = ReportFiles::beside(report).ok()?;
    let (record, _) = RunRecord::read_any(&files.record).ok()??;
    let (started, _) = record.origin().ok()?;
    Some(Origin {
        started,
        audited: (record.operation == Operation::Audit.name()).then(|| audited(&record)),
        caveat: record.input.reported.as_ref().map(ReportedRecord::caveat),
        other_name: record.other_report(report),
        environment: record.environment.id,
        only: record.options.only,
        sha256: record.report.sha256,
    })
}

/// What an audit read: its input, or a share of it.
fn audited(record: &RunRecord) -> String {
    let shard = record.shard.map(|ShardRecord(shard)| format!(", shard {shard}")).unwrap_or_default();
    record.input.identity() + &shard
}

/// Checks that a new run may write `files`: none of them exists. Of a report that exists, its record tells whether its run can be
/// finished.
pub(crate) fn refuse_existing(files: &ReportFiles) -> Result<(), OutputError> {
    match files.are_new() {
        Err(OutputError::Exists(path)) if is_incomplete(files) => Err(OutputError::Incomplete(path)),
        result => result,
    }
}

/// Whether the report is there, and the record beside it says that its run goes on.
fn is_incomplete(files: &ReportFiles) -> bool {
    let record = RunRecord::read(&files.record).ok().flatten();
    files.report.exists() && record.is_some_and(|record| record.status != Status::Completed && record.other_report(&files.report).is_none())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn a_report_whose_record_is_not_complete_can_be_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        assert!(refuse_existing(&files).is_ok());
        std::fs::write(&files.report, "x").expect("written");
        assert!(matches!(refuse_existing(&files), Err(OutputError::Exists(_))), "it may be anybody's");
        for (status, is_finished) in
            [(Status::Running, false), (Status::Stopped, false), (Status::Interrupted, false), (Status::Completed, true)]
        {
            RunRecord { status, ..record() }.write(&files.record).expect("written");
            match refuse_existing(&files) {
                Err(OutputError::Exists(_)) => assert!(is_finished, "{status:?}"),
                Err(OutputError::Incomplete(_)) => assert!(!is_finished, "{status:?}"),
                other => panic!("{status:?}: {other:?}"),
            }
        }
        std::fs::write(&files.partial, "x").expect("written");
        assert!(matches!(refuse_existing(&files), Err(OutputError::Unfinished(_))), "the journal tells more");
    }
}
