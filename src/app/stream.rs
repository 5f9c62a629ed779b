//! Writes the report to standard output, each line as its row settles. Such a run cannot be resumed.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::context::{RunResults, Start};
use super::error::RunError;
use super::finish::{code_of, exit_code, status_of, summary_of, why_stopped};
use super::sink::{Admitted, ReportSink};
use super::source::{ResolvedSource, RowSource, SourceRows};
use crate::config::Users;
use crate::domain::{Lines, RunId, Tally, are, counted};
use crate::report::{Ending, InputRecord, Journal, JournalIndex, NotWritten, RunRecord, Status, Target};
use crate::stdio;

/// Standard output as a sink.
pub(super) struct Stream<'a> {
    start: &'a Start<'a>,
}

impl<'a> Stream<'a> {
    /// Fails if standard output is closed, before anything is sent.
    pub(super) fn open(start: &'a Start<'a>) -> Result<Self, RunError> {
        stdio::Stream::output()?;
        Ok(Self { start })
    }
}

impl ReportSink for Stream<'_> {
    fn origin(&self) -> Option<(DateTime<Utc>, RunId)> {
        None
    }

    fn admit<S: RowSource>(&self, source: Result<S, RunError>, record: impl Fn(InputRecord) -> RunRecord) -> Result<Admitted<S>, RunError> {
        let source = source?.approve(self.start.config.safety.max_users)?;
        let record = record(source.record());
        Ok(Admitted::Rows(source, Box::new(record), Box::default()))
    }

    fn journal_to_resume(&self) -> Option<&Path> {
        None
    }

    fn known_users(&self, _: &JournalIndex) -> Option<&Path> {
        None
    }

    async fn begin(&self, _: &mut RunRecord, source: &impl ResolvedSource, _: &mut JournalIndex) -> Result<Journal, RunError> {
        let Start { config, stop, .. } = self.start;
        let target = Target::Stream(Box::new(stdio::Stream::output()?), config.lines, config.output_dialect.of(source.dialect()));
        let journal = Journal::start(target, source.carried_names().into_iter())?;
        match journal.begun(stop).await {
            Ok(journal) => Ok(journal),
            Err(NotWritten::File(error)) => Err(error.into()),
            Err(NotWritten::GivenUp) => Err(RunError::before_the_first_row(stop)),
        }
    }

    fn finish(&self, results: RunResults, _: &impl SourceRows, _: RunRecord, _: Tally) -> Result<u8, RunError> {
        let Start { config, info, console, metrics, .. } = self.start;
        let mut summary = summary_of(&results, &info.name);
        let statuses = results.statuses.clone();
        (summary.tally, summary.bypass_ends) = (results.ended.tally, results.ended.bypass_ends);
        summary.differing = matches!(config.users, Users::Reported).then_some(results.ended.differing);
        let is_whole = results.written.is_ok() && matches!(results.rows, Ok(Some(rows)) if rows == summary.tally.rows());
        let is_unread = matches!(results.written, Err(NotWritten::GivenUp));
        summary.rows = results.expected.filter(|_| !is_whole);
        let concluded = if is_whole { Ok(exit_code(&summary.tally, &config.safety.allow)) } else { Err(why_stopped(results)) };
        let (status, code) = concluded.as_ref().map_or_else(|error| (status_of(error), error.code()), |code| (Status::Completed, *code));
        summary.ending = Some(Ending { status, exit_code: code });
        if summary.tally.rows() > 0 || is_whole {
            console.summarize(&summary);
        }
        let failed = summary.tally.failures();
        if config.lines != Lines::All && failed > 0 {
            console.tell(&format!(
                "{} failed and {} not written: a report in a file has them beside it, in NAME.failed.csv",
                counted(failed, "row"),
                are(failed)
            ));
        }
        if is_unread {
            console.tell_anyhow("standard output was not read to its end: the last of these rows are not in it");
        }
        if is_whole {
            code_of(&summary.tally, &config.safety.allow, console);
        }
        metrics.write(&summary, &statuses, code);
        concluded
    }
}
