//! Reads the journal of an unfinished run, whose last line may be torn, to find out which rows are settled.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use csv::ByteRecord;

use super::journal::encoded;
use super::line::COLUMNS;
use crate::domain::{Outcome, Previous, RowNumber, RowSet, Tally, UserId};
use crate::file_error::FileError;

const BUFFER: usize = 256 << 10;
/// The fewest bytes in a line of a journal.
const LEAST_OF_A_LINE: u64 = 40;
/// Rows settle nearly in order: before a row that has a line, fewer rows than this have none.
const OUT_OF_ORDER: u64 = 100_000;

/// The content of a journal.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The rows that are not sent again.
    pub(crate) settled: RowSet,
    /// The outcomes of all rows that have a line; the last line of a row counts.
    pub(crate) tally: Tally,
    /// The rows that are sent again, with their outcomes.
    pub(crate) again: BTreeMap<u64, Outcome>,
    /// What the users of these had before, as far as their lines tell.
    pub(crate) previous: BTreeMap<u64, Previous>,
    /// The highest row that has a line.
    pub(crate) last_row: u64,
    /// The offset at which the last complete line ends.
    end: u64,
}

impl Recovered {
    /// Whether the journal's header is complete.
    pub(crate) fn has_header(&self) -> bool {
        self.end > 0
    }

    /// The number of rows that are not sent again, by outcome.
    pub(crate) fn for_good(&self) -> Tally {
        let mut tally = self.tally;
        self.again.values().for_each(|outcome| tally.remove(*outcome));
        tally
    }

    /// Adds a line. The last line of a row counts.
    fn line(&mut self, row: u64, outcome: Outcome) {
        self.last_row = self.last_row.max(row);
        if self.settled.contains(row) {
            return;
        }
        if let Some(before) = self.again.remove(&row) {
            self.tally.remove(before);
        }
        self.tally.add(outcome);
        if outcome.is_to_be_sent_again() {
            self.again.insert(row, outcome);
        } else {
            self.settled.insert(row);
        }
    }

    /// Keeps what the `line` of a row that is sent again says of the time before; a later line that does not say it takes nothing
    /// away.
    fn note_previous(&mut self, row: u64, line: &ByteRecord) {
        let previous = line.get(PREVIOUS_UNTIL).and_then(|text| Previous::read(std::str::from_utf8(text).ok()?));
        match previous {
            Some(previous) if self.again.contains_key(&row) => drop(self.previous.insert(row, previous)),
            Some(_) | None if !self.again.contains_key(&row) => drop(self.previous.remove(&row)),
            Some(_) | None => {}
        }
    }
}

/// The column of what a user had before.
const PREVIOUS_UNTIL: usize = 6;

/// The header of the journal at `path`; `None` if it is torn or missing.
pub(super) fn journal_header(path: &Path) -> io::Result<Option<ByteRecord>> {
    let file = OpenOptions::new().read(true).open(path)?;
    let length = file.metadata()?.len();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut header = ByteRecord::new();
    if !reader.read_byte_record(&mut header).map_err(io::Error::other)? {
        return Ok(None);
    }
    let is_last = reader.position().byte() == length;
    let is_torn = header.as_slice().contains(&0) || (is_last && !is_closed(reader.get_mut(), 0)?);
    Ok((!is_torn).then_some(header))
}

/// Reads the journal at `path`, of an input with this many `rows`, up to its last complete line. Does not change it.
pub(crate) fn read_journal(path: &Path, rows: u64) -> Result<Recovered, FileError> {
    let failed = |source| FileError::new("read", path, source);
    let mut file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    let mut found = Recovered::default();
    read_lines(&mut file, rows, &mut found).map_err(failed)?;
    Ok(found)
}

/// Reads the journal at `path`, of an input with this many `rows`, and truncates a torn rest. The returned file is
/// positioned at its end.
pub(crate) fn reopen_journal(path: &Path, rows: u64) -> Result<(std::fs::File, Recovered), FileError> {
    let failed = |verb| move |source| FileError::new(verb, path, source);
    let found = read_journal(path, rows)?;
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("opened"))?;
    file.set_len(found.end).map_err(failed("written"))?;
    file.seek(SeekFrom::End(0)).map_err(failed("written"))?;
    Ok((file, found))
}

/// Changes `failed` rows up to the row `up_to` to `unknown`: a later run may have sent them again and lost the line. Appends
/// a line for each to `file`, which is the journal at `path`.
pub(crate) fn doubt_failures(file: &mut std::fs::File, path: &Path, recovered: &mut Recovered, up_to: u64) -> Result<(), FileError> {
    let failed = recovered.again.iter().filter(|(row, outcome)| **row <= up_to && **outcome == Outcome::Failed);
    let mut last: BTreeMap<u64, ByteRecord> = failed.map(|(row, _)| (*row, ByteRecord::new())).collect();
    if last.is_empty() {
        return Ok(());
    }
    let unreadable = |source| FileError::new("read", path, source);
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_path(path).map_err(|error| unreadable(error.into()))?;
    for record in reader.byte_records() {
        let record = record.map_err(|error| unreadable(error.into()))?;
        if let Some(line) = line_of(&record).and_then(|(row, _)| last.get_mut(&row)) {
            *line = record;
        }
    }
    let lines = last.values().map(doubted).map(|line| encoded(&line)).collect::<io::Result<Vec<_>>>();
    let written = lines.and_then(|lines| file.write_all(&lines.concat())).and_then(|()| file.sync_data());
    written.map_err(|source| FileError::new("written", path, source))?;
    for row in last.keys() {
        recovered.line(*row, Outcome::Unknown);
    }
    Ok(())
}

/// The new line of a failed row that may have been sent again.
fn doubted(line: &ByteRecord) -> ByteRecord {
    let change = |(index, value): (usize, &[u8])| match COLUMNS.get(index) {
        Some(&"result") => Outcome::Unknown.name().as_bytes().to_vec(),
        Some(&"errorMessage") => [b"this may have been sent again before the run was broken off; before that: ", value].concat(),
        Some(_) | None => value.to_vec(),
    };
    line.iter().enumerate().map(change).collect()
}

/// The row of a line, its user if the line names one, and its outcome.
pub(crate) type JournalUser = (RowNumber, Option<UserId>, Outcome);

/// The complete lines in the journal at `path`, of an input with this many `rows`.
pub(crate) fn journal_users(path: &Path, rows: u64) -> Result<impl Iterator<Item = Result<JournalUser, FileError>>, FileError> {
    let failed = |source| FileError::new("read", path, source);
    let end = read_journal(path, rows)?.end;
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?.take(end);
    let reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(BUFFER).from_reader(file);
    Ok(reader.into_byte_records().map(move |record| {
        let record = record.map_err(|error| failed(io::Error::other(error)))?;
        let (row, outcome) = line_of(&record).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
        let user = record.get(1).and_then(|user| std::str::from_utf8(user).ok()).and_then(|user| user.parse().ok());
        Ok((RowNumber(row), user, outcome))
    }))
}

/// Reads complete lines. A torn line is at the end of the file, or contains zero bytes, which a power cut may leave; what
/// follows them was not yet on disk. Any other malformed line is an error and not truncated, because somebody has edited
/// the file.
fn read_lines(file: &mut std::fs::File, rows: u64, found: &mut Recovered) -> io::Result<()> {
    let length = file.metadata()?.len();
    // If the number of rows is unknown, no row number can be much greater than the number of lines.
    let rows = rows.min(length / LEAST_OF_A_LINE + OUT_OF_ORDER);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(&mut *file);
    let mut record = ByteRecord::new();
    let mut width = 0;
    let mut start = 0;
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        let (end, is_header) = (reader.position().byte(), start == 0);
        width = if is_header { record.len() } else { width };
        let line = line_of(&record).filter(|(row, _)| (1..=rows).contains(row));
        let is_valid = record.len() == width && if is_header { is_own_header(&record) } else { line.is_some() };
        if end == length && !is_closed(reader.get_mut(), start)? {
            return Ok(());
        }
        match line {
            _ if !is_valid && record.as_slice().contains(&0) => return Ok(()),
            _ if !is_valid => return Err(io::Error::other(format!("what stands at byte {start} is not a line of this run"))),
            Some((row, outcome)) => {
                found.line(row, outcome);
                found.note_previous(row, &record);
            }
            // The header names no row.
            None => {}
        }
        start = end;
        found.end = end;
    }
    Ok(())
}

fn is_own_header(record: &ByteRecord) -> bool {
    record.iter().take(COLUMNS.len()).eq(COLUMNS.iter().map(|column| column.as_bytes()))
}

fn line_of(record: &ByteRecord) -> Option<(u64, Outcome)> {
    let text = |index: usize| record.get(index).and_then(|value| std::str::from_utf8(value).ok());
    Some((text(0)?.parse().ok()?, Outcome::named(text(2)?)?))
}

/// Whether the file's last record, which begins at `start`, ends with a line feed outside quotes. A complete quoted value
/// has an even number of quotes.
fn is_closed(file: &mut std::fs::File, start: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    file.read_to_end(&mut line)?;
    let quotes = memchr::memchr_iter(b'"', &line).count();
    Ok(line.ends_with(b"\n") && quotes.is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> String {
        format!("{},note\n", COLUMNS.join(","))
    }

    fn line(row: u64, outcome: &str, note: &str) -> String {
        format!("{row},u,{outcome},,,,,,,,,,1,0,t,\"{note}\"\n")
    }

    fn recovered(journal: &[u8]) -> (Recovered, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        std::fs::write(&path, journal).expect("written");
        let (_, found) = reopen_journal(&path, 100).expect("readable");
        (found, std::fs::read(&path).expect("readable"))
    }

    #[test]
    fn the_last_line_of_a_row_counts_and_failures_are_sent_again() {
        let lines = [(1, "granted"), (2, "failed"), (3, "unknown"), (2, "granted"), (4, "rejected"), (3, "failed")];
        let journal = header() + &lines.map(|(row, outcome)| line(row, outcome, "")).concat();
        let (found, left) = recovered(journal.as_bytes());
        assert_eq!(left, journal.as_bytes());
        assert_eq!([1, 2, 3, 4, 5].map(|row| found.settled.contains(row)), [true, true, false, true, false]);
        assert_eq!((found.tally.rows(), found.tally.of(Outcome::Failed), found.tally.of(Outcome::Unknown)), (4, 1, 0));
        assert_eq!((found.for_good().rows(), found.for_good().of(Outcome::Granted)), (3, 2));
    }

    #[test]
    fn a_journal_that_was_edited_is_refused_and_left_as_it_is() {
        let valid = header() + &line(1, "granted", "") + &line(2, "granted", "");
        for edited in [
            valid.replace(',', ";"),
            valid.replacen("granted", "grannted", 1),
            valid.replacen("\n1,", "\n999,", 1),
            valid.replacen("\n1,", "\n99999999999999999,", 1),
            valid.replacen("userID", "user", 1),
            valid.replacen(",note\n", "\n", 1),
            valid.replacen("\n1,u,granted", "\n1,u,granted,", 1),
            valid.replacen("\n1,u,granted,", "\n1,u,granted", 1),
            valid.replacen("\n1,", "\n0,", 1),
            line(1, "granted", ""),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("j.csv");
            std::fs::write(&path, &edited).expect("written");
            assert!(reopen_journal(&path, 100).is_err(), "{edited}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), edited);
        }
    }

    #[test]
    fn a_line_of_a_row_that_cannot_be_is_refused_even_where_it_is_not_known_how_many_there_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        for (row, is_valid) in [(90_000, true), (4_000_000_000, false), (100_000_000_000, false), (u64::MAX, false)] {
            std::fs::write(&path, header() + &line(1, "active", "") + &line(row, "active", "")).expect("written");
            let read = read_journal(&path, u64::MAX);
            assert_eq!(read.is_ok(), is_valid, "{row}");
            assert!(read.is_ok_and(|found| found.settled.contains(row)) == is_valid, "{row}");
        }
    }

    /// After a power cut, blocks may have reached the disk in any order.
    #[test]
    fn nothing_counts_after_zero_bytes_that_stand_where_a_line_should() {
        let before = header() + &line(1, "granted", "a\0b");
        for hole in ["\0\0\0\0\n".to_owned(), line(3, "gran\0\0d", ""), "\0".repeat(300) + "\n"] {
            let (found, left) = recovered(format!("{before}{hole}{}", line(2, "granted", "")).as_bytes());
            assert_eq!(left, before.as_bytes(), "{hole:?}");
            assert_eq!((found.tally.rows(), found.settled.contains(1), found.settled.contains(2)), (1, true, false));
        }
        let (found, left) = recovered(&[0, 0, b'\n']);
        assert!(left.is_empty() && !found.has_header());
    }

    #[test]
    fn a_line_may_be_of_a_row_so_far_ahead_as_lines_come_out_of_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        for lines in [1, 50] {
            let before = header() + &line(1, "active", "").repeat(lines - 1);
            // Both row numbers have six digits.
            let most = ((before.len() + line(100_000, "active", "").len()) / 40) as u64 + 100_000;
            for (row, is_valid) in [(most, true), (most + 1, false)] {
                std::fs::write(&path, format!("{before}{}", line(row, "active", ""))).expect("written");
                let read = read_journal(&path, u64::MAX);
                assert_eq!(read.map(|found| found.last_row).ok(), is_valid.then_some(row), "{row}");
            }
        }
    }

    #[test]
    fn a_journal_has_a_header_once_that_is_whole() {
        let whole = header();
        for (journal, expected) in [("", false), (&whole[..20], false), (&whole[..whole.len() - 1], false), (&whole, true)] {
            let (found, left) = recovered(journal.as_bytes());
            assert_eq!((found.has_header(), left.len()), (expected, if expected { whole.len() } else { 0 }), "{journal}");
            assert_eq!((found.last_row, found.tally.rows(), found.for_good().rows()), (0, 0, 0));
        }
    }

    #[test]
    fn failures_that_may_have_been_sent_again_are_in_doubt_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        let lines = [(1, "failed"), (2, "granted"), (3, "failed"), (4, "unknown"), (5, "failed")];
        let journal = header() + &lines.map(|(row, outcome)| line(row, outcome, "x")).concat();
        let doubt = |up_to| {
            std::fs::write(&path, &journal).expect("written");
            let (mut file, mut found) = reopen_journal(&path, 100).expect("readable");
            doubt_failures(&mut file, &path, &mut found, up_to).expect("written");
            let again: Vec<_> = found.again.iter().map(|(row, outcome)| format!("{row} {outcome}")).collect();
            let text = std::fs::read_to_string(&path).expect("there");
            let added = text.strip_prefix(&journal).expect("what was there stays").to_owned();
            let read = read_journal(&path, 100).expect("readable");
            assert_eq!((read.again, read.tally), (found.again, found.tally), "it reads back so");
            (again.join(", "), added)
        };
        let doubted = |row: u64| {
            format!("{row},u,unknown,,,,,,,this may have been sent again before the run was broken off; before that: ,,,1,0,t,x\n")
        };
        let none = "1 failed, 3 failed, 4 unknown, 5 failed".to_owned();
        assert_eq!(doubt(0), (none, String::new()));
        assert_eq!(doubt(3), ("1 unknown, 3 unknown, 4 unknown, 5 failed".to_owned(), doubted(1) + &doubted(3)));
        assert_eq!(doubt(4), ("1 unknown, 3 unknown, 4 unknown, 5 failed".to_owned(), doubted(1) + &doubted(3)));
    }

    #[test]
    fn the_users_of_rows_stand_in_the_journal_up_to_what_is_torn() {
        let id = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
        let lines = [(3, "granted", id), (1, "not_found", ""), (3, "failed", id), (2, "granted", id)];
        let lines = lines.map(|(row, outcome, user)| line(row, outcome, "").replace(",u,", &format!(",{user},")));
        let journal = header() + &lines.concat();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j.csv");
        std::fs::write(&path, &journal[..journal.len() - 3]).expect("written");
        let found: Vec<_> = journal_users(&path, 100).expect("readable").collect::<Result<_, _>>().expect("lines");
        let user = Some(id.parse().expect("a UUID"));
        let expected = [(3, user, Outcome::Granted), (1, None, Outcome::NotFound), (3, user, Outcome::Failed)];
        assert_eq!(found, expected.map(|(row, user, outcome)| (RowNumber(row), user, outcome)));
        assert!(!read_journal(&path, 100).expect("readable").settled.contains(2));
    }

    proptest! {
        /// Wherever a journal is torn, its complete lines are kept and the rest is truncated.
        #[test]
        fn a_torn_journal_keeps_its_whole_lines(count in 0_u64..6, note in "[a\n\r,]{0,4}", torn in 0_usize..400, zeros in 0_usize..9) {
            let whole: Vec<String> = std::iter::once(header()).chain((1..=count).map(|row| line(row, "granted", &note))).collect();
            let all = whole.concat();
            let cut = torn.min(all.len());
            let mut journal = all.as_bytes()[..cut].to_vec();
            journal.resize(cut + zeros, 0);
            let mut kept = 0;
            let mut lines = 0;
            for text in &whole {
                if kept + text.len() > cut {
                    break;
                }
                kept += text.len();
                lines += 1;
            }
            let (found, left) = recovered(&journal);
            prop_assert_eq!(left.len(), kept);
            prop_assert_eq!(found.tally.rows(), u64::saturating_sub(lines, 1));
        }
    }
}
