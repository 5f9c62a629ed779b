//! Reads the journal of a run: of one that is to be resumed, whose last line may be torn, and of one that has ended.
//!
//! One pass over the complete lines makes a [`JournalIndex`]. What a caller needs besides, it takes from the lines as they
//! pass, and a single line is read again from its place in the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use csv::ByteRecord;

use super::journal::encoded;
use super::line::{COLUMNS, Column, carried, outcome_of, parsed};
use crate::domain::{BypassUntil, EndDates, Outcome, Previous, REPORTED_UNTIL, RowSet, Tally, differs};
use crate::file_error::FileError;

/// Bytes read at a time.
pub(super) const BUFFER: usize = 256 << 10;
/// The fewest bytes in a line of a journal.
const LEAST_OF_A_LINE: u64 = 40;
/// Rows settle nearly in order: before a row that has a line, fewer rows than this have none.
const OUT_OF_ORDER: u64 = 100_000;

/// What the complete lines of a journal say of the rows. The line that settles a row counts; until there is one, its last.
#[derive(Debug, Default)]
pub(crate) struct JournalIndex {
    /// The header; empty if it is torn or missing.
    header: ByteRecord,
    /// The rows that a resumed run does not send again.
    pub(crate) settled: RowSet,
    /// The rows that a resumed run sends again.
    pub(crate) unsettled: BTreeMap<u64, Unsettled>,
    /// The outcomes of all rows that have a line.
    pub(crate) tally: Tally,
    /// The end dates of the users who can bypass MFA, as far as the settled rows tell.
    pub(crate) bypass_ends: EndDates,
    /// How many users have another bypass than PingOne's device report said, as far as the settled rows tell.
    pub(crate) differing: u64,
    /// The highest row that has a line.
    pub(crate) last_row: u64,
    /// Whether a user was looked up and not found: its line has no user ID.
    pub(super) has_nameless: bool,
    /// The offset at which the header ends.
    pub(super) header_ends: u64,
    /// The offset at which the last complete line ends.
    pub(super) ends: u64,
}

/// A row that a resumed run sends again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsettled {
    pub(crate) outcome: Outcome,
    /// What the user had before, as far as the row's lines tell.
    pub(crate) previous: Option<Previous>,
    /// Where its last line stands in the file, in bytes.
    line: Range<u64>,
}

/// A complete line.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) row: u64,
    pub(crate) outcome: Outcome,
    /// Its values.
    pub(crate) values: &'a ByteRecord,
    /// Where it stands in the file, in bytes.
    pub(super) place: Range<u64>,
    /// Whether it counts: no line before it has settled the row.
    pub(super) counts: bool,
}

impl JournalIndex {
    /// Whether the journal's header is complete.
    pub(crate) fn has_header(&self) -> bool {
        !self.header.is_empty()
    }

    /// The names of the columns that the journal carries from the input.
    pub(super) fn carried(&self) -> impl Iterator<Item = &[u8]> {
        carried(&self.header)
    }

    /// The number of rows that are not sent again, by outcome.
    pub(crate) fn settled_tally(&self) -> Tally {
        let mut tally = self.tally;
        self.unsettled.values().for_each(|row| tally.remove(row.outcome));
        tally
    }

    /// Whether each of this many `rows` is settled.
    pub(crate) fn settles_all(&self, rows: u64) -> bool {
        self.unsettled.is_empty() && self.tally.rows() == rows
    }

    /// Adds the last line of a `row`. Returns whether it counts. What an earlier line says of the time before is kept, if this
    /// one does not say it.
    fn add(&mut self, row: u64, mut last: Unsettled) -> bool {
        let outcome = last.outcome;
        self.last_row = self.last_row.max(row);
        if self.settled.contains(row) {
            return false;
        }
        if let Some(before) = self.unsettled.remove(&row) {
            self.tally.remove(before.outcome);
            last.previous = last.previous.or(before.previous);
        }
        self.tally.add(outcome);
        if outcome.is_to_be_sent_again() {
            self.unsettled.insert(row, last);
        } else {
            self.settled.insert(row);
        }
        true
    }
}

/// The header of the journal at `path`; `None` if it is torn or missing.
pub(super) fn journal_header(path: &Path) -> io::Result<Option<ByteRecord>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut header = ByteRecord::new();
    if !reader.read_byte_record(&mut header)? {
        return Ok(None);
    }
    let is_last = reader.position().byte() == length;
    let is_torn = header.as_slice().contains(&0) || (is_last && !is_closed(reader.get_mut(), 0)?);
    Ok((!is_torn).then_some(header))
}

/// Reads the journal at `path`, of an input with this many `rows`, up to its last complete line. Does not change it.
pub(crate) fn index_journal(path: &Path, rows: u64) -> Result<JournalIndex, FileError> {
    read_journal(path, rows, |_| Ok(()))
}

/// Reads the journal at `path` likewise, and hands each complete line to `take`.
pub(crate) fn read_journal<E: From<FileError>>(
    path: &Path,
    rows: u64,
    mut take: impl FnMut(&Line<'_>) -> Result<(), E>,
) -> Result<JournalIndex, E> {
    let failed = |source| FileError::new("read", path, source);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    // If the number of rows is unknown, no row number can be much greater than the number of lines.
    let rows = rows.min(length / LEAST_OF_A_LINE + OUT_OF_ORDER);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(&mut file);
    let mut index = JournalIndex::default();
    let mut values = ByteRecord::new();
    while reader.read_byte_record(&mut values).map_err(|error| failed(error.into()))? {
        let place = index.ends..reader.position().byte();
        if place.end == length && !is_closed(reader.get_mut(), place.start).map_err(failed)? {
            break;
        }
        let is_of_a_line = index.has_header() && values.len() == index.header.len();
        let line = Column::Row.parsed(&values).zip(outcome_of(&values)).filter(|(row, _)| is_of_a_line && (1..=rows).contains(row));
        match line {
            Some((row, outcome)) => {
                let previous = Column::PreviousUntil.text(&values).and_then(Previous::read);
                let counts = index.add(row, Unsettled { outcome, previous, line: place.clone() });
                if let Some(until) = active_until(&values).filter(|_| counts && !outcome.is_to_be_sent_again()) {
                    index.bypass_ends.add(until);
                }
                index.differing += u64::from(counts && differs_from_report(&index.header, &values, outcome));
                let was_looked_up = !matches!(outcome, Outcome::Invalid | Outcome::Duplicate);
                index.has_nameless |= was_looked_up && Column::UserId.of(&values).is_empty();
                take(&Line { row, outcome, values: &values, place: place.clone(), counts })?;
            }
            None if !index.has_header() && is_own_header(&values) => {
                index.header.clone_from(&values);
                index.header_ends = place.end;
            }
            // A power cut may leave zero bytes. What follows them was not yet on disk.
            None if values.as_slice().contains(&0) => break,
            // Somebody has edited the file, so nothing in it is truncated.
            None => {
                let what = format!("what stands at byte {} is not a line of this run", place.start);
                return Err(failed(io::Error::other(what)).into());
            }
        }
        index.ends = place.end;
    }
    Ok(index)
}

/// Opens the journal at `path` to append to it, after truncating what is torn. `index` is of this journal.
pub(crate) fn reopen_journal(path: &Path, index: &JournalIndex) -> Result<File, FileError> {
    let failed = |verb| move |source| FileError::new(verb, path, source);
    let mut file = File::options().read(true).write(true).open(path).map_err(failed("opened"))?;
    file.set_len(index.ends).map_err(failed("written"))?;
    file.seek(SeekFrom::End(0)).map_err(failed("written"))?;
    Ok(file)
}

/// Changes `failed` rows up to the row `up_to` to `unknown`: a later run may have sent them again and lost the line. Appends
/// a line for each to `file`, which is the journal at `path` of this `index`.
pub(crate) fn doubt_failures(file: &mut File, path: &Path, index: &mut JournalIndex, up_to: u64) -> Result<(), FileError> {
    let failed = index.unsettled.range(..=up_to).filter(|(_, row)| row.outcome == Outcome::Failed);
    let failed: Vec<_> = failed.map(|(row, last)| (*row, last.line.clone())).collect();
    let mut lines = Vec::new();
    for (row, last) in failed {
        let line = line_at(file, &last).and_then(|line| encoded(&doubted(&line)));
        let line = line.map_err(|source| FileError::new("read", path, source))?;
        let starts = index.ends;
        index.ends += line.len() as u64;
        index.add(row, Unsettled { outcome: Outcome::Unknown, previous: None, line: starts..index.ends });
        lines.extend(line);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let written = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(&lines)).and_then(|()| file.sync_data());
    written.map_err(|source| FileError::new("written", path, source))
}

/// The values of the line at this `place`.
fn line_at(file: &mut File, place: &Range<u64>) -> io::Result<ByteRecord> {
    let mut line = vec![0; usize::try_from(place.end - place.start).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(place.start))?;
    file.read_exact(&mut line)?;
    parsed(&line)
}

/// The new line of a failed row that may have been sent again.
fn doubted(line: &ByteRecord) -> ByteRecord {
    let change = |(index, value): (usize, &[u8])| match Column::ALL.get(index) {
        Some(Column::Result) => Outcome::Unknown.name().as_bytes().to_vec(),
        Some(Column::ErrorMessage) => [b"this may have been sent again before the run was broken off; before that: ", value].concat(),
        Some(_) | None => value.to_vec(),
    };
    line.iter().enumerate().map(change).collect()
}

/// The end date, if the user can bypass MFA.
fn active_until(values: &ByteRecord) -> Option<BypassUntil> {
    let can_bypass = Column::CanBypass.of(values) == b"true";
    Column::Until.text(values).filter(|_| can_bypass).and_then(BypassUntil::read)
}

/// Whether the `values` of a line, below this `header`, are of another bypass than PingOne's device report said.
fn differs_from_report(header: &ByteRecord, values: &ByteRecord, outcome: Outcome) -> bool {
    let column = header.iter().skip(COLUMNS.len()).position(|name| name == REPORTED_UNTIL.as_bytes());
    let reported = column.and_then(|column| std::str::from_utf8(carried(values).nth(column)?).ok()).and_then(BypassUntil::read);
    let completed = Column::CompletedAt.text(values).and_then(BypassUntil::read);
    let is_told = matches!(outcome, Outcome::Active | Outcome::Inactive);
    reported.zip(completed).is_some_and(|(reported, at)| is_told && differs(reported, active_until(values), at.instant()))
}

fn is_own_header(values: &ByteRecord) -> bool {
    values.iter().take(COLUMNS.len()).eq(COLUMNS.iter().map(|column| column.as_bytes()))
}

/// Whether the file's last record, which begins at `start`, ends with a line feed outside quotes. A complete quoted value
/// has an even number of quotes.
fn is_closed(file: &mut File, start: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    file.read_to_end(&mut line)?;
    let quotes = memchr::memchr_iter(b'"', &line).count();
    Ok(line.ends_with(b"\n") && quotes.is_multiple_of(2))
}

#[cfg(test)]
#[path = "journal_reader_tests.rs"]
mod tests;
