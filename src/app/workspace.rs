//! The files of a run. A run starts without any, resumes where the journal of an earlier process ends, or has already finished.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::error::RunError;
use super::source::ResolvedSource;
use crate::config::Existing;
use crate::domain::{Operation, RunId, Shard};
use crate::file_error::FileError;
use crate::report::{
    Journal, JournalIndex, Lock, OutputError, ReportFiles, RunRecord, Target, UNRECORDED, check_journal, check_lookups, doubt_failures,
    index_journal, refuse_existing, reopen_journal,
};
use crate::run::MOST_WAITING;

/// How many rows beyond the journal's last may have been sent by a run with this `concurrency`: those in flight, those waiting
/// to be retried, and those whose lines are not on disk yet.
fn unrecorded(concurrency: u16, shard: Shard) -> u64 {
    // In a shard, each of its rows is so many rows of the input after the one before.
    shard.count() * (u64::from(concurrency) + (MOST_WAITING + UNRECORDED) as u64)
}

/// The files of a run, locked against other processes, and the state of the run to resume.
pub(super) struct Workspace {
    pub(super) files: ReportFiles,
    existing: Existing,
    former: Option<Former>,
    _lock: Lock,
}

/// The run to resume.
struct Former {
    record: RunRecord,
    started_at: DateTime<Utc>,
    run_id: RunId,
}

impl Workspace {
    /// Locks the files. Fails if another process has them, or if existing ones may not be touched.
    pub(super) fn open(files: ReportFiles, existing: Existing) -> Result<Self, RunError> {
        let lock = Lock::take(&files.lock, &files.report)?;
        let former = match existing {
            Existing::Keep => {
                refuse_existing(&files)?;
                None
            }
            Existing::Overwrite => None,
            Existing::Resume => former(&files)?,
        };
        Ok(Self { files, existing, former, _lock: lock })
    }

    /// When the run to resume started, and its ID.
    pub(super) fn origin(&self) -> Option<(DateTime<Utc>, RunId)> {
        self.former.as_ref().map(|former| (former.started_at, former.run_id))
    }

    /// The record of the run to resume, if there is one.
    pub(super) fn former(&self) -> Option<&RunRecord> {
        self.former.as_ref().map(|former| &former.record)
    }

    /// The journal of that run.
    pub(super) fn journal_to_resume(&self) -> Option<&Path> {
        self.former.as_ref().map(|_| &*self.files.partial)
    }

    /// What the journal to resume says, of an input with this many `rows`; nothing in a new run.
    pub(super) fn index(&self, rows: u64) -> Result<JournalIndex, RunError> {
        match self.journal_to_resume() {
            Some(journal) => Ok(index_journal(journal, rows)?),
            None => Ok(JournalIndex::default()),
        }
    }

    /// Checks that the users which the run to resume has looked up, of whose journal `index` tells, are as they were.
    pub(super) fn check_lookups(&self, index: &JournalIndex) -> Result<(), RunError> {
        match self.former().and_then(|former| former.lookup_sha256.as_deref()) {
            Some(sha256) if index.has_header() => Ok(check_lookups(&self.files.lookups, sha256)?),
            Some(_) | None => Ok(()),
        }
    }

    /// Fails if the run of this `record` is not the one to resume. Otherwise takes over what the former record tells
    /// of the run so far: who ran it and how it was confirmed, its requests and holds, and whether its canary has succeeded.
    pub(super) fn refuse_another(&self, record: &mut RunRecord) -> Result<(), RunError> {
        let Some(Former { record: former, .. }) = &self.former else {
            return Ok(());
        };
        if let Some(difference) = former.difference(record) {
            return Err(OutputError::Another { path: self.files.record.to_path_buf(), difference }.into());
        }
        if let (Some(reported), Some(former)) = (&mut record.input.reported, &former.input.reported) {
            reported.users_at_first = former.users_at_first.or(former.users);
        }
        record.requests = former.requests;
        record.holds = former.holds.clone();
        record.lookup_sha256.clone_from(&former.lookup_sha256);
        record.canary_succeeded = former.canary_succeeded;
        record.reason = record.reason.take().or_else(|| former.reason.clone());
        // They hold until this process sends something too.
        record.operator.clone_from(&former.operator);
        record.confirmed.clone_from(&former.confirmed);
        record.earlier.clone_from(&former.earlier);
        record.end_dates.clone_from(&former.end_dates);
        Ok(())
    }

    /// The record of the run, if it has finished.
    pub(super) fn finished(&self) -> Option<&RunRecord> {
        let former = self.former.as_ref().filter(|_| !self.files.partial.exists());
        former.map(|former| &former.record)
    }

    /// Checks that the files can be written, without changing existing ones.
    pub(super) fn try_out(&self, record: &RunRecord) -> Result<(), RunError> {
        self.files.try_out()?;
        Ok(record.try_out(&self.files.record)?)
    }

    /// Opens the journal, of which `index` says what it already contains. The record is on disk when this returns.
    pub(super) fn begin(
        &self,
        operation: Operation,
        record: &mut RunRecord,
        source: &impl ResolvedSource,
        index: &mut JournalIndex,
    ) -> Result<Journal, RunError> {
        // A read whose line is lost is simply repeated.
        record.in_doubt_ahead = Some(if operation.changes() { unrecorded(record.options.concurrency, record.shard()) } else { 0 });
        match self.former() {
            Some(former) => self.resume(former, operation, record, source, index),
            None => self.begin_new(record, source),
        }
    }

    /// Continues at the end of the journal. The record is on disk when this returns.
    fn resume(
        &self,
        former: &RunRecord,
        operation: Operation,
        record: &mut RunRecord,
        source: &impl ResolvedSource,
        index: &mut JournalIndex,
    ) -> Result<Journal, RunError> {
        let mut file = reopen_journal(&self.files.partial, index)?;
        if operation.changes() {
            record.take_over_doubt(former, index.last_row);
            doubt_failures(&mut file, &self.files.partial, index, record.in_doubt_up_to)?;
        }
        if !index.has_header() {
            record.lookup_sha256 = source.keep_users(&self.files.lookups)?;
        }
        record.keep_earlier(former);
        record.write(&self.files.record)?;
        let target = Target::File(file, self.files.partial.to_path_buf());
        if index.has_header() { Ok(Journal::resume(target)?) } else { Ok(Journal::start(target, source.carried_names().into_iter())?) }
    }

    /// Starts with the first row. The looked-up users, the record and the journal are on disk when this returns. If they cannot
    /// be written, none is left behind.
    fn begin_new(&self, record: &mut RunRecord, source: &impl ResolvedSource) -> Result<Journal, RunError> {
        if self.existing != Existing::Keep {
            self.files.make_way()?;
        }
        // The journal comes first: a record without a journal means a finished run.
        let target = Target::File(self.files.create_partial()?, self.files.partial.to_path_buf());
        let begun = Journal::start(target, source.carried_names().into_iter()).and_then(|journal| {
            record.lookup_sha256 = source.keep_users(&self.files.lookups)?;
            record.write(&self.files.record)?;
            Ok(journal)
        });
        begun.map_err(|error| {
            // The first error is the one to report.
            drop(self.files.make_way());
            error.into()
        })
    }

    /// Removes the files of a run that sent nothing for any user, unless its record has replaced another run's.
    pub(super) fn remove_traces(&self) -> Result<(), RunError> {
        if self.existing == Existing::Keep { Ok(self.files.remove_traces()?) } else { Ok(()) }
    }
}

/// The run to resume; `None` if there is none.
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
        // Its files were removed, or it ended before it had any.
        (Some(_) | None, false, false) => Ok(None),
        (None, false, true) => Err(OutputError::Exists(files.report.to_path_buf()).into()),
        (None, true, _) if index_journal(&files.partial, u64::MAX).is_ok_and(|journal| journal.tally.rows() == 0) => Ok(None),
        (None, true, _) => Err(OutputError::NoRecord(files.partial.to_path_buf()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_may_have_sent_rows_that_are_farther_ahead() {
        let all = unrecorded(64, Shard::default());
        assert!(all > 64);
        assert_eq!(unrecorded(64, "3/8".parse().expect("a shard")), 8 * all);
    }
}
