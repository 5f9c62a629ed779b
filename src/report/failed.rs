//! Writes `NAME.failed.csv`: the failed rows, as the input has them, with the reason. They are taken from a final pass over
//! the published report.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;
use sha2::{Digest, Sha256};

use super::files::Replaced;
use super::line::COLUMNS;
use crate::domain::{Counts, Outcome, Tally};
use crate::file_error::FileError;

/// The columns of `NAME.failed.csv` after the input's own.
pub(crate) const FAILED_COLUMNS: [&str; 2] = ["result", "errorMessage"];

const USER: usize = 1;
const RESULT: usize = 2;
const REQUESTED_UNTIL: usize = 5;
const ERROR_MESSAGE: usize = 9;
const BUFFER: usize = 256 << 10;

/// The content of a published report, in numbers.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) tally: Tally,
    pub(crate) sha256: String,
    /// The number of lines without the header.
    pub(crate) lines: u64,
}

/// A source of the rows that are written to `NAME.failed.csv`, in order, by number.
pub(crate) trait RowsByNumber {
    /// The header that makes the rows a valid input.
    fn header(&self) -> ByteRecord;

    /// The values of row `number`, whose line in the report is `line`. Called in ascending order.
    fn row(&mut self, number: u64, line: &ByteRecord) -> io::Result<ByteRecord>;
}

/// The rows of a directory listing, taken from the report alone: the user ID and the carried columns.
#[derive(Debug)]
pub(crate) struct DirectoryRows(pub(crate) &'static [&'static str]);

impl RowsByNumber for DirectoryRows {
    fn header(&self) -> ByteRecord {
        [COLUMNS[USER]].iter().chain(self.0).collect()
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        Ok(line.iter().skip(USER).take(1).chain(line.iter().skip(COLUMNS.len())).collect())
    }
}

/// The rows of an input that no longer exists, reconstructed from a journal or report: the users, or the values they were
/// looked up by, the requested end dates, and the carried columns.
#[derive(Debug)]
pub(crate) struct JournalRows {
    header: ByteRecord,
    has_users: bool,
    has_dates: bool,
}

impl JournalRows {
    /// The rows in the file at `path`. `user` and `until` name the columns; without `until`, the rows get no end dates.
    pub(crate) fn of(path: &Path, user: Option<&str>, until: Option<&str>) -> Result<Self, FileError> {
        journal_rows(path, user, until).map_err(|source| FileError::new("read", path, source))
    }
}

fn journal_rows(path: &Path, user: Option<&str>, until: Option<&str>) -> io::Result<JournalRows> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(File::open(path)?);
    let carried: ByteRecord = reader.byte_headers()?.iter().skip(COLUMNS.len()).collect();
    let mut has_users = true;
    let mut record = ByteRecord::new();
    while has_users && reader.read_byte_record(&mut record)? {
        // Users without an ID were looked up by a carried column.
        let was_looked_up = record[USER].is_empty() && !matches!(outcome_of(&record)?, Outcome::Invalid | Outcome::Duplicate);
        has_users = !was_looked_up;
    }
    let is_carried = |name: &&str| carried.iter().any(|carried| carried.eq_ignore_ascii_case(name.as_bytes()));
    let user = user.filter(|name| !is_carried(name)).unwrap_or(COLUMNS[USER]);
    let own = [user].into_iter().filter(|_| has_users).chain(until);
    let header = own.map(str::as_bytes).chain(&carried).collect();
    Ok(JournalRows { header, has_users, has_dates: until.is_some() })
}

impl RowsByNumber for JournalRows {
    fn header(&self) -> ByteRecord {
        self.header.clone()
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        let own = [(USER, self.has_users), (REQUESTED_UNTIL, self.has_dates)];
        let own = own.into_iter().filter(|(_, is_present)| *is_present).map(|(index, _)| &line[index]);
        Ok(own.chain(line.iter().skip(COLUMNS.len())).collect())
    }
}

/// Writes the failed rows of the `report` to `failed`, with their values from `input`. If no row failed, removes the file.
pub(crate) fn write_failures(
    report: &Path,
    published: &Published,
    failed: &Replaced,
    input: &mut dyn RowsByNumber,
) -> Result<(), FileError> {
    if published.tally.failures() == 0 {
        return failed.remove_if_there();
    }
    failed.replace(|file| write_failed(report, file, input))
}

/// Counts and hashes the report.
pub(crate) fn count_report(report: &Path) -> Result<Published, FileError> {
    count(report).map_err(|source| FileError::new("read", report, source))
}

fn count(report: &Path) -> io::Result<Published> {
    let mut reader =
        csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(Hashing { file: File::open(report)?, sha256: Sha256::new() });
    let mut record = ByteRecord::new();
    let mut tally = Tally::default();
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        tally.add(outcome_of(&record)?);
    }
    let digest = reader.into_inner().sha256.finalize();
    Ok(Published { tally, sha256: hex(&digest), lines: tally.rows() })
}

/// `bytes` in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn outcome_of(record: &ByteRecord) -> io::Result<Outcome> {
    let name = record.get(RESULT).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(Outcome::named).ok_or_else(|| io::Error::other("a line has no result"))
}

fn write_failed(report: &Path, file: &mut File, input: &mut dyn RowsByNumber) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().from_reader(BufReader::with_capacity(BUFFER, File::open(report)?));
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
    let mut header = input.header();
    header.extend(FAILED_COLUMNS);
    writer.write_byte_record(&header)?;
    let mut record = ByteRecord::new();
    let mut number = 0;
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        number += 1;
        if outcome_of(&record)?.counts() == Counts::Failure {
            let mut row = input.row(number, &record)?;
            row.push_field(&record[RESULT]);
            row.push_field(&record[ERROR_MESSAGE]);
            writer.write_byte_record(&row)?;
        }
    }
    writer.flush()
}

struct Hashing {
    file: File,
    sha256: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(out)?;
        self.sha256.update(&out[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The file of failed rows for a report with these results.
    fn failures(results: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let lines: String =
            results.iter().zip(1..).map(|(result, row)| format!("{row},u{row},{result},,,,,,,m{row},,,1,0,t,note {row}\n")).collect();
        fs::write(path("r.csv"), format!("{},note\n{lines}", COLUMNS.join(","))).expect("written");
        fs::write(path("r.failed.csv"), "of an earlier run").expect("written");
        fs::write(path("r.failed.csv.tmp"), "of a run that was killed").expect("written");
        let published = count_report(&path("r.csv")).expect("readable");
        assert_eq!((published.lines, published.tally.rows()), (results.len() as u64, results.len() as u64));
        assert_eq!(published.sha256, hex(&Sha256::digest(fs::read(path("r.csv")).expect("there"))));
        write_failures(&path("r.csv"), &published, &Replaced::named(&path("r.failed.csv")).expect("a file"), &mut DirectoryRows(&["note"]))
            .expect("written");
        assert!(!path("r.failed.csv.tmp").exists(), "nothing half written is left");
        fs::read_to_string(path("r.failed.csv")).ok()
    }

    #[test]
    fn the_rows_that_failed_are_written_and_no_others() {
        let found = failures(&["granted", "not_found", "duplicate", "unknown"]);
        assert_eq!(found.as_deref(), Some("userID,note,result,errorMessage\nu2,note 2,not_found,m2\nu4,note 4,unknown,m4\n"));
        assert_eq!(failures(&["granted", "duplicate"]), None);
    }

    /// Rows of an input that records which of them were requested.
    #[derive(Default)]
    struct Numbered(Vec<u64>);

    impl RowsByNumber for Numbered {
        fn header(&self) -> ByteRecord {
            ["who"].iter().collect()
        }

        fn row(&mut self, number: u64, _line: &ByteRecord) -> io::Result<ByteRecord> {
            self.0.push(number);
            Ok([format!("the {number}th")].iter().collect())
        }
    }

    #[test]
    fn those_rows_are_taken_from_the_input_that_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (report, failed) = (folder.path().join("r.csv"), Replaced::named(&folder.path().join("f.csv")).expect("a file"));
        let results = ["granted", "failed", "duplicate", "invalid", "rejected", "ended"];
        let lines: String = results.iter().zip(1..).map(|(result, row)| format!("{row},u,{result},,,,,,,m,,,1,0,t\n")).collect();
        fs::write(&report, format!("{}\n{lines}", COLUMNS.join(","))).expect("written");
        let mut input = Numbered::default();
        write_failures(&report, &count_report(&report).expect("readable"), &failed, &mut input).expect("written");
        assert_eq!(input.0, [2, 4, 5]);
        let text = "who,result,errorMessage\nthe 2th,failed,m\nthe 4th,invalid,m\nthe 5th,rejected,m\n";
        assert_eq!(fs::read_to_string(&*failed).expect("there"), text);
    }

    #[test]
    fn a_report_with_a_line_that_has_no_result_is_not_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.csv");
        fs::write(&path, "row,userID,result\n1,u,garnted\n").expect("written");
        assert!(count_report(&path).is_err());
    }

    /// A journal of these users and results, with the columns `carried`.
    fn journal(carried: &str, lines: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let header = COLUMNS.join(",");
        let after = ",".repeat(COLUMNS.len() - REQUESTED_UNTIL - 1);
        let line = |(user, result): &(&str, &str)| format!("1,{user},{result},true,got,asked{after},a,b\n");
        let text: String = lines.iter().map(line).collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{header},{carried}\n{text}")).expect("written");
        file
    }

    fn rebuilt(carried: &str, lines: &[(&str, &str)], user: Option<&str>, until: Option<&str>) -> (String, String) {
        let file = journal(carried, lines);
        let mut rows = JournalRows::of(file.path(), user, until).expect("readable");
        let mut reader = csv::Reader::from_path(file.path()).expect("there");
        let line = reader.byte_records().next().expect("a line").expect("CSV");
        let shown = |record: ByteRecord| record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        (shown(rows.header()), shown(rows.row(1, &line).expect("a row")))
    }

    #[test]
    fn rows_of_an_input_that_is_gone_have_what_it_takes_to_read_them() {
        let expected = |header: &str, row: &str| (header.to_owned(), row.to_owned());
        let ids = [("u", "not_found"), ("", "invalid"), ("v", "failed"), ("", "duplicate")];
        assert_eq!(rebuilt("x,y", &ids, None, None), expected("userID,x,y", "u,a,b"));
        assert_eq!(rebuilt("x,y", &ids, None, Some("until")), expected("userID,until,x,y", "u,asked,a,b"));
        assert_eq!(rebuilt("x,y", &ids, Some("who"), None), expected("who,x,y", "u,a,b"));
        assert_eq!(rebuilt("Email,y", &ids, Some("email"), None), expected("userID,Email,y", "u,a,b"), "two of a name are none");
        let looked_up = [("u", "failed"), ("", "ambiguous")];
        assert_eq!(rebuilt("email,y", &looked_up, None, Some("until")), expected("until,email,y", "asked,a,b"));
    }
}
