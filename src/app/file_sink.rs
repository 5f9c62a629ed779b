//! Writes the report to files: the journal during the run, then the report and its record.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::{RunResults, Start};
use super::error::RunError;
use super::finish::{Conclusion, report_finished};
use super::settled::Settled;
use super::sink::{Admitted, ReportSink};
use super::source::{RowSource, SourceRows};
use super::workspace::Workspace;
use crate::domain::{RunId, Tally};
use crate::report::{InputRecord, Journal, Recovered, ReportFiles, RunRecord};

/// The files of a run.
pub(super) struct FileSink<'a> {
    start: &'a Start<'a>,
    workspace: Workspace,
    /// The command that resumes the run.
    to_resume: &'a str,
}

impl<'a> FileSink<'a> {
    /// Locks the files. Fails if another process has them, or if existing ones may not be touched.
    pub(super) fn open(start: &'a Start<'a>, files: ReportFiles, to_resume: &'a str) -> Result<Self, RunError> {
        Ok(Self { start, workspace: Workspace::open(files, start.config.existing)?, to_resume })
    }
}

impl ReportSink for FileSink<'_> {
    fn origin(&self) -> Option<(DateTime<Utc>, RunId)> {
        self.workspace.origin()
    }

    fn admit<S: RowSource>(&self, source: Result<S, RunError>, record: impl Fn(InputRecord) -> RunRecord) -> Result<Admitted<S>, RunError> {
        let (Start { config, console, clock, .. }, workspace) = (self.start, &self.workspace);
        if let Some(former) = workspace.former()
            && let Some(settled) = Settled::of(workspace, former, &source)?
        {
            return Ok(Admitted::Done(settled.publish(self.start, record(former.input.clone()))?));
        }
        let source = source?.approve(config.safety.max_users)?;
        let mut record = record(source.record());
        workspace.refuse_another(&mut record)?;
        if let Some(former) = workspace.finished() {
            let code = report_finished(&workspace.files, former.clone(), &mut *source.rows().original_rows()?, *clock, console)?;
            return Ok(Admitted::Done(code));
        }
        workspace.try_out(&record)?;
        Ok(Admitted::Rows(source, Box::new(record)))
    }

    fn journal_to_resume(&self) -> Option<&Path> {
        self.workspace.journal_to_resume()
    }

    async fn begin(&self, record: &mut RunRecord, carried: &[&str]) -> Result<(Journal, Recovered), RunError> {
        self.workspace.begin(self.start.config.operation, record, carried)
    }

    fn finish(&self, results: RunResults, rows: &impl SourceRows, record: RunRecord, before: Tally) -> Result<u8, RunError> {
        let Start { config, info, console, .. } = self.start;
        let conclusion =
            Conclusion { config, console, target: &info.name, workspace: &self.workspace, to_resume: self.to_resume, record, before };
        conclusion.conclude(results, rows)
    }
}
