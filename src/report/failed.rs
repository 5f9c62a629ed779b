//! The rows of `NAME.failed.csv`: those that failed, as the input has them, with the reason. They are written together with
//! the report.

use std::fs::File;
use std::io;

use csv::ByteRecord;

use super::journal_reader::JournalIndex;
use super::line::{Column, carried};

/// The columns of `NAME.failed.csv` after the input's own.
pub(crate) const FAILED_COLUMNS: [&str; 2] = ["result", "errorMessage"];

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
        [Column::UserId.name()].iter().chain(self.0).collect()
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        Ok([Column::UserId.of(line)].into_iter().chain(carried(line)).collect())
    }
}

/// The rows of an input that no longer exists, reconstructed from a journal: the users, or the values they were looked up by,
/// the requested end dates, and the carried columns.
#[derive(Debug)]
pub(crate) struct JournalRows {
    header: ByteRecord,
    /// The report's columns that these rows have.
    own: Vec<Column>,
}

impl JournalRows {
    /// The rows of the journal with this `index`. `user` and `until` name the columns; without `until`, the rows get no end
    /// dates.
    pub(crate) fn of(index: &JournalIndex, user: Option<&str>, until: Option<&str>) -> Self {
        let is_carried = |name: &&str| index.carried().any(|carried| carried.eq_ignore_ascii_case(name.as_bytes()));
        let user = user.filter(|name| !is_carried(name)).unwrap_or(Column::UserId.name());
        // Users without an ID were looked up by a carried column.
        let user = (!index.has_nameless).then_some((Column::UserId, user));
        let (own, names): (Vec<_>, Vec<_>) = user.into_iter().chain(until.map(|until| (Column::RequestedUntil, until))).unzip();
        Self { header: names.into_iter().map(str::as_bytes).chain(index.carried()).collect(), own }
    }
}

impl RowsByNumber for JournalRows {
    fn header(&self) -> ByteRecord {
        self.header.clone()
    }

    fn row(&mut self, _number: u64, line: &ByteRecord) -> io::Result<ByteRecord> {
        Ok(self.own.iter().map(|column| column.of(line)).chain(carried(line)).collect())
    }
}

/// Writes failed rows to a file.
pub(super) struct FailedRows<'a> {
    writer: csv::Writer<&'a File>,
    originals: &'a mut dyn RowsByNumber,
}

impl<'a> FailedRows<'a> {
    /// Begins `file` with the header. The values of the rows are those of `originals`.
    pub(super) fn begin(file: &'a File, originals: &'a mut dyn RowsByNumber) -> io::Result<Self> {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
        let mut header = originals.header();
        header.extend(FAILED_COLUMNS);
        writer.write_byte_record(&header)?;
        Ok(Self { writer, originals })
    }

    /// Writes a row, whose line in the report is `line`.
    pub(super) fn write(&mut self, row: u64, line: &ByteRecord) -> io::Result<()> {
        let mut values = self.originals.row(row, line)?;
        values.extend([Column::Result, Column::ErrorMessage].map(|column| column.of(line)));
        Ok(self.writer.write_byte_record(&values)?)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal_reader::index_journal;
    use super::super::line::COLUMNS;
    use super::*;

    /// The header and a row, reconstructed from a journal of these users and results, with the columns `carried`.
    fn rebuilt(carried: &str, lines: &[(&str, &str)], user: Option<&str>, until: Option<&str>) -> (String, String) {
        let after = ",".repeat(COLUMNS.len() - Column::RequestedUntil as usize - 1);
        let line = |(user, result): &(&str, &str)| format!("1,{user},{result},true,got,asked{after},a,b\n");
        let text: String = lines.iter().map(line).collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{},{carried}\n{text}", COLUMNS.join(","))).expect("written");
        let mut rows = JournalRows::of(&index_journal(file.path(), 9).expect("readable"), user, until);
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
