//! Resumes a run whose input has changed or is gone. If every row is settled for good, the journal has all that the report
//! needs, and the report is published without sending anything. If not, the run is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Start;
use super::error::RunError;
use super::finish::{MetricsFile, code_of, publish_settled, report_finished, tell_failures, tell_selection, timestamp};
use super::source::RowSource;
use super::workspace::Workspace;
use crate::domain::Operation;
use crate::report::{JournalRows, OutputError, RunRecord, Summary, reopen_journal};

/// A resumed run that lacks only its report.
pub(super) struct Settled<'a> {
    workspace: &'a Workspace,
    /// Its record, as it is on disk.
    former: &'a RunRecord,
    rows: u64,
}

impl<'a> Settled<'a> {
    /// The run of the `former` record, if what was `read` is not its input and all its rows are settled. `None` if the usual
    /// path handles the run or its error. Fails if the input is another and rows are left to be done.
    pub(super) fn of(
        workspace: &'a Workspace,
        former: &'a RunRecord,
        read: &Result<impl RowSource, RunError>,
    ) -> Result<Option<Self>, RunError> {
        let (Some(sha256), Some(rows)) = (&former.input.sha256, former.input.rows) else {
            return Ok(None);
        };
        let current = match read {
            Ok(source) => match source.sha256() {
                Some(sha256) => Some(sha256),
                // Not a file: refused later, as another run.
                None => return Ok(None),
            },
            Err(RunError::Input(error)) if !error.is_of_the_disk() => None,
            // Refused later, for this other reason.
            Err(_) => return Ok(None),
        };
        match current {
            Some(current) if current == *sha256 => Ok(None),
            _ if workspace.lacks_only_its_report(former, rows)? => Ok(Some(Self { workspace, former, rows })),
            // With another input, its own errors do not matter.
            Some(is) => Err(OutputError::AnotherInput { path: workspace.files.record.to_path_buf(), was: sha256.clone(), is }.into()),
            None => Ok(None),
        }
    }

    /// Publishes its report, if `record` describes the same run. Returns the exit code.
    pub(super) fn publish(&self, start: &Start<'_>, mut record: RunRecord) -> Result<u8, RunError> {
        let Start { config, info, console, clock, .. } = start;
        let files = &self.workspace.files;
        self.workspace.refuse_another(&mut record)?;
        let finished = self.workspace.finished();
        if finished.is_none() {
            self.workspace.try_out(&record)?;
        }
        let reading = &record.options.reading;
        let named = |name: &Option<String>| name.clone().filter(|_| !reading.no_headers);
        let until = match config.operation {
            Operation::Grant | Operation::LookAndGrant => {
                Some(named(&reading.until_column).unwrap_or_else(|| "bypassMFAEnabledUntil".to_owned()))
            }
            Operation::Audit | Operation::End(_) | Operation::Restore(_) => None,
        };
        let from = if finished.is_some() {
            &files.report
        } else {
            // This truncates a torn last line.
            reopen_journal(&files.partial, self.rows)?;
            &files.partial
        };
        let mut journal_rows = JournalRows::of(from, named(&reading.user_column).as_deref(), until.as_deref())?;
        console.tell_anyhow("the input is not what it was when the run began, but each of its rows was settled: nothing is sent, and the report is made of the journal");
        if let Some(former) = finished {
            return report_finished(files, former.clone(), &mut journal_rows, *clock, console);
        }
        record.environment = self.former.environment.clone();
        record.api_url.clone_from(&self.former.api_url);
        record.finished_at = Some(timestamp(clock.millis()));
        let published = publish_settled(files, config.lines, record, self.rows, &mut journal_rows)?;
        let summary = Summary {
            target: info.name.clone(),
            tally: published.tally,
            rows: None,
            sent: 0,
            retried: 0,
            throttled: 0,
            took: Duration::ZERO,
            held: Duration::ZERO,
            files: files.finished(),
        };
        console.summarize(&summary);
        tell_selection(config.lines, &published, console);
        tell_failures(files, &published, console);
        let code = code_of(&published.tally);
        MetricsFile::of(config).write(&summary, &BTreeMap::new(), code);
        Ok(code)
    }
}
