//! The rows of `NAME.failed.csv`: those that failed, as the input has them, with the reason. They are written together with
//! the report, in the dialect of the input, so that the same options read them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};

use csv::{ByteRecord, QuoteStyle};

use super::hashed::HashedFile;
use super::journal_reader::JournalIndex;
use super::line::{Column, carried};
use crate::domain::CsvDialect;

/// The columns of `NAME.failed.csv` after the input's own.
pub(crate) const FAILED_COLUMNS: [&str; 2] = ["result", "errorMessage"];

/// A source of the rows that are written to `NAME.failed.csv`, in order, by number.
pub(crate) trait RowsByNumber {
    /// The header that makes the rows a valid input; `None` if the input has none.
    fn header(&self) -> Option<ByteRecord>;

    /// How the input is written.
    fn dialect(&self) -> CsvDialect;

    /// The values of row `number`, whose line in the report is `line`. Called in ascending order.
    fn row(&mut self, number: u64, line: &ByteRecord) -> io::Result<ByteRecord>;
}

/// The rows of a directory listing, taken from the report alone: the user ID and the carried columns.
#[derive(Debug)]
pub(crate) struct DirectoryRows(pub(crate) &'static [&'static str]);

impl RowsByNumber for DirectoryRows {
    fn header(&self) -> Option<ByteRecord> {
        Some([Column::UserId.name()].iter().chain(self.0).collect())
    }

    fn dialect(&self) -> CsvDialect {
        CsvDialect::default()
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        Ok([Column::UserId.of(line)].into_iter().chain(carried(line)).collect())
    }
}

/// The form of an input that no longer exists, as far as the record of its run tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormerInput<'a> {
    pub(crate) dialect: CsvDialect,
    pub(crate) has_header: bool,
    /// The column of the users: its name, or without a header its number. `None` if no option named it.
    pub(crate) user: Option<&'a str>,
    /// Whether an option says that every user was looked up. The values are carried then.
    pub(crate) is_looked_up: bool,
    /// The column of end dates likewise; `None` if the operation has none.
    pub(crate) until: Option<&'a str>,
}

/// The rows of an input that no longer exists, reconstructed from a journal: the users, or the values they were looked up by,
/// the requested end dates, and the carried columns.
#[derive(Debug)]
pub(crate) struct JournalRows {
    header: Option<ByteRecord>,
    dialect: CsvDialect,
    values: Vec<JournalValue>,
}

/// Where a value of a reconstructed row stands in a line of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JournalValue {
    Own(Column),
    /// In the carried column with this index.
    Carried(usize),
    /// Nowhere.
    Empty,
}

impl JournalRows {
    /// The rows of the journal with this `index`, in the form of the `former` input.
    pub(crate) fn of(index: &JournalIndex, former: FormerInput<'_>) -> Self {
        let (header, values) = if former.has_header {
            let (names, values) = named(index, former);
            (Some(names), values)
        } else {
            (None, numbered(index, former))
        };
        Self { header, dialect: former.dialect, values }
    }
}

/// The names of the columns, and their values.
fn named(index: &JournalIndex, former: FormerInput<'_>) -> (ByteRecord, Vec<JournalValue>) {
    let FormerInput { user, is_looked_up, until, .. } = former;
    let is_carried = |name: &&str| index.carried().any(|carried| carried.eq_ignore_ascii_case(name.as_bytes()));
    let user = user.filter(|name| !is_carried(name)).unwrap_or(Column::UserId.name());
    // Users without an ID were looked up by a carried column.
    let user = (!index.has_nameless && !is_looked_up).then_some((user, Column::UserId));
    let own: Vec<_> = user.into_iter().chain(until.map(|until| (until, Column::RequestedUntil))).collect();
    let names = own.iter().map(|(name, _)| name.as_bytes()).chain(index.carried()).collect();
    let values = own.iter().map(|(_, column)| JournalValue::Own(*column));
    (names, values.chain(index.carried().enumerate().map(|(at, _)| JournalValue::Carried(at))).collect())
}

/// The values, each in the column with the number that it had. What was carried is named by it.
fn numbered(index: &JournalIndex, former: FormerInput<'_>) -> Vec<JournalValue> {
    let index_of = |number: &str| number.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < MOST_COLUMNS);
    let carried = index.carried().enumerate().filter_map(|(at, name)| {
        let number = std::str::from_utf8(name).ok()?.strip_prefix(UNNAMED_COLUMN)?;
        Some((index_of(number)?, JournalValue::Carried(at)))
    });
    let mut values: BTreeMap<usize, JournalValue> = carried.collect();
    let own = [(former.user.or(Some("1")), Column::UserId), (former.until, Column::RequestedUntil)];
    for (number, column) in own {
        if let Some(at) = number.and_then(index_of) {
            // The value that a user was looked up by is carried, and stands there already.
            values.entry(at).or_insert(JournalValue::Own(column));
        }
    }
    let width = values.last_key_value().map_or(0, |(at, _)| at + 1);
    (0..width).map(|at| values.get(&at).copied().unwrap_or(JournalValue::Empty)).collect()
}

/// What the name of a column without one begins with; its number follows.
pub(crate) const UNNAMED_COLUMN: &str = "column";

/// More columns than fit into a line: no input has one with a higher number.
const MOST_COLUMNS: usize = 256 << 10;

impl RowsByNumber for JournalRows {
    fn header(&self) -> Option<ByteRecord> {
        self.header.clone()
    }

    fn dialect(&self) -> CsvDialect {
        self.dialect
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        let value = |value: &JournalValue| match value {
            JournalValue::Own(column) => column.of(line),
            JournalValue::Carried(at) => carried(line).nth(*at).unwrap_or_default(),
            JournalValue::Empty => b"",
        };
        Ok(self.values.iter().map(value).collect())
    }
}

/// Writes failed rows to a file.
pub(crate) struct FailedRows<'a> {
    writer: FailedWriter<'a>,
    originals: &'a mut dyn RowsByNumber,
}

impl<'a> FailedRows<'a> {
    /// Begins `file` with the header, if the input has one. The values of the rows are those of `originals`.
    pub(crate) fn begin(file: &'a File, originals: &'a mut dyn RowsByNumber) -> io::Result<Self> {
        let writer = FailedWriter::begin(file, originals.dialect(), originals.header())?;
        Ok(Self { writer, originals })
    }

    /// Writes a row, whose line in the report is `line`.
    pub(crate) fn write(&mut self, row: u64, line: &ByteRecord) -> io::Result<()> {
        self.writer.write(self.originals.row(row, line)?, line)
    }

    /// The SHA-256 of the file, in hexadecimal.
    pub(crate) fn finish(self) -> io::Result<String> {
        self.writer.finish()
    }
}

/// Writes rows that somebody else has read.
pub(super) struct FailedWriter<'a>(csv::Writer<HashedFile<'a>>);

impl<'a> FailedWriter<'a> {
    /// Begins `file` with the `header`, if the input has one.
    pub(super) fn begin(file: &'a File, dialect: CsvDialect, header: Option<ByteRecord>) -> io::Result<Self> {
        // Without a header, the first row shows the delimiter. Others in its values, those of a message say, must not count.
        let quotes = if header.is_some() { QuoteStyle::Necessary } else { QuoteStyle::Always };
        let mut file = HashedFile::new(file);
        file.write_all(dialect.mark())?;
        let mut writer = dialect.writer().quote_style(quotes).flexible(true).from_writer(file);
        if let Some(mut header) = header {
            header.extend(FAILED_COLUMNS);
            writer.write_byte_record(&header)?;
        }
        Ok(Self(writer))
    }

    /// Writes a row with these `values`, whose line in the report is `line`.
    pub(super) fn write(&mut self, mut values: ByteRecord, line: &ByteRecord) -> io::Result<()> {
        values.extend([Column::Result, Column::ErrorMessage].map(|column| column.of(line)));
        Ok(self.0.write_byte_record(&values)?)
    }

    /// The SHA-256 of the file, in hexadecimal.
    pub(super) fn finish(self) -> io::Result<String> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal_reader::index_journal;
    use super::super::line::COLUMNS;
    use super::*;
    use crate::domain::LineEnd;

    const OF_A_FILE: FormerInput<'_> = FormerInput {
        dialect: CsvDialect { delimiter: None, has_mark: false, line_end: LineEnd::Lf },
        has_header: true,
        user: None,
        is_looked_up: false,
        until: None,
    };

    /// The header and a row, reconstructed from a journal of these users and results, with the columns `carried`.
    fn rebuilt(carried: &str, lines: &[(&str, &str)], former: FormerInput<'_>) -> (String, String) {
        let after = ",".repeat(COLUMNS.len() - Column::RequestedUntil as usize - 1);
        let line = |(user, result): &(&str, &str)| format!("1,{user},{result},true,got,asked{after},a,b\n");
        let text: String = lines.iter().map(line).collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{},{carried}\n{text}", COLUMNS.join(","))).expect("written");
        let mut rows = JournalRows::of(&index_journal(file.path(), 9).expect("readable"), former);
        let mut reader = csv::Reader::from_path(file.path()).expect("there");
        let line = reader.byte_records().next().expect("a line").expect("CSV");
        let shown = |record: ByteRecord| record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        (rows.header().map_or("none".to_owned(), shown), shown(rows.row(1, &line).expect("a row")))
    }

    #[test]
    fn rows_of_an_input_that_is_gone_have_what_it_takes_to_read_them() {
        let expected = |header: &str, row: &str| (header.to_owned(), row.to_owned());
        let of = |user, until| FormerInput { user, until, ..OF_A_FILE };
        let ids = [("u", "not_found"), ("", "invalid"), ("v", "failed"), ("", "duplicate")];
        assert_eq!(rebuilt("x,y", &ids, of(None, None)), expected("userID,x,y", "u,a,b"));
        assert_eq!(rebuilt("x,y", &ids, of(None, Some("until"))), expected("userID,until,x,y", "u,asked,a,b"));
        assert_eq!(rebuilt("x,y", &ids, of(Some("who"), None)), expected("who,x,y", "u,a,b"));
        assert_eq!(rebuilt("Email,y", &ids, of(Some("email"), None)), expected("userID,Email,y", "u,a,b"), "two of a name are none");
        let looked_up = [("u", "failed"), ("", "ambiguous")];
        assert_eq!(rebuilt("email,y", &looked_up, of(None, Some("until"))), expected("until,email,y", "asked,a,b"));
        let by = FormerInput { is_looked_up: true, ..of(Some("Mail"), None) };
        assert_eq!(rebuilt("Mail,y", &ids, by), expected("Mail,y", "a,b"), "an option says that all are looked up");
    }

    #[test]
    fn rows_without_a_header_have_their_values_where_the_options_number_them() {
        let expected = |row: &str| ("none".to_owned(), row.to_owned());
        let of = |user, until| FormerInput { has_header: false, user, until, ..OF_A_FILE };
        let ids = [("u", "not_found")];
        assert_eq!(rebuilt("column2,column3", &ids, of(None, None)), expected("u,a,b"));
        assert_eq!(rebuilt("column3,column4", &ids, of(None, Some("2"))), expected("u,asked,a,b"));
        assert_eq!(rebuilt("column1,column2", &ids, of(Some("3"), Some("4"))), expected("a,b,u,asked"));
        assert_eq!(rebuilt("column1,column5", &ids, of(Some("3"), Some("2"))), expected("a,asked,u,,b"));
        // What was looked up is carried.
        assert_eq!(rebuilt("column1,column3", &[("", "not_found")], of(Some("1"), Some("2"))), expected("a,asked,b"));
        for edited in ["0", "-1", "x", "99999999999999999999", "999999999"] {
            assert_eq!(rebuilt("column1,column2", &ids, of(Some(edited), None)), expected("a,b"), "{edited}");
        }
    }
}
