//! The files of a run: a run begins with none, or resumes where the journal of an earlier process ends, or has finished already.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::error::RunError;
use crate::config::Existing;
use crate::domain::{Operation, RunId};
use crate::file_error::FileError;
use crate::report::{
    Journal, Lock, OutputError, Recovered, ReportFiles, RunRecord, Status, Target, UNRECORDED, check_journal, doubt_failures, read_journal,
    reopen_journal,
};
use crate::run::MOST_WAITING;

/// How many rows beyond the last of a journal may have been sent by a run with so many requests in flight: those, the rows that
/// wait to be retried, and the rows of which no line is on disk yet.
fn unrecorded(concurrency: u16) -> u64 {
    u64::from(concurrency) + (MOST_WAITING + UNRECORDED) as u64
}

/// The files of a run, which no other process may touch, and what stands in them.
pub(super) struct Workspace {
    pub(super) files: ReportFiles,
    existing: Existing,
    former: Option<Former>,
    _lock: Lock,
}

/// The run that is to be resumed.
struct Former {
    record: RunRecord,
    started_at: DateTime<Utc>,
    run_id: RunId,
}

impl Workspace {
    /// Takes the files, if no other process has them and what is there may be touched.
    pub(super) fn open(files: ReportFiles, existing: Existing) -> Result<Self, RunError> {
        let lock = Lock::take(&files.lock, &files.report)?;
        let former = match existing {
            Existing::Keep => {
                files.are_new()?;
                None
            }
            Existing::Overwrite => None,
            Existing::Resume => former(&files)?,
        };
        Ok(Self { files, existing, former, _lock: lock })
    }

    /// When the run that is resumed started, and its number.
    pub(super) fn origin(&self) -> Option<(DateTime<Utc>, RunId)> {
        self.former.as_ref().map(|former| (former.started_at, former.run_id))
    }

    /// The record of the run that is resumed, if one is.
    pub(super) fn former(&self) -> Option<&RunRecord> {
        self.former.as_ref().map(|former| &former.record)
    }

    /// The journal of that run.
    pub(super) fn journal_to_resume(&self) -> Option<&Path> {
        self.former.as_ref().map(|_| &*self.files.partial)
    }

    /// Whether nothing is left to be done of the run of this record but its report, because each of its `rows` is settled for
    /// good.
    pub(super) fn lacks_only_its_report(&self, former: &RunRecord, rows: u64) -> Result<bool, RunError> {
        if former.status == Status::Completed || !self.files.partial.exists() {
            return Ok(former.status != Status::Completed);
        }
        let journal = read_journal(&self.files.partial, rows)?;
        Ok(journal.again.is_empty() && journal.tally.rows() == rows)
    }

    /// Refuses the run of this `record` if it is not the one to be resumed; what that one sent counts for it.
    pub(super) fn refuse_another(&self, record: &mut RunRecord) -> Result<(), RunError> {
        let Some(Former { record: former, .. }) = &self.former else {
            return Ok(());
        };
        if let Some(difference) = former.difference(record) {
            return Err(OutputError::Another { path: self.files.record.to_path_buf(), difference }.into());
        }
        record.requests = former.requests;
        Ok(())
    }

    /// The record of the run that has finished, if it has.
    pub(super) fn finished(&self) -> Option<&RunRecord> {
        let former = self.former.as_ref().filter(|_| !self.files.partial.exists());
        former.map(|former| &former.record)
    }

    /// Finds out whether the files can be written, and leaves what is there as it is.
    pub(super) fn try_out(&self, record: &RunRecord) -> Result<(), RunError> {
        self.files.try_out()?;
        Ok(record.try_out(&self.files.record)?)
    }

    /// Opens the journal, and tells what stands in it already. The record is on disk when this returns.
    pub(super) fn begin(&self, operation: Operation, record: &mut RunRecord, carried: &[&str]) -> Result<(Journal, Recovered), RunError> {
        // A read that is not recorded is simply done again.
        record.in_doubt_ahead = Some(if operation.changes() { unrecorded(record.options.concurrency) } else { 0 });
        match self.former() {
            Some(former) => self.resume(former, operation, record, carried),
            None => Ok((self.begin_anew(record, carried)?, Recovered::default())),
        }
    }

    /// Goes on where the journal ends. The record is on disk when this returns.
    fn resume(
        &self,
        former: &RunRecord,
        operation: Operation,
        record: &mut RunRecord,
        carried: &[&str],
    ) -> Result<(Journal, Recovered), RunError> {
        let (mut file, mut recovered) = reopen_journal(&self.files.partial, record.input.rows.unwrap_or(u64::MAX))?;
        if operation.changes() {
            record.take_over_doubt(former, recovered.last_row);
            doubt_failures(&mut file, &self.files.partial, &mut recovered, record.in_doubt_up_to)?;
        }
        record.write(&self.files.record)?;
        let target = Target::File(file, self.files.partial.to_path_buf());
        let journal = if recovered.has_header() { Journal::resume(target)? } else { Journal::start(target, carried.iter().copied())? };
        Ok((journal, recovered))
    }

    /// Begins with the first row. The record and the journal are on disk when this returns; if they cannot be, nothing is left of
    /// them.
    fn begin_anew(&self, record: &RunRecord, carried: &[&str]) -> Result<Journal, RunError> {
        if self.existing != Existing::Keep {
            self.files.make_way()?;
        }
        // The journal comes before the record: a record without a journal is one of a run that finished.
        let target = Target::File(self.files.create_partial()?, self.files.partial.to_path_buf());
        let begun = Journal::start(target, carried.iter().copied());
        let begun = begun.and_then(|journal| record.write(&self.files.record).map(|()| journal));
        begun.map_err(|error| {
            // The first error is the one to tell.
            drop(self.files.make_way());
            error.into()
        })
    }

    /// Removes the files of a run in which nothing was sent for any user; but not where its record has taken the place of
    /// another's.
    pub(super) fn leave_no_traces(&self) -> Result<(), RunError> {
        if self.existing == Existing::Keep { Ok(self.files.remove_traces()?) } else { Ok(()) }
    }
}

/// The run that is to be resumed; `None` if there is none.
fn former(files: &ReportFiles) -> Result<Option<Former>, RunError> {
    let Some(record) = former_record(files)? else {
        return Ok(None);
    };
    let (started_at, run_id) = record.origin().map_err(|source| FileError::new("read", &files.record, source))?;
    Ok(Some(Former { record, started_at, run_id }))
}

fn former_record(files: &ReportFiles) -> Result<Option<RunRecord>, RunError> {
    let record = RunRecord::read(&files.record)?;
    if let Some(difference) = record.as_ref().and_then(|record| record.other_report(&files.report)) {
        return Err(OutputError::Another { path: files.record.to_path_buf(), difference }.into());
    }
    match (&record, files.partial.exists(), files.report.exists()) {
        (Some(former), true, _) => {
            check_journal(&files.partial, &former.version)?;
            Ok(record)
        }
        (Some(_), false, true) => Ok(record),
        // Its files were taken away, or it ended before it had any.
        (Some(_) | None, false, false) => Ok(None),
        (None, false, true) => Err(OutputError::Exists(files.report.to_path_buf()).into()),
        (None, true, _) if read_journal(&files.partial, u64::MAX).is_ok_and(|journal| journal.tally.rows() == 0) => Ok(None),
        (None, true, _) => Err(OutputError::NoRecord(files.partial.to_path_buf()).into()),
    }
}
