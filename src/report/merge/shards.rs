//! Are these the shards of one run, all of them, each once, and finished? Their records tell.

use std::io;
use std::path::{Path, PathBuf};

use super::error::MergeError;
use crate::domain::{Shard, are, counted, escaped, shown};
use crate::file_error::FileError;
use crate::report::difference::Difference;
use crate::report::files::{OutputError, ReportFiles};
use crate::report::lock::is_held;
use crate::report::record::{RunRecord, Status, tally};
use crate::report::shard::ShardRecord;

/// The most missing shards that are named.
const NAMED: usize = 20;

/// The report of a shard that has finished, and its record.
#[derive(Debug)]
pub(super) struct FinishedShard {
    pub(super) files: ReportFiles,
    pub(super) record: RunRecord,
    pub(super) shard: Shard,
    /// The SHA-256 of the report, by the record.
    pub(super) sha256: String,
    /// The number of its rows, by the record.
    pub(super) rows: u64,
}

/// The shards of the reports at these `paths`, in the order of their index, and the number of rows of all together. Fails unless they
/// are all shards of one finished run.
pub(super) fn read_shards(paths: &[PathBuf]) -> Result<(Vec<FinishedShard>, u64), MergeError> {
    let mut shards = Vec::new();
    for path in paths {
        shards.push(FinishedShard::read(path)?);
    }
    let first = &shards[0];
    let (count, rows) = (first.shard.count(), first.record.input.rows.unwrap_or_default());
    for other in &shards[1..] {
        other.must_be_of_the_run_of(first)?;
    }
    let first = first.path();
    let mut found: Vec<Option<FinishedShard>> = (0..count).map(|_| None).collect();
    for shard in shards {
        let place = &mut found[usize::try_from(shard.shard.index()).expect("there are few shards")];
        match place {
            None => *place = Some(shard),
            Some(first) => return Err(MergeError::Double { shard: shard.shard, first: first.path(), again: shard.path() }),
        }
    }
    let missing: Vec<_> = (0..count).zip(&found).filter(|(_, shard)| shard.is_none()).map(|(index, _)| index).collect();
    if missing.is_empty() {
        return Ok((found.into_iter().flatten().collect(), rows));
    }
    Err(MergeError::Missing { first, count, missing: in_words(&missing, count) })
}

fn in_words(missing: &[u64], count: u64) -> String {
    let names: Vec<String> = missing.iter().take(NAMED).map(|index| format!("`{index}/{count}`")).collect();
    let (number, more) = (missing.len() as u64, missing.len().saturating_sub(NAMED));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{number} {} missing: {}{more}", are(number), names.join(", "))
}

impl FinishedShard {
    fn read(report: &Path) -> Result<Self, MergeError> {
        let files = ReportFiles::beside(report).map_err(|_| MergeError::NotAFile(report.to_owned()))?;
        let is_there = is_a_file(report)?;
        if is_held(&files.lock) {
            return Err(MergeError::InUse(report.to_owned()));
        }
        let Some(record) = read_record(&files.record)? else {
            let (report, record) = (report.to_owned(), files.record.to_path_buf());
            return Err(if is_there { MergeError::NoRecord { report, record } } else { MergeError::NoReport(report) });
        };
        let Some(ShardRecord(shard)) = record.shard else {
            return Err(MergeError::NotAShard(report.to_owned()));
        };
        if let Some(state) = unfinished(&record, &files) {
            return Err(MergeError::Unfinished { report: report.to_owned(), shard, state });
        }
        if !is_there {
            return Err(MergeError::NoReport(report.to_owned()));
        }
        let wrong = |fault: &str| MergeError::NotAsRecorded { report: report.to_owned(), fault: fault.to_owned() };
        record.origin().map_err(|error| wrong(&error.to_string()))?;
        let sha256 = record.report.sha256.clone().ok_or_else(|| wrong("the record has no SHA-256 of it"))?;
        let rows = record.own_rows().ok_or_else(|| wrong("the record does not tell how many rows the input has"))?;
        if record.input.directory.is_some() || record.options.only.is_some() {
            return Err(wrong("by the record, it may lack rows, and no shard's report does"));
        }
        let totals = tally(&record.totals).rows();
        if record.report.rows != Some(rows) || totals != rows || record.totals.get("rows") != Some(&rows) {
            return Err(wrong(&format!(
                "by the record's `input`, the shard has {}, and its `totals` and `report` differ",
                counted(rows, "row")
            )));
        }
        Ok(Self { files, record, shard, sha256, rows })
    }

    /// The report's path.
    pub(super) fn path(&self) -> PathBuf {
        self.files.report.to_path_buf()
    }

    fn must_be_of_the_run_of(&self, first: &Self) -> Result<(), MergeError> {
        if self.shard.count() != first.shard.count() {
            let (found, expected) = (self.shard, first.shard);
            return Err(MergeError::OtherCount { report: self.path(), found, first: first.path(), expected });
        }
        let rows = |record: &RunRecord| record.input.rows.unwrap_or_default().to_string();
        let grace = |record: &RunRecord| record.options.grace.clone().unwrap_or_default();
        let dialect = |record: &RunRecord| record.options.output_dialect.clone();
        let input_dialect = |record: &RunRecord| format!("{:?}", record.input.dialect);
        let (own, other) = (&self.record, &first.record);
        let difference = own
            .difference_of_work(other)
            .or_else(|| Difference::of("the number of the input's rows", &rows(own), &rows(other)))
            .or_else(|| Difference::of("`--in`", &grace(own), &grace(other)))
            .or_else(|| Difference::of("the report's dialect", &dialect(own), &dialect(other)))
            .or_else(|| Difference::of("the input's dialect", &input_dialect(own), &input_dialect(other)));
        match difference {
            None => Ok(()),
            Some(Difference { what, one, other }) => {
                let difference = format!("{what} is {one}, and there {other}");
                Err(MergeError::Another { report: self.path(), first: first.path(), difference })
            }
        }
    }
}

/// Whether there is a regular file at `path`. To read another, a pipe say, might take for ever.
pub(super) fn is_a_file(path: &Path) -> Result<bool, MergeError> {
    match path.metadata() {
        Ok(there) if there.is_file() => Ok(true),
        Ok(_) => Err(MergeError::NotAFile(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(MergeError::Reading(FileError::new("read", path, source))),
    }
}

/// The record at `path`; `None` if there is none.
fn read_record(path: &Path) -> Result<Option<RunRecord>, MergeError> {
    if !is_a_file(path)? {
        return Ok(None);
    }
    match RunRecord::read(path) {
        Ok(record) => Ok(record),
        Err(OutputError::OtherFormat { path, found, expected, .. }) => Err(MergeError::OtherFormat { path, found, expected }),
        Err(OutputError::File(error)) => Err(MergeError::Reading(error)),
        Err(error) => Err(MergeError::Output(error)),
    }
}

/// In which state an unfinished run is.
fn unfinished(record: &RunRecord, files: &ReportFiles) -> Option<String> {
    match record.status {
        Status::Running => return Some("its record says `running`, so it runs, or was killed".to_owned()),
        Status::Stopped => {
            let why = record.stop_reason.as_deref().map(|why| format!(": {}", escaped(why))).unwrap_or_default();
            return Some(format!("its record says `stopped`{why}"));
        }
        Status::Interrupted => return Some("its record says `interrupted`".to_owned()),
        Status::Completed => {}
    }
    let journal = &files.partial;
    (journal.symlink_metadata().is_ok()).then(|| format!("its journal is there, `{}`", shown(journal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_shards_are_named_and_counted() {
        assert_eq!(in_words(&[2], 8), "1 is missing: `2/8`");
        assert_eq!(in_words(&[0, 5], 8), "2 are missing: `0/8`, `5/8`");
        let many: Vec<u64> = (0..25).collect();
        assert!(
            in_words(&many, 1000).starts_with("25 are missing: `0/1000`, ") && in_words(&many, 1000).ends_with(", `19/1000` and 5 more")
        );
    }
}
