//! Resumes a run that lacks only its report, because each of its rows is settled: the report is made of the journal, and nothing
//! is sent. That holds even if the input has changed or is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Start;
use super::error::RunError;
use super::finish::{conclude_published, publish_all, timestamp};
use super::source::RowSource;
use super::workspace::Workspace;
use crate::config::RunConfig;
use crate::domain::Operation;
use crate::report::{
    EndedJournal, Extent, FormerInput, JournalIndex, JournalRows, Numbers, ReadingRecord, RowsByNumber, RunRecord, Summary,
};

/// What became of the input of a run to resume.
#[derive(Debug)]
pub(super) enum ChangedInput {
    /// It is another file now, with this SHA-256.
    Another(String),
    /// It cannot be read, or is not valid any more.
    Gone,
}

impl ChangedInput {
    /// Compares the input of the `former` run with what was `read`. `None` if it is the same, or if that does not matter
    /// because the run is refused for another reason.
    pub(super) fn of(former: &RunRecord, read: &Result<impl RowSource, RunError>) -> Option<Self> {
        let was = former.input.sha256.as_ref()?;
        match read {
            Ok(source) => source.record().sha256.filter(|is| is != was).map(Self::Another),
            Err(RunError::Input(error)) if !error.is_of_the_disk() => Some(Self::Gone),
            Err(_) => None,
        }
    }
}

/// Publishes the report of the run in `workspace`, each of whose `rows` is settled. The values of failed rows are those of the
/// `originals`; without them, what the journal has. Returns the exit code.
pub(super) fn publish_settled(
    start: &Start<'_>,
    workspace: &Workspace,
    mut record: RunRecord,
    rows: u64,
    originals: Option<&mut dyn RowsByNumber>,
) -> Result<u8, RunError> {
    let Start { config, info, console, metrics, clock, .. } = start;
    let files = &workspace.files;
    if let Some(former) = workspace.former() {
        let RunRecord { environment, api_url, licence, clock_offset_seconds, .. } = former.clone();
        record = RunRecord { environment, api_url, licence, clock_offset_seconds, ..record };
        record.keep_earlier(former);
    }
    record.finished_at = Some(timestamp(clock.millis()));
    let journal = EndedJournal::read(files, record.input.rows.unwrap_or(rows))?;
    let mut journal_rows = journal_rows(config, &record, &journal.index);
    let bypass_ends = journal.index.bypass_ends;
    let extent = Extent { rows, numbers: Numbers::Of(record.shard()), lines: config.lines, dialect: config.output_dialect };
    let published = publish_all(files, journal, extent, &mut record, originals.unwrap_or(&mut journal_rows))?;
    let mut summary = Summary {
        target: info.name.clone(),
        tally: published.tally,
        bypass_ends,
        rows: None,
        sent: 0,
        retried: 0,
        throttled: 0,
        took: Duration::ZERO,
        held: Duration::ZERO,
        differing: None,
        files: Vec::new(),
        ending: None,
    };
    let code = conclude_published(files, config, &published, &mut summary, console);
    metrics.write(&summary, &BTreeMap::new(), code);
    Ok(code)
}

/// The rows of an input that is gone, as a valid input.
fn journal_rows(config: &RunConfig, record: &RunRecord, index: &JournalIndex) -> JournalRows {
    let ReadingRecord { user_column, lookup_by, until_column, no_headers, .. } = &record.options.reading;
    let until = match config.operation {
        Operation::Grant | Operation::LookAndGrant => {
            let usual = if *no_headers { "2" } else { "bypassMFAEnabledUntil" };
            Some(until_column.as_deref().unwrap_or(usual))
        }
        Operation::Audit | Operation::End(_) | Operation::Restore(_) => None,
    };
    let former = FormerInput {
        dialect: record.input_dialect(),
        has_header: !no_headers,
        user: user_column.as_deref(),
        is_looked_up: lookup_by.is_some(),
        until,
    };
    JournalRows::of(index, former)
}
