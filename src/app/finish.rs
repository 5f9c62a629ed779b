//! Ends a run that writes files. Either its report is published and its record completed, or the journal is kept, and the
//! operator is told why the run stopped and how to resume it.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use chrono::{DateTime, Utc};

use super::complain;
use super::context::RunResults;
use super::error::{LastFailure, RunError};
use super::source::SourceRows;
use super::workspace::Workspace;
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::domain::{BypassUntil, Lines, Outcome, Tally, shown};
use crate::exit::{EXIT_REFUSED, EXIT_ROWS_FAILED, EXIT_STOPPED, EXIT_SUCCESS};
use crate::report::{
    JournalRows, Metrics, NotWritten, Numbers, OutputError, Published, Replaced, ReportFiles, RowsByNumber, RunRecord, Status, Summary,
    count_report, publish, put_in_order, read_journal, tally, totals, write_failures,
};
use crate::run::{Exceeded, StopReason};
use crate::ui::Console;

/// What the end of a run needs.
pub(super) struct Conclusion<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) console: &'a Console,
    /// The target's name in the summary.
    pub(super) target: &'a str,
    pub(super) workspace: &'a Workspace,
    /// The command that resumes the run.
    pub(super) to_resume: &'a str,
    pub(super) record: RunRecord,
    /// The rows settled by earlier processes.
    pub(super) before: Tally,
}

/// How far a run came.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Whether a request was sent for a user.
    for_users: bool,
    /// The number of rows, if known.
    expected: Option<u64>,
}

/// Where the metrics are written, if requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricsFile<'a> {
    place: Option<&'a Replaced>,
    operation: &'static str,
}

impl<'a> MetricsFile<'a> {
    /// The metrics file that `config` names.
    pub(super) fn of(config: &'a RunConfig) -> Self {
        Self { place: config.metrics.as_ref(), operation: config.operation.name() }
    }

    /// Writes the metrics of a run. A failure is logged and does not change the run's result.
    pub(super) fn write(self, summary: &Summary, statuses: &BTreeMap<Option<u16>, u64>, exit_code: u8) {
        let Some(place) = self.place else {
            return;
        };
        let metrics =
            Metrics { operation: self.operation, summary, statuses, exit_code, now: DateTime::<Utc>::from(SystemTime::now()).timestamp() };
        if let Err(error) = metrics.write(place) {
            tracing::error!("{error}");
        }
    }
}

impl Conclusion<'_> {
    /// Publishes the report if every row is settled. Otherwise says why not and how to resume. Returns the exit code.
    pub(super) fn conclude(mut self, results: RunResults, rows: &impl SourceRows) -> Result<u8, RunError> {
        self.record.requests.add(results.requests);
        self.record.finished_at = Some(timestamp(results.finished));
        if results.written.is_ok() {
            self.record.in_doubt_ahead = Some(0);
        }
        let mut summary = summary_of(&results, self.target);
        let extent = Extent { for_users: results.sent_for_users, expected: results.expected };
        let (statuses, metrics) = (results.statuses.clone(), MetricsFile::of(self.config));
        let code = match self.finish(results, rows) {
            Ok(published) => {
                summary.tally = published.tally;
                summary.files = self.workspace.files.finished();
                self.console.summarize(&summary);
                tell_selection(self.config.lines, &published, self.console);
                tell_failures(&self.workspace.files, &published, self.console);
                code_of(&published.tally)
            }
            Err(stopped) => self.keep_unfinished(&stopped, &mut summary, extent, rows.most_rows())?,
        };
        metrics.write(&summary, &statuses, code);
        Ok(code)
    }

    fn finish(&mut self, results: RunResults, rows: &impl SourceRows) -> Result<Published, RunError> {
        let settled = self.before.rows() + results.ended.tally.rows();
        let count = match results.rows {
            Ok(Some(count)) if settled >= count && results.written.is_ok() && !self.must_not_publish(&results, rows.most_rows())? => count,
            Ok(_) | Err(_) => return Err(why_stopped(results)),
        };
        let began = Instant::now();
        let (files, lines) = (&self.workspace.files, self.config.lines);
        let published = publish_all(files, lines, &mut self.record, count, rows.numbers(), &mut *rows.original_rows()?)?;
        tracing::info!(rows = count, seconds = began.elapsed().as_secs_f64(), "the report is published");
        complete(&mut self.record, &published);
        self.record.write(&self.workspace.files.record)?;
        Ok(published)
    }

    /// Whether the report must wait although every row has a line: a signal left rows that are to be sent again, or the run was
    /// refused, failed its canary or lost its journal.
    fn must_not_publish(&self, results: &RunResults, most_rows: u64) -> Result<bool, RunError> {
        match &results.ended.stopped {
            Some(StopReason::Refused(_) | StopReason::Canary(_) | StopReason::JournalClosed) => Ok(true),
            Some(StopReason::Exceeded { why, .. }) if *why == Exceeded::Forbidden => Ok(true),
            // Every row is done, so there was nothing to stop: the report has the details.
            Some(StopReason::Exceeded { .. }) => Ok(false),
            Some(StopReason::Requested) | None if results.signal.is_none() => Ok(false),
            Some(StopReason::Requested) | None => Ok(!read_journal(&self.workspace.files.partial, most_rows)?.again.is_empty()),
        }
    }

    /// Keeps the journal of an unfinished run. Returns the exit code.
    fn keep_unfinished(mut self, stopped: &RunError, summary: &mut Summary, extent: Extent, most_rows: u64) -> Result<u8, RunError> {
        let files = &self.workspace.files;
        if !files.partial.exists() {
            // The report was published before the failure. Resuming does the rest.
            complain(stopped, self.console);
            self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
            return Ok(stopped.code());
        }
        summary.tally = read_journal(&files.partial, most_rows)?.tally;
        if summary.tally.rows() == 0 && !extent.for_users && self.before.rows() == 0 {
            self.workspace.remove_traces()?;
            if !files.partial.exists() {
                complain(stopped, self.console);
                return Ok(stopped.code());
            }
        }
        self.record.status = if matches!(stopped, RunError::Interrupted(_)) { Status::Interrupted } else { Status::Stopped };
        self.record.stop_reason = Some(stopped.to_string());
        self.record.totals = totals(&summary.tally);
        if let Err(error) = self.record.write(&files.record) {
            // The record still says that the run is in progress, and the run can be resumed all the same.
            tracing::warn!("{error}");
        }
        summary.rows = extent.expected;
        summary.files = vec![files.partial.to_path_buf(), files.record.to_path_buf()];
        self.console.summarize(summary);
        complain(stopped, self.console);
        self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
        Ok(stopped.code())
    }
}

/// Publishes the report of this many `rows`. Everything that only the journal can tell is written first, because a report with
/// only selected lines no longer contains it.
fn publish_all(
    files: &ReportFiles,
    lines: Lines,
    record: &mut RunRecord,
    rows: u64,
    numbers: Numbers,
    originals: &mut dyn RowsByNumber,
) -> Result<Published, RunError> {
    put_in_order(files, rows, numbers)?;
    let all = count_report(&files.partial)?;
    write_failures(&files.partial, &all, &files.failed, originals)?;
    record.input.rows = Some(rows);
    record.totals = totals(&all.tally);
    record.write(&files.record)?;
    publish(files, lines)?;
    Ok(match lines {
        Lines::All => all,
        Lines::Active => Published { tally: all.tally, ..count_report(&files.report)? },
    })
}

/// Publishes the report of a run whose `rows` rows were all settled before, and whose input is gone or has changed. The failed
/// rows are reconstructed from the journal.
pub(super) fn publish_settled(
    files: &ReportFiles,
    lines: Lines,
    mut record: RunRecord,
    rows: u64,
    journal_rows: &mut JournalRows,
) -> Result<Published, RunError> {
    let published = publish_all(files, lines, &mut record, rows, Numbers::Whole, journal_rows)?;
    complete(&mut record, &published);
    record.write(&files.record)?;
    Ok(published)
}

/// Reports a finished run once more. If it crashed after publishing the report, its record is completed.
pub(super) fn report_finished(
    files: &ReportFiles,
    mut record: RunRecord,
    originals: &mut dyn RowsByNumber,
    clock: Clock,
    console: &Console,
) -> Result<u8, RunError> {
    let found = count_report(&files.report)?;
    let has_all_rows = record.options.only.is_none();
    // If the report lacks lines, the record has the totals.
    let tally = if has_all_rows { found.tally } else { tally(&record.totals) };
    let is_own_report = match &record.report.sha256 {
        Some(sha256) => *sha256 == found.sha256,
        None if has_all_rows => record.input.rows == Some(found.lines),
        None => tally.of(Outcome::Active) == found.lines,
    };
    if !is_own_report {
        return Err(OutputError::NotItsReport(files.report.to_path_buf()).into());
    }
    let published = Published { tally, ..found };
    if has_all_rows {
        write_failures(&files.report, &published, &files.failed, originals)?;
    }
    if record.status != Status::Completed {
        record.finished_at = Some(timestamp(clock.millis()));
        complete(&mut record, &published);
        record.write(&files.record)?;
    }
    console.tell(&format!("run {} has finished already, and nothing was sent: {}", record.run_id, shown(&files.report)));
    Ok(code_of(&published.tally))
}

/// Tells the operator where the failed rows are.
pub(super) fn tell_failures(files: &ReportFiles, published: &Published, console: &Console) {
    if published.tally.failures() > 0 {
        console.tell(&format!("the rows that failed are an input of their own: {}", shown(&files.failed)));
    }
}

/// Tells the operator if the report is empty or has only selected lines.
pub(super) fn tell_selection(lines: Lines, published: &Published, console: &Console) {
    if published.tally.rows() == 0 {
        console.tell("nobody is selected: the list of users is empty, and so is the report");
    } else if lines == Lines::Active {
        console.tell(&format!("the report has a line for those who can bypass MFA now alone: {}", published.lines));
    }
}

fn complete(record: &mut RunRecord, published: &Published) {
    record.status = Status::Completed;
    record.stop_reason = None;
    record.totals = totals(&published.tally);
    record.report.sha256 = Some(published.sha256.clone());
    record.report.rows = Some(published.lines);
}

/// Why the run stopped. The root cause comes first: a failed journal or input stops everything else.
pub(super) fn why_stopped(results: RunResults) -> RunError {
    if let Err(NotWritten::File(error)) = results.written {
        return error.into();
    }
    if let Err(error) = results.rows {
        return error;
    }
    match (results.ended.stopped, results.signal) {
        (Some(StopReason::Refused(error)), _) => error.into(),
        (Some(StopReason::Exceeded { why, failed, settled, last }), _) => exceeded(why, failed, settled, last),
        (Some(StopReason::Canary(last)), _) => {
            let what = "one of the first rows, which `--canary` settles alone, did not succeed".to_owned();
            RunError::Exceeded { what, code: EXIT_STOPPED, last: LastFailure(last) }
        }
        (Some(StopReason::Requested | StopReason::JournalClosed) | None, Some(signal)) => RunError::Interrupted(signal),
        (Some(StopReason::Requested | StopReason::JournalClosed) | None, None) => RunError::Unaccounted,
    }
}

fn exceeded(why: Exceeded, failed: u64, settled: u64, last: String) -> RunError {
    let (what, code) = match why {
        Exceeded::Failures => (format!("{failed} of {settled} rows failed, which is more than `--max-failures` allows"), EXIT_STOPPED),
        Exceeded::Outage => ("PingOne answers no request any more".to_owned(), EXIT_STOPPED),
        Exceeded::Forbidden => (format!("each of the first {settled} rows was answered 403"), EXIT_REFUSED),
    };
    RunError::Exceeded { what, code, last: LastFailure(last) }
}

/// The summary of a run against `target`: its requests and its duration.
pub(super) fn summary_of(results: &RunResults, target: &str) -> Summary {
    Summary {
        target: target.to_owned(),
        tally: Tally::default(),
        rows: None,
        sent: results.requests.sent,
        retried: results.requests.retried,
        throttled: results.requests.throttled,
        took: results.took,
        held: results.held,
        files: Vec::new(),
    }
}

pub(super) fn code_of(tally: &Tally) -> u8 {
    if tally.failures() > 0 { EXIT_ROWS_FAILED } else { EXIT_SUCCESS }
}

pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    BypassUntil::from_instant(at).map(|now| now.to_string()).unwrap_or_default()
}
