use std::fs;

use csv::ByteRecord;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::super::failed::DirectoryRows;
use super::super::hashed::hex;
use super::super::journal::encoded;
use super::super::line::COLUMNS;
use super::*;

/// A line of a row with this `result` and `note`.
fn line(row: u64, result: &str, note: &str) -> String {
    let own: ByteRecord = COLUMNS
        .iter()
        .map(|column| match *column {
            "row" => row.to_string(),
            "userID" => format!("u{row}"),
            "result" => result.to_owned(),
            "errorMessage" => format!("m{row}"),
            _ => String::new(),
        })
        .chain([note.to_owned()])
        .collect();
    String::from_utf8(encoded(&own).expect("memory")).expect("UTF-8")
}

fn header() -> String {
    format!("{},note\n", COLUMNS.join(","))
}

/// A folder with a journal of these lines.
struct Journal {
    _folder: tempfile::TempDir,
    files: ReportFiles,
    text: String,
}

impl Journal {
    fn of(lines: &[(u64, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ReportFiles::beside(&folder.path().join("r.csv")).expect("a file");
        let text = header() + &lines.iter().map(|(row, result, note)| line(*row, result, note)).collect::<String>();
        fs::write(&files.partial, &text).expect("written");
        Self { _folder: folder, files, text }
    }

    /// Publishes the report, or returns what keeps it from being published.
    fn publish(&self, extent: Extent, originals: &mut dyn RowsByNumber) -> Result<Published, String> {
        let files = &self.files;
        let written = EndedJournal::read(files, 100).and_then(|journal| journal.write(files, extent, originals));
        if written.is_ok() {
            assert_eq!(fs::read_to_string(&files.partial).expect("there"), self.text, "the journal is whole until the report is");
        }
        let published = written.and_then(WrittenReport::publish);
        assert!(!files.ordered.exists(), "nothing is left beside");
        assert_eq!(files.partial.exists(), published.is_err(), "either the journal or the report is there");
        published.map_err(|error| std::error::Error::source(&error).expect("a cause").to_string())
    }

    fn report(&self) -> String {
        fs::read_to_string(&self.files.report).expect("published")
    }

    fn failed(&self) -> Option<String> {
        fs::read_to_string(&self.files.failed).ok()
    }
}

fn all(rows: u64) -> Extent {
    Extent { rows, numbers: Numbers::Of(Shard::default()), lines: Lines::All, dialect: OutputDialect::default() }
}

#[test]
fn lines_stand_in_the_inputs_order_and_the_one_that_settles_a_row_counts() {
    let journal =
        Journal::of(&[(3, "granted", "c"), (1, "granted", "a\nb"), (2, "failed", "old"), (2, "granted", "new"), (1, "failed", "late")]);
    let published = journal.publish(all(3), &mut DirectoryRows(&["note"])).expect("whole");
    let expected = header() + &line(1, "granted", "a\nb") + &line(2, "granted", "new") + &line(3, "granted", "c");
    assert_eq!(journal.report(), expected);
    assert_eq!((published.lines, published.tally.rows(), published.tally.of(Outcome::Granted)), (3, 3, 3));
    assert_eq!(published.sha256, hex(&Sha256::digest(expected)));
    assert_eq!(count_report(&journal.files.report).expect("readable"), published);
    assert_eq!(journal.failed(), None);
}

#[test]
fn a_row_without_a_line_is_found_out() {
    for (rows, expected) in [(&[1, 3][..], "row 2 has no line"), (&[1, 2], "there are lines of 2 rows, and the input has 3")] {
        let lines: Vec<_> = rows.iter().map(|row| (*row, "granted", "")).collect();
        assert_eq!(Journal::of(&lines).publish(all(3), &mut DirectoryRows(&[])), Err(expected.to_owned()));
    }
}

#[test]
fn numbers_may_be_free_where_users_have_left() {
    let journal = Journal::of(&[(5, "active", ""), (2, "failed", ""), (9, "active", ""), (2, "active", "")]);
    let extent = |rows, numbers| Extent { rows, numbers, lines: Lines::All, dialect: OutputDialect::default() };
    for refused in [extent(3, Numbers::Of(Shard::default())), extent(4, Numbers::MayBeFree)] {
        assert!(journal.publish(refused, &mut DirectoryRows(&[])).is_err());
        assert_eq!(fs::read_to_string(&journal.files.partial).expect("there"), journal.text, "it is as it was");
    }
    journal.publish(extent(3, Numbers::MayBeFree), &mut DirectoryRows(&[])).expect("whole");
    assert_eq!(journal.report(), header() + &line(2, "active", "") + &line(5, "active", "") + &line(9, "active", ""));
}

#[test]
fn of_a_journal_that_is_not_reported_whole_only_the_failed_rows_are_left_besides() {
    let journal = Journal::of(&[(2, "failed", "b"), (4, "inactive", ""), (1, "active", ""), (3, "active", "c\nd")]);
    let extent = Extent { rows: 4, numbers: Numbers::Of(Shard::default()), lines: Lines::Active, dialect: OutputDialect::default() };
    let published = journal.publish(extent, &mut DirectoryRows(&["note"])).expect("published");
    assert_eq!(journal.report(), header() + &line(1, "active", "") + &line(3, "active", "c\nd"));
    assert_eq!((published.lines, published.tally.rows()), (2, 4));
    assert_eq!(published.sha256, hex(&Sha256::digest(journal.report())));
    assert_eq!(journal.failed().as_deref(), Some("userID,note,result,errorMessage\nu2,b,failed,m2\n"));
}

/// Rows of an input that records which of them were requested.
#[derive(Default)]
struct Numbered(Vec<u64>);

impl RowsByNumber for Numbered {
    fn header(&self) -> Option<ByteRecord> {
        Some(["who"].iter().collect())
    }

    fn dialect(&self) -> CsvDialect {
        CsvDialect::default()
    }

    fn row(&mut self, number: u64, _line: &ByteRecord) -> io::Result<ByteRecord> {
        self.0.push(number);
        Ok([format!("the {number}th")].iter().collect())
    }
}

#[test]
fn those_rows_are_taken_from_the_input_that_failed() {
    let results = [(6, "ended", ""), (5, "rejected", ""), (1, "granted", ""), (2, "failed", ""), (4, "invalid", ""), (3, "duplicate", "")];
    let journal = Journal::of(&results);
    let mut input = Numbered::default();
    journal.publish(all(6), &mut input).expect("published");
    assert_eq!(input.0, [2, 4, 5]);
    let text = "who,result,errorMessage\nthe 2th,failed,m2\nthe 4th,invalid,m4\nthe 5th,rejected,m5\n";
    assert_eq!(journal.failed().as_deref(), Some(text));
}

#[test]
fn the_failed_rows_of_an_earlier_run_are_replaced_or_removed() {
    for (result, expected) in [("granted", None), ("unknown", Some("userID,note,result,errorMessage\nu1,n,unknown,m1\n"))] {
        let journal = Journal::of(&[(1, result, "n")]);
        fs::write(&journal.files.failed, "of an earlier run").expect("written");
        fs::write(journal.files.failed.with_file_name("r.failed.csv.tmp"), "of a run that was killed").expect("written");
        journal.publish(all(1), &mut DirectoryRows(&["note"])).expect("published");
        assert_eq!(journal.failed().as_deref(), expected);
    }
}

#[test]
fn where_the_failed_rows_cannot_be_written_nothing_is_published() {
    let journal = Journal::of(&[(1, "rejected", "")]);
    fs::create_dir(&*journal.files.failed).expect("created");
    assert!(journal.publish(all(1), &mut DirectoryRows(&[])).is_err());
    assert_eq!(fs::read_to_string(&journal.files.partial).expect("there"), journal.text, "it is as it was");
}

#[test]
fn a_report_with_a_line_that_has_no_result_is_not_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.csv");
    fs::write(&path, "row,userID,result\n1,u,garnted\n").expect("written");
    assert!(count_report(&path).is_err());
}

proptest! {
    #[test]
    fn any_order_is_put_right(order in Just((1..=60_u64).collect::<Vec<_>>()).prop_shuffle(), note in "[a,\"\n\r ]{0,6}") {
        let lines: Vec<_> = order.iter().map(|row| (*row, "granted", note.as_str())).collect();
        let journal = Journal::of(&lines);
        journal.publish(all(60), &mut DirectoryRows(&[])).expect("whole");
        let sorted: String = (1..=60).map(|row| line(row, "granted", &note)).collect();
        prop_assert_eq!(journal.report(), header() + &sorted);
    }
}
