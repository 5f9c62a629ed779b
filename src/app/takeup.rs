//! Where does a run begin: anew, where an earlier one stopped, or not at all, because it has finished?

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

/// The files of a run, which are its alone, and what stands in them.
pub(super) struct Claim {
    pub(super) files: ReportFiles,
    existing: Existing,
    former: Option<RunRecord>,
    /// When the run that is taken up started, and its number.
    origin: Option<(DateTime<Utc>, RunId)>,
    _lock: Lock,
}

/// Where a run begins.
pub(super) enum Standing {
    /// With the first row.
    Anew,
    /// Where the journal ends.
    Unfinished,
    /// Nowhere: the report is there.
    Finished(Box<RunRecord>),
}

impl Claim {
    /// Takes the files, if nobody else has them and what is there may be touched.
    pub(super) fn take(files: ReportFiles, existing: Existing) -> Result<Self, RunError> {
        let lock = Lock::take(&files.lock, &files.report)?;
        if existing == Existing::Keep {
            files.are_new()?;
        }
        let former = if existing == Existing::Resume { former(&files)? } else { None };
        let origin = former.as_ref().map(RunRecord::origin).transpose();
        let origin = origin.map_err(|source| FileError::new("read", &files.record, source))?;
        Ok(Self { files, existing, former, origin, _lock: lock })
    }

    /// When the run started that is taken up.
    pub(super) fn start(&self) -> Option<DateTime<Utc>> {
        self.origin.map(|(start, _)| start)
    }

    /// The run that is taken up.
    pub(super) fn run_id(&self) -> Option<RunId> {
        self.origin.map(|(_, run)| run)
    }

    /// The record of the run that is taken up, if one is.
    pub(super) fn former(&self) -> Option<&RunRecord> {
        self.former.as_ref()
    }

    /// Whether nothing is left to be done of the run of this record but its report, because each of its `rows` is
    /// settled for good.
    pub(super) fn lacks_only_its_report(&self, former: &RunRecord, rows: u64) -> Result<bool, RunError> {
        if former.status == Status::Completed || !self.files.partial.exists() {
            return Ok(former.status != Status::Completed);
        }
        let journal = read_journal(&self.files.partial, rows)?;
        Ok(journal.again.is_empty() && journal.tally.rows() == rows)
    }

    /// Where the run of this `record` begins. One that is not the run to be taken up is refused, and so is
    /// one whose files cannot be written.
    pub(super) fn standing(&self, record: &mut RunRecord) -> Result<Standing, RunError> {
        let Some(former) = &self.former else {
            self.files.try_out()?;
            record.try_out(&self.files.record)?;
            return Ok(Standing::Anew);
        };
        if let Some(difference) = former.difference(record) {
            return Err(OutputError::Another { path: self.files.record.to_path_buf(), difference }.into());
        }
        record.requests = former.requests;
        if !self.files.partial.exists() {
            return Ok(Standing::Finished(Box::new(former.clone())));
        }
        self.files.try_out()?;
        record.try_out(&self.files.record)?;
        Ok(Standing::Unfinished)
    }

    /// The journal of the run that is taken up, if one is.
    pub(super) fn taken_up(&self, standing: &Standing) -> Option<&Path> {
        match standing {
            Standing::Unfinished => Some(&self.files.partial),
            Standing::Anew | Standing::Finished(_) => None,
        }
    }

    /// The journal of a run that begins there, and what stands in it already.
    pub(super) fn journal<'a>(
        &self,
        standing: &Standing,
        operation: Operation,
        record: &mut RunRecord,
        carried: impl Iterator<Item = &'a str>,
    ) -> Result<(Journal, Recovered), RunError> {
        // A read that is not recorded is simply done again.
        record.in_doubt_ahead = Some(if operation.changes() { UNRECORDED as u64 } else { 0 });
        match standing {
            Standing::Unfinished => self.take_up(operation, record, carried),
            Standing::Anew | Standing::Finished(_) => Ok((self.begin(record, carried)?, Recovered::default())),
        }
    }

    /// Goes on where the journal ends. The record is on disk when this returns.
    fn take_up<'a>(
        &self,
        operation: Operation,
        record: &mut RunRecord,
        carried: impl Iterator<Item = &'a str>,
    ) -> Result<(Journal, Recovered), RunError> {
        let (mut file, mut recovered) = reopen_journal(&self.files.partial, record.input.rows.unwrap_or(u64::MAX))?;
        if let Some(former) = self.former.as_ref().filter(|_| operation.changes()) {
            record.take_over_doubt(former, recovered.last_row);
            doubt_failures(&mut file, &self.files.partial, &mut recovered, record.in_doubt_up_to)?;
        }
        record.write(&self.files.record)?;
        let target = Target::File(file, self.files.partial.to_path_buf());
        let journal = if recovered.has_header() { Journal::resume(target)? } else { Journal::start(target, carried)? };
        Ok((journal, recovered))
    }

    /// Begins with the first row. The record and the journal are on disk when this returns; if they cannot
    /// be, nothing is left of them.
    fn begin<'a>(&self, record: &RunRecord, carried: impl Iterator<Item = &'a str>) -> Result<Journal, RunError> {
        if self.existing != Existing::Keep {
            self.files.make_way()?;
        }
        // The journal comes before the record: a record without a journal is one of a run that finished.
        let target = Target::File(self.files.create_partial()?, self.files.partial.to_path_buf());
        let begun = Journal::start(target, carried).and_then(|journal| record.write(&self.files.record).map(|()| journal));
        begun.map_err(|error| {
            // The first error is the one to tell.
            drop(self.files.make_way());
            error.into()
        })
    }

    /// Takes away the traces of a run in which nothing was sent for anybody; but not those of a run whose
    /// record has taken the place of another's.
    pub(super) fn leave_no_traces(&self) -> Result<(), RunError> {
        if self.existing == Existing::Keep { Ok(self.files.remove_traces()?) } else { Ok(()) }
    }
}

/// The record of the run that is to be taken up; `None` if there is nothing to take up.
fn former(files: &ReportFiles) -> Result<Option<RunRecord>, RunError> {
    let record = RunRecord::read(&files.record)?;
    if let Some(difference) = record.as_ref().and_then(|record| record.other_report(&files.report)) {
        return Err(OutputError::Another { path: files.record.to_path_buf(), difference }.into());
    }
    match (&record, files.partial.exists(), files.report.exists()) {
        (Some(former), true, _) => {
            check_journal(&files.partial, former)?;
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
