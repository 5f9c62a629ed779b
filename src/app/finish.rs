//! Ends a run that writes files. Either its report is published and its record completed, or the journal is kept, and the
//! operator is told why the run stopped and how to resume it.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::complain;
use super::context::RunResults;
use super::error::RunError;
use super::failure_cause::FailureCause;
use super::metrics_file::MetricsFile;
use super::source::SourceRows;
use super::workspace::Workspace;
use crate::clock::Clock;
use crate::config::{RunConfig, Users};
use crate::domain::{BypassUntil, EndDates, Lines, Outcome, Tally, counted, shown};
use crate::exit::{EXIT_REFUSED, EXIT_ROWS_FAILED, EXIT_STOPPED, EXIT_SUCCESS};
use crate::input::is_pipe;
use crate::report::{
    EndedJournal, Ending, Extent, JournalIndex, NotWritten, OutputError, Published, ReportFiles, RowsByNumber, RunRecord, Status, Summary,
    count_report, index_journal, tally, totals,
};
use crate::run::{Causes, Exceeded, StopReason};
use crate::ui::Console;

/// The hints for runs that stop by themselves.
const MAX_FAILURES: &str = "mend the most frequent cause, and go on with `--resume`: rows that were refused are not sent again by it, but stand in NAME.failed.csv \
                            at the end, to be run alone; if such failures are to be expected, allow more of them with `--max-failures`";
const OUTAGE: &str = "see whether PingOne is up and can be reached from here, and take the run up once it answers again";
const ROLE: &str = "give the worker application the role Identity Data Admin for the environment, or for these users' population, and go on with `--resume`: the \
                    rows that were refused stand in NAME.failed.csv at the end, to be run alone";
const CANARY: &str = "see whether the other rows would fail alike before they are sent: a run that is taken up begins with another canary";

/// What the end of a run needs.
pub(super) struct Conclusion<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) console: &'a Console,
    pub(super) metrics: &'a MetricsFile<'a>,
    /// The target's name in the summary.
    pub(super) target: &'a str,
    pub(super) workspace: &'a Workspace,
    /// The command that resumes the run.
    pub(super) to_resume: &'a str,
    pub(super) record: RunRecord,
    /// The rows settled by earlier processes.
    pub(super) before: Tally,
}

impl Conclusion<'_> {
    /// Publishes the report if every row is settled. Otherwise says why not and how to resume. Returns the exit code.
    pub(super) fn conclude(mut self, results: RunResults, rows: &impl SourceRows) -> Result<u8, RunError> {
        self.record.requests.add(results.requests);
        self.record.holds.add(results.holds.clone());
        self.record.canary_succeeded |= results.ended.canary_succeeded;
        self.record.finished_at = Some(timestamp(results.finished));
        if results.written.is_ok() {
            self.record.in_doubt_ahead = Some(0);
        }
        let mut summary = summary_of(&results, self.target);
        summary.rows = results.expected;
        let (statuses, metrics) = (results.statuses.clone(), self.metrics);
        // If the journal cannot be read, this is what is known.
        metrics.note(Summary { tally: results.ended.tally, bypass_ends: results.ended.bypass_ends, ..summary.clone() }, statuses.clone());
        let sent_nothing = !results.sent_for_users && self.before.rows() == 0;
        let published = if let Some(count) = self.all_rows(&results) {
            let journal = EndedJournal::read(&self.workspace.files, rows.most_rows())?;
            (summary.tally, summary.bypass_ends) = (journal.index.tally, journal.index.bypass_ends);
            summary.differing = self.note_differing(&journal.index);
            if must_not_publish(&results, &journal.index) { Err(why_stopped(results)) } else { self.publish(journal, count, rows) }
        } else {
            let index = index_journal(&self.workspace.files.partial, rows.most_rows())?;
            (summary.tally, summary.bypass_ends) = (index.tally, index.bypass_ends);
            summary.differing = self.note_differing(&index);
            Err(why_stopped(results))
        };
        if let Some(unread) = self.unread(&published) {
            self.console.tell(&format!(
                "{} whom PingOne's device report named when the run began {} not read: it does not name them any more; `--all-users` tells of everybody",
                counted(unread, "user"),
                if unread == 1 { "was" } else { "were" }
            ));
        }
        let code = match published {
            Ok(published) => conclude_published(&self.workspace.files, self.config, &published, &mut summary, self.console),
            Err(stopped) => {
                if sent_nothing && summary.tally.rows() == 0 && self.workspace.files.partial.exists() {
                    self.workspace.remove_traces()?;
                }
                self.keep_unfinished(&stopped, &mut summary);
                stopped.code()
            }
        };
        metrics.write(&summary, &statuses, code);
        Ok(code)
    }

    /// At least how many users of the device report, as it was when the run began, have no line in a finished report.
    fn unread(&self, published: &Result<Published, RunError>) -> Option<u64> {
        let first = self.record.input.reported.as_ref()?.users_at_first?;
        first.checked_sub(published.as_ref().ok()?.tally.rows()).filter(|unread| *unread > 0)
    }

    /// Notes in the record how many users have another bypass than the device report says, if the audit is by one.
    fn note_differing(&mut self, index: &JournalIndex) -> Option<u64> {
        let reported = self.record.input.reported.as_mut()?;
        reported.differing = Some(index.differing);
        reported.differing
    }

    /// The number of rows, if it is known and each of them has a line.
    fn all_rows(&self, results: &RunResults) -> Option<u64> {
        let settled = self.before.rows() + results.ended.tally.rows();
        let count = results.rows.as_ref().ok().copied().flatten();
        count.filter(|count| settled >= *count && results.written.is_ok())
    }

    fn publish(&mut self, journal: EndedJournal, count: u64, rows: &impl SourceRows) -> Result<Published, RunError> {
        let began = Instant::now();
        let RunConfig { lines, output_dialect: dialect, .. } = *self.config;
        let extent = Extent { rows: count, numbers: rows.numbers(), lines, dialect };
        let published = publish_all(&self.workspace.files, journal, extent, &mut self.record, &mut *rows.original_rows()?)?;
        tracing::info!(rows = count, seconds = began.elapsed().as_secs_f64(), "the report is published");
        Ok(published)
    }

    /// Says why the run stopped and how to resume it. If it has a journal, completes the record and the summary.
    fn keep_unfinished(mut self, stopped: &RunError, summary: &mut Summary) {
        let files = &self.workspace.files;
        if files.partial.exists() {
            self.note_in_record(stopped, &summary.tally);
            summary.files = vec![files.partial.to_path_buf(), files.record.to_path_buf()];
            summary.ending = Some(Ending { status: status_of(stopped), exit_code: stopped.code() });
            self.console.summarize(summary);
        }
        complain(stopped, self.console);
        // Without a journal, either the report was published before the failure and the record is to be completed, or nothing
        // was sent and nothing is left.
        if files.record.exists() {
            let is_piped = matches!(&self.config.users, Users::File(input) if is_pipe(input));
            let with = if is_piped { ", with the same input piped in once more" } else { "" };
            self.console.tell_anyhow(&format!("to resume{with}: {}", self.to_resume));
        }
    }

    fn note_in_record(&mut self, stopped: &RunError, tally: &Tally) {
        self.record.status = status_of(stopped);
        self.record.stop_reason = Some(stopped.in_short());
        self.record.totals = totals(tally);
        if let Err(error) = self.record.write(&self.workspace.files.record) {
            // The record still says that the run is in progress, and the run can be resumed all the same.
            tracing::warn!("{error}");
        }
    }
}

/// The status of a run that did not finish.
pub(super) fn status_of(stopped: &RunError) -> Status {
    if matches!(stopped, RunError::Interrupted(_)) { Status::Interrupted } else { Status::Stopped }
}

/// Whether the report must wait although every row has a line: a signal left rows that are to be sent again, or the run was
/// refused, failed its canary or lost its journal.
fn must_not_publish(results: &RunResults, index: &JournalIndex) -> bool {
    match &results.ended.stopped {
        Some(StopReason::Refused(_) | StopReason::Canary(_) | StopReason::JournalClosed) => true,
        // If every row is done, there was nothing to stop: the report has the details.
        Some(StopReason::Exceeded { why, .. }) => matches!(why, Exceeded::Forbidden | Exceeded::Gateway),
        Some(StopReason::Signal(_)) => !index.unsettled.is_empty(),
        Some(StopReason::Source) | None => false,
    }
}

/// Publishes the report of a `journal`, and completes the record. What only the journal can tell is written first, because a
/// report with only selected lines no longer contains it.
pub(super) fn publish_all(
    files: &ReportFiles,
    journal: EndedJournal,
    extent: Extent,
    record: &mut RunRecord,
    originals: &mut dyn RowsByNumber,
) -> Result<Published, RunError> {
    let written = journal.write(files, extent, originals)?;
    record.input.rows.get_or_insert(extent.rows);
    record.totals = totals(&written.published.tally);
    record.report.failed_sha256.clone_from(&written.published.failed_sha256);
    record.write(&files.record)?;
    let published = written.publish()?;
    complete(record, &published);
    record.write(&files.record)?;
    Ok(published)
}

/// Tells the operator what a finished run has done. Returns the exit code.
pub(super) fn conclude_published(
    files: &ReportFiles,
    config: &RunConfig,
    published: &Published,
    summary: &mut Summary,
    console: &Console,
) -> u8 {
    summary.tally = published.tally;
    summary.rows = None;
    summary.files = files.finished();
    let exit_code = exit_code(&published.tally, &config.safety.allow);
    summary.ending = Some(Ending { status: Status::Completed, exit_code });
    console.summarize(summary);
    if published.tally.rows() == 0 {
        console.tell(match config.users {
            _ if config.shard.is_some() => "no row of the input is in this shard: the report is empty",
            Users::Reported => "PingOne's device report gives nobody a bypass, and so the report is empty: `--all-users` tells for certain",
            Users::Directory(_) | Users::File(_) => "nobody is selected: the list of users is empty, and so is the report",
        });
    } else if config.lines == Lines::Active {
        console.tell(&format!("the report lists only the {} who can bypass MFA now", counted(published.lines, "user")));
    }
    if published.tally.failures() > 0 {
        console.tell(&format!("failed rows are in {}: fix them and run that file", shown(&files.failed)));
    }
    code_of(&published.tally, &config.safety.allow, console)
}

/// Reports a finished run once more. If it crashed after publishing the report, its record is completed. The exit code is the
/// run's own, unless what the run allowed, or what is `allowed` now, makes it 0. Returns the outcomes of its rows, too.
pub(super) fn report_finished(
    files: &ReportFiles,
    mut record: RunRecord,
    allowed: &[Outcome],
    clock: Clock,
    console: &Console,
) -> Result<(u8, Tally), RunError> {
    let found = count_report(&files.report)?;
    let has_all_rows = record.options.only.is_none();
    // If the report lacks lines, the record has the totals.
    let tally = if has_all_rows { found.tally } else { tally(&record.totals) };
    let is_own_report = match &record.report.sha256 {
        Some(sha256) => *sha256 == found.sha256,
        None if has_all_rows => record.own_rows() == Some(found.lines),
        None => tally.of(Outcome::Active) == found.lines,
    };
    if !is_own_report {
        return Err(OutputError::NotItsReport(files.report.to_path_buf()).into());
    }
    let published = Published { tally, ..found };
    if record.status != Status::Completed {
        record.finished_at = Some(timestamp(clock.millis()));
        complete(&mut record, &published);
        record.write(&files.record)?;
    }
    console.tell(&format!("run {} has finished already, and nothing was sent: {}", record.run_id, shown(&files.report)));
    if let Some(reported) = &record.input.reported {
        console.tell(&reported.caveat());
    }
    let allowed_then = record.options.allow.iter().filter_map(|name| Outcome::named(name));
    let allowed: Vec<Outcome> = allowed_then.chain(allowed.iter().copied()).collect();
    Ok((code_of(&published.tally, &allowed, console), published.tally))
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
    match results.ended.stopped {
        Some(StopReason::Signal(signal)) => RunError::Interrupted(signal),
        Some(StopReason::Refused(error)) => error.into(),
        Some(StopReason::Exceeded { why, failed, settled, causes }) => exceeded(why, failed, settled, causes),
        Some(StopReason::Canary(row)) => {
            let what = "one of the first rows, which `--canary` settles alone, did not succeed".to_owned();
            RunError::Exceeded { what, code: EXIT_STOPPED, hint: CANARY, cause: Some(FailureCause::of_row(&row)) }
        }
        Some(StopReason::Source | StopReason::JournalClosed) | None => RunError::Unaccounted,
    }
}

fn exceeded(why: Exceeded, failed: u64, settled: u64, causes: Causes) -> RunError {
    let cause = FailureCause::of(causes);
    let (what, code, hint) = match why {
        Exceeded::Failures => (
            format!("{failed} of {} failed, which is more than `--max-failures` allows", counted(settled, "row")),
            EXIT_STOPPED,
            MAX_FAILURES,
        ),
        Exceeded::Outage => ("PingOne answers no request any more".to_owned(), EXIT_STOPPED, OUTAGE),
        Exceeded::Gateway => return RunError::NotPingOne { settled, cause },
        Exceeded::Forbidden => (format!("each of the first {settled} rows was answered 403"), EXIT_REFUSED, ROLE),
    };
    RunError::Exceeded { what, code, hint, cause }
}

/// The summary of a run against `target`: its requests and its duration.
pub(super) fn summary_of(results: &RunResults, target: &str) -> Summary {
    Summary {
        target: target.to_owned(),
        tally: Tally::default(),
        bypass_ends: EndDates::default(),
        rows: None,
        sent: results.requests.sent,
        retried: results.requests.retried,
        throttled: results.requests.throttled,
        took: results.took,
        held: results.held,
        differing: None,
        files: Vec::new(),
        ending: None,
    }
}

/// The exit code of a run that has settled every row. Failures that are `allowed` do not count, and the operator is told so.
pub(super) fn code_of(tally: &Tally, allowed: &[Outcome], console: &Console) -> u8 {
    let outcomes = tally.seen().filter(|(outcome, _)| allowed.contains(outcome));
    let spared: Vec<String> = outcomes.map(|(outcome, rows)| format!("{rows} {outcome}")).collect();
    if !spared.is_empty() {
        console.tell(&format!("not counted in the exit code, as `--allow` says: {}", spared.join(", ")));
    }
    exit_code(tally, allowed)
}

/// The exit code of a run that has settled every row, of which failures that are `allowed` do not count.
pub(super) fn exit_code(tally: &Tally, allowed: &[Outcome]) -> u8 {
    if tally.failures_besides(allowed) > 0 { EXIT_ROWS_FAILED } else { EXIT_SUCCESS }
}

pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    BypassUntil::from_instant(at).map(|now| now.to_string()).unwrap_or_default()
}
