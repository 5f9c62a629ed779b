//! Writes the report to files: the journal during the run, then the report and its record.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::approval::{check_approved, plan_digest};
use super::context::{RunResults, Start};
use super::error::RunError;
use super::finish::{Conclusion, report_finished};
use super::settled::{ChangedInput, publish_settled};
use super::sink::{Admitted, ReportSink};
use super::source::{ResolvedSource, RowSource, SourceRows};
use super::workspace::Workspace;
use crate::domain::{RunId, Tally};
use crate::report::{InputRecord, Journal, JournalIndex, OutputError, ReportFiles, RunRecord, Status, Summary};

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

    /// Finishes the run to resume, whose input has changed or is gone, if it lacks nothing but its report, or the end of its
    /// record. Returns the exit code; `None` if rows are left, or if the run is complete. Fails if `record` is of another run.
    fn finish_without_input(&self, mut record: RunRecord) -> Result<Option<u8>, RunError> {
        let (Start { console, .. }, workspace) = (self.start, &self.workspace);
        let (Some(former), Some(rows)) = (workspace.former(), record.own_rows()) else {
            return Ok(None);
        };
        let is_published = workspace.finished().is_some();
        if former.status == Status::Completed || !(is_published || workspace.index(record.input.rows.unwrap_or(rows))?.settles_all(rows)) {
            return Ok(None);
        }
        workspace.refuse_another(&mut record)?;
        console.tell_anyhow("the input is not what it was when the run began, but each of its rows was settled: nothing is sent, and the report is made of the journal");
        if is_published {
            return self.report_finished(former).map(Some);
        }
        workspace.try_out(&record)?;
        publish_settled(self.start, workspace, record, rows, None).map(Some)
    }

    fn report_finished(&self, former: &RunRecord) -> Result<u8, RunError> {
        let Start { config, console, metrics, clock, .. } = self.start;
        let (code, tally) = report_finished(&self.workspace.files, former.clone(), &config.safety.allow, *clock, console)?;
        metrics.write_finished(&Summary { tally, ..Summary::default() }, code);
        Ok(code)
    }
}

impl ReportSink for FileSink<'_> {
    fn origin(&self) -> Option<(DateTime<Utc>, RunId)> {
        self.workspace.origin()
    }

    fn admit<S: RowSource>(&self, source: Result<S, RunError>, record: impl Fn(InputRecord) -> RunRecord) -> Result<Admitted<S>, RunError> {
        let (Start { config, console, .. }, workspace) = (self.start, &self.workspace);
        if let Some(former) = workspace.former()
            && let Some(changed) = ChangedInput::of(former, &source)
        {
            if let Some(code) = self.finish_without_input(record(former.input.clone()))? {
                return Ok(Admitted::Done(code));
            }
            if let (ChangedInput::Another(is), Some(was)) = (changed, &former.input.sha256) {
                // With another input, its own errors do not matter.
                return Err(OutputError::AnotherInput { path: workspace.files.record.to_path_buf(), was: was.clone(), is }.into());
            }
        }
        let source = source?.approve(config.safety.max_users)?;
        let mut record = record(source.record());
        workspace.refuse_another(&mut record)?;
        // A run that has finished is not reported as done to somebody who approved another plan.
        check_approved(config, plan_digest(config, &record.input))?;
        if let Some(former) = workspace.finished() {
            return Ok(Admitted::Done(self.report_finished(former)?));
        }
        workspace.try_out(&record)?;
        let rows = source.rows();
        let index = workspace.index(rows.most_rows())?;
        match record.own_rows() {
            Some(count) if workspace.former().is_some() && index.settles_all(count) => {
                console.tell("each row was settled: nothing is sent, and the report is made of the journal");
                let code = publish_settled(self.start, workspace, record, count, Some(&mut *rows.original_rows()?))?;
                Ok(Admitted::Done(code))
            }
            _ => {
                workspace.check_lookups(&index)?;
                Ok(Admitted::Rows(source, Box::new(record), Box::new(index)))
            }
        }
    }

    fn journal_to_resume(&self) -> Option<&Path> {
        self.workspace.journal_to_resume()
    }

    fn known_users(&self, index: &JournalIndex) -> Option<&Path> {
        index.has_header().then_some(&self.workspace.files.lookups)
    }

    async fn begin(&self, record: &mut RunRecord, source: &impl ResolvedSource, index: &mut JournalIndex) -> Result<Journal, RunError> {
        self.workspace.begin(self.start.config.operation, record, source, index)
    }

    fn finish(&self, results: RunResults, rows: &impl SourceRows, record: RunRecord, before: Tally) -> Result<u8, RunError> {
        let Start { config, info, console, metrics, .. } = self.start;
        let conclusion = Conclusion {
            config,
            console,
            metrics,
            target: &info.name,
            workspace: &self.workspace,
            to_resume: self.to_resume,
            record,
            before,
        };
        conclusion.conclude(results, rows)
    }
}
