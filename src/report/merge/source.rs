//! One shard while it is merged: its report and its failed rows, each read once from the first line to the last.

use std::path::Path;

use csv::ByteRecord;

use super::error::MergeError;
use super::lines::{LineFault, LineParser, LineReader};
use super::shards::{FinishedShard, is_a_file};
use crate::domain::{BYTE_ORDER_MARK, Counts, CsvDialect, Outcome, RowNumber, Tally, UserId, are, counted, quote};
use crate::file_error::FileError;
use crate::report::failed::FAILED_COLUMNS;
use crate::report::line::{Column, carried, outcome_of};
use crate::report::record::tally;

/// A shard that is being merged.
pub(super) struct ShardSource<'a> {
    shard: &'a FinishedShard,
    report: LineReader,
    /// `None` if no row failed, by the record.
    failed: Option<LineReader>,
    tally: Tally,
}

/// The parsers of all shards, which have the same dialects, and the values of the line that was parsed last.
pub(super) struct Parsers {
    pub(super) report: LineParser,
    pub(super) failed: LineParser,
    pub(super) values: ByteRecord,
    /// The number of values in each line of a report.
    pub(super) width: usize,
}

impl<'a> ShardSource<'a> {
    /// Opens the files of a `shard`, of which this many bytes are read at a time.
    pub(super) fn open(shard: &'a FinishedShard, at_once: usize) -> Result<Self, MergeError> {
        let open = |path: &Path| LineReader::open(path, at_once).map_err(|source| unreadable(path, source));
        let report = open(&shard.files.report)?;
        let (path, is_there) = (&*shard.files.failed, is_a_file(&shard.files.failed)?);
        let failures = tally(&shard.record.totals).failures();
        let failed = match (failures, is_there) {
            (0, false) => None,
            (0, true) => return Err(wrong_rows(path, "no row of the shard failed, and yet it is there".to_owned())),
            (_, true) => Some(open(path)?),
            (_, false) => return Err(wrong_rows(path, format!("it is not there, and {} failed", counted(failures, "row")))),
        };
        Ok(Self { shard, report, failed, tally: Tally::default() })
    }

    /// The header of the report, with its end.
    pub(super) fn header(&mut self) -> Result<Vec<u8>, MergeError> {
        match self.report.next() {
            Ok(Some(header)) => Ok(header.to_vec()),
            Ok(None) => Err(self.wrong("it is empty")),
            Err(fault) => Err(self.faulty(fault)),
        }
    }

    /// The header of the failed rows without the columns that were added; `None` if no row failed.
    pub(super) fn failed_header(&mut self, dialect: CsvDialect, parser: &mut LineParser) -> Result<Option<ByteRecord>, MergeError> {
        let (path, mut header) = (&*self.shard.files.failed, ByteRecord::new());
        let Some(failed) = &mut self.failed else { return Ok(None) };
        let line = failed.next().and_then(|line| parse_first(line, dialect, parser, &mut header));
        line.map_err(|fault| faulty_rows(path, failed, fault))?;
        let own = header.len().saturating_sub(FAILED_COLUMNS.len());
        if !header.iter().skip(own).eq(FAILED_COLUMNS.map(str::as_bytes)) {
            return Err(wrong_rows(path, "the header does not end with `result` and `errorMessage`".to_owned()));
        }
        header.truncate(own);
        Ok(Some(header))
    }

    /// The line of a `row`, which must be the next, as text. Its values are in `parsers` then.
    pub(super) fn line(&mut self, row: u64, parsers: &mut Parsers) -> Result<(&[u8], Outcome), MergeError> {
        let text = match self.report.next() {
            Ok(Some(text)) => text,
            Ok(None) => return Err(self.wrong(&format!("row {row} has no line: the file ends before it"))),
            Err(fault) => return Err(self.faulty(fault)),
        };
        let values = &mut parsers.values;
        if let Err(fault) = parsers.report.parse(text, values) {
            return Err(self.faulty(fault));
        }
        let wrong = |fault: &str| Err(self.wrong_line(fault));
        if values.len() != parsers.width {
            let (found, expected) = (counted(values.len() as u64, "value"), parsers.width);
            return wrong(&format!("it has {found}, and the header has {expected}"));
        }
        if Column::Row.parsed(values) != Some(row) {
            let found = quote(&String::from_utf8_lossy(Column::Row.of(values)));
            return wrong(&format!("expected row {row}, and it is of row `{found}`"));
        }
        let Some(outcome) = outcome_of(values) else {
            return wrong(&format!("`{}` is no result", quote(&String::from_utf8_lossy(Column::Result.of(values)))));
        };
        self.tally.add(outcome);
        Ok((self.report.text(), outcome))
    }

    /// What is to blame for an `error`: if the report itself has changed, its failed rows may well not fit.
    pub(super) fn blame(mut self, error: MergeError) -> MergeError {
        loop {
            match self.report.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(fault) => return self.faulty(fault),
            }
        }
        self.check_digest().err().unwrap_or(error)
    }

    /// The values in the input of a `row` that failed, whose line is the one that `parsers` have parsed last.
    pub(super) fn failed_row(&mut self, row: u64, dialect: CsvDialect, parsers: &mut Parsers) -> Result<ByteRecord, MergeError> {
        let (path, record) = (&*self.shard.files.failed, &self.shard.record);
        let Some(failed) = &mut self.failed else {
            return Err(self.wrong_line("its row failed, and by the record none of the shard did"));
        };
        let mut values = ByteRecord::new();
        let is_first = failed.has_read_nothing();
        let found = failed.next().and_then(|line| match line {
            None => Ok(false),
            // Without a header, the mark stands before the first row.
            Some(line) if is_first => parse_first(Some(line), dialect, &mut parsers.failed, &mut values).map(|()| true),
            Some(line) => parsers.failed.parse(line, &mut values).map(|()| true),
        });
        let wrong = |fault: String| Err(wrong_rows(path, fault));
        match found {
            Err(fault) => return Err(faulty_rows(path, failed, fault)),
            Ok(false) => return wrong(format!("the file ends before row {row}, which failed")),
            Ok(true) => {}
        }
        let own = values.len().saturating_sub(FAILED_COLUMNS.len());
        let line = &parsers.values;
        if !values.iter().skip(own).eq([Column::Result, Column::ErrorMessage].map(|column| column.of(line))) {
            return wrong(format!(
                "line {}: expected row {row} with the `result` and `errorMessage` of its line in the report",
                failed.line()
            ));
        }
        values.truncate(own);
        if !has_values_of(line, &values, record.lookup_sha256.is_some()) {
            return wrong(format!("line {}: expected row {row}, and its values in the report are others", failed.line()));
        }
        Ok(values)
    }

    /// Checks that nothing is left to read, and that all of it is as the record says.
    pub(super) fn finish(mut self) -> Result<(), MergeError> {
        match self.report.next() {
            Ok(None) => {}
            Ok(Some(_)) => return Err(self.wrong_line("there is a line after that of the shard's last row")),
            Err(fault) => return Err(self.faulty(fault)),
        }
        let path = &*self.shard.files.failed;
        match self.failed.as_mut().map(|failed| (failed.next().map(|line| line.is_some()), failed.line())) {
            None | Some((Ok(false), _)) => {}
            Some((Ok(true), line)) => return Err(wrong_rows(path, format!("line {line}: there is a row more than failed"))),
            Some((Err(fault), line)) => return Err(faulty_at(path, line, fault)),
        }
        if let (Some(failed), Some(expected)) = (self.failed.take(), &self.shard.record.report.failed_sha256) {
            let found = failed.finish();
            if found != *expected {
                return Err(wrong_rows(path, format!("its SHA-256 is {found}, and the record has {}", quote_digest(expected))));
            }
        }
        let recorded = tally(&self.shard.record.totals);
        let differing = Outcome::ALL.into_iter().find(|outcome| recorded.of(*outcome) != self.tally.of(*outcome));
        if let Some(outcome) = differing {
            let (found, expected) = (self.tally.of(outcome), recorded.of(outcome));
            return Err(self.wrong(&format!("there {} {found} `{outcome}`, and the record has {expected}", are(found))));
        }
        self.check_digest()
    }

    /// Checks the SHA-256 of the report, which has been read to its end.
    fn check_digest(self) -> Result<(), MergeError> {
        let (expected, report) = (&self.shard.sha256, self.shard.path());
        let found = self.report.finish();
        if found == *expected {
            return Ok(());
        }
        let fault = format!("its SHA-256 is {found}, and the record has {}", quote_digest(expected));
        Err(MergeError::NotAsRecorded { report, fault })
    }

    /// The report is wrong as a whole.
    fn wrong(&self, fault: &str) -> MergeError {
        MergeError::NotAsRecorded { report: self.shard.path(), fault: fault.to_owned() }
    }

    /// The line that was read last is wrong.
    fn wrong_line(&self, fault: &str) -> MergeError {
        self.wrong(&format!("line {}: {fault}", self.report.line()))
    }

    fn faulty(&self, fault: LineFault) -> MergeError {
        match fault.in_words() {
            Ok(fault) => self.wrong_line(fault),
            Err(source) => unreadable(&self.shard.files.report, source),
        }
    }
}

/// A digest in a record that somebody may have edited.
fn quote_digest(digest: &str) -> String {
    /// The length of a SHA-256 in hexadecimal.
    const DIGITS: usize = 64;
    if digest.len() == DIGITS && digest.bytes().all(|digit| digit.is_ascii_hexdigit()) { digest.to_owned() } else { quote(digest) }
}

/// Parses the first line of a file in this `dialect`.
fn parse_first(line: Option<&[u8]>, dialect: CsvDialect, parser: &mut LineParser, values: &mut ByteRecord) -> Result<(), LineFault> {
    let line = line.ok_or(LineFault::Torn)?;
    parser.parse(if dialect.has_mark { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }, values)
}

/// Whether the row of a `line` may have these `values`: those that were carried into the line, in their order, and the user's ID, unless
/// that was looked up. A value that is not text is another in the report, so values are compared as text.
fn has_values_of(line: &ByteRecord, values: &ByteRecord, is_looked_up: bool) -> bool {
    let mut rest = values.iter().map(String::from_utf8_lossy);
    let has_carried = carried(line).filter(|value| !value.is_empty()).all(|value| {
        let value = String::from_utf8_lossy(value);
        rest.any(|other| other == value)
    });
    let user = Column::UserId.text(line).filter(|user| !is_looked_up && user.parse::<UserId>().is_ok());
    let has_user =
        |user: &str| values.iter().any(|value| String::from_utf8_lossy(value).to_ascii_lowercase().contains(&user.to_ascii_lowercase()));
    has_carried && user.is_none_or(has_user)
}

fn unreadable(path: &Path, source: std::io::Error) -> MergeError {
    MergeError::Reading(FileError::new("read", path, source))
}

fn wrong_rows(path: &Path, fault: String) -> MergeError {
    MergeError::FailedRows { path: path.to_owned(), fault }
}

fn faulty_rows(path: &Path, file: &LineReader, fault: LineFault) -> MergeError {
    faulty_at(path, file.line(), fault)
}

fn faulty_at(path: &Path, line: u64, fault: LineFault) -> MergeError {
    match fault.in_words() {
        Ok(fault) => wrong_rows(path, format!("line {line}: {fault}")),
        Err(source) => unreadable(path, source),
    }
}

/// Which shard has a row, of this many: its index.
pub(super) fn index_of(row: RowNumber, count: usize) -> usize {
    usize::try_from((row.0 - 1) % count as u64).expect("it is less than the count")
}

/// Whether the row of this outcome is in the file of failed rows.
pub(super) fn is_failure(outcome: Outcome) -> bool {
    outcome.counts() == Counts::Failure
}
