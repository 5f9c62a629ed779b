//! How does a run end? With its report published and its record complete, or with its journal kept, the
//! reason, and the way to take it up.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::rows::Ran;
use super::takeup::{Claim, now};
use crate::domain::BypassUntil;
use crate::error::{EXIT_REFUSED, EXIT_ROWS_FAILED, EXIT_STOPPED, EXIT_SUCCESS, LastFailure, RunError};
use crate::input::Sound;
use crate::report::{
    Metrics, OutputError, Published, ReportFiles, RunRecord, Status, Summary, Tally, count_report, publish, read_journal, totals,
    write_failures,
};
use crate::run::{Exceeded, Stopped};
use crate::ui::Console;

/// What a run that writes files is concluded with.
pub(super) struct Conclusion<'a> {
    pub(super) claim: &'a Claim,
    pub(super) sound: &'a Sound,
    pub(super) record: RunRecord,
    /// The rows that were settled before the run was taken up.
    pub(super) before: Tally,
    /// The command that takes it up again.
    pub(super) to_resume: &'a str,
    pub(super) console: &'a Console,
    pub(super) metrics: MetricsFile<'a>,
}

/// Where the metrics go, if anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricsFile<'a> {
    pub(super) path: Option<&'a Path>,
    pub(super) operation: &'static str,
}

impl MetricsFile<'_> {
    /// Writes how a run went. That this cannot be done does not change how it went.
    fn write(self, summary: &Summary, statuses: &BTreeMap<Option<u16>, u64>, exit_code: u8) {
        let Some(path) = self.path else {
            return;
        };
        let metrics = Metrics { operation: self.operation, summary, statuses, exit_code, now: now().timestamp() };
        if let Err(error) = metrics.write(path) {
            tracing::error!("{error}");
        }
    }
}

impl Conclusion<'_> {
    /// Publishes the report if every row is settled, or else says why not and how to go on. The answer is the
    /// exit code.
    pub(super) fn conclude(mut self, ran: Ran) -> Result<u8, RunError> {
        self.record.requests.add(ran.requests);
        self.record.finished_at = Some(timestamp());
        let mut summary = summary(&ran);
        let (statuses, sent_for_users, metrics) = (ran.statuses.clone(), ran.sent_for_users, self.metrics);
        let code = match self.finish(ran) {
            Ok(published) => {
                summary.tally = published.tally;
                summary.files = self.claim.files.finished();
                self.console.summarize(&summary);
                if published.tally.failures() > 0 {
                    let failed = self.claim.files.failed.display();
                    self.console.tell(&format!("the rows that failed are an input of their own: {failed}"));
                }
                code_of(&published.tally)
            }
            Err(stopped) => self.leave(&stopped, &mut summary, sent_for_users)?,
        };
        metrics.write(&summary, &statuses, code);
        Ok(code)
    }

    fn finish(&mut self, ran: Ran) -> Result<Published, RunError> {
        let files = &self.claim.files;
        let rows = self.sound.rows();
        let settled = self.before.rows() + ran.ended.tally.rows();
        if settled < rows || ran.written.is_err() || self.stops_anyhow(&ran)? {
            return Err(why_stopped(ran));
        }
        let began = Instant::now();
        publish(files, rows)?;
        tracing::info!(rows, seconds = began.elapsed().as_secs_f64(), "the report is published");
        let published = count_report(&files.report)?;
        write_failed_rows(files, &published, self.sound)?;
        complete(&mut self.record, &published);
        self.record.write(&files.record)?;
        Ok(published)
    }

    /// Whether a run that has settled every row is not to be concluded: it was interrupted while some were in
    /// flight that are to be sent again, or it was refused altogether.
    fn stops_anyhow(&self, ran: &Ran) -> Result<bool, RunError> {
        match &ran.ended.stopped {
            Some(Stopped::Refused(_) | Stopped::Canary(_) | Stopped::JournalClosed) => Ok(true),
            Some(Stopped::Exceeded { why, .. }) if *why == Exceeded::Forbidden => Ok(true),
            // All that could be stopped is done: the report says the rest.
            Some(Stopped::Exceeded { .. }) => Ok(false),
            None if ran.signal.is_none() => Ok(false),
            None => Ok(!read_journal(&self.claim.files.partial, self.sound.rows())?.again.is_empty()),
        }
    }

    /// Leaves a run that did not finish as it is. The answer is the exit code.
    fn leave(mut self, stopped: &RunError, summary: &mut Summary, sent_for_users: bool) -> Result<u8, RunError> {
        let files = &self.claim.files;
        if !files.partial.exists() {
            // The report is published: what failed comes after, and is made up for by taking the run up.
            self.console.complain(stopped);
            self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
            return Ok(stopped.code());
        }
        summary.tally = read_journal(&files.partial, self.sound.rows())?.tally;
        if summary.tally.rows() == 0 && !sent_for_users && self.before.rows() == 0 {
            self.claim.leave_no_traces()?;
            if !files.partial.exists() {
                self.console.complain(stopped);
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
        summary.rows = Some(self.sound.rows());
        summary.files = vec![files.partial.clone(), files.record.clone()];
        self.console.summarize(summary);
        self.console.complain(stopped);
        self.console.tell_anyhow(&format!("to resume: {}", self.to_resume));
        Ok(stopped.code())
    }
}

/// Says once more what a run has done that has finished. One that crashed after its report was published
/// gets its record.
pub(super) fn report_again(files: &ReportFiles, mut record: RunRecord, sound: &Sound, console: &Console) -> Result<u8, RunError> {
    let published = count_report(&files.report)?;
    let is_its_own = match &record.report.sha256 {
        Some(sha256) => *sha256 == published.sha256,
        None => published.tally.rows() == sound.rows(),
    };
    if !is_its_own {
        return Err(OutputError::NotItsReport(files.report.clone()).into());
    }
    write_failed_rows(files, &published, sound)?;
    if record.status != Status::Completed {
        record.finished_at = Some(timestamp());
        complete(&mut record, &published);
        record.write(&files.record)?;
    }
    console.tell(&format!("run {} has finished already, and nothing was sent: {}", record.run_id, files.report.display()));
    Ok(code_of(&published.tally))
}

/// Concludes a run whose report went to standard output.
pub(super) fn conclude_stream(ran: Ran, rows: u64, metrics: MetricsFile<'_>, console: &Console) -> Result<u8, RunError> {
    let mut summary = summary(&ran);
    let statuses = ran.statuses.clone();
    summary.tally = ran.ended.tally;
    let is_whole = summary.tally.rows() == rows && ran.written.is_ok();
    summary.rows = (!is_whole).then_some(rows);
    if summary.tally.rows() > 0 {
        console.summarize(&summary);
    }
    let concluded = if is_whole { Ok(code_of(&summary.tally)) } else { Err(why_stopped(ran)) };
    metrics.write(&summary, &statuses, concluded.as_ref().map_or_else(RunError::code, |code| *code));
    concluded
}

/// Writes the rows that failed, as they stand in the input.
fn write_failed_rows(files: &ReportFiles, published: &Published, sound: &Sound) -> Result<(), RunError> {
    let unreadable = |source| RunError::Reading { name: sound.source.name.clone(), source };
    let mut rows = sound.original_rows().map_err(unreadable)?;
    Ok(write_failures(&files.report, published, &files.failed, &mut rows)?)
}

fn complete(record: &mut RunRecord, published: &Published) {
    record.status = Status::Completed;
    record.stop_reason = None;
    record.totals = totals(&published.tally);
    record.report.sha256 = Some(published.sha256.clone());
    record.report.rows = Some(published.tally.rows());
}

/// The reason, the deepest first: a journal or an input that failed stopped the rest.
fn why_stopped(ran: Ran) -> RunError {
    if let Err(error) = ran.written {
        return error.into();
    }
    if let Err(error) = ran.read {
        return error;
    }
    match (ran.ended.stopped, ran.signal) {
        (Some(Stopped::Refused(error)), _) => error.into(),
        (Some(Stopped::Exceeded { why, failed, settled, last }), _) => exceeded(why, failed, settled, last),
        (Some(Stopped::Canary(last)), _) => {
            let what = "one of the first rows, which `--canary` settles alone, did not succeed".to_owned();
            RunError::Exceeded { what, code: EXIT_STOPPED, last: LastFailure(last) }
        }
        (Some(Stopped::JournalClosed) | None, Some(signal)) => RunError::Interrupted(signal),
        (Some(Stopped::JournalClosed) | None, None) => RunError::Unaccounted,
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

fn summary(ran: &Ran) -> Summary {
    Summary {
        target: ran.target.clone(),
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

fn code_of(tally: &Tally) -> u8 {
    if tally.failures() > 0 { EXIT_ROWS_FAILED } else { EXIT_SUCCESS }
}

fn timestamp() -> String {
    BypassUntil::from_instant(now()).map(|now| now.to_string()).unwrap_or_default()
}
