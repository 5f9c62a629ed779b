//! The run record `NAME.run.json`: what was requested, where, when and why, and the results. It is written before the first
//! request and updated at the end, each time atomically.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::dialect::DialectRecord;
use super::evidence::{ConfirmationRecord, EarlierRecord, EndDatesRecord, HoldsRecord, MOST_EARLIER, OperatorRecord, RequestsRecord};
use super::files::{OutputError, Replaced};
use super::list_record::{DirectoryRecord, ReportedRecord};
use super::options::{OptionsRecord, is_false};
use super::shard::{MergedShard, ShardRecord};
use super::version::{CURRENT_FORMAT, Keys, check_record};
use crate::domain::{CsvDialect, Outcome, RunId, Shard, Tally, escaped};
use crate::file_error::FileError;

/// The record of a run. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunRecord {
    pub(crate) tool: String,
    pub(crate) version: String,
    /// The current format: a record of an older one is converted when it is read.
    #[serde(default)]
    pub(crate) format_version: u64,
    pub(crate) run_id: String,
    pub(crate) operation: String,
    pub(crate) environment: EnvironmentRecord,
    pub(crate) api_url: String,
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) operator: OperatorRecord,
    /// Empty in records of versions that did not write this.
    #[serde(default)]
    pub(crate) confirmed: ConfirmationRecord,
    /// What held before that, if it was something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<EarlierRecord>,
    #[serde(default)]
    pub(crate) end_dates: EndDatesRecord,
    /// The rates that the licence allows, by PingOne's names for them; `None` if PingOne did not report them.
    #[serde(default)]
    pub(crate) licence: Option<BTreeMap<String, u64>>,
    /// The instant that spans count from.
    pub(crate) started_at: String,
    pub(crate) finished_at: Option<String>,
    /// How far the machine's clock was ahead of PingOne's when the run started or was last resumed; `None` if PingOne did
    /// not send its time. The times in the record are PingOne's, unless `--trust-clock` was given.
    #[serde(default)]
    pub(crate) clock_offset_seconds: Option<i64>,
    pub(crate) status: Status,
    pub(crate) stop_reason: Option<String>,
    /// Whether the rows of `--canary` have all succeeded. While it is not known, a resumed run begins with a canary.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) canary_succeeded: bool,
    pub(crate) input: InputRecord,
    /// The share of the input's rows that the run does, and `totals` and the report are of; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<ShardRecord>,
    /// The shards that a merged report was made of, in their order; empty for the report of one process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<MergedShard>,
    pub(crate) options: OptionsRecord,
    pub(crate) totals: BTreeMap<String, u64>,
    pub(crate) requests: RequestsRecord,
    #[serde(default)]
    pub(crate) holds: HoldsRecord,
    pub(crate) report: ReportRecord,
    /// The SHA-256 of the file of the users that were looked up; `None` if nobody was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lookup_sha256: Option<String>,
    /// While the run lasts, how many rows beyond the last one in its journal may have been sent; 0 once the journal is known
    /// to be complete. `None` in records of versions that did not write this.
    #[serde(default)]
    pub(crate) in_doubt_ahead: Option<u64>,
    /// Rows up to this one may have been sent by a run whose journal is incomplete. Any of them may have been applied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) in_doubt_up_to: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EnvironmentRecord {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// It is running, or it ended without being able to update the record.
    Running,
    /// Every row is settled and reported.
    Completed,
    /// It stopped by itself, for example at `--max-failures`.
    Stopped,
    /// A signal stopped it.
    Interrupted,
}

/// The users that the run is about: those of a file, or those of the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InputRecord {
    /// The file, and the SHA-256 of its text; both `None` if the directory is the input.
    pub(crate) path: Option<String>,
    pub(crate) sha256: Option<String>,
    /// The number of rows. For the directory, it is known once the whole list has been read.
    pub(crate) rows: Option<u64>,
    /// How the file is written; `None` in records of versions that did not write this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dialect: Option<DialectRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<DirectoryRecord>,
    /// The users to whom PingOne's device report gives a bypass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reported: Option<ReportedRecord>,
}

impl InputRecord {
    /// Whether it is a file, rather than a list of PingOne's.
    pub(crate) fn is_of_a_file(&self) -> bool {
        self.directory.is_none() && self.reported.is_none()
    }

    /// What two inputs must have in common to count as the same.
    pub(super) fn identity(&self) -> String {
        if self.reported.is_some() {
            return "PingOne's device report".to_owned();
        }
        match (&self.directory, &self.sha256) {
            (Some(DirectoryRecord { filter: Some(filter) }), _) => format!("the directory with the filter {filter}"),
            (Some(DirectoryRecord { filter: None }), _) => "the whole directory".to_owned(),
            (None, sha256) => sha256.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportRecord {
    pub(crate) path: String,
    pub(crate) sha256: Option<String>,
    pub(crate) rows: Option<u64>,
    /// The SHA-256 of the file of the failed rows; `None` if no row failed, and in records of versions that did not write this.
    #[serde(rename = "failedSha256", default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_sha256: Option<String>,
}

impl RunRecord {
    /// Takes over the rows in doubt from the `former` record: those that its run may have sent without a line in the
    /// journal, whose last row is `last_row`, because the run crashed or could not write the journal.
    pub(crate) fn take_over_doubt(&mut self, former: &Self, last_row: u64) {
        self.in_doubt_up_to = former.in_doubt_up_to;
        // Users of the directory are only read, so none of them is in doubt.
        if let Some(rows) = self.input.rows {
            let ahead = former.in_doubt_ahead.unwrap_or(u64::MAX);
            let begun = if ahead > 0 { last_row.saturating_add(ahead).min(rows) } else { 0 };
            self.in_doubt_up_to = self.in_doubt_up_to.max(begun);
        }
    }

    /// The rows of the input that the run does.
    pub(crate) fn shard(&self) -> Shard {
        self.shard.map(|ShardRecord(shard)| shard).unwrap_or_default()
    }

    /// The number of these rows, once it is known.
    pub(crate) fn own_rows(&self) -> Option<u64> {
        self.input.rows.map(|rows| self.shard().rows_of(rows))
    }

    /// How its input is written; of an older record, as far as `--delimiter` tells.
    pub(crate) fn input_dialect(&self) -> CsvDialect {
        let delimiter = self.options.reading.delimiter.and_then(|c| u8::try_from(c).ok());
        self.input.dialect.map_or(CsvDialect { delimiter, ..CsvDialect::default() }, CsvDialect::from)
    }

    /// When the run started, and its ID; or what is wrong with them.
    pub(crate) fn origin(&self) -> io::Result<(DateTime<Utc>, RunId)> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("its {what} cannot be read"));
        let start = self.started_at.parse().map_err(|_| wrong("startedAt"))?;
        Ok((start, self.run_id.parse().map_err(|_| wrong("runId"))?))
    }

    /// The record at `path`; `None` if there is none. Its format is checked before anything else in it is read.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, OutputError> {
        let Some((text, keys)) = read_keys(path)? else {
            return Ok(None);
        };
        check_record(path, &keys)?;
        Ok(Some(Self { format_version: CURRENT_FORMAT, ..Self::of_text(path, &text)? }))
    }

    /// The record at `path`, of whatever format, with its keys; `None` if there is none.
    pub(crate) fn read_any(path: &Path) -> Result<Option<(Self, Keys)>, FileError> {
        read_keys(path)?.map(|(text, keys)| Ok((Self::of_text(path, &text)?, keys))).transpose()
    }

    fn of_text(path: &Path, text: &[u8]) -> Result<Self, FileError> {
        serde_json::from_slice(text).map_err(|error| FileError::new("read", path, error.into()))
    }

    /// Keeps who ran the `former` process, how it was confirmed and why, if this one has another operator, confirmation or reason.
    pub(crate) fn keep_earlier(&mut self, former: &Self) {
        let Self { operator, confirmed, reason, finished_at, .. } = former.clone();
        let is_same = operator == self.operator && confirmed == self.confirmed && reason == self.reason;
        if !is_same && self.earlier.len() < MOST_EARLIER {
            self.earlier.push(EarlierRecord { operator, confirmed, reason, until: finished_at });
        }
    }

    /// Writes the record to `place`, replacing an earlier one.
    pub(crate) fn write(&self, place: &Replaced) -> Result<(), FileError> {
        place.replace(|file| self.write_to(file))
    }

    /// Checks that the record can be written to `place`, without changing an existing one.
    pub(crate) fn try_out(&self, place: &Replaced) -> Result<(), FileError> {
        place.try_out(|file| self.write_to(file))
    }

    fn write_to(&self, file: &mut File) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        file.write_all(&text)
    }

    /// Describes the difference if this record belongs to another report than the one at `report`: the records of `NAME` and
    /// `NAME.csv` have the same path.
    pub(crate) fn other_report(&self, report: &Path) -> Option<String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (was, is) = (name(Path::new(&self.report.path)), name(report));
        (was != is).then(|| format!("the report was `{}` and is `{}`", escaped(&was), escaped(&is)))
    }
}

/// The text of the record at `path`, and its keys; `None` if there is none.
fn read_keys(path: &Path) -> Result<Option<(Vec<u8>, Keys)>, FileError> {
    let failed = |source| FileError::new("read", path, source);
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(text) => {
            let keys = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
            Ok(Some((text, keys)))
        }
    }
}

/// A tally in the record's form: the number of rows, and a key for each result.
pub(crate) fn totals(tally: &Tally) -> BTreeMap<String, u64> {
    let results = Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), tally.of(outcome)));
    results.chain([("rows".to_owned(), tally.rows())]).collect()
}

/// The tally from a record's totals.
pub(crate) fn tally(totals: &BTreeMap<String, u64>) -> Tally {
    let mut tally = Tally::default();
    for outcome in Outcome::ALL {
        tally.add_rows(outcome, totals.get(outcome.name()).copied().unwrap_or_default());
    }
    tally
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
