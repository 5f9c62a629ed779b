//! Checks a report against the record of its run: its bytes, its columns, its lines and its totals.
//!
//! It finds what has changed since the run wrote both. It cannot find a change of both by somebody who knows how they are made:
//! for that, keep the digest where it cannot be changed.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::dialect::parser_of_report;
use super::files::{OutputError, ReportFiles};
use super::hashed::{Hashing, sha256_of};
use super::journal_reader::BUFFER;
use super::line::{Column, outcome_of};
use super::record::{RunRecord, Status, tally};
use super::version::columns_of;
use crate::domain::{Outcome, RowNumber, Shard, Tally, are, counted, escaped, quote, shown};
use crate::file_error::FileError;

/// The most faulty lines that are named.
const NAMED: usize = 20;

/// Why a report cannot be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The path names no file.
    #[error(transparent)]
    Path(OutputError),
    /// There is no record beside the report.
    #[error("{}: there is no record of this report's run: expected `{}`", shown(report), shown(record))]
    NoRecord {
        /// The report.
        report: PathBuf,
        /// Where its record would be.
        record: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(FileError),
    /// The record has a format that this version does not know.
    #[error("{}: the record's `formatVersion` is `{found}`, which this version of pingone-bypass does not know", shown(path))]
    OtherFormat {
        /// The record.
        path: PathBuf,
        /// Its format.
        found: String,
    },
}

impl VerifyError {
    /// What the user can do, in one line.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Path(_) => "name a report, such as `users.report.csv`",
            Self::NoRecord { .. } => "name the report by the name that it had, and put its `.run.json` beside it",
            Self::File(_) => "check that the file is there, may be read, and is as the run wrote it",
            Self::OtherFormat { .. } => "check it with the version of pingone-bypass that wrote it, or a newer one",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is as the record says.
    Holds(String),
    /// It is not.
    Fails(String),
    /// It is another file's matter: the report stands or falls without it.
    Aside(String),
}

/// The findings about a report, each with the name of what was checked.
#[derive(Debug)]
pub(crate) struct Verification(pub(crate) Vec<(&'static str, Finding)>);

impl Verification {
    /// The number of checks that failed.
    pub(crate) fn failed(&self) -> usize {
        self.0.iter().filter(|(_, finding)| matches!(finding, Finding::Fails(_))).count()
    }
}

/// Checks the report at `report` against the record beside it.
pub(crate) fn verify(report: &Path) -> Result<Verification, VerifyError> {
    let files = ReportFiles::beside(report).map_err(VerifyError::Path)?;
    // A missing report is told of before its missing record.
    report.metadata().map_err(|source| VerifyError::File(FileError::new("read", report, source)))?;
    let no_record = || VerifyError::NoRecord { report: report.to_owned(), record: files.record.to_path_buf() };
    let (record, keys) = RunRecord::read_any(&files.record).map_err(VerifyError::File)?.ok_or_else(no_record)?;
    let columns = columns_of(&keys).ok_or_else(|| VerifyError::OtherFormat {
        path: files.record.to_path_buf(),
        found: keys.get("formatVersion").map(|value| quote(&value.to_string())).unwrap_or_default(),
    })?;
    let contents = Contents::read(report, columns, &record).map_err(|source| VerifyError::File(FileError::new("read", report, source)))?;
    Ok(Verification(vec![
        ("run", run_of(&record, &files)),
        ("digest", digest_of(&record, &contents)),
        ("columns", contents.columns.clone()),
        ("lines", contents.lines(&record)),
        ("totals", totals_of(&record, &contents)),
        ("failed", failed_rows_of(&record, &files)),
        ("input", input_of(&record)),
    ]))
}

fn run_of(record: &RunRecord, files: &ReportFiles) -> Finding {
    if let Some(difference) = record.other_report(&files.report) {
        return Finding::Fails(format!("the record is of another report: {difference}"));
    }
    if files.partial.exists() {
        return Finding::Fails(format!("the run is not finished: its journal is there, {}", shown(&files.partial)));
    }
    match record.status {
        Status::Completed => {
            let finished = record.finished_at.as_deref().unwrap_or("at an unknown time");
            Finding::Holds(format!("{}, `{}`, completed {}", quote(&record.run_id), quote(&record.operation), quote(finished)))
        }
        Status::Running | Status::Stopped | Status::Interrupted => {
            Finding::Fails("the record does not say that the run was completed".to_owned())
        }
    }
}

fn digest_of(record: &RunRecord, contents: &Contents) -> Finding {
    match &record.report.sha256 {
        Some(sha256) if *sha256 == contents.sha256 => Finding::Holds(format!("SHA-256 {sha256}")),
        Some(sha256) => Finding::Fails(format!("SHA-256 {}, and the record has {}", contents.sha256, escaped(sha256))),
        None => Finding::Fails("the record has no SHA-256 of the report".to_owned()),
    }
}

/// Compares the totals of the record with the lines, and with each other.
fn totals_of(record: &RunRecord, contents: &Contents) -> Finding {
    let recorded = tally(&record.totals);
    let rows = record.totals.get("rows").copied().unwrap_or_default();
    if recorded.rows() != rows || record.own_rows().is_some_and(|own| own != rows) {
        let of = if record.shard.is_some() { "its shard of the input" } else { "its input" };
        let input = record.own_rows().map(|own| format!(", and {of} had {own}")).unwrap_or_default();
        return Finding::Fails(format!("the record's totals by result add up to {}, its `rows` are {rows}{input}", recorded.rows()));
    }
    let differing = Outcome::ALL.into_iter().filter(|outcome| is_reported(record, *outcome));
    let differing = differing.filter(|outcome| recorded.of(*outcome) != contents.tally.of(*outcome));
    let differing: Vec<_> = differing
        .map(|outcome| format!("{} `{outcome}` and the record has {}", contents.tally.of(outcome), recorded.of(outcome)))
        .collect();
    if differing.is_empty() {
        let seen: Vec<_> = recorded.seen().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        Finding::Holds(format!("rows {rows}: {}", if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }))
    } else {
        Finding::Fails(differing.join("; "))
    }
}

/// Whether the report has lines of this outcome.
fn is_reported(record: &RunRecord, outcome: Outcome) -> bool {
    record.options.only.is_none() || outcome == Outcome::Active
}

fn failed_rows_of(record: &RunRecord, files: &ReportFiles) -> Finding {
    let failures = tally(&record.totals).failures();
    let name = shown(&files.failed);
    match (failures, files.failed.exists()) {
        (0, false) => Finding::Holds("no row failed".to_owned()),
        (0, true) => Finding::Fails(format!("no row failed, and yet there is {name}")),
        (_, true) if is_changed(&files.failed, record.report.failed_sha256.as_deref()) => {
            Finding::Aside(format!("{} failed; {name} has been changed since", counted(failures, "row")))
        }
        (_, true) => Finding::Holds(format!("{} failed, see {name}", counted(failures, "row"))),
        // Somebody may have moved it to run it again: the report has the same rows.
        (_, false) => Finding::Aside(format!("{} failed; {name} is not there any more", counted(failures, "row"))),
    }
}

/// Whether a file is another than the one with this SHA-256, if that is known. Rows are mended there, to be run again.
fn is_changed(path: &Path, sha256: Option<&str>) -> bool {
    sha256.is_some_and(|sha256| sha256_of_file(path).is_ok_and(|now| now != sha256))
}

fn input_of(record: &RunRecord) -> Finding {
    if let Some(reported) = &record.input.reported {
        return Finding::Aside(reported.caveat());
    }
    let (Some(path), Some(sha256)) = (&record.input.path, &record.input.sha256) else {
        return Finding::Aside("the users of the directory, which has no digest".to_owned());
    };
    let name = quote(path);
    match sha256_of_file(Path::new(path)) {
        Ok(now) if now == *sha256 => Finding::Holds(format!("{name} is as it was, SHA-256 {now}")),
        Ok(now) => Finding::Aside(format!("{name} is another file now, SHA-256 {now}; the run's had {}", escaped(sha256))),
        Err(error) => Finding::Aside(format!("{name} cannot be read here ({error}); the run's had SHA-256 {}", escaped(sha256))),
    }
}

/// The SHA-256 of a regular file. What was a pipe, `/dev/stdin` say, has been read, and waiting for more would take for ever.
fn sha256_of_file(path: &Path) -> io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    sha256_of(path)
}

/// What a report has in it.
#[derive(Debug)]
struct Contents {
    sha256: String,
    columns: Finding,
    tally: Tally,
    lines: u64,
    /// The first faults of its lines.
    faults: Vec<String>,
    /// How many more there are.
    more: usize,
}

impl Contents {
    fn read(report: &Path, columns: &[&str], record: &RunRecord) -> io::Result<Self> {
        let mut reader =
            parser_of_report(report)?.has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(Hashing::open(report)?);
        let mut values = ByteRecord::new();
        reader.read_byte_record(&mut values)?;
        let width = values.len();
        let is_own = values.iter().take(columns.len()).eq(columns.iter().map(|column| column.as_bytes()));
        let columns = if is_own {
            Finding::Holds(format!("{} of the report's own, {} carried from the input", columns.len(), width - columns.len()))
        } else {
            Finding::Fails("the header is not that of a report of the record's format".to_owned())
        };
        let mut contents = Self { sha256: String::new(), columns, tally: Tally::default(), lines: 0, faults: Vec::new(), more: 0 };
        let mut order = Order::of(record);
        while reader.read_byte_record(&mut values)? {
            contents.lines += 1;
            let line = values.position().map_or(0, csv::Position::line);
            let outcome = outcome_of(&values);
            let fault = match (Column::Row.parsed(&values), outcome) {
                _ if values.len() != width => Some(format!("it has {}, and the header has {width}", counted(values.len() as u64, "value"))),
                (None, _) => Some("it has no row number".to_owned()),
                (_, None) => Some(format!("`{}` is no result", quote(&String::from_utf8_lossy(Column::Result.of(&values))))),
                (_, Some(outcome)) if !is_reported(record, outcome) => Some(format!("`{outcome}` is not among the selected lines")),
                (Some(row), _) => order.fault(row),
            };
            if let Some(fault) = fault {
                contents.add(format!("line {line}: {fault}"));
            }
            if let Some(outcome) = outcome {
                contents.tally.add(outcome);
            }
        }
        contents.sha256 = reader.into_inner().finish();
        Ok(contents)
    }

    fn add(&mut self, fault: String) {
        if self.faults.len() < NAMED { self.faults.push(fault) } else { self.more += 1 }
    }

    fn lines(&self, record: &RunRecord) -> Finding {
        let mut faults = self.faults.clone();
        if self.more > 0 {
            faults.push(format!("and {} more", self.more));
        }
        if record.report.rows != Some(self.lines) {
            let recorded = record.report.rows.map_or_else(|| "no number of them".to_owned(), |rows| rows.to_string());
            faults.push(format!("there {} {}, and the record has {recorded}", are(self.lines), counted(self.lines, "line")));
        }
        if !faults.is_empty() {
            return Finding::Fails(faults.join("; "));
        }
        let of = if record.options.only.is_some() { "one for each row that was selected" } else { "one for each row" };
        Finding::Holds(format!("{}, {of}, in the input's order", self.lines))
    }
}

/// Which row the next line may be of.
#[derive(Debug)]
struct Order {
    last: u64,
    /// The number of rows of the input.
    rows: u64,
    /// Which of these rows the report is of.
    shard: Shard,
    /// Whether rows may be left out: only some lines were selected, or users have left the directory.
    has_gaps: bool,
}

impl Order {
    fn of(record: &RunRecord) -> Self {
        let is_of_a_file = record.input.is_of_a_file();
        let rows = record.input.rows.filter(|_| is_of_a_file).unwrap_or(u64::MAX);
        Self { last: 0, rows, shard: record.shard(), has_gaps: record.options.only.is_some() || !is_of_a_file }
    }

    /// What is wrong with a line of this `row` as the next one.
    fn fault(&mut self, row: u64) -> Option<String> {
        let (last, shard) = (self.last, self.shard);
        if row == 0 || row > self.rows {
            return Some(format!("there is no row {row}"));
        }
        if !shard.includes(RowNumber(row)) {
            return Some(format!("row {row} is not in shard {shard}"));
        }
        if row <= last {
            return Some(if row == last { format!("row {row} has a line already") } else { format!("row {row} stands after row {last}") });
        }
        self.last = row;
        let (first, before) = (shard.nth(shard.rows_of(last) + 1).0, row.saturating_sub(shard.count()));
        match row.cmp(&first) {
            Ordering::Equal | Ordering::Less => None,
            Ordering::Greater if self.has_gaps => None,
            Ordering::Greater if first == before => Some(format!("row {first} has no line")),
            Ordering::Greater => Some(format!("rows {first} to {before} have no lines")),
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
