//! What if a run is to be resumed whose input is not what it was? If every row of it is settled for good, the journal has all that
//! the report needs, and nothing is sent. If not, it is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Start;
use super::error::RunError;
use super::finish::{MetricsFile, code_of, publish_settled, report_again, tell_of_failures, tell_of_lines, timestamp};
use super::source::RowSource;
use super::workspace::Workspace;
use crate::domain::Operation;
use crate::report::{JournalRows, OutputError, RunRecord, Summary, reopen_journal};

/// A run that is taken up, and lacks nothing but its report.
pub(super) struct Settled<'a> {
    workspace: &'a Workspace,
    /// Its record as it stands.
    former: &'a RunRecord,
    rows: u64,
}

impl<'a> Settled<'a> {
    /// The run of the `former` record, if its input is not what was `read`, and none of it is left to be done.
    pub(super) fn of(
        workspace: &'a Workspace,
        former: &'a RunRecord,
        read: &Result<impl RowSource, RunError>,
    ) -> Result<Option<Self>, RunError> {
        let (Some(sha256), Some(rows)) = (&former.input.sha256, former.input.rows) else {
            return Ok(None);
        };
        let is = match read {
            Ok(source) => match source.sha256() {
                Some(is) => Some(is),
                // It is refused, since it is no file.
                None => return Ok(None),
            },
            Err(RunError::Input(error)) if !error.is_of_the_disk() => None,
            // It is refused for another reason.
            Err(_) => return Ok(None),
        };
        match is {
            Some(is) if is == *sha256 => Ok(None),
            _ if workspace.lacks_only_its_report(former, rows)? => Ok(Some(Self { workspace, former, rows })),
            // What is wrong with it, if anything, is of no interest if it is another.
            Some(is) => Err(OutputError::AnotherInput { path: workspace.files.record.to_path_buf(), was: sha256.clone(), is }.into()),
            None => Ok(None),
        }
    }

    /// Publishes its report, if this `record` of its input is one of the same run. The answer is the exit code.
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
            Operation::Grant => Some(named(&reading.until_column).unwrap_or_else(|| "bypassMFAEnabledUntil".to_owned())),
            Operation::Audit | Operation::End(_) => None,
        };
        let from = if finished.is_some() {
            &files.report
        } else {
            // What is torn is cut off.
            reopen_journal(&files.partial, self.rows)?;
            &files.partial
        };
        let mut journal_rows = JournalRows::of(from, named(&reading.user_column).as_deref(), until.as_deref())?;
        console.tell_anyhow("the input is not what it was when the run began, but each of its rows was settled: nothing is sent, and the report is made of the journal");
        if let Some(former) = finished {
            return report_again(files, former.clone(), &mut journal_rows, *clock, console);
        }
        record.environment = self.former.environment.clone();
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
        tell_of_lines(config.lines, &published, console);
        tell_of_failures(files, &published, console);
        let code = code_of(&published.tally);
        MetricsFile::of(config).write(&summary, &BTreeMap::new(), code);
        Ok(code)
    }
}
