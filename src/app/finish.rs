//! How does a run end that writes files? With its report published and its record complete, or with its journal kept, the
//! reason, and the way to resume it.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use chrono::{DateTime, Utc};

use super::complain;
use super::context::Ran;
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

/// What a run that writes files is concluded with.
pub(super) struct Conclusion<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) console: &'a Console,
    /// What the summary calls the target.
    pub(super) target: &'a str,
    pub(super) workspace: &'a Workspace,
    /// The command that resumes the run.
    pub(super) to_resume: &'a str,
    pub(super) record: RunRecord,
    /// The rows that were settled before the run was resumed.
    pub(super) before: Tally,
}

/// How far a run came.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// Whether something was sent for a user.
    for_users: bool,
    /// How many rows there are, as far as is known.
    expected: Option<u64>,
}

/// Where the metrics go, if anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricsFile<'a> {
    place: Option<&'a Replaced>,
    operation: &'static str,
}

impl<'a> MetricsFile<'a> {
    /// Where `config` asks for them.
    pub(super) fn of(config: &'a RunConfig) -> Self {
        Self { place: config.metrics.as_ref(), operation: config.operation.name() }
    }

    /// Writes how a run went. That this cannot be done does not change how it went.
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
    /// Publishes the report if every row is settled, or else says why not and how to go on. The answer is the
    /// exit code.
    pub(super) fn conclude(mut self, ran: Ran, rows: &impl SourceRows) -> Result<u8, RunError> {
        self.record.requests.add(ran.requests);
        self.record.finished_at = Some(timestamp(ran.finished));
        if ran.written.is_ok() {
            self.record.in_doubt_ahead = Some(0);
        }
        let mut summary = summary_of(&ran, self.target);
        let sent = Sent { for_users: ran.sent_for_users, expected: ran.expected };
        let (statuses, metrics) = (ran.statuses.clone(), MetricsFile::of(self.config));
        let code = match self.finish(ran, rows) {
            Ok(published) => {
                summary.tally = published.tally;
                summary.files = self.workspace.files.finished();
                self.console.summarize(&summary);
                tell_of_lines(self.config.lines, &published, self.console);
                tell_of_failures(&self.workspace.files, &published, self.console);
                code_of(&published.tally)
            }
            Err(stopped) => self.leave(&stopped, &mut summary, sent, rows.most_rows())?,
        };
        metrics.write(&summary, &statuses, code);
        Ok(code)
    }

    fn finish(&mut self, ran: Ran, rows: &impl SourceRows) -> Result<Published, RunError> {
        let settled = self.before.rows() + ran.ended.tally.rows();
        let count = match ran.rows {
            Ok(Some(count)) if settled >= count && ran.written.is_ok() && !self.stops_anyhow(&ran, rows.most_rows())? => count,
            Ok(_) | Err(_) => return Err(why_stopped(ran)),
        };
        let began = Instant::now();
        let (files, lines) = (&self.workspace.files, self.config.lines);
        let published = publish_all(files, lines, &mut self.record, count, rows.numbers(), &mut *rows.original_rows()?)?;
        tracing::info!(rows = count, seconds = began.elapsed().as_secs_f64(), "the report is published");
        complete(&mut self.record, &published);
        self.record.write(&self.workspace.files.record)?;
        Ok(published)
    }

    /// Whether a run that has settled every row is not to be concluded: it was interrupted while some were in
    /// flight that are to be sent again, or it was refused altogether.
    fn stops_anyhow(&self, ran: &Ran, most_rows: u64) -> Result<bool, RunError> {
        match &ran.ended.stopped {
            Some(StopReason::Refused(_) | StopReason::Canary(_) | StopReason::JournalClosed) => Ok(true),
            Some(StopReason::Exceeded { why, .. }) if *why == Exceeded::Forbidden => Ok(true),
            // All that could be stopped is done: the report says the rest.
            Some(StopReason::Exceeded { .. }) => Ok(false),
            None if ran.signal.is_none() => Ok(false),
            None => Ok(!read_journal(&self.workspace.files.partial, most_rows)?.again.is_empty()),
        }
    }

    /// Leaves a run that did not finish as it is. The answer is the exit code.
    fn leave(mut self, stopped: &RunError, summary: &mut Summary, sent: Sent, most_rows: u64) -> Result<u8, RunError> {
        let files = &self.workspace.files;
        if !files.partial.exists() {
            // The report is published: what failed comes after, and is made up for by taking the run up.
            complain(stopped, self.console);
            self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
            return Ok(stopped.code());
        }
        summary.tally = read_journal(&files.partial, most_rows)?.tally;
        if summary.tally.rows() == 0 && !sent.for_users && self.before.rows() == 0 {
            self.workspace.leave_no_traces()?;
            if !files.partial.exists() {
                complain(stopped, self.console);
                return Ok(stopped.code());
            }
        }
        self.record.status = if matches!(stopped, RunError::Interrupted(_)) { Status::Interrupted } else { Status::Stopped };
        self.record.stop_reason = Some(stopped.to_string());
        self.record.totals = totals(&summary.tally);
        if let Err(error) = self.record.write(&files.record) {
            // The record still says that the run is under way, and it can be taken up all the same.
            tracing::warn!("{error}");
        }
        summary.rows = sent.expected;
        summary.files = vec![files.partial.to_path_buf(), files.record.to_path_buf()];
        self.console.summarize(summary);
        complain(stopped, self.console);
        self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
        Ok(stopped.code())
    }
}

/// Publishes the report of so many rows. All that the journal alone can tell is on disk before: of a report that has not
/// all lines, it could not be found out again.
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

/// Publishes the report of a run of which every row was settled before, `rows` of them, and whose input is not there any
/// more: what failed is taken from what is told of it.
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

/// Says once more what a run has done that has finished. One that crashed after its report was published
/// gets its record.
pub(super) fn report_again(
    files: &ReportFiles,
    mut record: RunRecord,
    originals: &mut dyn RowsByNumber,
    clock: Clock,
    console: &Console,
) -> Result<u8, RunError> {
    let found = count_report(&files.report)?;
    let has_all = record.options.only.is_none();
    // Of a report that has not all lines, the record tells the rest.
    let tally = if has_all { found.tally } else { tally(&record.totals) };
    let is_its_own = match &record.report.sha256 {
        Some(sha256) => *sha256 == found.sha256,
        None if has_all => record.input.rows == Some(found.lines),
        None => tally.of(Outcome::Active) == found.lines,
    };
    if !is_its_own {
        return Err(OutputError::NotItsReport(files.report.to_path_buf()).into());
    }
    let published = Published { tally, ..found };
    if has_all {
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

/// Says where the rows are that failed.
pub(super) fn tell_of_failures(files: &ReportFiles, published: &Published, console: &Console) {
    if published.tally.failures() > 0 {
        console.tell(&format!("the rows that failed are an input of their own: {}", shown(&files.failed)));
    }
}

/// Says of a report what may surprise who opens it.
pub(super) fn tell_of_lines(lines: Lines, published: &Published, console: &Console) {
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

/// The reason, the deepest first: a journal or an input that failed stopped the rest.
pub(super) fn why_stopped(ran: Ran) -> RunError {
    if let Err(NotWritten::File(error)) = ran.written {
        return error.into();
    }
    if let Err(error) = ran.rows {
        return error;
    }
    match (ran.ended.stopped, ran.signal) {
        (Some(StopReason::Refused(error)), _) => error.into(),
        (Some(StopReason::Exceeded { why, failed, settled, last }), _) => exceeded(why, failed, settled, last),
        (Some(StopReason::Canary(last)), _) => {
            let what = "one of the first rows, which `--canary` settles alone, did not succeed".to_owned();
            RunError::Exceeded { what, code: EXIT_STOPPED, last: LastFailure(last) }
        }
        (Some(StopReason::JournalClosed) | None, Some(signal)) => RunError::Interrupted(signal),
        (Some(StopReason::JournalClosed) | None, None) => RunError::Unaccounted,
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

/// A summary of the requests and the time that a run took against `target`.
pub(super) fn summary_of(ran: &Ran, target: &str) -> Summary {
    Summary {
        target: target.to_owned(),
        tally: Tally::default(),
        rows: None,
        sent: ran.requests.sent,
        retried: ran.requests.retried,
        throttled: ran.requests.throttled,
        took: ran.took,
        held: ran.held,
        files: Vec::new(),
    }
}

pub(super) fn code_of(tally: &Tally) -> u8 {
    if tally.failures() > 0 { EXIT_ROWS_FAILED } else { EXIT_SUCCESS }
}

pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    BypassUntil::from_instant(at).map(|now| now.to_string()).unwrap_or_default()
}
