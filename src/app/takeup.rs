//! Where does a run begin: anew, where an earlier one stopped, or not at all, because it has finished?

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::config::Existing;
use crate::domain::RunId;
use crate::error::RunError;
use crate::report::{Journal, Lock, OutputError, Recovered, ReportFiles, RunRecord, Target, read_journal, reopen_journal};

/// The files of a run, which are its alone, and what stands in them.
pub(super) struct Claim {
    pub(super) files: ReportFiles,
    existing: Existing,
    former: Option<RunRecord>,
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
        Ok(Self { files, existing, former, _lock: lock })
    }

    /// When the run started, in whole milliseconds: now, or when the one started that is taken up.
    pub(super) fn start(&self) -> DateTime<Utc> {
        let started = self.former.as_ref().and_then(|former| former.started_at.parse().ok());
        started.unwrap_or_else(now)
    }

    /// The run that is taken up.
    pub(super) fn run_id(&self) -> Option<RunId> {
        self.former.as_ref().and_then(|former| former.run_id.parse().ok())
    }

    /// Where the run of this `record` begins. One that is not the run to be taken up is refused, and so is
    /// one whose files cannot be written.
    pub(super) fn standing(&self, record: &mut RunRecord) -> Result<Standing, RunError> {
        let Some(former) = &self.former else {
            record.try_out(&self.files.record)?;
            return Ok(Standing::Anew);
        };
        if let Some(difference) = former.difference(record) {
            return Err(OutputError::Another { path: self.files.record.clone(), difference }.into());
        }
        record.requests = former.requests;
        if !self.files.partial.exists() {
            return Ok(Standing::Finished(Box::new(former.clone())));
        }
        record.try_out(&self.files.record)?;
        Ok(Standing::Unfinished)
    }

    /// Goes on where the journal ends. The record is on disk when this returns.
    pub(super) fn take_up<'a>(&self, record: &RunRecord, carried: impl Iterator<Item = &'a str>) -> Result<(Journal, Recovered), RunError> {
        record.write(&self.files.record)?;
        let (file, recovered) = reopen_journal(&self.files.partial)?;
        let target = Target::File(file, self.files.partial.clone());
        let journal = if recovered.has_header() { Journal::resume(target)? } else { Journal::start(target, carried)? };
        Ok((journal, recovered))
    }

    /// Begins with the first row. The record and the journal are on disk when this returns.
    pub(super) fn begin<'a>(&self, record: &RunRecord, carried: impl Iterator<Item = &'a str>) -> Result<Journal, RunError> {
        if self.existing != Existing::Keep {
            self.files.make_way()?;
        }
        // The journal comes before the record: a record without a journal is one of a run that finished.
        let target = Target::File(self.files.create_partial()?, self.files.partial.clone());
        let journal = Journal::start(target, carried)?;
        record.write(&self.files.record)?;
        Ok(journal)
    }
}

/// The record of the run that is to be taken up; `None` if there is nothing to take up.
fn former(files: &ReportFiles) -> Result<Option<RunRecord>, RunError> {
    let record = RunRecord::read(&files.record)?;
    match (&record, files.partial.exists(), files.report.exists()) {
        (Some(_), true, _) | (Some(_), false, true) => Ok(record),
        // Its files were taken away, or it ended before it had any.
        (Some(_) | None, false, false) => Ok(None),
        (None, false, true) => Err(OutputError::Exists(files.report.clone()).into()),
        (None, true, _) if read_journal(&files.partial)?.tally.rows() == 0 => Ok(None),
        (None, true, _) => Err(OutputError::NoRecord(files.partial.clone()).into()),
    }
}

/// Now, in whole milliseconds, as it stands in the record.
pub(super) fn now() -> DateTime<Utc> {
    let now = Utc::now();
    now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
}
