//! Makes one report of the reports of a run's shards: the one that a single process would have written.
//!
//! ```text
//! records: one run, every shard once, finished ─▶ one pass over all reports, row by row ─▶ digests, totals ─▶ names
//!                                                   └─ failed rows, each beside its line
//! ```
//!
//! Row r is in shard (r - 1) mod N, so the lines are taken from the reports in turn, and nothing has to be sorted: of each report, a
//! buffer and one line are in memory. Nothing has its name before everything is checked.

mod agreed;
mod error;
mod lines;
mod record;
mod shards;
mod source;

use std::io::Write;
use std::path::PathBuf;

use csv::ByteRecord;

pub(crate) use self::error::MergeError;

use self::agreed::Agreed;
use self::lines::LineParser;
use self::record::{derived_id, differing_options, merged_record, recorded_tally};
use self::shards::{FinishedShard, read_shards};
use self::source::{Parsers, ShardSource, index_of, is_failure};
use super::dialect::delimiter_of_report;
use super::failed::FailedWriter;
use super::files::{Destination, Draft, OutputError, ReportFiles, remove_if_there};
use super::hashed::{HashedFile, sha256_of};
use super::line::COLUMNS;
use super::lock::Lock;
use super::output_paths::{ReadFile, check_output_paths};
use super::publish::Published;
use super::record::{RunRecord, Status};
use crate::domain::{BYTE_ORDER_MARK, CsvDialect, RowNumber};
use crate::file_error::FileError;
use crate::platform::make_room_for_files;

/// The most bytes of all reports together in buffers, and of one of them; and the fewest.
const BUFFERS: usize = 8 << 20;
const LARGEST_BUFFER: usize = 256 << 10;
const SMALLEST_BUFFER: usize = 4 << 10;
/// After how many rows a stop is noticed.
const ROWS_AT_ONCE: u64 = 1 << 10;

/// The shards of a run, whose records fit together.
#[derive(Debug)]
pub(crate) struct ShardSet {
    shards: Vec<FinishedShard>,
    /// The number of rows of the input.
    rows: u64,
}

/// A report that was made of those of shards.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) record: RunRecord,
    pub(crate) published: Published,
    /// The record's names of the options in which the shards differ.
    pub(crate) differing_options: Vec<String>,
}

/// What a merge does with a report that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Former {
    Keep,
    Replace,
}

impl ShardSet {
    /// The shards of the reports at these `paths`, of which there is at least one.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, MergeError> {
        let (shards, rows) = read_shards(paths)?;
        Ok(Self { shards, rows })
    }

    /// Their number.
    pub(crate) fn count(&self) -> usize {
        self.shards.len()
    }

    /// Merges the reports into the one among `output`. Returns `None` if it was stopped before that had its name: then nothing is
    /// left of it.
    pub(crate) fn merge(&self, output: &ReportFiles, former: Former, is_stopped: impl Fn() -> bool) -> Result<Option<Merged>, MergeError> {
        self.check_paths(output)?;
        let _lock = Lock::take(&output.lock, &output.report).map_err(MergeError::Output)?;
        if former == Former::Keep && !self.was_begun(output) {
            let ReportFiles { report, partial, record, failed, lookups, .. } = output;
            let kept = [report, partial, &**record, &**failed, &**lookups];
            if let Some(path) = kept.into_iter().find(|path| path.symlink_metadata().is_ok()) {
                return Err(MergeError::Exists(path.to_path_buf()));
            }
        }
        let Some(written) = self.write(output, is_stopped)? else { return Ok(None) };
        let record = merged_record(&self.shards, &output.report, &written.published);
        let published = written.publish(output, &record).map_err(MergeError::Writing)?;
        Ok(Some(Merged { record, published, differing_options: differing_options(&self.shards) }))
    }

    /// Whether a merge of the same shards to this `output` was killed before it was done: it is done again.
    fn was_begun(&self, output: &ReportFiles) -> bool {
        let record = RunRecord::read(&output.record).ok().flatten();
        let own = derived_id(self.shards.iter().map(|shard| &shard.record)).to_string();
        !output.partial.exists() && record.is_some_and(|record| record.status == Status::Running && record.run_id == own)
    }

    /// Refuses an output that would replace a file of a shard, or the input.
    fn check_paths(&self, output: &ReportFiles) -> Result<(), MergeError> {
        let mut read = Vec::new();
        for shard in &self.shards {
            let ReportFiles { report, record, failed, .. } = &shard.files;
            read.push(ReadFile { what: "the report of a shard", path: report });
            read.push(ReadFile { what: "the record of a shard", path: record });
            read.push(ReadFile { what: "the failed rows of a shard", path: failed });
        }
        if let Some(input) = &self.shards[0].record.input.path {
            read.push(ReadFile { what: "the input", path: input.as_ref() });
        }
        check_output_paths(&Destination::Files(Box::new(output.clone())), None, &read).map_err(MergeError::Output)?;
        // The record may have the input's path as it was in another folder.
        let input = self.shards[0].record.input.sha256.as_deref();
        for path in [&output.report, &*output.failed] {
            if path.is_file() && sha256_of(path).ok().as_deref() == input {
                let (path, other) = (path.to_path_buf(), "the input of the shards, by its SHA-256".to_owned());
                return Err(MergeError::Output(OutputError::WouldReplace { path, what: "the merge", other, option: "OUTPUT" }));
            }
        }
        Ok(())
    }

    /// Writes the report and the failed rows, still without their names. Everything is checked when this returns; `None` if it was
    /// stopped.
    fn write<'a>(&self, output: &'a ReportFiles, is_stopped: impl Fn() -> bool) -> Result<Option<WrittenMerge<'a>>, MergeError> {
        let in_report = |source| MergeError::Writing(FileError::new("written", &output.report, source));
        let in_failed = |source| MergeError::Writing(FileError::new("written", &output.failed, source));
        let dialect = self.shards[0].record.input_dialect();
        let (mut sources, mut parsers, header) = self.open(dialect)?;
        let failed_header = self.failed_header(&mut sources, &mut parsers, dialect)?;
        let draft = Draft::create(&output.ordered, &output.report).map_err(MergeError::Writing)?;
        let tally = recorded_tally(&self.shards);
        let failed = if tally.failures() > 0 { Some(output.failed.draft().map_err(MergeError::Writing)?) } else { None };
        let failed_rows = failed.as_ref().map(|draft| FailedWriter::begin(draft.file(), dialect, failed_header)).transpose();
        let mut failed_rows = failed_rows.map_err(in_failed)?;
        let mut report = HashedFile::new(draft.file());
        report.write_all(&header).map_err(in_report)?;
        let mut agreed = Agreed::default();
        for row in 1..=self.rows {
            if row.is_multiple_of(ROWS_AT_ONCE) && is_stopped() {
                return Ok(None);
            }
            let index = index_of(RowNumber(row), self.shards.len());
            let source = &mut sources[index];
            let (line, outcome) = source.line(row, &mut parsers)?;
            report.write_all(line).map_err(in_report)?;
            agreed.check(row, outcome, &parsers.values).map_err(|earlier| self.disagreement(row, earlier))?;
            if is_failure(outcome) {
                let values = match source.failed_row(row, dialect, &mut parsers) {
                    Ok(values) => values,
                    Err(error) => return Err(sources.swap_remove(index).blame(error)),
                };
                if let Some(failed) = &mut failed_rows {
                    failed.write(values, &parsers.values).map_err(in_failed)?;
                }
            }
        }
        sources.into_iter().try_for_each(ShardSource::finish)?;
        let sha256 = report.finish().map_err(in_report)?;
        let failed_sha256 = failed_rows.map(FailedWriter::finish).transpose().map_err(in_failed)?;
        Ok(Some(WrittenMerge { report: draft, failed, published: Published { tally, sha256, lines: self.rows, failed_sha256 } }))
    }

    /// A `row` that its shard left to an `earlier` one, which is invalid for its own shard.
    fn disagreement(&self, row: u64, earlier: u64) -> MergeError {
        let [(report, shard), (other, _)] = [row, earlier].map(|row| {
            let shard = &self.shards[index_of(RowNumber(row), self.shards.len())];
            (shard.path(), shard.shard)
        });
        MergeError::Disagree { report, shard, row, earlier, other }
    }

    /// Opens the files of all shards. Returns the header of their reports, too.
    fn open(&self, dialect: CsvDialect) -> Result<(Vec<ShardSource<'_>>, Parsers, Vec<u8>), MergeError> {
        let count = self.shards.len();
        // If it is refused, the file that finds no room tells of it.
        make_room_for_files(2 * count as u64).unwrap_or_default();
        let at_once = (BUFFERS / count).clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
        let mut sources = self.shards.iter().map(|shard| ShardSource::open(shard, at_once)).collect::<Result<Vec<_>, _>>()?;
        let header = sources[0].header()?;
        let wrong = |shard: &FinishedShard, fault: &str| MergeError::NotAsRecorded { report: shard.path(), fault: fault.to_owned() };
        let delimiter = delimiter_of_report(&header).unwrap_or_else(|| CsvDialect::default().delimiter());
        let mut report = LineParser::new(delimiter);
        let mut values = ByteRecord::new();
        let text = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&header);
        let is_one = report.parse(text, &mut values).is_ok() && values.iter().take(COLUMNS.len()).eq(COLUMNS.map(str::as_bytes));
        if !is_one {
            return Err(wrong(&self.shards[0], "the header is not that of a report of the record's format"));
        }
        for (source, shard) in sources.iter_mut().zip(&self.shards).skip(1) {
            if source.header()? != header {
                let first = crate::domain::shown(&self.shards[0].files.report).to_string();
                return Err(wrong(shard, &format!("the header is another than that of {first}")));
            }
        }
        let width = values.len();
        Ok((sources, Parsers { report, failed: LineParser::new(dialect.delimiter()), values, width }, header))
    }

    /// The header of the failed rows, if the input has one; it is the same in all shards.
    fn failed_header(
        &self,
        sources: &mut [ShardSource<'_>],
        parsers: &mut Parsers,
        dialect: CsvDialect,
    ) -> Result<Option<ByteRecord>, MergeError> {
        let mut first: Option<(ByteRecord, &FinishedShard)> = None;
        if self.shards[0].record.options.reading.no_headers {
            return Ok(None);
        }
        for (source, shard) in sources.iter_mut().zip(&self.shards) {
            match (source.failed_header(dialect, &mut parsers.failed)?, &first) {
                (Some(header), Some((expected, first))) if header != *expected => {
                    let first = crate::domain::shown(&first.files.failed);
                    let fault = format!("its columns are others than those of {first}");
                    return Err(MergeError::FailedRows { path: shard.files.failed.to_path_buf(), fault });
                }
                (Some(header), None) => first = Some((header, shard)),
                (Some(_), Some(_)) | (None, _) => {}
            }
        }
        Ok(first.map(|(header, _)| header))
    }
}

/// A merged report that is complete and checked, but has no name yet.
struct WrittenMerge<'a> {
    report: Draft<'a>,
    failed: Option<Draft<'a>>,
    published: Published,
}

impl WrittenMerge<'_> {
    /// Gives the files their names. The record comes first, and says `running` until all of them are there: so at no moment does a
    /// report stand without its record, or one that the record does not tell of pass for it.
    fn publish(self, output: &ReportFiles, record: &RunRecord) -> Result<Published, FileError> {
        let Self { report, failed, published } = self;
        let had_record = output.record.exists();
        record.try_out(&output.record)?;
        remove_if_there(&output.partial)?;
        output.lookups.remove_if_there()?;
        let begun = RunRecord { status: Status::Running, ..record.clone() }.write(&output.record).and_then(|()| {
            match failed {
                Some(draft) => output.failed.install(draft)?,
                None => output.failed.remove_if_there()?,
            }
            report.replace(&output.report)
        });
        if begun.is_err() && !had_record && !output.report.exists() {
            // The first error is the one to report.
            drop(output.failed.remove_if_there());
            drop(output.remove_traces());
        }
        begun?;
        record.write(&output.record)?;
        Ok(published)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
